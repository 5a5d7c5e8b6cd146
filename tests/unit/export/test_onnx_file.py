"""The ONNX file gives what Python gives."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from lib import __main__ as front
from lib.data.audio import read_at
from lib.paths import PROJECT
from lib.predict.detectors import clip_descriptors, describe
from lib.predict.recording import read_recording, windows
from lib.predict.sounds import RATE_HZ, made_up_sound

SAME = 1e-4  # two float32 programs of one network: 7e-6 is the largest difference seen


def run_onnx(path, clips):
    """The outputs by name, and the metadata."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    outputs = session.run(names, {"waveform": clips})
    return dict(zip(names, outputs, strict=True)), session.get_modelmeta().custom_metadata_map


@pytest.fixture
def clips(shipped, breath):
    """Clips of a synthetic breath and of made-up sounds, (B, samples)."""
    recording = read_recording(breath, shipped.model.network.front)
    (heard,) = recording.batches(windows(recording.seconds, 3.0, 1.0))
    others = [made_up_sound(kind, 1)[: 3 * RATE_HZ] for kind in ("speech", "rubbing", "hum")]
    return np.concatenate([heard[:4], np.stack(others)]).astype(np.float32)


def test_every_output_equals_python_on_any_number_of_clips(shipped, clips):
    network, waves = shipped.model.network, torch.from_numpy(clips)
    with torch.no_grad():
        expected = {
            "probabilities": network(waves),
            "log_mel": network.filter_bank(waves),
            "descriptor": clip_descriptors(network, waves),
        }
    found, metadata = run_onnx(shipped.path, clips)
    first, _ = run_onnx(shipped.path, clips[:1])
    assert list(found) == list(first) == list(expected)
    for name, values in expected.items():
        # Log-mels are logarithms of sums of squares, whose float32 errors show where it is silent.
        atol = SAME if name == "probabilities" else 1e-2
        np.testing.assert_allclose(found[name], values.numpy(), atol=atol, err_msg=name)
        np.testing.assert_allclose(first[name], found[name][:1], atol=atol, err_msg=name)
    assert json.loads(metadata["classes"]) == list(shipped.model.classes)
    assert json.loads(metadata["rate_hz"]) == 16000


def test_detectors_read_the_descriptors_of_the_file(shipped, clips):
    detectors, (found, _) = shipped.model.detectors, run_onnx(shipped.path, clips)
    for i, clip in enumerate(clips):
        ours, theirs = describe(shipped.model.network, [clip[None]]), found["descriptor"][i]
        assert detectors.distance(theirs) == pytest.approx(detectors.distance(ours), rel=1e-3)
        assert detectors.lung_sound(theirs) == pytest.approx(detectors.lung_sound(ours), rel=1e-2)


def test_the_file_is_valid_small_and_names_no_folder(shipped):
    content = shipped.path.read_bytes()
    assert str(PROJECT).encode() not in content and b"site-packages" not in content
    assert len(content) < 4_200_000
    onnx.checker.check_model(onnx.load_from_string(content))


def test_a_run_without_detectors_has_no_descriptor(trained, tmp_path, capsys):
    out = tmp_path / "model.onnx"
    assert front.main(["export", str(trained.folder), "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    found, _ = run_onnx(out, np.zeros((1, 16000), np.float32))
    assert list(found) == ["probabilities", "log_mel"]


def test_probabilities_of_real_clips(shipped, sprsound_root):
    paths = sorted(sprsound_root.rglob("*test2022_wav/*.*"))[:50]
    samples = shipped.model.network.samples
    clips = np.stack([np.resize(read_at(path, 16000), samples) for path in paths])
    with torch.no_grad():
        expected = shipped.model.network(torch.from_numpy(clips)).numpy()
    found, _ = run_onnx(shipped.path, clips)
    np.testing.assert_allclose(found["probabilities"], expected, atol=SAME)
