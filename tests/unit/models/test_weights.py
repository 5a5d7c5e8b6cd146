"""Pretrained weights: published layouts into our models, every key accounted for."""

import hashlib
import http.server
import pickle
import threading

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from lib import models
from lib.config import Experiment, override
from lib.errors import UserError
from lib.models import pretrained, weights
from lib.models.weights import huggingface_hub

RESNET = Experiment("resnet", model="resnet18", init="imagenet")
CNN6 = Experiment("cnn6", model="cnn6", init="audioset")
MN04 = Experiment("mn04", model="mn04", init="audioset")


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    """An empty folder for weights, no hub cache and no network."""
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path / "weights"))
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(weights, "_reachable", lambda url: False)
    (tmp_path / "weights").mkdir()
    torch.manual_seed(0)
    return tmp_path / "weights"


def put(root, experiment: Experiment, state: dict) -> None:
    path = root / weights.SOURCES[weights._name(experiment), experiment.init].file
    if path.suffix == ".safetensors":
        save_file({key: value.contiguous() for key, value in state.items()}, path)
    else:
        torch.save(state, path)


def loaded(experiment: Experiment, frames: int = 98, mels: int = 64):
    model = models.build_model(experiment, frames, mels).eval()
    report = pretrained.load_pretrained(model, experiment, frames, mels)
    assert report.key.is_unique and list(report.columns) == pretrained.COLUMNS
    assert set(model.state_dict()) <= set(report.key)
    return model, report.set_index("key")


def test_no_weights():
    experiment = Experiment("x", size="nano")
    model = models.build_model(experiment, 98, 64)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    report = pretrained.load_pretrained(model, experiment, 98, 64)
    assert set(report.action) == {"initialised"} and set(report.key) == set(before)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert weights.missing_reason(experiment) == weights.fingerprint(experiment) == ""
    assert weights.find_file(experiment) is None


@pytest.mark.parametrize("stem", ["random", "summed"])
def test_resnet18_stem(root, stem):
    published = torchvision.models.resnet18()
    put(root, RESNET, published.state_dict())
    model, report = loaded(override(RESNET, stem=stem))
    row = report.loc["trunk.conv1.weight"]
    assert (row.shape_from, row.shape_to) == ("64 x 3 x 7 x 7", "64 x 1 x 7 x 7")
    assert set(report.loc[["trunk.fc.weight", "trunk.fc.bias"]].action) == {"left out"}
    assert set(report.loc[["classifier.weight", "classifier.bias"]].action) == {"initialised"}
    assert report.action.value_counts().loaded == len(published.state_dict()) - 3
    assert torch.equal(model.trunk.layer4[1].conv2.weight, published.layer4[1].conv2.weight)
    if stem == "random":
        assert row.action == "initialised"
        return
    assert row.action == "resized"
    x = torch.randn(2, 98, 64)  # the summed stem sees what RGB of three equal channels gives
    published.fc = torch.nn.Identity()
    with torch.no_grad():
        expected = published.eval()(x[:, None].expand(-1, 3, -1, -1))
        torch.testing.assert_close(model.features(x), expected, atol=1e-4, rtol=1e-3)


def test_efficientnet_b0(root):
    experiment = Experiment("b0", model="efficientnet_b0", init="imagenet", stem="summed")
    published = timm.create_model("efficientnet_b0").eval()
    put(root, experiment, published.state_dict())
    model, report = loaded(experiment)
    assert report.loc["trunk.conv_stem.weight"].how == "summed over the RGB channels"
    x = torch.randn(2, 98, 64)
    with torch.no_grad():
        expected = published.forward_head(
            published.forward_features(x[:, None].expand(-1, 3, -1, -1)), pre_logits=True
        )
        torch.testing.assert_close(model.features(x), expected, atol=1e-4, rtol=1e-3)


def test_efficientnet_lite0_comes_from_its_package():
    experiment = Experiment("lite0", model="efficientnet_lite0", init="imagenet")
    assert weights.missing_reason(experiment) == ""
    model, report = loaded(experiment)
    assert set(report[report.action == "initialised"].index) == {
        "trunk.conv_stem.weight", "classifier.weight", "classifier.bias",
    }  # fmt: skip
    assert set(report[report.action == "left out"].index) == {
        "trunk.classifier.weight", "trunk.classifier.bias",
    }  # fmt: skip
    # Both list their layers in the order of the forward pass: an independent way to pair them.
    file = torch.load(weights.find_file(experiment), weights_only=True)
    oracle = timm.create_model("tf_efficientnet_lite0").state_dict()
    own = model.trunk.state_dict()
    for key, value in list(zip(oracle, file.values(), strict=True))[1:-2]:
        assert torch.equal(own[key], value), key
    count = sum(p.numel() for p in model.parameters())
    assert count == 4_652_008 - 2 * 32 * 9 - 996 * 1281


def test_deit_as_ast_of_one_channel(root):
    """On a grid of DeiT's own size our AST is timm's DeiT, RGB being three equal channels."""
    experiment = Experiment(
        "ast", size="tiny", init="imagenet", stride=16, pos_embed="aligned", model="ast"
    )
    published = timm.create_model("deit_tiny_distilled_patch16_224").eval()
    put(root, experiment, published.state_dict())
    model, report = loaded(experiment, 224, 224)
    assert report.loc["vit.pos_embed"].action == "loaded"
    assert report.loc["vit.patch_embed.proj.weight"].action == "resized"
    assert {"vit.head.weight", "vit.head_dist.bias"} <= set(
        report[report.action == "left out"].index
    )
    x = torch.randn(2, 224, 224)
    with torch.no_grad():
        image = x.transpose(1, 2)[:, None].expand(-1, 3, -1, -1)
        expected = published.forward_features(image)[:, :2].mean(1)
        torch.testing.assert_close(model.features(x), expected, atol=1e-4, rtol=1e-3)


def test_deit_at_8_seconds(root):
    """14 x 14 positions for 12 x 79 tokens, with the axes swapped as published."""
    experiment = Experiment("ast", size="tiny", init="imagenet")
    put(root, experiment, timm.create_model("deit_tiny_distilled_patch16_224").state_dict())
    _, report = loaded(experiment, 798, 128)
    row = report.loc["vit.pos_embed"]
    assert row.how == "14 x 14 to 79 x 12, axes swapped as published"
    assert (row.shape_from, row.shape_to) == ("1 x 198 x 192", "1 x 950 x 192")


def test_cnn6_in_the_layout_of_panns(root):
    donor = models.build_model(CNN6, 98, 64)
    state = {k: v for k, v in donor.state_dict().items() if not k.startswith("classifier")}
    state |= {"fc_audioset.weight": torch.randn(527, 512), "logmel_extractor.melW": torch.ones(9)}
    put(root, CNN6, {"iteration": 600_000, "model": state})
    model, report = loaded(CNN6, mels=128)
    assert torch.equal(model.conv_block4.conv1.weight, state["conv_block4.conv1.weight"])
    assert report.loc["bn0.weight"].action == "initialised"
    assert (report.loc["bn0.weight"].shape_from, report.loc["bn0.weight"].shape_to) == ("64", "128")
    assert set(report[report.action == "left out"].index) == {
        "fc_audioset.weight", "logmel_extractor.melW",
    }  # fmt: skip


def test_weights_of_another_shape(root):
    put(root, RESNET, _narrow())
    with pytest.raises(UserError, match=r"trunk\.bn1\.weight has shape 32, the model needs 64"):
        loaded(RESNET)


def _narrow() -> dict:
    state = torchvision.models.resnet18().state_dict()
    return {key: value[:32] if value.ndim else value for key, value in state.items()}


def test_weights_of_another_model(root):
    put(root, RESNET, {"something.else": torch.ones(3)})
    with pytest.raises(UserError, match="has no weights for trunk.bn1.weight"):
        loaded(RESNET)


class Payload:
    """Unpickling this would run code."""

    def __reduce__(self):
        return print, ("code inside the weights was run",)


def test_damaged_and_dangerous_files(root, capsys):
    path = root / weights.SOURCES["mn04", "audioset"].file
    for content in (b"", b"not weights", pickle.dumps({"a": Payload()}, protocol=2)):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"mn04_as.*not readable as weights.*fetch it again"):
            loaded(MN04)
    path = root / weights.SOURCES["resnet18", "imagenet"].file
    path.write_bytes(b"\x00" * 40)
    with pytest.raises(UserError, match="resnet18.*not readable"):
        loaded(RESNET)
    assert "was run" not in capsys.readouterr().out


def test_missing_weights_say_what_to_do():
    assert weights.missing_reason(RESNET) == (
        "weights not found: put resnet18.tv_in1k.safetensors into weights/ "
        "(from timm/resnet18.tv_in1k) or go online"
    )
    small = Experiment("x", size="small", init="imagenet+audioset")
    assert "none are published for ast-small imagenet+audioset" in weights.missing_reason(small)
    for experiment in (RESNET, small):
        with pytest.raises(UserError, match=f"{experiment.name}: weights not found"):
            pretrained.load_pretrained(models.build_model(experiment, 98, 128), experiment, 98, 128)
        with pytest.raises(UserError, match="weights not found"):
            weights.fingerprint(experiment)


def test_fingerprint_is_of_the_bytes(root):
    path = root / weights.SOURCES["mn04", "audioset"].file
    path.write_bytes(b"some bytes")
    assert weights.find_file(MN04) == path
    assert weights.fingerprint(MN04) == hashlib.sha256(b"some bytes").hexdigest()


@pytest.fixture
def site(tmp_path):
    """A web site of the folder `site`."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": _silent})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *a: handler(*a, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def _silent(*_):
    pass


def test_weights_are_fetched_when_online(root, site, monkeypatch):
    folder, address = site
    monkeypatch.undo()
    monkeypatch.setenv("WEIGHTS_ROOT", str(root))
    source = weights.Source("cnn6.pth", url=f"{address}/cnn6.pth")
    monkeypatch.setitem(weights.SOURCES, ("cnn6", "audioset"), source)
    assert "weights not found" in weights.missing_reason(CNN6)
    weights._reachable.cache_clear()
    torch.save({"model": models.build_model(CNN6, 98, 64).state_dict()}, folder / "cnn6.pth")
    assert weights.missing_reason(CNN6) == "" and not (root / "cnn6.pth").exists()
    _, report = loaded(CNN6)
    assert (root / "cnn6.pth").read_bytes() == (folder / "cnn6.pth").read_bytes()
    assert report.loc["fc1.weight"].action == "loaded"
