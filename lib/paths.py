"""Where things are: the project's folder and the four roots that the environment can move."""

import os
from importlib.util import find_spec
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


def python_environment() -> dict[str, str]:
    """What every Python of this project starts with, so that no personal setting changes a page.

    It imports this checkout alone, reads and writes UTF-8, and draws with matplotlib's defaults.
    """
    drawing = find_spec("matplotlib")  # found, not loaded
    return {
        **{"PYTHONPATH": str(PROJECT), "PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1", "LC_ALL": "C"},
        **dict.fromkeys(("PYTHONSTARTUP", "PYTHONOPTIMIZE", "PYTHONWARNINGS", "MPLBACKEND"), ""),
        **{"JUPYTER_PATH": "", "JUPYTER_PREFER_ENV_PATH": "1"},  # before a user's templates
        "MATPLOTLIBRC": str(Path(drawing.origin).parent / "mpl-data/matplotlibrc"),
    }


def available_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
