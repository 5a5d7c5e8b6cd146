"""What the machine is: it stands in every row that was measured on it."""

import platform
from pathlib import Path

import torch

from lib import paths


def facts() -> dict[str, object]:
    """cpu (its name), cores that may be used, torch's version, gpu (its name, or none)."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {"cpu": _cpu(), "cores": paths.available_cores(), "torch": torch.__version__, "gpu": gpu}


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
