"""Measure what things cost on this machine; write reports/benchmarks.csv."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks import evaluation, features, gpu, results, scan, step
from lib.errors import UserError, unknown

GROUPS = {
    "features": [features.features],
    "step": [step.step],
    "evaluation": [evaluation.evaluation],
    "stream": [evaluation.stream],
    "sam": [step.sam, evaluation.sam],
    "scan": [scan.scan],
    "dass": [scan.dass],
    "gpu": [gpu.gpu],
}


def main(arguments: list[str]) -> int:
    """Run the groups that are named, or all; write after each; return 1 if a result is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each case (5)")
    parser.add_argument("--out", type=Path, help="file to write (reports/benchmarks.csv)")
    given = parser.parse_args(arguments)
    for name in given.groups:
        if name not in GROUPS:
            raise unknown("group", name, GROUPS)
    wrong = 0
    for name in given.groups or GROUPS:
        if name == "gpu" and not torch.cuda.is_available():
            print("gpu: not run, there is no CUDA device")
            continue
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
            rows = [row for part in GROUPS[name] for row in part(Path(folder), given.rounds)]
        results.write([{"group": name, **row} for row in rows], given.out)
        print(f"{name}: {len(rows)} rows in {time.monotonic() - start:.0f} s", flush=True)
        wrong |= any(row["note"].startswith("WRONG") for row in rows)
    return int(wrong)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        sys.exit(f"error: {error}")
