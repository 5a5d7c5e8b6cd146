"""The price of selecting the epoch on the test set, of made-up records."""

import pytest

from lib import files
from lib.analysis.selection import selection_prices, selection_scores
from lib.config import override
from lib.runs import folder as runs_folder
from tests.small_runs import BASE


@pytest.fixture
def save(tmp_path):
    def save(name, validation, last, test, **changes):
        spec = runs_folder.RunSpec(override(BASE, name=name, **changes), 1, name * 8, "")
        path = runs_folder.start_run(spec, {"name": "x", "note": ""}, "none")
        scores = {"validation": validation, "last": last, "test": test}
        selections = {rule: value and {"test": {"score": value}} for rule, value in scores.items()}
        files.write_json(path / "result.json", {"selections": selections})
        return path.parent

    return save


def test_prices_by_hand(save):
    save("a", 60.0, 58.0, 63.0)
    save("b", 50.0, 50.0, 51.0)
    save("c", 40.0, 41.0, 44.0, task="1-1", dataset="sprsound")
    save("d", None, 50.0, 50.0)
    root = save("e", 10.0, 10.0, 90.0, method="probe")
    (root / "f-s1-00000000").mkdir()
    files.write_json(root / "f-s1-00000000" / "result.json", [])
    scores = selection_scores(root)
    assert len(scores) == 3
    table = selection_prices(scores).set_index("dataset")
    assert table.loc["icbhi_mel", ["runs", "validation", "last", "worst"]].tolist() == [2, 2, 3, 3]
    assert table.loc["sprsound", ["runs", "validation", "last"]].tolist() == [1, 4.0, 3.0]
