"""How flat a minimum is: slices of the loss, its curvature, SAM's sharpness.

The loss is plain cross-entropy, the mean over the given clips, in eval mode (no dropout, fixed
batch-norm statistics), however the model was trained. Clips are taken BATCH at a time, so that
memory does not grow with their number. The weights that are moved are those that training moved and
the loss depends on: not frozen ones, and not the projector of a contrastive method. The model stays
as it was.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh
from torch import Tensor, nn
from torch.func import functional_call
from torch.linalg import vector_norm
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy

BATCH = 16
PRODUCT_BATCH = 4  # for Hessian products
LARGE = 50_000_000  # weights from which a product takes one clip at a time: AST base needs 7 GB
LANCZOS = 8  # vectors that ARPACK stores: 2.8 GB of host memory for AST base
TOLERANCE = 1e-2  # of the eigenvalue
PROJECTOR = "projector."  # of contrastive methods; cross-entropy does not see it

Weights = dict[str, Tensor]


def largest_eigenvalue(
    model: nn.Module, x: Tensor, y: Tensor, iterations: int = 10, seed: int = 0
) -> float:
    """Return the largest eigenvalue of the loss's Hessian to about 1%.

    x (N, frames, mels), y (N,). Lanczos (ARPACK) with Hessian-vector products by double backward; 9
    to 25 of them, each about two gradients over all clips. NaN if ARPACK has not converged after
    `iterations` restarts, or if the Hessian is not finite or nothing but zeros.
    """
    weights = list(_weights(model).values())
    size = sum(w.numel() for w in weights)

    def product(vector: np.ndarray) -> np.ndarray:
        v = torch.from_numpy(vector.reshape(-1)).to(weights[0])
        return _hessian_product(model, weights, x, y, v).cpu().numpy()

    start = np.random.default_rng(seed).standard_normal(size, np.float32)
    hessian = LinearOperator((size, size), product, dtype=np.float32)
    settings = {"tol": TOLERANCE, "ncv": min(LANCZOS, size), "maxiter": iterations}
    with eval_mode(model):
        try:
            values = eigsh(hessian, 1, which="LA", v0=start, return_eigenvectors=False, **settings)
        except ArpackError:
            return float("nan")
    return values.item()


def sharpness(model: nn.Module, x: Tensor, y: Tensor, rho: float) -> float:
    """Return SAM's sharpness: how much the loss rises over a step of length rho along its gradient.

    L(w + rho g / |g|) - L(w) with g of all clips, x (N, frames, mels), y (N,); to first order the
    rise to the worst neighbour within rho (Foret et al. 2021, Eq. 2).
    """
    weights = _weights(model)
    with eval_mode(model):
        gradient = _gradient(model, list(weights.values()), x, y)
        step = rho * gradient / gradient.norm().clamp(min=1e-12)
        pieces = step.split([w.numel() for w in weights.values()])
        shift = {n: p.view_as(w) for (n, w), p in zip(weights.items(), pieces, strict=True)}
        return _loss(model, _move(weights, shift, 1.0), x, y) - _loss(model, weights, x, y)


def loss_line(
    model: nn.Module, x: Tensor, y: Tensor, steps: int, span: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the loss along a random filter-normalised direction: positions, losses (steps,).

    From -span to span, where 1 is a step as long as the weights; with odd `steps` the model itself
    is in the middle. The same seed gives the same direction on every device; it is sampled anew if
    shapes differ. Source: Li et al. 2018, section 4.
    """
    weights, positions = _weights(model), np.linspace(-span, span, steps, dtype=np.float32)
    direction = _sample_direction(weights, torch.Generator().manual_seed(seed))
    return positions, _losses_along(model, weights, direction, positions, x, y)


def loss_plane(
    model: nn.Module, x: Tensor, y: Tensor, steps: int, span: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the loss on a plane of two such directions: positions (steps,), losses (steps, steps).

    Columns go along the direction of `loss_line` with the same seed, rows along a second one.
    """
    weights, positions = _weights(model), np.linspace(-span, span, steps, dtype=np.float32)
    generator = torch.Generator().manual_seed(seed)
    first, second = (_sample_direction(weights, generator) for _ in range(2))
    starts = (_move(weights, second, b) for b in positions)
    losses = [_losses_along(model, start, first, positions, x, y) for start in starts]
    return positions, np.stack(losses)


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Put the model into eval mode; on exit every module returns to the mode that it had."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _weights(model: nn.Module) -> Weights:
    parameters = model.named_parameters()
    return {n: w for n, w in parameters if w.requires_grad and not n.startswith(PROJECTOR)}


def _batches(x: Tensor, y: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(x.split(size), y.split(size), strict=True)


def _losses_along(
    model: nn.Module, start: Weights, step: Weights, positions: np.ndarray, x: Tensor, y: Tensor
) -> np.ndarray:
    """Return the losses (steps,) at start + position * step."""
    with eval_mode(model):
        losses = [_loss(model, _move(start, step, position), x, y) for position in positions]
    return np.array(losses, np.float32)


@torch.no_grad()
def _loss(model: nn.Module, weights: Weights, x: Tensor, y: Tensor) -> float:
    """Return the mean over all clips, with these weights instead of the model's."""
    total = 0.0
    for clips, labels in _batches(x, y, BATCH):
        logits = functional_call(model, weights, (clips,))  # (B, n_classes)
        total += cross_entropy(logits, labels, reduction="sum").item()
    return total / len(x)


def _differentiate(loss: Tensor, weights: list[Tensor], create_graph: bool = False) -> Tensor:
    """Return the gradient (W,), 0 for weights that the loss does not see; `.grad` stays empty."""
    settings = {"allow_unused": True, "materialize_grads": True}
    gradients = torch.autograd.grad(loss, weights, create_graph=create_graph, **settings)
    return torch.cat([gradient.flatten() for gradient in gradients])


def _gradient(model: nn.Module, weights: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Return the gradient (W,) of the mean over all clips."""
    losses = (
        cross_entropy(model(clips), labels, reduction="sum") / len(x)
        for clips, labels in _batches(x, y, BATCH)
    )
    return sum(_differentiate(loss, weights) for loss in losses)


def _hessian_product(
    model: nn.Module, weights: list[Tensor], x: Tensor, y: Tensor, vector: Tensor
) -> Tensor:
    """Return the Hessian of the mean over all clips times a vector (W,)."""
    total, size = 0, 1 if len(vector) > LARGE else PRODUCT_BATCH
    for clips, labels in _batches(x, y, size):
        with sdpa_kernel(SDPBackend.MATH):  # the fast kernels have no second derivative
            loss = cross_entropy(model(clips), labels, reduction="sum") / len(x)
        gradient = _differentiate(loss, weights, create_graph=True)
        total += _differentiate(gradient @ vector, weights)
    return total


@torch.no_grad()
def _sample_direction(weights: Weights, generator: torch.Generator) -> Weights:
    """Return normal noise, each filter (first axis) as long as the weights' own; none for vectors.

    Biases and norms stay where they are: `ignore="biasbn"` in the authors' code.
    """
    direction = {}
    for name, w in weights.items():
        if w.dim() > 1:
            noise = torch.randn(w.shape, generator=generator).to(w)
            norm = partial(vector_norm, dim=tuple(range(1, w.dim())), keepdim=True)
            direction[name] = noise * (norm(w) / norm(noise).clamp(min=1e-10))
    return direction


@torch.no_grad()
def _move(weights: Weights, direction: Weights, length: float) -> Weights:
    """Return the weights moved by length times a direction."""
    return weights | {n: weights[n] + float(length) * step for n, step in direction.items()}
