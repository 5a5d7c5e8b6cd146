"""Complete records of made-up runs, and the lines that they have in a results table."""

import itertools

import numpy as np
import pandas as pd
import pytest

from lib import files, paths
from lib.config import SELECTIONS, Experiment, describe_model, describe_settings
from lib.evaluation.tasks import get_task
from lib.papers import TABLES
from lib.runs import folder
from lib.runs.results import COLUMNS, from_record
from lib.tables import build_table, verify
from lib.tables.format import csv_text


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
    rates = itertools.count(1)  # a name is not part of a run's hash

    def save(
        name,
        sets,
        *,
        seed=1,
        data="ICBHI",
        analysis=None,
        embeddings=None,
        selections=SELECTIONS,
        **settings,
    ):
        """sets: scored set -> (`clips`, predictions); analysis: arrays of `lib.analysis.inspect`.

        embeddings: "<selection>/<set>" -> z.
        """
        experiment = Experiment(name, **{"lr": 1e-4 * next(rates)} | settings)
        classes = len(get_task(experiment.task).classes)
        arrays = {}
        for key, (about, predicted) in sets.items():
            arrays |= {f"{key}/{column}": values for column, values in about.items()}
            logits = np.eye(classes, dtype=np.float32)[predicted]
            arrays |= {f"{selection}/{key}/logits": logits for selection in selections}
        arrays |= {f"{key}/embedding": z for key, z in (embeddings or {}).items()}
        spec = folder.RunSpec(experiment, seed, str(len(sets)) * 64, "")
        path = folder.start_run(spec, {"name": data, "note": ""}, "none")
        files.write_text(path / "weights.csv", "key,action\na,loaded\nb,loaded\nc,left out\n")
        if analysis:
            folder.write_arrays(path / folder.ANALYSIS, analysis)
        epochs = {key: 2 if key in selections else None for key in SELECTIONS}
        history, facts = [{"epoch": 1, "loss": 1.0}], {"parameters": 12345}
        folder.write_record(path, history, arrays, epochs, facts, get_task(experiment.task))
        about = {"experiment": name, "seed": seed, "run": path.name}
        about["setting"] = describe_settings(experiment)
        about["model"] = describe_model(experiment)
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


def publish(results):
    """Publish records, results (group -> table) and the tables they give; returns the folder."""
    root = paths.reports_root()
    (root / "tables").mkdir(parents=True, exist_ok=True)
    paths.runs_root().rename(root / "runs")
    for name, table in results.items():
        text = table.drop(columns="path").to_csv(index=False)
        files.write_text(root / "results" / f"{name}.csv", text)
    files.write_json(root / "pages.json", {"03_table1": {"profile": "laptop"}})
    results = verify.load_results()
    for name, table in TABLES.items():
        if (
            table.results in results
            or table.view == "tuned"
            or "table1" in results
            and name == "claims"
        ):
            text = csv_text(build_table(name, lambda group: results.get(group, NOTHING)))
            files.write_text(root / "tables" / f"{name}.csv", text)
    return root
