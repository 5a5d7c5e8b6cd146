"""What a run's probabilities are worth: calibration, prediction sets, selective risk.

All of it is fitted on the patients that a run held out of training, and measured on each test set,
by subset of SPRSound and by stethoscope of ICBHI.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lib.data import DATASETS
from lib.evaluation import calibration, conformal, selective
from lib.evaluation.bootstrap import mean_interval
from lib.papers.table_row import TableRow
from lib.runs import folder
from lib.runs.predictions import Predictions, predictions_of_runs
from lib.tables.compare import FEWEST_SEEDS, label_cells
from lib.tables.format import (
    FRACTION,
    MISSING,
    PERCENT,
    NumberFormat,
    format_interval,
    format_mean_std,
)
from lib.tables.transfer import selected_runs

PATIENTS = (0, 5, 10, 20)  # labelled ones of a new site; 0: the run's own held-out ones
DRAWS = 200  # of those patients, for each seed
SURE = (0.8, 0.5)  # shares of clips that are answered
FEW = "Coverage, k = 10"  # the column of the answer
DECIDES = "three seeds of each run: ./run_all.sh train laptop 09 --seeds 3"
UNDECIDED = "undecided (within chance)"


@dataclass(frozen=True)
class Run:
    """A run with its predictions, whose probabilities are as it gave them.

    validation: of the patients that it held out; datasets: name -> of all clips of its test set.
    """

    validation: Predictions
    datasets: dict[str, Predictions]

    @property
    def temperature(self) -> float:
        """The temperature that fits the held-out patients."""
        p = self.validation
        return calibration.fit_temperature(_logits(p), p.label.astype(int))

    def scaled(self, p: Predictions) -> np.ndarray:
        """Probabilities (N, n) of some predictions, scaled by the temperature."""
        return calibration.softmax(_logits(p) / self.temperature)

    @property
    def threshold(self) -> float:
        """The threshold of sets that promise 90%, from the held-out patients."""
        p = self.validation
        return conformal.conformal_threshold(self.scaled(p), p.label.astype(int))

    @property
    def own(self) -> str:
        """The name of the dataset that it was trained on."""
        return next(iter(self.datasets))


def _logits(p: Predictions) -> np.ndarray:
    """Logarithms of the probabilities (N, n) of one seed, which are logits."""
    with np.errstate(divide="ignore"):
        return np.log(p.probabilities[0])


def load_runs(row: TableRow, results: pd.DataFrame) -> list[Run]:
    """The finished runs of a row that held patients out, seeds in order, at the epoch these chose.

    results: of `lib.runs.results.collect_results`.
    """
    runs, done = [], selected_runs(row, results)
    for index in done.index[done.status == "done"]:
        one = done.loc[[index]]
        experiment = folder.read_spec(Path(one.path.iloc[0])).experiment
        validation = predictions_of_runs(one, "validation")
        names = {experiment.dataset.removesuffix("_mel"): "test"}
        names |= {name: name for name in experiment.test_sets}
        loaded = {name: predictions_of_runs(one, key) for name, key in names.items()}
        if validation is not None:
            runs.append(Run(validation, {name: p for name, p in loaded.items() if p}))
    return runs


def sites(p: Predictions, dataset: str) -> dict[str, np.ndarray]:
    """The clips (N,) of each subset of a test set, or of all and of each stethoscope."""
    title = DATASETS[dataset].short_title
    if p.subset.any():
        return {f"{title} {name}": p.subset == name for name in np.unique(p.subset)}
    masks = {f"{title}, {name}": p.device == name for name in np.unique(p.device)}
    return {title: np.ones(len(p.label), dtype=bool)} | (masks if len(masks) > 1 else {})


Site = tuple[str, str, list[tuple[Run, Predictions]]]  # name, dataset, each seed's predictions


def _sites_of(runs: Sequence[Run]) -> Iterator[Site]:
    for dataset, p in runs[0].datasets.items() if runs else ():
        for name, mask in sites(p, dataset).items():
            yield name, dataset, [(run, run.datasets[dataset].of_clips(mask)) for run in runs]


def _table(
    rows: Sequence[TableRow],
    results: pd.DataFrame,
    measure: Callable[[list[tuple[Run, Predictions]]], dict[str, str]],
    other: bool = False,
) -> pd.DataFrame:
    """One line for each row and site with what `measure` gives; other: of the other dataset only.

    A row without a finished run has one line that says so.
    """
    lines = []
    for row in rows:
        label = {key: text for key, text in label_cells(row).items() if key != "Row"}
        runs = load_runs(row, results)
        for name, dataset, seeds in _sites_of(runs):
            if not (other and dataset == runs[0].own):
                p = seeds[0][1]
                sizes = {"Clips": str(len(p.label)), "Patients": str(len(np.unique(p.patient)))}
                lines.append(label | {"Tested on": name} | measure(seeds) | sizes)
        if not runs:
            lines.append(label | {"Tested on": "not run"})
    return pd.DataFrame(lines, dtype=object).fillna(MISSING)


def calibration_table(rows: Sequence[TableRow], results: pd.DataFrame) -> pd.DataFrame:
    """Temperature, and ECE and Brier score before and after it, mean ± std over seeds."""

    def measure(seeds: list[tuple[Run, Predictions]]) -> dict[str, str]:
        cells = {"Temperature": format_mean_std([run.temperature for run, _ in seeds])}
        scores = (calibration.calibration_error, calibration.brier_score)
        for name, score in zip(("ECE", "Brier score"), scores, strict=True):
            before = [score(p.probabilities[0], p.label) for _, p in seeds]
            after = [score(run.scaled(p), p.label) for run, p in seeds]
            cells |= {f"{name} before": _fractions(before), f"{name} after": _fractions(after)}
        return cells

    return _table(rows, results, measure)


def _fractions(values: Sequence[float]) -> str:
    return format_mean_std([100 * value for value in values], FRACTION)


def _percent(values: Sequence[float], form: NumberFormat = PERCENT) -> str:
    return format_mean_std([100 * value for value in values], form)


def sets_table(rows: Sequence[TableRow], results: pd.DataFrame) -> pd.DataFrame:
    """What sets that promise 90% cover (percent, 95% interval over patients), and their size."""

    def measure(seeds: list[tuple[Run, Predictions]]) -> dict[str, str]:
        hits, sizes, p = *_sets(seeds), seeds[0][1]
        interval = (100 * end for end in mean_interval(np.mean(hits, axis=0), p.patient))
        return {
            "Coverage": _percent([each.mean() for each in hits]),
            "95% interval": format_interval(*interval),
            "Classes in a set": format_mean_std([each.mean() for each in sizes]),
            "Empty sets": _percent([(each == 0).mean() for each in sizes]),
        }

    return _table(rows, results, measure)


def _sets(seeds: list[tuple[Run, Predictions]]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Whether the set of each clip holds its class, and the set's size: each (N,) by seed."""
    hits, sizes = [], []
    for run, p in seeds:
        held = conformal.prediction_sets(run.scaled(p), run.threshold)
        hits.append(conformal.covered(held, p.label))
        sizes.append(held.sum(axis=1))
    return hits, sizes


def coverage_points(rows: Sequence[TableRow], results: pd.DataFrame) -> pd.DataFrame:
    """Points of a figure: row, site, value, low, high (percent)."""
    points = []
    for row in rows:
        for site, _, seeds in _sites_of(load_runs(row, results)):
            hits, p = np.mean(_sets(seeds)[0], axis=0), seeds[0][1]
            values = [hits.mean(), *mean_interval(hits, p.patient)]
            points.append((label_cells(row)["Row"], site, *(100 * value for value in values)))
    return pd.DataFrame(points, columns=["row", "site", "value", "low", "high"])


def few_patients_table(rows: Sequence[TableRow], results: pd.DataFrame) -> pd.DataFrame:
    """Coverage and size of sets that are calibrated on k labelled patients of the other dataset.

    k = 0: on the run's own held-out patients. Mean ± std over draws of patients and seeds; the
    clips of the other patients are measured.
    """

    def measure(seeds: list[tuple[Run, Predictions]]) -> dict[str, str]:
        found = {k: few_patients(seeds, k) for k in PATIENTS}
        cells = {f"Coverage, k = {k}": _percent(x[:, 0]) or MISSING for k, x in found.items()}
        sizes = {k: format_mean_std(x[:, 1]) or MISSING for k, x in found.items()}
        return cells | {f"Classes in a set, k = {k}": text for k, text in sizes.items()}

    return _table(rows, results, measure, other=True)


def few_patients(seeds: list[tuple[Run, Predictions]], k: int) -> np.ndarray:
    """Coverage (0 to 1) and size of each draw of k patients and seed: (draws, 2)."""
    if k == 0:
        pairs = zip(*_sets(seeds), strict=True)
        return np.array([(hits.mean(), sizes.mean()) for hits, sizes in pairs])
    draws = [
        conformal.calibrate_on_patients(run.scaled(p), p.label, p.patient, k, DRAWS)
        for run, p in seeds
    ]
    return np.concatenate(draws)


def few_patients_points(rows: Sequence[TableRow], results: pd.DataFrame) -> pd.DataFrame:
    """Points of a figure: name, k, mean, std of the coverage (percent) on the other dataset.

    Of sites with enough patients for every k.
    """
    points = []
    for row in rows:
        runs = load_runs(row, results)
        for site, dataset, seeds in _sites_of(runs):
            found = [few_patients(seeds, k)[:, 0] for k in PATIENTS if dataset != runs[0].own]
            for k, x in zip(PATIENTS, found, strict=True) if found and all(map(len, found)) else ():
                std = x.std(ddof=1) if len(x) > 1 else 0.0
                points.append((f"{label_cells(row)['Row']} → {site}", k, 100 * x.mean(), 100 * std))
    return pd.DataFrame(points, columns=["name", "k", "mean", "std"])


def selective_table(rows: Sequence[TableRow], results: pd.DataFrame) -> pd.DataFrame:
    """Share of wrong answers (percent): of all clips, of the surest, and the area under the curve.

    Mean ± std over seeds.
    """

    def measure(seeds: list[tuple[Run, Predictions]]) -> dict[str, str]:
        pairs = [_surest(run, p) for run, p in seeds]
        cells = {"Errors, all clips": _percent([1 - right.mean() for _, right in pairs])}
        for share in SURE:
            errors = [selective.risk_at(*pair, share) for pair in pairs]
            cells[f"Errors, surest {share:.0%}"] = _percent(errors)
        return cells | {"AURC": _percent([selective.area_under_risk(*pair) for pair in pairs])}

    return _table(rows, results, measure)


def _surest(run: Run, p: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """How sure a run is of each clip (N,), and whether it is right (N,)."""
    return run.scaled(p).max(axis=1), p.predicted[0] == p.label


def risk_curves(
    rows: Sequence[TableRow], results: pd.DataFrame
) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Dataset that is tested on -> row -> risk-coverage curve (shares, 0 to 1), mean over seeds."""
    curves: dict[str, dict] = {DATASETS[name].short_title: {} for name in DATASETS}
    for row in rows:
        runs = load_runs(row, results)
        for name in runs[0].datasets if runs else ():
            pairs = [selective.risk_coverage(*_surest(run, run.datasets[name])) for run in runs]
            curve = pairs[0][0], np.mean([risk for _, risk in pairs], axis=0)
            curves[DATASETS[name].short_title][label_cells(row)["Row"]] = curve
    return {name: lines for name, lines in curves.items() if lines}


def diagrams(rows: Sequence[TableRow], results: pd.DataFrame) -> dict[str, dict[str, np.ndarray]]:
    """Title -> reliability bins (15, 3) before and after temperature scaling, of all seeds."""
    found = {}
    for row in rows:
        runs = load_runs(row, results)
        for name in runs[0].datasets if runs else ():
            loaded = [(run, run.datasets[name]) for run in runs]
            label = np.concatenate([p.label for _, p in loaded])
            before = np.concatenate([p.probabilities[0] for _, p in loaded])
            after = np.concatenate([run.scaled(p) for run, p in loaded])
            title = f"{label_cells(row)['Row']} → {DATASETS[name].short_title}"
            found[title] = {"before": calibration.reliability(before, label),
                            "after": calibration.reliability(after, label)}  # fmt: skip
    return found


def page_answer(read: Callable[[str], pd.DataFrame]) -> dict[str, str]:
    """The answer of page 13 from its tables: answer, number, state, decides, all text.

    Of its first row of runs: do sets that promise 90% cover that much of the other dataset? Decided
    by the 95% interval with three seeds or more. read: name of a table -> its cells, all text.
    """
    sets, few = read("reliability_sets"), read("reliability_few_patients")
    measured = few[few[FEW] != MISSING] if FEW in few else few.iloc[:0]
    if measured.empty:
        return {"answer": "No run is finished.", "number": "", "state": "not run",
                "decides": DECIDES}  # fmt: skip
    there = measured.iloc[0]
    same_row = (sets.Method == there.Method) & (sets["Trained on"] == there["Trained on"])
    own = sets[same_row & sets["Tested on"].str.startswith(there["Trained on"])]
    line = sets[same_row & (sets["Tested on"] == there["Tested on"])].iloc[0]
    home = sorted(_mean(cell) for cell in own.Coverage)
    state = _promise_state(line)
    return {
        "answer": f"{there.Method} on {there['Trained on']}: sets that promise "
        f"{conformal.COVERAGE:.0%} hold the true class of {home[0]:.1f} to {home[-1]:.1f}% of "
        f"other clips of {there['Trained on']}, and of {_mean(line.Coverage):.1f}% of those of "
        f"{line['Tested on']}. Calibrated on 10 patients of {line['Tested on']} they hold it for "
        f"{_mean(there[FEW]):.1f}%, but then name "
        f"{_mean(there['Classes in a set, k = 10']):.1f} of the four classes.",
        "number": f"Coverage of {line['Tested on']}: {line.Coverage}, 95% interval over patients "
        f"{line['95% interval']}; promised: {100 * conformal.COVERAGE:.2f}.",
        "state": state,
        "decides": "" if state in ("confirmed", "refuted") else DECIDES,
    }


def _mean(cell: str) -> float:
    """88.25 of a cell "88.25 ± 6.42 (600)"."""
    return float(cell.split()[0])


def _promise_state(line: pd.Series) -> str:
    """Whether sets keep their promise, by a line of coverage with its interval."""
    low, high = map(float, line["95% interval"].split(" to "))
    if int(re.search(r"\((\d+)\)", line.Coverage)[1]) < FEWEST_SEEDS:
        return f"undecided (fewer than {FEWEST_SEEDS} seeds)"
    promised = 100 * conformal.COVERAGE
    return "confirmed" if low >= promised else "refuted" if high < promised else UNDECIDED
