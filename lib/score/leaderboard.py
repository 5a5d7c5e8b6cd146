"""The leaderboard: cards in leaderboard/, published numbers from `lib.papers`, stored runs.

leaderboard/<name>/card.toml says what is known of a method and has one or more [[results]]. A
result takes its numbers from one of: `published` (keys of published rows), `experiment` (our
stored runs), `predictions` (a CSV file beside the card, scored by the referee), or `score` as
printed elsewhere, with its source. Other fields of a result replace those of its card.
"""

import re
import tomllib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd

from lib import paths
from lib.data import DATASETS
from lib.data.annotations import load_annotations
from lib.errors import UserError, unknown
from lib.evaluation import bootstrap, scores
from lib.papers import PUBLISHED
from lib.papers.published import Published
from lib.runs.predictions import Predictions
from lib.score import referee
from lib.score.stored import StoredExperiment, stored_experiments
from lib.score.submission import OFFICIAL, find_test_set, read_submission
from lib.score.table import RECORD_TASKS, TASKS
from lib.tables.format import csv_text

FOLDER = paths.PROJECT / "leaderboard"
RECOMPUTED, AS_PUBLISHED, NOT_RUN = "recomputed", "as published", "not run"
ANSWERS = ("yes", "no", "not stated")
ALLOWED = {"selection": ("test", "validation", "last", "not stated"), "metadata": ANSWERS,
           "ensemble": ANSWERS, "dataset": tuple(DATASETS)}  # fmt: skip
TEXTS = ("method", "backbone", "pretraining", "selection", "metadata", "ensemble", "data_version",
         "paper", "code", "source", "note")  # fmt: skip
PLACE = ("dataset", "task", "definition", "test_set")
NUMBERS = ("sp", "se", "score")
KINDS = ("published", "experiment", "predictions", "score")
FIELDS = (*TEXTS, *PLACE, *NUMBERS, *KINDS, "year", "seeds", "results")
REQUIRED = ("method", "backbone", "pretraining", "selection", "metadata", "ensemble", "dataset",
            "task", "source")  # fmt: skip
PERCENT = "percent, such as 61.49 or [61.49, 0.91]"
SHAPES = dict.fromkeys(NUMBERS, PERCENT) | {
    "year": "a year, such as 2026",
    "seeds": "how many, such as 5",
    "published": 'a list, such as ["t3/patchmix_cl"]',
}
COLUMNS = ("board", "method", "backbone", "pretraining", "sp", "sp_std", "se", "se_std", "score",
           "score_std", "low", "high", "seeds", "selection", "metadata", "ensemble",
           "data_version", "year", "mark", "paper", "code", "source", "note", "card")  # fmt: skip
ROUNDED = 0.0051  # of a claimed number, printed with two decimals
Row = dict[str, object]


def leaderboard(folder: Path | None = None) -> pd.DataFrame:
    """Return all rows (`COLUMNS`), best Score first within a board; numbers are percent.

    board: dataset, task or definition, and test set; only rows of one board can be compared.
    mark: recomputed (from predictions that are here), as published, or not run. Raises
    `UserError` if a card is damaged.
    """
    cards = sorted((folder or FOLDER).glob("*/card.toml"))
    known = stored_experiments()
    rows = [row for path in cards for row in _rows_of_card(path, known)]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table = table.astype({"seeds": "Int64", "year": "Int64"})
    texts = [name for name in TEXTS if name in COLUMNS]
    table[texts] = table[texts].astype(object).fillna("")
    keys = {"board": True, "score": False, "method": True, "selection": True}
    return table.sort_values(list(keys), ascending=list(keys.values()), ignore_index=True)


def verify_leaderboard() -> list[str]:
    """Return a line for what is published of the leaderboard and differs from its sources."""
    path = paths.reports_root() / "leaderboard.csv"
    if not path.exists():
        return []
    try:
        same = csv_text(leaderboard()) == path.read_text(encoding="utf-8")
    except UserError as error:
        return [f"leaderboard: {error}"]
    return [] if same else [f"{path.name}: differs when made from its cards and runs"]


def read_card(path: Path) -> dict:
    """Return a card; raises `UserError` for a field that is unknown, missing or not allowed."""
    try:
        card = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: is no TOML file ({error}); fix it") from error
    results = card.get("results")
    if not isinstance(results, list) or not all(isinstance(each, dict) for each in results):
        raise UserError(f"{path}: has no [[results]]; add one")
    for field in dict.fromkeys((*KINDS, *NUMBERS)):
        if field in card:
            raise UserError(f"{path}: {field} is outside [[results]]; move it below that line")
    for each in (card, *results):
        for field in each:
            if field not in FIELDS:
                raise UserError(f"{path}: {unknown('field', field, FIELDS)}")
        for field, allowed in ALLOWED.items():
            if field in each and each[field] not in allowed:
                raise UserError(f"{path}: {unknown(field, each[field], allowed)}")
        for field, value in each.items():
            if field != "results" and not _fits(field, value):
                shape = SHAPES.get(field, "text in quotes")
                raise UserError(f"{path}: {field} is {value!r}; write {shape}")
    return card


def _fits(field: str, value: object) -> bool:
    """Return whether a value of a card has the type and the range of its field."""
    if field in NUMBERS:
        numbers = value if isinstance(value, list) else [value]
        if len(numbers) not in (1, 2) or not all(type(x) in (int, float) for x in numbers):
            return False
        lowest = 1 if field == "score" else 0  # below it is a fraction, not percent
        return lowest <= numbers[0] <= 100 and 0 <= numbers[-1] <= 100
    if field in ("year", "seeds"):
        low, high = (1900, 2100) if field == "year" else (1, 1000)
        return type(value) is int and low <= value <= high
    if field == "published":
        return isinstance(value, list) and all(isinstance(x, str) for x in value)
    return isinstance(value, str)


def _rows_of_card(path: Path, known: Sequence[StoredExperiment]) -> Iterator[Row]:
    card = read_card(path)
    for result in card["results"]:
        fields = {**card, **result, "card": path.parent.name}
        kinds = [kind for kind in KINDS[:-1] if kind in result] or [KINDS[-1]]
        if len(kinds) > 1 or (kinds == ["score"] and "score" not in result):
            raise UserError(f"{path}: a result needs one of {', '.join(KINDS)}")
        makers = {"published": _published, "predictions": _submitted, "score": _printed,
                  "experiment": lambda fields, _: _stored(fields, known)}  # fmt: skip
        if kinds != ["published"]:  # those rows say more than the card
            _check_row(fields, path)
        for row in makers[kinds[0]](fields, path):
            _check_row(row, path)
            yield row | {"board": _board(row)}


def _check_row(row: Row, path: Path) -> None:
    """Raise `UserError` if a row lacks a field, or its dataset has no such task."""
    if missing := [name for name in REQUIRED if not row.get(name)]:
        raise UserError(f"{path}: says nothing of {', '.join(missing)}; add it")
    dataset, task = row["dataset"], row["task"]
    if task not in TASKS[dataset]:
        raise UserError(f"{path}: {unknown(f'task of {dataset}', task, TASKS[dataset])}")


def _board(row: Row) -> str:
    """Return which rows a row can be compared with."""
    title, test_set = DATASETS[row["dataset"]].short_title, row.get("test_set") or OFFICIAL
    if row["task"] == "icbhi4":
        classes = "in ICBHI's classes, " if row["dataset"] != "icbhi" else ""
        what = classes + row.get("definition", "four classes")
    else:
        what = f"task {row['task']}"
    return f"{title}, {what}" + (f", {test_set}" if test_set != OFFICIAL else "")


def _numbers(means: dict[str, Sequence[float]]) -> Row:
    """Return columns of a mean or (mean, std), rounded so that every machine prints the same."""
    pairs = {key: (*(value if np.ndim(value) else [value]), None)[:2]
             for key, value in means.items()}  # fmt: skip
    row = {key: round(float(mean), 4) for key, (mean, _) in pairs.items()}
    stds = {f"{key}_std": np.nan if std is None else std for key, (_, std) in pairs.items()}
    return row | {key: round(float(std), 4) for key, std in stds.items()}


def _printed(fields: Row, _: Path) -> list[Row]:
    """The row of numbers that stand in the card."""
    numbers = {key: fields[key] for key in NUMBERS if key in fields}
    return [fields | _numbers(numbers) | {"mark": AS_PUBLISHED}]


def _published(fields: Row, path: Path) -> list[Row]:
    """Rows of published numbers, which the files of the papers hold."""
    rows = []
    for pattern in fields["published"]:
        found = [row for key, row in PUBLISHED.items() if fnmatchcase(key, pattern)]
        if not found:
            raise UserError(f"{path}: {unknown('published row', pattern, PUBLISHED)}")
        rows += [_labels(row) | fields | _numbers(row.values) | {"mark": AS_PUBLISHED}
                 for row in found]  # fmt: skip
    return rows


def _labels(row: Published) -> Row:
    """What a printed row says: method, backbone, pretraining, year, task, source, note, seeds."""
    label, task = row.label, row.key.rsplit("/", 1)[-1]
    year = re.search(r"\d\d$", label.get("venue", ""))
    pretraining = label.get("pretrain", "-")
    labels = {
        "method": re.sub(r" \[\d+\]", "", label.get("method") or label.get("topology", "")),
        "backbone": label.get("architecture"),
        "pretraining": "none" if pretraining == "-" else pretraining,
        "year": 2000 + int(year[0]) if year else None,
        "note": row.note,
        "source": row.source,
        "task": task if task in TASKS["sprsound"] else None,
    }
    if row.authors and row.score_std is not None:
        labels["seeds"] = row.seeds
    return {key: value for key, value in labels.items() if value}


def _stored(fields: Row, known: Sequence[StoredExperiment]) -> list[Row]:
    """Rows of our stored runs, made from their predictions."""
    rows = []
    for stored in known:
        if (stored.name, stored.task) == (fields["experiment"], fields["task"]):
            predictions = stored.predictions(fields["selection"])
            about = f"{stored.data}; {stored.setting}"
            rows += _recomputed(fields | {"note": about}, predictions) if predictions else []
    return rows or [fields | {"mark": NOT_RUN}]


def _submitted(fields: Row, path: Path) -> list[Row]:
    """Rows of a file of predictions, made by the referee; a claimed score must be what it gives."""
    file = path.parent / fields["predictions"]
    s = read_submission(file, fields["dataset"], fields["task"])
    unknown = np.full((1, len(s.label), len(s.task.classes)), np.nan)
    arrays = (s.task, (0,), s.predicted[None], unknown, s.label,
              s.clips.patient.to_numpy(dtype=str),
              s.clips.device.to_numpy(dtype=str), scores.cycle_ids(s.clips), s.subset)  # fmt: skip
    rows = _recomputed(fields, Predictions(*arrays))
    claimed = np.atleast_1d(fields.get("score", rows[0]["score"]))[0]
    if abs(claimed - rows[0]["score"]) > ROUNDED:
        raise UserError(
            f"{path}: claims {claimed:.2f}, but {file.name} gives {rows[0]['score']:.2f}"
        )
    return rows


def _recomputed(fields: Row, p: Predictions) -> list[Row]:
    """Rows of predictions: the task's own definition and, in ICBHI's task, two classes."""
    annotated = load_annotations(
        fields["dataset"], "record" if fields["task"] in RECORD_TASKS else "event"
    )
    places = pd.Index(scores.cycle_ids(annotated)).get_indexer(p.cycle)
    test_set = find_test_set(annotated, places, fields["dataset"])[0]
    rows = []
    for each in referee.definitions(p.task)[: 2 if fields["task"] == "icbhi4" else 1]:
        arrays = p.label, p.predicted, p.patient, each.task, p.subset
        low, high = bootstrap.patient_bootstrap(*arrays)["score"]
        by_seed = [each.task.mean_scores(p.label, one, p.subset) for one in p.predicted]
        means = {key: bootstrap.mean_std([one[key] for one in by_seed])[:2] for key in NUMBERS}
        numbers = {
            key: (mean, None if np.isnan(std) else std) for key, (mean, std) in means.items()
        }
        place = {"definition": each.name.replace(" collapsed", ""), "test_set": test_set}
        interval = {"low": round(low, 4), "high": round(high, 4)}
        row = _numbers(numbers) | interval | place | {"mark": RECOMPUTED}
        rows.append(fields | row | {"seeds": len(p.seeds)})
    return rows
