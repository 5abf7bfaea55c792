import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.kit import build, changed
from tests.support.sabotage import breaks
from zeuxis import data, families
from zeuxis.core.log import happenings
from zeuxis.core.pixels import grid, save_png
from zeuxis.core.settings import Data
from zeuxis.evaluation import evaluate, probe, report, shown, sides
from zeuxis.evaluation.report import charts, training
from zeuxis.evaluation.report.charts import curve, ladder
from zeuxis.features import Features
from zeuxis.features.foreign import of_module
from zeuxis.inference.model import Model
from zeuxis.inference.results import Images
from zeuxis.training import looking


@pytest.fixture(autouse=True)
def cheap_features(monkeypatch):
    """Pixels stand in for the network, which has tests of its own."""

    def flat(x_BCHW):
        return x_BCHW.flatten(1)[:, ::3]

    pixels = of_module(flat, 8, "float32")

    def features(images, progress=None):
        if progress:
            progress(1, 1)
        return Features(pixels(images)[pixels.taps[0]].numpy(), {"by": "pixels"})

    for module in (evaluate, probe):
        monkeypatch.setattr(module, "features", features)
    monkeypatch.setattr(evaluate, "extractor", lambda network: pixels)
    monkeypatch.setattr(evaluate, "CLASSIFIER_STEPS", 2)


def toy(n, seed):
    """Random pictures whose brightness is their label."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    return (rng.integers(0, 90, (n, 8, 8, 3)) + 80 * labels[:, None, None, None]).astype(
        np.uint8
    ), labels


def make_set(folder, n, holdout=None):
    images, labels = toy(n, 0)
    np.savez(folder / "toy.npz", images=images, labels=labels)
    return data.prepare(folder / "toy.npz", folder / "prepared", Data(holdout=holdout))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("toy"), 420, 256)


class Replay(Model):
    """A trained model that draws the images it is given."""

    def __init__(self, folder, images, prepared, **facts):
        content = {"family": "vae", "dataset": prepared.facts, "dataset_hash": prepared.hash}
        config = {"height": 8, "width": 8, "channels": 3, "conditions": prepared.conditions}
        config = changed(families.get("vae").TINY, **config)
        super().__init__(families.build("vae", config), {**content, **facts}, folder)
        self.replayed, self.rows = images, np.arange(len(images))

    def sample(self, count, seed=0, *, labels=None, progress=None, **controls):
        drawn = self.replayed[np.arange(count) % len(self.replayed)]
        return Images(images=drawn, labels=toy(count, 9)[1][:, None])


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def test_the_report_holds_what_it_promises_and_asks_nobody(prepared, tmp_path):
    lines = [{"step": s, "main/total": 2.0 / s, "main/kl": s} for s in range(20, 200, 20)]
    lines.insert(4, {"step": 90, "kernel_distance": 1.5})
    log = "\n".join(json.dumps(line) for line in lines) + '\n{"step": 200, "main/tot'
    (tmp_path / "log.jsonl").write_text(log)
    for step in range(10, 130, 10):
        save_png(tmp_path / "samples" / f"step-{step:08d}.png", grid(toy(64, step)[0], columns=8))
    told = []
    model = Replay(
        tmp_path, toy(64, 9)[0], prepared, machine={"processor": "<b>fast</b>", "threads": 2}
    )
    result = evaluate.evaluate(
        model, prepared, samples=64, progress=lambda done, total: told.append((done, total))
    )
    assert json.loads((tmp_path / "report.json").read_text())["scores"] == result["scores"]
    assert result["report"] == str(tmp_path / "report.html")
    for name, estimate in result["estimates"].items():
        low, high = estimate["interval"]
        assert low <= result["scores"][name] <= high and estimate["n"] > 0
        assert estimate["receipt"]["side"]
    assert told[-1] == (100, 100) and told == sorted(told)

    shown = json.loads((tmp_path / "report.json").read_text())["shown"]
    side, _ = shown["size"]
    with Image.open(tmp_path / "report-tiles.png") as tiles:
        assert tiles.size == (8 * side, 8 * side) and shown["tiles"] == 64
    count = len(shown["near"])
    assert len(shown["real"]) == 8 and count > 8 and shown["nearest"] == 3
    with Image.open(tmp_path / "report-near.png") as near:
        rows = np.asarray(near).reshape(count, side, 4, side, -1).swapaxes(1, 2)
    training = {image.tobytes() for image in prepared.images[prepared.train]}
    assert all(one.tobytes() in training for one in rows[:, 1:].reshape(3 * count, side, side, -1))

    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    assert not re.search(r"https?:|url\(|@import|//cdn", text)
    assert all(one["src"].startswith("data:image/png;base64,") for one in page.all("img"))
    assert not page.all("link") and not [one for one in page.all("script") if "src" in one]
    tiles = [one for one in page.all("button") if "aria-pressed" in one]
    assert len(tiles) == 64 and sum("data-real" in one for one in tiles) == 8
    assert len(page.all("polyline")) == 2 * 2, (
        "a curve and its mean for each loss; one point is none"
    )
    assert text.count("<figcaption>step ") == 8 and "step 120" in text
    assert "<b>fast</b>" not in text and "&lt;b&gt;fast" in text
    assert "Only 128 of 256 held-out images were used" in text and "hold-out" in text


def test_the_folder_of_a_model_that_is_gone_is_not_made_again(prepared, tmp_path):
    class Gone(Replay):
        def sample(self, *args, **values):
            self.folder.rmdir()
            return super().sample(*args, **values)

    (tmp_path / "run").mkdir()
    with pytest.raises(OSError, match="run was deleted or moved while it was measured"):
        evaluate.preview(Gone(tmp_path / "run", toy(64, 9)[0], prepared), prepared)
    assert not (tmp_path / "run").exists()


def test_the_real_ones_are_where_the_page_says(prepared):
    real, fake = toy(8, 1)[0], toy(56, 2)[0]
    tiles, places = evaluate.hide(real, fake)
    assert len(tiles) == 64 and len(places) == 8
    assert {tiles[i].tobytes() for i in places} == {one.tobytes() for one in real}


@breaks("evaluation/evaluate.py", "min(2 * samples, REFERENCES_MOST)", "REFERENCES_MOST")
def test_figures_are_the_same_with_a_time_limit_and_without(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "CLASSIFIER_STEPS", 1)
    model = Replay(tmp_path, toy(16, 9)[0], prepared)
    free, timed = (
        evaluate.evaluate(model, prepared, samples=16, seconds=seconds)["estimates"]
        for seconds in (None, 3600)
    )
    assert free["kernel_distance"] == timed["kernel_distance"]
    assert timed["kernel_distance"]["receipt"]["real"] == 32


def test_a_memoriser_is_found_out(prepared, tmp_path):
    seen = prepared.images[prepared.train[:100]]
    result = evaluate.evaluate(Replay(tmp_path, seen, prepared), prepared, samples=100)
    assert result["scores"]["copy_rate"] == 1
    assert "has memorised training images" in (tmp_path / "report.html").read_text()


def test_a_few_samples_are_held_against_all_training_images(tmp_path):
    small = make_set(tmp_path, 60)
    given = np.concatenate([small.images[:5], toy(5, 9)[0]])
    result = evaluate.evaluate(Replay(tmp_path, given, small), small, samples=10)
    assert result["scores"]["exact_copy_rate"] == 0.5
    assert result["words"][0] == "5 of 10 images are exact copies of training images."
    told = result["not_measured"]
    assert "10 images on a side, at least 16 are needed" in told["coverage"]
    assert set(sides.OF_FEATURES) - {"kernel_distance"} <= set(told)


def test_new_real_images_pass(prepared, tmp_path):
    new = toy(200, 5)[0]
    result = evaluate.evaluate(Replay(tmp_path, new, prepared), prepared, samples=200)
    assert result["scores"]["copy_rate"] <= 0.05
    low, high = result["estimates"]["kernel_distance"]["interval"]
    assert low <= 0.01 and high >= -0.01
    assert any("As close to real images as other real images" in w for w in result["words"])
    noise = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 3), np.uint8)
    worse = evaluate.evaluate(Replay(tmp_path, noise, prepared), prepared, samples=200)
    assert worse["scores"]["kernel_distance"] > 5 * abs(result["scores"]["kernel_distance"])


def test_labels_that_are_right_teach_and_wrong_ones_do_not(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "CLASSIFIER_STEPS", 15)
    right = evaluate.evaluate(Replay(tmp_path, toy(200, 9)[0], prepared), prepared, samples=200)
    wrong = evaluate.evaluate(Replay(tmp_path, toy(200, 8)[0], prepared), prepared, samples=200)
    name = next(
        name for name in right["scores"] if name.startswith("taught_") and "real" not in name
    )
    assert right["scores"][name] > 0.9 > 0.6 > wrong["scores"][name]
    assert right["scores"][f"{name}_by_real"] > 0.9


@breaks("evaluation/evaluate.py", "0 < len(chosen.holdout) < 1 / QUANTILE <= len(train)", "False")
@breaks("evaluation/sides.py", "count < REFERENCES", "count > REFERENCES")
def test_a_small_hold_out_says_so_beside_each_distance_and_is_no_measure_of_copies(tmp_path):
    small = make_set(tmp_path, 260)
    assert len(small.holdout) == 39
    result = evaluate.evaluate(Replay(tmp_path, toy(64, 9)[0], small), small, samples=64)
    of = {row["title"]: row["interval"] for row in result["rows"]}
    assert of["Kernel distance"].endswith(", few references")
    assert "few" not in of["Coverage: real images with a sample nearby"]
    assert "few references" in result["verdict"]["sentence"]
    copied = result["estimates"]["copy_rate"]["receipt"]
    assert copied["train"] == 221 and copied["holdout"] == 221


@breaks(
    "evaluation/evaluate.py",
    'found.leave_out(why if len(chosen.holdout) else NO_HOLDOUT, "copy_rate")',
    "pass",
)
def test_of_very_few_images_it_is_not_known_what_a_copy_is(tmp_path):
    small = make_set(tmp_path, 8)
    result = evaluate.evaluate(Replay(tmp_path, toy(30, 9)[0], small), small, samples=30)
    assert "there is no hold-out" in result["not_measured"]["copy_rate"]


@breaks("evaluation/evaluate.py", "few |= not len(chosen.holdout)", "few |= False")
@breaks("evaluation/diagnosis.py", "rate.interval[0] - exact) / max(", "0.0 * exact) / max(")
def test_copies_of_few_images_are_found_without_a_hold_out(tmp_path):
    small = make_set(tmp_path, 20)
    close = np.clip(small.images[np.arange(40) % 20].astype(int) + 2, 0, 255).astype(np.uint8)
    result = evaluate.evaluate(Replay(tmp_path, close, small), small, samples=40)
    assert result["estimates"]["copy_rate"]["receipt"]["quantile"] == 1 / 20
    assert "copies" in [each["damage"] for each in result["findings"]]
    assert "near-copies" in result["verdict"]["sentence"]


def test_without_a_hold_out_the_report_says_so(tmp_path):
    small = make_set(tmp_path, 60)
    result = evaluate.evaluate(Replay(tmp_path, toy(30, 9)[0], small), small, samples=30)
    told = result["not_measured"]
    assert "copies" not in [each["damage"] for each in result["findings"]]
    assert result["scores"]["exact_copy_rate"] == 0
    assert "does not reconstruct" not in told.get("psnr", "") and "11x11" in told["ssim"]
    assert all("at least 50 are needed" in why for name, why in told.items() if "taught" in name)
    assert any("taught" in name for name in told)
    assert result["estimates"]["kernel_distance"]["receipt"]["side"].startswith("train")
    assert "too few images for a hold-out" in (tmp_path / "report.html").read_text()


def test_other_data_is_noted_and_other_shapes_are_refused(prepared, tmp_path):
    model = Replay(tmp_path, toy(20, 9)[0], prepared, dataset_hash="abc")
    assert "trained on other data" in evaluate.evaluate(model, prepared, samples=20)["notes"][0]
    with pytest.raises(ValueError, match="draw at least 8"):
        evaluate.evaluate(model, prepared, samples=3)
    model.family.config = model.family.config.model_copy(update={"width": 10})
    with pytest.raises(ValueError, match="makes 8x10 images with 3 channels and toy has 8x8"):
        evaluate.evaluate(model, prepared)


@breaks("evaluation/probe.py", "dataclasses.field(compare=False)", "dataclasses.field()")
@breaks("evaluation/probe.py", "prepared.hash, max(count", '"", max(count')
def test_the_probe_reads_training_images_only_and_keeps_their_features(
    prepared, tmp_path, monkeypatch
):
    calls = []
    probe._learned.cache_clear()
    inner = probe.features
    monkeypatch.setattr(
        probe, "features", lambda pixels: calls.append(len(pixels)) or inner(pixels)
    )
    score = probe.probe(prepared, 32)
    good, bad = score(toy(32, 3)[0]), score(np.zeros((32, 8, 8, 3), np.uint8))
    assert good["kernel_distance"] < bad["kernel_distance"]
    assert calls == [len(prepared.train), 32, 32] or calls == [32, len(prepared.train), 32]
    assert score(toy(2, 3)[0]) == {}
    again = probe.probe(data.open_prepared(prepared.folder), 32)
    assert again(toy(32, 3)[0]) == good and len(calls) == 4  # the same set is not looked at again
    np.savez(tmp_path / "other.npz", images=np.asarray(prepared.images)[:, ::-1])
    other = data.prepare(tmp_path / "other.npz", tmp_path / "other")
    assert probe.probe(other, 32)(toy(32, 3)[0]) != good and len(calls) == 6


def test_charts_survive_odd_numbers():
    assert curve("one point", [1], [2.0]) == "" == curve("none", [], [])
    flat = curve("flat <loss>", [1, 2, 3], [0.0, float("nan"), 0.0])
    assert "&lt;loss&gt;" in flat and "nan" not in flat
    many = curve("many", range(5000), np.sin(np.arange(5000)).tolist())
    assert len(many) < 20_000 and "step 4,999" in many
    for wild in (8.7e27, -2.2e15, 123456.0, 99999.7, 3e-12):  # labels hold no more characters
        assert len(charts.number(wild)) <= 7 and "e" in charts.number(wild)
    marked = curve("marked", [1, 2, 3], [1.0, 2.0, 3.0], marks=[2, 9])
    assert marked.count('class="mark"') == 1
    drawn = ladder([("this model", -0.1, "model"), ("real", 0.0, "reference")], (-0.2, -0.01))
    assert "nan" not in drawn and drawn.count("<circle") == 2


@breaks("evaluation/report/__init__.py", "happenings[:MOST_SAID]", "[]")
@breaks("evaluation/report/training.py", 'if "action" not in line else ()', "")
@breaks("core/log.py", "said in found[-1][1]", "False")
def test_what_the_doctor_found_and_did_stands_above_the_curves():
    log = [
        {"step": 2, "main/total": 1.0},
        {"step": 3, "finding": "not finite", "evidence": "a <loss> is nan"},
        {"step": 3, "by": "doctor", "action": "set", "knob": "limit/main", "why": ""},
        {"step": 3, "by": "doctor", "action": "rollback", "before": 2, "why": "a <loss> is nan"},
        {"step": 2, "by": "doctor", "action": "set", "knob": "lr", "value": 0.5, "why": "slower"},
        {"step": 4, "main/total": 1.0},
    ]
    said = happenings(log)
    assert said == [(3, "not finite: a <loss> is nan"), (3, "went back"), (2, "slower")]
    assert happenings(log[-2:-1]) == [(2, "slower")] and happenings([]) == []
    assert happenings([{"step": 5, "action": "stop", "why": "no gain"}]) == [
        (5, "ended the run: no gain")
    ]
    page = report._curves(training.curves(log), said)
    assert page.count("<figure") == 1  # the value that a knob was given is no curve
    assert "Step 3: not finite: a &lt;loss&gt; is nan" in page and 'class="mark"' in page
    assert "log.jsonl" in report._curves(training.curves(log), said * 20)
    assert "<ul>" not in report._curves(training.curves(log), [])


@pytest.fixture(scope="module")
def restyled(tmp_path_factory):
    """A model that is to give all images the style of one, on a set without classes."""
    folder = tmp_path_factory.mktemp("restyled")
    np.savez(folder / "photos.npz", images=toy(120, 0)[0])
    photos = data.prepare(folder / "photos.npz", folder / "prepared", Data(holdout=40))
    model = build("stylise")
    model.style.copy_(
        torch.from_numpy(toy(1, 5)[0][0].repeat(32, 0).repeat(32, 1)).permute(2, 0, 1)
    )
    content = {"family": "stylise", "dataset": photos.facts, "dataset_hash": photos.hash}
    return Model(model, content, folder), photos


@breaks(
    "evaluation/evaluate.py",
    "if exemplar_of(model.family) is not None:\n        return",
    "if 0:\n        return",
)
@breaks("evaluation/evaluate.py", "found.take(styled(made, exemplar, chosen.side))", "pass")
@breaks(
    "evaluation/by_image.py",
    "both = made.images, made.sources",
    "both = made.sources, made.sources",
)
def test_what_has_the_style_of_one_picture_is_measured_against_that_picture(restyled, tmp_path):
    model, photos = restyled
    result = evaluate.evaluate(model, photos, samples=40, out=tmp_path)
    assert set(result["scores"]) == {"style_distance", "style_distance_of_real", "edge_agreement"}
    assert result["scores"]["style_distance"] != result["scores"]["style_distance_of_real"]
    for name in ("kernel_distance", "coverage", "copy_rate", "taught"):
        assert "not meant to look like real ones" in result["not_measured"][name]
    assert not result["findings"]
    assert result["verdict"]["word"] in ("good", "usable", "not yet")
    page = Page((tmp_path / "report.html").read_text())
    assert not [one for one in page.all("button") if "aria-pressed" in one]
    assert [one for one in page.all("img") if "style" in one["alt"]]


@breaks("training/looking.py", "exemplar_of(average)", "None")
def test_the_probe_of_such_a_model_is_its_distance_to_the_style(restyled):
    model, photos = restyled
    look = looking.probe(looking.Drawing(photos, model.facts, "float32"))
    score = look(model.family, 0, lambda: None)
    assert set(score) == {"style_distance"} and 0 < score["style_distance"] < 1


@breaks("evaluation/drawn.py", "stored.holdout if held and", "stored.train if held and")
def test_sheets_show_what_is_held_out_and_probes_do_not(restyled):
    model, photos = restyled
    assert len(photos.holdout) >= 8
    shown, probed = (
        looking.Drawing(photos, model.facts, "float32")(model.family, 8, lambda: None, held)
        for held in (True, False)
    )
    held = {photos.images[row].tobytes() for row in photos.holdout}
    assert all(source.tobytes() in held for source in shown.sources)
    assert not any(source.tobytes() in held for source in probed.sources)


@breaks(
    "evaluation/shown.py", "linear.right(said_NK, asked) - linear.by_chance(asked, classes)", "0.0"
)
@breaks("evaluation/shown.py", "(sum_KD / count_K[:, None])[class_N]", "x_ND.mean(0)")
def test_a_probe_says_whether_samples_show_their_labels():
    """Features are two numbers: which class an image is of, and noise."""
    rng = np.random.default_rng(0)

    def made(labels_N, apart):
        return np.stack([apart * labels_N, rng.normal(size=len(labels_N))], 1).astype(np.float32)

    known_MA, asked_NA = rng.integers(0, 2, (400, 1)), rng.integers(0, 2, (200, 1))
    real = made(known_MA[:, 0], 9.0)

    def scores(known_MA, mine_ND):
        return shown.scores([*shown.columns(real, known_MA)], mine_ND, asked_NA)

    good = scores(known_MA, made(asked_NA[:, 0], 9.0))
    assert good["labels_told"] > 0.4 and good["labels_shown"] > 0.9
    assert 0.8 < good["variety_of_a_class"] < 1.2
    one_each = np.stack([9.0 * asked_NA[:, 0], np.zeros(200)], 1).astype(np.float32)
    assert scores(known_MA, one_each)["variety_of_a_class"] < 1e-6
    blind = scores(known_MA, made(rng.integers(0, 2, 200), 9.0))
    assert abs(blind["labels_shown"]) < 0.2 and blind["labels_told"] == good["labels_told"]
    assert abs(scores(rng.permutation(known_MA), real[:200])["labels_told"]) < 0.1
    assert scores(known_MA - 9, real[:200]) == {}  # none is known
    assert scores(np.arange(400)[:, None], real[:200]) == {}  # an image a class
