"""Group features: a cold feature store against a plain loop, and opening one that is there."""

import os
import shutil
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks import made
from benchmarks.measure import Case, Unavailable, Variant, Work
from lib import data, files, paths
from lib.data import Source, icbhi, synthetic
from lib.errors import UserError
from lib.features.frontends import FrontEnd

RECORDINGS = 293  # at most: fewer would measure the start of processes
CYCLES = 6898  # of the whole database


def cases(folder: Path) -> list[Case]:
    """Some recordings, made into features both ways; then a store of full size, opened."""
    source = _recordings(folder / "recordings")
    given = {"source": source, "folder": folder}
    variants = (
        Variant("plain, one core", plain_loop, {**given, "cores": 1}),
        Variant("plain, all cores", plain_loop, {**given, "cores": paths.available_cores()}),
        Variant("ours, one core", our_store, {**given, "cores": 1}),
        Variant("ours, all cores", our_store, {**given, "cores": paths.available_cores()}),
    )
    opened = (Variant("ours", open_again, {"folder": folder}),)
    return [
        Case("cold store", variants, unit="s/recording", rounds=3, round_seconds=0),
        Case(f"open a store of {CYCLES} cycles", opened, unit="s/store", compared=False),
    ]


def _recordings(root: Path) -> Source:
    """Every so many-th recording of those that are here, else synthetic ones."""
    try:
        found = data.find("quick")
    except UserError:
        found = None
    if found is None or found.kind == "synthetic":
        synthetic.write(root, patients=40)
        return data.source(root)
    (root / icbhi.FOLDER).mkdir(parents=True)
    audio, texts = icbhi.audio_files(found.root), icbhi.annotation_files(found.root)
    step = max(1, len(audio) // RECORDINGS)
    lines = dict(line.split() for line in icbhi.split_file(found.root).read_text().splitlines())
    names = [name for name in list(audio)[::step] if name in lines][:RECORDINGS]
    for path in (path for name in names for path in (audio[name], texts[name])):
        (root / icbhi.FOLDER / path.name).symlink_to(path.resolve())
    kept = "".join(f"{name} {lines[name]}\n" for name in names)
    files.write_text(root / icbhi.SPLIT_FILE, kept)
    return data.source(root)


def _limit(cores: int) -> None:
    """Keep this process and its children to so many cores."""
    if not hasattr(os, "sched_setaffinity"):
        raise Unavailable("a process cannot be kept to a core here")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def our_store(source: Source, folder: Path, cores: int) -> Work:
    """`lib.features.cache_build.build` into an empty folder, written and synced to disk."""
    from lib.features import cache_build

    _limit(cores)
    root = Path(tempfile.mkdtemp(dir=folder))
    os.environ["FEATURES_ROOT"] = str(root)  # where it remembers hashes
    count = len(icbhi.audio_files(source.root))

    def build() -> None:
        path = root / "store"
        cache_build.build(path, source, FrontEnd(), "benchmark", progress=False)
        shutil.rmtree(path)

    return Work(lambda _: build(), count, f"{count} recordings, {source.kind}")


def plain_loop(source: Source, folder: Path, cores: int) -> Work:
    """Load, resample and fade each recording; then Kaldi's fbank of torchaudio clip by clip."""
    import torch

    _limit(cores)
    torch.set_num_threads(cores)
    cycles = icbhi.cycles(source.root)
    audio = icbhi.audio_files(source.root)

    def loop() -> None:
        kept = []
        for name, found in cycles.groupby("recording"):
            kept += plain_recording(audio[name], found)

    return Work(lambda _: loop(), len(audio))


def plain_recording(path: Path, cycles: pd.DataFrame) -> list:
    """Features (frames, mels) of each cycle of a recording, in 32 bits."""
    import numpy as np
    import soundfile
    import torch
    from torchaudio import transforms
    from torchaudio.compliance import kaldi

    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    wave = torch.from_numpy(samples.mean(1))[None]
    wave = transforms.Resample(rate, 16000)(wave) if rate != 16000 else wave
    wave = transforms.Fade(1000, 1000, "linear")(wave)
    features = []
    for row in cycles.itertuples():
        clip = wave[:, int(row.start * 16000) : int(row.end * 16000)]
        if clip.shape[1] > 128000:
            clip = clip[:, :128000]
        else:
            clip = clip.repeat(1, int(np.ceil(128000 / clip.shape[1])))[:, :128000]
            clip = transforms.Fade(0, 1000, "linear")(clip)
        features.append(kaldi.fbank(clip, htk_compat=True, sample_frequency=16000,
                                    use_energy=False, window_type="hanning", num_mel_bins=128,
                                    dither=0.0, frame_shift=10))  # fmt: skip
    return features


def open_again(folder: Path) -> Work:
    """`lib.features.cache.open_store`, the fingerprint known."""
    from lib.features.cache import open_store

    path = made.empty_store(folder / "full", CYCLES, FrontEnd().frames)

    def run(count: int) -> None:
        for _ in range(count):
            open_store(path)

    return Work(run)
