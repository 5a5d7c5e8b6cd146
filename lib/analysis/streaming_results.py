"""What trained event models say of SPRSound's test records as a stream, kept for Table II."""

from pathlib import Path

import numpy as np
import pandas as pd

from lib import files, paths
from lib.analysis.streaming import RATE_HZ, STEP_SECONDS
from lib.data import Source, audio, sprsound
from lib.runs import folder as runs_folder
from lib.runs import plan

NAME = "sprsound2_records"
COLUMNS = ["run", "record", "part", "truth", "answer", "windows"]


def records(profile: str, results: pd.DataFrame) -> pd.DataFrame:
    """One row for each finished run of windows and test record, as `lib.analysis.streaming_model.evaluate` has it.

    Heard once for each run (about half a minute) and kept beside its weights; for a published run,
    which has none, the published answers are taken. Written to tables/, for `lib.tables.verify`.
    """
    source = plan.sprsound_source(plan.open_study(profile).profile)
    done = results[results.path.notna()].drop_duplicates("run")
    tables = [_heard(source, Path(path)) for path in done.path]
    found = pd.concat([pd.DataFrame(columns=COLUMNS), *tables], ignore_index=True)
    folder = plan.open_study(profile).folder / "tables"
    files.write_text(folder / f"{NAME}.csv", found.to_csv(index=False))
    return found


def published() -> pd.DataFrame:
    """The published answers; no rows where none were published."""
    path = paths.reports_root() / "tables" / f"{NAME}.csv"
    if not path.exists():
        return pd.DataFrame(columns=COLUMNS)
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def _heard(source: Source, run: Path) -> pd.DataFrame:
    if not (run / runs_folder.WEIGHTS).exists():
        known = published()
        return known[known.run == run.name]
    path = run / "records.csv"
    if not path.exists():
        from lib.analysis import (
            streaming_model,  # here: it loads torch, and what is kept needs none
        )

        files.write_text(path, streaming_model.evaluate(source.root, run).to_csv(index=False))
    found = pd.read_csv(path, dtype=str, keep_default_na=False)
    return found.assign(run=run.name)[COLUMNS]


def example(profile: str, found: pd.DataFrame) -> tuple:
    """A record for Figure 4: wave (samples,), rate in Hz, windows and truth (start, end, label).

    The one that is adventitious, and named so, and whose windows say most different things; where
    there is none, the first one. Without records, or without its sound, everything is empty.
    """
    source = plan.sprsound_source(plan.open_study(profile).profile)
    sounds = sprsound.audio_files(source.root)
    found = found[found.record.isin(sounds)]
    empty = pd.DataFrame(columns=["start", "end", "label"])
    if found.empty:
        return np.zeros(0, np.float32), RATE_HZ, empty, empty
    chosen = found.iloc[int(_interest(found).to_numpy().argmax())]
    wave = audio.resample(*audio.read(sounds[chosen.record]), RATE_HZ)
    events = sprsound.events(source.root)
    truth = events[events.recording == chosen.record].rename(columns={"1-2": "name"})
    truth = truth[["start", "end", "name"]].rename(columns={"name": "label"})
    return wave, RATE_HZ, windows(chosen.windows), truth


def windows(said: str) -> pd.DataFrame:
    """Labels joined by "|" as start, end (seconds) and label of each window."""
    rows = [
        (STEP_SECONDS * i, STEP_SECONDS * i + sprsound.WINDOW_SECONDS, label)
        for i, label in enumerate(said.split("|"))
        if label
    ]
    return pd.DataFrame(rows, columns=["start", "end", "label"])


def _interest(found: pd.DataFrame) -> pd.Series:
    """How much there is to see: different labels, where the record is adventitious and named so."""
    odd = ~found.truth.isin(["Normal", sprsound.POOR]) & (found.truth == found.answer)
    return odd * found.windows.map(lambda said: len(set(said.split("|"))))
