"""What this machine trains on."""

import shutil

import torch
from torch.utils._triton import has_triton


def pick_device() -> torch.device:
    """A GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def make_deterministic(device: torch.device) -> None:
    """On a CPU, what the promise of same bytes holds for: one thread, deterministic algorithms."""
    if device.type == "cpu":
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # 40% of a step, no use here


def can_compile(device: torch.device) -> bool:
    """Whether training steps are compiled there: on a GPU with Triton and a C compiler."""
    compilers = [shutil.which(name) for name in ("cc", "gcc", "clang")]
    return device.type == "cuda" and has_triton() and any(compilers)
