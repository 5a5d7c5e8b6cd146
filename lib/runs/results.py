"""What the runs of tables gave, or why they gave nothing: one row a run and selection."""

from pathlib import Path

import pandas as pd

from lib import rows
from lib.config import describe_settings
from lib.runs import folder
from lib.runs.plan import Planned, open_study, plan

METRICS = ("sp", "se", "score", "se_binary", "score_binary")
COLUMNS = [
    *("experiment", "seed", "selection", "status", "reason", "epoch"),
    *METRICS,
    *(f"{metric}_patient_disjoint" for metric in METRICS),  # without patients 156 and 218
    *("gap", "gap_binary"),  # what choosing on the test set adds to this selection, in the same run
    *("data", "weights", "setting", "run", "path"),
]


def of(profile: str, *tables: str) -> pd.DataFrame:
    """What the runs of these tables gave: one row for each experiment, seed and selection.

    Status is done, not run, failed or none qualifies, with a reason; the numbers are percent of the
    test set, `*_clean` without the two patients who stand on both sides of the official split. What
    a labelling does not have (SPRSound's: se_binary, score_binary, gap_binary) is nan.
    """
    found = []
    for planned in plan(open_study(profile), *tables):
        found += [_result(planned, selection) for selection in planned.selections]
    return pd.DataFrame(found, columns=COLUMNS)


def overview(profile: str) -> pd.DataFrame:
    """How far each table of the first paper is: runs wanted, done, failed, why others were not."""
    lines = []
    for table in rows.DEFAULT_TABLES:
        found = of(profile, table).drop_duplicates(["experiment", "seed", "run"])
        stood = found[found.status == "not run"]
        why = stood.reason.value_counts(sort=False)
        lines.append(
            {
                "table": table,
                "runs wanted": len(found),
                "done": int(found.status.isin(["done", "none qualifies"]).sum()),
                "failed": int((found.status == "failed").sum()),
                "not run": len(stood),
                "why not": "; ".join(f"{count} × {reason}" for reason, count in why.items()),
            }
        )
    return pd.DataFrame(lines)


def histories(results: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Experiment -> history (one row an epoch) of the first finished seed."""
    found = results[results.path.notna()].sort_values("seed", kind="stable")
    first = found.drop_duplicates("experiment").sort_values("experiment")
    return {
        row.experiment: pd.read_csv(Path(row.path) / "history.csv") for row in first.itertuples()
    }


def _result(planned: Planned, selection: str) -> dict:
    row = {"experiment": planned.name, "seed": planned.seed, "selection": selection}
    row["setting"] = _setting(planned)
    if planned.record is None:
        status = "failed" if planned.failed else "not run"
        reason = planned.failed or planned.reason or "not yet run"
        return {**row, "status": status, "reason": reason}
    record = folder.read(planned.record)
    row |= {"run": planned.record.name, "path": str(planned.record)}
    return {**row, **from_record(record, selection)}


def _setting(planned: Planned) -> str:
    """What was trained: the run itself and the one it starts from, that one alone of a transfer."""
    own, parent = describe_settings(planned.experiment), planned.parent
    if parent is None:
        return own
    before = _setting(parent)
    known = planned.experiment.method == "none"
    return before if known else f"{own}; on {parent.experiment.method} of {before}"


def from_record(record: dict, selection: str) -> dict:
    """What a complete record says of one selection: status, epoch, numbers, data and weights."""
    known = {"data": record["data"]["name"], "weights": record["weights"]["name"]}
    chosen = record["selections"][selection]
    if chosen is None:
        return {**known, "status": "none qualifies", "reason": _why_none(selection)}
    clean = chosen["test_patient_disjoint"]
    return {
        **known,
        "status": "done",
        "epoch": chosen["epoch"],
        **{key: chosen["test"][key] for key in METRICS if key in chosen["test"]},
        **{f"{key}_patient_disjoint": clean[key] for key in METRICS if key in clean},
        **_gaps(record["selections"], chosen),
    }


def _why_none(selection: str) -> str:
    if selection == "last":  # a transferred model has no epochs, but its weights are those of one
        return "the weights that were kept are of another epoch"
    return "no epoch has Se > 5"


def _gaps(selections: dict, chosen: dict) -> dict[str, float]:
    best = selections["test"]
    if best is None:
        return {}
    pairs = (("gap", "score"), ("gap_binary", "score_binary"))
    test = chosen["test"]  # SPRSound has no 2-class Score
    return {gap: round(best["test"][key] - test[key], 4) for gap, key in pairs if key in test}
