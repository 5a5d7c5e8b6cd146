"""Where things are: the project's folder and the four roots that the environment can move."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def runs_root() -> Path:
    """Local runs: checkpoints, histories, predictions (`RUNS_ROOT`, else `runs/`)."""
    return _root("RUNS_ROOT", "runs")


def features_root() -> Path:
    """Feature caches computed here (`FEATURES_ROOT`, else `features/`)."""
    return _root("FEATURES_ROOT", "features")


def weights_root() -> Path:
    """Local pretrained weights (`WEIGHTS_ROOT`, else `weights/`)."""
    return _root("WEIGHTS_ROOT", "weights")


def reports_root() -> Path:
    """Published reports, and local ones in `local/` (`REPORTS_ROOT`, else `reports/`)."""
    return _root("REPORTS_ROOT", "reports")


def _root(variable: str, name: str) -> Path:
    return Path(os.environ.get(variable) or PROJECT / name)


def available_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
