"""The sentence a report opens with, and the command it ends with."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from tests.support.sabotage import breaks
from tests.test_docs import check
from zeuxis.core.pixels import enlarged, grid
from zeuxis.evaluation import diagnosis
from zeuxis.evaluation.report import Card
from zeuxis.evaluation.report.measures import cards
from zeuxis.evaluation.report.verdict import UNMEASURED, advised, verdict
from zeuxis.metrics import Estimate
from zeuxis.metrics.neighbours import expected_coverage

FACTS = {
    "family": "gan",
    "source": "my photos",
    "progress": {"seconds": 600.0},
    "command": "zeuxis train gan 'my photos' --seed 3 --steps 9 data.size=32 training.precision=float32",
}


def estimate(value, half=0.0):
    return Estimate(value=value, interval=(value - half, value + half), n=9, receipt={})


def card(mood):
    return Card(title="", value="", unit="", words="Far from real.", side="", mood=mood)


REAL = {"kernel_distance_of_real": estimate(0.0, 0.1)}
CASES = [
    ({"kernel_distance": estimate(0.0), **REAL}, "good", "good", "other real images: about 0"),
    ({"kernel_distance": estimate(0.0), **REAL}, "fair", "usable", "far from real"),
    ({"kernel_distance": estimate(0.0), **REAL}, "poor", "not yet", "far from real"),
    (
        {"kernel_distance": estimate(0.2), "shift_detail": estimate(-0.3)},
        "good",
        "usable",
        "fine detail is missing (kernel distance 0.2)",
    ),
    ({"kernel_distance": estimate(0.0), "copy_rate": estimate(0.9)}, "good", "not yet", "copies"),
    ({"frechet_distance": estimate(1.0)}, "good", "unknown", "too little was measured"),
    (
        {"kernel_distance": estimate(0.2), "shift_noise": estimate(9.0)},
        "poor",
        "not yet",
        "the images are noisy and far from real (kernel",
    ),
]


STYLES = [
    (
        0.001,
        0.4,
        "good",
        "1.0 % of the distance of the photos to the style is left and the photos can",
    ),
    (0.07, 0.4, "usable", "70 % of the distance"),
    (0.099, 0.4, "not yet", "hardly come nearer to the style"),
    (0.001, 0.2, "usable", "only large shapes of the photos are left"),
    (0.001, 0.0, "not yet", "nothing of the photos is left"),
]


GAINS = [
    (2.0, "good", "the originals are met better than without a network (+2.00 dB over bicubic"),
    (0.1, "unknown", "too few images"),
    (-2.0, "not yet", "nothing is gained"),
]


@breaks("evaluation/report/measures.py", "if low > 0 else", "if gain.value > 0 else")
@breaks("evaluation/report/verdict.py", 'if "gain" in found and cards:', "if False:")
@pytest.mark.parametrize(("value", "word", "why"), GAINS)
def test_images_made_again_are_good_if_something_is_gained(value, word, why):
    gain = Estimate(value=value, interval=(value - 1, value + 1), n=9, receipt={"over": "bicubic"})
    found = {"gain": gain, "kernel_distance": estimate(0.2), "shift_detail": estimate(-0.9)}
    found |= {"coverage": estimate(0.1), "coverage_of_real": estimate(1.0)}
    shown = list(cards(found))
    assert [one.title for one in shown] == ["Gain"]
    said = verdict(found, diagnosis.findings(found), shown)
    assert said.word == word and why in said.sentence


@breaks("evaluation/report/measures.py", "mine.interval[0] > best.interval[1]", "mine.value > 99")
@pytest.mark.parametrize(("value", "mood"), [(9.0, "poor"), (12.0, "fair"), (15.0, "good")])
def test_translations_are_good_if_they_are_nearer_than_the_best_baseline(value, mood):
    names = {"identity": 8.0, "regression": 12.0, "sample": 0.0, "point": value}
    found = {f"paired_psnr_of_{name}": estimate(psnr, 1.0) for name, psnr in names.items()}
    (shown,) = cards(found | {"coverage": estimate(0.1), "coverage_of_real": estimate(1.0)})
    assert shown.mood == mood and "a regression of colours: 12.0 dB" in shown.unit


@breaks("evaluation/report/verdict.py", "(style.mood, likeness.mood)", "(style.mood,)")
@breaks(
    "evaluation/report/measures.py",
    "mine.interval[1] >= photos.value",
    "mine.value >= photos.value",
)
@breaks("evaluation/report/verdict.py", "elif given.action == MILDER:", "elif False:")
@pytest.mark.parametrize(("left", "kept", "word", "why"), STYLES)
def test_a_style_is_good_if_it_is_near_and_the_photos_are_still_there(left, kept, word, why):
    found = {
        "style_distance": estimate(left, 0.002),
        "style_distance_of_real": estimate(0.1, 0.002),
        "edge_agreement": estimate(kept, 0.02),
    }
    said = verdict(found, [], list(cards(found)))
    assert said.word == word and why in said.sentence
    facts = {"family": "stylise", "source": "photos", "progress": {"seconds": 60}}
    command = advised(said, [], Path("runs/a"), facts).command
    assert ("family.strength=0.3" in command) == (left < 0.05 and kept < 0.3)


@breaks("evaluation/report/verdict.py", '"poor": "not yet", ', "")
@pytest.mark.parametrize(("found", "mood", "word", "why"), CASES)
def test_the_verdict_is_the_worst_of_all_and_says_by_what(found, mood, word, why):
    said = verdict(found, diagnosis.findings(found), [card(mood)])
    assert said.word == word and why in said.sentence
    assert said.sentence.lower().startswith(word) and said.sentence.endswith(".")


def covered(n, value, half):
    """Coverage of `n` samples, beside what as many other real images get."""
    receipt = {"fake": n, "real": n, "k": 5}
    interval = (max(0.0, value - half), min(1.0, value + half))
    real = expected_coverage(n, n, 5)
    return {
        "coverage": Estimate(value=value, interval=interval, n=n, receipt=receipt),
        "coverage_of_real": estimate(real, 0.02),
    }


@breaks("evaluation/report/measures.py", "low <= MOST_MISSING and high > FEW_MISSING", "False")
@breaks(
    "evaluation/report/measures.py", "if high > MOST_MISSING else", "if value > MOST_MISSING else"
)
@breaks("evaluation/report/verdict.py", '"open": "unknown", ', "")
@pytest.mark.parametrize(
    ("value", "half", "word"),
    [
        (0.97, 0.03, "good"),
        (0.7, 0.1, "usable"),
        (0.3, 0.1, "not yet"),
        (0.45, 0.2, "usable"),  # chance alone may have put it below a half
        (0.45, 0.45, "unknown"),
        (0.7, 0.3, "unknown"),
    ],
)
def test_a_coverage_that_could_be_anything_says_that_images_are_too_few(value, half, word):
    found = {"kernel_distance": estimate(0.0), **REAL, **covered(40, value, half)}
    found["kernel_distance"].receipt.update(fake=40, real=80)
    said = verdict(found, [], list(cards(found)))
    assert said.word == word
    assert ("too few images to tell" in said.sentence) == (word == "unknown")
    folder = Path("run")
    if word == "unknown":
        assert advised(said, [], folder, FACTS).command.startswith("zeuxis evaluate run --data")
        found["kernel_distance"].receipt.update(real=40)  # more samples would tell no more
        said = verdict(found, [], list(cards(found)))
        assert advised(said, [], folder, FACTS).command.startswith("zeuxis sample run")


@pytest.mark.parametrize(
    ("word", "damage", "expected"),
    [
        ("good", (), "zeuxis sample 'runs/a b' --count"),
        ("usable", (), "--from 'runs/a b' --minutes 20 --out 'runs/a b-longer' data.size=32"),
        ("not yet", ("copies",), "--minutes 20 --out 'runs/a b-augmented' data.size=32 data.flip"),
        ("unknown", (), "zeuxis evaluate 'runs/a b' --data 'my photos'"),
    ],
)
def test_what_to_do_next_is_a_command_that_parses(word, damage, expected):
    found = {"copy_rate": estimate(0.9)} if damage else {"kernel_distance": estimate(0.0)}
    given = UNMEASURED.__class__(word=word, sentence="")
    said = advised(given, diagnosis.findings(found), Path("runs/a b"), FACTS)
    assert said.action and expected in said.command and "precision" not in said.command
    check(shlex.split(said.command)[1:])


@breaks("evaluation/report/verdict.py", "elif rate:", "elif False:")
def test_a_rate_that_the_doctor_had_to_lower_is_not_advised_again(tmp_path):
    rows = [{"step": 1, "action": "set", "knob": "lr", "value": value} for value in (0.1, 0.0125)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    facts = {
        **FACTS,
        "training": {"lr": 1.0},
        "command": "train gan photos training.lr=1 data.size=32",
    }
    given = UNMEASURED.__class__(word="not yet", sentence="")
    said = advised(given, [], tmp_path, facts)
    assert "data.size=32 training.lr=0.013" in said.command and "--from" not in said.command
    assert "lr=1 " not in said.command and "doctor" in said.action
    check(shlex.split(said.command)[1:])


@breaks("evaluation/report/verdict.py", "if folder.is_absolute()", "if False")
def test_no_command_of_a_report_names_a_folder_of_the_machine():
    given = UNMEASURED.__class__(word="usable", sentence="")
    command = advised(given, [], Path("/home/me/secret/run"), FACTS).command
    assert "--from run --minutes 20 --out run-longer" in command and "/" not in command


def test_a_command_that_cannot_be_typed_is_left_out():
    facts = {**FACTS, "source": "photos\x1b[2J"}
    assert advised(UNMEASURED, [], Path("run"), facts).command == ""


@breaks("core/pixels.py", "max(1, -(-least", "max(1, (least")
@pytest.mark.parametrize(("side", "shown"), [(16, 540), (28, 693), (64, 519), (600, 600 * 8 + 7)])
def test_sheets_are_enlarged_by_a_whole_factor_to_512_pixels(side, shown):
    plain = grid(np.random.default_rng(0).integers(0, 256, (8, side, side, 3), np.uint8), columns=8)
    sheet = enlarged(plain)
    factor = sheet.shape[1] // plain.shape[1]
    assert sheet.shape[1] == shown and max(sheet.shape) >= 512
    np.testing.assert_array_equal(sheet[::factor, ::factor], plain)
