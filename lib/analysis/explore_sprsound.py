"""What the exploration page of SPRSound counts: small questions to the tables of its reader."""

import pandas as pd

from lib.data import Source, sprsound


def counts(table: pd.DataFrame, task: str) -> pd.DataFrame:
    """Events (1-1, 1-2) or records (2-1, 2-2) by class and part, in the data set's order."""
    found = pd.crosstab(table[task], table.part)
    return found.reindex(sprsound.TASKS[task], columns=_parts(table), fill_value=0)


def sizes(source: Source, records: pd.DataFrame) -> pd.DataFrame:
    """Each part's recordings (official, annotated, with audio), patients and minutes of sound."""
    official = {**sprsound.RECORDINGS, "2023": sprsound.RECORDINGS_2023}
    audio = sprsound.audio_files(source.root)
    train, lines = set(records[records.part == "train"].patient), []
    for part in _parts(records):
        group = records[records.part == part]
        patients = set(group.patient)
        lines.append({
            "part": part,
            "official recordings": official[part],
            "annotated here": len(group),
            "with audio here": int(group.recording.isin(audio).sum()),
            "patients": len(patients),
            "of them in training": len(patients & train),
            "minutes": round(group.end.sum() / 60, 1),
        })  # fmt: skip
    return pd.DataFrame(lines)


def lengths(events: pd.DataFrame, window: float = 3.0) -> pd.DataFrame:
    """How long the events of each class (1-2) are, in seconds, and how many fill a window."""
    length = (events.end - events.start).groupby(events["1-2"])
    found = length.quantile([0.0, 0.05, 0.5, 0.95, 1.0]).unstack()
    found.columns = ["shortest", "5%", "median", "95%", "longest"]
    found[f"over {window:g} s"] = length.agg(lambda seconds: (seconds > window).mean())
    return found.reindex(sprsound.TASKS["1-2"])


def oddities(source: Source) -> pd.DataFrame:
    """What is odd in the files yet no fault: how many recordings of each part, and how often."""
    found = sprsound.remarks(source.root).groupby(["what", "part"], sort=False)["count"]
    return found.agg(recordings="size", times="sum").reset_index()


def _parts(table: pd.DataFrame) -> list[str]:
    return [part for part in sprsound.PARTS if (table.part == part).any()]
