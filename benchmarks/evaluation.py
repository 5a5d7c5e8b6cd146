"""Answers of models: test clips by batch, a stream of windows, and AST's 1,214 tokens."""

from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import common
from benchmarks.common import Variant, Work, compare, experiment, random_cache
from lib import papers
from lib.analysis import streaming

STREAMS = {"CNN": "cnn2/mixup@1-2-windows", "ResNet 18": "resnet18_supcon/mixup@1-2-windows"}
SECONDS = 32  # of noise: 30 windows of 3 s, one each second
PADDED = 1024  # frames: 8 s and the published block of zeros


def evaluation(folder: Path, rounds: int) -> list[dict]:
    """Rows of group evaluation: 3 s clips, at least 64 a call."""
    cache, rows = random_cache(folder / "evaluation", 16, 256), []
    for model, size in common.SMALL_MODELS:
        for batch in (8, 64, 256):
            e, clips = experiment(model, size, "ce"), max(batch, 64)
            variant = Variant("ours", partial(common.scoring, e, cache, batch, clips), clips)
            case = f"{e.name}, batch {batch}"
            rows += compare(case, [variant], "s/clip", min(rounds, 3), ratios=False)
    return rows


def sam(folder: Path, rounds: int) -> list[dict]:
    """Rows of group sam: the geometry-aware AST's answers by size and batch, 12 x 101 patches."""
    cache, rows = random_cache(folder / "padded", 16, 16, PADDED), []
    for size in ("mini", "tiny", "small", "base"):
        e = experiment("ast", size, "ce", stride=10, pool="all", head="linear")
        for batch in (1, 4) if size == "base" else (1, 4, 16):
            variant = Variant("ours", partial(common.scoring, e, cache, batch, batch), batch)
            case = f"ast {size}, 1,214 tokens, batch {batch}"
            rows += compare(case, [variant], "s/clip", min(rounds, 3), ratios=False)
    return rows


def stream(folder: Path, rounds: int) -> list[dict]:
    """Rows of group stream: features and answer of a window; untrained models cost the same."""
    rows = []
    for name, row in STREAMS.items():
        measured = streaming.measure_stream(
            _noise(), streaming.untrained_classifier(papers.get_experiment(row))
        )
        note = f"real-time factor {measured['real_time_factor']:.4f}; "
        note += f"95% of windows within {1000 * measured['seconds_95']:.1f} ms"
        variant = Variant("ours", partial(windows, row), measured["windows"], note)
        rows += compare(name, [variant], "s/window", rounds, ratios=False)
    return rows


def windows(row: str) -> Work:
    """Return a function that classifies all windows of the noise."""
    classify = streaming.untrained_classifier(papers.get_experiment(row))
    return lambda: list(streaming.stream(_noise(), classify))


def _noise() -> list[np.ndarray]:
    noise = np.random.default_rng(0).normal(0, 0.1, SECONDS * streaming.RATE_HZ)
    return np.split(noise.astype(np.float32), SECONDS)
