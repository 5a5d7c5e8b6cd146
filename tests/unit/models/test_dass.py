"""DASS: facts of the papers, its parts, and the published files under its keys."""

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from lib import models, registry
from lib.config import Experiment, override
from lib.errors import UserError
from lib.models import dass, pretrained, weights
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


def published(size, layout):
    """A random state dict with the names and shapes of a published file.

    layout: "vmamba" of ImageNet or "dass", as their authors have them or as on the "hub".
    """
    hub, imagenet = "hub" in layout, "vmamba" in layout
    first, norm, second, norm2 = (0, 1, 3, 4) if hub else (0, 2, 5, 7)
    stem = "patch_embeddings.projection" if hub else "patch_embed"
    channels, classes = (3, 1000) if imagenet else (1, 527)
    shapes = {f"{stem}.{first}.weight": (48, channels, 3, 3), f"{stem}.{first}.bias": (48,)}
    shapes |= {f"{stem}.{norm}.weight": (48,), f"{stem}.{norm}.bias": (48,)}
    shapes |= {f"{stem}.{second}.weight": (96, 48, 3, 3), f"{stem}.{second}.bias": (96,)}
    shapes |= {f"{stem}.{norm2}.weight": (96,), f"{stem}.{norm2}.bias": (96,)}
    for stage, depth in enumerate(DEPTHS[size]):
        width = 96 * 2**stage
        known = {"D": width, "R": width // 16}
        for block in range(depth):
            for name, shape in (BLOCK | (HUB_BLOCK if hub else {})).items():
                name = name.replace("_weight", ".weight") if hub else name
                shape = tuple(eval(part, {}, known) for part in shape.split())
                shapes[f"layers.{stage}.blocks.{block}.{name}"] = shape
        if stage < 3:
            down, norm = ("down", "norm") if hub else ("1", "3")
            at = f"layers.{stage}.downsample"
            shapes |= {f"{at}.{down}.weight": (2 * width, width, 3, 3)}
            shapes |= dict.fromkeys((f"{at}.{down}.bias", f"{at}.{norm}.weight"), (2 * width,))
            shapes[f"{at}.{norm}.bias"] = (2 * width,)
    last = "norm" if hub else "classifier.norm"
    shapes |= {f"{last}.weight": (768,), f"{last}.bias": (768,)}
    prefix, head = {
        "vmamba": ("", "classifier.head"),
        "vmamba hub": ("vmamba.", "head"),
        "dass": ("module.v.", "module.v.classifier.head"),
        "dass hub": ("dass.", "head"),
    }[layout]
    shapes = {prefix + name: shape for name, shape in shapes.items()}
    shapes |= {f"{head}.weight": (classes, 768), f"{head}.bias": (classes,)}
    return {name: torch.randn(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("layout", ["vmamba", "vmamba hub", "dass", "dass hub"])
def test_published_files_have_a_place_for_every_key(layout):
    state = published("small", layout)
    assert len(state) == 276
    renamed = dass.rename(state)
    own = DASS("small", 798, 128, 4).state_dict()
    own = {key: value for key, value in own.items() if not key.startswith("classifier.")}
    head = "head" if "hub" in layout else "classifier.head"
    assert renamed.keys() - own.keys() == {f"{head}.weight", f"{head}.bias"}
    assert own.keys() - renamed.keys() == set()
    other = {key for key in own if renamed[key].shape != own[key].shape}
    assert other == ({"patch_embed.0.weight"} if "vmamba" in layout else set())


def test_values_come_where_they_belong():
    state = published("small", "dass")
    new = dass.rename(state)
    at = "layers.2.blocks.7.op"
    assert torch.equal(
        new[f"{at}.in_proj.weight"][:, :, 0, 0], state[f"module.v.{at}.in_proj.weight"]
    )
    assert torch.equal(new["patch_embed.3.weight"], state["module.v.patch_embed.5.weight"])
    assert torch.equal(
        new["layers.1.downsample.1.bias"], state["module.v.layers.1.downsample.3.bias"]
    )
    assert torch.equal(new["norm.bias"], state["module.v.classifier.norm.bias"])
    hub = published("small", "dass hub")
    found, flat = dass.rename(hub)[f"{at}.x_proj_weight"], hub[f"dass.{at}.x_proj.weight"]
    assert torch.equal(found[2, 5], flat[2 * (24 + 2) + 5])  # path 2: rows come path by path
    found, flat = dass.rename(hub)[f"{at}.dt_projs_weight"], hub[f"dass.{at}.dt_projs.weight"]
    assert torch.equal(found[3, 7], flat[3 * 384 + 7])


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    return tmp_path


def test_imagenet_file_is_loaded_with_a_report(root):
    state = published("small", "vmamba")
    torch.save({"model": state}, root / "vssm1_tiny_0230s_ckpt_epoch_264.pth")
    model = DASS("small", 298, 128, 4)
    asked = Experiment("x", model="dass", size="small", init="imagenet")
    report = pretrained.load_pretrained(model, asked, 298, 128).set_index("key")
    stem = report.loc["patch_embed.0.weight"]
    assert (stem.action, stem.shape_from, stem.shape_to) == (
        "resized", "48 x 3 x 3 x 3", "48 x 1 x 3 x 3",
    )  # fmt: skip
    torch.testing.assert_close(
        model.patch_embed[0].weight[:, 0], state["patch_embed.0.weight"].sum(1)
    )
    counts = pd.Series(report.action).value_counts().to_dict()
    assert counts == {"loaded": 273, "resized": 1, "initialised": 2, "left out": 2}


def test_the_recipe_s_own_file_is_found_and_loaded(root):
    """Lung-SRAD's backbone: DASS medium, AudioSet's second version, as the hub holds it."""
    state = {key: value.contiguous() for key, value in published("medium", "dass hub").items()}
    asked = override(registry.get("dass/ce"), blur=0.0)
    assert weights.find_file(asked) is None
    save_file(state, root / "DASS_medium_AudioSet_48.9.safetensors")
    model = models.build_model(asked, 798, 128)
    report = pretrained.load_pretrained(model, asked, 798, 128)
    fresh = report[report.action == "initialised"].key.tolist()
    assert fresh == ["classifier.weight", "classifier.bias"]
    assert set(report.action) == {"loaded", "initialised", "left out"}
    kept = model.layers[2].blocks[19].op.Ds
    torch.testing.assert_close(kept.data, state["dass.layers.2.blocks.19.op.Ds"])


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


def test_the_parts_make_the_whole():
    torch.manual_seed(0)
    model = DASS("nano", 40, 32, 4).eval()
    x = torch.randn(3, 40, 32)
    z = model.features(x)
    assert z.shape == (3, model.width) == (3, 128)
    assert torch.equal(model(x), model.classifier(model.encode(model.embed(x))))
    map_ = model.layers(model.embed(x))  # (3, 128, 1, 2)
    expected = torch.nn.functional.layer_norm(map_.movedim(1, 3), (128,)).mean((1, 2))
    torch.testing.assert_close(z, expected)


def test_embed_puts_frequency_in_rows_and_time_in_columns():
    torch.manual_seed(0)
    model = DASS("nano", 40, 32, 4)
    x = torch.zeros(1, 40, 32)
    changed = x.clone()
    changed[0, 36:, :4] += 1  # the last frames of the lowest mel bins
    moved = (model.embed(changed) - model.embed(x)).abs().sum((0, 1)) > 1e-6  # (8, 10)
    assert moved[0, -1] and not moved[2:].any() and not moved[:, :-2].any()


def blurred(model):
    return [name for name, layer in model.named_modules() if isinstance(layer, GaussianBlur)]


def test_blur_sits_in_the_third_stage_and_changes_z():
    site = ["layers.2.blocks.2.op.before", "layers.2.blocks.3.op.before"]
    assert blurred(DASS("small", 98, 128, 4, Blur())) == site
    torch.manual_seed(0)
    plain, zero, full = (
        DASS("nano", 98, 128, 4, blur) for blur in (None, Blur(strength=0.0), Blur())
    )
    assert blurred(plain) == [] and blurred(full) == site
    for other in (zero, full):
        other.load_state_dict(plain.state_dict())
    x = torch.randn(2, 98, 128)
    z, z_zero, z_full = (model.eval().features(x) for model in (plain, zero, full))
    assert torch.equal(z, z_zero)
    assert (z - z_full).abs().max() > 1e-4


def test_settings_say_where_it_is_blurred():
    asked = Experiment(
        "x", model="dass", size="mini", blur=0.5, blur_stage=1, blur_blocks="0,1", blur_sigma=2.0
    )
    after = models.build_model(override(asked, blur_at="after", blur_when="training"), 98, 128)
    assert blurred(after) == ["layers.1.blocks.0.op.after", "layers.1.blocks.1.op.after"]
    assert not after.layers[1].blocks[0].op.after.always
    model = models.build_model(asked, 98, 128)
    found = [layer for layer in model.modules() if isinstance(layer, GaussianBlur)]
    assert blurred(model) == ["layers.1.blocks.0.op.before", "layers.1.blocks.1.op.before"]
    assert {layer.strength for layer in found} == {0.5}
    weight = found[0].weight  # sigma 2, five taps: exp(-4 / 8) at the ends
    assert (weight[0] / weight[2]).item() == pytest.approx(0.6065307)
    assert blurred(models.build_model(Experiment("x", model="dass", size="nano"), 98, 128)) == []
    with pytest.raises(UserError, match="blur is for dass, not for ast"):
        models.build_model(Experiment("x", size="nano", blur=1.0), 98, 128)


def test_where_its_weights_are():
    """Both published sizes, ImageNet's and AudioSet's second version, each under its own name."""
    asked = [
        Experiment("x", model="dass", size=size, init=init)
        for size in ("small", "medium")
        for init in ("imagenet", "imagenet+audioset")
    ]
    sources = [weights._source(one) for one in asked]
    assert [one.hub for one in sources] == [
        "saurabhati/VMamba_ImageNet_82.6", "saurabhati/DASS_small_AudioSet_48.6",
        "saurabhati/VMamba_ImageNet_83.6", "saurabhati/DASS_medium_AudioSet_48.9",
    ]  # fmt: skip
    assert sources[3].file == "DASS_medium_AudioSet_48.9.safetensors"


def test_unknown_size_and_missing_blocks():
    with pytest.raises(UserError, match="did you mean 'medium'"):
        DASS("medum", 98, 128, 4)
    for stage in (1, 4):
        with pytest.raises(UserError, match=f"dass nano: no block 3 in stage {stage} to blur"):
            DASS("nano", 98, 128, 4, Blur(stage=stage))


def test_learns():
    torch.manual_seed(0)
    model = DASS("nano", 40, 32, 2)
    y = torch.arange(16) % 2
    x = torch.randn(16, 40, 32) + y[:, None, None] * torch.linspace(0, 1, 32)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(25):
        loss = torch.nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.6 and losses[-1] < 0.1
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


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
    for sign in (1, -2, 1):  # ahead, behind, and back to the start
        with torch.no_grad():
            for p, v in zip(parameters, direction, strict=True):
                p += sign * step * v
        sides.append(gradient())
    size = max(h.abs().max() for h in product)
    for found, ahead, behind in zip(product, *sides[:2], strict=True):
        expected = (ahead - behind) / (2 * step)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6 * size)
