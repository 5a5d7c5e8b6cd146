"""A model as an ONNX file: waveforms in, calibrated probabilities out, nothing else needed."""

import json
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from lib import files
from lib.errors import UserError
from lib.predict.detectors import clip_descriptors
from lib.predict.model import RESEARCH_ONLY, Predictor

EXTRA = "pip install -r requirements-export.txt"
OPSET = 18
INPUT, PROBABILITIES, LOG_MEL, DESCRIPTOR = "waveform", "probabilities", "log_mel", "descriptor"


class ExportedModel(nn.Module):
    """All that the ONNX file computes of clips."""

    def __init__(self, model: Predictor) -> None:
        super().__init__()
        self.model, self.describes = model.network, model.detectors is not None
        self.eval()

    @property
    def outputs(self) -> list[str]:
        """Names of what `forward` returns."""
        return [PROBABILITIES, LOG_MEL, *[DESCRIPTOR] * self.describes]

    def forward(self, waves: Tensor) -> tuple[Tensor, ...]:
        """(B, samples) -> probabilities (B, classes), log-mels (B, frames, mels), descriptors."""
        described = (clip_descriptors(self.model, waves),) if self.describes else ()
        return self.model(waves), self.model.filter_bank(waves), *described


def onnx_bytes(model: Predictor) -> bytes:
    """Return a model as the bytes of an ONNX file; the same model gives the same bytes.

    Input `waveform` (clips, samples) float32 in [-1, 1] at the front end's rate. Outputs:
    `probabilities` (clips, classes), `log_mel` (clips, frames, mels) and, if the model has
    detectors, `descriptor` (clips, D), whose mean over a recording they read. Its metadata hold
    rate, classes, calibration and use. Raises `UserError` if the packages of
    requirements-export.txt are not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  torch needs it
    except ImportError as error:
        raise UserError(f"export: {error.name} is not installed; {EXTRA}") from error
    network, exported = model.network, ExportedModel(model)
    example = torch.zeros(2, network.samples)
    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # of torch about torch
        program = torch.onnx.export(
            exported, (example,), input_names=[INPUT], output_names=exported.outputs,
            opset_version=OPSET, dynamic_shapes=({0: torch.export.Dim("clips")},), dynamo=True,
            verbose=False,
        )  # fmt: skip
    proto = program.model_proto
    for part in (proto.graph, *proto.graph.node, *proto.graph.value_info):
        part.ClearField("metadata_props")  # where in the code each comes from: this machine's paths
    facts = {
        "rate_hz": network.front.rate_hz, "clip_seconds": network.front.clip_seconds,
        "classes": list(model.classes), "calibration": model.calibration, "name": model.name,
        "use": RESEARCH_ONLY,
    }  # fmt: skip
    onnx.helper.set_model_props(proto, {key: json.dumps(value) for key, value in facts.items()})
    return proto.SerializeToString(deterministic=True)


def export_onnx(model: Predictor, out: Path) -> Path:
    """Write a model as an ONNX file (`onnx_bytes`); returns its path."""
    content = onnx_bytes(model)
    with files.atomic_write(out) as path:
        path.write_bytes(content)
    return out
