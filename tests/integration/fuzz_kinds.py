"""The kinds of files that are fuzzed, one `Kind` each: a new one is a function and a line of KINDS.

A reading is what the project's own function returns for a folder of files, in which one is damaged.
It is right if it equals that of the undamaged folder, or if it is legitimate: what a reader that
shares no code with the project gives for the damaged file.
"""

import csv
import json
import os
import re
import shutil
import wave
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import torch

from lib import files, worker
from lib.config import SELECTIONS, Experiment, describe_model, describe_settings, override
from lib.data import synthetic
from lib.data.archive import unpack
from lib.data.audio import read, recording_wave
from lib.data.dataset import raise_problems
from lib.data.icbhi import CLASSES, DEMOGRAPHICS, ICBHI, SPLIT_FILE
from lib.data.sprsound import SUBSETS, SPRSound
from lib.errors import UserError
from lib.features.cache import cache_for, open_cache
from lib.features.frontends import Fbank
from lib.models import pretrained
from lib.models.build import build_model
from lib.papers import TABLES
from lib.paths import PROJECT
from lib.runs import folder as runs_folder
from lib.runs import results
from lib.score.submission import read_submission
from lib.tables import build_table, verify
from lib.tables.format import csv_text
from lib.training import checkpoint
from tests.integration import fuzz_mutators as mutators
from tests.integration.fuzz_mutators import Mutator
from tests.small_runs import BASE
from tests.submissions import submission

FRONTEND = Fbank(clip_seconds=1.0, mels=32)
FRAMES = 40
SHARED = PROJECT.parent / "shared"  # real recordings and weights, if they are here
ROOTS = {f"{name.upper()}_ROOT": name for name in ("runs", "features", "weights", "reports")}
LARGEST = 8.0  # of a sample: float files may exceed 1, no microphone gives more
NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"


def difference(folder: Path, path: Path, reading: object, original: object) -> str:
    """Return the first place where a reading is another one."""
    place = ""
    while isinstance(reading, Mapping) and isinstance(original, Mapping):
        keys = [k for k in original if content(reading.get(k)) != content(original[k])]
        if not keys:
            return f"{place}: more keys"
        place, reading, original = f"{place}/{keys[0]}", reading.get(keys[0]), original[keys[0]]
    if isinstance(reading, pd.DataFrame) and isinstance(original, pd.DataFrame):
        lines = zip(reading.to_csv().splitlines(), original.to_csv().splitlines(), strict=False)
        reading, original = next(((a, b) for a, b in lines if a != b), ("other rows", ""))
    return f"{place} is {str(reading)[:80]!r}, was {str(original)[:80]!r}"


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    make: writes undamaged files into an empty folder. damaged: patterns of those that are damaged.
    read: folder -> reading. problem: (folder, damaged file, reading, undamaged reading) -> what is
    wrong with an accepted reading, "" if it is right.
    """

    make: Callable[[Path], object]
    damaged: Sequence[str]
    read: Callable[[Path], object]
    mutators: Sequence[Mutator] = mutators.BYTES
    problem: Callable[[Path, Path, object, object], str] = difference
    available: Callable[[], bool] = lambda: True


def use_roots(folder: Path) -> None:
    """Let this process read runs, features, weights and reports below `folder`."""
    os.environ.update({name: str(folder / below) for name, below in ROOTS.items()})


def content(value: object) -> object:
    """Return a reading as plain values that can be compared: two are equal if all bytes are."""
    if isinstance(value, Mapping):
        return {key: content(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [content(each) for each in value]
    if isinstance(value, pd.DataFrame):
        return value.to_csv()
    if isinstance(value, torch.Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    return repr(value)


# Sounds


def make_sounds(folder: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    for name, rate, shape, subtype in (
        ("mono", 4000, (3000,), "PCM_16"),
        ("stereo", 44100, (6000, 2), "PCM_24"),
        ("float", 10000, (3000,), "FLOAT"),
    ):
        if suffix == "wav" or subtype != "FLOAT":
            samples = rng.uniform(-0.5, 0.5, shape)
            soundfile.write(folder / f"{name}.{suffix}", samples, rate, subtype=subtype)


def copy_smallest(folder: Path, source: str, pattern: str, count: int = 3) -> None:
    paths = sorted((SHARED / source).rglob(pattern), key=lambda path: path.stat().st_size)
    for path in paths[:count]:
        shutil.copyfile(path, folder / path.name)


def read_sounds(folder: Path) -> dict:
    return {
        path.name: {"sound": read(path), "features at": recording_wave(path, FRONTEND)}
        for path in sorted(folder.iterdir())
    }


def sound_problem(folder: Path, path: Path, reading: dict, original: dict) -> str:
    """Another sound is legitimate if it is plausible and another reader agrees."""
    samples, rate = reading[path.name]["sound"]
    if samples.ndim != 1 or samples.dtype != np.float32 or not len(samples):
        return f"{samples.dtype} of shape {samples.shape}"
    if not np.isfinite(samples).all() or np.abs(samples).max() > LARGEST:
        return f"samples up to {np.abs(samples).max()}"
    if not np.isfinite(reading[path.name]["features at"]).all():
        return "resampled to samples that are not finite"
    if not 500 <= rate <= 400_000:
        return f"a rate of {rate} Hz"
    return _wav_problem(path, samples, rate) if path.suffix == ".wav" else ""


def _wav_problem(path: Path, samples: np.ndarray, rate: int) -> str:
    """Compare with the standard library's reader, if it can read this file."""
    try:
        with wave.open(str(path)) as sound:
            frames = sound.getnframes()
            raw, width, channels = (
                sound.readframes(frames),
                sound.getsampwidth(),
                sound.getnchannels(),
            )
            other_rate = sound.getframerate()
    except (wave.Error, EOFError, OSError, ZeroDivisionError, RuntimeError):
        return ""
    if len(raw) != frames * width * channels or width not in (2, 3):
        return ""
    triples = np.frombuffer(raw, np.uint8).reshape(-1, channels, width)
    padded = np.zeros((len(triples), channels, 4), np.uint8)
    padded[:, :, 4 - width :] = triples
    expected = (padded.view("<i4")[:, :, 0] / 2**31).mean(1)
    if rate != other_rate or len(expected) != len(samples):
        return f"{len(samples)} samples at {rate} Hz, not {len(expected)} at {other_rate} Hz"
    return "" if np.allclose(samples, expected, atol=1e-6) else "other samples"


# ICBHI


def make_icbhi(folder: Path, patients: int = 2) -> None:
    synthetic.write_icbhi(folder, patients=patients, cycles=2)


def copy_icbhi(folder: Path) -> None:
    """The smallest real recordings, with their annotations and lines of the split list."""
    target = folder / ICBHI.folder
    target.mkdir()
    copy_smallest(target, "data/icbhi", "*.flac")
    names = [path.stem for path in target.iterdir()]
    for name in names:
        shutil.copyfile(
            SHARED / "data/icbhi" / ICBHI.folder / f"{name}.txt", target / f"{name}.txt"
        )
    lines = (SHARED / "data/icbhi" / SPLIT_FILE).read_text().splitlines(keepends=True)
    (folder / SPLIT_FILE).write_text("".join(line for line in lines if line.split()[0] in names))


def read_icbhi(folder: Path) -> dict:
    dataset = ICBHI.open(folder)
    raise_problems(dataset.validate())
    return {"cycles": dataset.clips()}


def text_of(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 if it says so; ValueError if in neither."""
    raw = path.read_bytes()
    marked = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    return raw.decode("utf-16" if marked else "utf-8-sig")


def _with_tabs(line: str) -> str:
    """A line with its fields separated by tabs: a comma separates them, else it is a point."""
    if len(re.split(r"[;\s]+", line)) > 1:
        line = line.replace(",", ".")
    return re.sub(r"[,;\s]+", "\t", line)


def lines_of(path: Path, pattern: str) -> list[re.Match]:
    """The lines of a text file that are not blank; ValueError if one has another form."""
    matches = []
    for line in text_of(path).splitlines():
        if line.strip():
            matches.append(re.fullmatch(pattern, _with_tabs(line.strip())))
    if None in matches or not matches:
        raise ValueError("a line has another form")
    return matches


def others(table: pd.DataFrame, path: Path) -> str:
    """The rows of all other recordings than that of an annotation file."""
    return table[table.recording != path.stem].to_csv(index=False)


def annotation_problem(folder: Path, path: Path, reading: dict, original: dict) -> str:
    try:
        lines = lines_of(path, rf"({NUMBER})\s+({NUMBER})\s+-?([01])(?:\.0*)?\s+-?([01])(?:\.0*)?")
    except ValueError as error:
        return f"accepted, although {error}"
    cycles, before = reading["cycles"], original["cycles"]
    expected = [(float(s), float(e), CLASSES[int(c) + 2 * int(w)])
                for s, e, c, w in (line.groups() for line in lines)]  # fmt: skip
    own = cycles[cycles.recording == path.stem]
    got = list(own[["start", "end", "label"]].itertuples(index=False, name=None))
    if others(cycles, path) != others(before, path):
        return "cycles of other recordings differ"
    return "" if got == expected else f"read {got[:3]}, the file says {expected[:3]}"


def split_problem(folder: Path, path: Path, reading: dict, original: dict) -> str:
    try:
        lines = lines_of(path, r"(\S+)\s+(train|test)")
    except ValueError as error:
        return f"accepted, although {error}"
    expected, cycles = dict(line.groups() for line in lines), reading["cycles"]
    got = dict(zip(cycles.recording, cycles.split, strict=True))
    if not cycles.drop(columns="split").equals(original["cycles"].drop(columns="split")):
        return "other cycles"
    return "" if got == expected and len(lines) == len(got) else "another split than in the file"


def read_ages(folder: Path) -> dict:
    return {"ages": ICBHI.open(folder).ages().to_dict()}


def ages_problem(folder: Path, path: Path, reading: dict, original: dict) -> str:
    try:
        lines = lines_of(path, rf"(\S+)\s+({NUMBER}|NA)(?:\s.*)?")
    except ValueError as error:
        return f"accepted, although {error}"
    expected = {line[1]: float(line[2].replace("NA", "nan")) for line in lines}
    if not all(0 <= age <= 120 for age in expected.values() if age == age):
        return "accepted, although an age is none"
    return "" if content(reading["ages"]) == content(expected) else "other ages"


# SPRSound


def make_sprsound(folder: Path) -> None:
    synthetic.write_sprsound(folder, patients=2)


def copy_sprsound(folder: Path) -> None:
    """The smallest real recordings of the intra test, with their annotations."""
    _, notes, sounds = SUBSETS["intra"]
    for below in (notes, sounds):
        (folder / below).mkdir(parents=True)
    source = SHARED / "data/sprsound"
    names = [path.stem for path in (source / notes).glob("*.json")]
    audio = [path for path in (source / sounds).glob("*.flac") if path.stem in names]
    for path in sorted(audio, key=lambda path: path.stat().st_size)[:3]:
        shutil.copyfile(path, folder / sounds / path.name)
        shutil.copyfile(source / notes / f"{path.stem}.json", folder / notes / f"{path.stem}.json")


def read_sprsound(folder: Path) -> dict:
    dataset = SPRSound.open(folder)
    raise_problems(dataset.validate())
    return {unit: dataset.load(unit) for unit in ("event", "record", "window")}


def _strict_object(pairs: list[tuple]) -> dict:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)


def _milliseconds(value: object) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number and not (isinstance(value, str) and re.fullmatch(NUMBER, value.strip())):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _letters(label: object) -> str:
    if not isinstance(label, str):
        raise ValueError(f"the label {label!r} is no text")
    return re.sub(r"\band\b|[^a-z]", "", label.lower())


def events_problem(folder: Path, path: Path, reading: dict, original: dict) -> str:
    try:
        text = json.loads(text_of(path), object_pairs_hook=_strict_object)
        expected = [
            (_milliseconds(each["start"]) / 1000, _letters(each["type"]))
            for each in text["event_annotation"]
        ]
        label = _letters(text.get("record_annotation", text.get("recording_annotation")))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        return f"accepted, although {error!r}"
    events, records = (reading[unit] for unit in ("event", "record"))
    own = events[events.recording == path.stem]
    got = [(start, _letters(kind)) for start, kind in zip(own.start, own["1-2"], strict=True)]
    if got != expected:
        return f"read {got[:3]}, the file says {expected[:3]}"
    (got_label,) = records[records.recording == path.stem]["2-2"]
    if others(events, path) != others(original["event"], path):
        return "events of other recordings differ"
    return "" if _letters(got_label) == label else f"read {got_label}, the file says {label}"


# Feature caches


def make_cache(folder: Path) -> None:
    make_icbhi(folder / "recordings")
    use_roots(folder)
    path = cache_for(ICBHI.open(folder / "recordings"), FRONTEND, progress=False).path
    path.rename(folder / "cache")
    for below in ("recordings", "features"):
        shutil.rmtree(folder / below)


def read_cache(folder: Path) -> dict:
    cache = open_cache(folder / "cache")
    clips = [cache.clip(row) for row in range(len(cache.cycles))]
    meta = {key: cache.meta[key] for key in ("mean", "std")}
    return {"cycles": cache.cycles, "clips": clips, **meta}


def make_memory(folder: Path) -> None:
    use_roots(folder)
    for name in "ab":
        (folder / name).write_text(name)
    read_memory(folder)


def read_memory(folder: Path) -> dict:
    return {"checksums": files.checksums({name: folder / name for name in "ab"})}


# Runs

RUN = override(BASE, save_weights=True, validation_split=0.4)
FOLLOWER = override(RUN, name="small/follower", init_from=RUN.name, lr=2e-3)


def make_run(folder: Path) -> None:
    """A run that is trained, and the folder of one that starts from its weights."""
    make_icbhi(folder / "recordings", patients=4)
    use_roots(folder)
    cache = cache_for(ICBHI.open(folder / "recordings"), FRONTEND, progress=False)
    spec = runs_folder.RunSpec(RUN, 1, cache.meta["fingerprint"], "")
    run = runs_folder.start_run(spec, {"name": "small", "note": ""}, "none")
    with redirect_stdout(StringIO()):
        worker.main([str(run), str(cache.path), str(FRAMES)])
    initial = runs_folder.weights_fingerprint(spec)
    follower = runs_folder.RunSpec(FOLLOWER, 1, spec.data, initial)
    runs_folder.start_run(follower, {"name": "small", "note": ""}, f"the run {RUN.name}")
    for path in (folder / "recordings", folder / "features", run / "events"):
        shutil.rmtree(path)


def run_folder(folder: Path, experiment: Experiment = RUN) -> Path:
    (path,) = (folder / "runs").glob(f"{runs_folder.slug(experiment.name)}-s*")
    return path


def read_run(folder: Path) -> dict | None:
    """The record as tables and pages read it; None if it is not found, which is then said."""
    run = run_folder(folder)
    started = json.loads((folder / "spec.json").read_text())
    spec = runs_folder.RunSpec(RUN, 1, started["data"], "")
    if runs_folder.find_run(spec) != run:
        return None
    record = runs_folder.read_record(run)
    lines = {name: results.from_record(record, name) for name in SELECTIONS}
    about = {"path": str(run), "seed": 1, "experiment": RUN.name, "model": describe_model(RUN)}
    (history,) = results.histories(pd.DataFrame([about], columns=results.COLUMNS)).values()
    return {"lines": lines, "arrays": runs_folder.read_predictions(run), "history": history}


def make_record(folder: Path) -> None:
    make_run(folder)
    spec = runs_folder.read_spec(run_folder(folder))
    (folder / "spec.json").write_text(json.dumps({"data": spec.data}))


def read_initial_weights(folder: Path) -> dict:
    path = runs_folder.initial_weights(run_folder(folder, FOLLOWER))
    torch.manual_seed(0)
    model = build_model(FOLLOWER, FRAMES, FRONTEND.mels)
    report = pretrained.load_encoder(model, path)
    return {"state": model.state_dict(), "report": report}


def make_failed(folder: Path) -> None:
    use_roots(folder)
    spec = runs_folder.RunSpec(RUN, 1, "data", "")
    run = runs_folder.start_run(spec, {"name": "small", "note": ""}, "none")
    files.write_json(run / "failed.json", {"reason": "the loss is nan in epoch 1"})


def read_failed(folder: Path) -> str:
    return runs_folder.failure_reason(runs_folder.RunSpec(RUN, 1, "data", ""))


def failed_problem(folder: Path, path: Path, reading: object, original: str) -> str:
    """Any text is a reason; an empty one would start the run again."""
    return "" if isinstance(reading, str) and reading else f"the reason is {reading!r}"


def make_checkpoints(folder: Path) -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(20, 20)
    optimizer = torch.optim.AdamW(model.parameters())
    for epoch in (1, 2):
        model(torch.ones(2, 20)).sum().backward()
        optimizer.step()
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        history = [{"epoch": each, "loss": 0.5} for each in range(1, epoch + 1)]
        checkpoint.save(folder, epoch, {**state, "history": history, "selected": {}})


def read_checkpoint(folder: Path) -> dict | None:
    return checkpoint.load(folder, torch.device("cpu"))


def checkpoint_problem(folder: Path, path: Path, reading: dict | None, original: dict) -> str:
    """The newest one is damaged: the one before is right, if the damaged one is removed."""
    whole = BytesIO((folder / "epoch-0001.pt").read_bytes())
    fits = content(reading) == content(torch.load(whole, weights_only=True))
    return "" if fits and not path.exists() else "another state"


# Published weights


def link_weights(folder: Path) -> None:
    (folder / "weights").mkdir()
    for path in (SHARED / "weights").glob("mn04*.pt"):
        shutil.copyfile(path, folder / "weights" / path.name)


def read_pretrained(folder: Path) -> dict:
    experiment = override(RUN, model="mn04", init="audioset")
    torch.manual_seed(0)
    model = build_model(experiment, 100, 128)
    report = pretrained.load_pretrained(model, experiment, 100, 128)
    return {"state": model.state_dict(), "report": report}


# Published numbers

GROUP = "table3_4class"  # of results, and a table of them


def make_reports(folder: Path) -> None:
    """Published results and a table in which one run stands for a row's experiment."""
    make_run(folder)
    reports, run = folder / "reports", run_folder(folder)
    target = shutil.copytree(run, reports / "runs" / run.name)
    shutil.rmtree(folder / "runs")
    record = runs_folder.read_record(target)
    experiment = next(row.experiment for row in TABLES[GROUP].rows if row.experiment)
    line = {"experiment": experiment.name, "seed": 1, "run": run.name}
    line |= {"model": describe_model(RUN), "setting": describe_settings(RUN)}
    lines = [line | {"selection": n} | results.from_record(record, n) for n in SELECTIONS]
    table = pd.DataFrame(lines, columns=results.COLUMNS).drop(columns="path")
    files.write_text(reports / f"results/{GROUP}.csv", table.to_csv(index=False))
    text = csv_text(build_table(GROUP, verify.load_results().__getitem__))
    files.write_text(reports / f"tables/{GROUP}.csv", text)
    files.write_json(reports / "pages.json", {"06_table3": {"profile": "laptop"}})


def read_reports(folder: Path) -> dict:
    """The numbers as readers find them; a `UserError` with the differences that verify names."""
    if differences := verify.verify():
        raise UserError("\n".join(differences))
    reports = folder / "reports"
    runs = sorted((reports / "runs").iterdir())
    return {
        "results": pd.read_csv(reports / f"results/{GROUP}.csv", dtype=str),
        "table": pd.read_csv(reports / f"tables/{GROUP}.csv", dtype=str),
        "records": [runs_folder.read_record(run)["selections"] for run in runs],
    }


def reports_problem(folder: Path, path: Path, reading: dict, original: dict) -> str:
    """Lines of results may be missing or in another order: no number is wrong then."""
    tables = (each["results"].fillna("") for each in (reading, original))
    rows, whole = (list(map(tuple, table.to_numpy())) for table in tables)
    if set(rows) <= set(whole) and len(set(rows)) == len(rows):
        reading = reading | {"results": original["results"]}
    same = content(reading) == content(original)
    return "" if same else difference(folder, path, reading, original)


# Predictions

LOGITS = [f"logit_{name}" for name in CLASSES]


def make_predictions(folder: Path) -> None:
    submission().to_csv(folder / "mine.csv", index=False)


def read_predictions(folder: Path) -> dict:
    s = read_submission(folder / "mine.csv", "icbhi")
    cycles = s.clips.recording + ":" + s.clips.cycle.astype(str)
    return {"cycle": cycles.tolist(), "logits": s.values, "predicted": s.predicted}


def predictions_problem(folder: Path, path: Path, reading: dict, original: dict) -> str:
    """Other logits are legitimate if they are those in the file."""
    expected = {}
    for row in csv.DictReader(text_of(path).splitlines()):
        row = {(key or "").strip().lower(): (value or "").strip() for key, value in row.items()}
        if not any(row.values()):
            continue
        texts = [row.get(name, "") for name in ("cycle", *LOGITS)]
        if not all(re.fullmatch(NUMBER, text) for text in texts):
            return f"accepted, although {texts} are not all numbers"
        cycle, *logits = map(float, texts)
        expected[f"{row['recording'].lower()}:{cycle:g}"] = logits
    if reading["cycle"] != original["cycle"]:
        return "other clips"
    logits = np.array([expected.get(name.lower(), [np.nan] * 4) for name in reading["cycle"]])
    if not np.array_equal(logits, reading["logits"]):
        return "other logits than in the file"
    return "" if (logits.argmax(1) == reading["predicted"]).all() else "other classes"


# Archives


def make_archive(folder: Path) -> None:
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(folder / "data.zip", "w", zipfile.ZIP_DEFLATED) as box:
        for number in range(3):
            info = zipfile.ZipInfo(f"top/recordings/{number}.txt")  # of 1980, whenever this runs
            info.compress_type = zipfile.ZIP_DEFLATED if number else zipfile.ZIP_STORED
            box.writestr(info, bytes(rng.integers(97, 110, 200).tolist()))
        box.writestr(zipfile.ZipInfo("elsewhere/notes.txt"), "not unpacked")


def read_archive(folder: Path) -> dict:
    unpack(folder / "data.zip", "top", folder / "out")
    below = sorted(path for path in (folder / "out").rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in below}


def has(*below: str) -> Callable[[], bool]:
    """Whether a real file or folder is here."""
    return lambda: all((SHARED / each).exists() for each in below)


_icbhi = {"make": make_icbhi, "read": read_icbhi, "mutators": mutators.TEXT}
_sounds = {"read": read_sounds, "problem": sound_problem}
_run = {"make": make_record, "mutators": (*mutators.JSON, *mutators.BYTES)}
KINDS: dict[str, Kind] = {
    "wav": Kind(partial(make_sounds, suffix="wav"), ("*.wav",),
                mutators=(mutators.WAV, mutators.WAV, *mutators.BYTES), **_sounds),
    "flac": Kind(partial(make_sounds, suffix="flac"), ("*.flac",),
                 mutators=(mutators.FLAC, mutators.FLAC, *mutators.BYTES), **_sounds),
    "flac-real": Kind(partial(copy_smallest, source="data/icbhi", pattern="*.flac"), ("*.flac",),
                      mutators=(mutators.FLAC, *mutators.BYTES),
                      available=has("data/icbhi"), **_sounds),
    "annotation": Kind(damaged=("ICBHI_final_database/*.txt",), problem=annotation_problem,
                       **_icbhi),
    "annotation-real": Kind(copy_icbhi, ("ICBHI_final_database/*.txt",), read_icbhi,
                            mutators.TEXT, annotation_problem, available=has("data/icbhi")),
    "split": Kind(damaged=(SPLIT_FILE,), problem=split_problem, **_icbhi),
    "ages": Kind(damaged=(DEMOGRAPHICS,), problem=ages_problem, **_icbhi | {"read": read_ages}),
    "sprsound": Kind(make_sprsound, ("**/*.json",), read_sprsound, mutators.JSON, events_problem),
    "sprsound-real": Kind(copy_sprsound, ("**/*.json",), read_sprsound, mutators.JSON,
                          events_problem, available=has("data/sprsound")),
    "cache": Kind(make_cache, ("cache/*",), read_cache,
                  (*mutators.JSON, mutators.change_npy, *mutators.BYTES)),
    "checksums": Kind(make_memory, ("features/checksums.json",), read_memory, mutators.JSON),
    "record": Kind(damaged=("runs/small.ce-*/*.json", "runs/small.ce-*/*.csv",
                            "runs/small.ce-*/*.npz"), read=read_run, **_run),
    "weights": Kind(damaged=("runs/small.ce-*/weights.safetensors",
                             "runs/small.ce-*/checksums.json",
                             "runs/small.follower-*/experiment.json"),
                    read=read_initial_weights, **_run),
    "failed": Kind(make_failed, ("runs/*/failed.json",), read_failed, mutators.JSON,
                   failed_problem),
    "checkpoint": Kind(make_checkpoints, ("epoch-0002.pt",), read_checkpoint,
                       (mutators.change_zip, *mutators.BYTES), checkpoint_problem),
    "pretrained": Kind(link_weights, ("weights/*",), read_pretrained,
                       (mutators.change_zip, *mutators.BYTES), available=has("weights")),
    "published": Kind(make_reports, ("reports/results/*.csv", "reports/tables/*.csv",
                                     "reports/runs/*/result.json", "reports/runs/*/*.npz",
                                     "reports/runs/*/experiment.json"), read_reports,
                      (*mutators.JSON, *mutators.BYTES), reports_problem),
    "predictions": Kind(make_predictions, ("mine.csv",), read_predictions, mutators.TEXT,
                        predictions_problem),
    "zip": Kind(make_archive, ("data.zip",), read_archive,
                (mutators.change_zip, mutators.change_zip, *mutators.BYTES)),
}  # fmt: skip
