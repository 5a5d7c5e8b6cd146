"""Each method's loss and gradients against the paper written out with a toy model."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib import augment, losses, methods
from lib.errors import UserError
from lib.settings import Experiment, override

CL = Experiment("cl", method="patchmix_cl", class_weights=False)


class Toy(nn.Module):
    """Patches of 4 x 4, embedded and averaged after a non-linearity; double precision."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(1, 6, 4, 4)
        self.classifier = nn.Linear(6, 4)
        self.projector = losses.Projector(6, 5)
        self.double()

    def embed(self, x):
        return self.patches(x.transpose(1, 2)[:, None])  # (B, 6, F, T)

    def encode(self, grid):
        return torch.tanh(grid).mean(dim=(2, 3))

    def features(self, x):
        return self.encode(self.embed(x))

    def forward(self, x):
        return self.classifier(self.features(x))


def batch():
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(6, 40, 32, generator=generator, dtype=torch.float64)
    return x, torch.tensor([0, 1, 2, 3, 0, 1])


def plain_loss(model, x, y, mixed, experiment):
    """CE on clean clips and Eq. 2 row by row."""
    grid = model.embed(x)
    mixed_grid = grid.clone()
    for i in range(len(x)):
        mixed_grid[i][:, mixed.mask] = grid[mixed.index[i]][:, mixed.mask]
    z, h_mix = model.encode(grid), model.projector(model.encode(mixed_grid))
    hz = model.projector(z)
    aims = {"z": z, "stop(z)": z.detach(), "h(z)": hz, "stop(h(z))": hz.detach()}
    aim = aims[experiment.target]
    total = torch.zeros((), dtype=torch.float64)
    for i in range(len(x)):
        s = torch.stack([F.cosine_similarity(h_mix[i], a, dim=0) for a in aim]) / experiment.tau
        kept = torch.ones(len(x), dtype=torch.bool)
        if experiment.negatives == "diff_y":
            kept = y != y[i]
            kept[i] = kept[mixed.index[i]] = True
        own, foreign = mixed.lam * s[i], (1 - mixed.lam) * s[mixed.index[i]]
        total = total - (own + foreign - torch.logsumexp(s[kept], 0)) / len(x)
    return F.cross_entropy(model.classifier(z), y) + experiment.alpha * total


VARIANTS = [
    {},
    {"mix": "t_patch"},
    {"negatives": "diff_y"},
    {"target": "z"},
    {"target": "stop(h(z))"},
    {"target": "h(z)"},
    {"tau": 0.2, "alpha": 0.5, "beta": 0.2},
]


@pytest.mark.parametrize("changes", VARIANTS)
def test_patchmix_cl_loss_and_gradients(changes):
    experiment = override(CL, **changes)
    x, y = batch()
    ours, plain = Toy(), Toy()
    loss, logs = methods.build(experiment, None)(ours, (x, y), np.random.default_rng(5))
    mixed = augment.draw_mix(6, (8, 10), experiment.mix, experiment.beta, np.random.default_rng(5))
    expected = plain_loss(plain, x, y, mixed, experiment)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-12)
    assert loss.item() == pytest.approx((logs["ce"] + experiment.alpha * logs["cl"]).item())
    for (name, a), b in zip(ours.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-8, atol=1e-12, msg=name)


def test_patchmix_ce_is_one_pass_on_the_mix():
    x, y = batch()
    model = Toy()
    experiment = override(CL, method="patchmix_ce")
    loss, _ = methods.build(experiment, None)(model, (x, y), np.random.default_rng(5))
    mixed = augment.draw_mix(6, (8, 10), "patch", 1.0, np.random.default_rng(5))
    logits = model.classifier(model.encode(augment.mix_grid(model.embed(x), mixed)))
    rows = [
        mixed.lam * F.cross_entropy(logits[i], y[i])
        + (1 - mixed.lam) * F.cross_entropy(logits[i], y[mixed.index[i]])
        for i in range(6)
    ]
    torch.testing.assert_close(loss, torch.stack(rows).mean())


def test_mix_at_input_mixes_the_spectrogram():
    x, _ = batch()
    model = Toy()
    z, mixed = methods.mixed_features(model, x, np.random.default_rng(1), "patch", "input", 1.0)
    assert mixed.mask.shape == (2, 3)
    torch.testing.assert_close(z, model.features(augment.mix_input(x, mixed)))


def test_mixing_tokens_needs_a_model_that_has_them():
    class Plain(nn.Module):
        pass

    with pytest.raises(UserError, match="Plain has no patch embeddings; use mix_at = input"):
        methods.mixed_features(
            Plain(), batch()[0], np.random.default_rng(0), "patch", "tokens", 1.0
        )


def test_class_weights_are_used_only_where_asked_for():
    x, y = batch()
    model, weight = Toy(), torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    rng = np.random.default_rng(0)
    weighted, _ = methods.build(Experiment("ce"), weight)(model, (x, y), rng)
    plain, _ = methods.build(override(Experiment("ce"), class_weights=False), weight)(
        model, (x, y), rng
    )
    logp = F.log_softmax(model(x), 1)[range(6), y]
    torch.testing.assert_close(plain, -logp.mean())
    torch.testing.assert_close(weighted, -(weight[y] * logp).sum() / weight[y].sum())


def test_a_method_called_twice_with_the_same_generator_mixes_the_same():
    x, y = batch()
    model = Toy()
    method = methods.build(CL, None)
    first, _ = method(model, (x, y), np.random.default_rng(9))
    again, _ = method(model, (x, y), np.random.default_rng(9))
    other, _ = method(model, (x, y), np.random.default_rng(10))
    assert first == again != other
