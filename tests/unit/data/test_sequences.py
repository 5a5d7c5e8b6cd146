"""A dataset as a sequence of events, on its own and with the libraries that docs/data.md names."""

import re
import shutil
import sys
from types import ModuleType

import numpy as np
import pytest
import soundfile

from lib.data import DATASETS, ICBHI, SPRSound, synthetic
from lib.errors import UserError
from lib.paths import PROJECT

KEYS = ["waveform", "rate", "label", "patient", "device", "site", "split", "times"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a small synthetic copy of every dataset in data/."""
    folder = tmp_path_factory.mktemp("project")
    synthetic.write_icbhi(folder / "data/icbhi", patients=6, cycles=4)
    synthetic.write_sprsound(folder / "data/sprsound", patients=8)
    return folder


@pytest.mark.parametrize("kind", DATASETS.values())
def test_an_event_is_its_row_and_its_part_of_the_recording(kind, folder):
    dataset = kind(str(folder / "data" / kind.name))  # text will do
    table, files = dataset.load(), dataset.audio_files()
    assert dataset.frame.equals(table) and len(dataset) == len(table) > 20
    for i in (0, 7, len(dataset) - 1, -1):
        row, event = table.iloc[i], dataset[i]
        assert list(event) == KEYS
        wave, rate = soundfile.read(files[row.recording], dtype="float32", always_2d=True)
        expected = wave.mean(axis=1)[round(row.start * rate) : round(row.end * rate)]
        np.testing.assert_allclose(event["waveform"], expected, atol=1e-7)
        assert event["rate"] == rate and event["times"] == (row.start, row.end)
        names = {"label": "label", "patient": "patient", "device": "device", "site": "location"}
        for key, column in (names | {"split": "split"}).items():
            assert event[key] == row[column]
    assert len(list(dataset)) == len(dataset)
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_a_part_of_the_recordings_is_enough(folder, tmp_path):
    root = shutil.copytree(folder / "data/icbhi", tmp_path / "icbhi")
    gone, *_ = ICBHI(root).audio_files().values()
    gone.unlink()
    part = ICBHI(root)
    assert 0 < len(part) < len(ICBHI(folder / "data/icbhi"))
    assert gone.stem not in set(part.frame.recording)
    assert all(len(event["waveform"]) for event in part)


def test_a_recording_that_cannot_be_read_is_named(folder, tmp_path):
    root = shutil.copytree(folder / "data/sprsound", tmp_path / "sprsound")
    dataset = SPRSound(root)
    path = dataset.audio_files()[dataset.frame.recording[0]]
    path.write_bytes(b"RIFF")
    with pytest.raises(UserError, match=path.name):
        dataset[0]


def test_the_examples_of_the_docs_run(folder, monkeypatch):
    text = (PROJECT / "docs/data.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) == 3 and all(len(block.splitlines()) <= 10 for block in blocks)
    stub = ModuleType("datasets")  # the package itself is not installed for the tests
    stub.Dataset = type("Dataset", (), {"from_generator": staticmethod(lambda make: list(make()))})
    monkeypatch.setitem(sys.modules, "datasets", stub)
    monkeypatch.chdir(folder)
    torch_example, hub_example, sklearn_example = ({}, {}, {})
    for block, names in zip(blocks, (torch_example, hub_example, sklearn_example), strict=True):
        exec(block, names)
    waves, labels = next(iter(torch_example["loader"]))
    assert waves.shape[0] == labels.shape[0] == 8 and waves.abs().amax(dim=1).min() > 0
    assert [*hub_example["dataset"][0]] == KEYS
    model, train = sklearn_example["model"], sklearn_example["train"]
    score = model.score([sklearn_example["bands"](e) for e in train], [e["label"] for e in train])
    assert {e["split"] for e in train} == {"train"} and score > 0.5  # a quarter by chance
