"""Group stream: what an event model needs for each window of a sound, as it comes."""

from pathlib import Path

import numpy as np

from benchmarks.measure import Case, Variant, Work

TOPOLOGIES = {"CNN": "cnn2/mixup@1-2-windows", "ResNet 18": "resnet18_supcon/mixup@1-2-windows"}
SECONDS = 32  # of noise: 30 windows of 3 s, a second apart


def cases(folder: Path) -> list[Case]:
    """Features and answer of a window, one thread; models at random cost what trained ones do."""
    variants = {name: Variant("ours", windows, {"name": row}) for name, row in TOPOLOGIES.items()}
    return [Case(name, (one,), "s/window", compared=False) for name, one in variants.items()]


def windows(name: str) -> Work:
    """`lib.analysis.streaming` over noise in blocks of a second, as a microphone gives them."""
    import torch

    from lib import registry
    from lib.analysis import streaming, streaming_model

    torch.set_num_threads(1)
    classify = streaming_model.untrained(registry.get(name))
    noise = np.random.default_rng(0).normal(0, 0.1, SECONDS * streaming.RATE_HZ)
    blocks = np.split(noise.astype(np.float32), SECONDS)
    found = [streaming.measure(blocks, classify) for _ in range(2)][-1]  # the first one warms up

    def listen(count: int) -> None:
        for _ in range(count):
            for _ in streaming.stream(blocks, classify):
                pass

    note = (
        f"real-time factor {found['real_time_factor']:.4f}; "
        f"95% of windows within {1000 * found['seconds_95']:.1f} ms"
    )
    return Work(listen, units=found["windows"], note=note)
