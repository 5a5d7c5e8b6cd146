"""The folders that people have: found by what lies in them, without litter."""

import json
import shutil

import pytest

from lib.data import DATASETS, icbhi, layout, synthetic
from lib.data.dataset import SYNTHETIC_FILE
from lib.data.icbhi import ICBHI
from lib.data.sprsound import SPRSound
from lib.errors import UserError

LITTER = ("._a.wav", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/a.wav")
ICBHI_LAYOUTS = {  # name -> recordings, list of the split
    "official": ("ICBHI_final_database", icbhi.SPLIT_FILE),
    "named": ("icbhi/ICBHI_final_database", f"icbhi/{icbhi.SPLIT_FILE}"),
    "too deep": ("x/y/ICBHI_final_database", f"x/y/{icbhi.SPLIT_FILE}"),
    "another name": ("my recordings", f"my recordings/{icbhi.SPLIT_FILE}"),
    "flat": (".", icbhi.SPLIT_FILE),
    "kaggle": ("Respiratory_Sound_Database/Respiratory_Sound_Database/audio_and_txt_files",
               icbhi.SPLIT_FILE),
    "official code": ("icbhi_dataset/audio_test_data", "icbhi_dataset/official_split.txt"),
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Small recordings of both datasets, without the mark of synthetic ones."""
    folder = tmp_path_factory.mktemp("made")
    synthetic.write_icbhi(folder / "icbhi", patients=2, cycles=4)
    synthetic.write_sprsound(folder / "sprsound", patients=4)
    for name in DATASETS:
        (folder / name / SYNTHETIC_FILE).unlink()
    return folder


def add_litter(folder):
    for name in LITTER:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"\0\5\x16\7")


@pytest.mark.parametrize("name", ICBHI_LAYOUTS)
def test_layouts_of_icbhi(name, made, tmp_path):
    sounds, split = (tmp_path / "data" / part for part in ICBHI_LAYOUTS[name])
    shutil.copytree(made / "icbhi" / ICBHI.folder, sounds)
    shutil.copy(made / "icbhi" / icbhi.SPLIT_FILE, split)
    add_litter(sounds)
    expected = ICBHI(made / "icbhi").load()
    for given in dict.fromkeys((tmp_path / "data", sounds, sounds.parent)):  # too high, too deep
        dataset = ICBHI.open(ICBHI.locate(given))
        assert dataset.load().equals(expected) and dataset.kind == "partial"
        assert len(dataset.audio_files()) == expected.recording.nunique()


SPRSOUND_LAYOUTS = {  # name -> the release's folder, change of the folders in it
    "official": ("BioCAS2022", ""),
    "releases": ("releases/BioCAS2022", ""),
    "too deep": ("x/SPRSound-main/BioCAS2022", ""),
    "another name": ("downloads/SPRSound", ""),
    "first names": ("SPRSound", "2022"),
}


@pytest.mark.parametrize("name", SPRSOUND_LAYOUTS)
def test_layouts_of_sprsound(name, made, tmp_path):
    release, left_out = SPRSOUND_LAYOUTS[name]
    folder = tmp_path / "data" / release
    for path in (made / "sprsound/BioCAS2022").iterdir():
        shutil.copytree(path, folder / path.name.replace(left_out, "") if left_out
                        else folder / path.name)  # fmt: skip
    add_litter(next(folder.glob("train*_wav")))
    expected = SPRSound(made / "sprsound").load("record")
    for given in (tmp_path / "data", folder, next(folder.glob("train*_wav"))):
        dataset = SPRSound.open(SPRSound.locate(given))
        assert dataset.load("record").equals(expected) and dataset.kind == "partial"


def test_the_named_folder_wins_over_another_beside_it(made, tmp_path):
    for name in ("a", "b"):
        shutil.copytree(made / "icbhi", tmp_path / name)
    assert ICBHI.locate(tmp_path / "b") == tmp_path / "b"
    assert ICBHI.locate(tmp_path / "b" / ICBHI.folder) == tmp_path / "b"


def test_synthetic_recordings_of_a_feature_folder_are_not_taken_for_data(made, tmp_path):
    shutil.copytree(made / "icbhi", tmp_path / "features/synthetic-icbhi-v1")
    (tmp_path / "features/synthetic-icbhi-v1" / SYNTHETIC_FILE).write_text("{}")
    assert ICBHI.locate(tmp_path) is None
    assert ICBHI.locate(tmp_path / "features") is not None


def test_letter_case_of_names_and_suffixes(made, tmp_path):
    for name, kind in DATASETS.items():
        shutil.copytree(made / name, tmp_path / name)
        expected = kind(made / name).load()
        for path in [path for path in (tmp_path / name).rglob("*_*.*") if path.parent.name != name]:
            path.rename(path.with_name(path.stem.lower() + path.suffix.upper()))
        dataset = kind.open(tmp_path / name)
        assert dataset.load().equals(expected)
        assert set(dataset.audio_files()) == set(expected.recording) | set(
            dataset.annotation_files()
        )


@pytest.mark.parametrize("name", DATASETS)
def test_what_cannot_be_read_is_named_and_not_counted(name, made, tmp_path):
    """A broken link, a circle of links, and a folder with the name of a recording."""
    shutil.copytree(made / name, tmp_path / name)
    kind = DATASETS[name]
    sounds = kind(tmp_path / name).audio_files()
    count = len(sounds)
    broken, circle, *_ = sounds.values()
    for path, target in ((broken, tmp_path / "gone.wav"), (circle, circle)):
        path.unlink()
        path.symlink_to(target)
    (broken.parent / "1_folder.wav").mkdir()
    dataset = kind.open(tmp_path / name)
    assert dataset.kind == "partial" and len(dataset.audio_files()) == count - 2
    unreadable = {path.name for path in dataset.unreadable_files()}
    assert unreadable == {broken.name, circle.name, "1_folder.wav"}
    sentence = dataset.banner.split("Not readable: ")[1]
    assert all(each in sentence for each in unreadable)
    assert not {broken.name, circle.name} & {path.name for path in dataset.input_files().values()}


def test_a_file_that_may_not_be_read_is_not_counted(made, monkeypatch):
    dataset = ICBHI(made / "icbhi")
    first, *others = dataset.audio_files()
    closed = dataset.audio_files()[first]
    monkeypatch.setattr(layout.os, "access", lambda path, _: path != closed)
    assert list(dataset.audio_files()) == others and dataset.unreadable_files() == [closed]


def test_a_link_keeps_its_own_name(made, tmp_path):
    """Recordings in a store of files named by their content, each linked to under its own name."""
    folder = tmp_path / "data" / ICBHI.folder
    folder.mkdir(parents=True)
    for at, path in enumerate(sorted((made / "icbhi" / ICBHI.folder).iterdir())):
        (tmp_path / f"object-{at}").write_bytes(path.read_bytes())
        (folder / path.name).symlink_to(tmp_path / f"object-{at}")
    shutil.copy(made / "icbhi" / icbhi.SPLIT_FILE, folder)
    (tmp_path / "icbhi").symlink_to(tmp_path / "data")
    dataset = ICBHI.open(ICBHI.locate(tmp_path / "icbhi"))
    assert dataset.root == tmp_path / "icbhi"
    assert dataset.load().equals(ICBHI(made / "icbhi").load())


def test_no_more_than_the_first_problems_are_listed(made, tmp_path):
    """With their number and one guess at the cause."""
    shutil.copytree(made / "icbhi", tmp_path / "a")
    for path in (tmp_path / "a" / ICBHI.folder).glob("*.txt"):
        path.unlink()
    with pytest.raises(UserError) as caught:
        ICBHI.open(tmp_path / "a")
    first, *lines = str(caught.value).splitlines()
    count = int(first.split()[0])
    assert count == len(list((tmp_path / "a" / ICBHI.folder).glob("*.wav"))) > 3
    assert first == f"{count} problems in the recordings:" and len(lines) == 5
    assert lines[3:] == [
        f"  and {count - 3} more",
        "  perhaps the annotations were not copied with the sounds",
    ]


def test_problems_of_one_recording_are_all_listed_in_the_check(made, tmp_path):
    shutil.copytree(made / "sprsound", tmp_path / "a")
    notes = sorted((tmp_path / "a/BioCAS2022/train2022_json").glob("*.json"))
    for path in notes:
        path.write_text(json.dumps([]))
    assert len(SPRSound(tmp_path / "a").validate()) == len(notes) > 3
