"""Read a CSV file of predictions as text, and what its columns mean."""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lib import files
from lib.data import sprsound
from lib.data.annotations import load_annotations
from lib.errors import UserError, unknown
from lib.evaluation.tasks import get_task

TASKS = {"icbhi": ("icbhi4",), "sprsound": (*sprsound.TASKS, "icbhi4")}
RECORD_TASKS = ("2-1", "2-2")  # whole recordings
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
SCORE_COLUMN = re.compile(r"(?:(logit|p|prob)_)?(.+)")
FORM = "recording,cycle,normal,crackle,wheeze,both"


@dataclass(frozen=True)
class PredictionTable:
    """The rows of a CSV file as text, with the meaning of its columns."""

    path: Path
    lines: list[int]  # of the file, from 1
    columns: dict[str, list[str]]  # recording, cycle, start, end, class or the name of a class
    kind: str  # what the columns of classes are named: logit, p or ""
    ignored: list[str]  # columns that mean nothing here

    def error(self, row: int, problem: str) -> UserError:
        """Return an error that names the file and the line of a row."""
        return UserError(f"{self.path}: line {self.lines[row]}: {problem}")

    def numbers(self, name: str) -> np.ndarray:
        """A column as finite numbers (N,)."""
        texts = self.columns[name]
        values = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce")
        values = values.to_numpy(dtype=np.float64)
        if len(bad := np.flatnonzero(~np.isfinite(values))):
            problem = f"{name} is {texts[bad[0]]!r}, not a finite number"
            raise self.error(bad[0], f"{problem}{more(len(bad))}; look for what went wrong there")
        return values


def task_of(dataset: str, task_name: str) -> str:
    """The task to score; a dataset with several needs its name. Raises `UserError`."""
    if dataset not in TASKS:
        raise unknown("dataset", dataset, TASKS)
    names = TASKS[dataset]
    if not task_name and len(names) > 1:
        raise UserError(f"{dataset} has several tasks; name one with --task {' | '.join(names)}")
    if task_name and task_name not in names:
        raise unknown(f"task of {dataset}", task_name, names)
    return task_name or names[0]


def other_tasks(dataset: str, task_name: str) -> list[str]:
    """Return the other tasks of a dataset whose clips are those of a task: records or events."""
    whole = task_name in RECORD_TASKS
    return [
        name for name in TASKS[dataset] if name != task_name and (name in RECORD_TASKS) == whole
    ]


def read_table(path: Path, dataset: str, task_name: str) -> PredictionTable:
    """Return the table in a CSV file; raises `UserError` if it is not one, or is not clear."""
    header, lines, rows = _read_rows(path)
    names, kind, ignored = _name_columns(path, header, task_name)
    if rows and "recording" in names:
        first = rows[0][header.index(names["recording"])]
        if hint := other_dataset(recording_key(first), dataset):
            raise UserError(f"{path}: line {lines[0]}: unknown recording {first!r}; {hint}")
    _check_columns(path, header, names, dataset, task_name)
    if not rows:
        raise UserError(f"{path}: has a header but no rows; write one for each clip")
    cells = dict(zip(header, zip(*rows, strict=True), strict=True))
    columns = {name: [cell.strip() for cell in cells[names[name]]] for name in names}
    return PredictionTable(path, lines, columns, kind, ignored)


def _read_rows(path: Path) -> tuple[list[str], list[int], list[list[str]]]:
    """Return header, line numbers and rows of a CSV file in UTF-8."""
    with files.readable(path):
        content = path.read_bytes()
    if b"\0" in content or content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{path}: is not UTF-8 but UTF-16 or binary; save it as 'CSV UTF-8'")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 ({error}); save it as 'CSV UTF-8'") from error
    reader = csv.reader(re.split("\r\n|\n|\r", text))
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise UserError(f"{path}: line {reader.line_num}: is not CSV ({error}); fix it") from error
    if not rows:
        raise UserError(f"{path}: is empty; write a header and a row for each clip: {FORM}")
    (_, header), *rows = rows
    for separator, name in SEPARATORS.items():
        if len(header) == 1 and separator in header[0]:
            raise UserError(f"{path}: is separated by {name}; save it with commas")
    for line, row in rows:
        if len(row) != len(header):
            count = f"{len(row)} fields, but the header names {len(header)}"
            raise UserError(f"{path}: line {line}: has {count}; fix the line")
    return header, [line for line, _ in rows], [row for _, row in rows]


def _name_columns(
    path: Path, header: list[str], task_name: str
) -> tuple[dict[str, str], str, list[str]]:
    """Return meaning -> column, what the columns of classes are named, and other columns."""
    classes = get_task(task_name).classes
    names: dict[str, str] = {}
    kinds, ignored = set(), []
    for column in header:
        kind, name = _meaning(column, classes)
        if not name:
            ignored.append(column.strip() or "(no name)")
            continue
        if name in names:
            problem = f"columns {names[name]!r} and {column!r} both mean {name}"
            raise UserError(f"{path}: {problem}; keep one")
        names[name] = column
        if name in classes:
            kinds.add(kind)
    if len(kinds) > 1:
        raise UserError(f"{path}: names columns of classes in two ways; name all alike")
    return names, kinds.pop() if kinds else "", ignored


def _meaning(column: str, classes: Iterable[str]) -> tuple[str, str]:
    """Return how a column of a class is named (logit, p, "") and its meaning, "" if none."""
    plain = column.strip().lower()
    if plain in ("recording", "cycle", "start", "end", "class"):
        return "", plain
    prefix, name = SCORE_COLUMN.fullmatch(plain or " ").groups()
    kind = "p" if prefix == "prob" else prefix or ""
    return kind, find_class(name, classes)


def find_class(text: str, classes: Iterable[str]) -> str:
    """Return the class whose letters are those of a text, "" if none; case and signs vary."""

    def letters(name: str) -> str:
        return re.sub(r"\band\b|[^a-z]", "", name.lower())

    return next((name for name in classes if letters(name) == letters(text)), "")


def _check_columns(
    path: Path, header: list[str], names: dict[str, str], dataset: str, task_name: str
) -> None:
    """Raise `UserError` unless the columns say which clip and what is predicted."""
    if "recording" not in names:
        known = recordings_of(dataset)
        if any(recording_key(cell) in known for cell in header):
            raise UserError(f"{path}: has no header; begin with a line such as {FORM}")
        raise UserError(f"{path}: has no column 'recording' ({', '.join(header)}); rename one")
    places = [name for name in ("cycle", "start", "end") if name in names]
    if task_name in RECORD_TASKS and places:
        raise UserError(
            f"{path}: task {task_name} is about whole recordings, but there is a column "
            f"{places[0]!r}; leave it out, or name a task of events with --task"
        )
    if task_name not in RECORD_TASKS and places in ([], ["start"], ["end"]):
        raise UserError(f"{path}: does not say which cycle; add 'cycle', or 'start' and 'end'")
    classes = get_task(task_name).classes
    missing = [name for name in classes if name not in names]
    if (missing and "class" not in names) or 0 < len(missing) < len(classes):
        fits = [other for other in other_tasks(dataset, task_name) if _fits(header, other)]
        hint = f"; its columns are those of --task {fits[0]}" if fits else ""
        raise UserError(
            f"{path}: has no column for {', '.join(missing)}; task {task_name} needs one for "
            f"each class, or one column 'class'{hint}"
        )


def _fits(header: list[str], task_name: str) -> bool:
    """Return whether there is a column for every class of a task."""
    classes = get_task(task_name).classes
    return {_meaning(column, classes)[1] for column in header} >= set(classes)


def recording_key(name: str) -> str:
    """Return a recording's name without folder, suffix and letter case."""
    return re.sub(r"\.(wav|flac)$", "", re.split(r"[/\\]", name.strip().lower())[-1])


def other_dataset(key: str, dataset: str) -> str:
    """Return what to do if a recording is one of another dataset, else ""."""
    for other in TASKS.keys() - {dataset}:
        if key in recordings_of(other):
            return f"it is one of {other}: add --dataset {other}"
    return ""


def recordings_of(dataset: str) -> dict[str, str]:
    """Return the names of all recordings of a dataset: in small letters -> as in the database."""
    units = {"icbhi": "event", "sprsound": "record"}
    return {name.lower(): name for name in load_annotations(dataset, units[dataset]).recording}


def more(count: int) -> str:
    """Return " (and n more lines)" if a problem is that of several lines, else ""."""
    return f" (and {count - 1} more lines)" if count > 1 else ""
