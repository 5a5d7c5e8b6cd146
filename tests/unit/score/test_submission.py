"""Files of predictions: what is read, and one clear sentence for whatever is wrong."""

import numpy as np
import pandas as pd
import pytest
from submissions import clips_of, submission

from lib.errors import UserError
from lib.evaluation.calibration import softmax
from lib.score.submission import read_submission

CLASSES = ["normal", "crackle", "wheeze", "both"]
LOGITS = [f"logit_{name}" for name in CLASSES]
FIRST = "101_1b1_Al_sc_Meditron"


@pytest.fixture(scope="module")
def frame():
    return submission()


def write(folder, table, **options):
    path = folder / "mine.csv"
    if isinstance(table, pd.DataFrame):
        table.to_csv(path, index=False, **options)
    else:
        path.write_bytes(table)
    return path


def read(folder, table, dataset="icbhi", task=""):
    return read_submission(write(folder, table), dataset, task)


def problem(folder, table, dataset="icbhi", task="") -> str:
    with pytest.raises(UserError) as error:
        read(folder, table, dataset, task)
    text = str(error.value)
    assert text.startswith(str(folder / "mine.csv: ")) and "\n" not in text
    return text


def test_shuffled_rows_give_the_same_predictions(frame, tmp_path):
    one, other = read(tmp_path, frame), read(tmp_path, frame.sample(frac=1, random_state=1))
    assert len(one.label) == 2756 and one.given == "logits"
    np.testing.assert_array_equal(one.values, frame[LOGITS].to_numpy())
    np.testing.assert_array_equal(one.predicted, one.values.argmax(axis=1))
    for name in ("values", "predicted", "label"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    pd.testing.assert_frame_equal(one.clips, other.clips)


def test_times_name_the_same_cycles_as_numbers(frame, tmp_path):
    clips = clips_of("icbhi", "icbhi4")
    times = frame.drop(columns="cycle").assign(start=clips.start + 0.004, end=clips.end - 0.004)
    np.testing.assert_array_equal(read(tmp_path, times).values, read(tmp_path, frame).values)
    both = frame.assign(start=clips.start, end=clips.end)
    assert read(tmp_path, both).notes == ()
    text = problem(tmp_path, both.assign(start=both.start.where(both.index != 5, 99)))
    assert "line 7: start 99.0 is not that of cycle 5, 7.521; correct one of them" in text


@pytest.mark.parametrize("change", ["wav", "upper", "folder"])
def test_names_of_recordings_vary(frame, tmp_path, change):
    names = {
        "wav": frame.recording + ".WAV",
        "upper": frame.recording.str.upper(),
        "folder": "data\\audio/" + frame.recording + ".flac",
    }[change]
    submitted = read(tmp_path, frame.assign(recording=names))
    assert submitted.clips.recording.iloc[0] == FIRST


def test_probabilities_and_classes_are_read(frame, tmp_path):
    p = pd.DataFrame(softmax(frame[LOGITS].to_numpy()), columns=[f"P_{c.title()}" for c in CLASSES])
    given = pd.concat([frame[["recording", "cycle"]], p.round(4)], axis=1)
    assert read(tmp_path, given).given == "probabilities"
    unnamed = given.rename(columns=lambda name: name.removeprefix("P_"))
    assert read(tmp_path, unnamed).given == "probabilities"
    coarse = with_value(probabilities(frame).round(2), 1, normal=0.33, crackle=0.23, wheeze=0.23,
                        both=0.23)  # of 0.325, 0.225, 0.225, 0.225  # fmt: skip
    assert read(tmp_path, coarse).given == "probabilities"
    single = with_value(coarse, 0, normal=1.0000001, crackle=0, wheeze=0, both=0)
    assert read(tmp_path, single).given == "probabilities"
    bare = frame.rename(columns=lambda name: name.removeprefix("logit_"))
    assert read(tmp_path, bare).given == "logits"
    classes = frame[["recording", "cycle"]].assign(**{"Class": "Crackle"})
    submitted = read(tmp_path, classes)
    assert submitted.given == "classes" and submitted.values is None
    assert set(submitted.predicted) == {1}
    both = read(tmp_path, frame.assign(**{"class": "both"}))  # a threshold, say: class decides
    assert set(both.predicted) == {3} and both.given == "logits"
    differ = (frame[LOGITS].to_numpy().argmax(axis=1) != 3).sum()
    told = f"it differs from the highest probability in {differ:,} of 2,756 clips"
    assert both.notes == (f"column class decides; {told}",)
    same = frame.assign(**{"class": np.array(CLASSES)[frame[LOGITS].to_numpy().argmax(axis=1)]})
    assert read(tmp_path, same).notes == ()


@pytest.mark.parametrize(
    ("subsets", "name"),
    [(("inter",), "inter"), (("inter", "intra"), "inter and intra"),
     (("inter", "intra", "test2023"), "inter and intra and test2023")],
)  # fmt: skip
@pytest.mark.parametrize("task", ["1-1", "1-2", "2-1", "2-2", "icbhi4"])
def test_sprsound(tmp_path, task, subsets, name):
    submitted = read(tmp_path, submission("sprsound", task, subsets), "sprsound", task)
    assert submitted.test_set == name and set(submitted.subset) == set(subsets)
    assert submitted.label.max() == len(submitted.task.classes) - 1


def test_single_channel_recordings_are_a_test_set(frame, tmp_path):
    single = frame[frame.recording.str.contains("_sc_")]
    assert len(read(tmp_path, single).label) == 920
    text = problem(tmp_path, single.iloc[1:])
    assert "1 of 920 clips are missing (single-channel recordings of the official" in text


def test_columns_that_mean_nothing_are_named(frame, tmp_path):
    submitted = read(tmp_path, frame.assign(patient="1", fold="2"))
    assert submitted.notes == ("columns not read: patient, fold",)
    submitted = read(tmp_path, frame.to_csv().encode())  # with pandas' index
    assert submitted.notes == ("columns not read: (no name)",)


def test_missing_rows_are_counted_and_named(frame, tmp_path):
    text = problem(tmp_path, frame.drop(index=[0, 3, 7, 100]))
    assert (
        f"4 of 2756 clips are missing (official test set): {FIRST}:0, {FIRST}:3, {FIRST}:7, "
        in (text)
    )
    text = problem(tmp_path, submission("sprsound", "1-1").iloc[:-1], "sprsound", "1-1")
    assert "1 of 2433 clips are missing (inter and intra): " in text


BAD_BYTES = {
    "empty": (b" \n", "is empty; write a header and a row for each clip"),
    "header only": (b"recording,cycle,class\n", "has a header but no rows"),
    "utf-16": ("recording,cycle,class\n".encode("utf-16"), "is not UTF-8 but UTF-16 or binary"),
    "latin-1": (b"recording,cycle,class\n\xe9,0,normal\n", "is not UTF-8"),
    "semicolons": (b"recording;cycle;class\n", "is separated by semicolons; save it with commas"),
    "tabs": (b"recording\tcycle\tclass\n", "is separated by tabs"),
    "no header": (f"{FIRST},0,normal\n".encode(), "has no header; begin with a line such as"),
    "no recording": (b"file,cycle,class\na,0,normal\n", "has no column 'recording' (file, cycle"),
    "no place": (b"recording,class\na,normal\n", "does not say which cycle; add 'cycle', or"),
    "no answer": (f"recording,cycle\n{FIRST},0\n".encode(), "has no column for normal, crackle"),
    "one class missing": (b"recording,cycle,normal,crackle,wheeze\n", "has no column for both"),
    "ragged": (f"recording,cycle,class\n{FIRST},0\n".encode(), "line 2: has 2 fields, but the"),
    "too long": (b'recording,cycle,class\n"' + b"a" * 140_000 + b'",0,x\n', "is not CSV (field"),
}


@pytest.mark.parametrize("name", BAD_BYTES)
def test_a_malformed_file_is_told(tmp_path, name):
    content, told = BAD_BYTES[name]
    assert told in problem(tmp_path, content)


def with_value(frame, row, **values):
    changed = frame.astype(object).copy()
    for column, value in values.items():
        changed.loc[row, column] = value
    return changed


def probabilities(frame, total=1.0):
    p = total * softmax(frame[LOGITS].to_numpy())
    return pd.concat([frame[["recording", "cycle"]], pd.DataFrame(p, columns=CLASSES)], axis=1)


BAD_TABLES = {
    "unknown recording": (
        lambda f: with_value(f, 4, recording="101_1b1_Al_sc_Meditrom"),
        f"line 6: unknown recording '101_1b1_Al_sc_Meditrom'; did you mean {FIRST}?",
    ),
    "unknown patient": (
        lambda f: with_value(f, 4, recording="1011_1b1_Al_sc_Meditron"),
        "line 6: unknown recording '1011_1b1_Al_sc_Meditron'; names are those of the database",
    ),
    "another dataset": (
        lambda f: with_value(f, 0, recording="40069321_15.3_0_p1_981"),
        "it is one of sprsound: add --dataset sprsound",
    ),
    "nonsense": (
        lambda f: f.assign(recording="x"),
        "unknown recording 'x' (and 2755 more lines); names are those of the database, such as",
    ),
    "cycle out of range": (
        lambda f: with_value(f, 3, cycle=99),
        f"line 5: no cycle 99: {FIRST} has 12, numbered from 0 in the order",
    ),
    "half a cycle": (lambda f: with_value(f, 3, cycle=0.5), "line 5: no cycle 0.5"),
    "NaN": (
        lambda f: with_value(f, 9, logit_wheeze="nan"),
        "line 11: wheeze is 'nan', not a finite number",
    ),
    "infinite": (lambda f: with_value(f, 9, logit_wheeze="inf"), "wheeze is 'inf', not a finite"),
    "empty cell": (lambda f: with_value(f, 9, cycle=""), "line 11: cycle is '', not a finite"),
    "sums": (
        lambda f: probabilities(f, 0.5),
        "line 2: probabilities sum to 0.500, not to 1 within 0.02 (and 2755 more lines); normalise",
    ),
    "sums to 2": (
        lambda f: probabilities(f, 2),
        "look like probabilities that sum to 2; divide them by it, or name logits logit_<class>",
    ),
    "rounded percent": (
        lambda f: probabilities(f, 100).round({name: 0 for name in CLASSES}),
        "look like probabilities that sum to 100; divide them by it",
    ),
    "negative": (
        lambda f: probabilities(f).rename(columns=lambda c: f"p_{c}" if c in CLASSES else c)
        .assign(p_both=-0.1),
        "line 2: both is -0.1, no probability from 0 to 1 (and 2755 more lines); name logits",
    ),
    "unknown class": (
        lambda f: f.assign(**{"class": "normal"}).pipe(with_value, 2, **{"class": "weeze"}),
        "line 4: unknown class 'weeze' (known: normal, crackle, wheeze, both); correct it",
    ),
    "duplicated": (
        lambda f: pd.concat([f, f.iloc[[4]]]),
        f"line 2758: {FIRST}:4 is in line 6 too; keep one line for each clip",
    ),
    "ambiguous": (
        lambda f: f.assign(normal=0.1),
        "columns 'logit_normal' and 'normal' both mean normal; keep one",
    ),
    "two ways": (
        lambda f: f.rename(columns={"logit_both": "p_both"}),
        "names columns of classes in two ways; name all alike",
    ),
    "no such times": (
        lambda f: f.drop(columns="cycle").assign(start=1000.0, end=1001.0),
        f"line 2: 1000 to 1001 s match no annotated cycle of {FIRST}; give its times in seconds",
    ),
    "training split": (
        lambda f: pd.concat([f, f.iloc[[0]].assign(recording="103_2b2_Ar_mc_LittC2SE")]),
        "line 2758: is a clip of the training split; give the test split alone",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_wrong_table_is_told(frame, tmp_path, name):
    change, told = BAD_TABLES[name]
    assert told in problem(tmp_path, change(frame))


def test_a_wrong_task_is_told(tmp_path):
    events = submission("sprsound", "1-1")
    assert "its columns are those of --task 1-1" in problem(tmp_path, events, "sprsound", "1-2")
    text = problem(tmp_path, events, "sprsound", "2-1")
    assert "task 2-1 is about whole recordings, but there is a column 'cycle'" in text
    named = events[["recording", "cycle"]].assign(**{"class": "Rhonchi"})
    text = problem(tmp_path, named, "sprsound", "1-1")
    assert "unknown class 'Rhonchi' (known: Normal, Adventitious)" in text
    assert text.endswith("; it is one of --task 1-2")
    records = submission("sprsound", "2-1")
    assert problem(tmp_path, records).endswith("it is one of sprsound: add --dataset sprsound")
    assert problem(tmp_path, records, "sprsound", "2-2").endswith("are those of --task 2-1")
    named = records[["recording"]].assign(**{"class": "Adventitious"})
    assert problem(tmp_path, named, "sprsound", "2-2").endswith("it is one of --task 2-1")
    for dataset, task, told in (
        ("sprsound", "", "sprsound has several tasks; name one with --task 1-1"),
        ("icbhi", "1-1", "unknown task of icbhi '1-1': known: icbhi4"),
        ("icbi", "", "unknown dataset 'icbi': did you mean 'icbhi'"),
    ):
        with pytest.raises(UserError, match=told):
            read(tmp_path, events, dataset, task)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UserError, match="none.csv: not found"):
        read_submission(tmp_path / "none.csv", "icbhi")
    with pytest.raises(UserError, match="cannot be read .Is a directory"):
        read_submission(tmp_path, "icbhi")


def test_line_ends_and_a_byte_order_mark_are_read(frame, tmp_path):
    text = frame.to_csv(index=False)
    for end in ("\r\n", "\r"):
        content = b"\xef\xbb\xbf" + text.replace("\n", end).encode()
        assert len(read(tmp_path, content).label) == 2756
