"""The page that listens: what is in it, and that the published one is that of the code."""

import hashlib
import json
import re

import numpy as np
import onnx
import pytest
from bs4 import BeautifulSoup
from listening_page import PUBLISHED, unpack

from lib import __main__ as front
from lib.errors import UserError
from lib.export import page, runtime
from lib.predict.answer import WARNING
from lib.predict.model import RESEARCH_ONLY

PARTS = {runtime.SCRIPT: b"let a;\n//# sourceMappingURL=a.map", runtime.WASM: b"wasm"}
REBUILD = "./run_all.sh export mn04-sprsound --out reports/listen.html"


def script_of(text):
    """What decides an answer, with the facts that it knows."""
    return BeautifulSoup(text, "html.parser").find("script", type="module").string


def split_model(content):
    """An ONNX file without its numbers, and these."""
    proto = onnx.load_from_string(content)
    constants = [item.t for node in proto.graph.node for item in node.attribute if item.t.dims]
    tensors = [*proto.graph.initializer, *constants]
    arrays = [onnx.numpy_helper.to_array(tensor).copy() for tensor in tensors]
    for tensor in tensors:
        tensor.ClearField("raw_data")
    return proto.SerializeToString(deterministic=True), arrays


def test_all_that_it_needs_is_inside_and_its_policy_forbids_requests(shipped):
    exported = shipped.path.read_bytes()
    text = page.render_page(shipped.model, exported, PARTS)
    soup = BeautifulSoup(text, "html.parser")
    assert unpack(text, "model") == exported and unpack(text, "wasm") == b"wasm"
    assert unpack(text, "runtime") == b"let a;"  # no address of a source map
    assert not soup.select("script[src], link, img, iframe, audio[src]")
    policy = soup.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
    assert policy.startswith("default-src 'none'") and "connect-src" not in policy
    assert "http" not in policy and "*" not in policy
    sha256 = hashlib.sha256(exported).hexdigest()
    for words in (RESEARCH_ONLY, "ONNX Runtime Web", "Microsoft", "without restriction", sha256,
                  "models/mn04-sprsound/card.md"):  # fmt: skip
        assert words in text


def test_facts_are_those_of_the_model_and_of_predict(shipped):
    facts = json.loads(json.dumps(page.facts(shipped.model)))
    assert facts["classes"] == list(shipped.model.classes) and facts["warning"] == WARNING
    sizes = dict(facts["detectors"]["sizes"])
    assert sizes["components"] == 64 * 896 and sizes["mean"] == 896
    assert len(page.pack(b"")) and facts["clipSeconds"] == 3.0


def test_a_model_that_cuts_clips_in_another_way_is_named(small):
    object.__setattr__(small.network.front, "pad", "zero")
    with pytest.raises(UserError, match="pad = zero.*export it as .onnx"):
        page.render_page(small, b"", PARTS)


def test_the_published_page_is_that_of_the_code(shipped):
    """All but the style, which changes no answer."""
    exported, text = shipped.path.read_bytes(), PUBLISHED.read_text(encoding="utf-8")
    parts = {runtime.SCRIPT: unpack(text, "runtime"), runtime.WASM: unpack(text, "wasm")}
    fresh = page.render_page(shipped.model, exported, parts)
    assert script_of(text) == script_of(fresh), f"rebuild it: {REBUILD}"
    assert unpack(text, "detectors") == unpack(fresh, "detectors"), f"rebuild it: {REBUILD}"
    (published, numbers), (graph, expected) = map(split_model, (unpack(text, "model"), exported))
    assert published == graph, f"rebuild it: {REBUILD}"
    for number, array in zip(numbers, expected, strict=True):
        limit = 1e-4 * np.abs(array).max(initial=0)  # processors round its filter bank differently
        np.testing.assert_allclose(number, array, rtol=0, atol=limit, err_msg=REBUILD)
    assert re.search(
        rf"ONNX Runtime Web v{re.escape(runtime.VERSION)}", parts[runtime.SCRIPT].decode()
    )
    assert len(text) < 10_500_000


def test_without_the_runtime_nothing_is_written(shipped, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path / "weights"))
    monkeypatch.setattr(runtime, "_address", lambda _: (tmp_path / "gone.tgz").as_uri())
    monkeypatch.setattr(page, "onnx_bytes", lambda _: shipped.path.read_bytes())
    out = tmp_path / "listen.html"
    assert front.main(["export", "mn04-sprsound", "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        "gone.tgz" in line and f"put the file to {tmp_path / 'weights' / runtime.ARCHIVE}" in line
    )
    assert not out.exists()
