"""The command export: the end of the output's name says what a model becomes."""

from pathlib import Path

from lib.export.onnx_file import export_onnx
from lib.export.transformers_folder import export_transformers
from lib.predict.model import load_model


def export_model(name: str, out: Path) -> Path:
    """Write a model or a run as an ONNX file (.onnx), a page (.html) or a folder for transformers.

    Returns `out`. Raises `UserError` if there is no such model, or if it cannot be written so.
    """
    model = load_model(name)
    if out.suffix == ".html":
        from lib.export.page import write_page  # here: pages need what the other two do not

        return write_page(model, out)
    if out.suffix == ".onnx":
        return export_onnx(model, out)
    return export_transformers(model, out)
