"""What a line through features tells of labels: a cheap look at whether images show what they are called.

Shapes: N images, M others, D features, K classes.
"""

import numpy as np

RIDGE = 1.0
"""Of the squared weights, beside features of mean square 1."""


def fitted(features_ND: np.ndarray, labels_N: np.ndarray, classes: int) -> np.ndarray:
    """(D + 1, K) weights that say how much an image looks like each class, by ridge regression.

    Args:
        features_ND: of images.
        labels_N: class of each, in [0, K).
        classes: K.
    """
    x_ND = _with_one(features_ND)
    goal_NK = np.eye(classes)[labels_N] - 1 / classes
    # N is smaller than D as a rule, so the N x N system is solved
    gram_NN = x_ND @ x_ND.T + RIDGE * x_ND.shape[1] * np.eye(len(x_ND))
    return np.asarray(x_ND.T @ np.linalg.solve(gram_NN, goal_NK))


def said(weights: np.ndarray, features_MD: np.ndarray) -> np.ndarray:
    """How much each image looks like each class, (M, K); the largest is the most likely class."""
    return np.asarray(_with_one(features_MD) @ weights)


def crossed(features_ND: np.ndarray, labels_N: np.ndarray, classes: int) -> np.ndarray:
    """What is said of each image by what was fitted to the other half of them, (N, K)."""
    even = np.arange(len(labels_N)) % 2 == 0
    said_NK = np.zeros((len(labels_N), classes))
    for half in (even, ~even):
        weights = fitted(features_ND[half], labels_N[half], classes)
        said_NK[~half] = said(weights, features_ND[~half])
    return said_NK


def right(said_NK: np.ndarray, labels_N: np.ndarray) -> float:
    """The share of images whose most likely class is theirs."""
    return float((said_NK.argmax(1) == labels_N).mean())


def by_chance(labels_N: np.ndarray, classes: int) -> float:
    """The share that would be right if labels were dealt out anew."""
    share_K = np.bincount(labels_N, minlength=classes) / len(labels_N)
    return float(np.square(share_K).sum())


def _with_one(features_ND: np.ndarray) -> np.ndarray:
    x_ND = features_ND.astype(np.float64)
    return np.concatenate([x_ND, np.ones((len(x_ND), 1))], 1)
