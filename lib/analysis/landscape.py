"""How flat the minimum is that training found: slices of the loss, its curvature, SAM's sharpness.

The loss is plain cross-entropy, the mean over the given clips, in eval mode (no dropout, fixed
batch-norm statistics), however the model was trained. Clips are taken BATCH at a time, so that
memory does not grow with their number. What counts as a weight is what training moved and the loss
depends on: not frozen, and not the head of a contrastive method. The model stays as it was.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy

BATCH = 16
PRODUCT_BATCH = 4  # for Hessian products: base keeps some 7 GB a clip of 1,214 tokens
LANCZOS = 8  # vectors that ARPACK keeps: 2.8 GB of host memory for AST base
TOLERANCE = 1e-2  # of the eigenvalue
HEAD = "projector."  # of contrastive methods; cross-entropy does not see it

Weights = dict[str, Tensor]


def largest_eigenvalue(
    model: nn.Module, x: Tensor, y: Tensor, iterations: int = 10, seed: int = 0
) -> tuple[float, int]:
    """Largest eigenvalue of the loss's Hessian to about 1%, and how many products it took.

    x (N, frames, mels), y (N,). Lanczos (ARPACK) with Hessian-vector products by double backward;
    9 to 25 of them, each about two gradients over all clips. NaN where ARPACK has not converged
    after `iterations` restarts, or the Hessian is not finite or nothing but zeros.
    """
    weights = list(_weights(model).values())
    size = sum(w.numel() for w in weights)
    products = 0

    def product(vector: np.ndarray) -> np.ndarray:
        nonlocal products
        products += 1
        v = torch.from_numpy(vector.reshape(-1)).to(weights[0])
        return _hessian_product(model, weights, x, y, v).cpu().numpy()

    start = np.random.default_rng(seed).standard_normal(size, np.float32)
    hessian = LinearOperator((size, size), product, dtype=np.float32)
    settings = {"tol": TOLERANCE, "ncv": min(LANCZOS, size), "maxiter": iterations}
    with eval_mode(model):
        try:
            found = eigsh(
                hessian, 1, which="LA", v0=start, return_eigenvectors=False, **settings
            ).item()
        except ArpackError:
            found = float("nan")
    return found, products


def sharpness(model: nn.Module, x: Tensor, y: Tensor, rho: float) -> float:
    """SAM's sharpness: how much the loss rises over a step of length rho along its gradient.

    L(w + rho g / |g|) - L(w) with g of all clips, x (N, frames, mels), y (N,); to first order the
    rise to the worst neighbour within rho (Foret et al. 2021, Eq. 2).
    """
    weights = _weights(model)
    with eval_mode(model):
        gradient = _gradient(model, list(weights.values()), x, y)
        step = rho * gradient / gradient.norm().clamp(min=1e-12)
        pieces = step.split([w.numel() for w in weights.values()])
        shift = {n: p.view_as(w) for (n, w), p in zip(weights.items(), pieces, strict=True)}
        return _loss(model, _moved(weights, shift, 1.0), x, y) - _loss(model, weights, x, y)


def loss_line(
    model: nn.Module, x: Tensor, y: Tensor, steps: int, span: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Loss along a random filter-normalised direction: positions and losses (steps,), float32.

    From -span to span, where 1 is a step as long as the weights; with odd `steps` the model itself
    is in the middle. The same seed is the same direction on every device, drawn anew where shapes
    differ. Source: Li et al. 2018, section 4.
    """
    weights, positions = _weights(model), _positions(steps, span)
    direction = _direction(weights, torch.Generator().manual_seed(seed))
    with eval_mode(model):
        losses = [_loss(model, _moved(weights, direction, a), x, y) for a in positions]
    return positions, np.array(losses, np.float32)


def loss_plane(
    model: nn.Module, x: Tensor, y: Tensor, steps: int, span: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Loss on a plane of two such directions: positions (steps,), losses (steps, steps).

    Columns go along the direction of `line` with the same seed, rows along a second one.
    """
    weights, positions = _weights(model), _positions(steps, span)
    generator = torch.Generator().manual_seed(seed)
    first, second = _direction(weights, generator), _direction(weights, generator)
    losses = np.empty((steps, steps), np.float32)
    with eval_mode(model):
        for row, b in enumerate(positions):
            start = _moved(weights, second, b)
            losses[row] = [_loss(model, _moved(start, first, a), x, y) for a in positions]
    return positions, losses


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode for a while; then every part is in the mode in which it was."""
    modes = {part: part.training for part in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def _weights(model: nn.Module) -> Weights:
    found = model.named_parameters()
    return {name: w for name, w in found if w.requires_grad and not name.startswith(HEAD)}


def _batches(x: Tensor, y: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(x.split(size), y.split(size), strict=True)


@torch.no_grad()
def _loss(model: nn.Module, weights: Weights, x: Tensor, y: Tensor) -> float:
    """The mean over all clips, with these weights in the place of the model's own."""
    total = 0.0
    for clips, labels in _batches(x, y, BATCH):
        logits = functional_call(model, weights, (clips,))  # (B, n_classes)
        total += cross_entropy(logits, labels, reduction="sum").item()
    return total / len(x)


def _slope(loss: Tensor, weights: list[Tensor], again: bool = False) -> Tensor:
    """Gradient (W,), 0 for weights that the loss does not see; nothing is left in `.grad`."""
    settings = {"allow_unused": True, "materialize_grads": True}
    parts = torch.autograd.grad(loss, weights, create_graph=again, **settings)
    return torch.cat([part.flatten() for part in parts])


def _gradient(model: nn.Module, weights: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Gradient (W,) of the mean over all clips."""
    total = 0
    for clips, labels in _batches(x, y, BATCH):
        total += _slope(cross_entropy(model(clips), labels, reduction="sum") / len(x), weights)
    return total


def _hessian_product(
    model: nn.Module, weights: list[Tensor], x: Tensor, y: Tensor, vector: Tensor
) -> Tensor:
    """Hessian of the mean over all clips times a vector (W,)."""
    total = 0
    for clips, labels in _batches(x, y, PRODUCT_BATCH):
        with sdpa_kernel(SDPBackend.MATH):  # the fast kernels have no second derivative
            loss = cross_entropy(model(clips), labels, reduction="sum") / len(x)
        total += _slope(_slope(loss, weights, again=True) @ vector, weights)
    return total


@torch.no_grad()
def _direction(weights: Weights, generator: torch.Generator) -> Weights:
    """Normal noise, each filter (first axis) as long as the weights' own; none for vectors.

    Biases and norms stay where they are: `ignore="biasbn"` in the authors' code.
    """
    found = {}
    for name, w in weights.items():
        if w.dim() > 1:
            noise = torch.randn(w.shape, generator=generator).to(w)
            found[name] = noise * (_lengths(w) / _lengths(noise).clamp(min=1e-10))
    return found


def _lengths(w: Tensor) -> Tensor:
    return torch.linalg.vector_norm(w, dim=tuple(range(1, w.dim())), keepdim=True)


@torch.no_grad()
def _moved(weights: Weights, shift: Weights, by: float) -> Weights:
    return weights | {name: weights[name] + float(by) * step for name, step in shift.items()}


def _positions(steps: int, span: float) -> np.ndarray:
    return np.linspace(-span, span, steps, dtype=np.float32)
