"""DASS: facts of the papers, its layers, and the published files under its keys."""

import pytest
import torch
from safetensors.torch import save_file

from lib.config import Experiment
from lib.errors import UserError
from lib.models import build, dass, pretrained
from lib.models.dass import DASS
from lib.models.ss2d import Blur, GaussianBlur

DEPTHS = {"small": (2, 2, 8, 2), "medium": (2, 2, 20, 2)}
# Names and shapes in a published file; D is a block's width, R = D / 16 the rank of dt.
BLOCK = {
    "norm.weight": "D", "norm.bias": "D", "norm2.weight": "D", "norm2.bias": "D",
    "op.x_proj_weight": "4 R+2 D", "op.dt_projs_weight": "4 D R", "op.dt_projs_bias": "4 D",
    "op.A_logs": "4*D 1", "op.Ds": "4*D", "op.conv2d.weight": "D 1 3 3",
    "op.in_proj.weight": "D D", "op.out_proj.weight": "D D",
    "op.out_norm.weight": "D", "op.out_norm.bias": "D",
    "mlp.fc1.weight": "4*D D", "mlp.fc1.bias": "4*D",
    "mlp.fc2.weight": "D 4*D", "mlp.fc2.bias": "D",
}  # fmt: skip
HUB_BLOCK = {"op.x_proj_weight": "4*(R+2) D", "op.dt_projs_weight": "4*D R"}  # flat, other names
HEADS = {  # layout -> prefix of all names, name of the head
    "vmamba": ("", "classifier.head"), "vmamba hub": ("vmamba.", "head"),
    "dass": ("module.v.", "module.v.classifier.head"), "dass hub": ("dass.", "head"),
}  # fmt: skip


def published(size, layout):
    """A random state dict with the names and shapes of a published file.

    layout: "vmamba" of ImageNet or "dass", as their authors have them or as on the "hub".
    """
    hub, imagenet = "hub" in layout, "vmamba" in layout
    numbers, stem = (
        ((0, 1, 3, 4), "patch_embeddings.projection") if hub else ((0, 2, 5, 7), "patch_embed")
    )
    channels, classes = (3, 1000) if imagenet else (1, 527)
    layers = [(48, channels, 3, 3), (48,), (96, 48, 3, 3), (96,)]
    shapes = {}
    for number, shape in zip(numbers, layers, strict=True):
        shapes |= {f"{stem}.{number}.weight": shape, f"{stem}.{number}.bias": shape[:1]}
    for stage, depth in enumerate(DEPTHS[size]):
        width = 96 * 2**stage
        for block in range(depth):
            for name, shape in (BLOCK | (HUB_BLOCK if hub else {})).items():
                name = name.replace("_weight", ".weight") if hub else name
                values = [eval(axis, {}, {"D": width, "R": width // 16}) for axis in shape.split()]
                shapes[f"layers.{stage}.blocks.{block}.{name}"] = values
        if stage < 3:
            down, norm = ("down", "norm") if hub else ("1", "3")
            name = f"layers.{stage}.downsample"
            shapes |= {f"{name}.{down}.weight": (2 * width, width, 3, 3)}
            biases = (f"{name}.{down}.bias", f"{name}.{norm}.weight", f"{name}.{norm}.bias")
            shapes |= dict.fromkeys(biases, (2 * width,))
    last = "norm" if hub else "classifier.norm"
    shapes |= {f"{last}.weight": (768,), f"{last}.bias": (768,)}
    prefix, head = HEADS[layout]
    shapes = {prefix + name: shape for name, shape in shapes.items()}
    shapes |= {f"{head}.weight": (classes, 768), f"{head}.bias": (classes,)}
    return {name: torch.randn(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("layout", ["vmamba", "vmamba hub", "dass", "dass hub"])
def test_published_files_have_a_place_for_every_key(layout):
    state = published("small", layout)
    assert len(state) == 276
    renamed = dass.rename(state)
    model = DASS("small", 798, 128, 4).state_dict()
    encoder = {key: value for key, value in model.items() if not key.startswith("classifier.")}
    head = "head" if "hub" in layout else "classifier.head"
    assert renamed.keys() - encoder.keys() == {f"{head}.weight", f"{head}.bias"}
    assert encoder.keys() - renamed.keys() == set()
    different = {key for key in encoder if renamed[key].shape != encoder[key].shape}
    assert different == ({"patch_embed.0.weight"} if "vmamba" in layout else set())


def test_values_get_the_right_names():
    state, hub = published("small", "dass"), published("small", "dass hub")
    new, flat, op = dass.rename(state), dass.rename(hub), "layers.2.blocks.7.op"
    for key, name in (
        ("patch_embed.3.weight", "patch_embed.5.weight"),
        ("layers.1.downsample.1.bias", "layers.1.downsample.3.bias"),
        ("norm.bias", "classifier.norm.bias"),
    ):
        assert torch.equal(new[key], state[f"module.v.{name}"])
    assert torch.equal(
        new[f"{op}.in_proj.weight"][:, :, 0, 0], state[f"module.v.{op}.in_proj.weight"]
    )
    # path by path: row 5 of path 2, row 7 of path 3
    rows = hub[f"dass.{op}.x_proj.weight"], hub[f"dass.{op}.dt_projs.weight"]
    assert torch.equal(flat[f"{op}.x_proj_weight"][2, 5], rows[0][2 * (24 + 2) + 5])
    assert torch.equal(flat[f"{op}.dt_projs_weight"][3, 7], rows[1][3 * 384 + 7])


def load(size, init):
    experiment = Experiment("x", model="dass", size=size, init=init)
    model = build.build_model(experiment, 298, 128)
    return model, pretrained.load_pretrained(model, experiment, 298, 128).set_index("key")


def test_published_files_are_found_and_loaded(tmp_path, monkeypatch):
    """ImageNet's as its authors named it, and Lung-SRAD's backbone as the hub holds it."""
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    state = published("small", "vmamba")
    torch.save({"model": state}, tmp_path / "vssm1_tiny_0230s_ckpt_epoch_264.pth")
    model, report = load("small", "imagenet")
    stem = report.loc["patch_embed.0.weight"]
    shapes = ("48 x 3 x 3 x 3", "48 x 1 x 3 x 3")
    assert (stem.action, stem.shape_from, stem.shape_to) == ("resized", *shapes)
    summed = state["patch_embed.0.weight"].sum(1)
    torch.testing.assert_close(model.patch_embed[0].weight[:, 0], summed)
    counts = report.action.value_counts().to_dict()
    assert counts == {"loaded": 273, "resized": 1, "initialised": 2, "left out": 2}

    state = {key: value.contiguous() for key, value in published("medium", "dass hub").items()}
    save_file(state, tmp_path / "DASS_medium_AudioSet_48.9.safetensors")
    model, report = load("medium", "imagenet+audioset")
    new = report.index[report.action == "initialised"]
    assert set(new) == {"classifier.weight", "classifier.bias"}
    assert set(report.action) == {"loaded", "initialised", "left out"}
    assert torch.equal(model.layers[2].blocks[19].op.Ds, state["dass.layers.2.blocks.19.op.Ds"])


def test_the_small_vmamba_that_both_public_codes_load(tmp_path, monkeypatch):
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    state = published("medium", "vmamba")
    torch.save({"model": state}, tmp_path / "vssm1_small_0229s_ckpt_epoch_240.pth")
    model, report = load("medium", "imagenet")
    assert set(report.index[report.action == "initialised"]) == {
        "classifier.weight", "classifier.bias"
    }  # fmt: skip
    skip = model.layers[2].blocks[19].op.Ds
    assert torch.equal(skip, state["layers.2.blocks.19.op.Ds"])


def test_facts_of_the_papers():
    for size, millions in (("small", 30), ("medium", 49)):
        model = DASS(size, 798, 128, 527)
        count = sum(p.numel() for p in model.parameters())
        assert round(count / 1e6) == millions
        assert model.grid == (32, 200) and model.width == 768
        assert [len(stage.blocks) for stage in model.layers] == list(DEPTHS[size])
    rates = [block.drop_path.drop_prob for stage in model.layers for block in stage.blocks]
    assert rates == pytest.approx([0.3 * at / 25 for at in range(26)])


@pytest.mark.parametrize("frames, mels", [(98, 64), (97, 64), (96, 63), (1, 1)])
def test_any_clip_size(frames, mels):
    model = DASS("nano", frames, mels, 4)
    x = torch.randn(2, frames, mels)
    patches = model.embed(x)
    assert patches.shape == (2, 16, *model.grid)
    assert model(x).shape == (2, 4)


def test_z_is_the_mean_of_the_normed_last_map():
    torch.manual_seed(0)
    model = DASS("nano", 40, 32, 4).eval()
    x = torch.randn(3, 40, 32)
    z = model.features(x)
    assert z.shape == (3, model.width) == (3, 128)
    assert torch.equal(model(x), model.classifier(model.encode(model.embed(x))))
    last = model.layers(model.embed(x)).movedim(1, 3)  # (3, 1, 2, 128)
    torch.testing.assert_close(z, torch.nn.functional.layer_norm(last, (128,)).mean((1, 2)))


def test_embed_puts_frequency_in_rows_and_time_in_columns():
    torch.manual_seed(0)
    model = DASS("nano", 40, 32, 4)
    x = torch.zeros(1, 40, 32)
    changed = x.clone()
    changed[0, 36:, :4] += 1  # the last frames of the lowest mel bins
    moved = (model.embed(changed) - model.embed(x)).abs().sum((0, 1)) > 1e-6  # (8, 10)
    assert moved[0, -1] and not moved[2:].any() and not moved[:, :-2].any()


def blurs(model):
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, GaussianBlur)}


def test_blur_is_in_the_third_stage_and_changes_z():
    site = ["layers.2.blocks.2.op.before", "layers.2.blocks.3.op.before"]
    assert [*blurs(DASS("small", 98, 128, 4, Blur()))] == site
    torch.manual_seed(0)
    plain, zero, full = (
        DASS("nano", 98, 128, 4, blur) for blur in (None, Blur(strength=0.0), Blur())
    )
    assert not blurs(plain) and [*blurs(full)] == site
    for model in (zero, full):
        model.load_state_dict(plain.state_dict())
    x = torch.randn(2, 98, 128)
    z, z_zero, z_full = (model.eval().features(x) for model in (plain, zero, full))
    assert torch.equal(z, z_zero) and (z - z_full).abs().max() > 1e-4


@pytest.mark.parametrize("at", ["before", "after"])
def test_settings_of_the_blur(at):
    settings = {
        "blur": 0.5,
        "blur_stage": 1,
        "blur_blocks": "0,1",
        "blur_sigma": 2.0,
        "blur_at": at,
    }
    experiment = Experiment("x", model="dass", size="mini", blur_when="training", **settings)
    layers = blurs(build.build_model(experiment, 98, 128))
    assert [*layers] == [f"layers.1.blocks.{block}.op.{at}" for block in (0, 1)]
    for layer in layers.values():
        assert layer.strength == 0.5 and not layer.always
        # sigma 2, five taps: exp(-4 / 8) at the ends
        assert (layer.weight[0] / layer.weight[2]).item() == pytest.approx(0.6065307)
    assert not blurs(build.build_model(Experiment("x", model="dass", size="nano"), 98, 128))
    with pytest.raises(UserError, match="blur is for dass, not for ast"):
        build.build_model(Experiment("x", size="nano", blur=1.0), 98, 128)


def test_unknown_size_and_missing_blocks():
    with pytest.raises(UserError, match="did you mean 'medium'"):
        DASS("medum", 98, 128, 4)
    for stage in (1, 4):
        with pytest.raises(UserError, match=f"dass nano: no block 3 in stage {stage} to blur"):
            DASS("nano", 98, 128, 4, Blur(stage=stage))


def test_second_derivatives_of_the_whole_model():
    """A Hessian-vector product against the difference of two gradients, in float64."""
    torch.manual_seed(0)
    model = DASS("nano", 24, 32, 3, Blur()).double().eval()
    x, y = torch.randn(4, 24, 32, dtype=torch.float64), torch.arange(4) % 3
    parameters = list(model.parameters())
    direction = [torch.randn_like(p) for p in parameters]

    def gradient(graph=False):
        loss = torch.nn.functional.cross_entropy(model(x), y)
        return torch.autograd.grad(loss, parameters, create_graph=graph)

    dot = sum((g * v).sum() for g, v in zip(gradient(graph=True), direction, strict=True))
    product = torch.autograd.grad(dot, parameters)
    sides, step = [], 1e-5
    for sign in (1, -2):  # ahead, behind
        with torch.no_grad():
            for p, v in zip(parameters, direction, strict=True):
                p += sign * step * v
        sides.append(gradient())
    size = max(h.abs().max() for h in product)
    for value, ahead, behind in zip(product, *sides, strict=True):
        expected = (ahead - behind) / (2 * step)
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-6 * size)
