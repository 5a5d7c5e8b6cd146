"""Models that predict: those packaged in models/, and finished runs that saved their weights."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file
from torch import nn

from lib import files, paths
from lib.config import Experiment, describe_model
from lib.data import DATASETS
from lib.errors import UserError, unknown
from lib.evaluation import tasks
from lib.evaluation.calibration import fit_temperature
from lib.features.frontends import clip_frames, frontend_for
from lib.models import build
from lib.predict.detectors import Detectors
from lib.predict.waveform import WaveformModel, require_waveforms
from lib.runs import folder as runs_folder

FOLDER = paths.PROJECT / "models"
DEFAULT = "mn04-sprsound"
CONFIG, WEIGHTS, DETECTORS, CARD = (
    "config.json", runs_folder.WEIGHTS, "detectors.safetensors", "card.md"
)  # fmt: skip
RESEARCH_ONLY = "Research only, not for diagnosis."


@dataclass(frozen=True)
class Predictor:
    """A model that hears waveforms, and all that an answer says about it."""

    name: str
    experiment: Experiment
    network: WaveformModel
    calibration: str  # what the probabilities are calibrated on, in words
    detectors: Detectors | None  # None: of a run that is not packaged
    card: str = ""  # path of the model card within the project

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the probabilities."""
        return tasks.get_task(self.experiment.task).classes

    @property
    def about(self) -> str:
        """What was trained on what, in one line."""
        e = self.experiment
        data = DATASETS[e.dataset]
        return f"{describe_model(e)}, fine-tuned on {data.short_title}, task {e.task}"


def load_model(name: str = "") -> Predictor:
    """Return a packaged model by name or folder, or a run that saved its weights.

    A run is named by its folder, or by that folder's name in RUNS_ROOT. Raises `UserError` if there
    is none of that name, or if a file of it is damaged.
    """
    name = name or DEFAULT
    places = [FOLDER / name, Path(name), paths.runs_root() / name]
    folder = next((path for path in places if path.is_dir()), None)
    if folder is None:
        raise unknown("model", name, sorted(path.parent.name for path in FOLDER.glob("*/card.md")))
    if (folder / CONFIG).exists():
        return _packaged(folder)
    if (folder / "experiment.json").exists():
        return from_run(folder)
    raise UserError(f"{folder}: no model (no {CONFIG}) and no run (no experiment.json)")


def _packaged(folder: Path) -> Predictor:
    config = files.read_json(folder / CONFIG)
    with runs_folder.damage_named(folder / CONFIG):
        for name, expected in config["sha256"].items():
            if files.sha256_of(folder / name) != expected:
                raise UserError(f"{folder / name}: not the file that was packaged; fetch it again")
        e = Experiment(**config["experiment"])
        network = WaveformModel(e, read_network(e, folder / WEIGHTS), config["temperature"])
        detectors = Detectors(config["detectors"], load_arrays(folder / DETECTORS))
        inside = folder.is_relative_to(paths.PROJECT)
        card = (folder.relative_to(paths.PROJECT) if inside else folder) / CARD
        return Predictor(folder.name, e, network, config["calibration"], detectors, str(card))


def from_run(folder: Path) -> Predictor:
    """Return the model of a finished run, calibrated on its validation patients if it has any.

    Raises `UserError` if the run saved no weights, or if its model needs more than a waveform.
    """
    folder = Path(folder)
    e = runs_folder.read_spec(folder).experiment
    require_waveforms(e)
    if not (folder / WEIGHTS).exists():
        raise UserError(f"{folder}: has no {WEIGHTS}; train it with save_weights = True")
    temperature, words = fit_calibration(runs_folder.read_predictions(folder))
    network = WaveformModel(e, read_network(e, folder / WEIGHTS), temperature)
    return Predictor(folder.name, e, network, words, None)


def fit_calibration(arrays: dict[str, np.ndarray]) -> tuple[float, str]:
    """Return the temperature that fits a run's validation patients, and on what it was fitted."""
    key = "validation/validation/logits"
    if key not in arrays:
        return 1.0, "not calibrated: the run held no patients out"
    label, patients = arrays["validation/label"], np.unique(arrays["validation/patient"])
    temperature = fit_temperature(arrays[key], label)
    return temperature, (
        f"calibrated by the temperature {temperature:.3f}, fitted on {len(label):,} clips of "
        f"{len(patients)} validation patients"
    )


def read_network(experiment: Experiment, path: Path) -> nn.Module:
    """Return the network of an experiment with the weights in a file; `UserError` if they differ.

    A projector, which only training needs, is left out.
    """
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: not readable as weights ({error}); fetch it again") from error
    classes = len(tasks.get_task(experiment.task).classes)
    front = frontend_for(experiment)
    network = build.build_model(experiment, clip_frames(experiment), front.mels, classes)
    try:
        network.load_state_dict(
            {key: value for key, value in state.items() if not key.startswith("projector.")}
        )
    except RuntimeError as error:
        raise UserError(f"{path}: not the weights of {experiment.name}; fetch it again") from error
    return network
