"""Files of pretrained weights: found, missing with a reason, or downloaded."""

import hashlib
import http.server
import threading
from dataclasses import replace
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


# Networks that are not as they should be


class Refusing(http.server.BaseHTTPRequestHandler):
    """Answers every request with `server.code`, or with a page to sign in if that is 200."""

    def do_GET(self):
        self.send_response(self.server.code)
        page = b"<html>sign in</html>"
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(page)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def refusing(monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    source = weights.Source("cnn6.pth", url=f"http://127.0.0.1:{server.server_port}/cnn6.pth")
    monkeypatch.setitem(weights.SOURCES, ("cnn6", "audioset"), source)
    weights._network_problem.cache_clear()
    yield server
    server.shutdown()


@pytest.mark.parametrize(
    ("code", "reason"),
    [(403, "Forbidden"), (404, "Not Found"), (429, "Too Many Requests"), (503, "Service")],
)
def test_what_a_server_answers_is_said(refusing, code, reason):
    refusing.code = code
    said = weights.missing_reason(CNN6)
    assert said.startswith("weights not found: put cnn6.pth into weights/ (from http")
    assert f"); the server answers {code} {reason}" in said


@pytest.mark.parametrize("code", [405, 501])
def test_a_server_that_answers_no_probe_may_have_the_file(refusing, code):
    refusing.code = code
    assert weights.missing_reason(CNN6) == ""


def test_a_page_of_the_network_is_not_stored_as_weights(refusing, root):
    refusing.code = 200
    assert weights.missing_reason(CNN6) == ""
    sha256, reason = weights.find_fingerprint(CNN6)
    assert sha256 is None and "a web page, not the file (sign in to the network" in reason
    with pytest.raises(UserError, match="a web page, not the file"):
        weights.local_file(CNN6)
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("proxy", ["no proxy", "http://[", "http://host:port", "ftp://x:1:2"])
def test_a_broken_proxy_setting_ends_nothing(monkeypatch, proxy):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.setenv("no_proxy", "")
    weights._network_problem.cache_clear()
    for experiment in (CNN6, RESNET):
        assert weights.find_fingerprint(experiment)[1].endswith("or go online")


def test_a_damaged_hub_cache_ends_nothing(monkeypatch):
    def fail(*_):
        raise NotADirectoryError(20, "Not a directory")

    monkeypatch.setattr(weights.huggingface_hub, "try_to_load_from_cache", fail)
    assert weights.find_file(RESNET) is None


def test_published_checksums_are_those_of_the_files(root, site, monkeypatch):
    folder, address = site
    known = weights.SOURCES["mn04", "audioset"]
    assert known.checksum.startswith("sha256:") and weights.SOURCES["cnn6", "audioset"].checksum
    source = replace(known, url=f"{address}/mn04.pt")
    monkeypatch.setitem(weights.SOURCES, ("mn04", "audioset"), source)
    weights._network_problem.cache_clear()
    (folder / "mn04.pt").write_bytes(b"another file")
    with pytest.raises(UserError, match="another file than the published one .its sha256"):
        weights.local_file(MN04)
    assert list(root.iterdir()) == []
