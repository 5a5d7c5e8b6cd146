"""An AST as a folder that `transformers` reads: ASTForAudioClassification, ASTFeatureExtractor."""

from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from lib import files
from lib.config import Experiment
from lib.errors import UserError
from lib.features.cache import AUDIOSET
from lib.models import ast
from lib.predict.model import RESEARCH_ONLY, Predictor


def export_transformers(model: Predictor, out: Path) -> Path:
    """Write config.json, model.safetensors and preprocessor_config.json; returns their folder.

    Logits are those of the model, not calibrated: config.json holds the temperature that divides
    them as `calibration_temperature`. Raises `UserError` for another model, and for an AST that
    `transformers` has no settings for.
    """
    require_transformers(model.experiment)
    with files.atomic_write(out / "model.safetensors") as path:
        path.write_bytes(save(weights(model), metadata={"format": "pt"}))
    files.write_json(out / "preprocessor_config.json", preprocessor_config(model))
    files.write_json(out / "config.json", config(model))
    return out


def require_transformers(e: Experiment) -> None:
    """Raise `UserError` unless an experiment's model is an AST as `transformers` has it."""
    problem = ""
    if e.model != "ast":
        problem = f"{e.model} is no AST, and transformers' format is for an AST"
    elif e.pool != "special" or e.head != "norm" or e.freeze:
        problem = "transformers' AST has class and distillation token, LayerNorm and Linear"
    elif e.normalise != "audioset":
        problem = "ASTFeatureExtractor normalises by two numbers, this model by the clip"
    if problem:
        raise UserError(f"{e.name}: {problem}; give --out a name that ends with .onnx or .html")


def weights(model: Predictor) -> dict[str, Tensor]:
    """Return the state dict in the names of the published AST."""
    network = model.network.network
    body = {k: v for k, v in network.state_dict().items() if not k.startswith("classifier.")}
    head = network.classifier[1] if model.experiment.dropout else network.classifier
    norm, linear = (layer.state_dict() for layer in head)
    state = ast.to_transformers(body)
    state |= {f"classifier.layernorm.{key}": value for key, value in norm.items()}
    state |= {f"classifier.dense.{key}": value for key, value in linear.items()}
    return {key: value.contiguous() for key, value in state.items()}


def config(model: Predictor) -> dict:
    """Return config.json; its epsilon is that of all norms but the head's, which has 1e-5."""
    e, front = model.experiment, model.network.front
    width, depth, heads = ast.SIZES[e.size]
    return {
        "architectures": ["ASTForAudioClassification"],
        "model_type": "audio-spectrogram-transformer",
        "hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": heads,
        "intermediate_size": 4 * width, "layer_norm_eps": ast.EPSILON, "patch_size": e.patch,
        "frequency_stride": e.stride, "time_stride": e.stride, "max_length": front.frames,
        "num_mel_bins": front.mels, "id2label": dict(enumerate(model.classes)),
        "label2id": {name: i for i, name in enumerate(model.classes)},
        "calibration_temperature": model.network.temperature, "calibration": model.calibration,
        "about": f"{model.about}. {RESEARCH_ONLY}",
    }  # fmt: skip


def preprocessor_config(model: Predictor) -> dict:
    """Return preprocessor_config.json: a clip of `clip_seconds` fills `max_length` frames."""
    front, (mean, std) = model.network.front, AUDIOSET
    return {
        "feature_extractor_type": "ASTFeatureExtractor", "sampling_rate": front.rate_hz,
        "feature_size": 1, "num_mel_bins": front.mels, "max_length": front.frames, "mean": mean,
        "std": std, "do_normalize": True, "padding_side": "right", "padding_value": 0.0,
        "return_attention_mask": False,
    }  # fmt: skip
