"""What holds for every dataset: card, tables, files; and the fingerprints of its inputs."""

import numpy as np
import pytest
import soundfile

from lib.data import DATASETS, synthetic
from lib.data.icbhi import ICBHI, SPLIT_FILE
from lib.data.sprsound import SUBSETS, SPRSound
from lib.errors import UserError
from lib.features.cache import data_fingerprint
from lib.features.frontends import Fbank, Mfcc


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """A small synthetic copy of every dataset."""
    folder = tmp_path_factory.mktemp("data")
    synthetic.write_icbhi(folder / "icbhi", patients=6, cycles=4)
    synthetic.write_sprsound(folder / "sprsound", patients=8)
    return folder


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_has_a_card_tables_and_files(name, roots):
    kind = DATASETS[name]
    for text in (kind.title, kind.citation, kind.licence, kind.url, kind.download_url):
        assert text
    assert kind.checksum == "none published" or len(kind.checksum) == 64
    assert kind.locate(roots) == kind.locate(roots / name / kind.folder) == roots / name
    dataset = kind.open(roots / name)
    assert dataset.kind == "synthetic" and "SYNTHETIC" in dataset.banner
    assert dataset.validate() == []
    for unit, columns in kind.tables.items():
        table = dataset.load(unit)
        assert tuple(table.columns) == columns and len(table)
        assert table[["recording", "cycle"]].apply(tuple, axis=1).is_monotonic_increasing
        assert set(table.split) == {"train", "test"} and set(table.dataset) == {name}
        assert dataset.clips(unit).equals(table)  # all of it has audio
    assert set(dataset.audio_files()) == set(dataset.annotation_files())
    with pytest.raises(UserError, match=f"{name} has no breaths"):
        dataset.load("breath")


@pytest.mark.parametrize("name", DATASETS)
def test_what_is_missing_is_named(name, roots, tmp_path):
    kind = DATASETS[name]
    assert kind.locate(tmp_path) is None
    (tmp_path / kind.folder).mkdir()
    with pytest.raises(UserError, match=f"no annotated .*download {name}"):
        kind.open(tmp_path)
    dataset = kind.open(roots / name)
    first = next(iter(dataset.audio_files().values()))
    twin = first.with_suffix(".flac")
    twin.write_bytes(b"")
    with pytest.raises(UserError, match="is there too; remove one of them"):
        dataset.audio_files()
    twin.rename(first.with_name("stray.wav"))
    with pytest.raises(UserError, match="stray.* restore it or move this file away"):
        dataset.audio_files()
    first.with_name("stray.wav").unlink()


@pytest.fixture
def child(tmp_path):
    """One recording in SPRSound's layout."""
    for folder in SUBSETS["inter"][1:]:
        (tmp_path / folder).mkdir(parents=True)
    note = '{"record_annotation": "CAS", "event_annotation": [%s]}'
    event = '{"start": "0", "end": "400", "type": "Wheeze"}'
    (tmp_path / SUBSETS["inter"][1] / "1_2.0_0_p1_3.json").write_text(note % event)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 4000)
    soundfile.write(tmp_path / SUBSETS["inter"][2] / "1_2.0_0_p1_3.wav", noise, 8000)
    return SPRSound.open(tmp_path)


def test_a_fingerprint_covers_bytes_subset_and_front_end(child):
    fronts = (Mfcc(), Mfcc(unit="record"), Mfcc(scale="minmax"), Fbank())
    first, *others = (data_fingerprint(child, front) for front in fronts)
    assert len({first, *others}) == 4 and data_fingerprint(child, Mfcc()) == first
    note = next(iter(child.annotation_files().values()))
    note.write_text(note.read_text() + " ")
    assert data_fingerprint(child, Mfcc()) != first
    note.write_text(note.read_text().rstrip())
    assert data_fingerprint(child, Mfcc()) == first
    for i in (1, 2):  # the same files as another subset
        (child.root / SUBSETS["intra"][i]).mkdir(parents=True, exist_ok=True)
    note.rename(child.root / SUBSETS["intra"][1] / note.name)
    assert data_fingerprint(child, Mfcc()) != first


def test_a_fingerprint_covers_the_split_and_only_recordings_with_audio(roots, tmp_path):
    synthetic.write_icbhi(tmp_path, patients=6, cycles=4)
    dataset = ICBHI.open(tmp_path)
    first = data_fingerprint(dataset, Fbank())
    assert first == data_fingerprint(ICBHI.open(roots / "icbhi"), Fbank())
    split = tmp_path / SPLIT_FILE
    split.write_text(split.read_text().replace("train", "test", 1))
    assert data_fingerprint(dataset, Fbank()) != first
    next(iter(dataset.audio_files().values())).unlink()
    assert len(dataset.clips()) < len(dataset.load())
