"""What a store holds of a recording: clips of one length, or MFCC of clips as long as they are."""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.data.icbhi import PAST_END_SECONDS
from lib.errors import UserError
from lib.features.frontends import Fbank, Frontend, Mfcc


def placed(table: pd.DataFrame, front: Frontend) -> tuple[pd.DataFrame, tuple[int, ...]]:
    """The table of clips as a store keeps it, and the shape of its features.

    A ragged store's clips lie one behind the other: columns offset and frames say where.
    """
    if isinstance(front, Fbank):
        return table, (len(table), front.frames, front.mels)
    edges = (table[["start", "end"]] * front.rate_hz).round().astype(int)
    frames = front.stored(edges.end - edges.start)
    table = table.assign(offset=frames.cumsum() - frames, frames=frames)
    return table, (int(frames.sum()), front.n_mfcc)


def rows(clips: pd.DataFrame) -> slice:
    """Where the features of one recording's clips, consecutive rows of a placed table, lie."""
    if "offset" not in clips:
        return slice(clips.index[0], clips.index[-1] + 1)
    return slice(int(clips.offset.iloc[0]), int(clips.offset.iloc[-1] + clips.frames.iloc[-1]))


def features(path: Path, times: list[list[float]], front: Frontend) -> np.ndarray:
    """All clips [start, end] (s) of one recording, float16: (clips, frames, mels) or, of MFCC,
    (all frames, coefficients).

    Raises `UserError` if the recording cannot be read or ends before the last clip does.
    """
    make = _mfcc if isinstance(front, Mfcc) else _fbank
    return make(path, times, front).astype(np.float16, copy=False)


def described(front: Frontend) -> dict:
    """What meta.json says of the features beside the front end's settings."""
    if isinstance(front, Mfcc):
        return front.shape | {"hop_ms": 1000 * front.hop / front.rate_hz}
    return front.shape | {"hop_ms": front.hop_ms, "clip_seconds": front.clip_seconds}


def _fbank(path: Path, times: list[list[float]], front: Fbank) -> np.ndarray:
    import torch  # here: who only writes needs none

    from lib.data.audio import cycle_clip, recording_wave
    from lib.features.frontends import fbank

    wave = recording_wave(path, front)
    _refuse_late(path, times, len(wave) / front.rate_hz)
    clips = (torch.from_numpy(cycle_clip(wave, start, end, front)) for start, end in times)
    return torch.cat([fbank(clip[None], front).half() for clip in clips]).numpy()  # cache-sized


def _mfcc(path: Path, times: list[list[float]], front: Mfcc) -> np.ndarray:
    import torch

    from lib.data.audio import excerpt, read, resample
    from lib.features.frontends import mfcc

    wave = resample(*read(path), front.rate_hz)
    _refuse_late(path, times, len(wave) / front.rate_hz)
    clips = [excerpt(wave, start, end, front.rate_hz) for start, end in times]
    return np.concatenate([mfcc(torch.from_numpy(clip), front).numpy() for clip in clips])


def _refuse_late(path: Path, times: list[list[float]], length: float) -> None:
    last = max(end for _, end in times)
    if last > length + PAST_END_SECONDS:
        raise UserError(
            f"{path}: annotated to {last:.3f} s, but it ends at {length:.3f} s; mend either"
        )
