"""The projector of the contrastive methods."""

from torch import nn


class Projector(nn.Sequential):
    """The projector h: Linear, BatchNorm, ReLU, Linear; its output is as wide as the target z."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(
            nn.Linear(width, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, width),
        )
