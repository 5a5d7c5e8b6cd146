"""Sliding-window classification of a recording while it arrives (Hu et al. 2023, III.C, Table II).

An event model with one more class, Poor Quality, classifies 3 s at a time; a rule turns the labels
of the windows into the label of the record. The paper contradicts itself about the step: with
"one-second overlap" of windows of 3 s it would be 2 s, while section IV.B says that the sliding
length is one second. Here it is 1 s, as an argument.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import nn

from lib import files
from lib.config import Experiment
from lib.data import SPRSound, sprsound
from lib.data.audio import read_at
from lib.data.sprsound import POOR
from lib.errors import UserError, unknown
from lib.evaluation import tasks
from lib.features.cache import FeatureCache
from lib.features.frontends import Mfcc, clip_frames, frontend_for, mfcc
from lib.models import build
from lib.runs import folder
from lib.training import device
from lib.training.dataset import load_dataset

RATE_HZ = 8000
WINDOW_SECONDS = sprsound.WINDOW_SECONDS
STEP_SECONDS = 1.0
RECORD_TASKS = {"1-1-windows": "2-1", "1-2-windows": "2-2"}  # task of windows -> task of records
SUBSETS = ("intra", "inter", "test2023")  # in Table II's order
COLUMNS = ["record", "subset", "truth", "predicted", "windows"]


def stream(
    blocks: Iterable[np.ndarray],
    classify: Callable[[np.ndarray], str],
    rate_hz: int = RATE_HZ,
    window_seconds: float = WINDOW_SECONDS,
    step_seconds: float = STEP_SECONDS,
) -> Iterator[tuple[float, float, str]]:
    """Yield start and end (seconds) and label of each complete window with its last sample.

    blocks: samples (n,) of any sizes, empty ones too, as a microphone delivers them; memory holds
    no more than a window and a block. The end, less than a window, is not classified.
    """
    window, step = round(window_seconds * rate_hz), round(step_seconds * rate_hz)
    if min(window, step) < 1:
        raise UserError(f"windows of {window} and steps of {step} samples: make both longer")
    buffer, offset, start = np.empty(0, np.float32), 0, 0  # buffer begins at sample `offset`
    for block in blocks:
        buffer = np.concatenate([buffer, np.asarray(block, np.float32)])
        while start - offset + window <= len(buffer):
            samples = buffer[start - offset : start - offset + window]
            yield start / rate_hz, (start + window) / rate_hz, classify(samples)
            start += step
        used = min(start - offset, len(buffer))  # a step may be longer than a window
        buffer, offset = buffer[used:], offset + used


def record_label(labels: Iterable[str], task: str) -> str:
    """Return the label of a record (task 2-1 or 2-2) from the labels of its windows (III.C).

    A label counts if two consecutive windows have it. If any adventitious label counts, the record
    is Adventitious, or for 2-2 CAS, DAS or, with both kinds or Wheeze+Crackle, CAS & DAS; else
    Normal if that counts; else Poor Quality, as a record of less than two windows. The text leaves
    open, and we decide: the two labels must be equal (Wheeze then Rhonchi, both CAS, do not count);
    Normal needs two windows as well; one adventitious pair outweighs all others.
    """
    if task not in RECORD_TASKS.values():
        raise unknown("task of records", task, RECORD_TASKS.values())
    repeated = {label for label, following in pairwise(labels) if label == following}
    adventitious = repeated - {"Normal", POOR}
    if adventitious:
        return "Adventitious" if task == "2-1" else sprsound.record_label(adventitious)
    return "Normal" if "Normal" in repeated else POOR


def measure_stream(
    blocks: Iterable[np.ndarray], classify: Callable[[np.ndarray], str], **settings: float
) -> dict[str, float]:
    """Return the number of windows, seconds for a window (median, 95%), and the real-time factor.

    settings: as for `stream`. The factor is all computation over the duration of all samples: below
    1 it keeps up. It does not include the wait until a window is complete.
    """
    blocks, seconds = list(blocks), []

    def timed(window: np.ndarray) -> str:
        begin = time.perf_counter()
        label = classify(window)
        seconds.append(time.perf_counter() - begin)
        return label

    list(stream(blocks, timed, **settings))
    if not seconds:
        raise UserError("not one complete window: give a longer sound to measure on")
    return {
        "windows": len(seconds),
        "median_seconds": float(np.median(seconds)),
        "seconds_95": float(np.quantile(seconds, 0.95)),
        "real_time_factor": sum(seconds) * settings.get("rate_hz", RATE_HZ) / sum(map(len, blocks)),
    }


def read_blocks(path: Path, block: int = RATE_HZ) -> Iterator[np.ndarray]:
    """Yield a sound file at the stream's rate, in blocks of one second."""
    wave = read_at(path, RATE_HZ)
    yield from (wave[start : start + block] for start in range(0, len(wave), block))


@dataclass(frozen=True)
class WindowClassifier:
    """A trained event model that maps one window, samples (n,), to the name of a class."""

    experiment: Experiment
    model: nn.Module

    def __call__(self, samples: np.ndarray) -> str:
        """Return the class of a window; a few milliseconds on one core (`measure_stream`)."""
        with torch.inference_mode():
            logits = self.model(window_features(samples, self.experiment))[0]
        return tasks.get_task(self.experiment.task).classes[int(logits.argmax())]


def window_features(samples: np.ndarray, experiment: Experiment) -> torch.Tensor:
    """Return the model's input for a window (n,): (1, frames, coefficients), normalised.

    The same bits as training gives for a clip of the window's samples. Yet a clip that is longer
    than a window (161 normal events, most Poor Quality records) is scaled, z-scored and transformed
    whole in training and cropped afterwards, while a stream knows nothing before or after its
    window: scale, mean and std are the window's, and its first and last frames, centred on its
    borders, see zeros beyond (n_fft / 2 samples, two frames of 187 on each side).
    """
    features = mfcc(torch.from_numpy(np.array(samples, np.float32)), frontend_for(experiment))
    features = features.contiguous().half().numpy()  # as in a feature cache
    cycles = pd.DataFrame({"offset": [0], "frames": [len(features)]})
    cache = FeatureCache(Path(), cycles, features, {"mean": 0.0, "std": 1.0})
    labels, cpu = np.zeros(1, np.int64), torch.device("cpu")
    dataset = load_dataset(cache, labels, clip_frames(experiment), "zscore", cpu)
    return dataset.batch(torch.zeros(1, dtype=torch.int64))[0]


def load_classifier(run: Path) -> WindowClassifier:
    """Return the model whose weights a run saved, in eval mode on the CPU.

    Raises `UserError` unless the run is complete, of windows, z-scored, and has weights.
    """
    weights = run / folder.WEIGHTS
    if not (run / "result.json").exists() or not weights.exists():
        raise UserError(f"{run}: no finished run with {folder.WEIGHTS}; train it with save_weights")
    classifier = untrained_classifier(folder.read_spec(run).experiment)
    classifier.model.load_state_dict(load_file(weights))
    return classifier


def untrained_classifier(experiment: Experiment) -> WindowClassifier:
    """Return a model with random weights: its labels mean nothing, its speed is a trained one's."""
    frontend = frontend_for(experiment)
    if not isinstance(frontend, Mfcc) or experiment.task not in RECORD_TASKS:
        raise UserError(f"{experiment.name}: not of windows; task must be one of {[*RECORD_TASKS]}")
    if experiment.normalise != "zscore" or experiment.method == "supcon":
        raise UserError(
            f"{experiment.name}: a stream needs normalise = zscore and a classifier; "
            f"this is {experiment.normalise} and {experiment.method}"
        )
    classes = len(tasks.get_task(experiment.task).classes)
    model = build.build_model(experiment, clip_frames(experiment), frontend.n_mfcc, classes)
    return WindowClassifier(experiment, model.eval())


def classify_records(dataset: SPRSound, run: Path) -> pd.DataFrame:
    """Return `COLUMNS` for every test record as a stream, with a run's weights.

    windows: the windows' labels in order, joined by "|". 1-1-windows predicts 2-1, 1-2-windows 2-2.
    About 9 windows a record, 734 records: a minute on one core with the small CNN.
    """
    device.make_deterministic(torch.device("cpu"))  # two threads beside others: six times as slow
    classify, audio = load_classifier(run), dataset.audio_files()
    task = RECORD_TASKS[classify.experiment.task]
    table = dataset.clips("record")
    rows = []
    for record in table[table.split == "test"].to_dict("records"):
        name = record["recording"]
        labels = [label for *_, label in stream(read_blocks(audio[name]), classify)]
        predicted = record_label(labels, task)
        rows.append((name, record["subset"], record[task], predicted, "|".join(labels)))
    return pd.DataFrame(rows, columns=COLUMNS)


def stream_records(dataset: SPRSound, results: pd.DataFrame) -> pd.DataFrame:
    """Return `classify_records` of each finished run, with column run.

    Classified once for each run that has weights (about half a minute) and saved in its folder; a
    published run has no weights but its records.
    """
    tables = [pd.DataFrame(columns=["run", *COLUMNS])]
    for path in map(Path, results[results.path.notna()].drop_duplicates("run").path):
        if not (path / folder.STREAM).exists() and (path / folder.WEIGHTS).exists():
            text = classify_records(dataset, path).to_csv(index=False, lineterminator="\n")
            files.write_text(path / folder.STREAM, text)
        tables.append(read_records(path).assign(run=path.name))
    return pd.concat(tables, ignore_index=True)


def read_records(run: Path) -> pd.DataFrame:
    """Return the records that were classified with a run's weights; no rows if none were."""
    path = run / folder.STREAM
    if not path.exists():
        return pd.DataFrame(columns=COLUMNS)
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def stream_scores(results: pd.DataFrame) -> pd.DataFrame:
    """Return Table II's Scores (percent) of each run: experiment, task, subset, event, record.

    event: the run's own predictions of test clips (events and Poor Quality records) at the epoch
    whose weights were saved. record: its records, classified as streams.
    """
    rows = []
    for run in results[results.path.notna()].drop_duplicates("run").itertuples():
        records, result = read_records(Path(run.path)), folder.read_record(Path(run.path))
        name = RECORD_TASKS[result["experiment"]["task"]]
        task, selections = tasks.get_task(name), result["selections"]
        test = (selections["validation"] or selections["last"])["test"]
        for subset in SUBSETS:
            table = records[records.subset == subset]
            if len(table):
                codes = [task.encode(table[column]) for column in ("truth", "predicted")]
                score = task.mean_scores(*codes, table.subset.to_numpy())["score"]
                event = test.get("subsets", {}).get(subset, test)["score"]
                rows.append((run.experiment, name, subset, event, float(score)))
    return pd.DataFrame(rows, columns=["experiment", "task", "subset", "event", "record"])


def example_record(dataset: SPRSound, records: pd.DataFrame) -> tuple:
    """Return a record for Figure 4: wave (samples,), rate in Hz, windows and events.

    windows, events: start, end (seconds), label. The record is predicted rightly as adventitious
    and its windows have the most different labels, or else it is the first one. Without records, or
    without their sounds, everything is empty.
    """
    audio = dataset.audio_files()
    records = records[records.record.isin(audio)]
    columns = ["start", "end", "label"]
    if records.empty:
        return np.zeros(0, np.float32), RATE_HZ, *(pd.DataFrame(columns=columns) for _ in range(2))
    right = (records.truth == records.predicted) & ~records.truth.isin(["Normal", POOR])
    variety = records.windows.str.split("|").map(lambda labels: len(set(labels)))
    record = records.iloc[int((right * variety).to_numpy().argmax())]
    starts = STEP_SECONDS * np.arange(record.windows.count("|") + 1)
    windows = {"start": starts, "end": starts + WINDOW_SECONDS, "label": record.windows.split("|")}
    events = dataset.load("event")
    events = events[events.recording == record.record]
    events = events.assign(label=events["1-2"])[columns]
    wave = read_at(audio[record.record], RATE_HZ)
    return wave, RATE_HZ, pd.DataFrame(windows), events
