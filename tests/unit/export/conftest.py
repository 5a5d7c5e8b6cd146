"""Fixtures of a small packaged model, and the model that comes with the code as an ONNX file."""

import os
from types import SimpleNamespace

import pytest
from filelock import FileLock
from small_model import breath, packaged, small, trained  # noqa: F401

from lib.export.onnx_file import export_onnx
from lib.predict import model


@pytest.fixture(scope="session")
def shipped(tmp_path_factory):
    """The model that comes with the code and its ONNX file; exported once (half a minute)."""
    predictor, folder = model.load_model(), tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        folder = folder.parent  # of all test processes of this session
    path = folder / "shipped.onnx"
    with FileLock(folder / "shipped.lock"):
        if not path.exists():
            export_onnx(predictor, path)
    return SimpleNamespace(model=predictor, path=path)
