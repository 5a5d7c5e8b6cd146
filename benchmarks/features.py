"""Recordings to a feature cache, against a plain loop over recordings and clips."""

import os
import tempfile
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import soundfile
import torch
from torchaudio import transforms
from torchaudio.compliance import kaldi

from benchmarks import common
from benchmarks.common import Variant
from lib import data
from lib.data.icbhi import ICBHI
from lib.features.cache import cache_for
from lib.features.frontends import Fbank
from lib.paths import available_cores


def features(folder: Path, rounds: int) -> list[dict]:
    """Rows of group features, from the recordings that are found, else from synthetic ones."""
    dataset = data.find_dataset("icbhi")
    count, cores = len(dataset.audio_files()), available_cores()
    note = f"{count} recordings, {dataset.kind or 'all'}"
    variants = [
        Variant(f"plain, {cores} cores", partial(plain_loop, dataset), count, deterministic=False),
        Variant(f"ours, {cores} cores", partial(build_cache, dataset), count, note),
    ]
    return common.compare("cold cache", variants, "s/recording", min(rounds, 3), 0.0, cores)


def build_cache(dataset: ICBHI) -> common.Work:
    """Return a function that makes a feature cache in an empty folder, on the disk."""

    def build() -> None:
        with (
            tempfile.TemporaryDirectory() as folder,
            patch.dict(os.environ, {"FEATURES_ROOT": folder}),
        ):
            cache_for(dataset, Fbank(), progress=False)

    return build


def plain_loop(dataset: ICBHI) -> common.Work:
    """Return a function that computes features recording by recording, clip by clip."""
    groups = dataset.clips().groupby("recording")
    audio = dataset.audio_files()
    return lambda: [plain_recording(audio[name], cycles) for name, cycles in groups]


def plain_recording(path: Path, cycles: pd.DataFrame) -> list[torch.Tensor]:
    """Features (frames, mels) of each cycle of a recording, as the published code makes them."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    wave = torch.from_numpy(samples.mean(1))[None]
    wave = transforms.Resample(rate, 16000)(wave) if rate != 16000 else wave
    wave = transforms.Fade(1000, 1000, "linear")(wave)
    result = []
    for row in cycles.itertuples():
        clip = wave[:, int(row.start * 16000) : int(row.end * 16000)]
        if clip.shape[1] > 128000:
            clip = clip[:, :128000]
        else:
            clip = clip.repeat(1, int(np.ceil(128000 / clip.shape[1])))[:, :128000]
            clip = transforms.Fade(0, 1000, "linear")(clip)
        result.append(kaldi.fbank(clip, htk_compat=True, sample_frequency=16000,
                                  use_energy=False, window_type="hanning", num_mel_bins=128,
                                  dither=0.0, frame_shift=10))  # fmt: skip
    return result
