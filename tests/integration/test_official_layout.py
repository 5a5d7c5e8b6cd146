"""A dry run of `paper` on all of ICBHI: official names, cycles and rates, made-up sound.

`./run_all.sh test -n 0 -m long` runs it: 6 minutes, 4 GB in a temporary folder.
"""

import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile

from lib import paths
from lib.data import ICBHI, icbhi
from lib.data.annotations import load_annotations
from lib.data.synthetic import DEVICES
from lib.features.cache import cache_for
from lib.features.frontends import frontend_for
from lib.papers import patchmix
from lib.papers.profiles import PAPER, apply_rules
from lib.training.splits import split_cycles

pytestmark = pytest.mark.long
NOISE_SECONDS = 100  # no recording is longer
IN_THE_LIST = {ours: theirs for theirs, ours in icbhi.RENAMED.items()}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """All 920 recordings, as the challenge's archives unpack."""
    root = tmp_path_factory.mktemp("data für alle") / "icbhi"
    (root / ICBHI.folder).mkdir(parents=True)
    cycles = load_annotations("icbhi")
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, NOISE_SECONDS * 44100)
    for name, rows in cycles.groupby("recording"):
        _, rate, subtype, _ = DEVICES[name.split("_")[4]]
        samples = int((rows.end.max() + 0.05) * rate)
        soundfile.write(root / ICBHI.folder / f"{name}.wav", noise[:samples], rate, subtype=subtype)
        crackle, wheeze = (rows.label.isin([kind, "both"]) for kind in ("crackle", "wheeze"))
        lines = rows[["start", "end"]].assign(
            crackle=crackle.astype(int), wheeze=wheeze.astype(int)
        )
        text = lines.to_csv(sep="\t", header=False, index=False)
        (root / ICBHI.folder / f"{name}.txt").write_text(text)
    for note in ("filename_format", "filename_differences"):
        (root / ICBHI.folder / f"{note}.txt").write_text("a note\n")
    patients = cycles.groupby("patient")[["age", "sex"]].first()
    people = [f"{name} {age} {sex[:1].upper() or 'NA'} NA NA NA\n".replace("nan", "NA")
              for name, age, sex in patients.itertuples()]  # fmt: skip
    (root / icbhi.DEMOGRAPHICS).write_text("".join(people))
    sides = cycles.groupby("recording").split.first()
    sides.index = [IN_THE_LIST.get(name, name) for name in sides.index]
    (root / icbhi.SPLIT_FILE).write_text(sides.to_csv(sep="\t", header=False))
    yield root
    shutil.rmtree(root)


def test_reading_finds_all_cycles_and_no_fault(root):
    dataset = ICBHI.open(root)
    assert (dataset.kind, dataset.banner) == ("official", "")
    assert dataset.validate() == []
    expected, table = load_annotations("icbhi"), dataset.clips()
    same = ["recording", "cycle", "start", "end", "label", "split"]
    pd.testing.assert_frame_equal(table[same], expected[same], check_dtype=False)


def test_features_have_the_published_split(root):
    experiment = apply_rules(PAPER, patchmix.CE)
    cache = cache_for(ICBHI.open(root), frontend_for(experiment), progress=False)
    assert cache.features.shape == (6898, 798, 128)
    assert all(np.isfinite(cache.features[i : i + 500]).all() for i in range(0, 6898, 500))
    sets = split_cycles(cache.cycles, experiment, seed=1)
    assert {name: len(clips) for name, clips in sets.items()} == {
        "train": 4142, "validation": 0, "test": 2756
    }  # fmt: skip
    for side, counts in patchmix.CYCLES.items():
        assert cache.cycles.loc[sets[side], "label"].value_counts().to_dict() == counts
    shutil.rmtree(cache.path)


def test_pages_of_the_profile_paper(root, tmp_path, monkeypatch):
    """Nothing is trained without a GPU; every page says so, and counts what is there."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    out = tmp_path / "out"
    command = ["-P", "-m", "lib", "paper", "all", "--data", str(root.parent), "--out", str(out)]
    done = subprocess.run(
        [sys.executable, *command], cwd=paths.PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ICBHI: all recordings. From" in done.stderr
    notebooks = {path.stem for path in (paths.PROJECT / "notebooks").glob("*.ipynb")}
    assert {path.stem for path in out.glob("*.html")} == notebooks | {"index"}
    counts = pd.read_csv(out / "tables/counts.csv", index_col=["split", "what"])
    assert counts.paper.loc["train"].to_dict() == {
        "recordings": 539, "patients": 79, "cycles": 4142
    }  # fmt: skip
    assert (counts.nunique(axis=1) == 1).all()  # the paper's, annotated and with audio
    assert "226_1b1_Pl_sc_Meditron" in (out / "tables/quirks.csv").read_text()
    runs = pd.read_csv(out / "tables/overview.csv")
    assert (runs["not run"] == runs.runs).all() and runs.runs.sum() > 200
