"""A contest: each family gets the same minutes, and the page shows all that was measured."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from tests.support.front import pictures, workshop, zeuxis
from tests.support.sabotage import breaks
from zeuxis.training import contest


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("contest")
    with workshop(folder / "cache"):
        source = pictures(folder / "photos", 80, (8, 8), channels=1)
        words = ["--families", "gan,vae", "--minutes", "0.02", "--out", folder / "out"]
        assert zeuxis("compare-families", source, *words, "training.batch_size=8") == 0
        yield folder / "out", source


def test_the_page_shows_every_family_with_its_measures_and_costs(done):
    folder, _ = done
    page = (folder / "contest.html").read_text()
    for name in ("vae", "gan"):
        assert f"<h3>{name}</h3>" in page and f'href="{name}/report.html"' in page
        report = json.loads((folder / name / "report.json").read_text())
        assert all(row["value"] in page for row in report["rows"])
    assert "Bits/dim" in page or "Bits per dimension" in page
    for cost in ("Time of a sample", "Parameters", "First good samples after", "images/s"):
        assert cost in page
    assert not re.search(r"https?:", page.replace("http://www.w3.org", ""))


@breaks("training/contest.py", "entries.sort(", "sorted(entries, ")
def test_both_had_the_same_budget_and_the_best_comes_first(done):
    folder, _ = done
    result = json.loads((folder / "contest.json").read_text())
    distances = [one["scores"]["kernel_distance"] for one in result["families"].values()]
    assert distances == sorted(distances) and len(distances) == 2
    for name in ("vae", "gan"):
        assert json.loads((folder / name / "config.json").read_text())["minutes"] == 0.02


def test_the_picture_has_a_band_of_samples_for_each(done):
    folder, _ = done
    with Image.open(folder / "contest.png") as image:
        pixels = np.asarray(image)
    assert pixels.ndim == 3 and pixels.shape[0] < pixels.shape[1]
    assert pixels.std() > 10


@breaks("training/contest.py", 'line["step"]) / progress["steps"]', 'line["step"])')
def test_first_good_is_the_first_probe_below_the_threshold(tmp_path):
    lines = [{"step": 10, "kernel_distance": 3.0}, {"step": 20, "kernel_distance": 0.5}]
    text = "".join(json.dumps(line) + "\n" for line in [*lines, {"step": 40, "a": 1}])
    (tmp_path / "log.jsonl").write_text(text)
    facts = {"progress": {"steps": 40, "seconds": 100.0}}
    assert contest._first_good(tmp_path, facts, {contest.GOOD: 1.0}) == 50.0
    assert contest._first_good(tmp_path, facts, {contest.GOOD: 0.1}) is None
    assert contest._first_good(tmp_path, facts, {}) is None


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["--families", "gan,vea"], "did you mean 'vae'"),
        (["family.latent=3"], "of one family"),
        (["--minutes", "0"], "minutes is a positive number"),
    ],
)
def test_bad_input(words, sentence, done, tmp_path, capsys):
    assert zeuxis("compare-families", done[1], "--out", tmp_path / "x", *words) == 2
    assert sentence in capsys.readouterr().err
