"""The ONNX file gives what Python gives."""

import json

import numpy as np
import pytest
import torch

from lib import __main__ as front
from lib.data.audio import read_at
from lib.predict import model
from lib.predict.export import export_onnx
from lib.predict.recording import read_recording, windows

onnxruntime = pytest.importorskip(
    "onnxruntime", reason="the extra requirements-export.txt is not installed"
)


def run_onnx(path, clips):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"waveform": clips})
    return probabilities, session.get_modelmeta().custom_metadata_map


def test_onnx_equals_python_on_any_number_of_clips(packaged, breath, tmp_path, capsys):
    out = tmp_path / "model.onnx"
    assert front.main(["export", str(packaged), "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    small = model.load_model(str(packaged))
    recording = read_recording(breath, small.network.front)
    (clips,) = recording.batches(windows(recording.seconds, 1.0, 1.0))
    with torch.no_grad():
        expected = small.network(torch.from_numpy(clips)).numpy()
    found, metadata = run_onnx(out, clips)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(run_onnx(out, clips[:1])[0], expected[:1], atol=1e-4)
    assert json.loads(metadata["classes"]) == list(small.classes)
    assert json.loads(metadata["rate_hz"]) == 16000
    assert out.stat().st_size < 6_000_000


def test_the_shipped_model_on_real_clips(sprsound_root, tmp_path):
    shipped = model.load_model()
    out = export_onnx(shipped, tmp_path / "model.onnx")
    paths = sorted(sprsound_root.rglob("*test2022_wav/*.*"))[:50]
    samples = shipped.network.samples
    clips = np.stack([np.resize(read_at(path, 16000), samples) for path in paths])
    with torch.no_grad():
        expected = shipped.network(torch.from_numpy(clips)).numpy()
    # Two float32 programs of one network: 1.3e-4 is the largest difference seen on these clips.
    np.testing.assert_allclose(run_onnx(out, clips)[0], expected, atol=5e-4)
