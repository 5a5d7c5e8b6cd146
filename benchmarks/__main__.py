"""Measure what things cost on this machine; writes reports/benchmarks.csv and .md."""

import argparse
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

import pandas as pd
import torch

from benchmarks import gpu_step, measure, table
from lib.errors import UserError, unknown

GROUPS = (
    *("features", "step", "tried", "evaluation", "stream", "sam", "scan", "dass", "report"),
    *("scaling", "gpu"),
)


def main(arguments: list[str]) -> int:
    """Run the groups asked for, all if none is; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each case (5)")
    given = parser.parse_args(arguments)
    for name in given.groups:
        if name not in GROUPS:
            raise unknown("group", name, GROUPS)
    groups = given.groups or list(GROUPS)
    rows = measure_groups([name for name in groups if name != "gpu"], given.rounds)
    if "gpu" in groups:
        if torch.cuda.is_available():
            return gpu_step.main([]) or _faults(rows)
        print("gpu: not run, there is no CUDA device")
    return _faults(rows)


def _faults(rows: list[dict]) -> int:
    """1 if a variant failed, with the names of those that did."""
    failed = [row for row in rows if row.get("note", "").startswith("failed")]
    for row in failed:
        print(f"failed: {row['group']}, {row['case']}, {row['variant']}", file=sys.stderr)
    return 1 if failed else 0


def measure_groups(groups: list[str], rounds: int) -> list[dict]:
    """Measure these groups, a case at a time; written after each group."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
        folder = Path(name)
        cases = [(g, case) for g in groups for case in _cases(g, folder)]
        left = sum(len(case.variants) for _, case in cases)
        rows, start, done = [], time.monotonic(), 0
        for at, (group, case) in enumerate(cases, 1):
            found = [{"group": group, **row} for row in measure.run(case, rounds)]
            rows += found
            done += len(case.variants)
            left -= len(case.variants)
            spent = time.monotonic() - start
            print(f"{at}/{len(cases)} {group}: {case.name}: {_said(found)}", end="")
            print(f" [{spent:.0f} s, about {spent / done * left:.0f} s left]", flush=True)
            if at == len(cases) or cases[at][0] != group:
                table.write(pd.DataFrame([r for r in rows if r["group"] == group]))
    return rows


def _cases(group: str, folder: Path) -> list[measure.Case]:
    return import_module(f"benchmarks.{group}").cases(folder)


def _said(rows: list[dict]) -> str:
    return ", ".join(
        f"{row['variant']} {row['median']:.4g} {row['unit']}"
        if "median" in row
        else f"{row['variant']} {row['note']}"
        for row in rows
    )


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        sys.exit(f"error: {error}")
