"""Published layouts of weights in our models: every key accounted for, the same features."""

import pickle

import pytest
import timm
import torch
from safetensors.torch import save_file

from lib.config import Experiment, override
from lib.errors import UserError
from lib.models import build, pretrained, weights

RESNET = Experiment("resnet", model="resnet18", init="imagenet")
LITE = Experiment("lite0", model="efficientnet_lite0", init="imagenet")
CNN6 = Experiment("cnn6", model="cnn6", init="audioset")
TINY = Experiment("ast", size="tiny", init="imagenet")
DEIT = "deit_tiny_distilled_patch16_224"


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    """An empty folder for weights, no hub cache and no network."""
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path / "weights"))
    monkeypatch.setattr(weights.huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(weights, "_network_problem", lambda url: " or go online")
    (tmp_path / "weights").mkdir()
    torch.manual_seed(0)
    return tmp_path / "weights"


def put(root, name: str, init: str, state: dict) -> None:
    path = root / weights.SOURCES[name, init].file
    if path.suffix == ".safetensors":
        save_file({key: value.contiguous() for key, value in state.items()}, path)
    else:
        torch.save(state, path)


def load(experiment: Experiment, frames: int = 98, mels: int = 64):
    model = build.build_model(experiment, frames, mels).eval()
    report = pretrained.load_pretrained(model, experiment, frames, mels)
    assert report.key.is_unique and list(report.columns) == pretrained.COLUMNS
    assert set(model.state_dict()) <= set(report.key)
    return model, report.set_index("key")


def keys(report, action: str) -> set[str]:
    return set(report.index[report.action == action])


def both(layer: str) -> set[str]:
    return {f"{layer}.weight", f"{layer}.bias"}


def assert_same_features(model, published, x, image) -> None:
    """published gives the features of an RGB image whose three channels are equal."""
    with torch.no_grad():
        expected = published(image[:, None].expand(-1, 3, -1, -1))
        torch.testing.assert_close(model.features(x), expected, atol=1e-4, rtol=1e-3)


def test_without_weights_every_key_is_initialised():
    experiment = Experiment("x", size="nano")
    model = build.build_model(experiment, 98, 64)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    report = pretrained.load_pretrained(model, experiment, 98, 64)
    assert set(report.action) == {"initialised"} and set(report.key) == set(before)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0"])
@pytest.mark.parametrize("stem", ["random", "summed"])
def test_cnns_with_either_stem(root, name, stem):
    published = timm.create_model(name).eval()
    state = published.state_dict()
    put(root, name, "imagenet", state)
    model, report = load(Experiment("x", model=name, init="imagenet", stem=stem))
    key, head = ("conv1", "fc") if name == "resnet18" else ("conv_stem", "classifier")
    row = report.loc[f"trunk.{key}.weight"]
    changed = ("initialised", "stem = random, as published")
    changed = ("resized", "summed over the RGB channels") if stem == "summed" else changed
    assert (row.action, row.how) == changed
    shape = " x ".join(map(str, state[f"{key}.weight"].shape))
    assert (row.shape_from, row.shape_to) == (shape, shape.replace("x 3", "x 1", 1))
    assert keys(report, "left out") == both(f"trunk.{head}")
    assert keys(report, "initialised") - {row.name} == both("classifier")
    assert len(keys(report, "loaded")) == len(state) - 3
    if stem == "summed":
        published.reset_classifier(0)
        x = torch.randn(2, 98, 64)
        assert_same_features(model, published, x, x)


def test_efficientnet_lite0_comes_from_its_package():
    """Its layers have other names there: some by hand, of the first block and of a later one."""
    state = torch.get_rng_state()
    file = torch.load(weights.find_file(LITE), weights_only=True)
    renamed = pretrained.RENAME[LITE.model](file)
    assert torch.equal(torch.get_rng_state(), state)
    for ours, published in {
        "conv_stem": "_conv_stem", "bn2": "_bn1", "classifier": "_fc",
        "blocks.0.0.conv_dw": "_blocks.0._depthwise_conv", "blocks.0.0.bn2": "_blocks.0._bn2",
        "blocks.3.1.conv_pw": "_blocks.6._expand_conv", "blocks.3.1.bn3": "_blocks.6._bn2",
        "blocks.6.0.conv_pwl": "_blocks.15._project_conv",
    }.items():  # fmt: skip
        assert renamed[f"trunk.{ours}.weight"] is file[f"{published}.weight"], ours
    model, report = load(LITE)
    assert keys(report, "initialised") == {"trunk.conv_stem.weight"} | both("classifier")
    assert keys(report, "left out") == both("trunk.classifier")
    count = sum(p.numel() for p in model.parameters())
    assert count == 4_652_008 - 2 * 32 * 9 - 996 * 1281
    assert pretrained.RENAME[LITE.model]({"other": torch.ones(2)}).keys() == {"other"}


def test_deit_as_ast_of_one_channel(root):
    """On a grid of DeiT's own size our AST is timm's DeiT."""
    published = timm.create_model(DEIT).eval()
    put(root, "ast-tiny", "imagenet", published.state_dict())
    model, report = load(override(TINY, stride=16, pos_embed="aligned"), 224, 224)
    assert report.loc["vit.pos_embed"].action == "loaded"
    assert report.loc["vit.patch_embed.proj.weight"].action == "resized"
    assert keys(report, "left out") == both("vit.head") | both("vit.head_dist")
    x = torch.randn(2, 224, 224)

    def features(image):
        return published.forward_features(image)[:, :2].mean(1)

    assert_same_features(model, features, x, x.transpose(1, 2))


def test_deit_at_8_seconds(root):
    """14 x 14 positions for 12 x 79 tokens, with the axes swapped as published."""
    put(root, "ast-tiny", "imagenet", timm.create_model(DEIT).state_dict())
    row = load(TINY, 798, 128)[1].loc["vit.pos_embed"]
    assert row.how == "14 x 14 to 79 x 12, axes swapped as published"
    assert (row.shape_from, row.shape_to) == ("1 x 198 x 192", "1 x 950 x 192")


def test_the_authors_own_audioset_file_of_ast(root):
    """All keys begin with `module.v.`, or with `module.mlp_head.`, and it has another name."""
    experiment = override(TINY, init="imagenet+audioset", size="base")
    model = timm.create_model("deit_base_distilled_patch16_384", in_chans=1)
    state = {f"module.v.{key}": value for key, value in model.state_dict().items()}
    state["module.v.pos_embed"] = torch.randn(1, 2 + 12 * 101, 768)
    state["module.mlp_head.1.weight"] = torch.randn(527, 768)
    torch.save(state, root / "audioset_10_10_0.4593.pth")
    model, report = load(experiment, 798, 128)
    assert report.loc["vit.pos_embed"].how == "12 x 101 to 79 x 12, axes swapped as published"
    left = both("vit.head") | both("vit.head_dist") | {"vit.module.mlp_head.1.weight"}
    assert keys(report, "left out") == left
    new = keys(report, "initialised")
    assert new and all(key.startswith("classifier.") for key in new)
    published = state["module.v.blocks.11.attn.qkv.weight"]
    assert torch.equal(model.vit.blocks[11].attn.qkv.weight, published)


def test_a_file_without_names_is_no_weights(root):
    put(root, "cnn6", "audioset", torch.ones(3))
    with pytest.raises(UserError, match="holds no weights with names; fetch it again"):
        load(CNN6)


def test_cnn6_in_the_layout_of_panns(root):
    donor = build.build_model(CNN6, 98, 64)
    state = {k: v for k, v in donor.state_dict().items() if not k.startswith("classifier")}
    state |= {"fc_audioset.weight": torch.randn(527, 512), "logmel_extractor.melW": torch.ones(9)}
    put(root, "cnn6", "audioset", {"iteration": 600_000, "model": state})
    model, report = load(CNN6, mels=128)
    assert torch.equal(model.conv_block4.conv1.weight, state["conv_block4.conv1.weight"])
    row = report.loc["bn0.weight"]
    assert (row.action, row.shape_from, row.shape_to) == ("initialised", "64", "128")
    assert keys(report, "left out") == {"fc_audioset.weight", "logmel_extractor.melW"}


def test_the_encoder_of_another_run(tmp_path):
    """Its projector is left out; classifiers may differ in their classes, encoders may not."""
    experiment = Experiment("x", size="nano", method="patchmix_cl")
    donor, model = (build.build_model(experiment, 98, 64, n) for n in (3, 4))
    build.add_projector(donor, experiment)
    save_file(donor.state_dict(), tmp_path / "run.safetensors")
    new = {key: v.clone() for key, v in model.state_dict().items() if key.startswith("classifier")}
    report = pretrained.load_encoder(model, tmp_path / "run.safetensors").set_index("key")
    for key, value in model.state_dict().items():
        assert torch.equal(value, new[key] if key in new else donor.state_dict()[key])
    assert keys(report, "initialised") == set(new)
    assert keys(report, "left out") == {k for k in donor.state_dict() if k.startswith("projector")}
    other = build.build_model(override(experiment, size="mini"), 98, 64)
    with pytest.raises(UserError, match="run.safetensors: vit.cls_token has shape 1 x 1 x 32"):
        pretrained.load_encoder(other, tmp_path / "run.safetensors")


def test_weights_of_another_model_or_shape_are_errors(root):
    state = timm.create_model("resnet18").state_dict()
    narrow = {key: value[:32] if value.ndim else value for key, value in state.items()}
    for file, message in (
        (narrow, r"trunk\.bn1\.weight has shape 32, the model needs 64"),
        ({"something.else": torch.ones(3)}, "has no weights for trunk.bn1.weight"),
    ):
        put(root, "resnet18", "imagenet", file)
        with pytest.raises(UserError, match=message):
            load(RESNET)


class Payload:
    """Unpickling this would run code."""

    def __reduce__(self):
        return print, ("code inside the weights was run",)


def test_a_flipped_bit_in_a_torch_file_is_found(root):
    """In the numbers of a tensor, which torch reads without the archive's checksums."""
    state = build.build_model(CNN6, 98, 64).state_dict()
    put(root, "cnn6", "audioset", {"model": state})
    load(CNN6)
    path = root / weights.SOURCES["cnn6", "audioset"].file
    content = bytearray(path.read_bytes())
    place = content.index(state["conv_block1.conv1.weight"].numpy().tobytes())
    content[place + 7] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="not readable as weights .*does not match its checksum"):
        load(CNN6)


def test_a_tensor_that_is_marked_as_a_folder_is_found(root):
    """torch would return memory that nobody has set."""
    put(root, "cnn6", "audioset", {"model": build.build_model(CNN6, 98, 64).state_dict()})
    path = root / weights.SOURCES["cnn6", "audioset"].file
    content = bytearray(path.read_bytes())
    name = content.rindex(b"/data/5")
    content[content.rindex(b"PK\1\2", 0, name) + 38] = 0x10
    path.write_bytes(content)
    with pytest.raises(UserError, match="not readable as weights .*holds a folder"):
        load(CNN6)


def test_damaged_and_dangerous_files(root, capsys):
    pickled = pickle.dumps({"a": Payload()}, protocol=2)
    for experiment, content in (
        (CNN6, b""),
        (CNN6, b"no weights"),
        (CNN6, pickled),
        (RESNET, b"\0" * 40),
    ):
        name = weights.SOURCES[experiment.model, experiment.init].file
        (root / name).write_bytes(content)
        with pytest.raises(UserError, match=f"{name}: not readable as weights.*fetch it again"):
            load(experiment)
    assert "was run" not in capsys.readouterr().out
