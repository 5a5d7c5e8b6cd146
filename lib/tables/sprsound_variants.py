"""SPRSound: what the published code's faults are worth, and records as a stream of windows."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from lib import paper_sprsound, rows
from lib.paper_sprsound import TASK_NAMES
from lib.row import Row
from lib.runs import predictions, predictions_sprsound
from lib.runs.predictions import Answers
from lib.runs.predictions_sprsound import scores
from lib.tables import format
from lib.tables.sprsound import CHOSEN, NOT_KEPT, origin, run_with, spread, status
from lib.tables.sprsound import number as tables_number

OTHER_CLIPS = "other clips or seeds"
Read = Callable[[pd.DataFrame, str, str], Answers | None]


def faults(results: pd.DataFrame) -> pd.DataFrame:
    """What the published code's faults are worth: each variant beside the row without it.

    Scores at the epoch chosen on held-out clips. Promised: validation less test. Differences are
    those to the first line of the same task, with paired 95% intervals over patients where both
    answered the same clips (held-out clips of all seeds together).
    """
    lines, first = [], {}
    for row in rows.table("sprsound_faults"):
        task = row.label["task"]
        base = first.setdefault(task, row)
        line = {"Variant": row.label["variant"], "Task": TASK_NAMES[task]}
        for name, part in (("Validation", "validation"), ("Test", "test")):
            line[name] = spread(results, row.experiment, CHOSEN, part, NOT_KEPT)
        line["Promised"] = _promised(results, row.experiment)
        pairs = {"validation": predictions_sprsound.held_out, "test": predictions_sprsound.of}
        for name, read in pairs.items():
            effect = format.MISSING if row is base else _effect(results, base, row, name, read)
            line[f"Effect on {name}"] = effect
        lines.append(line | origin(results, row))
    return pd.DataFrame(lines)


def _promised(results: pd.DataFrame, experiment: str) -> str:
    pair = [scores(results, experiment, CHOSEN, part) for part in ("validation", "test")]
    return f"{np.mean(pair[0]) - np.mean(pair[1]):+.3f}" if all(pair) else format.MISSING


def _effect(results: pd.DataFrame, base: Row, row: Row, name: str, read: Read) -> str:
    """Difference to the base, and its paired interval or why there is none."""
    means = [scores(results, one.experiment, CHOSEN, name) for one in (row, base)]
    if not all(means):
        return format.MISSING
    pair = [read(results, one.experiment, CHOSEN) for one in (row, base)]
    if None in pair or not _same_clips(*pair):
        return f"{np.mean(means[0]) - np.mean(means[1]):+.3f} ({OTHER_CLIPS})"
    return format.format_difference(
        *(number / 100 for number in predictions.difference(*pair)), "+.3f"
    )


def _same_clips(a: Answers, b: Answers) -> bool:
    return np.array_equal(a.cycle, b.cycle) and predictions.comparable(a, b)


def windows(results: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """Table II: event and record level, part by part, the paper beside each of our topologies.

    records: what the stream said of every test record (`lib.analysis.streaming_model.evaluate`), with column `run`.
    """
    found = _streamed(results, records)
    topologies = dict.fromkeys(row.label["topology"] for row in rows.table("sprsound2"))
    lines = []
    for one in paper_sprsound.table("s2"):
        _, level, part, task = one.key.split("/")
        line = {"Level": one.label["level"], "Task": one.label["task"], "Part": part}
        line["Paper"] = tables_number(one.score)
        for topology in topologies:
            row = next(r for r in rows.table("sprsound2")
                       if r.label == {"topology": topology, "task": task})  # fmt: skip
            at = (found.experiment == row.experiment) & (found.part == part)
            line[topology] = format.format_mean_std(found[at][level], ".3f") or _unheard(
                results, row
            )
        lines.append(line | {"Ours was run with": run_with(results, rows.table("sprsound2"))})
    return pd.DataFrame(lines)


def _unheard(results: pd.DataFrame, row: Row) -> str:
    found = status(results, row)
    return "no records heard" if found == "done" else found


def _streamed(results: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """Table II of each run whose records were heard: experiment, task, part, event, record."""
    tables = [pd.DataFrame(columns=["experiment", "task", "part", "event", "record"])]
    if len(records):
        from lib.analysis import streaming_model  # here: it loads torch, which no other table needs

        heard = results[results.run.isin(records.run)].drop_duplicates("run")
        for run in heard.itertuples():
            one = streaming_model.table2(Path(run.path), records[records.run == run.run])
            tables.append(one.assign(experiment=run.experiment))
    return pd.concat(tables, ignore_index=True)
