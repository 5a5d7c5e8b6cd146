"""What a feature store is built from: for each data set, its tables of clips and its files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lib.data import Source, icbhi, sprsound
from lib.errors import UserError
from lib.features.frontends import Frontend


@dataclass(frozen=True)
class Reader:
    """How a data set is read; every function takes the folder that holds it."""

    tables: dict[str, Callable[[Path], pd.DataFrame]]  # unit of a clip -> table of clips
    audio_files: Callable[[Path], dict[str, Path]]  # recording -> file
    inputs: Callable[[Path], dict[str, Path]]  # name -> file, of all that a store depends on
    check: Callable[[Path], list[str]]  # every fault
    names: dict[str, str]  # how complete -> what a store is called


READERS = {
    "icbhi": Reader(
        {"event": icbhi.cycles},
        icbhi.audio_files,
        icbhi.inputs,
        icbhi.check,
        {"official": "ICBHI", "partial": "ICBHI partial", "synthetic": "synthetic"},
    ),
    "sprsound": Reader(
        {"event": sprsound.events, "record": sprsound.records, "window": sprsound.windows},
        sprsound.audio_files,
        sprsound.inputs,
        sprsound.check,
        {
            "official": "SPRSound",
            "partial": "SPRSound partial",
            "synthetic": "synthetic SPRSound",
        },
    ),
}


def clips(source: Source, front: Frontend) -> pd.DataFrame:
    """The clips that have audio, a recording's ones in consecutive rows.

    Where an annotation is at fault, the audio is read too, to list all faults in one `UserError`.
    """
    reader, unit = READERS[source.dataset], getattr(front, "unit", "event")
    if unit not in reader.tables:
        raise UserError(
            f"{source.dataset} has no {unit}s (it has {', '.join(reader.tables)}s); "
            "choose another unit"
        )
    try:
        table = reader.tables[unit](source.root)
    except UserError:
        icbhi.raise_all(reader.check(source.root))
        raise
    audio = reader.audio_files(source.root)
    return table[table.recording.isin(audio)].reset_index(drop=True)
