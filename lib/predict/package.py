"""One command from a finished run to a model that ships: weights, calibration, detectors, card."""

from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import save
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from lib import files
from lib.config import hashed_settings
from lib.errors import UserError
from lib.predict import card, measure
from lib.predict.detectors import SHAPES, Detectors
from lib.predict.measure import TRAIN, VALIDATION
from lib.predict.model import CARD, CONFIG, DETECTORS, FOLDER, WEIGHTS, from_run
from lib.runs import folder as runs_folder

COMPONENTS = 64
REFUSED_AT_MOST = 0.05  # of held-out training recordings
WARNED = 0.05
CAUGHT = 0.99  # of held-out made-up sounds, if that refuses fewer lung sounds than allowed
REGULARISATION = 0.01  # C of the detector of lung sounds
MAX_BYTES = 4_000_000


def package_run(run: Path, out: Path | None = None) -> Path:
    """Write a model folder from a finished run that saved its weights; returns the folder.

    out: default models/<name of the experiment>. Needs the recordings of the run. Raises
    `UserError` if the run held no patients out, or if what it needs is not here.
    """
    model, arrays = from_run(run), runs_folder.read_predictions(run)
    if "validation/validation/logits" not in arrays:
        raise UserError(
            f"{run}: held no patients out, so nothing can be calibrated; choose another"
        )
    real, made_up = measure.describe_recordings(model, run), measure.describe_made_up(model)
    detectors = fit_detectors(real, made_up, model.experiment.dataset)
    e = model.experiment
    out = out or FOLDER / runs_folder.slug(e.name)
    files.remove_stale(out)
    with files.atomic_write(out / WEIGHTS) as path:
        path.write_bytes((run / WEIGHTS).read_bytes())
    with files.atomic_write(out / DETECTORS) as path:
        path.write_bytes(save(detectors.arrays))
    config = {
        "experiment": hashed_settings(e) | {"name": e.name}, "run": run.name,
        "classes": list(model.classes), "temperature": model.network.temperature,
        "calibration": model.calibration, "detectors": detectors.settings,
        "sha256": {name: files.sha256_of(out / name) for name in (WEIGHTS, DETECTORS)},
    }  # fmt: skip
    facts = measure.score_sets(model, arrays), outcomes(detectors, real, made_up)
    files.write_text(out / CARD, card.write_card(model, run, detectors, *facts))
    files.write_json(out / CONFIG, config)
    if (size := sum(path.stat().st_size for path in out.iterdir())) > MAX_BYTES:
        raise UserError(f"{out}: {size:,} bytes, but at most {MAX_BYTES:,} are shipped")
    return out


def fit_detectors(real: pd.DataFrame, made_up: pd.DataFrame, dataset: str) -> Detectors:
    """Return both detectors, fitted on training recordings, with thresholds from held-out ones.

    real, made_up: tables of `lib.predict.measure`; dataset: the one that the model was trained on.
    """
    heard = real[[bool(np.isfinite(x).all()) for x in real.descriptor]]
    own = heard[heard.dataset == dataset]
    train = np.stack(own.descriptor[own.role == TRAIN].to_list())[:, :-SHAPES]
    pca = PCA(min(COMPONENTS, len(train) - 1, train.shape[1]), svd_solver="full").fit(train)
    whitening = pca.components_ / np.sqrt(pca.explained_variance_)[:, None]
    arrays = {
        "mean": pca.mean_.astype(np.float32),
        "components": np.ascontiguousarray(whitening, np.float32),
        "neighbours": ((train - pca.mean_) @ whitening.T).astype(np.float16),
        **_fit_lung_sound(heard[heard.role == TRAIN], made_up[made_up.role == TRAIN]),
    }
    settings = {"distance": {"threshold": np.inf}, "lung_sound": {"threshold": 0.0}}
    detectors = Detectors(settings, arrays)
    held_out, sounds = heard[heard.role == VALIDATION], made_up[made_up.role == VALIDATION]
    distances = [detectors.distance(x) for x in held_out.descriptor[held_out.dataset == dataset]]
    settings["distance"] = {
        "threshold": float(np.quantile(distances, 1 - WARNED)), "warned": WARNED,
        "recordings": len(distances),
    }  # fmt: skip
    lung = np.array([detectors.lung_sound(x) for x in held_out.descriptor])
    not_lung = np.array([detectors.lung_sound(x) for x in sounds.descriptor])
    allowed = np.quantile(lung, REFUSED_AT_MOST, method="lower")
    wanted = np.nextafter(np.quantile(not_lung, CAUGHT, method="higher"), 1)
    threshold = float(min(allowed, wanted))
    settings["lung_sound"] = {
        "threshold": threshold, "refused": float((lung < threshold).mean()),
        "caught": float((not_lung < threshold).mean()), "recordings": len(lung),
        "made_up": len(not_lung),
    }  # fmt: skip
    return detectors


def _fit_lung_sound(real: pd.DataFrame, made_up: pd.DataFrame) -> dict[str, np.ndarray]:
    """Logistic regression of lung sounds against made-up ones; each dataset and kind counts alike.

    Returns lung_weight (D,) and lung_bias (1,), for descriptors that are not standardised.
    """
    x = np.stack([*real.descriptor, *made_up.descriptor])
    label = np.repeat([1, 0], [len(real), len(made_up)])
    groups = pd.Series([*real.dataset, *made_up.kind])
    share = groups.map(1 / groups.value_counts())
    weight = (share / share.groupby(label).transform("sum")).to_numpy()
    scaler = StandardScaler().fit(x)
    probe = LogisticRegression(C=REGULARISATION * len(x), max_iter=2000)
    probe.fit(scaler.transform(x), label, sample_weight=weight)
    slope = probe.coef_[0] / scaler.scale_
    return {"lung_weight": slope, "lung_bias": probe.intercept_ - slope @ scaler.mean_}


def outcomes(detectors: Detectors, real: pd.DataFrame, made_up: pd.DataFrame) -> list[dict]:
    """Return what becomes of recordings, by dataset, role, subset and device.

    Each line: set, group, recordings, and the shares that are unusable (silent, clipped, short),
    refused, and answered with a warning.
    """
    lines = []
    held_out = made_up[made_up.role == VALIDATION]
    groups = [*real.groupby(["dataset", "role", "subset", "device"])]
    groups += [((("made-up"), kind, "", ""), rows) for kind, rows in held_out.groupby("kind")]
    for (dataset, role, subset, device), rows in groups:
        heard = [x for x in rows.descriptor if np.isfinite(x).all()]
        refused = [detectors.is_refused(x) for x in heard]
        far = [detectors.is_far(x) for x in heard]
        warned = np.array(far, bool) & ~np.array(refused, bool)
        lines.append(
            {"set": dataset, "group": ", ".join(filter(None, (role, subset, device))),
             "recordings": len(rows), "unusable": 1 - len(heard) / len(rows),
             "refused": sum(refused) / len(rows), "warned": warned.sum() / len(rows)}
        )  # fmt: skip
    return lines
