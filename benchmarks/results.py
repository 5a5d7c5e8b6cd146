"""Measured rows in reports/benchmarks.csv, and the tables that notebooks make of them."""

import platform
import re
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lib import files, paths
from lib.tables.format import csv_text

FILE = "benchmarks.csv"
MACHINE = ["cpu", "cores", "torch", "gpu"]
COLUMNS = ["group", "case", "variant", "base", "unit", "median", "q1", "q3", "rounds", "faster"]
COLUMNS += ["faster_q1", "faster_q3", "peak_mb", "note", *MACHINE]
GROUPS = {
    "features": "Recordings to a feature cache, cold.",
    "step": "A training step by model and method: batch 8, 3 s clips, float32, one thread.",
    "evaluation": "Scoring test clips, by model and batch.",
    "stream": "SPRSound's stream, a window of 3 s each second: features and answer, one thread.",
    "sam": "A step with SAM and without (batch 8, 3 s clips); an AST's answer to a clip of 8 s and "
    "its zeros, by size and batch; one thread.",
    "scan": "The selective scan of state-space models, forward and backward, against step loops; "
    "one clip, one thread.",
    "dass": "DASS beside AST on the same clips: a step (3 s, batch 8; 8 s, batch 2) and an answer "
    "(3 s; 8 s); AST's stride is 10 at 8 s; one thread.",
    "gpu": "AST on a GPU: errors, training steps and evaluation.",
}
NOT_RUN = "not run"


def read(path: Path | None = None) -> pd.DataFrame:
    """Return the measured rows; an empty table if there are none."""
    path = path or paths.reports_root() / FILE
    if not path.exists():
        return pd.DataFrame(columns=COLUMNS)
    text = dict.fromkeys(("base", "note", "case", "variant", *MACHINE), str)
    return pd.read_csv(path, dtype=text, na_values=["nan"], keep_default_na=False)


def write(rows: list[dict], path: Path | None = None) -> None:
    """Write rows as CSV; rows of other groups stay, with the machine that they were measured on."""
    path = path or paths.reports_root() / FILE
    new = pd.DataFrame(rows).assign(**this_machine()).reindex(columns=COLUMNS)
    old = read(path).reindex(columns=COLUMNS)
    old = old[old.group.isin(GROUPS) & ~old.group.isin(new.group)]
    merged = pd.concat([table for table in (old, new) if len(table)], ignore_index=True)
    merged = merged.sort_values("group", key=lambda g: g.map(list(GROUPS).index), kind="stable")
    texts = merged[["note", "base"]].astype(object).fillna("")
    files.write_text(path, csv_text(merged.assign(note=texts.note, base=texts.base)))


def this_machine() -> dict[str, object]:
    """Return the name of the CPU, cores that may be used, torch's version, the GPU or "none"."""
    listed = Path("/proc/cpuinfo")
    name = re.search(r"model name\s*: (.*)", listed.read_text()) if listed.exists() else None
    cpu = name[1] if name else platform.processor() or platform.machine()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {"cpu": cpu, "cores": paths.available_cores(), "torch": torch.__version__, "gpu": gpu}


def machines(costs: pd.DataFrame) -> pd.DataFrame:
    """Return the machines and which groups were measured on each."""
    if costs.empty:
        note = "./run_all.sh python -m benchmarks measures this machine"
        return pd.DataFrame([{"groups": NOT_RUN, "note": note}])
    groups = costs.groupby(MACHINE, sort=False).group
    return groups.agg(lambda names: ", ".join(dict.fromkeys(names))).rename("groups").reset_index()


def table(costs: pd.DataFrame, group: str) -> pd.DataFrame:
    """Return a group for readers: cost with quartiles, times as fast, memory, note."""
    rows = [
        {
            "case": row.case,
            "variant": row.variant,
            "cost": _cost(row),
            "times as fast": _faster(row),
            "memory (MB)": "" if np.isnan(row.peak_mb) else f"{row.peak_mb:.0f}",
            "note": row.note,
        }
        for row in costs[costs.group == group].itertuples()
    ]
    return pd.DataFrame(rows or [_not_run(group)]).fillna("")


def _not_run(group: str) -> dict[str, str]:
    return {"case": NOT_RUN, "note": f"./run_all.sh python -m benchmarks {group} measures it"}


def _cost(row: tuple) -> str:
    if np.isnan(row.median):
        return NOT_RUN
    unit, factor = row.unit, 1.0
    if unit.split("/")[0] == "s" and row.median < 0.1:  # small costs read better in ms
        unit, factor = f"m{unit}", 1000.0
    numbers = [f"{factor * value:.3g}" for value in (row.median, row.q1, row.q3)]
    spread = "" if np.isnan(row.q1) else f" ({numbers[1]} to {numbers[2]})"
    spread = " (one round)" if row.rounds == 1 and spread else spread
    return f"{numbers[0]}{spread} {unit}"


def _faster(row: tuple) -> str:
    if np.isnan(row.faster) or row.variant == row.base:
        return ""
    if row.rounds == 1:
        return f"{row.faster:.2f}"
    return f"{row.faster:.2f} ({row.faster_q1:.2f} to {row.faster_q3:.2f})"


def speeds(costs: pd.DataFrame, group: str, start: str = "") -> pd.DataFrame:
    """Return case, variant, base, faster and its quartiles of the cases whose names begin so."""
    rows = costs[(costs.group == group) & costs.faster.notna() & (costs.variant != costs.base)]
    rows = rows[rows.case.astype(str).str.startswith(start)]
    columns = ["case", "variant", "base", "faster", "faster_q1", "faster_q3"]
    return rows[columns].reset_index(drop=True)
