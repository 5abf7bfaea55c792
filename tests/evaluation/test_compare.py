"""Two sets of images, or files of their statistics, to numbers, words and a page."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.support.front import zeuxis
from tests.support.sabotage import breaks
from zeuxis.cli import terminal
from zeuxis.core.words import markup
from zeuxis.evaluation.compare import compare, statistics
from zeuxis.evaluation.sides import OF_SETS


def folder(path, n=40, seed=0, size=(12, 12), mode="RGB", suffix="png"):
    """Smooth random images, different for each seed."""
    path.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for i in range(n):
        small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        small.resize(size[::-1], Image.Resampling.BICUBIC).convert(mode).save(
            path / f"{i:03d}.{suffix}"
        )
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    root = tmp_path_factory.mktemp("pair")
    return folder(root / "made", seed=1), folder(root / "real", 60, seed=2)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Images too small for MS-SSIM."""
    root = tmp_path_factory.mktemp("small")
    return folder(root / "made", seed=1, size=(8, 8)), folder(root / "real", 60, 2, size=(8, 8))


def test_every_number_has_an_interval_a_receipt_and_a_place_on_the_page(pair, tmp_path):
    report = compare(*pair, out=tmp_path / "out")
    scores, estimates = report["scores"], report["estimates"]
    expected = {"frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage"}
    expected |= {"gaussian_kernel_distance", "sliced_wasserstein", "class_score", "diversity"}
    expected |= {
        "shift_detail",
        "shift_noise",
        "shift_brightness",
        "copy_rate",
        "kernel_distance_of_real",
    }
    assert expected - {"copy_rate"} <= set(scores)
    for name, estimate in estimates.items():
        low, high = estimate["interval"]
        assert low <= estimate["value"] <= high, name
        if not name.startswith(("copy", "exact")) and not name.endswith("_of_real"):
            assert estimate["receipt"]["fake_form"] == {"PNG": 1.0}
    assert estimates["frechet_distance"]["receipt"]["raw"] > scores["frechet_distance"]
    assert "upper bound" in estimates["frechet_distance"]["receipt"]["caution"]
    assert "FID" not in estimates["frechet_distance"]["receipt"]["statistic"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert (
        page.count("<img") >= 64
        and "Kernel distance" in page
        and "http" not in page.split("<body")[1]
    )
    assert json.loads((tmp_path / "out" / "report.json").read_text())["scores"] == scores


def test_equal_sets_are_praised_and_strange_ones_are_not(pair, tmp_path):
    same = compare(pair[1], pair[1], out=tmp_path / "same")
    assert same["findings"][0]["damage"] == "exact copies"
    blurred = tmp_path / "blurred"
    blurred.mkdir()
    for path in pair[1].iterdir():
        with Image.open(path) as image:
            image.resize((3, 3)).resize((12, 12), Image.Resampling.BICUBIC).save(
                blurred / path.name
            )
    other = compare(blurred, folder(tmp_path / "more", 60, seed=2), out=tmp_path / "out")
    assert other["findings"][0]["damage"] != "none"


@pytest.mark.parametrize(("n", "copied"), [(60, 1.0), (100, 1.0), (100, 0.5)])
def test_all_copies_are_found_and_only_they(tmp_path, n, copied):
    real, kept = folder(tmp_path / "real", n, seed=2), round(n * copied)
    made = folder(tmp_path / "made", n, seed=3)
    for path in sorted(real.iterdir())[:kept]:
        shutil.copy(path, made / path.name)
    report = compare(made, real, out=tmp_path / "out")
    rate = report["estimates"]["exact_copy_rate"]
    assert rate["value"] == copied and rate["receipt"]["searched"] == n
    share = f"All {n}" if copied == 1 else f"{kept} of {n}"
    assert report["words"][0] == f"{share} images are exact copies of images in real."
    if n >= 100:
        near = report["estimates"]["copy_rate"]
        assert copied <= near["value"] <= copied + 0.02
        assert near["receipt"]["train"] == n and "all others" in near["receipt"]["control"]


def test_a_statistics_file_stands_for_its_images(pair, tmp_path):
    made, real = pair
    direct = compare(made, real, out=tmp_path / "direct")
    ours = compare(made, statistics(real, tmp_path / "real.safetensors"), out=tmp_path / "ours")
    for name in ("frechet_distance", "kernel_distance", "coverage"):
        assert ours["scores"][name] == direct["scores"][name]
    foreign = compare(made, statistics(real, tmp_path / "real.npz"), out=tmp_path / "npz")
    raw = "raw"
    assert foreign["estimates"]["frechet_distance"]["receipt"][raw] == pytest.approx(
        direct["estimates"]["frechet_distance"]["receipt"][raw], rel=1e-6
    )
    assert list(foreign["scores"]) == ["frechet_distance"]
    assert any("does not say which network" in note for note in foreign["notes"])
    statistics(made, tmp_path / "made.npz")
    blind = compare(tmp_path / "made.npz", tmp_path / "real.npz", out=tmp_path / "blind")
    assert blind["estimates"]["frechet_distance"]["interval"] == [None, None]
    assert "Infinity" not in (tmp_path / "blind" / "report.json").read_text()
    stylegan = compare(statistics(made, tmp_path / "made.pkl"), real, out=tmp_path / "pkl")
    assert stylegan["scores"]["kernel_distance"] == direct["scores"]["kernel_distance"]


def reasons(report):
    """Each measure of two sets has a number or a reason; the reasons."""
    named = (*OF_SETS, "exact_copy_rate", "exact_repeat_rate", "copy_rate")
    told = [*report["scores"], *report["not_measured"]]
    assert not [name for name in named if not any(one.startswith(name) for one in told)]
    assert not set(report["scores"]) & set(report["not_measured"])
    return report["not_measured"]


FEW = "at least {} are needed".format


@breaks("metrics/__init__.py", "self.leave_out(why, *names)", "str(why)")
@breaks(
    "evaluation/compare.py",
    "found.leave_out(why, *names)\n        return None",
    "return None if why else None",
)
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            ("", ""),
            {
                "copy_rate": f"60 images to look among, {FEW(100)}",
                "frechet_infinity": f"40 images of made, {FEW(160)}",
                "diversity_within": "no class has enough images on both sides",
                "ms_ssim_diversity": "images of at least 11x11",
                "effective_classes": "made has no classes",
            },
        ),
        (("", "safetensors"), dict.fromkeys(("exact_copy_rate", "diversity"), "holds no images")),
        (("npz", ""), dict.fromkeys(("coverage", "repeat_rate", "shift"), "made")),
        (("", "npz"), dict.fromkeys(("kernel_distance", "different_bins", "copy_rate"), "real")),
        (("npz", "npz"), {"frechet_infinity": "moments", "kernel_distance_of_real": "moments"}),
    ],
)
def test_what_was_not_measured_has_a_reason(small, tmp_path, files, expected, capsys):
    sides = [
        statistics(one, tmp_path / f"{one.name}.{kind}") if kind else one
        for one, kind in zip(small, files, strict=True)
    ]
    report = compare(*sides, out=tmp_path / "out")
    told = reasons(report)
    for name, why in expected.items():
        assert why in told[name], name
    terminal.show_scores(report)
    words, page = capsys.readouterr().out, (tmp_path / "out" / "report.html").read_text()
    for why in set(told.values()):
        assert why in words and markup(why) in page
    assert "not_measured" in json.loads((tmp_path / "out" / "report.json").read_text())
    assert "No defect found:" not in words


def test_how_the_two_sides_were_stored_is_part_of_the_answer(tmp_path):
    png, jpeg = folder(tmp_path / "a", seed=1), folder(tmp_path / "b", seed=2, suffix="jpg")
    report = compare(png, jpeg, out=tmp_path / "out")
    assert any(
        "stored differently" in note and "JPEG, quality 75" in note for note in report["notes"]
    )
    assert report["estimates"]["coverage"]["receipt"]["real_form"] == {"JPEG, quality 75": 1.0}


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"mode": "L"}, "with 3 channels and other of 12x12 with 1; .*--channels"),
        ({"size": (16, 12)}, "12x12 with 3 channels and other of 16x12 .*--size"),
        ({"n": 5}, "other has 5 images; measuring needs at least 16"),
    ],
)
def test_sides_that_do_not_fit_get_one_sentence(pair, tmp_path, other, words):
    with pytest.raises(ValueError, match=words):
        compare(pair[0], folder(tmp_path / "other", **other), out=tmp_path / "out")


def test_constant_images_give_numbers_not_complaints(tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for i in range(20):
        Image.new("RGB", (12, 12), "teal").save(flat / f"{i}.png")
    report = compare(flat, folder(tmp_path / "real", seed=3), out=tmp_path / "out")
    assert np.isfinite(report["scores"]["frechet_distance"])
    assert compare(flat, flat, out=tmp_path / "same")["scores"][
        "frechet_distance"
    ] == pytest.approx(0, abs=1e-6)


def test_the_commands(pair, tmp_path, capsys):
    made, real = pair

    def said(*words):
        code = zeuxis(*words)
        return code, capsys.readouterr()

    code, words = said("statistics", real, tmp_path / "real.safetensors")
    assert code == 0 and "zeuxis compare GENERATED/" in words.out
    code, words = said("compare", made, tmp_path / "real.safetensors", "--out", tmp_path / "out")
    assert code == 0 and "Kernel distance" in words.out and "report.html" in words.out
    code, words = said("compare", made, tmp_path / "nowhere")
    assert code == 2 and "there is no" in words.err
    weights = ("--network", "inception", "--weights", tmp_path / "none.pth")
    code, words = said("compare", made, real, *weights)
    assert code == 2 and words.err.count("\n") == 1
    code, words = said("statistics", real, tmp_path / "real.txt")
    assert code == 2 and ".safetensors" in words.err
