"""A page for each run: scores, curves, confusion matrix, settings, cost, how to make it again."""

import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from lib import files, papers, paths
from lib.config import DEFAULTS, Experiment, describe_settings
from lib.evaluation import scores, tasks
from lib.evaluation.metrics import Scores
from lib.reports.site import stamp
from lib.reports.template import render_page
from lib.runs import folder
from lib.tables.format import MISSING, format_number

UNSHOWN = {"name", "budget", "laptop_seeds"}  # settings that say nothing of how it was trained
RULES = ("validation", "last", "test")
METRICS = {"sp": "Sp", "se": "Se", "score": "Score", "se_binary": "Se, two classes"}
ABOUT_FILES = {
    "experiment.json": "every setting, seed, data and weights",
    "result.json": "scores of every selection",
    "history.csv": "losses and Scores of each epoch",
    "predictions.npz": "logits, labels, patients and devices of every test clip",
    "machine.json": "versions and processor",
    "weights.csv": "what became of each key of the initial weights",
    "analysis.npz": "curvature, attention and spectra of the trained model",
    "stream.csv": "windows of test records",
    "checksums.json": "sha256 of the files",
}
MACHINE = ("cpu", "gpu", "python", "torch", "torchvision", "timm", "numpy", "compiled")
LEFT, RIGHT, TOP, BOTTOM = 40, 330, 24, 180  # of a chart, in its own units


@dataclass(frozen=True)
class Run:
    """The record of a finished run."""

    path: Path

    @cached_property
    def record(self) -> dict:
        """Experiment, seed, data, weights and results."""
        return folder.read_record(self.path)

    @cached_property
    def experiment(self) -> Experiment:
        """Its settings."""
        return folder.read_spec(self.path).experiment

    @cached_property
    def published(self) -> Experiment:
        """The published settings of the same experiment; the defaults if no paper has it."""
        return papers.EXPERIMENTS.get(self.experiment.name, Experiment(self.experiment.name))

    @property
    def baseline(self) -> float:
        """The Score, in percent, of a model that always predicts "normal"."""
        return 25.0 if tasks.get_task(self.experiment.task).challenge else 50.0

    def score(self, rule: str) -> str:
        """Score on the test set at the epoch that a rule selects, as text."""
        selected = self.record["selections"].get(rule)
        return format_number(selected["test"]["score"]) if selected else MISSING


def find_records(names: Iterable[str]) -> list[Path]:
    """Return the folders of some runs, local or else published.

    Those that are gone or damaged are left out; the latter are named on stderr.
    """
    roots, found = (paths.runs_root(), folder.published_root()), []
    for name in sorted(names):
        path = next((r / name for r in roots if (r / name / "result.json").exists()), None)
        if path and (problem := folder.damage(path)):
            print(f"{path}: no page: {problem}", file=sys.stderr, flush=True)
        elif path:
            found.append(path)
    return found


def write_runs(records: list[Path], out: Path, pages: dict[str, dict[str, str]]) -> int:
    """Write runs/<name>/index.html for each record, and their list; returns how many there are."""
    runs = [Run(record) for record in records]
    lines = [{
        "name": run.path.name,
        "experiment": run.experiment.name,
        "seed": run.record["seed"],
        "data": run.record["data"]["name"],
        "validation": run.score("validation"),
        "test": run.score("test"),
        "setting": describe_settings(run.experiment),
    } for run in runs]  # fmt: skip
    for run in runs:
        text = render_run(run, runs, out, pages)
        files.write_text(out / "runs" / run.path.name / "index.html", text)
    if runs:
        text = render_page("runs", "All runs", "../", runs=lines, stamp=stamp(records))
        files.write_text(out / "runs/index.html", text)
    return len(runs)


def render_run(run: Run, runs: list[Run], out: Path, pages: dict[str, dict[str, str]]) -> str:
    """Return the page of a run; runs: all that have a page, pages: those of the site."""
    record, name = run.record, run.experiment.name
    shown = {
        number
        for number, groups in papers.NOTEBOOKS.items()
        for group in groups
        if any(row.experiment and row.experiment.name == name for row in papers.GROUPS[group])
    }
    shown_on = [(f"{page}.html", about["title"]) for page, about in pages.items()
                if page[:2] in shown]  # fmt: skip
    same = [other for other in runs if other.experiment == run.experiment and other is not run]
    first = min(shown_on, default=("", ""))[0].removesuffix(".html")
    return render_page(
        "run",
        f"{name}, seed {record['seed']}",
        "../../",
        experiment=name,
        seed=record["seed"],
        setting=describe_settings(run.experiment),
        data=record["data"],
        weights=record["weights"]["name"],
        shown_on=shown_on,
        siblings=[(o.path.name, f"seed {o.record['seed']} ({o.score('test')})") for o in same],
        **_score_lines(record),
        curves=_curves(run),
        confusion=_confusion(run),
        differences=_differences(run),
        cost=_cost(run),
        command=_command(record["seed"], first, pages.get(first, {})),
        files=_files(run.path),
        linked=run.path.parent == out / "runs",
        stamp=stamp([run.path]),
    )


def _score_lines(record: dict) -> dict[str, list]:
    """Scores of every selection on every scored set."""
    lines = []
    for rule in RULES:
        selected = record["selections"].get(rule)
        if not selected:
            lines.append([rule, "no epoch qualifies", *[MISSING] * (1 + len(METRICS))])
            continue
        for name, values in selected.items():
            if name != "epoch":
                numbers = [format_number(values.get(metric, np.nan)) for metric in METRICS]
                lines.append([rule, name.replace("_", " "), str(selected["epoch"]), *numbers])
    columns = ["Epoch chosen by", "Scored on", "Epoch", *METRICS.values()]
    return {"score_columns": columns, "scores": lines}


def _curves(run: Run) -> list[dict]:
    """Charts of loss and Score over the epochs; lines that a run has not saved are left out."""
    history = pd.read_csv(run.path / "history.csv")
    names = {"validation_score": "validation", "test_score": "test"}
    scored = {text: history[column] for column, text in names.items() if column in history}
    charts = [_chart("Loss", {"training": history["loss"]}) if "loss" in history else None]
    charts.append(_chart("Score (%)", scored, run.baseline) if scored else None)
    return [chart for chart in charts if chart]


def _chart(title: str, lines: dict[str, pd.Series], baseline: float | None = None) -> dict:
    """One chart; with a baseline its axis starts there, and what is below lies on the axis."""
    values = np.concatenate([line.to_numpy(float) for line in lines.values()])
    low, high = np.nanmin(values), np.nanmax(values)
    if baseline is not None:
        low, high = baseline, max(high, baseline + 4)
    high = high if high > low else low + 1
    ticks = [(_y(value, low, high), f"{value:.3g}") for value in np.linspace(low, high, 3)]
    ends = "; ".join(f"{name}: {line.iloc[-1]:.2f} at the end" for name, line in lines.items())
    return {
        "title": title,
        "alt": f"{title} over {len(next(iter(lines.values())))} epochs. {ends}.",
        "ticks": ticks,
        "baseline": f"{baseline:g}: always “normal”; below it: on the axis" if baseline else "",
        "first": 1,
        "last": len(next(iter(lines.values()))),
        "lines": [_draw(name, line, low, high) for name, line in lines.items()],
    }


def _draw(name: str, line: pd.Series, low: float, high: float) -> dict[str, str]:
    """The path of a line and of its points."""
    x = np.linspace(LEFT, RIGHT, max(len(line), 2))[: len(line)]
    points = [(f"{at:.1f}", f"{_y(max(value, low), low, high):.1f}")
              for at, value in zip(x, line, strict=True) if np.isfinite(value)]  # fmt: skip
    dots = "".join(f"M{float(a) - 3:.1f} {b}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0" for a, b in points)
    return {"name": name, "path": "M" + "L".join(" ".join(point) for point in points), "dots": dots}


def _y(value: float, low: float, high: float) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * (value - low) / (high - low), 1)


def _confusion(run: Run) -> dict | None:
    """Confusion matrix of the test set, scores by class and device; None without predictions."""
    arrays = folder.read_predictions(run.path)
    rule = next((rule for rule in RULES if f"{rule}/test/logits" in arrays), None)
    if rule is None:
        return None
    task = tasks.get_task(run.experiment.task)
    label, subset = arrays["test/label"], scores.read_subset(arrays, "test")
    predicted = scores.predicted_classes(arrays[f"{rule}/test/logits"], f"{run.path}: {rule}")
    scored = tasks.scored_mask(subset)
    label, predicted, device = label[scored], predicted[scored], arrays["test/device"][scored]
    matrix = task.matrices(label, predicted)
    epoch = run.record["selections"][rule]["epoch"]
    return {
        "about": f"Test set, {len(label)} clips, epoch {epoch}, chosen by: {rule}.",
        "columns": ["True class", *(f"predicted {name}" for name in task.classes)],
        "lines": [_matrix_line(*each) for each in zip(task.classes, matrix, strict=True)],
        "class_columns": ["Class", "Clips", "Recall (%)", "Precision (%)"],
        "classes": [_class_line(task.classes[i], matrix, i) for i in range(len(task.classes))],
        "device_columns": ["Device", "Clips", "Sp", "Se", "Score"],
        "devices": [
            _device_line(
                name, task.matrices(label[device == name], predicted[device == name]), task
            )
            for name in np.unique(device)
        ],
    }


def _matrix_line(name: str, row: np.ndarray) -> list[str]:
    total = max(row.sum(), 1)
    return [name, *(f"{count} ({count / total:.0%})" for count in row)]


def _class_line(name: str, matrix: np.ndarray, i: int) -> list[str]:
    right = 100 * matrix[i, i]
    shares = [right / total if total else np.nan for total in (matrix[i].sum(), matrix[:, i].sum())]
    return [name, str(matrix[i].sum()), *map(format_number, shares)]


def _device_line(name: str, matrix: np.ndarray, task: tasks.Task) -> list[str]:
    found: Scores = task.scores(matrix)
    numbers = [format_number(float(found[metric])) for metric in ("sp", "se", "score")]
    return [str(name), str(matrix.sum()), *numbers]


def _differences(run: Run) -> list[list[str]]:
    """Setting, as published, here: of the settings that differ."""
    ours, theirs = asdict(run.experiment), asdict(run.published)
    keys = [key for key in DEFAULTS if key not in UNSHOWN and not key.startswith("save_")]
    return [[key, str(theirs[key]), str(ours[key])] for key in keys if ours[key] != theirs[key]]


def _cost(run: Run) -> list[list[str]]:
    """What it ran on and how much was computed."""
    path, e = run.path / "machine.json", run.experiment
    machine = files.read_json(path) if path.exists() else {}
    clips, parameters = run.record["clips"], run.record["parameters"]
    steps = e.epochs * -(-clips["train"] // e.batch_size)
    lines = [["Parameters", f"{parameters:,}"]]
    lines += [[f"Clips, {name}", f"{count:,}"] for name, count in clips.items()]
    lines += [["Epochs", str(e.epochs)], ["Steps, about", f"{steps:,} of {e.batch_size} clips"]]
    return lines + [[name, str(machine[name])] for name in MACHINE if name in machine]


def _command(seed: int, page: str, about: dict[str, str]) -> str:
    """The command that trains it again, on the same data."""
    profile = about.get("profile") or "laptop"
    return f"./run_all.sh train {profile} {page[:2] or 'all'} --seeds {seed} --data DIR"


def _files(path: Path) -> list[tuple[str, str, str]]:
    sizes = {name: (path / name).stat().st_size for name in ABOUT_FILES if (path / name).exists()}
    return [(name, f"{size / 1000:.1f} kB", ABOUT_FILES[name]) for name, size in sizes.items()]
