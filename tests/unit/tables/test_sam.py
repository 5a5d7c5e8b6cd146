"""SAM's tables from made-up records, every cell recomputed by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib import files
from lib.papers.sam import PAIRS
from lib.runs import folder as runs_folder
from lib.tables import sam as tables_sam

NAME, PLAIN, SAM = PAIRS[0]


@pytest.fixture
def results(tmp_path):
    """Two seeds of the first recipe, plain and with SAM; SAM's second seed is a failure."""
    eigenvalues = {(PLAIN, 1): 8.0, (PLAIN, 2): 2.0, (SAM, 1): 2.0, (SAM, 2): 1.0}
    rows = []
    for (experiment, seed), eigenvalue in eigenvalues.items():
        folder = tmp_path / f"{runs_folder.slug(experiment)}-s{seed}-00000000"
        files.write_json(folder / "experiment.json", {"experiment": {"task": "icbhi4"}})
        line = {"line/position": np.array([-1.0, 0.0, 1.0]), "line/loss": np.array([3, 1, 2.0])}
        plane = {"plane/position": np.array([-1.0, 1.0]), "plane/loss": np.full((2, 2), eigenvalue)}
        known = {"eigenvalue": eigenvalue, "sharpness": eigenvalue / 100, "loss": 1.0}
        runs_folder.write_arrays(folder / runs_folder.ANALYSIS, line | plane | known)
        label = np.array([0, 0, 1, 1, 2, 3])
        answer = label.copy()
        answer[:2] = 0 if experiment == SAM else 1  # plain: no normal cycle is right
        arrays = {"test/label": label, "test/patient": np.array(list("aabbcc"))}
        arrays |= {"test/device": np.array(["d"] * 6), "test/cycle": np.arange(6).astype(str)}
        arrays["test/test/logits"] = np.eye(4, dtype=np.float32)[answer]
        runs_folder.write_arrays(folder / "predictions.npz", arrays)
        for selection in ("test", "validation"):
            known = {"experiment": experiment, "seed": seed, "selection": selection}
            rows.append(known | {
                "status": "done" if selection == "test" else "not run", "reason": "",
                "score": 100.0 if experiment == SAM else 50.0, "data": "made up",
                "weights": "none", "setting": "tiny" if experiment == PLAIN else "tiny, SAM",
                "run": folder.name, "path": str(folder), "task": "icbhi4",
            })  # fmt: skip
    return pd.DataFrame(rows)


def test_flatness_by_hand(results):
    plain, sam, *others = tables_sam.flatness(results).to_dict("records")
    assert len(others) == 2 * (len(PAIRS) - 1) and others[0]["Eigenvalue"] == "not run"
    assert (plain["Recipe"], plain["Training"], sam["Training"]) == (NAME, "plain", "SAM")
    assert plain["Eigenvalue"] == "5 ± 4.24 (2)" and sam["Eigenvalue"] == "1.5 ± 0.707 (2)"
    assert plain["Ratio"] == "–"
    assert sam["Ratio"] == "0.35"  # sqrt(2 / 8 * 1 / 2)
    assert sam["Sharpness at 0.05"] == "0.015 ± 0.00707 (2)" and sam["Loss"] == "1.000 ± 0.000 (2)"
    assert sam["Plain run with"] == "tiny"


def test_flatness_of_what_was_not_run(results):
    alone = results[results.experiment == PLAIN]
    plain, sam = tables_sam.flatness(alone).to_dict("records")[:2]
    assert plain["Eigenvalue"] == "5 ± 4.24 (2)"
    assert (sam["Eigenvalue"], sam["Ratio"]) == ("not run", "–")
    for folder in results.path.unique():
        (Path(folder) / runs_folder.ANALYSIS).rename(Path(folder) / "moved")
    assert (tables_sam.flatness(results).Loss[:2] == "not kept").all()
    for folder in results.path.unique():
        (Path(folder) / "moved").rename(Path(folder) / runs_folder.ANALYSIS)
    one = tables_sam.flatness(results[results.seed == 1]).iloc[0]
    assert one["Eigenvalue"] == "8 (1)"


def test_effects_by_hand(results):
    table = tables_sam.effects(results).set_index("Recipe")
    assert len(table) == len(PAIRS)
    first = table.loc[NAME]
    assert first["4 classes"].startswith("+50.00 (")  # Sp 100 against 0, Se 100 both
    assert first["2 classes"].startswith("+50.00 (")
    assert first["4 classes, honest"] == first["2 classes, honest"] == "–"
    assert first["Plain run with"] == "made up; none; tiny" and first["Status"] == "done"
    assert table.iloc[1]["Plain run with"] == "–"


def test_slices_planes_and_confusions(results):
    points = tables_sam.loss_slices(results)
    assert set(points.method) == {f"{NAME}, plain", f"{NAME}, SAM"} and set(points.seed) == {1, 2}
    assert len(points) == 12 and points.loss.tolist()[:3] == [3, 1, 2]
    position, losses = tables_sam.loss_planes(results)
    assert position.tolist() == [-1, 1]
    assert {key: value[0, 0] for key, value in losses.items()} == {
        f"{NAME}, plain": 8.0, f"{NAME}, SAM": 2.0,
    }  # fmt: skip
    matrices = tables_sam.confusions(results)
    assert np.diag(matrices[f"{NAME}, SAM"]).tolist() == [4, 4, 2, 2]
    assert matrices[f"{NAME}, plain"][0].tolist() == [0, 4, 0, 0]
    nothing = results.iloc[:0]
    assert tables_sam.loss_slices(nothing).empty and tables_sam.loss_planes(nothing)[1] == {}
