"""Each method's loss and gradients against the paper written out with a toy model."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib.config import Experiment, override
from lib.errors import UserError
from lib.models import projector
from lib.training import augment, losses, methods

CL = Experiment("cl", method="patchmix_cl", class_weights=False)


class Toy(nn.Module):
    """Patches of 4 x 4, embedded and averaged after a non-linearity; double precision."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(1, 6, 4, 4)
        self.grid = 8, 10
        self.classifier = nn.Linear(6, 4)
        self.projector = projector.Projector(6, 5)
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


def step(experiment, model, x, y, seed=5, weight=None):
    """The loss of a method on one batch, its logs, and the mix that was drawn for it."""
    method = methods.build_method(experiment, model, tuple(x.shape[1:]), weight)
    drawn = method.draw(np.random.default_rng(seed), len(x))
    return *method.loss(model, (x, y), drawn), drawn.get("mix")


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
    {"mix": "f_patch"},
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
    loss, logs, mixed = step(experiment, ours, x, y)
    assert mixed.mask.shape == (8, 10)
    expected = plain_loss(plain, x, y, mixed, experiment)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-12)
    assert loss.item() == pytest.approx((logs["ce"] + experiment.alpha * logs["cl"]).item())
    for (name, a), b in zip(ours.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-8, atol=1e-12, msg=name)


def plain_dual_loss(model, x, y, drawn, tau):
    """CE on clean clips and, for each axis on its own, Eq. 2 with a target that is not trained."""
    grid = model.embed(x)
    z = model.encode(grid)
    total = F.cross_entropy(model.classifier(z), y)
    for axis in ("time", "frequency"):
        mix, mixed = drawn[axis], grid.clone()
        for f in range(8):
            for t in range(10):
                if mix.mask[f, t]:
                    mixed[:, :, f, t] = grid[mix.index][:, :, f, t]
        h_mix = model.projector(model.encode(mixed))
        for i in range(len(x)):
            s = torch.stack([F.cosine_similarity(h_mix[i], a, dim=0) for a in z.detach()]) / tau
            aim = mix.lam * s[i] + (1 - mix.lam) * s[mix.index[i]]
            total = total - (aim - torch.logsumexp(s, 0)) / len(x)
    return total


@pytest.mark.parametrize("tied", [False, True])
def test_dual_axis_is_ce_and_one_term_for_each_axis(tied):
    """Together in one pass, and in three where a batch norm ties clips."""
    experiment = override(CL, method="dual_axis_cl", tau=0.2)
    x, y = batch()
    ours, plain = Toy(), Toy()
    if tied:
        ours.unused, plain.unused = nn.BatchNorm1d(2), nn.Identity()
    method = methods.build_method(experiment, ours, (40, 32), None)
    drawn = method.draw(np.random.default_rng(5), len(x))
    time, frequency = drawn["time"], drawn["frequency"]
    assert set(time.mask.sum(0).tolist()) == {0, 8} and set(frequency.mask.sum(1).tolist()) == {
        0, 10,
    }  # fmt: skip
    assert time.lam != frequency.lam and not torch.equal(time.index, frequency.index)
    loss, logs = method.loss(ours, (x, y), drawn)
    expected = plain_dual_loss(plain, x, y, drawn, 0.2)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-12)
    assert loss.item() == pytest.approx((logs["ce"] + logs["cl"]).item())
    for (name, a), b in zip(plain.named_parameters(), ours.parameters(), strict=False):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-8, atol=1e-12, msg=name)


def test_axes_are_mixed_in_stretches_where_asked_for():
    rng, whole = np.random.default_rng(0), {}
    for contiguous in (False, True):
        experiment = override(CL, method="dual_axis_cl", contiguous=contiguous)
        method = methods.build_method(experiment, Toy(), (40, 32), None)
        draws = [method.draw(rng, 4) for _ in range(30)]
        lines = [d["time"].mask.all(0).int() for d in draws]
        lines += [d["frequency"].mask.all(1).int() for d in draws]
        edges = [one.diff(prepend=torch.zeros(1), append=torch.zeros(1)) for one in lines]
        whole[contiguous] = all(one.abs().sum() <= 2 for one in edges)  # one stretch, or none
    assert whole == {False: False, True: True}


def test_patchmix_ce_is_one_pass_on_the_mix():
    x, y = batch()
    model = Toy()
    experiment = override(CL, method="patchmix_ce")
    loss, _, mixed = step(experiment, model, x, y)
    logits = model.classifier(model.encode(augment.mix_grid(model.embed(x), mixed)))
    rows = [
        mixed.lam * F.cross_entropy(logits[i], y[i])
        + (1 - mixed.lam) * F.cross_entropy(logits[i], y[mixed.index[i]])
        for i in range(6)
    ]
    torch.testing.assert_close(loss, torch.stack(rows).mean())


@pytest.mark.parametrize("method", ["patchmix_ce", "patchmix_cl"])
def test_mix_at_input_mixes_the_spectrogram(method):
    x, y = batch()
    model = Toy()
    experiment = override(CL, method=method, mix_at="input")
    loss, _, mixed = step(experiment, model, x, y)
    assert mixed.mask.shape == (2, 3)
    z_mix = model.features(augment.mix_input(x, mixed))
    if method == "patchmix_ce":
        expected = losses.mixed_cross_entropy(model.classifier(z_mix), y, mixed.index, mixed.lam)
    else:
        z = model.features(x)
        h_mix, settings = model.projector(z_mix), (mixed.index, mixed.lam, 0.06)
        expected = F.cross_entropy(model.classifier(z), y)
        expected = expected + losses.patch_mix_contrastive(h_mix, z.detach(), *settings)
    torch.testing.assert_close(loss, expected)


def test_clips_tied_by_batch_norm_take_two_passes():
    """In one pass the mixed clips would change the statistics that the clean ones are scored by."""

    class Tied(Toy):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm2d(1).double()

        def features(self, x):
            return super().features(self.norm(x[:, None])[:, 0])

    x, y = batch()
    model = Tied()
    experiment = override(CL, mix_at="input")
    loss, _, mixed = step(experiment, model, x, y)
    z, z_mix = model.features(x), model.features(augment.mix_input(x, mixed))
    expected = F.cross_entropy(model.classifier(z), y) + losses.patch_mix_contrastive(
        model.projector(z_mix), z.detach(), mixed.index, mixed.lam, 0.06
    )
    torch.testing.assert_close(loss, expected)


def test_mixing_tokens_needs_a_model_that_has_them():
    class Plain(nn.Module):
        pass

    with pytest.raises(UserError, match="Plain has no patch embeddings; use mix_at = input"):
        methods.build_method(CL, Plain(), (40, 32), None)


def test_class_weights_are_used_only_where_asked_for():
    x, y = batch()
    model, weight = Toy(), torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    weighted, *_ = step(Experiment("ce"), model, x, y, weight=weight)
    plain, *_ = step(override(Experiment("ce"), class_weights=False), model, x, y, weight=weight)
    logp = F.log_softmax(model(x), 1)[range(6), y]
    torch.testing.assert_close(plain, -logp.mean())
    torch.testing.assert_close(weighted, -(weight[y] * logp).sum() / weight[y].sum())


def test_a_step_can_be_taken_twice_with_the_same_draws():
    x, y = batch()
    model = Toy()
    first, again, other = (step(CL, model, x, y, seed)[0] for seed in (9, 9, 10))
    assert first == again != other


@pytest.mark.parametrize("method", ["ce", "patchmix_ce", "patchmix_cl", "dual_axis_cl"])
@pytest.mark.parametrize("mix_at", ["tokens", "input"])
def test_a_step_is_one_graph_without_a_look_at_the_host(method, mix_at):
    """torch.compile refuses a graph that reads a number from the device; results stay equal."""
    x, y = batch()
    model = Toy()
    experiment = override(CL, method=method, mix_at=mix_at, negatives="diff_y", target="h(z)")
    chosen = methods.build_method(experiment, model, tuple(x.shape[1:]), None)
    drawn = chosen.draw(np.random.default_rng(5), len(x))
    compiled = torch.compile(chosen.loss, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(
        compiled(model, (x, y), drawn)[0], chosen.loss(model, (x, y), drawn)[0]
    )


def test_mixup_adds_clips_and_targets():
    x, y = batch()
    model = Toy()
    experiment = Experiment("m", method="mixup", class_weights=False)
    method = methods.build_method(experiment, model, (40, 32), None)
    drawn = method.draw(np.random.default_rng(5), 6)
    loss, _ = method.loss(model, (x, y), drawn)
    index, lam = drawn["pairs"]
    terms = []
    for i in range(6):
        logits = model((lam * x[i] + (1 - lam) * x[index[i]])[None])[0]
        target = lam * F.one_hot(y[i], 4) + (1 - lam) * F.one_hot(y[index[i]], 4)
        terms.append(-(target * F.log_softmax(logits, 0)).sum())
    torch.testing.assert_close(loss, torch.stack(terms).mean())


def test_supcon_sees_every_clip_twice():
    x, y = batch()
    model = Toy()
    method = methods.build_method(Experiment("s", method="supcon", tau=0.1), model, (40, 32), None)
    assert method.views == 2 and methods.build_method(CL, model, (40, 32), None).views == 1
    loss, logs = method.loss(model, (x, y), {})
    h = model.projector(model.features(x))
    torch.testing.assert_close(loss, losses.supervised_contrastive(h, y, 0.1, 0.07))
    assert logs["supcon"] == loss


@pytest.mark.parametrize("method", ["ce", "mixup"])
def test_label_smoothing_by_hand(method):
    """Targets are 0.9 of the label and 0.1 spread evenly over the four classes."""
    model, (x, y) = Toy(), batch()
    experiment = Experiment("s", method=method, class_weights=False, label_smoothing=0.1)
    built = methods.build_method(experiment, model, tuple(x.shape[1:]), None)
    drawn = built.draw(np.random.default_rng(0), len(x))
    loss, _ = built.loss(model, (x, y), drawn)
    seen, target = x, F.one_hot(y, 4) * 0.9 + 0.1 / 4
    if method == "mixup":
        pairs = drawn["pairs"]
        seen = pairs.lam * x + (1 - pairs.lam) * x[pairs.index]
        target = pairs.lam * target + (1 - pairs.lam) * target[pairs.index]
    expected = -(target * model(seen).log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss, expected)
