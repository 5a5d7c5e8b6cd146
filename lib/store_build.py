"""Building a feature store: all recordings in parallel, each written once, meta.json last."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
from tqdm import tqdm

from lib import extract, inputs
from lib.data import Source
from lib.data.icbhi import raise_all
from lib.errors import UserError
from lib.features import Front
from lib.files import aside, cores, sweep, write_json, write_text
from lib.inputs import READERS
from lib.store import digest, hashes

VERSION = 2  # raise it when the same input gives other features
CHUNK = 16  # clips at once for mean and std: few enough for the cache

Job = tuple[Path, list[list[float]], Front]  # audio file, [start, end] of its clips


def fingerprint(source: Source, front: Front) -> str:
    """sha256 of the bytes of every input file and of the front end's settings."""
    files = READERS[source.dataset].inputs(source.root)
    return digest([VERSION, source.dataset, asdict(front), hashes(files)])


def build(path: Path, source: Source, front: Front, mark: str, progress: bool) -> None:
    """Write the store `path` with the fingerprint `mark`; an interrupted build goes on.

    Features of a recording are written to their place, then its name to progress.txt, so that a
    kill costs the recordings in flight. Raises `UserError` with all recordings of no use.
    """
    sweep(path)
    audio = READERS[source.dataset].audio_files(source.root)
    cycles, shape = extract.placed(inputs.clips(source, front), front)
    features, done = _prepare(path, shape)
    groups = dict(list(cycles.groupby("recording")))
    jobs = {
        name: (audio[name], group[["start", "end"]].to_numpy().tolist(), front)
        for name, group in groups.items()
        if name not in done
    }
    faults = []
    bar = tqdm(total=len(groups), initial=len(groups) - len(jobs), desc="features",
               unit="recording", disable=not progress)  # fmt: skip
    with bar, open(path / "progress.txt", "a", encoding="utf-8") as log:
        for name, result in _run(jobs):
            bar.update()
            if isinstance(result, str):
                faults.append(result)
                continue
            features[extract.rows(groups[name])] = result
            print(name, file=log, flush=True)
    raise_all(sorted(faults))
    features.flush()
    _finish(path, cycles, features, source, front, mark)


def _prepare(path: Path, shape: tuple[int, ...]) -> tuple[np.memmap, set[str]]:
    """The writable features of an unfinished store and the recordings that are done."""
    log, target = path / "progress.txt", path / "features.npy"
    if not target.exists():  # renamed into place at full size, so it is whole where it exists
        log.unlink(missing_ok=True)
        with aside(target) as part:
            _write_zeros(part, shape)
    # A name cut short by a kill is not the name of a recording: only whole lines count.
    done = set(log.read_text(encoding="utf-8").split("\n")[:-1]) if log.exists() else set()
    return np.load(target, mmap_mode="r+"), done


def _write_zeros(path: Path, shape: tuple[int, ...]) -> None:
    """An .npy of zeros by plain writes: on a full disk these fail, a sparse map would crash."""
    header = {"descr": "<f2", "fortran_order": False, "shape": shape}
    row = np.zeros(shape[1:], np.float16).tobytes()
    with open(path, "wb") as out:
        np.lib.format.write_array_header_1_0(out, header)
        for _ in range(shape[0]):
            out.write(row)


def _run(jobs: dict[str, Job]) -> Iterator[tuple[str, np.ndarray | str]]:
    """Recording and its features, or its fault, as they come; one process for each core."""
    workers = min(cores(), len(jobs))
    if workers <= 1:
        yield from ((name, _features(job)) for name, job in jobs.items())
        return
    context = get_context("spawn")  # fork and torch's threads hang
    pool = ProcessPoolExecutor(workers, context, initializer=_end_with_parent)
    try:
        names = {pool.submit(_features, job): name for name, job in jobs.items()}
        for future in as_completed(names):
            yield names.pop(future), future.result()
    except BrokenProcessPool as error:
        raise UserError(
            "a process that computes features was killed (out of memory?); start again, "
            "what is done is kept"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _end_with_parent() -> None:
    """Workers of a parent that was killed would wait for work for ever; Ctrl-C is the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=lambda: (parent_process().join(), os._exit(1)), daemon=True).start()


def _features(job: Job) -> np.ndarray | str:
    """The features of one recording's clips, or what is wrong with it."""
    import torch  # here: the parent only writes

    path, times, front = job
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same bytes on any machine, and no fight for the cores
    try:
        return extract.features(path, times, front)
    except UserError as error:
        text = str(error)
        return text if text.startswith(str(path)) else f"{path}: {text}"
    finally:
        torch.set_num_threads(threads)


def _finish(
    path: Path,
    cycles: pd.DataFrame,
    features: np.ndarray,
    source: Source,
    front: Front,
    mark: str,
) -> None:
    mean, std = _mean_std(features)
    write_text(path / "cycles.csv", cycles.to_csv(index=False, lineterminator="\n"))
    meta = {
        "name": READERS[source.dataset].names[source.kind],
        "dataset": source.dataset,
        "kind": source.kind,
        "note": source.banner,
        "front_end": asdict(front),
        **extract.described(front),
        "mean": mean,
        "std": std,
        "fingerprint": mark,
    }
    write_json(path / "meta.json", meta)
    (path / "progress.txt").unlink(missing_ok=True)


def _mean_std(features: np.ndarray) -> tuple[float, float]:
    """Over all stored numbers, summed in float64, four decimals."""
    total = square = 0.0
    for first in range(0, len(features), CHUNK):
        part = np.asarray(features[first : first + CHUNK], np.float64).ravel()
        total += part.sum()
        square += part @ part
    mean = total / features.size
    return round(mean, 4), round(float(np.sqrt(square / features.size - mean**2)), 4)
