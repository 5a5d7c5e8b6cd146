"""Losses against double loops in float64 and worked numbers."""

import math

import pytest
import torch
import torch.nn.functional as F

from lib.training import losses


def normalised(rows):
    return [[v / math.sqrt(sum(u * u for u in row)) for v in row] for row in rows.tolist()]


def similarities(a, rows, tau):
    return [sum(u * v for u, v in zip(a, row, strict=True)) / tau for row in rows]


def log_sum_exp(values):
    return math.log(sum(math.exp(value) for value in values))


def equation_2(h_mix, z, index, lam, tau, labels=None):
    """Bae et al. 2023, Eq. 2, as it is printed; `labels` restrict the denominator."""
    h_mix, z, total = normalised(h_mix), normalised(z), 0.0
    for i, h in enumerate(h_mix):
        m, s = int(index[i]), similarities(h, z, tau)
        in_denominator = [
            labels is None or labels[j] != labels[i] or j in (i, m) for j in range(len(z))
        ]
        denominator = log_sum_exp(v for v, used in zip(s, in_denominator, strict=True) if used)
        total -= lam * s[i] + (1 - lam) * s[m] - denominator
    return total / len(h_mix)


INDICES = ([1, 2, 3, 4, 5, 0], [0, 2, 1, 3, 5, 4], [0, 1, 2, 3, 4, 5])  # with fixed points


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("labels", [None, [0, 0, 1, 2, 1, 0]])
@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_contrastive_loss_is_equation_2(index, labels, lam):
    torch.manual_seed(0)
    h_mix, z = torch.randn(2, 6, 5, dtype=torch.float64)
    given = None if labels is None else torch.tensor(labels)
    loss = losses.patch_mix_contrastive(h_mix, z, torch.tensor(index), lam, 0.06, given)
    assert loss.item() == pytest.approx(equation_2(h_mix, z, index, lam, 0.06, labels), abs=1e-12)


@pytest.mark.parametrize("labels", [None, torch.tensor([0, 0, 1, 1])])
def test_contrastive_gradient_is_finite_and_right(labels):
    torch.manual_seed(1)
    h_mix, z = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    index = torch.tensor([2, 1, 3, 0])
    assert torch.autograd.gradcheck(
        lambda a, b: losses.patch_mix_contrastive(a, b, index, 0.4, 0.5, labels), (h_mix, z)
    )


def test_contrastive_loss_is_exact_under_autocast():
    torch.manual_seed(0)
    h_mix, z = torch.randn(2, 8, 16).bfloat16()  # as a network under autocast gives them
    index = torch.tensor([1, 2, 3, 4, 5, 6, 7, 0])
    with torch.autocast("cpu", torch.bfloat16):
        loss = losses.patch_mix_contrastive(h_mix, z, index, 0.3, 0.06)
    exact = losses.patch_mix_contrastive(h_mix.double(), z.double(), index, 0.3, 0.06)
    assert loss.dtype == torch.float32 and loss.item() == pytest.approx(exact.item(), rel=1e-5)


def test_class_weights_of_the_official_train_split_and_of_an_empty_class():
    labels = torch.repeat_interleave(torch.arange(4), torch.tensor([2063, 1215, 501, 363]))
    weights = losses.class_weights(labels, 4).tolist()
    assert [round(weight, 3) for weight in weights] == [0.080, 0.136, 0.329, 0.455]
    weights = losses.class_weights(torch.tensor([0, 0, 1]), 3).tolist()
    assert weights == pytest.approx([1 / 3, 2 / 3, 0])


def test_mixed_cross_entropy_is_the_one_with_mixed_targets():
    torch.manual_seed(0)
    logits, y = torch.randn(5, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 1])
    index = torch.tensor([4, 3, 2, 1, 0])
    target = 0.3 * F.one_hot(y, 4) + 0.7 * F.one_hot(y[index], 4)
    share = logits.exp() / logits.exp().sum(1, keepdim=True)
    expected = -(target * share.log()).sum(1).mean()
    torch.testing.assert_close(losses.mixed_cross_entropy(logits, y, index, 0.3), expected)


def supcon_loop(z, labels, tau):
    """Khosla et al. 2020, Eq. 2, as it is printed, over clips that have a partner."""
    z, terms = normalised(z), []
    for i, a in enumerate(z):
        s = similarities(a, z, tau)
        partners = [p for p in range(len(z)) if p != i and labels[p] == labels[i]]
        if partners:
            denominator = log_sum_exp(value for j, value in enumerate(s) if j != i)
            terms.append(-sum(s[p] - denominator for p in partners) / len(partners))
    return sum(terms) / len(terms)


@pytest.mark.parametrize("labels", [[0, 1, 0, 2, 2, 2], [0, 0, 0, 0, 0, 0], [0, 1, 2, 3, 4, 4]])
def test_supcon_is_equation_2(labels):
    torch.manual_seed(0)
    z = torch.randn(6, 5, dtype=torch.float64)
    loss = losses.supervised_contrastive(z, torch.tensor(labels), 0.1, 0.1)
    assert loss.item() == pytest.approx(supcon_loop(z, labels, 0.1), abs=1e-12)
    common = losses.supervised_contrastive(z, torch.tensor(labels), 0.1, 0.07)
    assert common.item() == pytest.approx(loss.item() / 0.7)  # x 1.43, as in the common code


def test_supcon_gradient_is_right_and_clips_without_a_partner_add_nothing():
    torch.manual_seed(1)
    z, labels = torch.randn(5, 3, dtype=torch.float64, requires_grad=True), [0, 1, 1, 0, 2]
    assert torch.autograd.gradcheck(
        lambda a: losses.supervised_contrastive(a, torch.tensor(labels), 0.5, 0.07), (z,)
    )
    assert losses.supervised_contrastive(z, torch.arange(5), 0.1, 0.1) == 0
