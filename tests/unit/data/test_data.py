"""Where SPRSound's recordings are, and how complete (ICBHI's: test_icbhi); what is said of it."""

import numpy as np
import pytest
import soundfile

from lib import data, papers
from lib.data import sprsound
from lib.data.sprsound import SPRSound
from lib.errors import UserError
from lib.reports import build
from lib.runs import plan

NAMES = {"train": "1_2.0_0_p1_1", "inter": "2_2.0_0_p1_2", "intra": "1_2.0_0_p1_3"}


@pytest.fixture
def root(tmp_path):
    """One recording of each part, in a folder as the download leaves it."""
    root = tmp_path / "sprsound"
    for part, name in NAMES.items():
        for folder in sprsound.SUBSETS[part][1:]:
            (root / folder).mkdir(parents=True, exist_ok=True)
        path = root / sprsound.SUBSETS[part][1] / f"{name}.json"
        path.write_text('{"record_annotation": "Poor Quality", "event_annotation": []}')
        soundfile.write(root / sprsound.SUBSETS[part][2] / f"{name}.wav", np.zeros(99), 8000)
    return root


@pytest.mark.parametrize("below", ["..", ".", "BioCAS2022"])
def test_the_folder_or_the_one_above_or_below(root, monkeypatch, below):
    monkeypatch.setenv("DATA_ROOT", str((root / below).resolve()))
    found = data.find_dataset("sprsound")
    assert (found.name, found.kind, found.root) == ("sprsound", "partial", root)
    assert found.banner == (
        "partial SPRSound: 1 of 1949 train, 1 of 355 inter, 1 of 379 intra recordings "
        "have annotation and audio."
    )


def test_the_layout_of_the_repository(root, monkeypatch):
    (root / "releases").mkdir()
    (root / "BioCAS2022").rename(root / "releases/BioCAS2022")
    monkeypatch.setenv("DATA_ROOT", str(root))
    assert data.find_dataset("sprsound").root == root


def test_the_projects_own_folder(root, monkeypatch, tmp_path):
    (tmp_path / "data").mkdir()
    root.rename(tmp_path / "data/sprsound")
    monkeypatch.setattr(data.paths, "PROJECT", tmp_path)
    assert data.find_dataset("sprsound").root == tmp_path / "data/sprsound"


def test_all_recordings_with_audio_are_official(root, monkeypatch):
    monkeypatch.setattr(SPRSound, "recordings", dict.fromkeys(NAMES, 1))
    assert SPRSound.open(root) == SPRSound(root)
    SPRSound(root).audio_files()[NAMES["inter"]].unlink()
    banner = SPRSound.open(root).banner
    assert "1 of 1 train, 0 of 1 inter, 1 of 1 intra" in banner


def test_annotations_alone_are_refused(root):
    for path in SPRSound(root).audio_files().values():
        path.unlink()
    with pytest.raises(UserError, match="no annotated .wav or .flac .*download sprsound"):
        SPRSound.open(root)


@pytest.mark.real
def test_the_real_recordings_are_complete(sprsound_root):
    assert SPRSound.open(sprsound_root).kind == "official"


# Which recordings are used


def test_one_line_says_which_recordings_are_used(root, monkeypatch, tmp_path):
    partial = SPRSound.open(root)
    line = f"SPRSound: {partial.banner} From {root}"
    assert data.recordings_used([partial]) == [line] and "1 of 1949 train" in line
    monkeypatch.setattr(SPRSound, "recordings", dict.fromkeys(NAMES, 1))
    official = SPRSound.open(root)
    assert data.recordings_used([official]) == [f"SPRSound: all 3 recordings. From {root}"]
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/features.npy").write_bytes(b"")
    given = [data.ICBHI(tmp_path / "cache"), data.ICBHI(tmp_path / "cache", "none", "No ICBHI.")]
    assert data.recordings_used(given) == [
        f"ICBHI: features of all recordings. From {tmp_path / 'cache'}",
        f"ICBHI: No ICBHI. From {tmp_path / 'cache'}",
    ]


def test_the_front_door_says_it_before_anything_runs(root, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(root))
    lines = build.describe_recordings("laptop", ["08"])
    assert lines == data.recordings_used([SPRSound.open(root)])
    assert build.describe_recordings("smoke", ["08"]) == [
        f"profile smoke reads no recordings: {root} is not used"
    ]
    monkeypatch.delenv("DATA_ROOT")
    assert build.describe_recordings("smoke", ["08"]) == []


def test_nothing_is_made_up_if_a_folder_was_named(root, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(root))
    context = plan.open_context("laptop")
    assert context.source.kind == "none" and "No ICBHI recordings here" in context.source.banner
    experiment = papers.get_experiment("ast/ce")
    assert context.fingerprint(experiment) is None
    monkeypatch.setenv("DATA_ROOT", str(root.parent))
    (root / "BioCAS2022").rename(root.parent / "something else")
    (root.parent / "something else/train2022_json").rename(root.parent / "something else/notes")
    (root.parent / "something else/test2022_json").rename(root.parent / "something else/more")
    with pytest.raises(UserError, match="no ICBHI and no SPRSound in it or below"):
        data.find_dataset("icbhi")
