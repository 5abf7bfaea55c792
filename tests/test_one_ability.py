"""A family with a single ability trains, shows what it can, is measured and used, with labels and without."""

import numpy as np
import pytest

import zeuxis
from tests.front import workshop
from tests.support.one_ability import ONE, in_table
from zeuxis.evaluation import evaluate
from zeuxis.features import Features
from zeuxis.features.foreign import of_module

USES = {
    "generator": lambda model, images: model.sample(len(images), seed=1),
    "completer": lambda model, images: model.complete(images, images[0, ..., 0] > 100, seed=1),
    "varier": lambda model, images: model.vary(images, seed=1),
    "reconstructor": lambda model, images: model.reconstruct(images),
    "denoiser": lambda model, images: model.denoise(images, 25),
    "encoder": lambda model, images: model.encode(images),
    "decoder": lambda model, images: model.decode(images.transpose(0, 3, 1, 2) / 127.5 - 1),
    "coder": lambda model, images: model.decode(model.encode(images).latents),
    "scorer": lambda model, images: model.score(images),
}
"""What the ability is for."""
SHOWS = {"generator": "generate", "reconstructor": "reconstruct", "coder": "reconstruct"}
MEASURED = {
    "generator": {"exact_copy_rate"},
    "reconstructor": {"psnr"},
    "coder": {"psnr"},
    "scorer": {"bits_per_dim"},
}
"""Measures of the ability beside distances, which all have that show something."""


@pytest.fixture(scope="module", autouse=True)
def table(tmp_path_factory):
    """The families are in the table, and pixels stand in for the feature network."""
    with (
        in_table(*ONE),
        workshop(tmp_path_factory.mktemp("cache")),
        pytest.MonkeyPatch.context() as patch,
    ):
        pixels = of_module(lambda x_BCHW: x_BCHW.flatten(1)[:, ::3], 8, "float32")
        features = lambda images: Features(pixels(images)[pixels.taps[0]].numpy(), {})  # noqa: E731
        patch.setattr(evaluate, "features", features)
        patch.setattr(evaluate, "extractor", lambda network: pixels)
        yield


@pytest.fixture(scope="module", params=(False, True), ids=("plain", "labelled"))
def source(request, tmp_path_factory):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 40)
    images = rng.integers(0, 120, (40, 8, 8, 3)) + 100 * labels[:, None, None, None]
    known = {"labels": labels} if request.param else {}
    file = tmp_path_factory.mktemp("set") / "toy.npz"
    np.savez(file, images=images.astype(np.uint8), **known)
    return file


@pytest.mark.parametrize("cls", ONE)
def test_it_trains_shows_is_measured_and_is_used(cls, source, tmp_path):
    name = cls.__name__.lower()
    run = zeuxis.train(name, source, out=tmp_path / "run", threads=1)
    model = zeuxis.load(run)
    assert model.family.shows() == SHOWS.get(name)
    report = zeuxis.core.files.read_json(run / "report.json", finite=False)
    scores, left_out = report["scores"], report["not_measured"]
    distances = {"kernel_distance"} if name in SHOWS else set()
    assert {*distances, *MEASURED.get(name, ())} <= set(scores)
    assert {"psnr", "bits_per_dim", "kernel_distance", "copy_rate"} <= {*scores, *left_out}
    assert all(left_out.values())
    assert (run / "report.html").exists()
    assert bool(list((run / "samples").glob("step-*.png"))) == (name in SHOWS)
    if name in USES:
        images = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3), np.uint8)
        together, alone = USES[name](model, images), USES[name](model, images[:1])
        assert np.array_equal(together[:1], alone)
