"""Embeddings of clips: t-SNE for the eye, and numbers so that the eye is not the only judge."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.manifold import TSNE
from sklearn.metrics import balanced_accuracy_score, silhouette_score
from sklearn.metrics.pairwise import cosine_distances

from lib.config import SELECTIONS
from lib.evaluation import tasks
from lib.runs import folder

NEIGHBOURS = 5
PERPLEXITY = 30
COLUMNS = ["method", "selection", "grouping", "kNN", "chance", "silhouette"]


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of one run on one evaluation set."""

    z: np.ndarray  # (N, D)
    clips: pd.DataFrame  # class (categorical), patient, device; N rows
    selection: str  # rule that selected the epoch


def load_embeddings(
    results: pd.DataFrame, methods: dict[str, str], test_set: str = "test"
) -> dict[str, Embeddings]:
    """Return method -> embeddings of its first seed; methods that saved none are left out.

    methods: name -> experiment's name. The epoch is selected on the test set, or else by the first
    of `SELECTIONS` that qualifies.
    """
    embeddings = {}
    for method, experiment in methods.items():
        runs = results[(results.experiment == experiment) & results.path.notna()]
        for path in map(Path, runs.sort_values("seed").path.iloc[:1]):
            arrays = folder.read_predictions(path)
            saved = [s for s in SELECTIONS if f"{s}/{test_set}/embedding" in arrays]
            if saved:
                classes = tasks.get_task(folder.read_spec(path).experiment.task).classes
                codes = pd.Categorical.from_codes(arrays[f"{test_set}/label"], classes)
                clips = {key: arrays[f"{test_set}/{key}"] for key in ("patient", "device")}
                z = arrays[f"{saved[0]}/{test_set}/embedding"].astype(np.float32)
                table = pd.DataFrame({"class": codes, **clips})
                embeddings[method] = Embeddings(z, table, saved[0])
    return embeddings


def tsne_points(embeddings: dict[str, Embeddings]) -> dict[str, pd.DataFrame]:
    """Return t-SNE coordinates x, y of each method's clips with ways to colour them.

    Columns: class, normal or not, patient, device.
    """
    tables = {}
    for method, each in embeddings.items():
        normal = each.clips["class"].cat.categories[0]
        names = np.where(each.clips["class"] == normal, normal, "abnormal")
        both = pd.Categorical(names, [normal, "abnormal"])
        points = pd.DataFrame(tsne(each.z), columns=["x", "y"])
        tables[method] = points.join(each.clips).assign(**{"normal or not": both})
    return tables


def tsne(z: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return t-SNE of embeddings (N, D) -> (N, 2): cosine distance, PCA start, reproducible."""
    perplexity = min(PERPLEXITY, (len(z) - 1) / 3)
    model = TSNE(2, perplexity=perplexity, metric="cosine", init="pca", random_state=seed)
    return model.fit_transform(z.astype(np.float64))


def compare_embeddings(embeddings: dict[str, Embeddings]) -> pd.DataFrame:
    """Return `separability` of each method, one under the other."""
    tables = [pd.DataFrame(columns=COLUMNS)]
    for method, each in embeddings.items():
        table = separability(each.z, each.clips)
        tables.append(table.assign(method=method, selection=each.selection)[COLUMNS])
    return pd.concat(tables[1:] or tables, ignore_index=True)


def separability(z: np.ndarray, clips: pd.DataFrame) -> pd.DataFrame:
    """Return how well embeddings (N, D) tell classes, patients and devices apart, in numbers.

    clips: class, patient, device. Columns: grouping, kNN (balanced accuracy of the 5 nearest
    others, percent), chance (100 / number of groups), silhouette (-1 to 1), all with cosine
    distance. The second row takes neighbours from other patients only, so that knowing the patient
    does not help.
    """
    distance = cosine_distances(z.astype(np.float64))
    label = clips["class"].cat.codes.to_numpy()  # ties of votes go to the first class
    patient, device = (clips[key].to_numpy(str) for key in ("patient", "device"))
    other_patient = np.where(patient[:, None] != patient[None], distance, np.inf)
    groupings = {
        "class": (distance, label),
        "class, from other patients": (other_patient, label),
        "patient": (distance, patient),
        "device": (distance, device),
    }
    rows = []
    for name, (neighbour_distance, groups) in groupings.items():
        knn = round(_knn(neighbour_distance, groups), 2)
        chance = round(100 / len(np.unique(groups)), 2)
        rows.append((name, knn, chance, round(_silhouette(distance, groups), 3)))
    return pd.DataFrame(rows, columns=["grouping", "kNN", "chance", "silhouette"])


def _knn(distance: np.ndarray, groups: np.ndarray) -> float:
    """Return the leave-one-out balanced accuracy (percent) of the nearest neighbours' majority."""
    names, codes = np.unique(groups, return_inverse=True)
    to_others = np.where(np.eye(len(codes), dtype=bool), np.inf, distance)
    nearest = codes[np.argsort(to_others, axis=1, kind="stable")[:, :NEIGHBOURS]]  # (N, 5)
    votes = (nearest[:, :, None] == np.arange(len(names))).sum(1)  # (N, groups)
    return 100 * balanced_accuracy_score(codes, votes.argmax(1))


def _silhouette(distance: np.ndarray, groups: np.ndarray) -> float:
    if len(np.unique(groups)) < 2:
        return float("nan")
    distance = np.maximum(distance, 0)
    np.fill_diagonal(distance, 0)
    return float(silhouette_score(distance, groups, metric="precomputed"))
