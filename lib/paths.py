"""Where things are: the project's folder and the four roots that the environment can move."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def runs_root() -> Path:
    """Local runs: checkpoints, histories, predictions (`RUNS_ROOT`, else `runs/`)."""
    return Path(os.environ.get("RUNS_ROOT") or PROJECT / "runs")


def features_root() -> Path:
    """Feature caches computed here (`FEATURES_ROOT`, else `features/`)."""
    return Path(os.environ.get("FEATURES_ROOT") or PROJECT / "features")


def weights_root() -> Path:
    """Local pretrained weights (`WEIGHTS_ROOT`, else `weights/`)."""
    return Path(os.environ.get("WEIGHTS_ROOT") or PROJECT / "weights")


def reports_root() -> Path:
    """Committed reports, and local ones in `local/` (`REPORTS_ROOT`, else `reports/`)."""
    return Path(os.environ.get("REPORTS_ROOT") or PROJECT / "reports")


def available_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
