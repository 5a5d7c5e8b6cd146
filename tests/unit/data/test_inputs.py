"""What stores are built from: the tables of each data set, its files, and marks that must last."""

import numpy as np
import pytest
import soundfile

from lib.data import Source, icbhi, inputs, sprsound
from lib.errors import UserError
from lib.features import cache_build
from lib.features.frontends import Fbank, Mfcc

SHORT = Fbank(clip_seconds=3.0, pad="zero")
NAMES = ("101_1b1_Al_sc_Meditron", "102_1b1_Tc_mc_AKGC417L", "103_1b1_Al_sc_Meditron")


@pytest.fixture
def two(tmp_path):
    """Two recordings with sound of a kind and one without, in ICBHI's layout."""
    folder = tmp_path / icbhi.FOLDER
    folder.mkdir()
    for name in NAMES[:2]:
        (folder / f"{name}.txt").write_text("0.5\t1.5\t0\t0\n1.5\t2.0\t1\t0\n")
        (folder / f"{name}.wav").write_bytes(b"sound of " + name.encode())
    (folder / f"{NAMES[2]}.txt").write_text("0\t1\t0\t0\n")
    split = zip(NAMES, ("train", "test", "test"), strict=True)
    (tmp_path / icbhi.SPLIT_FILE).write_text("".join(f"{n}\t{side}\n" for n, side in split))
    return Source("icbhi", tmp_path, "partial", "")


@pytest.fixture
def child(tmp_path):
    """One recording in SPRSound's layout."""
    for folder in sprsound.PARTS["inter"][1:]:
        (tmp_path / folder).mkdir(parents=True)
    note = '{"record_annotation": "CAS", "event_annotation": [%s]}'
    event = '{"start": "0", "end": "400", "type": "Wheeze"}'
    path = tmp_path / sprsound.PARTS["inter"][1] / "1_2.0_0_p1_3.json"
    path.write_text(note % event)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 4000)
    soundfile.write(tmp_path / sprsound.PARTS["inter"][2] / "1_2.0_0_p1_3.wav", noise, 8000)
    return Source("sprsound", tmp_path, "partial", "")


def test_marks_of_icbhi_have_not_changed(two, monkeypatch):
    """Runs are found by these marks: only a change of `VERSION` may change them."""
    monkeypatch.setattr(cache_build, "VERSION", 1)
    assert cache_build.fingerprint(two, Fbank()) == (
        "1cd7389acfb366a0786003c5ff783c0b696fb6e7b5f152db09f4c14ed359bf64"
    )
    assert cache_build.fingerprint(two, SHORT) == (
        "03030a341759f9405dfbabc483d82c2562763c807f898f5d7d2d48064b74e551"
    )


def test_marks_of_sprsound_know_bytes_part_and_front_end(child):
    fronts = (Mfcc(), Mfcc(unit="record"), Mfcc(scale="minmax"), Fbank())
    first, *others = (cache_build.fingerprint(child, front) for front in fronts)
    assert len({first, *others}) == 4 and cache_build.fingerprint(child, Mfcc()) == first
    inter, intra = (child.root / sprsound.PARTS[part][1] for part in ("inter", "intra"))
    inter.rename(intra)
    assert cache_build.fingerprint(child, Mfcc()) != first  # the same bytes in another part
    intra.rename(inter)
    path = next(inter.iterdir())
    path.write_text(path.read_text().replace("400", "300"))
    assert cache_build.fingerprint(child, Mfcc()) != first


def test_tables_by_unit(child, two):
    assert inputs.clips(child, Mfcc())["1-2"].tolist() == ["Wheeze"]
    assert inputs.clips(child, Fbank()).label.tolist() == ["wheeze"]
    assert inputs.clips(child, Mfcc(unit="record"))["2-2"].tolist() == ["CAS"]
    assert inputs.clips(two, Fbank()).recording.nunique() == 2  # with audio
    with pytest.raises(UserError, match="icbhi has no records .it has events."):
        inputs.clips(two, Mfcc(unit="record"))


def test_all_faults_of_annotations_and_sounds_are_told(child):
    path = child.root / sprsound.PARTS["inter"][1] / "1_2.0_0_p1_3.json"
    path.write_text("{")
    sound = sprsound.audio_files(child.root)[path.stem]
    sound.write_bytes(sound.read_bytes()[:-10])
    with pytest.raises(UserError, match="^2 faults in the recordings:"):
        inputs.clips(child, Mfcc())


def test_every_store_is_named():
    for reader in inputs.READERS.values():
        assert set(reader.names) == {"official", "partial", "synthetic"}
        assert len(set(reader.names.values())) == 3
