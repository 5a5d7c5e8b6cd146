"""Records heard as a stream: heard once, kept for the table, and one of them for the figure."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from lib import data, files, paths, profiles
from lib.analysis import streaming_model, streaming_results
from lib.data import sprsound, synthetic_sprsound
from lib.runs import folder as runs_folder
from lib.runs import plan


@pytest.fixture
def source(tmp_path, monkeypatch):
    """Synthetic recordings of eight children, the study's own."""
    root = tmp_path / "sounds"
    synthetic_sprsound.write(root, patients=8)
    found = data.sprsound_source(root)
    monkeypatch.setattr(plan, "sprsound_source", lambda profile: found)
    monkeypatch.setattr(plan, "open_study", lambda name: plan.Study(profiles.get(name), found))
    monkeypatch.setenv("REPORT_DIR", str(tmp_path / "pages"))
    return found


def said(source, answers=None):
    """What a stream could have said of every test record: the truth, in windows that differ."""
    table = sprsound.records(source.root)
    table = table[table.split == "test"].reset_index(drop=True)
    windows = ["|".join(["Normal", "Wheeze", "Wheeze"][: i % 3 + 1]) for i in table.index]
    truth = table["2-2"].tolist()
    return pd.DataFrame({"record": table.recording, "part": table.part, "truth": truth,
                         "answer": answers or truth, "windows": windows})  # fmt: skip


@pytest.fixture
def run(tmp_path):
    """The folder of a run with kept weights, and its line in a table of results."""
    folder = tmp_path / "cnn2.mixup.1-2-windows-s1-01234567"
    folder.mkdir()
    (folder / runs_folder.WEIGHTS).write_bytes(b"")
    results = pd.DataFrame({"run": [folder.name] * 3, "path": [str(folder)] * 3})
    return folder, results


def test_each_run_is_heard_once_and_kept_for_verify(source, run, monkeypatch):
    folder, results = run
    calls = []

    def evaluate(root, path):
        calls.append((root, path))
        return said(source)

    monkeypatch.setattr(streaming_model, "evaluate", evaluate)
    first = streaming_results.records("smoke", results)
    again = streaming_results.records("smoke", results)
    assert calls == [(source.root, folder)]
    pd.testing.assert_frame_equal(first, again)
    assert first.columns.tolist() == streaming_results.COLUMNS and set(first.run) == {folder.name}
    kept = plan.open_study("smoke").folder / "tables" / f"{streaming_results.NAME}.csv"
    read = pd.read_csv(kept, dtype=str, keep_default_na=False)
    assert read.to_numpy().tolist() == first.to_numpy().tolist()


def test_of_a_published_run_the_published_answers_are_taken(source, run):
    folder, results = run
    (folder / runs_folder.WEIGHTS).unlink()
    assert streaming_results.records("smoke", results).empty
    lines = said(source).assign(run=folder.name)[streaming_results.COLUMNS]
    both = pd.concat([lines, lines.assign(run="another")])
    path = paths.reports_root() / "tables" / f"{streaming_results.NAME}.csv"
    files.write_text(path, both.to_csv(index=False))
    found = streaming_results.records("smoke", results)
    assert set(found.run) == {folder.name} and len(found) == len(lines)


def test_the_example_is_adventitious_and_named_so(source):
    lines = said(source)
    wave, rate, heard, truth = streaming_results.example("smoke", lines.assign(run="r"))
    odd = lines[~lines.truth.isin(["Normal", "Poor Quality"])]
    variety = odd.windows.map(lambda text: len(set(text.split("|"))))
    chosen = odd.loc[variety.idxmax()]
    sound, native = soundfile.read(sprsound.audio_files(source.root)[chosen.record])
    assert rate == native == 8000 and len(wave) == len(sound)
    np.testing.assert_allclose(wave, sound, atol=1e-4)
    assert heard.label.tolist() == chosen.windows.split("|")
    events = sprsound.events(source.root)
    known = events[events.recording == chosen.record]
    assert truth.label.tolist() == known["1-2"].tolist()
    assert truth.end.tolist() == known.end.tolist()


def test_windows_of_three_seconds_every_second():
    table = streaming_results.windows("Normal|Wheeze")
    assert table.to_numpy().tolist() == [[0.0, 3.0, "Normal"], [1.0, 4.0, "Wheeze"]]
    assert streaming_results.windows("").empty


def test_without_records_there_is_nothing_to_show(source):
    nothing = pd.DataFrame(columns=streaming_results.COLUMNS)
    wave, _, heard, truth = streaming_results.example("smoke", nothing)
    assert len(wave) == len(heard) == len(truth) == 0
