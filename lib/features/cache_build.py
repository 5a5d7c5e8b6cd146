"""Building a feature store: all recordings in parallel, each written once, meta.json last."""

import math
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np
import pandas as pd
from tqdm import tqdm

from lib.data import Source, inputs
from lib.data.icbhi import raise_all
from lib.data.inputs import READERS
from lib.errors import UserError
from lib.features import cache_extract
from lib.features.frontends import Frontend
from lib.files import (
    atomic_write,
    checksums,
    digest,
    disk_errors,
    remove_stale,
    write_json,
    write_text,
)
from lib.paths import available_cores

LOG = "progress.txt"  # the recordings that are done
SYNC_SECONDS = 1.0
VERSION = 3  # raise it when the same input gives other features

CACHED = 1 << 17  # numbers at once for mean and std: few enough for the cache

Job = tuple[Path, list[list[float]], Frontend]  # audio file, [start, end] of its clips
Made = tuple[np.ndarray, tuple[float, float]]  # features, their sum and sum of squares


def fingerprint(source: Source, front: Frontend) -> str:
    """sha256 of the bytes of every input file and of the front end's settings."""
    files = READERS[source.dataset].inputs(source.root)
    return digest([VERSION, source.dataset, asdict(front), checksums(files)])


def build(path: Path, source: Source, front: Frontend, mark: str, progress: bool) -> None:
    """Write the store `path` with the fingerprint `mark`; an interrupted build goes on.

    Features of recordings are written to their places and synced to the disk, then their names go
    to progress.txt: a kill costs the last second's work. Raises `UserError` with all recordings of
    no use.
    """
    remove_stale(path)
    audio = READERS[source.dataset].audio_files(source.root)
    cycles, shape = cache_extract.placed(inputs.clips(source, front), front)
    groups = dict(list(cycles.groupby("recording")))
    done = _prepare(path, shape) & groups.keys()
    jobs = {
        name: (audio[name], group[["start", "end"]].to_numpy().tolist(), front)
        for name, group in groups.items()
        if name not in done
    }
    places = {name: cache_extract.rows(group) for name, group in groups.items()}
    bar = tqdm(total=len(groups), initial=len(done), desc="features", unit="recording",
               disable=not progress)  # fmt: skip
    with _threads() as pool, bar:
        old = np.load(path / "features.npy", mmap_mode="r")
        sums = list(pool.map(_sums, (old[places[name]] for name in done)))
        sums += _fill(path, shape, places, _run(pool, jobs), bar)
    known = _mean_std(sums, math.prod(shape)) | {"fingerprint": mark}
    _finish(path, cycles, source, front, known)


def _fill(
    path: Path,
    shape: tuple[int, ...],
    places: dict[str, slice],
    made: Iterable[tuple[str, Made | str]],
    bar: tqdm,
) -> list[tuple[float, float]]:
    """Write what is made to its places; the sums of each recording. Raises with all faults."""
    target, faults, sums, written = path / "features.npy", [], [], []
    with disk_errors(target), open(target, "r+b") as out, open(path / LOG, "a") as log:
        try:
            synced = time.monotonic()
            for name, result in made:
                bar.update()
                if isinstance(result, str):
                    faults.append(result)
                    continue
                _write(out, shape, places[name], result[0])
                sums.append(result[1])
                written.append(name)
                if time.monotonic() - synced > SYNC_SECONDS:
                    _log(out, log, written)
                    synced = time.monotonic()
        finally:
            _log(out, log, written)
        _refuse_other(target, out)
    raise_all(sorted(faults))
    return sums


def _log(out: BinaryIO, log: TextIO, written: list[str]) -> None:
    """Name what is on the disk, and nothing that could not be synced: names are trusted later."""
    names = [*written]
    written.clear()
    os.fsync(out.fileno())
    log.writelines(f"{name}\n" for name in names)
    log.flush()


def _refuse_other(target: Path, out: BinaryIO) -> None:
    """Where a file system has no locks, two may build: the file of one of them is nobody's."""
    if os.fstat(out.fileno()).st_ino != os.stat(target).st_ino:
        raise UserError(f"{target}: another command builds it too; start again when that has ended")


def _prepare(path: Path, shape: tuple[int, ...]) -> set[str]:
    """Leave an unfinished store's features.npy at full size; the recordings that are in it."""
    log, target = path / LOG, path / "features.npy"
    if not target.exists():  # renamed into place at full size, so it is whole where it exists
        log.unlink(missing_ok=True)
        with atomic_write(target) as part:
            _write_empty(part, shape)
    # A name cut short by a kill is not the name of a recording: only whole lines count.
    whole = log.read_text(encoding="utf-8").split("\n")[:-1] if log.exists() else []
    write_text(log, "".join(f"{name}\n" for name in whole))
    return set(whole)


def _write_empty(path: Path, shape: tuple[int, ...]) -> None:
    with open(path, "wb") as out:
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(out, header)
        out.truncate(out.tell() + 2 * math.prod(shape))


def _write(out: BinaryIO, shape: tuple[int, ...], rows: slice, features: np.ndarray) -> None:
    """By plain writes, which fail on a full disk; in a map that would end the process."""
    size = 2 * math.prod(shape[1:])  # bytes of a row
    if features.shape != (rows.stop - rows.start, *shape[1:]):
        raise ValueError(f"features {features.shape} for {rows} of {shape}")
    out.seek((rows.start - shape[0]) * size, os.SEEK_END)
    out.write(np.ascontiguousarray(features).data)
    out.flush()


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    """One thread for each core, in which torch uses one: the same bytes on any machine."""
    import torch  # here: to know a store's fingerprint needs none

    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(available_cores(), initializer=partial(torch.set_num_threads, 1))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def _run(pool: ThreadPoolExecutor, jobs: dict[str, Job]) -> Iterator[tuple[str, Made | str]]:
    """Recording and what was made of it, or its fault, as they come."""
    names = {pool.submit(_features, job): name for name, job in jobs.items()}
    for future in as_completed(names):
        yield names.pop(future), future.result()


def _features(job: Job) -> Made | str:
    """The features of one recording's clips and their sums, or what is wrong with it."""
    path, times, front = job
    try:
        features = cache_extract.features(path, times, front)
        return features, _sums(features)
    except UserError as error:
        text = str(error)
        return text if text.startswith(str(path)) else f"{path}: {text}"


def _sums(features: np.ndarray) -> tuple[float, float]:
    """Sum and sum of squares, in float64."""
    import torch

    total = square = 0.0
    for part in np.array_split(features, max(1, features.size // CACHED)):
        wide = torch.tensor(part.ravel()).float().double()  # two steps: one is not vectorised
        total += float(wide.sum())
        square += float(wide @ wide)
    return total, square


def _mean_std(sums: list[tuple[float, float]], count: int) -> dict[str, float]:
    """Of all numbers, four decimals; sums are exact, in whatever order recordings were done."""
    mean, square = (math.fsum(column) / count for column in zip(*sums, strict=True))
    return {"mean": round(mean, 4), "std": round(math.sqrt(square - mean**2), 4)}


def _finish(path: Path, cycles: pd.DataFrame, source: Source, front: Frontend, known: dict) -> None:
    write_text(path / "cycles.csv", cycles.to_csv(index=False, lineterminator="\n"))
    meta = {
        "name": READERS[source.dataset].names[source.kind],
        "dataset": source.dataset,
        "kind": source.kind,
        "note": source.banner,
        "front_end": asdict(front),
        **cache_extract.described(front),
        **known,
    }
    write_json(path / "meta.json", meta)
    (path / LOG).unlink(missing_ok=True)
