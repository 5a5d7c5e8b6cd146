"""A referee's report as tables of text, for the terminal and for pages.

`lib.tables.format` would do the same, but its package takes seconds to import.
"""

import json
import math

import pandas as pd

from lib.data import DATASETS
from lib.evaluation.tasks import get_task

NAMES = {"sp": "Sp", "se": "Se", "as": "AS", "hs": "HS", "score": "Score"}
OPTIMISTIC = "the test set chose the epoch or the threshold, so these numbers are too high"
RULES = {"test": f"test ({OPTIMISTIC})", "last": "last (nothing was chosen)"}


def headline(report: dict) -> list[str]:
    """Return what was scored, in a few lines."""
    title, rule = DATASETS[report["dataset"]].short_title, report["selected_on"]
    clips = f"{report['clips']:,} clips of {report['patients']} patients"
    return [
        f"{report['file']}: {report['given']} for {clips}; {title}, {report['test_set']}, "
        f"task {report['task']}",
        f"Epoch and threshold chosen on: {RULES.get(rule, rule)}",
        f"Always 'normal' has a Score of {_number(report['always_normal'], _fraction(report))}",
        *report["notes"],
    ]


def tables(report: dict) -> dict[str, pd.DataFrame]:
    """Return the tables of a report, title -> cells; a table that would be empty is left out."""
    fraction = _fraction(report)
    scale = "from 0 to 1" if fraction else "in percent"
    groups = {
        f"By {name}": _groups(lines, name, fraction) for name, lines in report["groups"].items()
    }
    found = {
        f"Scores {scale} (95% interval over patients)": _scores(report, fraction),
        "By subset": _groups(report["subsets"], "subset", fraction),
        "Confusion matrix (rows: truth)": _confusion(report["confusion"]),
        "Probabilities": _probabilities(report),
        **groups,
        "Difference of the Score to stored runs (95% interval, paired over patients)": (
            _stored(report["stored_runs"], fraction)
        ),
        "Definitions": pd.DataFrame(
            [(line["definition"], line["about"]) for line in report["scores"] if not line["clips"]],
            columns=["definition", "meaning"],
        ),
    }
    return {title: table for title, table in found.items() if len(table)}


def as_text(report: dict) -> str:
    """Return the whole report for a terminal."""
    blocks = ["\n".join(headline(report))]
    shown = {title: table.drop(columns="setting", errors="ignore")  # long: --json, --html have it
             for title, table in tables(report).items()}  # fmt: skip
    blocks += [f"{title}\n{_aligned(table)}" for title, table in shown.items()]
    return "\n\n".join(blocks)


def as_json(report: dict) -> str:
    """Return the report as JSON; numbers that are not defined are null."""
    return json.dumps(json.loads(json.dumps(report), parse_constant=lambda _: None), indent=2)


def _fraction(report: dict) -> bool:
    """Whether Scores are printed from 0 to 1, as in SPRSound's challenge."""
    return get_task(report["task"]).challenge


def _number(value: float, fraction: bool, sign: str = "") -> str:
    if math.isnan(value):
        return "–"
    return f"{value / 100:{sign}.3f}" if fraction else f"{value:{sign}.2f}"


def _interval(line: dict, key: str, fraction: bool, sign: str = "") -> str:
    """ "value (low to high)"."""
    value, low, high = (_number(line[name], fraction, sign) for name in (key, "low", "high"))
    return f"{value} ({low} to {high})"


def _scores(report: dict, fraction: bool) -> pd.DataFrame:
    rows = []
    for line in report["scores"]:
        metrics = [key for key in NAMES if key in line]
        cells = {NAMES[key]: _interval(line[key], "value", fraction) for key in metrics}
        rows.append({"definition": line["definition"], "clips": line["clips"] or "all"} | cells)
    return pd.DataFrame(rows).fillna("–")


def _groups(lines: list[dict], name: str, fraction: bool) -> pd.DataFrame:
    rows = []
    for line in lines:
        cells = {NAMES[key]: _number(line[key], fraction) for key in NAMES if key in line}
        counts = {key: str(line[key]) for key in ("clips", "patients")}
        rows.append({name: line["group"]} | counts | cells)
    return pd.DataFrame(rows)


def _confusion(confusion: dict) -> pd.DataFrame:
    table = pd.DataFrame(confusion["matrix"], columns=confusion["classes"]).astype(str)
    table.insert(0, "truth", confusion["classes"])
    return table


def _probabilities(report: dict) -> pd.DataFrame:
    if report["auroc"] is None:
        return pd.DataFrame()
    percent = {key: 100 * value for key, value in report["auroc"].items()}
    calibration = report["calibration"]
    rows = [("AUROC, abnormal against normal", _interval(percent, "value", True)),
            ("expected calibration error, 15 bins", f"{calibration['ece']:.3f}"),
            ("Brier score, 0 to 2", f"{calibration['brier']:.3f}")]  # fmt: skip
    return pd.DataFrame(rows, columns=["measure", "value"])


def _stored(lines: list[dict], fraction: bool) -> pd.DataFrame:
    rows = [
        {"stored run": line["experiment"], "data": line["data"], "seeds": str(line["seeds"]),
         "chosen on": line["selected_on"], "Score": _number(line["score"], fraction),
         "this file minus it": _interval(line, "difference", fraction, "+"), "mark": line["mark"],
         "setting": line["setting"]}
        for line in lines
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _aligned(table: pd.DataFrame) -> str:
    cells = [list(table.columns), *table.to_numpy().tolist()]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(map(str.ljust, line, widths)) for line in cells)
    return "\n".join(f"  {line.rstrip()}" for line in lines)
