"""Files of pretrained weights: found, missing with a reason, or downloaded."""

import hashlib
import http.server
import threading
from functools import partial

import pytest
import torch

from lib.config import Experiment
from lib.errors import UserError
from lib.models import build, pretrained, weights

RESNET = Experiment("resnet", model="resnet18", init="imagenet")
CNN6 = Experiment("cnn6", model="cnn6", init="audioset")
MN04 = Experiment("mn04", model="mn04", init="audioset")


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    """An empty folder for weights and no hub cache."""
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path / "weights"))
    monkeypatch.setattr(weights.huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def test_missing_weights_say_what_to_do(monkeypatch):
    monkeypatch.setattr(weights, "_network_problem", lambda url: " or go online")
    small = Experiment("x", size="small", init="imagenet+audioset")
    reason = "none are published for ast-small imagenet+audioset"
    assert weights.missing_reason(small) == f"weights not found: {reason}"
    assert weights.missing_reason(RESNET) == (
        "weights not found: put resnet18.tv_in1k.safetensors into weights/ "
        "(from timm/resnet18.tv_in1k) or go online"
    )
    for experiment in (RESNET, small):
        with pytest.raises(UserError, match=f"{experiment.name}: weights not found"):
            weights.fingerprint(experiment)


def test_no_weights_are_needed_without_init_or_with_the_package():
    scratch = Experiment("x", size="nano")
    assert weights.missing_reason(scratch) == weights.fingerprint(scratch) == ""
    assert weights.find_file(scratch) is None
    assert (
        weights.missing_reason(Experiment("x", model="efficientnet_lite0", init="imagenet")) == ""
    )


def test_fingerprint_is_of_the_bytes(root):
    path = root / weights.SOURCES["mn04", "audioset"].file
    path.write_bytes(b"some bytes")
    assert weights.find_file(MN04) == path
    assert weights.fingerprint(MN04) == hashlib.sha256(b"some bytes").hexdigest()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def site(tmp_path):
    """A web site of the folder `site`."""
    (tmp_path / "site").mkdir()
    handler = partial(Quiet, directory=str(tmp_path / "site"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield tmp_path / "site", f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_weights_are_downloaded_when_online(root, site, monkeypatch):
    folder, address = site
    source = weights.Source("cnn6.pth", url=f"{address}/cnn6.pth")
    monkeypatch.setitem(weights.SOURCES, ("cnn6", "audioset"), source)
    assert "weights not found" in weights.missing_reason(CNN6)
    weights._network_problem.cache_clear()
    donor = build.build_model(CNN6, 98, 64)
    torch.save({"model": donor.state_dict()}, folder / "cnn6.pth")
    assert weights.missing_reason(CNN6) == "" and not (root / "cnn6.pth").exists()
    model = build.build_model(CNN6, 98, 64)
    pretrained.load_pretrained(model, CNN6, 98, 64)
    assert (root / "cnn6.pth").read_bytes() == (folder / "cnn6.pth").read_bytes()
    assert torch.equal(model.fc1.weight, donor.fc1.weight)
