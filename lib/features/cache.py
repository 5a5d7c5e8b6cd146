"""Feature caches: a folder with cycles.csv, features.npy and meta.json is all that training reads.

Clips of one length are cached as (N, frames, bins); clips of variable length as (all frames, bins),
with columns `offset` and `frames` in cycles.csv. Features are float16, memory-mapped, never written
to, and normalised only when a batch is read (`lib.training.dataset`).
"""

from __future__ import annotations

import io
import math
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from lib.data.audio import (
    cycle_clip,
    describe_silence,
    excerpt,
    length_seconds,
    read_at,
    recording_wave,
)
from lib.data.dataset import PAST_END_SECONDS, Dataset, raise_problems
from lib.data.icbhi import CLASSES
from lib.data.sprsound import TASKS, WINDOWS
from lib.errors import UserError
from lib.features.frontends import Fbank, Frontend, Mfcc, frontend_settings
from lib.files import (
    atomic_write,
    checksums,
    digest,
    disk_errors,
    file_lock,
    read_json,
    read_text,
    remove_stale,
    sha256_of,
    write_json,
    write_text,
)
from lib.paths import available_cores, features_root
from lib.progress import progress_bar

VERSION = 5  # raise it if the same input gives other features: another folder then
AUDIOSET = (-4.2677393, 4.5689974)  # mean and std of AudioSet's fbank, as published with AST
REQUIRED = ("recording", "cycle", "start", "end", "split")
LABELS = {"label": CLASSES} | TASKS | WINDOWS  # column, of which there is at least one -> labels
CHUNK = 512  # clips, or frames, that are looked at together
FILES = ("cycles.csv", "features.npy", "meta.json")
WORK = "recordings"  # one finished .npy a recording, until all are joined


@dataclass(frozen=True)
class FeatureCache:
    """An opened cache: one row of `cycles` for each clip, features unnormalised float16."""

    path: Path
    cycles: pd.DataFrame = field(repr=False)
    features: np.ndarray = field(repr=False)  # (N, frames, bins) or (all frames, bins)
    meta: dict

    def clip(self, row: int) -> np.ndarray:
        """The features of one clip, a read-only view (frames, bins)."""
        if self.features.ndim == 3:
            return self.features[row]
        first, frames = self.cycles.loc[row, ["offset", "frames"]]
        return self.features[int(first) : int(first) + int(frames)]


def open_cache(path: Path, reread: bool = False) -> FeatureCache:
    """Open a cache that was computed here or elsewhere; well under a second.

    Its files must have the sha256 that meta.json names, if it does. An unchanged file's is
    remembered, unless `reread`: 1 to 4 s for 1.4 GB. Without a fingerprint in meta.json, it is that
    of the three files. Raises `UserError` if a file, column, shape or number is not as it should
    be.
    """
    path = Path(path)
    if not (path / "meta.json").is_file():
        raise UserError(f"{path}: no complete feature cache (no meta.json); build it again")
    meta = read_json(path / "meta.json")
    cycles = _read_cycles(path / "cycles.csv")
    try:
        features = np.load(path / "features.npy", mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: features.npy not readable ({error}); build it again") from error
    problem = _meta_problem(meta) or _table_problem(cycles)
    if problem := problem or _shape_problem(cycles, features, meta):
        raise UserError(f"{path}: {problem}; build it again")
    paths = {name: path / name for name in FILES}
    sums = {name: sha256_of(paths[name]) for name in FILES} if reread else checksums(paths)
    for name, expected in meta.get("sha256", {}).items():
        if sums.get(name) != expected:
            raise UserError(f"{path}: {name} has changed since it was written; build it again")
    if not _is_finite(features, sums["features.npy"]):
        raise UserError(f"{path}: features.npy holds NaN or infinite numbers; build it again")
    meta.setdefault("fingerprint", digest(sums))
    return FeatureCache(path, cycles, features, meta)


def _read_cycles(path: Path) -> pd.DataFrame:
    text = io.StringIO(read_text(path))
    try:
        return pd.read_csv(text, dtype={"patient": str, "subset": str}, keep_default_na=False)
    except ValueError as error:
        raise UserError(f"{path}: not a readable table ({error}); build the cache again") from error


def _meta_problem(meta: dict) -> str:
    numbers = [meta.get(key) for key in ("mean", "std")]
    if any(isinstance(each, bool) or not isinstance(each, int | float) for each in numbers):
        return "meta.json lacks the numbers mean and std"
    if not all(map(math.isfinite, numbers)) or numbers[1] <= 0:
        return f"meta.json has the mean {numbers[0]} and the std {numbers[1]}, which cannot be"
    kinds = {"frontend": dict, "sha256": dict, "fingerprint": str, "name": str}
    wrong = [key for key, kind in kinds.items() if not isinstance(meta.get(key, kind()), kind)]
    return f"meta.json has another kind of value than expected for {wrong[0]}" if wrong else ""


def _table_problem(cycles: pd.DataFrame) -> str:
    if missing := [name for name in REQUIRED if name not in cycles]:
        return f"cycles.csv lacks the columns {', '.join(missing)}"
    if not set(LABELS) & set(cycles):
        return f"cycles.csv lacks a column of labels ({', '.join(LABELS)})"
    if cycles.empty:
        return "cycles.csv has no cycles"
    for name, known in {"split": ("train", "test"), **LABELS}.items():
        if name in cycles and (odd := set(cycles[name].astype(str)) - set(known)):
            return f"cycles.csv has the {name} {min(odd)!r}, not one of {', '.join(known)}"
    repeated = cycles.duplicated(["recording", "cycle"])
    if repeated.any():
        recording, cycle = cycles.loc[repeated, ["recording", "cycle"]].iloc[0]
        return f"cycles.csv has cycle {cycle} of {recording} twice"
    numeric = all(pd.api.types.is_numeric_dtype(cycles[name]) for name in ("start", "end"))
    if not numeric or not (cycles.start < cycles.end).all():
        return "cycles.csv has a start that is not a number before its end"
    return ""


def _shape_problem(cycles: pd.DataFrame, features: np.ndarray, meta: dict) -> str:
    if features.dtype != np.float16:
        return f"features.npy has {features.dtype} numbers, not float16"
    if features.ndim == 3:
        fits = len(features) == len(cycles)
    elif features.ndim == 2 and {"offset", "frames"} <= set(cycles):
        ends = cycles.offset + cycles.frames
        fits = bool(cycles.offset.min() >= 0 and ends.max() <= len(features))
        fits = fits and bool(cycles.frames.min() > 0)
    else:
        return f"features.npy of shape {features.shape} is neither of fixed nor of variable length"
    if not fits:
        return f"features.npy {features.shape} does not fit {len(cycles)} cycles"
    named = meta | meta.get("frontend", {})
    bins = "n_mfcc" if "n_mfcc" in named else "mels"
    sizes = {bins: features.shape[-1]}
    sizes |= {"frames": features.shape[1]} if features.ndim == 3 else {}
    differs = [f"{size} {key}, but meta.json names {named[key]}"
               for key, size in sizes.items() if named.get(key, size) != size]  # fmt: skip
    return f"features.npy has {differs[0]}" if differs else ""


def _is_finite(features: np.ndarray, sha256: str) -> bool:
    """Whether all features are finite, remembered by the sha256 of their file."""
    memory_path = features_root() / "finite.json"
    try:
        memory = read_json(memory_path)
    except UserError:  # without the memory all are looked at again
        memory = {}
    if sha256 not in memory:
        chunks = range(0, len(features), CHUNK)
        finite = all(np.isfinite(features[at : at + CHUNK]).all() for at in chunks)
        memory[sha256] = finite
        write_json(memory_path, memory)
    return memory[sha256] is True


def require_frontend(cache: FeatureCache, frontend: Frontend) -> None:
    """Raise a `UserError` that names the settings in which a cache differs from a front end.

    A cache from elsewhere may not name its front end; then its shape must fit.
    """
    needed, has = frontend_settings(frontend), cache.meta.get("frontend")
    if has is None:
        needed = frontend.shape
        has = dict(zip(needed, cache.features.shape[-len(needed) :], strict=True))
    differs = [f"{key} is {has.get(key)!r}, needed {value!r}"
               for key, value in needed.items() if has.get(key) != value]  # fmt: skip
    if differs:
        raise UserError(
            f"{cache.path}: a feature cache of other settings: {', '.join(differs)}; "
            "give another one or leave --features out to compute one"
        )


def data_fingerprint(dataset: Dataset, frontend: Frontend) -> str:
    """sha256 of the bytes of every input file and of the front end's settings."""
    return digest([dataset.name, frontend_settings(frontend), checksums(dataset.input_files())])


def cache_for(dataset: Dataset, frontend: Frontend, progress: bool = True) -> FeatureCache:
    """The cache of a dataset under a front end, computed or continued first if needed.

    Its folder is named by the inputs, the settings and `VERSION`. Expect 1 to 2 minutes on two
    cores for 920 recordings. Raises `UserError` with every recording that cannot be used.
    """
    fingerprint = data_fingerprint(dataset, frontend)
    path = features_root() / f"{dataset.name}-{digest([VERSION, fingerprint])[:8]}"
    with file_lock(features_root() / f".{path.name}.lock", wait=True):  # one builder at a time
        if (path / "meta.json").exists():
            try:
                shutil.rmtree(path / WORK, ignore_errors=True)  # of a builder killed at its end
                return open_cache(path)
            except UserError as error:
                print(f"{error}: that is done now", file=sys.stderr)
                shutil.rmtree(path)
        _build(path, dataset, frontend, fingerprint, progress)
    return open_cache(path)


def _build(
    path: Path, dataset: Dataset, frontend: Frontend, fingerprint: str, progress: bool
) -> None:
    """Compute each recording once, then join them; meta.json is last.

    An interrupted build continues: the finished recordings are in the folder `WORK`.
    """
    work = path / WORK
    remove_stale(path)
    audio = dataset.audio_files()
    cycles, cut = _cut_at_end(dataset.clips(getattr(frontend, "unit", "event")), audio)
    cycles = _placed(cycles, frontend)
    groups = dict(list(cycles.groupby("recording")))
    _compute_all(work, groups, audio, frontend, progress)
    statistics = _join(path / "features.npy", [_part(work, name) for name in groups])
    write_text(path / "cycles.csv", cycles.to_csv(index=False, lineterminator="\n"))
    remarks = {
        name: "; ".join(filter(None, (cut.get(name), _remark(work, name)))) for name in groups
    }
    about = {"name": dataset.label, "dataset": dataset.name, "kind": dataset.kind}
    about |= {
        "note": dataset.banner,
        "frontend": frontend_settings(frontend),
        **frontend.description,
    }
    about |= statistics | {"fingerprint": fingerprint}
    about |= {"remarks": {name: text for name, text in remarks.items() if text}}
    about |= {"sha256": {name: sha256_of(path / name) for name in FILES[:2]}}
    write_json(path / "meta.json", about)
    shutil.rmtree(work, ignore_errors=True)
    _say_remarks(about["remarks"], len(groups), path)


def _compute_all(
    work: Path,
    groups: dict[str, pd.DataFrame],
    audio: dict[str, Path],
    frontend: Frontend,
    progress: bool,
) -> None:
    """Compute the recordings (name -> its cycles) that are not done; `UserError` with problems."""
    missing = {name: group for name, group in groups.items() if not _part(work, name).exists()}
    bar = progress_bar(total=len(groups), initial=len(groups) - len(missing), desc="features",
                       unit="recording", disable=not progress)  # fmt: skip
    problems = []
    with _threads() as pool, bar:
        futures = [
            pool.submit(_compute, _part(work, name), audio[name], group, frontend)
            for name, group in missing.items()
        ]
        for future in as_completed(futures):
            problems += future.result()
            bar.update()
    raise_problems(sorted(problems))


def _cut_at_end(
    cycles: pd.DataFrame, audio: dict[str, Path]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Cut the cycles that end up to `PAST_END_SECONDS` after their recording.

    Returns the cycles and recording -> what was done. Worse ones stay: they are an error later.
    """
    lengths = {name: _length(audio[name]) for name in cycles.recording.unique()}
    length = cycles.recording.map(lengths)
    late = (cycles.end - length).where(cycles.start < length, math.inf)
    cut = (late > 0) & (late <= PAST_END_SECONDS)
    remarks = {
        name: f"cycles cut at the end of the recording: {len(times)} (by {times.max():.3f} s)"
        for name, times in late[cut].groupby(cycles.recording[cut])
    }
    return cycles.assign(end=cycles.end.where(~cut, length)), remarks


def _length(audio: Path) -> float:
    try:
        return length_seconds(audio)
    except UserError:  # named when it is read
        return math.inf


def _remark(work: Path, recording: str) -> str:
    path = _part(work, recording).with_suffix(".txt")
    return read_text(path) if path.exists() else ""


def _say_remarks(remarks: dict[str, str], count: int, path: Path) -> None:
    if remarks:
        first = "; ".join(f"{name}: {text}" for name, text in list(remarks.items())[:3])
        print(
            f"{len(remarks)} of {count} recordings are odd, and used as they are ({first}); all "
            f"are in {path / 'meta.json'}",
            file=sys.stderr,
        )


def _part(work: Path, recording: str) -> Path:
    return work / f"{recording}.npy"


def _placed(table: pd.DataFrame, frontend: Frontend) -> pd.DataFrame:
    """The table of clips; those of variable length with columns offset and frames."""
    if isinstance(frontend, Fbank):
        return table
    edges = (table[["start", "end"]] * frontend.rate_hz).round().astype(int)
    frames = frontend.cached_frames(edges.end - edges.start)
    return table.assign(offset=frames.cumsum() - frames, frames=frames)


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    """One thread for each core, in which torch uses one: the same bytes on any machine."""
    import torch  # here: naming a cache needs none

    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(available_cores(), initializer=partial(torch.set_num_threads, 1))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def _compute(part: Path, audio: Path, cycles: pd.DataFrame, frontend: Frontend) -> list[str]:
    """Write the features of one recording's clips; returns what is wrong with it, if anything."""
    try:
        features = recording_features(audio, cycles, frontend)
        if not np.isfinite(features).all():
            raise UserError(f"{audio}: its features are not finite; fetch it again")
        if remark := describe_silence(audio):
            write_text(part.with_suffix(".txt"), remark)
        with atomic_write(part) as temporary, open(temporary, "wb") as handle:
            np.save(handle, features)
    except UserError as error:
        text = str(error)
        return [text if text.startswith(str(part.parent.parent)) or text.startswith(str(audio))
                else f"{audio}: {text}"]  # fmt: skip
    return []


def recording_features(audio: Path, cycles: pd.DataFrame, frontend: Frontend) -> np.ndarray:
    """Features of one recording's clips, float16: (clips, frames, mels), or (all frames, n_mfcc).

    cycles: start and end of each clip in seconds. Raises `UserError` if the recording cannot be
    read or ends before its last clip does.
    """
    import torch

    from lib.features.frontends import fbank, mfcc

    fixed = isinstance(frontend, Fbank)
    rate = frontend.rate_hz
    wave = recording_wave(audio, frontend) if fixed else read_at(audio, rate)
    seconds, last = len(wave) / rate, cycles.end.max()
    if last > seconds + PAST_END_SECONDS:
        raise UserError(
            f"{audio}: annotated to {last:.3f} s, but it ends at {seconds:.3f} s; fix either"
        )
    times = cycles[["start", "end"]].itertuples(index=False)
    if isinstance(frontend, Mfcc):
        clips = (torch.from_numpy(excerpt(wave, *time, rate)) for time in times)
        return np.concatenate([mfcc(clip, frontend).numpy() for clip in clips]).astype(np.float16)
    clips = (torch.from_numpy(cycle_clip(wave, *time, frontend)) for time in times)
    return torch.cat([fbank(clip[None], frontend).half() for clip in clips]).numpy()


def _join(target: Path, parts: list[Path]) -> dict[str, float]:
    """Join the recordings' arrays into one file; returns mean and std of all its numbers."""
    arrays = [np.load(part, mmap_mode="r") for part in parts]
    shape = (sum(map(len, arrays)), *arrays[0].shape[1:])
    sums, squares = [], []
    with atomic_write(target) as temporary, disk_errors(target), open(temporary, "wb") as out:
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(out, header)
        for array in arrays:
            out.write(np.ascontiguousarray(array).data)
            wide = np.asarray(array, dtype=np.float64)
            sums.append(float(wide.sum()))
            squares.append(float((wide * wide).sum()))
    mean, square = (math.fsum(values) / math.prod(shape) for values in (sums, squares))
    return {"mean": round(mean, 4), "std": round(math.sqrt(square - mean**2), 4)}
