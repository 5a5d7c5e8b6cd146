"""Embeddings as a picture, and figures beside it so that the eye is not the only judge."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.manifold import TSNE
from sklearn.metrics import balanced_accuracy_score, silhouette_score
from sklearn.metrics.pairwise import cosine_distances

from lib.data import CLASSES
from lib.runs import folder

NEIGHBOURS = 5
PERPLEXITY = 30


def load_embeddings(
    results: pd.DataFrame, methods: dict[str, str]
) -> dict[str, dict[str, np.ndarray]]:
    """Method -> z (N, D), label, patient, device of the test set, first seed; `chosen` says how.

    The epoch is the one chosen on the test set, or the last one where none qualifies.
    """
    found = {}
    for method, experiment in methods.items():
        runs_of = results[(results.experiment == experiment) & results.path.notna()]
        if runs_of.empty:
            continue
        arrays = folder.predictions(Path(runs_of.sort_values("seed").path.iloc[0]))
        chosen = "test" if "test/test/embedding" in arrays else "last"
        if f"{chosen}/test/embedding" not in arrays:
            continue  # only the profile's first seed keeps them
        z = arrays[f"{chosen}/test/embedding"].astype(np.float32)
        found[method] = {"z": z, "chosen": np.array(chosen)}
        found[method] |= {key: arrays[f"test/{key}"] for key in ("label", "patient", "device")}
    return found


def point_labels(
    found: dict[str, dict[str, np.ndarray]], two: bool = False
) -> dict[str, np.ndarray]:
    """The three ways to colour the test set: class names, patients, devices.

    two: all abnormal classes are one.
    """
    one = next(iter(found.values()), {"label": [], "patient": [], "device": []})
    names = np.array(CLASSES)[np.asarray(one["label"], dtype=int)]
    classes = {"class": names}
    if two:
        classes = {"normal or not": np.where(names == CLASSES[0], names, "abnormal")}
    return {**classes, "patient": one["patient"], "device": one["device"]}


def compare_embeddings(found: dict[str, dict[str, np.ndarray]]) -> pd.DataFrame:
    """`judge` for each method, one under the other."""
    tables = [
        separability(one["z"], one["label"], one["patient"], one["device"]).assign(
            method=method, **{"epoch chosen by": str(one["chosen"])}
        )
        for method, one in found.items()
    ]
    columns = ["method", "epoch chosen by", "grouping", "kNN", "chance", "silhouette"]
    if not tables:
        return pd.DataFrame(columns=columns)
    return pd.concat(tables, ignore_index=True)[columns]


def tsne(z: np.ndarray, seed: int = 0) -> np.ndarray:
    """t-SNE of embeddings (N, D) -> (N, 2), cosine distance, PCA start; same seed, same picture."""
    perplexity = min(PERPLEXITY, (len(z) - 1) / 3)
    model = TSNE(2, perplexity=perplexity, metric="cosine", init="pca", random_state=seed)
    return model.fit_transform(z.astype(np.float64))


def separability(
    z: np.ndarray, label: np.ndarray, patient: np.ndarray, device: np.ndarray
) -> pd.DataFrame:
    """How well embeddings (N, D) tell classes, patients and devices apart, in numbers.

    Columns: grouping, kNN (balanced accuracy of the 5 nearest others, percent), chance (one over
    the number of groups), silhouette (-1 to 1), all with cosine distance. The second row takes
    neighbours from other patients only, so that knowing the patient does not help.
    """
    distance = cosine_distances(z.astype(np.float64))
    foreign = patient[:, None] != patient[None]
    rows = [
        ("class", _knn(distance, label), label),
        ("class, from other patients", _knn(np.where(foreign, distance, np.inf), label), label),
        ("patient", _knn(distance, patient), patient),
        ("device", _knn(distance, device), device),
    ]
    return pd.DataFrame(
        [
            {
                "grouping": name,
                "kNN": round(knn, 2),
                "chance": round(100 / len(np.unique(groups)), 2),
                "silhouette": round(_silhouette(distance, groups), 3),
            }
            for name, knn, groups in rows
        ]
    )


def _knn(distance: np.ndarray, groups: np.ndarray) -> float:
    """Leave-one-out balanced accuracy (percent) of the majority among the nearest neighbours."""
    names, code = np.unique(groups, return_inverse=True)
    own = np.where(np.eye(len(code), dtype=bool), np.inf, distance)
    near = code[np.argsort(own, axis=1, kind="stable")[:, :NEIGHBOURS]]  # (N, 5)
    votes = (near[:, :, None] == np.arange(len(names))).sum(1)  # (N, groups)
    return 100 * balanced_accuracy_score(code, votes.argmax(1))


def _silhouette(distance: np.ndarray, groups: np.ndarray) -> float:
    if len(np.unique(groups)) < 2:
        return float("nan")
    return float(silhouette_score(np.maximum(distance, 0) * (1 - np.eye(len(groups))), groups,
                                  metric="precomputed"))  # fmt: skip
