"""The card of a packaged model: what it was made of, what it scores, and what it must not do."""

from pathlib import Path

import numpy as np
import pandas as pd

from lib import paths
from lib.data import DATASETS, find_dataset
from lib.evaluation.bootstrap import DRAWS
from lib.models.weights import source_of
from lib.predict.detectors import NEIGHBOURS, Detectors
from lib.predict.model import RESEARCH_ONLY, Predictor
from lib.runs import folder as runs_folder

SCORES = {
    "set": "set", "group": "clips of", "clips": "clips", "patients": "patients", "sp": "Sp",
    "se": "Se", "score": "Score (95%)", "auroc": "AUROC", "ece": "ECE", "brier": "Brier",
}  # fmt: skip
OUTCOMES = {"set": "set", "group": "recordings of", "recordings": "recordings",
            "unusable": "unusable", "refused": "no lung sound", "warned": "warned"}  # fmt: skip
FRACTIONS = ("auroc", "ece", "brier")
SHARES = ("unusable", "refused", "warned")

LIMITS = """## Limits

* Trained on one population and few stethoscopes; the tables show what is left on others.
* Probabilities are calibrated on held-out patients of the training set; elsewhere they are not.
* A normal answer does not exclude a disease. Place and depth of breath are not checked.
* The detector of lung sounds was fitted to the made-up kinds of other sounds that are in the table.
"""


def write_card(
    model: Predictor, run: Path, detectors: Detectors, scores: list[dict], outcomes: list[dict]
) -> str:
    """Return the card as Markdown; scores and outcomes are lines of `measure` and `package`."""
    front = model.network.front
    record = runs_folder.read_record(run)
    classes = "\n".join(f"{i}. `{name}`" for i, name in enumerate(model.classes))
    return f"""# {model.about}

**{RESEARCH_ONLY}** Not a medical device. Made by `./run_all.sh package` from the run `{run.name}`.

## Input and answer

Mono sound at {front.rate_hz:,} Hz in [-1, 1], {front.clip_seconds:g} s at a time; shorter sound is
repeated. The answer is one probability (0 to 1) for each class, in this order:

{classes}

The probabilities are {model.calibration}.

## Scores

The epoch was chosen on held-out training patients ({_epoch(record)}). Sp, Se and Score in percent,
Score with its 95% interval over patients ({DRAWS} resamples); AUROC of abnormal against normal;
ECE (15 bins) and Brier score (0 to 2) of the calibrated probabilities.

{_table(scores, SCORES)}

Always the first class has a Score of 50.

## What becomes of recordings

*Unusable*: silent, clipped, or too short. *No lung sound*: refused. *Warned*: answered with
"recorded unlike anything this model was trained on".

{_table(outcomes, OUTCOMES)}

{_detectors(detectors)}

## Training data and licences

{_data(model, record)}

{LIMITS}"""


def read_scores(model: Predictor) -> pd.DataFrame:
    """Return the Scores in a model's card as text; an empty table if it has no card."""
    path = paths.PROJECT / model.card
    text = path.read_text(encoding="utf-8") if model.card else ""
    lines = [line for line in text.partition("## Scores")[2].splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    table = [row for row in rows[2:] if len(row) == len(SCORES)]  # the next table is narrower
    return pd.DataFrame(table, columns=list(SCORES.values()))


def _epoch(record: dict) -> str:
    selected = record["selections"].get("validation") or record["selections"]["last"]
    return f"epoch {selected['epoch']}, seed {record['seed']}"


def _table(lines: list[dict], columns: dict[str, str]) -> str:
    rows = [list(columns.values()), ["---"] * len(columns)]
    rows += [[_cell(line, key) for key in columns] for line in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(line: dict, key: str) -> str:
    value = line[key]
    if isinstance(value, str):
        return DATASETS[value].short_title if key == "set" and value in DATASETS else value
    if np.isnan(value):
        return "–"
    if key == "score":
        return f"{value:.2f} ({line['low']:.2f} to {line['high']:.2f})"
    if key in SHARES:
        return f"{value:.1%}"
    return (
        f"{value:.3f}"
        if key in FRACTIONS
        else f"{value:.2f}"
        if key in ("sp", "se")
        else f"{value:,}"
    )


def _detectors(detectors: Detectors) -> str:
    distance, lung = detectors.settings["distance"], detectors.settings["lung_sound"]
    lines = [
        f"The warning: a mean distance above {distance['threshold']:.2f} to the {NEIGHBOURS} "
        f"nearest training recordings, in the {len(detectors.arrays['components'])} first whitened "
        f"principal components of what the network pools; {distance['warned']:.0%} of "
        f"{distance['recordings']} held-out training recordings are further away.",
        "The refusal: a logistic regression of training recordings against made-up sounds below "
        f"{lung['threshold']:.4f}, which refuses {lung['refused']:.1%} of {lung['recordings']} "
        f"held-out training recordings and {lung['caught']:.1%} of {lung['made_up']} held-out "
        "made-up sounds.",
    ]
    return "\n\n".join(lines)


def _data(model: Predictor, record: dict) -> str:
    e = model.experiment
    lines = [f"* {record['clips']['train']:,} training and {record['clips']['validation']:,} "
             f"validation clips of {record['data']['name']}"]  # fmt: skip
    for name in (e.dataset, *e.test_sets):
        dataset = find_dataset(name)
        role = "trained and tested" if name == e.dataset else "tested, detectors fitted"
        part = " Single-channel recordings only." * (name == "icbhi" and e.subset == "sc")
        lines.append(
            f"* {role} on {dataset.title}. {dataset.citation}. Licence: {dataset.licence}. "
            f"{dataset.banner}{part}".strip()
        )
    if source := source_of(e):
        origin = source.url or source.hub or source.package
        lines.append(
            f"* Initial weights: `{source.file}` from <{origin}>, under their own licence."
        )
    return (
        "\n".join(lines)
        + "\n* Code: MIT. These weights inherit the conditions of the data and weights above."
    )
