"""A trained event model as a listener, windows in, classes out; Table II of Hu et al. 2023.

What it hears of a window and how that differs from training stands in `features`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import nn

from lib import files, models
from lib.analysis.streaming import STEP_SECONDS, TASKS, record_label, recording, stream
from lib.config import Experiment
from lib.data import sprsound
from lib.errors import UserError
from lib.evaluation import tasks
from lib.features.frontends import Mfcc, clip_frames, frontend_for, mfcc
from lib.runs import folder
from lib.training import device
from lib.training.dataset import FLAT, Clips

TESTS = ("intra", "inter", "2023")  # parts of the test, in Table II's order


@dataclass(frozen=True)
class Classifier:
    """A trained event model as it hears one window: samples (n,) in, the name of a class out."""

    experiment: Experiment
    model: nn.Module

    def __call__(self, samples: np.ndarray) -> str:
        """The class of a window; computed on one core in a few milliseconds (`measure`)."""
        with torch.inference_mode():
            logits = self.model(features(samples, self.experiment))[0]
        return tasks.get(self.experiment.task).classes[int(logits.argmax())]


def features(samples: np.ndarray, experiment: Experiment) -> torch.Tensor:
    """What the model sees of a window (n,): (1, frames, coefficients), normalised.

    The same bits as training gives for an item of the window's samples. Yet an item that is longer
    than a window (161 normal events, most Poor Quality records) is scaled, z-scored and transformed
    whole in training and cropped after, while a stream knows nothing before or after its window:
    scale, mean and std are the window's own, and its first and last frames, centred on its borders,
    see zeros beyond (fft / 2 samples, two frames of 187 on each side).
    """
    found = mfcc(torch.from_numpy(np.array(samples, np.float32)), frontend_for(experiment))
    found = found.contiguous().half()  # as in a store
    stored = found.float().numpy()
    clip = Clips(
        features=found,
        labels=torch.zeros(1),
        frames=clip_frames(experiment),
        offset=torch.zeros(1, dtype=torch.int64),
        length=torch.tensor([len(found)]),
        mean=torch.tensor([stored.mean()]),
        std=torch.tensor([max(stored.std(), FLAT)]),
        by_clip=True,
        spread=1.0,
    )
    return clip.batch(torch.zeros(1, dtype=torch.int64))[0]


def load(run: Path) -> Classifier:
    """The model that a run kept (`save_weights`), in evaluation mode on the CPU.

    Raises `UserError` unless the run is complete, of windows, z-scored, and has weights.
    """
    if not (run / "result.json").exists() or not (run / folder.WEIGHTS).exists():
        raise UserError(f"{run}: no finished run with {folder.WEIGHTS}; make it with save_weights")
    experiment = Experiment(**folder.read_started(run)["experiment"])
    model = untrained(experiment).model
    model.load_state_dict(load_file(run / folder.WEIGHTS))
    return Classifier(experiment, model)


def untrained(experiment: Experiment) -> Classifier:
    """A model at random: its answers mean nothing, its speed is that of a trained one."""
    front = frontend_for(experiment)
    if not isinstance(front, Mfcc) or experiment.task not in TASKS:
        raise UserError(f"{experiment.name}: hears no windows; labels must be one of {[*TASKS]}")
    if experiment.normalise != "zscore" or experiment.method == "supcon":
        raise UserError(
            f"{experiment.name}: a stream needs normalise = zscore and a classifier; "
            f"this is {experiment.normalise} and {experiment.method}"
        )
    classes = tasks.get(experiment.task).classes
    shape = clip_frames(experiment), front.n_mfcc
    return Classifier(experiment, models.build(experiment, *shape, len(classes)).eval())


def evaluate(root: Path, run: Path, step_seconds: float = STEP_SECONDS) -> pd.DataFrame:
    """Every test record of SPRSound as a stream: record, part, truth, answer, windows.

    windows: the windows' labels in order, joined by "|". Table II's task follows from the run: 1-1-windows
    answers 2-1, 1-2-windows answers 2-2. About 9 windows a record, 734 records: a
    minute on one core with the small CNN.
    """
    device.settle(torch.device("cpu"))  # with two threads, and others at work, six times as slow
    classify, audio = load(run), sprsound.audio_files(root)
    task = TASKS[classify.experiment.task]
    table = sprsound.records(root)
    table = table[(table.split == "test") & table.recording.isin(audio)]
    rows = []
    for record in table.itertuples(index=False):
        heard = stream(recording(audio[record.recording]), classify, step_seconds=step_seconds)
        said = [label for _, _, label in heard]
        truth = getattr(record, task)
        rows.append(
            (record.recording, record.part, truth, record_label(said, task), "|".join(said))
        )
    return pd.DataFrame(rows, columns=["record", "part", "truth", "answer", "windows"])


def table2(run: Path, found: pd.DataFrame) -> pd.DataFrame:
    """Table II of one run: Score in [0, 1] of events and of records, part by part.

    Columns: task, part, event, record. Event level: the run's own answers on its test items (events
    and Poor Quality records, `lib.data.sprsound.windows`) at the epoch whose weights were kept.
    Record level: `found`, from `evaluate`.
    """
    record = files.read_json(run / "result.json")["selections"]
    kept = Experiment(**folder.read_started(run)["experiment"])
    chosen = record["validation"] or record["last"]  # as `lib.training.trainer` keeps weights
    task, rows = TASKS[kept.task], []
    labelling = tasks.get(task)
    for part in (part for part in TESTS if (found.part == part).any()):
        one = found[found.part == part]
        coded = [labelling.codes(one[key]) for key in ("truth", "answer")]
        score = labelling.mean_scores(*coded, one.part.to_numpy())["score"] / 100
        events = chosen["test"].get("parts", {}).get(part, chosen["test"])["score"] / 100
        rows.append((task, part, round(events, 4), round(float(score), 4)))
    return pd.DataFrame(rows, columns=["task", "part", "event", "record"])
