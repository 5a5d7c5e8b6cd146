"""Annotations of all recordings as tables that come with the code: who, when and which label.

They hold no sound. `load_annotations` reads them; `make_annotations` makes the same from
recordings, and `write_annotations` writes them anew.
"""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from lib import files
from lib.data.dataset import Dataset
from lib.data.icbhi import ICBHI
from lib.data.sprsound import SPRSound
from lib.errors import unknown

FOLDER = Path(__file__).parent / "labels"
NAMES = {("icbhi", "event"): "icbhi_cycles", ("sprsound", "event"): "sprsound_events",
         ("sprsound", "record"): "sprsound_records"}  # fmt: skip
LABELS = {("icbhi", "event"): ("label",), ("sprsound", "event"): ("1-1", "1-2", "label"),
          ("sprsound", "record"): ("2-1", "2-2")}  # fmt: skip
CLIP = ("recording", "cycle", "start", "end")
GROUPS = ("patient", "device", "site", "age", "sex", "split", "subset")
NUMBERS = {"cycle": int, "start": float, "end": float, "age": float}
SEXES = {"F": "female", "M": "male"}
AGES = {"0 to 2": 3, "3 to 5": 6, "6 to 11": 12, "12 to 17": 18, "18 to 64": 65,
        "65 and older": math.inf}  # name -> first age above it  # fmt: skip
SITES = {"Tc": "trachea", "Al": "anterior left", "Ar": "anterior right", "Pl": "posterior left",
         "Pr": "posterior right", "Ll": "lateral left", "Lr": "lateral right",
         "p1": "posterior left", "p2": "lateral left", "p3": "posterior right",
         "p4": "lateral right"}  # fmt: skip


def load_annotations(dataset: str, unit: str = "event") -> pd.DataFrame:
    """Return every annotated clip of a dataset, sorted by (recording, cycle).

    unit: event (ICBHI's cycles, SPRSound's events) or record. Columns: recording, cycle (from 0),
    start, end (seconds), patient, device, site, age (years, NaN if unknown), sex (female, male or
    ""), split, subset ("" in ICBHI) and the labels of the unit. Raises `UserError` if there is no
    such table.
    """
    if (dataset, unit) not in NAMES:
        raise unknown("table of annotations", f"{dataset} {unit}", map(" ".join, NAMES))
    path = FOLDER / f"{NAMES[dataset, unit]}.csv.gz"
    columns = (*CLIP, *GROUPS, *LABELS[dataset, unit])
    types = dict.fromkeys(columns, str) | NUMBERS
    return pd.read_csv(path, dtype=types, keep_default_na=False, na_values={"age": [""]})


def group_clips(clips: pd.DataFrame) -> dict[str, np.ndarray]:
    """Device, site, age and sex of each clip (N,), rows of `load_annotations`."""
    age = clips.age.to_numpy()
    index = np.searchsorted(list(AGES.values()), np.nan_to_num(age), side="right")
    return {
        "device": clips.device.to_numpy(dtype=str),
        "site": clips.site.to_numpy(dtype=str),
        "age": np.where(np.isnan(age), "unknown", np.array(list(AGES))[index]),
        "sex": clips.sex.replace("", "unknown").to_numpy(dtype=str),
    }


def make_annotations(dataset: Dataset, unit: str = "event") -> pd.DataFrame:
    """Return the table of `load_annotations` from recordings; raises `UserError` as `load` does."""
    table = dataset.load(unit).rename(columns={"location": "site", "gender": "sex"})
    if isinstance(dataset, ICBHI):
        known = dataset.demographics()
        table["age"], table["sex"] = (table.patient.map(known[key]) for key in ("age", "sex"))
        table["sex"] = table.sex.map(SEXES).fillna("")
        table["subset"] = ""
    table["site"] = table.site.map(SITES)
    return table[[*CLIP, *GROUPS, *LABELS[dataset.name, unit]]]


def write_annotations(icbhi: ICBHI, sprsound: SPRSound) -> None:
    """Write all tables from complete recordings with the lists of patients."""
    for name, unit in NAMES:
        table = make_annotations({"icbhi": icbhi, "sprsound": sprsound}[name], unit)
        with files.atomic_write(FOLDER / f"{NAMES[name, unit]}.csv.gz") as temporary:
            table.to_csv(temporary, index=False, compression={"method": "gzip", "mtime": 0})
