"""A line through features tells labels that they show, and no others."""

import numpy as np
import pytest

from tests.support.sabotage import breaks
from zeuxis.metrics import linear

CLASSES = 4


def images(count, seed, apart=3.0):
    """Features that show their labels as far as those are apart, and the labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    features = rng.normal(size=(count, 40))
    features[np.arange(count), labels] += apart
    return features.astype(np.float32), labels


@breaks("metrics/linear.py", "labels_N[half], classes", "labels_N[~half], classes")
@breaks("metrics/linear.py", ".argmax(1)", ".argmin(1)")
@breaks("metrics/linear.py", "said_NK[~half] = said(weights, features_ND[~half])", "pass")
def test_labels_that_features_show_are_told():
    features, labels = images(200, 0)
    others, expected = images(300, 1)
    weights = linear.fitted(features, labels, CLASSES)
    assert linear.right(linear.said(weights, others), expected) > 0.9
    assert linear.right(linear.crossed(features, labels, CLASSES), labels) > 0.85


def test_labels_that_nothing_shows_are_told_as_by_chance():
    features, labels = images(600, 0, apart=0.0)
    right = linear.right(linear.crossed(features, labels, CLASSES), labels)
    assert right == pytest.approx(linear.by_chance(labels, CLASSES), abs=0.06)


def test_chance_is_that_of_labels_dealt_out_anew():
    assert linear.by_chance(np.array([0, 0, 0, 1]), 2) == pytest.approx(0.625)


def test_more_images_than_features_are_fine():
    features, labels = images(500, 0)
    assert linear.fitted(features[:, :5], labels, CLASSES).shape == (6, CLASSES)
