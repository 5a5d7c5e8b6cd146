"""Shared fixtures: a small feature cache, and where the real recordings are."""

import os

# Several test processes share the cores: more threads, here or in what a test starts, wait for one
# another and are slower. OpenMP and OpenBLAS read it when they are first imported.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import signal  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np
import pandas as pd
import pytest
import torch

from lib.data import CLASSES
from lib.features.cache import FeatureCache
from lib.paths import PROJECT
from lib.runs import plan

torch.set_num_threads(1)  # several test processes share the cores: more threads are slower

RECORDINGS = [os.environ["DATA_ROOT"]] if os.environ.get("DATA_ROOT") else []
SETTINGS = ("FEATURES", "DATA_ROOT", "WEIGHTS_ROOT", "EXECUTOR", "RAY_ADDRESS", "SEEDS", "OUT")


def pytest_collection_modifyitems(items):
    """The longest file comes first, so that no process waits for it at the end."""
    items.sort(key=lambda item: item.path.name != "test_smoke.py")


@pytest.fixture(autouse=True)
def temporary_roots(tmp_path, monkeypatch):
    """No test touches the project's runs, feature caches or reports."""
    for name in ("RUNS_ROOT", "FEATURES_ROOT", "REPORTS_ROOT"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    plan.open_context.cache_clear()  # it read the environment


@pytest.fixture(autouse=True)
def default_ctrl_c():
    """A shell lets what it starts in the background ignore Ctrl-C; tests must receive it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _find_recordings(name: str, folder: str) -> Path:
    """The folder that holds a real dataset, or skip."""
    for data in (*RECORDINGS, PROJECT / "data", PROJECT.parent / "shared/data"):
        for root in (Path(data) / name, Path(data)):
            if (root / folder).is_dir() and not (root / "SYNTHETIC.json").exists():
                return root
    pytest.skip(f"no real recordings: set DATA_ROOT to the folder that holds {name}/")


@pytest.fixture
def real_root() -> Path:
    """The folder that holds the real ICBHI_final_database, or skip."""
    return _find_recordings("icbhi", "ICBHI_final_database")


@pytest.fixture
def sprsound_root() -> Path:
    """The folder that holds the real BioCAS2022, or skip."""
    return _find_recordings("sprsound", "BioCAS2022")


@pytest.fixture
def small_cache() -> FeatureCache:
    """48 learnable clips of 12 patients, 40 frames x 32 mels, both splits, all classes."""
    rng = np.random.default_rng(0)
    rows, clips = [], []
    for patient in range(101, 113):
        split = "train" if patient < 109 else "test"
        for cycle, label in enumerate(CLASSES):
            recording = f"{patient}_1b1_Al_sc_Meditron"
            rows.append(
                ("icbhi", recording, str(patient), "Meditron", "Al", cycle, 0.0, 1.0, label, split)
            )
            clip = rng.normal(size=(40, 32))
            clip[::4] += 3 * (label in ("crackle", "both"))
            clip[:, ::4] += 3 * (label in ("wheeze", "both"))
            clips.append(clip)
    columns = ["dataset", "recording", "patient", "device", "location"]
    columns += ["cycle", "start", "end", "label", "split"]
    cycles = pd.DataFrame(rows, columns=columns)
    meta = {"name": "small", "mean": 0.0, "std": 1.0, "fingerprint": "f" * 64, "note": "small"}
    return FeatureCache(Path("small"), cycles, np.stack(clips).astype(np.float16), meta)
