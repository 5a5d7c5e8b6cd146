"""`python -m benchmarks.gpu_step`: Patch-Mix CL on AST on one GPU, in under 8 minutes.

Correctness first, then ceilings, steps against the published way, evaluation, small runs that share
the device, and a projection of a whole run. It writes gpu_step.csv and .md. With `--device cpu
--size nano` the same lines run on a CPU, to see that they do; its numbers mean nothing.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch

from benchmarks import gpu_work as work
from benchmarks import made, measure, results, table
from benchmarks.measure import Case, Variant, Work
from lib import paths

SIZES = {  # clips in the store, frames, batch, evaluation batches, copies, matrix, bytes, seconds
    "full": (512, 798, 8, (8, 128, 512), (1, 2, 4, 8), 8192, 2**32, 0.5),
    "dry": (16, 98, 4, (4, 8), (1, 2), 256, 2**20, 0.02),
}
EPOCHS, TRAIN, TEST = 50, 4142, 2756  # ICBHI's official split
VARIANTS = {  # name -> plain or ours, precision, options of torch.compile or None
    "plain fp16": ("plain", "fp16", None),
    "plain fp32": ("plain", "fp32", None),
    "ours fp32": ("ours", "fp32", None),
    "ours fp16": ("ours", "fp16", None),
    "ours bf16": ("ours", "bf16", None),
    "ours bf16 compiled": ("ours", "bf16", {}),
    "ours bf16 reduce-overhead": ("ours", "bf16", {"mode": "reduce-overhead"}),
}


def main(arguments: list[str]) -> int:
    """Measure and write; returns 1 if something failed or is not correct."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_step", description=__doc__)
    parser.add_argument("--seconds", type=float, default=450, help="start no case after (450)")
    parser.add_argument("--out", type=Path, help="folder to write to (reports; a dry run: none)")
    parser.add_argument("--size", default="base", help="AST of the steps (base)")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: a dry run")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each case (5)")
    given = parser.parse_args(arguments)
    if given.device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: there is no CUDA device; --device cpu --size nano is a dry run")
    start, rows = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="gpu-step-") as name:
        out = given.out or (paths.reports_root() if given.device == "cuda" else Path(name))
        for case in cases(Path(name), given.device, given.size):
            if time.monotonic() - start > given.seconds:
                rows.append(_late(case))
            else:
                rows += measure.run(case, given.rounds)
            print(f"[{time.monotonic() - start:.0f} s] {case.name}", flush=True)
            rows = [{"group": "gpu", "note": "", **row} for row in rows]
            _finish(rows)
            table.write(pd.DataFrame([*rows, *_projection(rows)]), results.GPU_FILE, out)
        print((out / f"{results.GPU_FILE}.md").read_text())
    return int(any(row["note"].startswith(("failed", "WRONG")) for row in rows))


def cases(folder: Path, device: str, size: str) -> list[Case]:
    """All cases, most telling first."""
    clips, frames, batch, batches, copies, matrix, copied, seconds = SIZES[
        "full" if device == "cuda" else "dry"
    ]
    store = made.store(folder / "store", clips, clips, frames)
    small = made.store(folder / "small", 64, 16, min(frames, 298))
    given = {"store": store, "folder": folder, "device": device, "size": size, "batch": batch}
    steps = [
        Variant(name, work.step, {**given, "way": way, "precision": precision, "options": options})
        for name, (way, precision, options) in VARIANTS.items()
    ]
    checks = [
        Variant(f"{precision}{' compiled' * compiled}", work.check,
                {"store": small, "folder": folder, "device": device, "precision": precision,
                 "compiled": compiled})
        for precision in ("fp32", "bf16") for compiled in (False, True)
    ]  # fmt: skip
    found = [
        Case("error of loss and gradients against float64", tuple(checks), "of the norm", False, 1,
             0),
        Case("no waiting for the host", (Variant("ours bf16", work.no_waiting,
             {"store": small, "folder": folder, "device": device}),), "s/step", False, 1, 0),
        _ceiling("bf16 matrix product", work.matrix, {"side": matrix, "device": device}),
        _ceiling("copy in memory", work.copy_bytes, {"size": copied, "device": device}),
        Case(f"step of AST {size}, Patch-Mix CL", tuple(steps), round_seconds=seconds),
        Case("write a checkpoint", (Variant("ours", work.checkpoint, given),), "s/epoch", False),
    ]  # fmt: skip
    scores = [
        Variant(f"batch {n}", work.scores, {**given, "batch": n}, x=float(n)) for n in batches
    ]
    found.append(Case(f"scoring, AST {size}, bf16", tuple(scores), "s/clip", False))
    return found + _shared({"store": small, "folder": folder, "device": device}, copies, seconds)


def _shared(given: dict, copies: tuple[int, ...], seconds: float) -> list[Case]:
    """How many small runs the device bears: the cost of a step by runs at once."""
    found = []
    for model, size in (("ast", "mini"), ("mn04", "")):
        settings = {**given, "asked": (model, size)}
        variants = [Variant(f"{n} runs at once", work.small_step, settings, n) for n in copies]
        name = f"share the device: {model} {size}".strip()
        found.append(Case(name, tuple(variants), round_seconds=seconds))
    return found


def _ceiling(name: str, make: Callable[..., Work], settings: dict) -> Case:
    return Case(name, (Variant("torch", make, settings),), "s", False)


def _late(case: Case) -> dict:
    note = "not run: the time given was spent"
    return {"case": case.name, "variant": case.variants[0].name, "unit": case.unit, "note": note}


def _finish(rows: list[dict]) -> None:
    """Turn what a variant knows of itself (FLOPs, bytes, errors) into notes; in place.

    FLOPs of a step become a share of the ceiling that was measured in the same call.
    """
    ceiling = None
    for row in rows:
        if row["note"].startswith("{"):
            known = json.loads(row["note"])
            if "error" in known:
                row["median"] = known["error"]
                row |= dict.fromkeys(("q1", "q3", "peak_mb"), float("nan"))
                right = known["error"] < known["limit"]
                row["note"] = f"{'right' if right else 'WRONG'}: {known['what']}"
            if "bytes" in known:
                row["note"] = f"{known['bytes'] / row['median'] / 1e12:.3g} TB/s read and written"
            if "flops" in known:
                rate = known["flops"] / row["median"]
                ceiling = rate if row["case"].startswith("bf16") else ceiling
                share = f", {rate / ceiling:.1%} of the bf16 ceiling" if ceiling else ""
                row["note"] = f"{rate / 1e12:.3g} TFLOP/s{share}"


def _projection(rows: list[dict]) -> list[dict]:
    """Minutes of a published run, from what was measured of its parts."""
    known = {(row["case"].split(" of ")[0], row["variant"]): row.get("median") for row in rows}
    score = [row["median"] for row in rows if row["unit"] == "s/clip" and row.get("median")]
    save = known.get(("write a checkpoint", "ours"))
    if not score or save is None:
        return []
    found = []
    for name in VARIANTS:
        step = known.get(("step", name))
        if step is not None:
            minutes = EPOCHS * (TRAIN // 8 * step + TEST * min(score) + save) / 60
            note = f"{EPOCHS} x ({TRAIN // 8} steps + {TEST} clips scored by ours + a checkpoint)"
            found.append({"group": "gpu", "case": "PROJECTION: a run of 50 epochs, batch 8",
                          "variant": name, "unit": "min", "median": minutes, "base": "",
                          "note": note})  # fmt: skip
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
