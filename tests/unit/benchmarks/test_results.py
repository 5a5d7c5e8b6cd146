"""Measured rows as tables, worked by hand; without a file every table says "not run"."""

import numpy as np
import pandas as pd

from benchmarks import results
from lib.plots.results import NOT_MEASURED, plot_speeds
from lib.plots.style import alt_text

MACHINE = {"cpu": "A CPU", "cores": 2, "torch": "2.11", "gpu": "none"}
STEP = {"group": "step", "case": "ast, ce", "unit": "s/step", "base": "plain", "rounds": 5}
PLAIN = STEP | {"variant": "plain", "median": 0.4, "q1": 0.39, "q3": 0.41, "faster": 1.0}
OURS = STEP | {"variant": "ours", "median": 0.02, "q1": 0.019, "q3": 0.0211, "faster": 20.0,
               "faster_q1": 18.5, "faster_q3": 21.0, "peak_mb": 512.4}  # fmt: skip


def frame(*rows):
    table = pd.DataFrame([{"note": "", "base": ""} | MACHINE | row for row in rows])
    return table.reindex(columns=results.COLUMNS)


def test_a_table_of_a_group():
    table = results.table(frame(PLAIN, OURS, STEP | {"variant": "odd", "note": "?"}), "step")
    assert table["cost"].tolist() == [
        "0.4 (0.39 to 0.41) s/step",
        "20 (19 to 21.1) ms/step",
        "not run",
    ]
    assert table["times as fast"].tolist() == ["", "20.00 (18.50 to 21.00)", ""]
    assert table["memory (MB)"].tolist() == ["", "512", ""]
    assert table["note"].tolist() == ["", "", "?"]


def test_one_round_has_no_quartiles():
    table = results.table(frame(PLAIN | {"rounds": 1}, OURS | {"rounds": 1}), "step")
    assert table["cost"].tolist() == ["0.4 (one round) s/step", "20 (one round) ms/step"]
    assert table["times as fast"].tolist() == ["", "20.00"]


def test_speeds_leave_out_the_base():
    speeds = results.speeds(frame(PLAIN, OURS), "step")
    assert speeds.to_numpy().tolist() == [["ast, ce", "ours", "plain", 20.0, 18.5, 21.0]]
    assert results.speeds(frame(PLAIN, OURS), "step", "mn04").empty


def test_without_a_file_every_table_says_not_run():
    measured = results.read()
    assert measured.empty and results.machines(measured)["groups"].tolist() == ["not run"]
    for group in results.GROUPS:
        table = results.table(measured, group)
        assert table["case"].tolist() == ["not run"] and f"benchmarks {group}" in table["note"][0]
    assert alt_text(plot_speeds(results.speeds(measured, "step"))) == NOT_MEASURED


def test_groups_that_are_measured_again_replace_their_rows(tmp_path, monkeypatch):
    path = tmp_path / "benchmarks.csv"
    monkeypatch.setattr(results, "this_machine", lambda: MACHINE)
    results.write([PLAIN, OURS], path)
    results.write([{"group": "features", "case": "a", "variant": "b", "median": 7.0}], path)
    monkeypatch.setattr(results, "this_machine", lambda: MACHINE | {"cpu": "B", "gpu": "H100"})
    results.write([STEP | {"variant": "plain", "median": 0.1}], path)
    measured = results.read(path)
    assert measured[["group", "median", "cpu"]].to_numpy().tolist() == [
        ["features", 7.0, "A CPU"],
        ["step", 0.1, "B"],
    ]
    assert np.isnan(measured.faster[0]) and measured.note[0] == "" and measured.gpu[0] == "none"
    assert results.machines(measured)["groups"].tolist() == ["features", "step"]
