"""What the profile `paper` would cost on this machine, by the runs of a rehearsal."""

import re

import pandas as pd

from lib import files, papers
from lib.config import Experiment, hashed_settings, override
from lib.papers.patchmix import CYCLES
from lib.papers.profiles import PAPER, apply_rules, seeds_of
from lib.papers.sprsound import EVENT_TASKS
from lib.runs.folder import COSTS
from lib.runs.plan import PlannedRun

EPOCH = re.compile(r"epoch \d+ took ([\d.]+) s, ([\d.]+) s of it training")
ICBHI_CLIPS = tuple(sum(cycles.values()) for cycles in CYCLES.values())  # training and test
EVENTS, RECORDS = (6656, 5557), (1949, 1605)  # the same of SPRSound's releases of 2022 and 2023
COLUMNS = ["experiment", "same", "parameters", "memory", "batch", "step", "hours", "problem"]


def costs(runs: list[PlannedRun]) -> pd.DataFrame:
    """Return one row for each distinct run of a rehearsal, and a last one with the sum of hours.

    Columns: experiment; same, how many further ones it stands for, which differ in a number alone;
    parameters (millions); memory (GB, the peak of the process or on the GPU); batch; step (s);
    hours of all these experiments in the profile `paper`, all seeds, one after another on one core
    or GPU of this machine; problem, why it was not run. On a CPU, seconds and hours are those of a
    core that has nothing else to do.
    """
    groups: dict[str, list[PlannedRun]] = {}
    for run in runs:
        groups.setdefault(run.spec.hash8, []).append(run)
    rows = [_row(group) for group in groups.values()]
    sums = {key: sum(row.get(key, 0) for row in rows) for key in ("same", "hours")}
    table = pd.DataFrame([*rows, {"experiment": "total"} | sums], columns=COLUMNS)
    return table.astype(object).fillna("")


def _row(runs: list[PlannedRun]) -> dict:
    run, published = runs[0], _published(runs)
    held_out = run.experiment.validation_split != papers.get_experiment(run.name).validation_split
    name = f"{run.name}, patients held out" if held_out else run.name
    row = {"experiment": name, "same": len(published) - 1}
    if not (run.spec.folder / COSTS).exists():
        return row | {"problem": run.failed or run.reason or "not finished"}
    log = (run.spec.folder / "log.txt").read_text()
    cost = files.read_json(run.spec.folder / COSTS)
    times = EPOCH.findall(log)[-1]  # the first one compiles on a GPU
    epoch, training = (float(time) * cost["share"] for time in times)
    result, batch = files.read_json(run.spec.folder / "result.json"), run.experiment.batch_size
    clips = result["clips"]
    steps = clips["train"] // batch
    seconds = training / steps / batch, (epoch - training) / (clips["test"] + clips["validation"])
    return row | {
        "parameters": round(result["parameters"] / 1e6, 1),
        "memory": cost["memory_gb"],
        "batch": f"{batch} of {published[0].batch_size}",
        "step": round(training / steps, 2),
        "hours": round(sum(_hours(experiment, *seconds) for experiment in published), 1),
        "problem": "",
    }


def _published(runs: list[PlannedRun]) -> list[Experiment]:
    """The distinct experiments of the profile `paper` that a run stands for."""
    distinct = {}
    for run in runs:
        experiment = apply_rules(PAPER, papers.get_experiment(run.name))
        experiment = override(experiment, validation_split=run.experiment.validation_split)
        distinct.setdefault(str((hashed_settings(experiment), experiment.init_from)), experiment)
    return list(distinct.values())


def _hours(e: Experiment, training: float, test: float) -> float:
    """Hours of all seeds; training, test: seconds for a clip."""
    of_sprsound = EVENTS if e.task in ("icbhi4", *EVENT_TASKS) else RECORDS
    clips = of_sprsound if e.dataset == "sprsound" else ICBHI_CLIPS
    seconds = training * clips[0] + test * clips[1]
    return seconds * e.epochs * len(seeds_of(PAPER, e)) / 3600
