"""Damaged real images are called by their damage; repeats are counted against real ones."""

import numpy as np
import pytest

from tests.support.kit import smooth
from tests.support.sabotage import breaks
from zeuxis.evaluation import diagnosis, sides
from zeuxis.features import Features, extractor
from zeuxis.metrics import Estimate, share
from zeuxis.metrics.damage import Pool, damage
from zeuxis.metrics.nearest import memorisation
from zeuxis.metrics.repeats import repeat_rate


def estimate(value, half=0.0):
    return Estimate(value=value, interval=(value - half, value + half), n=9, receipt={})


def named(**found):
    return [finding.damage for finding in diagnosis.findings(found)]


@pytest.fixture(scope="module")
def world():
    """Images of a colour network that sees 4x4 patches, judges, and training images."""
    pool = Pool(smooth(200, 1), None, smooth(200, 3))
    eye = extractor("efficientnet-lite0", size=32)
    return pool, eye, sides.look("judges", smooth(200, 2), eye)


def found_for(world, name, step):
    pool, eye, judge = world
    images = damage(name, pool, step) if step else pool.images_NHWC
    found = sides.distances(side := sides.look("made", images, eye), judge)
    for statistic, shift in sides.shifts(side.statistics, judge.statistics).items():
        found[f"shift_{statistic}"] = shift
    found["copy_rate"] = memorisation(images, pool.train_MHWC, judge.images).rate
    return found


@pytest.mark.parametrize("name", ["blur", "noise", "jpeg", "colour", "copies"])
def test_gross_damage_is_called_by_its_name(world, name):
    first = diagnosis.findings(found_for(world, name, 4))[0]
    assert first.damage == name and first.mood == "poor" and first.strength > 2


def test_real_images_are_not_accused(world):
    assert diagnosis.findings(found_for(world, "none", 0))[0].damage == "none"


@breaks(
    "evaluation/diagnosis.py", "low if low > 0 else high if high < 0 else 0.0", "estimate.value"
)
def test_chance_alone_accuses_nobody():
    assert named(kernel_distance=estimate(0.1, 0.2), shift_detail=estimate(-0.3, 0.3)) == ["none"]
    assert named(kernel_distance=estimate(0.1), shift_detail=estimate(-0.9, 0.3)) == ["blur"]
    assert named(copy_rate=estimate(0.03, 0.02)) == ["none"]


@breaks("evaluation/diagnosis.py", "-one.strength", "one.strength")
def test_the_strongest_evidence_comes_first():
    assert named(shift_detail=estimate(-0.5), shift_noise=estimate(9.0)) == ["noise", "blur"]


@breaks(
    "evaluation/diagnosis.py",
    "return max(1.0, rate / COPIED) if rate else 0.0",
    "return rate / COPIED",
)
def test_one_exact_copy_is_no_chance():
    def rate(count, n):
        return share(count, n, {"of": "training images", "different_images": n - count + 1})

    (one,) = diagnosis.findings({"exact_copy_rate": rate(1, 2000)})
    assert one.damage == "exact copies" and one.mood == "fair"
    assert one.sentence == "1 of 2,000 images is an exact copy of one of the training images."
    assert named(exact_copy_rate=rate(0, 60), kernel_distance=estimate(0)) == ["none"]
    assert named(exact_copy_rate=rate(60, 60), copy_rate=rate(60, 60)) == ["exact copies"]
    assert named(exact_copy_rate=rate(1, 60), copy_rate=rate(50, 60)) == ["copies", "exact copies"]
    assert named(exact_repeat_rate=rate(40, 60)) == ["collapse"]
    same = {"exact_repeat_rate": rate(40, 60), "exact_repeat_rate_of_real": rate(40, 60)}
    assert named(kernel_distance=estimate(0), **same) == ["none"]


@breaks("evaluation/diagnosis.py", "_praise(found, _unseen(left_out or {}))", "_praise(found, [])")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("copy_rate", "near-copies"),
        ("exact_copy_rate", "exact copies"),
        ("repeat_rate", "repeats"),
        ("coverage_of_real", "missing kinds"),
        ("effective_classes_hair", "missing classes"),
        ("shift", "blur"),
    ],
)
def test_praise_names_what_was_not_looked_for(name, words):
    good = {"kernel_distance": estimate(0), "kernel_distance_of_real": estimate(0)}
    (whole,), (part,) = diagnosis.findings(good), diagnosis.findings(good, {name: "too few images"})
    assert whole.mood == "good" and whole.sentence.startswith("No defect found:")
    assert part.mood == "fair" and "among those looked for" in part.sentence
    assert words in part.sentence.partition("Not looked for: ")[2]
    assert diagnosis.findings(good, {"bits_per_dim": "a gan scores no images"}) == [whole]
    (alone,) = diagnosis.findings({"kernel_distance": estimate(0)})
    assert "as other real images" not in alone.sentence


def test_missing_classes_are_named():
    found = {
        "effective_classes_kind": estimate(5, 0.1),
        "effective_classes_kind_of_real": estimate(10, 0.1),
        "rarest_kind": Estimate(
            value=0.0, interval=(0.0, 0.1), n=9, receipt={"missing": ["coat", "bag"]}
        ),
    }
    (finding,) = diagnosis.findings(found)
    assert finding.damage == "modes" and "coat (kind), bag (kind)" in finding.sentence


def test_without_labels_missing_kinds_show_as_coverage_that_precision_does_not_explain():
    real = {"coverage_of_real": estimate(0.97), "precision_of_real": estimate(0.9)}
    assert named(coverage=estimate(0.5), precision=estimate(0.9), **real) == ["modes"]
    assert named(coverage=estimate(0.5), precision=estimate(0.4), **real) == ["none"]


def test_what_differs_without_a_name_is_not_praised():
    far = {"kernel_distance": estimate(1.0, 0.1), "kernel_distance_of_real": estimate(0.0, 0.1)}
    assert named(**far) == ["unlike"]
    assert diagnosis.findings({"frechet_distance": estimate(1.0)})[0].mood == "fair"


@breaks("metrics/repeats.py", "near_N < limit", "near_N > limit")
def test_twins_are_counted_against_those_of_real_images():
    rng = np.random.default_rng(0)
    real = Features(rng.normal(size=(500, 4)).astype(np.float32), {})
    other = Features(rng.normal(size=(800, 4)).astype(np.float32), {})
    few = other.array[rng.integers(0, 20, 800)] + rng.normal(0, 1e-4, (800, 4)).astype(np.float32)
    rate = repeat_rate(other, real)
    assert rate.value < 0.05 and rate.n == 500
    assert repeat_rate(Features(few, {}), real).value > 0.98


@breaks("evaluation/diagnosis.py", "return mine.value / given.value", "return 0.0")
def test_a_translation_that_is_no_nearer_to_its_target_than_its_sources_has_failed():
    sources = {"kernel_distance_of_sources": estimate(0.2)}
    assert "untranslated" not in named(kernel_distance=estimate(0.19), **sources)
    found = diagnosis.findings({"kernel_distance": estimate(0.2), **sources})[0]
    assert (found.damage, found.mood) == ("untranslated", "poor")
    assert "(0.2)" in found.sentence
