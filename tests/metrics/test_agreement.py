"""Whole paths against torch-fidelity 0.4.0 and prdc 0.2, where they are installed (`make peers`)."""

import contextlib
import io

import numpy as np
import pytest
import torch

from benchmarks import agreement
from tests.support.peers import torch_fidelity
from zeuxis.features import Features
from zeuxis.metrics.frechet import frechet_distance
from zeuxis.metrics.inception_score import class_probability_score
from zeuxis.metrics.kernel import kernel_distance_subsets
from zeuxis.metrics.neighbours import neighbours


@pytest.mark.parametrize("count", [40, pytest.param(240, marks=pytest.mark.slow)])
def test_image_files_give_the_same_features_and_scores(tmp_path, monkeypatch, count):
    """Decoding, resize, network with random weights, distances; fewer images than features."""
    torch_fidelity()
    monkeypatch.setattr(agreement, "SHARD", 20)
    figures = agreement.run(tmp_path, "avatars", count)
    assert max(figures["features"].values()) <= 1e-5
    assert figures["holds"]


@pytest.fixture(scope="module")
def cached():
    """Features of 2,000 images a side, float64, and logits of them."""
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(64, 64)) / 8
    fake, real = (np.maximum(rng.normal(size=(2000, 64)) @ mix + by, 0) for by in (0.1, 0.0))
    return fake, real, rng.normal(size=(2000, 30)) * 2


def test_cached_features_of_2000_give_torch_fidelitys_numbers(cached):
    torch_fidelity()
    from torch_fidelity import metric_fid, metric_isc, metric_kid, metric_prc

    fake, real, logits = cached
    a, b = (torch.from_numpy(x) for x in (fake, real))
    x, y = Features(fake, {}), Features(real, {})
    statistics = [metric_fid.fid_features_to_statistics(side) for side in (a, b)]
    frechet = metric_fid.fid_statistics_to_metric(*statistics, False)
    expected = frechet["frechet_inception_distance"]
    assert frechet_distance(x, y, halves=False).raw == pytest.approx(expected, rel=1e-8)
    kernel = metric_kid.kid_features_to_metric(a, b, verbose=False)
    ours = kernel_distance_subsets(x, y)
    assert ours.mean == pytest.approx(kernel["kernel_inception_distance_mean"], rel=1e-8)
    assert ours.std == pytest.approx(kernel["kernel_inception_distance_std"], rel=1e-8)
    classes = metric_isc.isc_features_to_metric(torch.from_numpy(logits))
    score = class_probability_score(Features(logits, {}))
    assert score.score.value == pytest.approx(classes["inception_score_mean"], rel=1e-8)
    assert score.std == pytest.approx(classes["inception_score_std"], rel=1e-8)
    shares = metric_prc.prc_features_to_metric(a, b, prc_neighborhood=3, verbose=False)
    found = neighbours(x, y, 3)
    for name in ("precision", "recall"):  # theirs are float32 means of counts
        assert round(shares[name] * 2000) == round(getattr(found, name).value * 2000)


def test_cached_features_of_2000_give_prdcs_counts(cached):
    prdc = pytest.importorskip("prdc")
    fake, real, _ = cached
    with contextlib.redirect_stdout(io.StringIO()):
        expected = prdc.compute_prdc(real, fake, nearest_k=5)
    found = neighbours(Features(fake, {}), Features(real, {}), 5)
    for name in ("precision", "recall", "coverage"):
        assert getattr(found, name).value * 2000 == pytest.approx(expected[name] * 2000, abs=1e-6)
    assert found.density.value == pytest.approx(expected["density"], rel=1e-12)
