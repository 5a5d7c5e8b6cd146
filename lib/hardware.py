"""What this machine trains on."""

import shutil

import torch
from torch.utils._triton import has_triton


def device() -> torch.device:
    """A GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def compiles(device: torch.device) -> bool:
    """Whether training steps are compiled there: on a GPU with Triton and a C compiler."""
    compilers = [shutil.which(name) for name in ("cc", "gcc", "clang")]
    return device.type == "cuda" and has_triton() and any(compilers)
