"""The SPRSound reader: facts of the database, the official layout's quirks, every kind of fault."""

import json
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from lib.data import audio, sprsound
from lib.data.annotations import load_annotations
from lib.data.sprsound import SPRSound
from lib.errors import UserError

EVENTS = {"train": [5159, 39, 452, 15, 49, 912, 30],  # in the order of TASKS["1-2"]
          "inter": [1040, 0, 305, 0, 3, 80, 1],
          "intra": [688, 14, 108, 2, 14, 175, 3]}  # fmt: skip
RECORDS = {"train": [1303, 177, 126, 248, 95], "inter": [241, 8, 65, 24, 17],
           "intra": [241, 2, 42, 75, 19]}  # fmt: skip
TRAIN, INTER, INTRA = "11_4.5_0_p1_7", "12_0.2_1_p3_8", "11_4.6_0_p4_9"
NAMELESS = "_3.9_0_p1_14465"


def event(start, end, kind="Normal") -> dict:
    return {"start": str(start), "end": str(end), "type": kind}


def add(root, part, recording, found, label="Normal", suffix=".wav", seconds=5.0) -> Path:
    """Write one recording and its annotation; return the annotation's path."""
    _, notes, sounds = sprsound.SUBSETS[part]
    for folder in (notes, sounds):
        (root / folder).mkdir(parents=True, exist_ok=True)
    path = root / notes / f"{recording}.json"
    path.write_text(json.dumps({"record_annotation": label, "event_annotation": found}))
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, int(8000 * seconds))
    soundfile.write(root / sounds / f"{recording}{suffix}", noise, 8000)
    return path


@pytest.fixture
def root(tmp_path):
    """One recording of each part of BioCAS2022."""
    add(tmp_path, "train", TRAIN, [event(500, 1500), event(1500, 2250, "Wheeze")], "CAS")
    add(tmp_path, "inter", INTER, [event(100, 300, "Wheeze+Crackle")], "CAS & DAS", ".flac")
    add(tmp_path, "intra", INTRA, [], "Poor Quality")
    return tmp_path


def rewrite(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def note(root, part="train", recording=TRAIN) -> Path:
    return root / sprsound.SUBSETS[part][1] / f"{recording}.json"


def patients(records, *parts) -> set:
    return set(records[records.subset.isin(parts)].recording.str.split("_").str[0])


def assert_facts(events, records):
    for task, table, want in (("1-2", events, EVENTS), ("2-2", records, RECORDS)):
        counts = pd.crosstab(table.subset, table[task]).reindex(columns=list(sprsound.TASKS[task]))
        assert counts.fillna(0).astype(int).T.to_dict("list") == want
    assert records.subset.value_counts().to_dict() == {"train": 1949, "inter": 355, "intra": 379}
    assert len(patients(records, "train")) == 251
    new = patients(records, "inter") - patients(records, "train")
    assert len(new) == 41 and new == patients(records, "inter")
    assert patients(records, "intra") <= patients(records, "train")
    labels = events.groupby("recording")["1-2"].agg(list)
    implied = [sprsound.record_label(labels.get(name, [])) for name in records.recording]
    assert len(records) == 2683 and implied == records["2-2"].tolist()


def test_facts_of_the_database():
    tables = [load_annotations("sprsound", unit) for unit in ("event", "record")]
    assert_facts(*(table[table.subset != "test2023"] for table in tables))
    assert [(table.subset == "test2023").sum() for table in tables] == [3124, 871]


@pytest.mark.real
def test_facts_of_the_recordings(sprsound_root):
    dataset = SPRSound(sprsound_root)
    tables = [dataset.load("event"), dataset.load("record")]
    events, records = (table[table.subset != "test2023"] for table in tables)
    assert_facts(events, records)
    assert events["1-1"].value_counts()["Normal"] == 5159 + 1040 + 688
    assert (events.end > events.start).all() and records.end.round(2).mode()[0] == 9.22
    remarks = dataset.remarks()
    counts = remarks[remarks.subset != "test2023"].what.value_counts()
    assert counts.to_dict() == {"events out of order: numbered as in the file": 1124}
    final = [table[table.subset == "test2023"] for table in tables]
    if len(final[1]):  # BioCAS2023 is here too
        assert [len(table) for table in final] == [3124, 871]


def test_reads_the_official_layout(root):
    events, records = SPRSound(root).load("event"), SPRSound(root).load("record")
    assert events.index.tolist() == [0, 1, 2]
    assert events.iloc[1].to_dict() == {
        "dataset": "sprsound", "recording": TRAIN, "patient": "11", "age": 4.5, "gender": "male",
        "location": "p1", "device": "Yunting II", "split": "train", "subset": "train", "cycle": 1,
        "start": 1.5, "end": 2.25, "1-1": "Adventitious", "1-2": "Wheeze", "label": "wheeze",
    }  # fmt: skip
    assert events.iloc[2][["split", "subset", "gender", "label"]].tolist() == [
        "test", "inter", "female", "both"
    ]  # fmt: skip
    assert records.recording.tolist() == [TRAIN, INTRA, INTER]
    assert records["2-1"].tolist() == ["Adventitious", "Poor Quality", "Adventitious"]
    assert records["2-2"].tolist() == ["CAS", "Poor Quality", "CAS & DAS"]
    assert records[["cycle", "start", "end"]].to_numpy().tolist() == 3 * [[0, 0, 5]]
    assert [path.suffix for path in SPRSound(root).audio_files().values()].count(".flac") == 1
    assert SPRSound(root).validate() == [] and SPRSound(root).remarks().empty


def test_a_releases_folder_above_is_read_too(root, tmp_path):
    want = SPRSound(root).load("event")
    (tmp_path / "releases").mkdir()
    (root / "BioCAS2022").rename(tmp_path / "releases/BioCAS2022")
    pd.testing.assert_frame_equal(SPRSound(tmp_path).load("event"), want)


def test_the_set_of_2023_has_names_without_a_patient(root):
    add(root, "test2023", NAMELESS, [event(0, 900, "Stridor")], "CAS")
    add(root, "test2023", "_3.9_0_p1_14466", [event(0, 900)])
    records = SPRSound(root).load("record")
    assert (records.subset == "test2023").sum() == 2 and records.patient.nunique() == 4
    got = records[records.recording == NAMELESS].iloc[0]
    assert (got.patient, got.age, got.split) == (NAMELESS, 3.9, "test")
    odd = SPRSound(root).remarks()
    assert odd.what.unique().tolist() == ["no patient in the name: its own patient"]
    assert odd["count"].sum() == 2


@pytest.mark.parametrize(
    ("written", "task", "want"),
    [
        ("Wheeze & Crackle", "1-2", "Wheeze+Crackle"),
        ("Wheeze&Crackle", "1-2", "Wheeze+Crackle"),
        (" wheeze and crackle", "1-2", "Wheeze+Crackle"),
        ("FINE  CRACKLE", "1-2", "Fine Crackle"),
        ("CAS&DAS", "2-2", "CAS & DAS"),
        ("poor quality ", "2-2", "Poor Quality"),
    ],
)
def test_spellings_of_labels(root, written, task, want):
    if task == "1-2":
        rewrite(note(root), event_annotation=[event(0, 9, written)])
        assert SPRSound(root).load("event")[task][0] == want
    else:
        rewrite(note(root), record_annotation=written)
        assert SPRSound(root).load("record")[task][0] == want


def test_classes_of_icbhi(root):
    kinds = sprsound.TASKS["1-2"]
    rewrite(note(root), event_annotation=[event(9 * i, 9 * i + 9, k) for i, k in enumerate(kinds)])
    labels = SPRSound(root).load("event").label[:7].tolist()
    assert labels == ["normal", "wheeze", "wheeze", "wheeze", "crackle", "crackle", "both"]


@pytest.mark.parametrize(
    ("labels", "want"),
    [
        ([], "Poor Quality"),
        (["Normal"], "Normal"),
        (["Normal", "Stridor"], "CAS"),
        (["Coarse Crackle", "Normal"], "DAS"),
        (["Fine Crackle", "Rhonchi"], "CAS & DAS"),
        (["Wheeze+Crackle"], "CAS & DAS"),
    ],
)
def test_the_label_of_a_record(labels, want):
    assert sprsound.record_label(labels) == want


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        ([event(0, 9, "Hum")], "event 0: unknown label 'Hum' .known: Normal, "),
        ([event(0, 9), event(9, 5520)], "event 1: annotated to 5.52 s, but .* ends at 5.000 s"),
        ([event(9, 9)], "empty or reversed"),
        ([event(-5, 9)], "empty or reversed"),
        ([event("soon", 9)], "a time is not a number"),
        ([event(0, "nan")], "a time is not a number"),
        ([event(5000, 5020)], "annotated to 5.02 s, but .* ends at 5.000 s"),
        ([{"start": 0, "end": True, "type": "Normal"}], "a time is not a number"),
        ([event("1_0", 90)], "a time is not a number"),
        ([event(0, 9, ["Normal"])], "unknown label .'Normal'."),
        ([{"start": 1, "end": 2}], "is not start, end and type"),
        ([7], "7 is not start, end and type"),
    ],
)
def test_a_bad_event_is_told(root, found, fault):
    rewrite(note(root), event_annotation=found)
    with pytest.raises(UserError, match=f"{TRAIN}.json: .*{fault}.*; fix"):
        SPRSound(root).load("event")
    assert len(SPRSound(root).validate()) == 1


@pytest.mark.parametrize("end", [5009, 5500])
def test_times_a_little_past_the_end_are_cut_and_counted(root, end):
    rewrite(note(root), event_annotation=[event(4000, end, "Wheeze")])
    assert SPRSound(root).load("event").end[0] == 5.0
    odd = SPRSound(root).remarks()
    what = "events that end after the recording: cut there"
    assert odd.values.tolist() == [[TRAIN, "train", what, 1]]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "not valid JSON"),
        ("[" * 10**5, "not valid JSON .nested too deeply"),
        (
            '{"record_annotation": "CAS", "event_annotation": [], "event_annotation": []}',
            "not valid JSON .the key 'event_annotation' is there twice",
        ),
        ("[]", "no list event_annotation"),
        ('{"record_annotation": "CAS"}', "no list event_annotation"),
        ('{"event_annotation": []}', "unknown label None"),
        ('{"record_annotation": "odd", "event_annotation": []}', "unknown label 'odd'"),
    ],
)
def test_a_bad_file_is_told(root, text, fault):
    note(root).write_text(text)
    with pytest.raises(UserError, match=f"{TRAIN}.json: {fault}"):
        SPRSound(root).load("record")


def test_bytes_that_are_no_text_are_told(root):
    note(root).write_bytes(b'{"\xe9"')
    with pytest.raises(UserError, match=f"{TRAIN}.json: not UTF-8; save it as UTF-8"):
        SPRSound(root).load("record")


def test_the_key_of_the_official_readme(root):
    text = json.loads(note(root).read_text())
    text["recording_annotation"] = text.pop("record_annotation")
    note(root).write_text(json.dumps(text))
    assert SPRSound(root).load("record")["2-2"][0] == "CAS"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("11_4.5_0_p1", "is not patient_age_gender"),
        ("11_4.5_0_p1_7_8", "is not patient_age_gender"),
        ("11_4.5_2_p1_7", "is not patient_age_gender"),
        ("11_4.5_0_p9_7", "the name is not patient_age_gender"),
        ("11_old_0_p1_7", "the name is not patient_age_gender"),
    ],
)
def test_a_bad_name_is_told(root, name, fault):
    add(root, "train", name, [])
    with pytest.raises(UserError, match=f"{name}.json: .*{fault}"):
        SPRSound(root).load("record")


def test_a_recording_in_two_parts_is_told(root):
    add(root, "intra", TRAIN, [])
    with pytest.raises(UserError, match="in subset train too"):
        SPRSound(root).load("record")


def test_every_fault_is_told_at_once(root):
    note(root).write_text("{")
    rewrite(note(root, "inter", INTER), event_annotation=[event(0, 9, "x"), event(9, 0)])
    with pytest.raises(UserError, match="^3 problems in the recordings:\n  .*\n  .*\n  "):
        SPRSound(root).load("event")


def test_sound_without_annotation_and_duplicates(root):
    """As in ICBHI's reader: faults."""
    note(root).unlink()
    with pytest.raises(UserError, match=f"no {TRAIN}.json; restore it"):
        SPRSound(root).audio_files()
    add(root, "train", TRAIN, [])
    (root / sprsound.SUBSETS["train"][2] / f"{TRAIN}.flac").write_bytes(b"")
    with pytest.raises(UserError, match=f"{TRAIN}.flac is there too|{TRAIN}.wav: .* is there too"):
        SPRSound(root).audio_files()


def test_annotation_without_sound_is_kept_and_counted(root):
    """As in ICBHI's reader: in the tables, but in no store."""
    SPRSound(root).audio_files()[TRAIN].unlink()
    assert np.isnan(SPRSound(root).load("record").end[0]) and len(SPRSound(root).load("event")) == 3
    assert not any(TRAIN in name for name in SPRSound(root).input_files())
    odd = SPRSound(root).remarks()
    assert odd.values.tolist() == [[TRAIN, "train", "no audio: in no feature cache", 1]]


def test_unreadable_sound_is_told(root):
    SPRSound(root).audio_files()[TRAIN].write_bytes(b"hum")
    with pytest.raises(UserError, match=f"{TRAIN}.wav: not a readable sound file"):
        SPRSound(root).load("event")
    assert len(SPRSound(root).validate()) == 1


@pytest.mark.parametrize(
    ("found", "label", "what", "count"),
    [
        ([event(0, 900), event(500, 600), event(800, 950)], "Normal", "overlap", 2),
        ([event(500, 600), event(0, 200)], "Normal", "out of order", 1),
        ([], "Normal", "no events, yet not Poor Quality", 1),
        ([event(0, 9, "Rhonchi")], "DAS", "its label is not that of its events", 1),
    ],
)
def test_oddities_are_kept_and_counted(root, found, label, what, count):
    rewrite(note(root), event_annotation=found, record_annotation=label)
    odd = SPRSound(root).remarks()
    assert odd["count"].tolist() == [count] and what in odd.what[0]
    assert (SPRSound(root).load("event").recording == TRAIN).sum() == len(found)
    assert SPRSound(root).load("record")["2-2"][0] == label


def test_inputs_know_their_part(root):
    names = sorted(SPRSound(root).input_files())
    assert names == [f"inter/{INTER}.flac", f"inter/{INTER}.json", f"intra/{INTRA}.json",
                     f"intra/{INTRA}.wav", f"train/{TRAIN}.json", f"train/{TRAIN}.wav"]  # fmt: skip


def test_the_official_header_with_a_wrong_block_align(tmp_path):
    """Official WAV files: 16 bit, mono, yet a block align of 4 instead of 2."""
    samples = np.random.default_rng(0).integers(-9000, 9000, 4000).astype("<i2")
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + 8000, b"WAVE", b"fmt ", 16, 1, 1,
                       8000, 16000, 4, 16, b"data", 8000)  # fmt: skip
    (tmp_path / "a.wav").write_bytes(head + samples.tobytes())
    wave, rate = audio.read(tmp_path / "a.wav")
    assert rate == 8000
    np.testing.assert_allclose(wave, samples / 2**15, atol=1e-7)
    assert audio.length_seconds(tmp_path / "a.wav") == 0.5


def test_windows_are_events_and_poor_records(root):
    table, events = SPRSound(root).load("window"), SPRSound(root).load("event")
    records = SPRSound(root).load("record")
    poor = records[(records["2-2"] == sprsound.POOR) & ~records.recording.isin(events.recording)]
    assert len(table) == len(events) + len(poor) > len(events)
    assert not table.duplicated(["recording", "cycle"]).any()
    both = events.merge(table, on=["recording", "cycle"], suffixes=("", "_w"))
    assert (
        both["1-2-windows"].tolist() == both["1-2"].tolist()
        and both["1-1-windows"].tolist() == both["1-1"].tolist()
    )
    length = both.recording.map(records.set_index("recording").end)
    assert (both.start_w <= both.start).all() and (both.end_w >= both.end).all()
    assert (both.start_w >= 0).all() and not (both.end_w > length).any()
    rest = table[table.recording.isin(poor.recording)]
    assert set(rest["1-1-windows"]) == set(rest["1-2-windows"]) == {sprsound.POOR} and set(
        rest.start
    ) == {0}


@pytest.mark.parametrize(
    ("times", "wanted"),
    [
        ((4.0, 5.0, 9.0), (3.0, 6.0)),  # in the middle
        ((0.2, 1.0, 9.0), (0.0, 3.0)),  # at the start
        ((8.0, 8.5, 9.0), (6.0, 9.0)),  # at the end
        ((0.5, 1.0, 2.0), (0.0, 2.0)),  # in a short recording
        ((1.0, 4.5, 9.0), (1.0, 4.5)),  # longer than a window
        ((4.0, 5.0, float("nan")), (3.0, 6.0)),  # no audio here
    ],
)
def test_short_events_are_extended_by_the_sound_around_them(times, wanted):
    found = sprsound._extended(*times)
    assert (found["start"], found["end"]) == pytest.approx(wanted)


@pytest.mark.real
def test_windows_of_the_recordings(sprsound_root):
    counts = SPRSound(sprsound_root).load("window").groupby("subset")["1-2-windows"].value_counts()
    assert counts["train"][sprsound.POOR] == 177 and counts["train"].sum() == 6656 + 177
