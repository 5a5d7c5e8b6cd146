"""A recording that is fit to be heard, and its parts: windows or annotated cycles."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lib.data import audio
from lib.data.audio import FADE_SAMPLES
from lib.data.dataset import PAST_END_SECONDS
from lib.data.text import parse_number, read_lines
from lib.errors import UserError
from lib.features.frontends import Fbank

SUFFIXES = (".wav", ".flac")
BATCH = 32  # parts that are computed together
MAX_PARTS = 100_000
MIN_SECONDS = 0.5
QUIETEST_DB = -80.0  # root mean square of the loudest tenth, below full scale
CLIPPED = 0.05  # of the samples at most may stand in flat tops; 1.4% of ICBHI's have more
FLAT_SAMPLES = 3  # from this many in a row on, samples at the largest magnitude are clipped
NEAR_PEAK = 0.999  # 16-bit full scale is -32768 and 32767
BLOCKS_PER_SECOND = 10


@dataclass(frozen=True)
class Recording:
    """A recording at the rate of a front end."""

    path: Path
    wave: np.ndarray  # (samples,) mono float32
    front: Fbank
    native_rate: int
    channels: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.wave) / self.front.rate_hz

    def batches(self, parts: pd.DataFrame) -> Iterator[np.ndarray]:
        """Yield the parts (columns start, end in seconds) as the model was trained to hear them.

        Shorter ones are repeated, longer ones cut. Each batch is (at most `BATCH`, samples).
        """
        wave = self.wave
        if self.front.fade == "recording":
            wave = audio.fade(wave, FADE_SAMPLES, FADE_SAMPLES)
        for first in range(0, len(parts), BATCH):
            times = parts[["start", "end"]].iloc[first : first + BATCH].itertuples(index=False)
            yield np.stack([audio.cycle_clip(wave, *time, self.front) for time in times])

    def silent(self, parts: pd.DataFrame) -> np.ndarray:
        """Return a mask (parts,) of silence; none if all parts are, since the recording is not."""
        rate = self.front.rate_hz
        pieces = (
            self.wave[int(start * rate) : int(end * rate)]
            for start, end in zip(parts.start, parts.end, strict=True)
        )
        mask = np.array([
            len(piece) >= rate // BLOCKS_PER_SECOND
            and loudness_db(piece[:, None], rate) < QUIETEST_DB
            for piece in pieces
        ])  # fmt: skip
        return mask & ~mask.all()


def read_recording(path: Path, front: Fbank) -> Recording:
    """Return a recording, mono, at the rate of a front end.

    Raises `UserError` if it cannot be read, or is too short, silent or clipped.
    """
    channels, rate = audio.read_channels(path)
    try:
        require_sound(channels, rate)
        wave = audio.resample(channels.mean(axis=1), rate, front.rate_hz)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return Recording(path, wave, front, rate, channels.shape[1])


def sound_files(path: Path) -> list[Path]:
    """Return the sound file `path`, or those in the folder `path` and below, sorted."""
    if not path.is_dir():
        return [path]
    found = [each for each in sorted(path.rglob("*")) if each.suffix.lower() in SUFFIXES]
    if not found:
        raise UserError(f"{path}: holds no {' or '.join(SUFFIXES)} file; name another folder")
    return found


def windows(seconds: float, length: float, step: float) -> pd.DataFrame:
    """Return the windows of a recording: columns start and end in seconds.

    One begins every `step`, and the last one ends where the recording ends; a recording that is
    shorter than a window is one.
    """
    if seconds <= length:
        return pd.DataFrame({"start": [0.0], "end": [seconds]})
    if (seconds - length) / step > MAX_PARTS:
        raise UserError(f"--step {step:g}: more than {MAX_PARTS:,} windows; give a longer step")
    start = np.arange(0, seconds - length, step)
    if seconds - length - start[-1] > 1e-6:
        start = np.append(start, seconds - length)
    return pd.DataFrame({"start": start, "end": start + length})


def read_cycles(path: Path, seconds: float) -> pd.DataFrame:
    """Return the cycles in a text file: columns start and end in seconds.

    A line begins with start and end; further fields, such as ICBHI's labels, are left out. Raises
    `UserError` for a line that does not, and for a cycle past the end of the recording.
    """
    rows = []
    for number, line in read_lines(path):
        where = f"{path}: line {number}: {line.strip()!r}"
        try:
            start, end = map(parse_number, line.replace(";", " ").split()[:2])
        except ValueError as error:
            raise UserError(f"{where} does not begin with start and end in seconds") from error
        if not 0 <= start < end:
            raise UserError(f"{where}: its start is not before its end; fix it")
        if start >= seconds or end > seconds + PAST_END_SECONDS:
            raise UserError(f"{where}: ends after the recording, which has {seconds:.3f} s")
        rows.append((start, min(end, seconds)))
    if not rows:
        raise UserError(f"{path}: holds no cycle; give lines of start and end in seconds")
    return pd.DataFrame(rows, columns=["start", "end"])


def require_sound(channels: np.ndarray, rate_hz: int) -> None:
    """Raise `UserError` if (samples, channels) are too short, silent or clipped."""
    seconds = len(channels) / rate_hz
    if seconds < MIN_SECONDS:
        raise UserError(
            f"{seconds:.2f} s is too short; at least {MIN_SECONDS} s of sound are needed"
        )
    level = loudness_db(channels, rate_hz)
    if level < QUIETEST_DB:
        raise UserError(
            f"silence: its loudest parts are at {level:.0f} dB of full scale, and "
            f"{QUIETEST_DB:.0f} dB are needed; check the cable and the gain"
        )
    share = clipped_share(channels)
    if share > CLIPPED:
        raise UserError(
            f"{share:.1%} of its samples are clipped, and at most {CLIPPED:.0%} may be; record it "
            "again with a lower gain"
        )


def loudness_db(channels: np.ndarray, rate_hz: int) -> float:
    """Return the root mean square, in dB of full scale, that the loudest tenth of a second reach.

    The mean of a block does not count, so that a constant offset is silence.
    """
    size = max(1, rate_hz // BLOCKS_PER_SECOND)
    blocks = channels[: len(channels) // size * size].mean(axis=1).reshape(-1, size)
    return float(20 * np.log10(max(np.quantile(blocks.std(axis=1), 0.9), 1e-12)))


def clipped_share(channels: np.ndarray) -> float:
    """Return the share of samples in flat tops, of the channel with the most.

    A flat top is `FLAT_SAMPLES` or more equal samples in a row at a channel's highest or lowest.
    """
    high, low = channels.max(axis=0), channels.min(axis=0)
    at_peak = (channels >= NEAR_PEAK * high) & (high > 0)
    at_peak |= (channels <= NEAR_PEAK * low) & (low < 0)
    inside = at_peak.copy()
    for shift in range(1, FLAT_SAMPLES):  # starts of runs that are long enough
        inside[:-shift] &= at_peak[shift:] & (channels[shift:] == channels[:-shift])
        inside[-shift:] = False
    flat = inside.copy()
    for shift in range(1, FLAT_SAMPLES):
        flat[shift:] |= inside[:-shift]
    return float(flat.mean(axis=0).max())
