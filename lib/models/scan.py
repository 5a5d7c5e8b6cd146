"""The selective scan of state-space models in plain PyTorch: in chunks, exact, no CUDA build."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx


def selective_scan(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """h_t = exp(dt_t A) h_(t-1) + dt_t B_t x_t and y_t = C_t h_t + D x_t, with h_0 = dt_0 B_0 x_0.

    x and step sizes dt > 0 (batch, G * dim, L), A < 0 (G * dim, d_state), B and C
    (batch, G, d_state, L), D (G * dim,) -> y like x, in float32 or float64 also under autocast.
    Same input, same bytes; differentiable any number of times. Memory is linear in L: for each step
    and channel autograd keeps x, dt and dt x, and for each state its log decay and itself.
    Source: Gu and Dao 2024, section 3.2; the groups are those of VMamba (Liu et al. 2024).
    """
    x, dt, A, B, C, D = map(_at_least_float32, (x, dt, A, B, C, D))
    x, dt = (value.movedim(2, 0).contiguous() for value in (x, dt))  # (L, batch, G * dim)
    B, C = (value.movedim(3, 0).unsqueeze(3) for value in (B, C))  # (L, batch, G, 1, d_state)
    decay = dt.unsqueeze(3) * A  # (L, batch, G * dim, d_state)
    drive = (dt * x).unflatten(2, (B.shape[2], -1)).unsqueeze(4) * B
    h = linear_recurrence(decay.flatten(1), drive.flatten(1), False).view_as(drive)
    y = torch.addcmul((h * C).sum(4).flatten(2), D, x)  # (L, batch, G * dim)
    return y.movedim(0, 2)  # (batch, G * dim, L)


def _at_least_float32(value: Tensor) -> Tensor:
    return value.float() if value.dtype in (torch.bfloat16, torch.float16) else value


# A custom operator, so that torch.compile does not unroll its loops.
@torch.library.custom_op("respiratory::linear_recurrence", mutates_args=())
def linear_recurrence(log_a: Tensor, b: Tensor, transposed: bool) -> Tensor:
    """h_t = exp(log_a_t) h_(t-1) + b_t for log_a <= 0 and b (L, N), from h = 0 before the first.

    transposed: h_t = exp(log_a_(t+1)) h_(t+1) + b_t, from h = 0 after the last; the backward pass
    uses it.

    About sqrt(L) chunks of sqrt(L) steps: all chunks run side by side from zero, their last states
    are carried from one to the next, and all run again from their true first states. Nothing is
    divided, so no decay is too large or too small. The decay of a chunk comes from a sum of
    logarithms, so rounding does not grow with L as it does step by step: a decay of 1 - 1e-6 has
    1e-6 only to 1% in float32.
    """
    length, steps = len(b), math.isqrt(len(b) - 1) + 1
    log_a = log_a.roll(-1, 0) if transposed else log_a
    log_a, b = _chunks(log_a, steps), _chunks(b, steps)  # (chunks, steps, N)
    a_at, b_at = log_a.exp().unbind(1), b.unbind(1)  # (chunks, N) for each step
    order = range(steps)[::-1] if transposed else range(steps)
    last = torch.zeros_like(b[:, 0])
    for i in order:
        torch.addcmul(b_at[i], a_at[i], last, out=last)
    state = _first_states(last, log_a.sum(1).exp(), transposed)
    h = torch.empty_like(b)
    for i in order:
        state = torch.addcmul(b_at[i], a_at[i], state, out=h[:, i])
    return h.flatten(0, 1)[:length]


def _chunks(value: Tensor, steps: int) -> Tensor:
    """(L, N) -> (chunks, steps, N), with zeros after the end; no copy if steps divides L."""
    missing = -len(value) % steps
    value = F.pad(value, (0, 0, 0, missing)) if missing else value.contiguous()
    return value.unflatten(0, (-1, steps))


def _first_states(last: Tensor, decay: Tensor, transposed: bool) -> Tensor:
    """The first state of each chunk (chunks, N), from its last state if it starts at zero."""
    state = torch.zeros_like(last)
    order = range(len(last))[::-1] if transposed else range(len(last))
    for before, at in zip(order, order[1:], strict=False):
        torch.addcmul(last[before], decay[before], state[before], out=state[at])
    return state


@linear_recurrence.register_fake
def _(log_a: Tensor, b: Tensor, transposed: bool) -> Tensor:
    return torch.empty_like(b, memory_format=torch.contiguous_format)


def _save(ctx: FunctionCtx, inputs: tuple[Tensor, Tensor, bool], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0], output)
    ctx.transposed = inputs[2]


def _backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
    """Gradients are the transposed recurrence, which is differentiable in turn."""
    log_a, h = ctx.saved_tensors
    back = linear_recurrence(log_a, gradient, not ctx.transposed)
    earlier, later = (back, h) if ctx.transposed else (h, back)
    of_log_a = log_a[1:].exp() * earlier[:-1] * later[1:]
    return torch.cat([torch.zeros_like(back[:1]), of_log_a]), back, None


linear_recurrence.register_autograd(_backward, setup_context=_save)
