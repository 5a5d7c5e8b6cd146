"""SPRSound's exploration tables, on the committed metadata of all recordings and on synthetic."""

from pathlib import Path

import pandas as pd
import pytest

from lib import data
from lib.analysis import explore_sprsound
from lib.data import sprsound, synthetic_sprsound

DATA = Path(__file__).parents[2] / "data"


def official(name: str) -> pd.DataFrame:
    return pd.read_csv(DATA / f"sprsound_{name}.csv.gz", dtype={"part": str})


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    root = tmp_path_factory.mktemp("sounds")
    synthetic_sprsound.write(root, patients=8)
    return data.sprsound_source(root)


def test_counts_are_those_of_the_challenge():
    events = explore_sprsound.counts(official("events"), "1-2")
    assert list(events.columns) == ["train", "inter", "intra"]
    assert events.train.tolist() == [5159, 39, 452, 15, 49, 912, 30]
    assert events.inter["Rhonchi"] == events.inter["Stridor"] == 0
    records = explore_sprsound.counts(official("records"), "2-2")
    assert records.train.to_dict() == {
        "Normal": 1303, "Poor Quality": 177, "CAS": 126, "DAS": 248, "CAS & DAS": 95
    }  # fmt: skip


def test_lengths_of_events():
    events = official("events")
    table = explore_sprsound.lengths(events)
    normal = sorted((events.end - events.start)[events["1-2"] == "Normal"])
    assert table.index.tolist() == list(sprsound.TASKS["1-2"])
    assert table.loc["Normal", ["shortest", "longest"]].tolist() == [normal[0], normal[-1]]
    share = sum(seconds > 3 for seconds in normal) / len(normal)
    assert table.loc["Normal", "over 3 s"] == pytest.approx(share)
    assert table.loc["Normal", "median"] == pytest.approx(normal[len(normal) // 2], abs=0.01)


def test_sizes_put_what_is_official_beside_what_is_here(source):
    records = sprsound.records(source.root)
    lines = explore_sprsound.sizes(source, records).set_index("part")
    assert lines.loc["train", "official recordings"] == 1949
    assert lines["annotated here"].to_dict() == {"train": 24, "inter": 6, "intra": 6}
    assert lines["with audio here"].equals(lines["annotated here"])
    assert lines.patients.to_dict() == {"train": 6, "inter": 2, "intra": 6}
    assert lines["of them in training"].to_dict() == {"train": 6, "inter": 0, "intra": 6}
    assert lines.minutes.sum() == pytest.approx(records.end.sum() / 60, abs=0.2)


def test_oddities_are_counted(source):
    assert explore_sprsound.oddities(source).empty
    for name in list(sprsound.audio_files(source.root).values())[:2]:
        name.unlink()
    table = explore_sprsound.oddities(source)
    assert table.what.tolist() == ["no audio: in no feature store"]
    assert table[["recordings", "times"]].to_numpy().tolist() == [[2, 2]]
