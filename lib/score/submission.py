"""Read a CSV file of predictions: every clip of a test set once, in the order of its annotations.

Each problem of a file is one `UserError` that names the file, the line, and what to do.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from lib.data import icbhi, sprsound
from lib.data.annotations import load_annotations
from lib.errors import UserError
from lib.evaluation import calibration, scores
from lib.evaluation.tasks import Task, get_task, label_column
from lib.score.table import (
    RECORD_TASKS,
    PredictionTable,
    find_class,
    more,
    other_dataset,
    other_tasks,
    read_table,
    recording_key,
    recordings_of,
    task_of,
)

OFFICIAL = "official test set"
SINGLE_CHANNEL = "single-channel recordings of the official test set"
TIME_TOLERANCE = 0.01  # seconds between a given and an annotated time
SUM_TOLERANCE = 0.005  # for each class, of a sum of probabilities printed with two decimals
ROUNDING = 1e-6  # of a probability in single precision


@dataclass(frozen=True)
class Submission:
    """Predictions of every clip of a test set, in the order of its annotations."""

    path: Path
    dataset: str
    task_name: str
    task: Task
    test_set: str  # in words
    clips: pd.DataFrame  # the test set's rows of `load_annotations`
    label: np.ndarray  # (N,) class indices
    predicted: np.ndarray  # (N,) class indices
    given: str  # logits, probabilities, classes
    values: np.ndarray | None  # (N, n) logits or probabilities
    notes: tuple[str, ...] = ()

    @property
    def subset(self) -> np.ndarray:
        """The subset of each clip (N,), "" in ICBHI."""
        return scores.subset_names(self.clips)

    @property
    def probabilities(self) -> np.ndarray | None:
        """Probabilities (N, n), those of logits by softmax; None if only classes are given."""
        return calibration.softmax(self.values) if self.given == "logits" else self.values


def read_submission(path: Path, dataset: str, task_name: str = "") -> Submission:
    """Return the predictions in a CSV file; raises `UserError` for whatever is wrong with it.

    Columns: recording and cycle (from 0), or recording, start and end (seconds); recording alone
    for tasks 2-1 and 2-2. Then `class`, or one column for each class with logits or
    probabilities, or both: then `class` decides.
    """
    task_name = task_of(dataset, task_name)
    task = get_task(task_name)
    table = read_table(Path(path), dataset, task_name)
    clips = load_annotations(dataset, "record" if task_name in RECORD_TASKS else "event")
    rows = _match_clips(table, clips, dataset)
    if len(train := np.flatnonzero((clips.split.to_numpy() == "train")[rows])):
        problem = f"is a clip of the training split{more(len(train))}"
        raise table.error(train[0], f"{problem}; give the test split alone")
    test_set, expected = find_test_set(clips, rows, dataset)
    order = _order(table, clips, rows, expected, test_set)
    given, values, predicted = _predictions(table, dataset, task_name)
    clips = clips.iloc[expected].reset_index(drop=True)
    return Submission(
        path=table.path, dataset=dataset, task_name=task_name, task=task, test_set=test_set,
        clips=clips, label=task.encode(clips[label_column(task_name)]),
        predicted=predicted[order], given=given,
        values=None if values is None else values[order],
        notes=_notes(table, values, predicted),
    )  # fmt: skip


def _notes(
    table: PredictionTable, values: np.ndarray | None, predicted: np.ndarray
) -> tuple[str, ...]:
    """Return what was left out of a file, in words."""
    notes = [f"columns not read: {', '.join(table.ignored)}"] if table.ignored else []
    if values is not None and (differ := (values.argmax(axis=1) != predicted).sum()):
        other = f"it differs from the highest probability in {differ:,} of {len(predicted):,} clips"
        notes.append(f"column class decides; {other}")
    return tuple(notes)


def _match_clips(table: PredictionTable, clips: pd.DataFrame, dataset: str) -> np.ndarray:
    """Return the row of `clips` of each line (N,)."""
    keys = [recording_key(name) for name in table.columns["recording"]]
    by_recording: dict[str, list[int]] = {}
    for row, name in enumerate(clips.recording.str.lower()):
        by_recording.setdefault(name, []).append(row)
    known = by_recording.keys() | recordings_of(dataset)  # those without an event too
    if bad := [row for row, key in enumerate(keys) if key not in known]:
        name = table.columns["recording"][bad[0]]
        problem = f"unknown recording {name!r}{more(len(bad))}; {_hint(keys[bad[0]], dataset)}"
        raise table.error(bad[0], problem)
    groups = [by_recording.get(key, []) for key in keys]
    if "cycle" in table.columns:
        return _match_numbers(table, clips, groups)
    if "start" in table.columns:
        return _match_times(table, clips, groups)
    return np.array([group[0] for group in groups])


def _hint(key: str, dataset: str) -> str:
    if hint := other_dataset(key, dataset):
        return hint
    known = recordings_of(dataset)
    same = [name for name in known if name.split("_")[0] == key.split("_")[0]]  # patient
    if near := get_close_matches(key, same, n=1, cutoff=0.8):
        return f"did you mean {known[near[0]]}?"
    return f"names are those of the database, such as {known[min(known)]}"


def _match_numbers(
    table: PredictionTable, clips: pd.DataFrame, groups: list[list[int]]
) -> np.ndarray:
    numbers = table.numbers("cycle")
    for row, (number, group) in enumerate(zip(numbers, groups, strict=True)):
        if number != int(number) or not 0 <= number < len(group):
            name = table.columns["recording"][row]
            raise table.error(
                row,
                f"no cycle {number:g}: {name} has {len(group)}, numbered from 0 in the order of "
                "the annotation file",
            )
    rows = np.array([group[int(number)] for number, group in zip(numbers, groups, strict=True)])
    for name in {"start", "end"} & table.columns.keys():
        far = np.abs(table.numbers(name) - clips[name].to_numpy()[rows]) > TIME_TOLERANCE
        if far.any():
            row = int(far.argmax())
            problem = f"{name} {table.columns[name][row]} is not that of cycle {numbers[row]:g}"
            expected = f"{clips[name].iloc[rows[row]]:g}{more(int(far.sum()))}"
            raise table.error(row, f"{problem}, {expected}; correct one of them")
    return rows


def _match_times(
    table: PredictionTable, clips: pd.DataFrame, groups: list[list[int]]
) -> np.ndarray:
    times = np.stack([table.numbers("start"), table.numbers("end")], axis=1)
    annotated = clips[["start", "end"]].to_numpy()
    rows = np.empty(len(groups), dtype=np.int64)
    for row, (time, group) in enumerate(zip(times, groups, strict=True)):
        near = (np.abs(annotated[group] - time) <= TIME_TOLERANCE).all(axis=1)
        if not near.any():
            span = f"{time[0]:g} to {time[1]:g} s"
            name = table.columns["recording"][row]
            problem = f"{span} match no annotated cycle of {name}"
            raise table.error(row, f"{problem}; give its times in seconds, or its number")
        rows[row] = group[near.argmax()]
    return rows


def find_test_set(clips: pd.DataFrame, rows: np.ndarray, dataset: str) -> tuple[str, np.ndarray]:
    """Return the name and the rows of the smallest test set that holds some rows of `clips`."""
    test = (clips.split == "test").to_numpy()
    if dataset == "icbhi":
        single = icbhi.single_channel(clips.recording).to_numpy()
        if single[rows].all():
            return SINGLE_CHANNEL, np.flatnonzero(test & single)
        return OFFICIAL, np.flatnonzero(test)
    given = set(clips.subset.to_numpy()[rows])
    names = [name for name in sprsound.SUBSETS if name in given]
    return " and ".join(names), np.flatnonzero(clips.subset.isin(names))


def _order(
    table: PredictionTable,
    clips: pd.DataFrame,
    rows: np.ndarray,
    expected: np.ndarray,
    test_set: str,
) -> np.ndarray:
    """Return the line of each expected clip (N,); one that is missing or twice is an error."""
    ids = scores.cycle_ids(clips)
    first: dict[int, int] = {}
    twice = [(line, row) for line, row in enumerate(rows) if first.setdefault(row, line) != line]
    if twice:
        line, row = twice[0]
        problem = f"{ids[row]} is in line {table.lines[first[row]]} too{more(len(twice))}"
        raise table.error(line, f"{problem}; keep one line for each clip")
    if missing := [row for row in expected if row not in first]:
        names = ", ".join(ids[row] for row in missing[:3])
        raise UserError(
            f"{table.path}: {len(missing)} of {len(expected)} clips are missing ({test_set}): "
            f"{names}{', ...' if len(missing) > 3 else ''}; add them"
        )
    return np.array([first[row] for row in expected])


def _predictions(
    table: PredictionTable, dataset: str, task_name: str
) -> tuple[str, np.ndarray | None, np.ndarray]:
    """Return what is given, the logits or probabilities (N, n), and the classes (N,)."""
    given, values, task = "classes", None, get_task(task_name)
    if task.classes[0] in table.columns:
        values = np.stack([table.numbers(name) for name in task.classes], axis=1)
        given = _kind(table, values, task.classes)
    if "class" not in table.columns:
        return given, values, scores.predicted_classes(values, str(table.path))
    names = [find_class(text, task.classes) for text in table.columns["class"]]
    if "" in names:
        row = names.index("")
        text = table.columns["class"][row]
        others = [
            other
            for other in other_tasks(dataset, task_name)
            if find_class(text, get_task(other).classes)
        ]
        hint = f"; it is one of --task {others[0]}" if others else ""
        known = f"(known: {', '.join(task.classes)}){more(names.count(''))}"
        raise table.error(row, f"unknown class {text!r} {known}{hint or '; correct it'}")
    return given, values, np.array([task.classes.index(name) for name in names])


def _kind(table: PredictionTable, values: np.ndarray, classes: tuple[str, ...]) -> str:
    """Return logits or probabilities, by the columns' names, else by the numbers."""
    inside = (values >= 0) & (values <= 1 + ROUNDING)
    if table.kind == "logit" or (not table.kind and not inside.all()):
        if not table.kind:
            _check_unnamed(table, values)
        return "logits"
    if not inside.all():
        row, column = np.argwhere(~inside)[0]
        count = more(int((~inside).any(axis=1).sum()))
        problem = f"{classes[column]} is {values[row, column]:g}, no probability from 0 to 1{count}"
        raise table.error(row, f"{problem}; name logits logit_<class>")
    tolerance = SUM_TOLERANCE * values.shape[1]
    far = np.abs(values.sum(axis=1) - 1) > tolerance + ROUNDING
    if far.any():
        row = int(far.argmax())
        problem = f"probabilities sum to {values[row].sum():.3f}, not to 1 within {tolerance:g}"
        remedy = "normalise them, or name logits logit_<class>"
        raise table.error(row, f"{problem}{more(int(far.sum()))}; {remedy}")
    return "probabilities"


def _check_unnamed(table: PredictionTable, values: np.ndarray) -> None:
    """Raise `UserError` if logits, by their size, sum as only probabilities of another scale do."""
    sums = values.sum(axis=1)
    total = float(np.median(sums))
    tolerance = SUM_TOLERANCE * values.shape[1] * total
    if (values >= 0).all() and (np.abs(sums - total) <= tolerance).all():
        raise UserError(
            f"{table.path}: look like probabilities that sum to {total:g}; divide them by it, or "
            "name logits logit_<class>"
        )
