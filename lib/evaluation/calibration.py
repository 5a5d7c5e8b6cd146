"""Whether probabilities mean what they say: calibration error, Brier score, temperature."""

import numpy as np
from numpy import ndarray

BINS = 15
TEMPERATURES = (0.05, 20.0)  # that are tried


def softmax(logits: ndarray) -> ndarray:
    """Probabilities (N, n) of logits (N, n), in float64."""
    logits = np.asarray(logits, dtype=np.float64)
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


def reliability(probabilities: ndarray, label: ndarray) -> ndarray:
    """Clips, mean confidence and share of right answers of each of 15 bins of equal width (15, 3).

    probabilities (N, n) of the classes label (N,); confidence is that of the most probable class.
    An empty bin has nan for both (Guo et al. 2017).
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == label
    index = np.minimum((confidence * BINS).astype(int), BINS - 1)
    clips = np.bincount(index, minlength=BINS)
    sums = (np.bincount(index, values, minlength=BINS) for values in (confidence, right))
    with np.errstate(invalid="ignore"):
        return np.stack([clips, *(each / clips for each in sums)], axis=1)


def calibration_error(probabilities: ndarray, label: ndarray) -> float:
    """Expected calibration error (0 to 1) of probabilities (N, n) of the classes label (N,).

    The mean distance between how sure the model is of its most probable class and how often that
    class is right, in the bins of `reliability`, weighted by their clips (Guo et al. 2017).
    """
    clips, confidence, right = reliability(probabilities, label).T
    return float(np.nansum(clips * np.abs(confidence - right)) / len(label))


def brier_score(probabilities: ndarray, label: ndarray) -> float:
    """Mean squared distance (0 to 2) between probabilities (N, n) and the true classes (N,)."""
    truth = np.eye(probabilities.shape[1])[label]
    return float(((probabilities - truth) ** 2).sum(axis=1).mean())


def fit_temperature(logits: ndarray, label: ndarray) -> float:
    """The temperature by which logits (N, n) are most likely to give the classes (N,).

    Guo et al. 2017, section 4.2. Logarithms of probabilities do as well as logits.
    """
    from scipy.optimize import minimize_scalar  # here: it takes longer to load than all of `score`

    def loss(log_temperature: float) -> float:
        probabilities = softmax(logits / np.exp(log_temperature))
        return -np.log(np.maximum(probabilities[np.arange(len(label)), label], 1e-12)).mean()

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))
