"""A model as an ONNX file: waveforms in, calibrated probabilities out, nothing else needed."""

import json
from pathlib import Path

import torch

from lib import files
from lib.errors import UserError
from lib.predict.model import RESEARCH_ONLY, Predictor

EXTRA = "pip install -r requirements-export.txt"
OPSET = 18
INPUT, OUTPUT = "waveform", "probabilities"


def export_onnx(model: Predictor, out: Path) -> Path:
    """Write an ONNX file; returns its path.

    Input `waveform` (clips, samples) float32 in [-1, 1] at the front end's rate; output
    `probabilities` (clips, classes). Its metadata hold rate, classes, calibration and use. Raises
    `UserError` if the packages of requirements-export.txt are not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  torch needs it
    except ImportError as error:
        raise UserError(f"export: {error.name} is not installed; {EXTRA}") from error
    network = model.network
    example = torch.zeros(2, network.samples)
    program = torch.onnx.export(
        network, (example,), input_names=[INPUT], output_names=[OUTPUT], opset_version=OPSET,
        dynamic_shapes=({0: torch.export.Dim("clips")},), dynamo=True, verbose=False,
    )  # fmt: skip
    proto = program.model_proto
    facts = {
        "rate_hz": network.front.rate_hz, "clip_seconds": network.front.clip_seconds,
        "classes": list(model.classes), "calibration": model.calibration, "name": model.name,
        "use": RESEARCH_ONLY,
    }  # fmt: skip
    onnx.helper.set_model_props(proto, {key: json.dumps(value) for key, value in facts.items()})
    with files.atomic_write(out) as path:
        path.write_bytes(proto.SerializeToString())
    return out
