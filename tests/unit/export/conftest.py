"""Fixtures of a small packaged model, and the model that comes with the code as an ONNX file."""

from types import SimpleNamespace

import pytest
from small_model import breath, packaged, small, trained  # noqa: F401

from lib.export.onnx_file import export_onnx
from lib.predict import model


@pytest.fixture(scope="session")
def shipped(tmp_path_factory):
    """The model that comes with the code and its ONNX file; exported once (half a minute)."""
    predictor = model.load_model()
    path = export_onnx(predictor, tmp_path_factory.mktemp("onnx") / "model.onnx")
    return SimpleNamespace(model=predictor, path=path)
