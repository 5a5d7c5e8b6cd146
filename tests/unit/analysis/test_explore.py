"""The exploration pages' questions, on the committed table of all 6,898 cycles and on synthetic."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lib import data, paper
from lib.analysis import explore
from lib.data import icbhi, synthetic
from lib.errors import UserError
from lib.features.frontends import Fbank
from lib.models.ast import grid
from lib.plots import dataset, style

TABLE = Path(__file__).parents[2] / "data/icbhi_cycles.csv.gz"


@pytest.fixture(scope="module")
def official():
    with gzip.open(TABLE, "rt") as handle:
        table = pd.read_csv(handle)
    names = np.array(data.CLASSES)
    parts = table.recording.str.split("_", expand=True)
    return table.assign(
        label=names[table.crackle + 2 * table.wheeze], patient=parts[0], device=parts[4], audio=True
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    root = tmp_path_factory.mktemp("sounds")
    synthetic.write(root, patients=6, cycles=4)
    return data.source(root)


def test_counts_are_those_of_the_paper(official):
    assert explore.counts(official).T.to_dict() == paper.CYCLES


def test_durations_and_devices_cover_every_cycle(official):
    assert sum(map(len, explore.durations(official).values())) == 6898
    assert explore.by_device(official).to_numpy().sum() == 6898


def test_a_few_patients_make_half_of_the_cycles(official):
    table = explore.by_patient(official)
    assert len(table) == 126 and table.to_numpy().sum() == 6898
    assert table.sum(axis=1).is_monotonic_decreasing
    alt = style.alt_text(dataset.plot_patients(table))
    total, half = 0, 0
    for cycles in table.sum(axis=1):
        total, half = total + cycles, half + 1
        if 2 * total >= 6898:
            break
    assert f"half of all cycles come from {half} patients" in alt


def test_ages_of_those_who_are_heard(tmp_path):
    lines = "\n101 3 F NA 19 99\n102 18 M 20 NA NA\n103 NA F NA NA NA\n105 0.75 F NA 9 73\n"
    (tmp_path / icbhi.DEMOGRAPHICS).write_text(lines)
    table = pd.DataFrame(
        [("101", "train"), ("101", "train"), ("102", "test"), ("103", "test"), ("104", "test"),
         ("105", "test")],
        columns=["patient", "split"],
    ).assign(audio=[True] * 5 + [False])  # fmt: skip
    table["recording"] = [f"101_1b1_Al_{mode}_Meditron" for mode in 3 * ["sc"] + 3 * ["mc"]]
    found = explore.by_age(data.Source("icbhi", tmp_path, "partial", ""), table)
    assert found.to_numpy().tolist() == [
        ["train", "children", 1, 2, 1], ["train", "adults", 0, 0, 0], ["train", "unknown", 0, 0, 0],
        ["test", "children", 0, 0, 0], ["test", "adults", 1, 1, 1], ["test", "unknown", 2, 2, 0],
    ]  # fmt: skip
    none = explore.by_age(data.Source("icbhi", tmp_path / "none", "partial", ""), table)
    assert none[none.age == "unknown"].cycles.sum() == 5


def test_ages_that_are_none_name_the_line(tmp_path):
    (tmp_path / icbhi.DEMOGRAPHICS).write_text("101 3 F\n102 old\n")
    with pytest.raises(UserError, match="line 2 is not patient and age.*restore"):
        icbhi.ages(tmp_path)


def test_sizes_put_annotations_and_audio_beside_the_paper(source):
    table = explore.cycles(source)
    lines = explore.sizes(source, table).set_index(["split", "what"])
    train = table[table.split == "train"]
    assert lines.loc[("train", "cycles"), "paper"] == 4142
    assert lines.loc[("train", "patients"), "with audio here"] == train.patient.nunique()
    assert lines.loc[("train", "cycles"), "annotated here"] == len(train)


def test_examples_are_cycles_of_their_label(source):
    table = explore.cycles(source)
    for breath in explore.breaths(source, table, ("crackle", "wheeze")):
        row = table[(table.recording == breath.recording) & (table.start == breath.start)]
        assert row.label.tolist() == [breath.label]
        assert len(explore.clip(breath, Fbank(clip_seconds=2.0))) == 32000
    recording, path = explore.example(source, table)
    assert path.stem == recording


def test_quirks_name_patients_on_both_sides(source):
    table = explore.cycles(source)
    table.loc[table.index[0], "split"] = "test"
    table.loc[table.index[1], "split"] = "train"
    quirks = explore.quirks(source, table).set_index("quirk")
    found = quirks.loc["patients on both sides of the split", "found here"]
    assert table.patient[0] in found


def test_facts_of_the_published_grid():
    table = explore.facts(torch.zeros(2, 798, 128), grid(798, 128, 16, 10))
    assert (table.paper == table.ours).all()
    quick = explore.facts(torch.zeros(2, 298, 128), grid(298, 128, 16, 16))
    assert (quick.ours == table.paper).tolist() == [False, True, False]


def test_how_far_changed_features_are_from_changed_samples(source):
    front = Fbank(clip_seconds=1.0, pad="cyclic", fade="none")
    table = (
        explore.wave_error(source, front, 1.1, 1e-4).set_index("change of samples").astype(float)
    )
    gain, noise = table.loc["gain 1.1"], table.loc["noise 0.0001"]
    assert gain["its size"] == pytest.approx(2 * np.log(1.1), abs=0.02)  # floored bins stay
    assert gain["mean error"] < 0.02
    assert 0 < noise["mean error"] <= noise["largest"]
    louder = explore.wave_error(source, front, 1.1, 1e-2).iloc[1]
    assert float(louder["its size"]) > noise["its size"]
    nowhere = data.Source("icbhi", source.root / "store", "partial", "")
    assert explore.wave_error(nowhere, front, 1.1, 1e-4).empty
    # what is left is the chance of noise: a chi-square's logarithm, not its mean
    assert float(louder["mean error"]) < 0.6 * float(louder["its size"])
