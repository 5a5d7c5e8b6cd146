"""The ICBHI reader: facts of the database, the official layout's quirks, every kind of fault."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from lib import data
from lib.data import CLASSES, icbhi
from lib.data.annotations import load_annotations
from lib.data.icbhi import ICBHI
from lib.errors import UserError

TRAIN, TEST = "101_1b1_Al_sc_Meditron", "102_1b1_Tc_mc_AKGC417L"
LINES = "0.5\t1.5\t0\t0\n1.5\t2.0\t1\t0\n2.0\t3.0\t0\t1\n3.0\t4.0\t1\t1\n"


@pytest.fixture
def root(tmp_path):
    """Two recordings of 5 s in the official layout."""
    folder = tmp_path / ICBHI.folder
    folder.mkdir()
    for name, suffix in ((TRAIN, ".wav"), (TEST, ".flac")):
        (folder / f"{name}.txt").write_text(LINES)
        noise = np.random.default_rng(0).uniform(-0.1, 0.1, 20000)
        soundfile.write(folder / f"{name}{suffix}", noise, 4000)
    (folder / "filename_format.txt").write_text("a note, not an annotation\n")
    (tmp_path / icbhi.SPLIT_FILE).write_text(f"{TRAIN}\ttrain\n{TEST}\ttest\n")
    return tmp_path


def annotate(root, text, name=TRAIN):
    (root / ICBHI.folder / f"{name}.txt").write_text(text)


def counts(table) -> dict:
    return table.groupby(["split", "label"]).size().unstack()[list(CLASSES)].T.to_dict("list")


def test_facts_of_the_paper():
    table = load_annotations("icbhi")
    assert len(table) == 6898 and table.recording.nunique() == 920
    assert table.label.value_counts()[list(CLASSES)].tolist() == [3642, 1864, 886, 506]
    assert counts(table) == {"train": [2063, 1215, 501, 363], "test": [1579, 649, 385, 143]}
    sides = table.groupby("split")
    assert sides.recording.nunique().to_dict() == {"train": 539, "test": 381}
    assert sides.patient.nunique().to_dict() == {"train": 79, "test": 49}
    both = set.intersection(*(set(side.patient) for _, side in sides))
    assert both == set(icbhi.OVERLAPPING_PATIENTS)
    clean = table[(table.split == "train") & ~table.patient.isin(both)]
    assert (clean.recording.nunique(), clean.patient.nunique(), len(clean)) == (526, 77, 4025)
    assert clean.label.value_counts()[list(CLASSES)].tolist() == [2053, 1186, 486, 300]
    seconds = table.end - table.start
    assert (seconds.min().round(3), seconds.max().round(3)) == (0.2, 16.163)
    assert round(seconds.mean(), 2) == 2.70 and (seconds > 8).sum() == 15
    assert (table.recording == "226_1b1_Pl_sc_LittC2SE").sum() == 11


def test_reads_the_official_layout(root):
    table = ICBHI(root).load()
    assert list(table.columns) == list(ICBHI.tables["event"])
    assert table.index.tolist() == list(range(8))
    assert table.iloc[1].tolist() == [
        "icbhi", TRAIN, "101", "Meditron", "Al", 1, 1.5, 2.0, "crackle", "train"
    ]  # fmt: skip
    assert table.label.tolist() == 2 * ["normal", "crackle", "wheeze", "both"]
    assert table.split.tolist() == 4 * ["train"] + 4 * ["test"]
    assert [p.suffix for p in ICBHI(root).audio_files().values()] == [".wav", ".flac"]
    assert ICBHI(root).validate() == []


def test_the_split_file_may_lie_in_the_folder(root):
    (root / icbhi.SPLIT_FILE).rename(root / ICBHI.folder / icbhi.SPLIT_FILE)
    assert len(ICBHI(root).load()) == 8
    (root / ICBHI.folder / icbhi.SPLIT_FILE).unlink()
    with pytest.raises(
        UserError, match=f"test.txt: not found; put it there, .*download icbhi --data {root}"
    ):
        ICBHI(root).load()


@pytest.mark.parametrize("named", ["Meditron", "LittC2SE"])
def test_the_recording_with_two_device_names_is_kept(root, named):
    """The challenge's list says Meditron, the files say LittC2SE; both lists must work."""
    annotate(root, LINES, "226_1b1_Pl_sc_LittC2SE")
    with open(root / icbhi.SPLIT_FILE, "a") as split:
        split.write(f"226_1b1_Pl_sc_{named}\ttrain\n")
    table = ICBHI(root).load()
    mended = table[table.patient == "226"]
    assert len(mended) == 4 and set(mended.split) == {"train"}
    assert set(mended.device) == {"LittC2SE"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("0.5,1.5,0\n", "line 1: '0.5,1.5,0' is not 'start end crackle wheeze'"),
        ("1_0\t20\t0\t0\n", "line 1: '1_0"),
        ("0\t1e999\t0\t0\n", "line 1: "),
        ("start\tend\tcrackle\twheeze\n0\t1\t0\t0\n", "line 1: 'start.*no header"),
        ("0\t1\t0\n", "line 1"),
        ("0\t1\t0\t0\t0\n", "line 1"),
        ("0\t1\t0\t0\n1\t2\t0\t2\n", "line 2.*flags 0 or 1"),
        ("0\t1\t0\t0\n1\t1\t0\t0\n", "line 2: empty or reversed cycle 1.0 to 1.0 s"),
        ("2\t1\t0\t0\n", "line 1: empty or reversed"),
        ("0\tnan\t0\t0\n", "line 1: .*nan.* is not 'start end"),
        ("0\t1\t0\t0\n0.9\t2\t0\t0\n", "line 2: cycle from 0.9 s overlaps.*1.0 s"),
        ("", "no cycles; restore the annotation"),
    ],
)
def test_a_bad_annotation_is_told(root, text, fault):
    annotate(root, text)
    with pytest.raises(UserError, match=f"{TRAIN}.txt: {fault}"):
        ICBHI(root).load()


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("103_1b1_Al_sc_Iphone", "unknown device 'Iphone' .known: AKGC417L"),
        ("103_1b1_Xx_sc_Meditron", "unknown location 'Xx'"),
        ("103_1b1_Al_Meditron", "the name is not patient_index"),
        ("103_1b1_Al_sc_Meditron", "not in ICBHI_challenge_train_test.txt; add its line"),
    ],
)
def test_a_bad_name_is_told(root, name, fault):
    annotate(root, LINES, name)
    with pytest.raises(UserError, match=f"{name}.txt: {fault}"):
        ICBHI(root).load()


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("104_1b1_Al_sc_Meditron\ttrain\n", "names 104_1b1_Al_sc_Meditron, but .* is not there"),
        (f"{TRAIN}\ttest\n", f"line 3: {TRAIN} is there twice"),
        (f"{TRAIN}\tvalidation\n", "line 3: .* is not 'recording<tab>train|test'"),
    ],
)
def test_a_bad_split_is_told(root, line, fault):
    with open(root / icbhi.SPLIT_FILE, "a") as split:
        split.write(line)
    with pytest.raises(UserError, match=fault):
        ICBHI(root).load()


def test_duplicate_recording_and_sound_without_annotation(root):
    folder = root / ICBHI.folder
    (folder / f"{TRAIN}.flac").write_bytes(b"")
    with pytest.raises(UserError, match=f"{TRAIN}.wav: .*{TRAIN}.flac is there too; remove one"):
        ICBHI(root).audio_files()
    (folder / f"{TRAIN}.flac").rename(folder / "105_1b1_Al_sc_Meditron.flac")
    with pytest.raises(UserError, match="no 105_1b1_Al_sc_Meditron.txt; restore it"):
        ICBHI(root).audio_files()


def test_check_lists_every_fault_at_once(root):
    folder = root / ICBHI.folder
    annotate(root, "0\t1\t0\t0\nx\n2\t2\t0\t0\n")
    annotate(root, "0\t5.75\t0\t0\n", TEST)
    soundfile.write(folder / f"{TRAIN}.wav", np.full(9, np.nan), 4000, subtype="FLOAT")
    faults = ICBHI(root).validate()
    expected = ["line 2", "line 3", "NaN", "annotated to 5.75 s, but the recording ends at 5.000 s"]
    assert len(faults) == 4
    assert all(want in got for want, got in zip(expected, faults, strict=True))
    with pytest.raises(UserError, match="(?s)2 problems in the recordings.*line 2.*line 3"):
        ICBHI(root).load()


@pytest.mark.parametrize("below", ["", "icbhi", ICBHI.folder])
def test_find_takes_the_folder_or_the_one_above_or_below(root, monkeypatch, below):
    given = root / below
    if below == "icbhi":
        given = root / "above"
        given.mkdir()
        (given / "icbhi").symlink_to(root)
    monkeypatch.setenv("DATA_ROOT", str(given))
    found = data.find_dataset("icbhi")
    assert (found.name, found.kind) == ("icbhi", "partial")
    assert found.banner == "partial ICBHI: 2 of 920 recordings have annotation and audio."
    assert len(ICBHI(found.root).load()) == 8
    with pytest.raises(UserError, match="2 of 920 .*all are needed in .*download icbhi"):
        data.require_official(found, "paper")


def test_all_recordings_with_audio_are_official(root, monkeypatch):
    monkeypatch.setattr(ICBHI, "recordings", {"": 2})
    monkeypatch.setenv("DATA_ROOT", str(root))
    found = data.find_dataset("icbhi")
    assert found == ICBHI(root)
    data.require_official(found, "paper")


def test_find_refuses_a_folder_without_recordings(root, tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="nowhere: no such folder; give the folder of the rec"):
        data.find_dataset("icbhi")
    for path in ICBHI(root).audio_files().values():
        path.unlink()
    monkeypatch.setenv("DATA_ROOT", str(root))
    with pytest.raises(UserError, match="no annotated .* recordings .2 annotations, no sounds"):
        data.find_dataset("icbhi")


@pytest.mark.parametrize("below", ["", "sprsound", "sprsound/BioCAS2022"])
def test_nothing_is_made_up_for_a_named_folder_of_another_dataset(tmp_path, monkeypatch, below):
    (tmp_path / "sprsound/BioCAS2022").mkdir(parents=True)
    monkeypatch.setenv("DATA_ROOT", str(tmp_path / below))
    found = data.find_dataset("icbhi")
    assert (found.kind, found.banner) == ("none", "No ICBHI recordings here: its rows are not run.")


@pytest.mark.real
def test_real_single_channel_subset(real_root):
    table = ICBHI(real_root).load()
    sc = table[table.recording.str.contains("_sc_")]
    assert sc.recording.nunique() == 188
    assert counts(sc) == {"train": [740, 147, 120, 42], "test": [639, 102, 140, 39]}


def test_the_list_of_patients_is_read(root):
    (root / icbhi.DEMOGRAPHICS).write_text("101 3 F NA 19 99\n102 NA NA NA NA NA\n")
    table = ICBHI(root).demographics()
    assert table.sex.to_dict() == {"101": "F", "102": "NA"}
    assert table.age["101"] == 3 and np.isnan(table.age["102"])
    (root / icbhi.DEMOGRAPHICS).write_text("\n")
    with pytest.raises(UserError, match="holds no patients; restore it"):
        ICBHI(root).demographics()
    (root / icbhi.DEMOGRAPHICS).write_text("101 330 F\n")
    with pytest.raises(UserError, match="line 1: .*is not a patient, an age and a sex"):
        ICBHI(root).demographics()
    (root / icbhi.DEMOGRAPHICS).write_text("101 1,5 F\n")
    with pytest.raises(UserError, match="line 1: .*is not a patient, an age and a sex"):
        ICBHI(root).demographics()
    (root / icbhi.DEMOGRAPHICS).write_text("101 three F\n")
    with pytest.raises(UserError, match="line 1: .*is not a patient, an age and a sex"):
        ICBHI(root).demographics()


# Files as people have them


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lists_and_annotations_that_another_program_saved(root, encoding):
    expected = ICBHI(root).load()
    lines = (root / icbhi.SPLIT_FILE).read_text().replace("\t", ";").replace("train", "Train")
    (root / icbhi.SPLIT_FILE).write_bytes(lines.replace(";", ".wav;").encode(encoding))
    path = root / ICBHI.folder / f"{TRAIN}.txt"
    path.write_bytes(LINES.replace("\t", ";").replace(".", ",").encode(encoding))
    assert ICBHI(root).load().equals(expected)


def test_text_in_another_encoding_is_one_sentence_for_each_file(root):
    for name in (TRAIN, TEST):
        (root / ICBHI.folder / f"{name}.txt").write_bytes(b"\xe9\n")
    with pytest.raises(UserError, match=f"(?s)^2 problems.*{TRAIN}.txt: not UTF-8.*{TEST}.txt: no"):
        ICBHI(root).load()
    (root / icbhi.SPLIT_FILE).write_bytes(b"\xe9\n")
    with pytest.raises(UserError, match=f"{icbhi.SPLIT_FILE}: not UTF-8; save it as UTF-8"):
        ICBHI(root).load()


def test_a_list_that_may_not_be_read_is_told(root, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UserError, match=f"{icbhi.SPLIT_FILE}: cannot be read .Permission denied"):
        ICBHI(root).load()


def test_one_annotation_in_two_spellings_is_told(root):
    annotate(root, LINES, TRAIN.upper())
    with pytest.raises(UserError, match="(?i)is there too; remove one of them"):
        ICBHI(root).load()


def test_a_list_of_other_recordings_is_guessed_at(root):
    for at in range(4):
        annotate(root, LINES, f"11{at}_1b1_Al_sc_Meditron")
    with pytest.raises(UserError, match="(?s)^4 problems.*and 1 more\n  perhaps the list is that"):
        ICBHI(root).load()


@pytest.mark.parametrize("name", [icbhi.DEMOGRAPHICS, "demographic_info.txt", "metadata.txt"])
def test_ages_are_read_strictly(root, name):
    (root / name).write_text("101\t3.0\tF\n102 NA NA\n103,0.75,M\n")
    ages = ICBHI(root).ages()
    assert ages["101"] == 3 and np.isnan(ages["102"]) and ages["103"] == 0.75
    for bad in ("101 1_0 F\n", "101 inf F\n", "101 3\n"):
        (root / name).write_text(bad)
        with pytest.raises(UserError, match=f"{name}: line 1: .* is not a patient, an age"):
            ICBHI(root).ages()
