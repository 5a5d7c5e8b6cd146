"""The selective scan against a step-by-step loop in float64."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from lib.models.scan import linear_recurrence, selective_scan

NAMES = ("x", "dt", "A", "B", "C", "D")
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def plain_scan(x, dt, A, B, C, D):
    """One step after another; autograd goes back through the loop."""
    group = x.shape[1] // B.shape[1]
    h = torch.zeros(*x.shape[:2], A.shape[1], dtype=x.dtype)
    ys = []
    for x_t, dt_t, B_t, C_t in zip(*(value.unbind(-1) for value in (x, dt, B, C)), strict=True):
        b, c = (value.repeat_interleave(group, 1) for value in (B_t, C_t))  # (batch, G * dim, N)
        h = (dt_t[..., None] * A).exp() * h + dt_t[..., None] * b * x_t[..., None]
        ys.append((h * c).sum(2) + D * x_t)
    return torch.stack(ys, 2)


def inputs(length, states=1, batch=2, groups=2, dim=3, decay=(-6, 0), dtype=torch.float64):
    """Random arguments; dt * A lies log-uniformly between -10**decay[0] and -10**decay[1]."""
    rng = torch.Generator().manual_seed(0)
    x, dt = torch.randn(2, batch, groups * dim, length, generator=rng, dtype=torch.float64)
    A = -torch.rand(groups * dim, states, generator=rng, dtype=torch.float64) - 0.5
    dt = 10 ** (decay[0] + (decay[1] - decay[0]) * torch.rand(dt.shape, generator=rng))
    B, C = torch.randn(2, batch, groups, states, length, generator=rng, dtype=torch.float64)
    D = torch.randn(groups * dim, generator=rng, dtype=torch.float64)
    return [value.to(dtype).detach().requires_grad_() for value in (x, dt.double(), A, B, C, D)]


def values_and_gradients(scan, arguments):
    y = scan(*arguments)
    weight = torch.cos(torch.arange(y.numel(), dtype=y.dtype)).view(y.shape).to(y.device)
    return [y.detach(), *torch.autograd.grad((weight * y).sum(), arguments)]


def assert_close(arguments, tolerance):
    """The reference gets the very numbers that the scan gets."""
    exact = [value.detach().double().requires_grad_() for value in arguments]
    expected = values_and_gradients(plain_scan, exact)
    for device in DEVICES:
        here = [value.detach().to(device).requires_grad_() for value in arguments]
        results = values_and_gradients(selective_scan, here)
        for name, value, reference in zip(("y", *NAMES), results, expected, strict=True):
            assert value.dtype == arguments[0].dtype and value.shape == reference.shape, name
            worst, size = (value.cpu().double() - reference).abs().max(), reference.abs().max()
            assert worst <= tolerance * size, f"{name}, {device}: {worst:.1e} of {size:.1e}"


@pytest.mark.parametrize("states", [1, 4])
@pytest.mark.parametrize("length", [1, 2, 7, 1000])
def test_equals_a_loop_in_float64(length, states):
    assert_close(inputs(length, states), 1e-12)


@pytest.mark.parametrize(
    "length, states, decay",  # dt A from about -1e-6 to -50
    [
        *((1000, 4, decay) for decay in [(-6, -6), (-3, -3), (-6, 1.7), (1.7, 1.7)]),
        *((4096, 1, decay) for decay in [(-6, -6), (-6, 1.7)]),
    ],
)
def test_float32_is_within_1e5_at_every_decay(length, states, decay):
    """Equal steps are the hard case: the decay is then rounded the same way in every step."""
    assert_close(inputs(length, states, decay=decay, dtype=torch.float32), 1e-5)


@pytest.mark.parametrize("length, states", [(1, 1), (5, 1), (7, 2)])
def test_first_and_second_derivatives(length, states):
    arguments = inputs(length, states, batch=1, dim=1, decay=(-2, 0))
    assert gradcheck(selective_scan, arguments)
    assert gradgradcheck(selective_scan, arguments)


def test_the_transposed_recurrence_is_the_transpose():
    log_a, identity = -torch.rand(7, 1, dtype=torch.float64), torch.eye(7).double()
    columns = [linear_recurrence(log_a, unit[:, None], False) for unit in identity]
    rows = [linear_recurrence(log_a, unit[:, None], True) for unit in identity]
    torch.testing.assert_close(torch.cat(rows, 1), torch.cat(columns, 1).T)
    assert columns[2][5] == pytest.approx(log_a[3:6].sum().exp().item())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_changes_nothing(dtype):
    arguments = inputs(100, dtype=torch.float32)
    expected = selective_scan(*arguments)
    with torch.autocast("cpu", dtype):
        assert torch.equal(selective_scan(*arguments), expected)
        low = selective_scan(*(value.to(dtype) for value in arguments))
    assert low.dtype == torch.float32
    assert torch.equal(low, selective_scan(*(value.to(dtype).float() for value in arguments)))


def test_same_bytes_every_time_and_compiled_as_a_whole():
    arguments = inputs(50, 2, dtype=torch.float32)
    first, second = (values_and_gradients(selective_scan, arguments) for _ in range(2))
    compiled = torch.compile(selective_scan, backend="aot_eager", fullgraph=True)
    third = values_and_gradients(compiled, arguments)
    for value, again, whole in zip(first, second, third, strict=True):
        assert torch.equal(value, again)
        torch.testing.assert_close(value, whole)


@pytest.mark.parametrize("transposed", [False, True])
def test_the_operator_passes_torchs_checks(transposed):
    log_a, b = (-torch.rand(10, 3)).requires_grad_(), torch.randn(10, 3).requires_grad_()
    torch.library.opcheck(linear_recurrence, (log_a, b, transposed))


def saved_numbers(length, states):
    """How many different numbers autograd saves between forward and backward."""
    arguments, sizes = inputs(length, states, dtype=torch.float32), {}

    def save(value):
        sizes[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes() // 4
        return value

    with torch.autograd.graph.saved_tensors_hooks(save, lambda value: value):
        y = selective_scan(*arguments)
    y.sum().backward()
    return sum(sizes.values())


@pytest.mark.parametrize("states", [1, 4])
def test_memory_is_linear_in_the_length(states):
    """Of each step and channel: x, dt, dt x and, of each state, its decay and itself."""
    short, long = (saved_numbers(length, states) for length in (1024, 4096))
    assert long < 4 * short
    step = 2 * 6 * (3 + 2 * states) + 2 * 2 * 2 * states  # 2 clips, 6 channels; B and C of 2 groups
    assert step * 4096 <= long < 1.01 * step * 4096
