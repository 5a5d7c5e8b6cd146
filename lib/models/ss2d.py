"""VMamba's SS2D, a selective scan along four paths of a map, with an optional blur."""

import math
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from lib.models.scan import selective_scan

PATHS = 4  # row by row, column by column, and both backwards
DT_RANGE = (1e-3, 0.1)  # step sizes at the start, log-uniform
norm2d = partial(LayerNorm2d, eps=1e-5)  # VMamba's epsilon


def cross_scan(x: Tensor) -> Tensor:
    """Read a map along the four paths: (B, D, H, W) -> (B, 4, D, H * W)."""
    forward = torch.stack([x.flatten(2), x.transpose(2, 3).flatten(2)], 1)  # (B, 2, D, H * W)
    return torch.cat([forward, forward.flip(3)], 1)


def cross_merge(y: Tensor, shape: tuple[int, int]) -> Tensor:
    """Put the four paths back into a map and sum them: (B, 4, D, H * W) -> (B, D, H, W)."""
    rows, columns = (y[:, :2] + y[:, 2:].flip(3)).unbind(1)  # (B, D, H * W) each
    return rows.unflatten(2, shape) + columns.unflatten(2, shape[::-1]).transpose(2, 3)


@dataclass(frozen=True)
class Blur:
    """Spectral-aware layer regularisation: which SS2D blur their maps, and how.

    The authors' file was never published. Stage, blocks, kernel and sigma come from their other
    code; the site (before the cross-scan, in training and test) and strength 1 are inferred.
    at: before or after the scan along the four paths. when: always, or in training only.
    """

    strength: float = 1.0  # 0 leaves a map as it is, 1 replaces it by the blurred one
    stage: int = 2
    blocks: tuple[int, ...] = (2, 3)
    kernel: int = 5
    sigma: float = 3.0
    at: str = "before"
    when: str = "always"


class GaussianBlur(nn.Module):
    """x <- (1 - s) x + s blur(x) on (B, D, H, W): separable, fixed, zeros beyond the edge."""

    def __init__(self, blur: Blur) -> None:
        super().__init__()
        self.strength, self.always = blur.strength, blur.when == "always"
        position = torch.arange(blur.kernel) - (blur.kernel - 1) / 2
        weight = torch.exp(-(position**2) / (2 * blur.sigma**2))
        self.register_buffer("weight", weight / weight.sum(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, H, W) -> (B, D, H, W)."""
        if not (self.training or self.always):
            return x
        channels = x.shape[1]
        down = self.weight.to(x.dtype).view(1, 1, -1, 1).expand(channels, -1, -1, -1)
        blurred = F.conv2d(x, down, padding="same", groups=channels)
        blurred = F.conv2d(blurred, down.transpose(2, 3), padding="same", groups=channels)
        return torch.lerp(x, blurred.to(x.dtype), self.strength)


class SS2D(nn.Module):
    """1x1 and depthwise convolution, then a selective scan: (B, D, H, W) -> the same.

    VMamba's forward type v05_noz with ssm_ratio 1: no gate, no bias in the projections. Parameters
    have VMamba's names and initial values. Source: Liu et al. 2024, Figure 3.
    """

    def __init__(self, dim: int, blur: Blur | None = None, states: int = 1) -> None:
        super().__init__()
        self.split = [math.ceil(dim / 16), states, states]  # rank of dt, then B and C
        self.in_proj = nn.Conv2d(dim, dim, 1, bias=False)
        self.conv2d = nn.Conv2d(dim, dim, 3, padding=1, groups=dim, bias=False)
        self.before, self.after = (
            GaussianBlur(blur) if blur and blur.at == at else nn.Identity()
            for at in ("before", "after")
        )
        self.x_proj_weight = nn.Parameter(_uniform(dim**-0.5, PATHS, sum(self.split), dim))
        rank = self.split[0]
        self.dt_projs_weight = nn.Parameter(_uniform(rank**-0.5, PATHS, dim, rank))
        low, high = map(math.log, DT_RANGE)
        dt = torch.exp(low + (high - low) * torch.rand(PATHS, dim))
        self.dt_projs_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))  # softplus gives dt
        self.A_logs = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(PATHS * dim, 1))
        self.Ds = nn.Parameter(torch.ones(PATHS * dim))
        self.out_norm = norm2d(dim)
        self.out_proj = nn.Conv2d(dim, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, H, W) -> (B, D, H, W)."""
        x = self.before(F.silu(self.conv2d(self.in_proj(x))))
        return self.out_proj(self.out_norm(self.after(self.scan(x))))

    def scan(self, x: Tensor) -> Tensor:
        """Scan the four paths of a map and sum them: (B, D, H, W) -> (B, D, H, W)."""
        paths = cross_scan(x)  # (B, 4, D, L)
        mixed = torch.einsum("bkdl,kcd->bkcl", paths, self.x_proj_weight)
        dt, B, C = mixed.split(self.split, 2)  # (B, 4, rank, L), (B, 4, d_state, L) twice
        dt = torch.einsum("bkrl,kdr->bkdl", dt, self.dt_projs_weight)
        dt = (dt + self.dt_projs_bias[..., None]).movedim(3, 0).contiguous()  # (L, B, 4, D)
        # In the scan's memory order: torch.compile mistakes softplus's order in any other.
        dt = F.softplus(dt).movedim(0, 3)  # (B, 4, D, L)
        A = -self.A_logs.exp()
        y = selective_scan(paths.flatten(1, 2), dt.flatten(1, 2), A, B, C, self.Ds)
        return cross_merge(y.unflatten(1, (PATHS, -1)), x.shape[2:])


def _uniform(bound: float, *shape: int) -> Tensor:
    return (2 * torch.rand(shape) - 1) * bound
