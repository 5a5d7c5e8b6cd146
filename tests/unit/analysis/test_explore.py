"""The exploration pages' tables, on the committed tables of all clips and on synthetic sounds."""

import numpy as np
import pandas as pd
import pytest

from lib.analysis import explore
from lib.data import ICBHI, SPRSound, icbhi, synthetic
from lib.data.annotations import load_annotations
from lib.features.frontends import Fbank
from lib.papers import patchmix
from lib.plots.dataset import plot_patients
from lib.plots.style import alt_text


@pytest.fixture(scope="module")
def official():
    return load_annotations("icbhi").assign(audio=True)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("icbhi")
    synthetic.write_icbhi(root, patients=6, cycles=4)
    return ICBHI.open(root)


def test_counts_are_those_of_the_paper(official):
    assert explore.count_classes(official, "split").T.to_dict() == patchmix.CYCLES
    assert sum(map(len, explore.class_durations(official).values())) == 6898
    assert explore.count_classes(official, "device").to_numpy().sum() == 6898


def test_a_few_patients_have_half_of_the_cycles(official):
    table = explore.count_classes(official, "patient")
    assert len(table) == 126 and table.to_numpy().sum() == 6898
    assert table.sum(axis=1).is_monotonic_decreasing
    cycles, half = 0, 0
    while 2 * cycles < 6898:
        cycles, half = cycles + table.iloc[half].sum(), half + 1
    assert f"half of all cycles come from {half} patients" in alt_text(plot_patients(table))


def test_ages_of_patients_with_audio(tmp_path):
    lines = "\n101 3 F NA 19 99\n102 18 M 20 NA NA\n103 NA F NA NA NA\n105 0.75 F NA 9 73\n"
    (tmp_path / icbhi.DEMOGRAPHICS).write_text(lines)
    table = pd.DataFrame(
        [("101", "train"), ("101", "train"), ("102", "test"), ("103", "test"), ("104", "test"),
         ("105", "test")],
        columns=["patient", "split"],
    ).assign(audio=[True] * 5 + [False])  # fmt: skip
    table["recording"] = [f"101_1b1_Al_{mode}_Meditron" for mode in 3 * ["sc"] + 3 * ["mc"]]
    assert explore.count_ages(ICBHI(tmp_path), table).to_numpy().tolist() == [
        ["train", "children", 1, 2, 1], ["train", "adults", 0, 0, 0], ["train", "unknown", 0, 0, 0],
        ["test", "children", 0, 0, 0], ["test", "adults", 1, 1, 1], ["test", "unknown", 2, 2, 0],
    ]  # fmt: skip
    without_list = explore.count_ages(ICBHI(tmp_path / "none"), table)
    assert without_list[without_list.age == "unknown"].cycles.sum() == 5


def test_sizes_and_quirks_are_counted_in_the_files(dataset):
    cycles = explore.load_cycles(dataset)
    published = {"patients": {"train": 79, "test": 49}, "cycles": {"train": 4142, "test": 2756}}
    sizes = explore.split_sizes(cycles, published).set_index(["split", "what"])
    assert list(sizes.index) == [(s, w) for s in ("train", "test") for w in published]
    train = cycles[cycles.split == "train"]
    expected = [79, train.patient.nunique(), train.patient.nunique()]
    assert sizes.loc[("train", "patients")].tolist() == expected
    assert sizes.loc[("train", "cycles")].tolist() == [4142, len(train), len(train)]
    cycles.loc[cycles.index[:2], "split"] = ["test", "train"]
    quirks = explore.find_quirks(dataset, cycles).set_index("quirk")["found here"]
    assert cycles.patient[0] in quirks["patients on both sides of the split"]


def test_examples_are_cycles_of_their_label(dataset):
    cycles = explore.load_cycles(dataset)
    examples = explore.example_cycles(cycles)
    assert [cycle.label for cycle in examples] == ["crackle", "wheeze"]
    for cycle in examples:
        same = cycles[cycles.label == cycle.label]
        nearest = (same.end - same.start - 2.5).abs().min()
        assert abs(cycle.end - cycle.start - 2.5) == nearest
        assert len(explore.cut_clip(dataset, cycle, Fbank(clip_seconds=2.0))) == 32000
    recording = explore.example_recording(cycles)
    assert len(explore.recording_cycles(cycles, recording)) == 4


def test_how_far_changed_features_are_from_changed_samples(dataset):
    frontend = Fbank(clip_seconds=1.0, pad="cyclic", fade="none")
    tables = [explore.gain_noise_error(dataset, frontend, 1.1, n) for n in (1e-4, 1e-2)]
    gain, noise, _, louder = (
        row for t in tables for row in t.set_index(t.columns[0]).astype(float).iloc
    )
    assert gain["its size"] == pytest.approx(2 * np.log(1.1), abs=0.02)  # floored bins stay
    assert gain["mean error"] < 0.02
    assert 0 < noise["mean error"] <= noise["largest"]
    assert louder["its size"] > noise["its size"]
    # what is left is the chance of noise: a chi-square's logarithm, not its mean
    assert louder["mean error"] < 0.6 * louder["its size"]
    assert explore.gain_noise_error(ICBHI(dataset.root, "none"), frontend, 1.1, 1e-4).empty


def official_sprsound(unit: str) -> pd.DataFrame:
    table = load_annotations("sprsound", unit)
    return table[table.subset != "test2023"]


@pytest.fixture
def sprsound_dataset(tmp_path):
    synthetic.write_sprsound(tmp_path, patients=8)
    return SPRSound.open(tmp_path)


def test_counts_are_those_of_the_challenge():
    events = explore.count_subsets(official_sprsound("event"), "1-2")
    assert list(events.columns) == ["train", "inter", "intra"]
    assert events.train.tolist() == [5159, 39, 452, 15, 49, 912, 30]
    assert events.inter["Rhonchi"] == events.inter["Stridor"] == 0
    records = explore.count_subsets(official_sprsound("record"), "2-2")
    assert records.train.to_dict() == {
        "Normal": 1303, "Poor Quality": 177, "CAS": 126, "DAS": 248, "CAS & DAS": 95
    }  # fmt: skip


def test_subset_sizes_show_official_and_present_recordings(sprsound_dataset):
    records = sprsound_dataset.load("record")
    sizes = explore.subset_sizes(sprsound_dataset, records).set_index("subset")
    assert sizes.loc["train", "official recordings"] == 1949
    assert sizes["annotated here"].to_dict() == {"train": 24, "inter": 6, "intra": 6}
    assert sizes["with audio here"].equals(sizes["annotated here"])
    assert sizes.patients.to_dict() == {"train": 6, "inter": 2, "intra": 6}
    assert sizes["of them in training"].to_dict() == {"train": 6, "inter": 0, "intra": 6}
    assert sizes.minutes.sum() == pytest.approx(records.end.sum() / 60, abs=0.2)


def test_oddities_are_counted(sprsound_dataset):
    assert explore.count_oddities(sprsound_dataset).empty
    for path in list(sprsound_dataset.audio_files().values())[:2]:
        path.unlink()
    table = explore.count_oddities(sprsound_dataset)
    assert len(table) == 1 and table.what[0].startswith("no audio")
    assert table[["recordings", "times"]].to_numpy().tolist() == [[2, 2]]
