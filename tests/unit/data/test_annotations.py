"""The tables of annotations that come with the code are those of the recordings."""

import pandas as pd
import pytest

from lib.data import ICBHI, SPRSound, annotations, icbhi, sprsound
from lib.data.annotations import NAMES, load_annotations, make_annotations
from lib.errors import UserError


@pytest.mark.real
def test_they_are_those_of_the_recordings(real_root, sprsound_root):
    roots = {"icbhi": ICBHI(real_root), "sprsound": SPRSound(sprsound_root)}
    for name, unit in NAMES:
        made, known = make_annotations(roots[name], unit), load_annotations(name, unit)
        here = known.subset.isin(set(made.subset))  # test2023 is a download of its own
        pd.testing.assert_frame_equal(made, known[here].reset_index(drop=True), check_dtype=False)


@pytest.mark.parametrize(("name", "unit"), NAMES)
def test_every_clip_has_its_groups(name, unit):
    table = load_annotations(name, unit)
    columns = [*annotations.CLIP, *annotations.GROUPS, *annotations.LABELS[name, unit]]
    assert list(table.columns) == columns  # no sound
    assert table.duplicated(["recording", "cycle"]).sum() == 0
    assert (table.end > table.start).all() and (table.start >= 0).all()
    assert set(table.sex) <= {"female", "male", ""} and table.age.dropna().between(0, 100).all()
    assert set(table.site) <= set(annotations.SITES.values())
    classes = {"label": icbhi.CLASSES} | sprsound.TASKS
    for label in annotations.LABELS[name, unit]:
        assert set(table[label]) == set(classes[label])


def test_icbhi_has_one_patient_without_age_and_sex():
    table = load_annotations("icbhi").drop_duplicates("patient")
    assert len(table) == 126 and table.age.isna().sum() == (table.sex == "").sum() == 1
    assert table.sex.value_counts().to_dict() == {"male": 79, "female": 46, "": 1}
    assert set(load_annotations("icbhi").device) == set(icbhi.DEVICES)


def test_an_unknown_table_is_told():
    with pytest.raises(UserError, match="unknown table of annotations 'icbhi record'"):
        load_annotations("icbhi", "record")


def test_they_can_be_written_anew(tmp_path, monkeypatch):
    for folder, make in ((ICBHI.folder, ICBHI), ("BioCAS2022", SPRSound)):
        (tmp_path / make.name / folder).mkdir(parents=True)
    root = tmp_path / "icbhi"
    (root / ICBHI.folder / "101_1b1_Al_sc_Meditron.txt").write_text("0.5\t1.5\t1\t1\n")
    (root / icbhi.SPLIT_FILE).write_text("101_1b1_Al_sc_Meditron\ttrain\n")
    (root / icbhi.DEMOGRAPHICS).write_text("101 3 F NA 19 99\n")
    monkeypatch.setattr(annotations, "FOLDER", tmp_path / "labels")
    annotations.write_annotations(ICBHI(root), SPRSound(tmp_path / "sprsound"))
    row = load_annotations("icbhi").iloc[0]
    assert row[["patient", "site", "sex", "label"]].tolist() == [
        "101", "anterior left", "female", "both"
    ]  # fmt: skip
    assert (row.start, row.end, row.age) == (0.5, 1.5, 3.0)
    assert load_annotations("sprsound").empty
