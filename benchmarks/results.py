"""What was measured of speed and memory: reports/benchmarks.csv as tables and frames for figures.

The rows are made by `python -m benchmarks`, those of a GPU by `python -m benchmarks.gpu_step`.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from lib import paths as lib_paths

FILE, GPU_FILE = "benchmarks", "gpu_step"
MACHINE = ("cpu", "cores", "torch", "gpu")
COLUMNS = [
    *("group", "case", "variant", "base", "unit", "x"),
    *("median", "q1", "q3", "rounds", "faster", "faster_q1", "faster_q3", "peak_mb", "note"),
    *MACHINE,
]
GROUPS = {
    "features": "Recordings to a feature store, cold; and opening a store that is there.",
    "step": "A training step by model and method: batch 8, 3 s clips, float32, one thread.",
    "tried": "What was tried on a CPU, each against ours as it stands: batch 8, 3 s clips.",
    "evaluation": "Scoring a set of clips, by model and batch.",
    "stream": "SPRSound's stream, a window of 3 s each second: features and answer, one thread.",
    "sam": "A step with SAM and without (batch 8, 3 s clips); an AST's answer to a clip of "
    "8 s and its zeros, by size and batch; one thread.",
    "scan": "The selective scan of state-space models, forward and backward, against step loops; "
    "one clip, one thread.",
    "dass": "DASS beside AST on the same clips: a step (3 s, batch 8; 8 s, batch 2) and an answer "
    "(3 s; 8 s), of 8 s with AST's stride of 10; one thread.",
    "report": "Tables and checks from records of finished runs.",
    "scaling": "Cost against one size at a time.",
    "gpu": "AST on a GPU: ceilings, steps, evaluation, sharing, and a projection.",
}
HOW = (
    "Medians of rounds with quartiles in brackets; variants of a case take turns, each in a "
    "process of its own. *Times as fast* compares with the case's first variant, round by round. "
    "Memory is the peak of the largest process, libraries included, or what PyTorch took of a GPU."
)
NOT_RUN = "not run"


def read(path: Path | None = None) -> pd.DataFrame:
    """The measured rows, with those of the GPU file beside it; without a file an empty table."""
    found = [_read(one) for one in ([path] if path else paths()) if one.exists()]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=COLUMNS)


def paths() -> list[Path]:
    """Where the measured rows are, if they were measured."""
    return [lib_paths.reports_root() / f"{name}.csv" for name in (FILE, GPU_FILE)]


def _read(path: Path) -> pd.DataFrame:
    text = dict.fromkeys(("base", "note", "case", "variant", *MACHINE), str)
    return pd.read_csv(path, dtype=text, na_values=["nan"], keep_default_na=False)


def machine(costs: pd.DataFrame) -> str:
    """The machines the rows were measured on, in words."""
    if costs.empty:
        return "Not run: python -m benchmarks measures this machine"
    named = []
    for row in costs[list(MACHINE)].drop_duplicates().itertuples():
        gpu = "no GPU" if row.gpu == "none" else row.gpu
        named.append(f"{row.cpu}, {row.cores} cores, {gpu}, torch {row.torch}")
    return "Measured on one machine: " + "; and on another: ".join(named)


def machines(costs: pd.DataFrame) -> pd.DataFrame:
    """The machines and which groups were measured on each."""
    if costs.empty:
        note = "python -m benchmarks measures this machine"
        return pd.DataFrame([{"groups": NOT_RUN, "note": note}])
    by = costs.groupby(list(MACHINE), sort=False).group
    return by.agg(lambda found: ", ".join(dict.fromkeys(found))).rename("groups").reset_index()


def table(costs: pd.DataFrame, group: str) -> pd.DataFrame:
    """A group as a reader wants it: cost with quartiles, times as fast as what, memory, note."""
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
    command = "benchmarks.gpu_step" if group == "gpu" else f"benchmarks {group}"
    return {"case": NOT_RUN, "note": f"python -m {command} measures it"}


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
    """case, variant, base, faster, faster_q1, faster_q3: what a figure of ratios draws.

    start: only cases whose names begin so.
    """
    rows = costs[(costs.group == group) & costs.faster.notna() & (costs.variant != costs.base)]
    rows = rows[rows.case.astype(str).str.startswith(start)]
    columns = ["case", "variant", "base", "faster", "faster_q1", "faster_q3"]
    return rows[columns].reset_index(drop=True)


def clips_per_second(costs: pd.DataFrame) -> pd.DataFrame:
    """Evaluation: clips a second, a row for each model and variant, a column for each batch."""
    rows = costs[(costs.group == "evaluation") & costs["median"].notna()]
    if rows.empty:
        return pd.DataFrame([_not_run("evaluation")])
    parts = rows.case.str.split(", ", expand=True)
    wide = rows.assign(
        model=parts[0], batch=parts[1], rate=(1 / rows["median"]).map("{:.0f}".format)
    )
    wide = wide.pivot(index=["model", "variant"], columns="batch", values="rate")
    order = sorted(wide.columns, key=lambda name: int(name.split()[1]))
    return wide[order].rename_axis(columns=None).reset_index()


def lines(costs: pd.DataFrame) -> pd.DataFrame:
    """case, unit, x, median, q1, q3 of the group scaling: what a figure of lines draws."""
    rows = costs[(costs.group == "scaling") & costs.x.notna() & costs["median"].notna()]
    return rows[["case", "unit", "x", "median", "q1", "q3"]].reset_index(drop=True)


def fits(costs: pd.DataFrame) -> pd.DataFrame:
    """A straight line through the cost of each size: slope, intercept, R^2, and the widest ratio.

    `cost ratio` is the cost of the largest size over that of the smallest: where cost grows with
    the size and nothing else, it is the `size ratio`; what is paid in any case makes it smaller.
    """
    rows = []
    for case, points in lines(costs).groupby("case", sort=False):
        slope, start, r2 = fit(points.x.to_numpy(), points["median"].to_numpy())
        least, most = points.x.idxmin(), points.x.idxmax()
        rows.append(
            {
                "cost against": case,
                "sizes": ", ".join(f"{x:g}" for x in points.x),
                "slope (s)": f"{slope:.3g}",
                "intercept (s)": f"{start:.3g}",
                "R²": f"{r2:.4f}",
                "size ratio": f"{points.x[most] / points.x[least]:.2f}",
                "cost ratio": f"{points['median'][most] / points['median'][least]:.2f}",
            }
        )
    return pd.DataFrame(rows or [{"cost against": NOT_RUN, "note": _not_run("scaling")["note"]}])


def fit(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Least squares: slope, intercept and R^2 of y against x, both (n,)."""
    slope, start = np.polyfit(x, y, 1)
    left = ((y - slope * x - start) ** 2).sum()
    whole = ((y - y.mean()) ** 2).sum()
    return float(slope), float(start), float(1 - left / whole) if whole else 1.0
