"""The device that a run trains on."""

import shutil

import torch
from torch.utils._triton import has_triton


def pick_device() -> torch.device:
    """Return an NVIDIA or AMD GPU if there is one, else the CPU; Apple's (MPS) is never used."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def make_deterministic(device: torch.device) -> None:
    """On a CPU use one thread and deterministic algorithms: a run reproduces bit for bit."""
    if device.type == "cpu":
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # 40% of a step, not needed


def can_compile(device: torch.device) -> bool:
    """Return whether training steps are compiled: on a GPU with Triton and a C compiler."""
    compilers = map(shutil.which, ("cc", "gcc", "clang"))
    return device.type == "cuda" and has_triton() and any(compilers)
