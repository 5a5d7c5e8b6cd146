"""A rehearsed run stops at its checkpoint, goes on from it, and has the record of a whole run."""

from small_runs import BASE

from lib.config import override
from lib.files import read_json
from lib.runs.folder import COSTS
from lib.training import checkpoint, rehearsal, trainer


def test_a_rehearsed_run_has_the_record_of_a_whole_one(small_cache, tmp_path, monkeypatch):
    experiment, loaded, load = override(BASE, epochs=1), [], checkpoint.load

    def watched(folder, device):
        loaded.append(load(folder, device))
        return loaded[-1]

    monkeypatch.setattr(checkpoint, "load", watched)
    inspected = []

    def inspect(model, dataset, cycles, splits, experiment):
        inspected.append({name: len(rows) for name, rows in splits.items()})
        return {}

    for name, fit in (("whole", trainer.fit), ("rehearsed", rehearsal.fit)):
        fit(experiment, 1, small_cache, 40, tmp_path / name, {}, inspect)
    assert inspected[1] == inspected[0] | {"train": 1}  # the costly analyses are of these
    assert [state is not None for state in loaded] == [False, False, True]
    for name in ("history.csv", "result.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (
            tmp_path / "rehearsed" / name
        ).read_bytes()
    cost = read_json(tmp_path / "rehearsed" / COSTS)
    assert cost["memory_gb"] > 0.1 and 0 < cost["share"] <= 1
