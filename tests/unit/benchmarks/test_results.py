"""Costs: tables and frames from measured rows, worked by hand; and an absent file is told."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import results
from lib.plots import costs as plots_costs
from lib.plots.style import alt_text

MACHINE = {"cpu": "A CPU", "cores": 2, "torch": "2.11", "gpu": "none"}


def rows(*given):
    table = pd.DataFrame([{"note": "", "base": ""} | MACHINE | row for row in given])
    return table.reindex(columns=results.COLUMNS)


def point(x, median, case="clips, an epoch"):
    known = {"group": "scaling", "case": case, "variant": f"{x} clips", "unit": "s/epoch"}
    return known | {"x": x, "median": median, "q1": 0.9 * median, "q3": 1.1 * median}


STEP = {"group": "step", "case": "ast, ce", "unit": "s/step", "base": "plain", "rounds": 5}
PLAIN = STEP | {"variant": "plain", "median": 0.4, "q1": 0.39, "q3": 0.41, "faster": 1.0}
OURS = STEP | {"variant": "ours", "median": 0.02, "q1": 0.019, "q3": 0.0211, "faster": 20.0,
               "faster_q1": 18.5, "faster_q3": 21.0, "peak_mb": 512.4}  # fmt: skip
FAILED = STEP | {"variant": "odd", "note": "not run: no compiler"}


def test_a_table_of_a_group():
    table = results.table(rows(PLAIN, OURS, FAILED), "step")
    assert table["cost"].tolist() == [
        "0.4 (0.39 to 0.41) s/step",
        "20 (19 to 21.1) ms/step",
        "not run",
    ]
    assert table["times as fast"].tolist() == ["", "20.00 (18.50 to 21.00)", ""]
    assert table["memory (MB)"].tolist() == ["", "512", ""]
    assert table["note"].tolist() == ["", "", "not run: no compiler"]


def test_one_round_has_no_quartiles():
    table = results.table(rows(PLAIN | {"rounds": 1}, OURS | {"rounds": 1}), "step")
    assert table["cost"].tolist() == ["0.4 (one round) s/step", "20 (one round) ms/step"]
    assert table["times as fast"].tolist() == ["", "20.00"]


def test_speeds_leave_out_the_base_and_what_was_not_run():
    found = results.speeds(rows(PLAIN, OURS, FAILED), "step")
    assert found.to_numpy().tolist() == [["ast, ce", "ours", "plain", 20.0, 18.5, 21.0]]
    assert results.speeds(rows(PLAIN, OURS), "step", "mn04").empty


def test_a_line_is_fitted_by_least_squares():
    x, y = np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0, 8.0])
    slope, start, r2 = results.fit(x, y)
    assert slope == pytest.approx(11.5 / 7) and start == pytest.approx(16 / 3 - 11.5 / 7 * 7 / 3)
    assert r2 == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)


def test_fits_name_slope_and_ratios():
    found = results.fits(rows(point(64, 1.5), point(128, 2.5), point(256, 4.5)))
    row = found.iloc[0]
    assert row["slope (s)"] == "0.0156" and row["intercept (s)"] == "0.5" and row["R²"] == "1.0000"
    assert row["size ratio"] == "4.00" and row["cost ratio"] == "3.00"
    assert row["sizes"] == "64, 128, 256"


def test_clips_per_second_by_batch():
    known = {"group": "evaluation", "unit": "s/clip", "variant": "ours"}
    given = [known | {"case": f"mn04, batch {n}", "median": 1 / n} for n in (8, 256, 64)]
    found = results.clips_per_second(rows(*given))
    assert found.columns.tolist() == ["model", "variant", "batch 8", "batch 64", "batch 256"]
    assert found.iloc[0].tolist() == ["mn04", "ours", "8", "64", "256"]


def test_without_a_file_everything_says_so():
    found = results.read()
    assert found.empty and results.machine(found).startswith("Not run")
    assert results.machines(found)["groups"].tolist() == ["not run"]
    for group in results.GROUPS:
        table = results.table(found, group)
        assert table["case"].tolist() == ["not run"] and "python -m benchmarks" in table["note"][0]
    assert "not run" in results.fits(found).to_numpy() and len(results.clips_per_second(found)) == 1
    for fig in (
        plots_costs.speeds(results.speeds(found, "step")),
        plots_costs.cost_lines(results.lines(found)),
    ):
        assert alt_text(fig) == plots_costs.NO_COST


def test_the_files_are_read_as_they_were_written(tmp_path, monkeypatch):
    monkeypatch.setenv("REPORTS_ROOT", str(tmp_path))
    gpu = {"cpu": "B", "cores": 16, "gpu": "H200", "group": "gpu", "case": "c", "variant": "v"}
    rows(PLAIN, FAILED).to_csv(tmp_path / "benchmarks.csv", index=False, na_rep="nan")
    rows(gpu).to_csv(tmp_path / "gpu_step.csv", index=False, na_rep="nan")
    found = results.read()
    assert found.group.tolist() == ["step", "step", "gpu"] and found["gpu"][0] == "none"
    assert found.note[1] == "not run: no compiler" and np.isnan(found["median"][1])
    assert "A CPU, 2 cores, no GPU" in results.machine(found) and "H200" in results.machine(found)
    assert results.machines(found)["groups"].tolist() == ["step", "gpu"]
