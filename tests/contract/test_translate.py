"""A family that only translates, in a file of its own: train, sheet, evaluate and translate, by commands."""

import numpy as np
import pytest

from tests.support.front import workshop, zeuxis
from tests.support.one_ability import in_table
from tests.support.sabotage import breaks
from tests.support.toy import Toy
from zeuxis import data, load
from zeuxis.core.files import read_json
from zeuxis.core.pixels import save_png
from zeuxis.core.settings import Data
from zeuxis.data.pictures import picture
from zeuxis.evaluation import by_image, evaluate, paired
from zeuxis.evaluation.drawn import above
from zeuxis.features import Features
from zeuxis.features.foreign import of_module
from zeuxis.metrics.similarity import psnr

SIDE = 16
PAIRS = {"grey": (1, SIDE, SIDE), "downscale:2": (3, SIDE // 2, SIDE // 2)}
WIDTHS = "family.widths=8,8"
SMALL = ["family.features=8", "training.batch_size=16", "--threads", "1", "--steps", "60"]


def coloured(count, seed):
    """(N, 16, 16, 3) uint8: stripes whose colour goes by their brightness."""
    rng = np.random.default_rng(seed)
    grey_NHW = rng.random((count, SIDE // 2, 1)).repeat(2, 1) * np.ones((1, 1, SIDE))
    colour_NHWC = np.stack([grey_NHW, grey_NHW**2, 1 - grey_NHW], -1)
    return (255 * colour_NHWC).astype(np.uint8)


@pytest.fixture(scope="module", autouse=True)
def table(tmp_path_factory):
    """The toy is in the table, and pixels stand in for the networks of features."""
    with (
        in_table(Toy),
        workshop(tmp_path_factory.mktemp("cache")),
        pytest.MonkeyPatch.context() as patch,
    ):
        pixels = of_module(lambda x_BCHW: x_BCHW.flatten(1)[:, ::3], 8, "float32")
        features = lambda images: Features(pixels(images)[pixels.taps[0]].numpy(), {})  # noqa: E731
        patch.setattr(evaluate, "features", features)
        patch.setattr(evaluate, "extractor", lambda network: pixels)
        differ = lambda a, b: np.abs(a.astype(float) - b).mean((1, 2, 3)) / 255  # noqa: E731
        patch.setattr(by_image, "perceptual_distance", differ)
        patch.setattr(paired, "perceptual_distance", differ)
        patch.setattr(paired, "features", features)
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for side, count in (("train", 48), ("test", 40)):
        for i, image in enumerate(coloured(count, count)):
            save_png(folder / side / f"{i}.png", image, sync=False)
    return folder


@pytest.fixture(scope="module", params=PAIRS)
def run(request, photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    words = ["train", "toy", photos, f"data.pair={request.param}", *SMALL, "--out", folder]
    assert zeuxis(*words) == 0
    return folder, request.param, data.ensure(photos, Data(pair=request.param))


@breaks("core/family.py", '("image", *own,', '("image",')
@breaks(
    "evaluation/drawn.py",
    "rows = stored.holdout if held and",
    "rows = stored.holdout if not held and",
)
def test_its_sheet_shows_held_out_sources_above_what_it_made_of_them(run):
    folder, pair, prepared = run
    sheet = picture(sorted(folder.glob("samples/step-*.png"))[-1], None, folder)
    factor = sheet.shape[1] // (8 * SIDE)
    sheet = sheet[::factor, ::factor]
    assert sheet.shape == (4 * (2 * SIDE + 1) - 1, 8 * (SIDE + 1) - 1, 3)
    stored = prepared.fields["source"]
    shown = [
        above(np.zeros((1, SIDE, SIDE, 3), np.uint8), stored.rows[i : i + 1])
        for i in stored.holdout
    ]
    assert any((sheet[:SIDE, :SIDE] == one[0, SIDE:]).all() for one in shown)
    assert (np.ptp(sheet[:SIDE, :SIDE], 2) == 0).all() == (pair == "grey")
    assert np.ptp(sheet[SIDE : 2 * SIDE, :SIDE], 2).any()


def test_it_is_measured_against_the_truth_and_learns(run, photos):
    folder, _, prepared = run
    scores = read_json(folder / "report.json", finite=False)["scores"]
    rows = prepared.holdout
    source = prepared.fields["source"].take(rows)
    plain = above(np.zeros((len(rows), SIDE, SIDE, 3), np.uint8), source)[:, SIDE:]
    assert scores["translation_psnr"] > psnr(prepared.images[rows], plain).mean() + 1
    assert scores["translation_ssim"] <= 1 and 0 < scores["translation_perceptual"] < 0.2
    assert "kernel_distance" in scores and "psnr" not in scores
    page = (folder / "report.html").read_text()
    assert "PSNR of translations" in page and "translations of source images" in page
    assert zeuxis("evaluate", folder, "--data", photos, "--samples", 8) == 0
    again = read_json(folder / "report.json", finite=False)["scores"]
    assert again["translation_psnr"] == pytest.approx(scores["translation_psnr"], rel=0.1)


def test_it_translates_files_as_arrays(run, tmp_path, capsys):
    folder, pair, prepared = run
    source = prepared.fields["source"].take(prepared.holdout[:3])
    for i, image in enumerate(source):
        save_png(tmp_path / "given" / f"{i}.png", image)
    words = [tmp_path / "given", "--unmarked", "--out", tmp_path / "made"]
    assert zeuxis("translate", folder, *words) == 0
    made = [picture(path, None, tmp_path) for path in sorted(tmp_path.glob("made/*.png"))]
    assert source.shape[1:] == (*PAIRS[pair][1:], PAIRS[pair][0])
    assert np.array_equal(made, load(folder).translate(source).images)
    assert "sample" not in capsys.readouterr().out


def test_a_set_without_sources_is_refused_in_a_sentence(photos, tmp_path, capsys):
    assert zeuxis("train", "toy", photos, *SMALL, "--out", tmp_path / "run") == 2
    assert "data.pair=OPERATION" in capsys.readouterr().err


class Free(Toy):
    """Learns only how bright images are, for which sources need no partners."""

    UNPAIRED = True

    def loss(self, phase, batch, ctx):
        painted = self.paint(batch["source"], batch)
        return {"total": (painted.mean() - batch["image"].mean()).square()}


@breaks("evaluation/by_image.py", "if not stored.paired:", "if False:")
def test_sources_without_partners_are_shown_and_measured_but_for_the_truth(tmp_path):
    """There are fewer sources than images, and those held out come last."""
    for folder, count in (("trainA", 20), ("trainB", 40), ("valA", 16), ("valB", 36)):
        for i, image in enumerate(coloured(count, count)):
            save_png(tmp_path / "raw" / folder / f"{folder}{i}.png", image, sync=False)
    with in_table(Free):
        asked = [*SMALL[:-1], "2", "--out", tmp_path / "run"]
        assert zeuxis("train", "free", tmp_path / "raw", *asked) == 0
    report = read_json(tmp_path / "run" / "report.json", finite=False)
    assert "kernel_distance" in report["scores"]
    assert "not paired" in report["not_measured"]["translation_psnr"]
    assert report["scores"]["kernel_distance_of_sources"] > 0
    assert 0.2 < report["scores"]["edge_agreement"] <= 1


@breaks("evaluation/by_image.py", "if unpaired(family, prepared):", "if False:")
@breaks("evaluation/evaluate.py", "and unpaired(model.family, prepared)", "and False")
def test_an_unpaired_translation_that_does_nothing_is_said_to_have_failed(tmp_path):
    """It has not learned anything after two steps: its images are the sources, a little worse."""
    for folder, kind in (("A", 0), ("B", 1)):
        for i, image in enumerate(coloured(40, kind)):
            lined = image if kind else image // 2
            save_png(tmp_path / "raw" / folder / f"{folder}{i}.png", lined, sync=False)
    asked = [WIDTHS, "family.method=contrast", *SMALL[1:-1], "2", "data.paired=false"]
    assert zeuxis("train", "unpaired", tmp_path / "raw", *asked, "--out", tmp_path / "run") == 0
    report = read_json(tmp_path / "run" / "report.json", finite=False)
    scores = report["scores"]
    assert scores["edge_agreement"] > 0.5
    failed = [one["damage"] for one in report["findings"] if "failed so far" in one["sentence"]]
    further = scores["kernel_distance"] >= scores["kernel_distance_of_sources"]
    assert failed == ["untranslated"] * further
