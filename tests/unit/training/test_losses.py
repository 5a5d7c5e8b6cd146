"""Losses against double loops in float64 and worked numbers."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lib.models import projector
from lib.training import losses


def normalised(rows):
    return [[v / math.sqrt(sum(u * u for u in row)) for v in row] for row in rows]


def equation_2(h_mix, z, index, lam, tau, labels=None):
    """Bae et al. 2023, Eq. 2, as it is printed; `labels` restrict the denominator."""
    h_mix, z = normalised(h_mix.tolist()), normalised(z.tolist())
    total = 0.0
    for i, h in enumerate(h_mix):
        m = int(index[i])
        similarity = [sum(a * b for a, b in zip(h, row, strict=True)) / tau for row in z]
        kept = [
            s
            for j, s in enumerate(similarity)
            if labels is None or labels[j] != labels[i] or j in (i, m)
        ]
        denominator = math.log(sum(math.exp(s) for s in kept))
        total -= lam * similarity[i] + (1 - lam) * similarity[m] - denominator
    return total / len(h_mix)


INDICES = ([1, 2, 3, 4, 5, 0], [0, 2, 1, 3, 5, 4], [0, 1, 2, 3, 4, 5])  # with fixed points


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("labels", [None, [0, 0, 1, 2, 1, 0]])
@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_contrastive_loss_is_equation_2(index, labels, lam):
    torch.manual_seed(0)
    h_mix, z = torch.randn(2, 6, 5, dtype=torch.float64)
    index = torch.tensor(index)
    got = losses.patch_mix_contrastive(
        h_mix, z, index, lam, 0.06, None if labels is None else torch.tensor(labels)
    )
    assert got.item() == pytest.approx(equation_2(h_mix, z, index, lam, 0.06, labels), abs=1e-12)


@pytest.mark.parametrize("labels", [None, [0, 0, 1, 1]])
def test_contrastive_gradient_is_finite_and_right(labels):
    torch.manual_seed(1)
    h_mix, z = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    index = torch.tensor([2, 1, 3, 0])
    labels = None if labels is None else torch.tensor(labels)
    assert torch.autograd.gradcheck(
        lambda a, b: losses.patch_mix_contrastive(a, b, index, 0.4, 0.5, labels), (h_mix, z)
    )


def test_the_contrastive_loss_is_exact_under_autocast():
    torch.manual_seed(0)
    h_mix, z = torch.randn(2, 8, 16).bfloat16()  # as a network under autocast gives them
    index = torch.tensor([1, 2, 3, 4, 5, 6, 7, 0])
    with torch.autocast("cpu", torch.bfloat16):
        got = losses.patch_mix_contrastive(h_mix, z, index, 0.3, 0.06)
    exact = losses.patch_mix_contrastive(h_mix.double(), z.double(), index, 0.3, 0.06)
    assert got.dtype == torch.float32 and got.item() == pytest.approx(exact.item(), rel=1e-5)


def test_class_weights_of_the_official_train_split():
    labels = torch.repeat_interleave(torch.arange(4), torch.tensor([2063, 1215, 501, 363]))
    got = losses.class_weights(labels, 4)
    assert [round(v, 3) for v in got.tolist()] == [0.080, 0.136, 0.329, 0.455]


def test_a_class_without_clips_weighs_nothing():
    assert losses.class_weights(torch.tensor([0, 0, 1]), 3).tolist() == pytest.approx(
        [1 / 3, 2 / 3, 0]
    )


def test_mixed_cross_entropy_is_the_one_with_mixed_targets():
    torch.manual_seed(0)
    logits, y = torch.randn(5, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 1])
    index = torch.tensor([4, 3, 2, 1, 0])
    target = (0.3 * F.one_hot(y, 4) + 0.7 * F.one_hot(y[index], 4)).numpy()
    exp = np.exp(logits.numpy())
    expected = -(target * np.log(exp / exp.sum(1, keepdims=True))).sum(1)
    got = losses.mixed_cross_entropy(logits, y, index, 0.3)
    assert got.item() == pytest.approx(expected.mean().item())


def test_projector_keeps_the_width_of_its_target():
    assert projector.Projector(12, 5)(torch.randn(3, 12)).shape == (3, 12)


def supcon_loop(z, labels, tau):
    """Khosla et al. 2020, Eq. 2, as it is printed, over clips that have a partner."""
    z = normalised(z.tolist())
    total, counted = 0.0, 0
    for i, a in enumerate(z):
        similarity = [sum(u * v for u, v in zip(a, b, strict=True)) / tau for b in z]
        partners = [p for p in range(len(z)) if p != i and labels[p] == labels[i]]
        if not partners:
            continue
        denominator = math.log(sum(math.exp(s) for j, s in enumerate(similarity) if j != i))
        total -= sum(similarity[p] - denominator for p in partners) / len(partners)
        counted += 1
    return total / counted


@pytest.mark.parametrize("labels", [[0, 1, 0, 2, 2, 2], [0, 0, 0, 0, 0, 0], [0, 1, 2, 3, 4, 4]])
def test_supcon_is_equation_2(labels):
    torch.manual_seed(0)
    z = torch.randn(6, 5, dtype=torch.float64)
    got = losses.supervised_contrastive(z, torch.tensor(labels), 0.1, 0.1)
    assert got.item() == pytest.approx(supcon_loop(z, labels, 0.1), abs=1e-12)
    common = losses.supervised_contrastive(z, torch.tensor(labels), 0.1, 0.07)
    assert common.item() == pytest.approx(got.item() / 0.7)  # x 1.43, as the common code has it


def test_supcon_gradient_is_right_and_lonely_clips_count_nothing():
    torch.manual_seed(1)
    z, labels = torch.randn(5, 3, dtype=torch.float64, requires_grad=True), [0, 1, 1, 0, 2]
    assert torch.autograd.gradcheck(
        lambda a: losses.supervised_contrastive(a, torch.tensor(labels), 0.5, 0.07), (z,)
    )
    assert losses.supervised_contrastive(z, torch.arange(5), 0.1, 0.1) == 0
