"""Where SPRSound's recordings are, and how complete (ICBHI's: tests/test_icbhi.py)."""

import numpy as np
import pytest
import soundfile

from lib import data
from lib.data import sprsound
from lib.data.sprsound import SPRSound
from lib.errors import UserError

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
