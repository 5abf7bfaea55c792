"""Translations of pairs beside baselines, on sets that are made so that the answers are known."""

import numpy as np
import pytest

from tests.support.front import workshop, zeuxis
from tests.support.sabotage import breaks
from zeuxis import data
from zeuxis.core.pixels import save_png
from zeuxis.core.settings import Data
from zeuxis.evaluation import by_image, evaluate, paired
from zeuxis.evaluation.allowance import Allowance
from zeuxis.evaluation.diagnosis import findings
from zeuxis.evaluation.report.translated import Strip, section
from zeuxis.features import Features
from zeuxis.features.foreign import of_module
from zeuxis.metrics import Estimate

SIDE = 8
TINY = ["family.widths=8,8", "training.batch_size=8", "--threads", "1", "--steps", "2"]


def pictures(count, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, SIDE, SIDE, 3)).astype(np.uint8)


def changed(image):
    """What a regression on channels, squares and products can say exactly, but for rounding."""
    x = image.astype(float) / 255
    return np.rint(255 * np.stack([x[..., 1], x[..., 0] * x[..., 2], 1 - x[..., 0] ** 2], -1))


def near(a, b):
    return np.abs(a.astype(float) - b).mean((1, 2, 3)) / 255


@pytest.fixture(scope="module", autouse=True)
def small(tmp_path_factory):
    """Pixels stand in for the networks of features."""
    pixels = of_module(lambda x_BCHW: x_BCHW.flatten(1)[:, ::3], SIDE, "float32")
    features = lambda images: Features(pixels(images)[pixels.taps[0]].numpy(), {})  # noqa: E731
    with workshop(tmp_path_factory.mktemp("cache")), pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "features", features)
        patch.setattr(evaluate, "extractor", lambda network: pixels)
        patch.setattr(by_image, "perceptual_distance", near)
        patch.setattr(paired, "perceptual_distance", near)
        patch.setattr(paired, "features", features)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    for side, count in (("train", 40), ("test", 36)):
        for i, image in enumerate(pictures(count, count)):
            save_png(folder / side / "A" / f"{i}.png", image, sync=False)
            partner = changed(image).astype(np.uint8)
            save_png(folder / side / "B" / f"{i}.png", partner, sync=False)
    return folder


@breaks("evaluation/paired.py", "family.POINT)", "{})")
@breaks("evaluation/evaluate.py", "paired=section(found, true.strips)", 'paired=""')
@breaks(
    "evaluation/diagnosis.py", 'return POOR if "paired_margin"', 'return 1.0 if "paired_margin"'
)
def test_a_model_with_variety_is_measured_by_point_mean_and_sample(folder, tmp_path):
    words = ["family.detail=4", "family.embedding=16", *TINY]
    assert zeuxis("train", "palette", folder, *words, "--out", tmp_path / "run") == 0
    report = evaluate.evaluate(tmp_path / "run", data.ensure(folder, Data(), translates=True), 16)
    scores = report["scores"]
    rows = ("identity", "regression", "retrieval", "point", "mean", "sample")
    for measure in ("psnr", "perceptual", "kernel"):
        assert all(f"paired_{measure}_of_{row}" in scores for row in rows)
    psnr = {row: scores[f"paired_psnr_of_{row}"] for row in rows}
    assert psnr["regression"] > 40 > psnr["mean"] > psnr["sample"] and psnr["point"] != psnr["mean"]
    assert scores["spread"] > 1 and 0 < scores["within_samples"] < 1
    assert scores["paired_margin"] < 0
    said = " ".join(one["sentence"] for one in report["findings"])
    assert "a regression of colours is (" in said and "no variety" not in said
    assert (
        next(one for one in report["findings"] if "a regression" in one["sentence"])["mood"]
        == "poor"
    )
    page = (tmp_path / "run" / "report.html").read_text()
    for words in (
        "Best and worst",
        "one sample",
        "spread",
        "one more sample",
        "identity: the source",
    ):
        assert words in page


def test_a_model_of_one_answer_is_measured_by_it(folder, tmp_path):
    assert zeuxis("train", "pix2pix", folder, *TINY, "--out", tmp_path / "run") == 0
    prepared = data.ensure(folder, Data(), translates=True)
    scores = evaluate.evaluate(tmp_path / "run", prepared, 16)["scores"]
    assert "paired_psnr_of_sample" in scores and "paired_psnr_of_retrieval" in scores
    assert "paired_psnr_of_point" not in scores and "spread" not in scores


@breaks(
    "evaluation/evaluate.py", "held, costs, allowance, part(0", "held, costs, Allowance(0), part(0"
)
def test_nearness_to_the_truth_is_measured_while_there_is_time(folder, tmp_path, monkeypatch):
    assert zeuxis("train", "pix2pix", folder, *TINY, "--out", tmp_path / "run") == 0

    def spent(model, prepared, asked, allowance, costs):
        allowance._end = 0.0
        return 16

    monkeypatch.setattr(evaluate, "_affordable", spent)
    prepared = data.ensure(folder, Data(), translates=True)
    report = evaluate.evaluate(tmp_path / "run", prepared, 16, seconds=1000.0)
    assert "paired_psnr_of_sample" in report["scores"]
    assert "no time left" in report["not_measured"]["translation_psnr"]


def test_no_time_is_a_reason():
    spent = Allowance(0.0)
    assert paired._count(100, 9, 100, (0.1, 0.1), spent) == 0
    assert paired._count(100, 9, 100, (0.1, 0.1), Allowance(None)) == 100
    assert paired._count(100, 9, 2**24, (0.1, 0.1), Allowance(None)) == 16
    timed = Allowance(100.0)
    assert paired._count(1000, 9, 100, (0.1, 0.0), timed) == 32


@breaks("evaluation/diagnosis.py", 'found["spread"].value == 0', "False")
def test_samples_that_do_not_differ_are_a_failure_in_words():
    known = Estimate(value=0.0, interval=(0.0, 0.0), n=9, receipt={})
    (found,) = findings({"spread": known})
    assert found.damage == "no variety" and found.mood == "poor"
    assert "do not differ" in found.sentence


def test_strips_show_all_that_belongs_to_a_source():
    estimate = Estimate(value=1.0, interval=(0.5, 1.5), n=9, receipt={})
    found = {f"paired_{m}_of_identity": estimate for m in ("psnr", "perceptual", "kernel")}
    image = np.zeros((4, 4, 1), np.uint8)
    strip = Strip(kind="worst", images={"source": image, "<truth>": image}, distance=2.5)
    page = section(found, [strip])
    assert (
        "1.00 ± 0.50" in page
        and "2.5" in page
        and "&lt;truth&gt;" in page
        and "<truth>" not in page
    )
    assert section({}, [strip]) == ""
