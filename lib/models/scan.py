"""The selective scan of state-space models in plain PyTorch: in chunks, exact, without a build."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx


def selective_scan(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """h_t = exp(dt_t A) h_(t-1) + dt_t B_t x_t and y_t = C_t h_t + D x_t, with h_0 = dt_0 B_0 x_0.

    x and step sizes dt > 0 (batch, G * dim, L), A < 0 (G * dim, d_state), B and C
    (batch, G, d_state, L), D (G * dim,) -> y like x, in float32 or float64 whatever autocast says.
    Same input, same bytes; differentiable any number of times. Memory is linear in L: of each step
    and channel autograd keeps x, dt and dt x, and of each state its logarithm of decay and itself.
    Source: Gu and Dao 2024, section 3.2; the groups are those of VMamba (Liu et al. 2024).
    """
    x, dt, A, B, C, D = (_at_least_float32(part) for part in (x, dt, A, B, C, D))
    x, dt = (part.movedim(2, 0).contiguous() for part in (x, dt))  # (L, batch, G * dim)
    B, C = (part.movedim(3, 0).unsqueeze(3) for part in (B, C))  # (L, batch, G, 1, d_state)
    decay = dt.unsqueeze(3) * A  # (L, batch, G * dim, d_state)
    drive = (dt * x).unflatten(2, (B.shape[2], -1)).unsqueeze(4) * B
    h = linear_recurrence(decay.flatten(1), drive.flatten(1), False).view_as(drive)
    y = torch.addcmul((h * C).sum(4).flatten(2), D, x)  # (L, batch, G * dim)
    return y.movedim(0, 2)  # (batch, G * dim, L)


def _at_least_float32(part: Tensor) -> Tensor:
    return part.float() if part.dtype in (torch.bfloat16, torch.float16) else part


# An operator of its own, so that torch.compile takes it whole and does not unroll its loops.
@torch.library.custom_op("respiratory::linear_recurrence", mutates_args=())
def linear_recurrence(log_a: Tensor, b: Tensor, transposed: bool) -> Tensor:
    """h_t = exp(log_a_t) h_(t-1) + b_t for log_a <= 0 and b (L, N), from h = 0 before the first.

    transposed: h_t = exp(log_a_(t+1)) h_(t+1) + b_t, from h = 0 after the last; this is what
    carries gradients back.

    About sqrt(L) chunks of sqrt(L) steps: all chunks run side by side from zero, their last states
    are carried from one to the next, and all run again from the state they start in. Nothing is
    divided, so no decay is too large or too small, and a chunk's decay comes from a sum of
    logarithms, so that rounding does not grow with L as it does step by step: a decay of 1 - 1e-6
    has 1e-6 only to 1% in float32.
    """
    length, steps = len(b), math.isqrt(len(b) - 1) + 1
    log_a = log_a.roll(-1, 0) if transposed else log_a
    log_a, b = (_chunks(part, steps) for part in (log_a, b))  # (chunks, steps, N)
    a_at, b_at = log_a.exp().unbind(1), b.unbind(1)  # (chunks, N) a step
    order = range(steps)[::-1] if transposed else range(steps)
    last = torch.zeros_like(b[:, 0])
    for i in order:
        torch.addcmul(b_at[i], a_at[i], last, out=last)
    state = _carried(last, log_a.sum(1).exp(), transposed)
    h = torch.empty_like(b)
    for i in order:
        state = torch.addcmul(b_at[i], a_at[i], state, out=h[:, i])
    return h.flatten(0, 1)[:length]


def _chunks(part: Tensor, steps: int) -> Tensor:
    """(L, N) -> (chunks, steps, N), with zeros after the end; a copy only where L is no product."""
    missing = -len(part) % steps
    part = F.pad(part, (0, 0, 0, missing)) if missing else part.contiguous()
    return part.unflatten(0, (-1, steps))


def _carried(last: Tensor, decay: Tensor, transposed: bool) -> Tensor:
    """The state each chunk starts in (chunks, N), from its last state when started at zero."""
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
    """The recurrence's transpose carries gradients back; made of itself, it has gradients too."""
    log_a, h = ctx.saved_tensors
    back = linear_recurrence(log_a, gradient, not ctx.transposed)
    earlier, later = (back, h) if ctx.transposed else (h, back)
    of_log_a = log_a[1:].exp() * earlier[:-1] * later[1:]
    return torch.cat([torch.zeros_like(back[:1]), of_log_a]), back, None


linear_recurrence.register_autograd(_backward, setup_context=_save)
