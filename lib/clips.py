"""A store's clips as tensors on one device: batches by row numbers, normalised as they are read."""

import warnings

import torch
from torch import Tensor

from lib.errors import UserError, unknown
from lib.store import AUDIOSET, Store

NORMALISE = ("audioset", "store", "clip")
FLAT = 1e-5  # smallest std of a clip: digital silence stays finite


class Clips:
    """All clips of a fixed store and their labels, cut to `frames`.

    On a GPU the whole store is resident (1.4 GB for ICBHI at 8 s), so that a step needs nothing
    from the host; on a CPU it stays the file that it is, and pages are read as they are wanted.
    """

    def __init__(
        self, store: Store, labels: Tensor, frames: int, normalise: str, device: torch.device
    ) -> None:
        if normalise not in NORMALISE:
            raise unknown("normalise", normalise, NORMALISE)
        if store.features.ndim != 3:
            raise UserError(f"{store.path}: its cycles differ in length; clips of one are needed")
        with warnings.catch_warnings():  # the file is read-only, and nobody writes to it
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            self.features = torch.from_numpy(store.features)[:, :frames].to(device)
        self.labels = labels.to(device)
        self.shape = tuple(self.features.shape[1:])  # frames, bins
        own = AUDIOSET if normalise == "audioset" else (store.meta["mean"], store.meta["std"])
        self.constants = None if normalise == "clip" else own

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, frames, bins) float32, (x - mean) / (2 std), and labels y (B,) of some rows."""
        x = self.features[rows].float()  # (B, frames, bins)
        if self.constants:
            mean, std = self.constants
        else:
            std, mean = torch.std_mean(x, dim=(1, 2), correction=0, keepdim=True)
            std = std.clamp(min=FLAT)
        return x.sub_(mean).div_(2 * std), self.labels[rows]
