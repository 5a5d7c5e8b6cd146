"""Complete records of made-up runs, and the lines that they have in a results table."""

import numpy as np
import pandas as pd
import pytest

from lib import files
from lib.config import SELECTIONS, Experiment
from lib.evaluation.tasks import get_task
from lib.runs import folder
from lib.runs.results import COLUMNS, from_record


def first_normal(label, wrong):
    """Predictions of a model that calls the first `wrong` clips normal and is right on the rest."""
    return np.where(np.arange(len(label)) < wrong, 0, label)


def clips(count, classes, patients=8, subset=None, prefix="r"):
    """Label, patient, device, cycle and subset of `count` clips; classes take turns."""
    index = np.arange(count)
    arrays = {
        "label": (index % classes).astype(np.int8),
        "patient": np.array([f"{101 + i * patients // count}" for i in index]),
        "device": np.full(count, "Meditron"),
        "cycle": np.array([f"{prefix}:{i}" for i in index]),
    }
    return arrays | ({} if subset is None else {"subset": subset})


@pytest.fixture
def save_run():
    """A function that saves a complete record and returns its lines in a results table."""

    def save(name, sets, *, seed=1, data="ICBHI", analysis=None, selections=SELECTIONS, **settings):
        """sets: scored set -> (`clips`, predictions); analysis: arrays of `lib.analysis.inspect`."""
        experiment = Experiment(name, **settings)
        classes = len(get_task(experiment.task).classes)
        arrays = {}
        for key, (about, predicted) in sets.items():
            arrays |= {f"{key}/{column}": values for column, values in about.items()}
            logits = np.eye(classes, dtype=np.float32)[predicted]
            arrays |= {f"{selection}/{key}/logits": logits for selection in selections}
        spec = folder.RunSpec(experiment, seed, str(len(sets)) * 64, "")
        path = folder.start_run(spec, {"name": data, "note": ""}, "none")
        files.write_text(path / "weights.csv", "key,action\na,loaded\nb,loaded\nc,left out\n")
        if analysis:
            folder.write_arrays(path / folder.ANALYSIS, analysis)
        epochs = {key: 2 if key in selections else None for key in SELECTIONS}
        history, facts = [{"epoch": 1, "loss": 1.0}], {"parameters": 12345}
        folder.write_record(path, history, arrays, epochs, facts, get_task(experiment.task))
        about = {"experiment": name, "seed": seed, "setting": "small", "run": path.name}
        record = folder.read_record(path)
        return [
            about | {"selection": key, "path": str(path)} | from_record(record, key)
            for key in SELECTIONS
        ]

    return save


def table_of(*lines):
    """A results table of the lines of several runs."""
    return pd.DataFrame([line for run in lines for line in run], columns=COLUMNS)


NOTHING = pd.DataFrame(columns=COLUMNS)
