"""A family with a single ability trains, shows what it can, is measured and used, with labels and without."""

import numpy as np
import pytest
import torch

import zeuxis
from tests.support.front import workshop
from tests.support.kit import ALL, CONDITIONS, changed, labels, pixels
from tests.support.one_ability import ONE, in_table
from tests.support.sabotage import breaks
from tests.support.toy import Toy
from zeuxis import families
from zeuxis.core import abilities
from zeuxis.core.pixels import from_uint8
from zeuxis.core.rng import Rng
from zeuxis.evaluation import by_image, evaluate
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
    "toy": lambda model, images: model.translate(images[..., :1], seed=1),
}
"""What the ability is for."""
SHOWS = {
    "generator": "generate",
    "reconstructor": "reconstruct",
    "coder": "reconstruct",
    "toy": "translate",
}
MEASURED = {
    "generator": {"exact_copy_rate"},
    "reconstructor": {"psnr"},
    "coder": {"psnr"},
    "scorer": {"bits_per_dim"},
    "toy": {"translation_psnr", "translation_perceptual"},
}
"""Measures of the ability beside distances, which all have that show something."""


@pytest.fixture(scope="module", autouse=True)
def table(tmp_path_factory):
    """The families are in the table, and pixels stand in for the feature network."""
    with (
        in_table(*ONE, Toy),
        workshop(tmp_path_factory.mktemp("cache")),
        pytest.MonkeyPatch.context() as patch,
    ):
        flat = of_module(lambda x_BCHW: x_BCHW.flatten(1)[:, ::3], 8, "float32")
        features = lambda images: Features(flat(images)[flat.taps[0]].numpy(), {})  # noqa: E731
        patch.setattr(evaluate, "features", features)
        patch.setattr(evaluate, "extractor", lambda network: flat)
        patch.setattr(by_image, "perceptual_distance", lambda a, b: np.zeros(len(a)))
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


@breaks(
    "evaluation/drawn.py",
    "labels_of(model, prepared, rows) if own",
    "np.zeros((len(rows), 0), np.int64) if own",
)
@breaks(
    "core/family.py",
    "codes = issubclass(cls, abilities.Encodes)",
    "codes = issubclass(cls, abilities.Scores)",
)
@breaks("evaluation/report/training.py", "if count:", "if True:")
@pytest.mark.parametrize("cls", [*ONE, Toy])
def test_it_trains_shows_is_measured_and_is_used(cls, source, tmp_path):
    name = cls.__name__.lower()
    words = {"data.pair": "grey", "training.steps": 2} if cls is Toy else {}
    run = zeuxis.train(name, source, out=tmp_path / "run", threads=1, overrides=words)
    model = zeuxis.load(run)
    assert model.family.shows() == SHOWS.get(name)
    report = zeuxis.core.files.read_json(run / "report.json", finite=False)
    scores, left_out = report["scores"], report["not_measured"]
    distances = {"kernel_distance"} if name in SHOWS else set()
    assert {*distances, *MEASURED.get(name, ())} <= set(scores)
    assert {"bits_per_dim", "kernel_distance", "copy_rate"} <= {*scores, *left_out}
    assert all(left_out.values())
    assert (run / "report.html").exists()
    assert bool(list((run / "samples").glob("step-*.png"))) == (name in SHOWS)
    if name in USES:
        images = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3), np.uint8)
        together, alone = USES[name](model, images), USES[name](model, images[:1])
        assert np.array_equal(together[:1], alone)


METHODS = {
    abilities.Generates: "generate",
    abilities.Completes: "complete",
    abilities.Varies: "vary",
    abilities.Translates: "translate",
    abilities.Reconstructs: "reconstruct",
    abilities.Denoises: "denoise",
    abilities.Decodes: "decode",
}
"""The abilities that give images."""
CLASSES = [*map(families.get, ALL), *ONE, Toy]


def given(model, ability, cond):
    """What an ability takes of three images."""
    config = model.config
    image = from_uint8(pixels(config, 3))
    encodes = isinstance(model, abilities.Encodes)
    made = {
        "image": lambda: image,
        "mask": lambda: (torch.rand(3, 1, *image.shape[2:]) > 0.5).float(),
        "deviation": lambda: torch.tensor([0.1, 0.2, 0.3]),
        "latent": lambda: model.encode(image, cond) if encodes else image,
        "source": lambda: torch.rand(3, *model.fields()["source"].shape) * 2 - 1,
    }
    return [made[name]() for name in ability.takes]


@pytest.mark.parametrize(
    "cls, ability", [(c, a) for c in CLASSES for a in abilities.abilities_of(c) if a in METHODS]
)
@torch.no_grad()
def test_images_are_in_range_whatever_the_weights_and_apart(cls, ability):
    torch.manual_seed(0)
    model = cls(changed(cls.TINY, conditions=CONDITIONS if cls.CONDITIONAL else ())).eval()
    cond = {"label": labels(model.config, 3)} if cls.CONDITIONAL else {}
    inputs = given(model, ability, cond)

    def call(rows):
        asked = {key: value[rows] for key, value in cond.items()}
        mine = [one[rows] for one in inputs]
        if not issubclass(ability, abilities.Draws):
            return getattr(model, METHODS[ability])(*mine, asked)
        noise = model.noise(Rng([1, 2, 3][rows]))
        return getattr(model, METHODS[ability])(*mine, noise, asked, model.Controls())

    together, alone = call(slice(0, 3)), call(slice(1, 2))
    assert torch.allclose(together[1:2], alone, atol=1e-4)
    for p in model.parameters():
        p.mul_(100)
    images, config = call(slice(0, 3)), model.config
    assert images.shape == (3, config.channels, config.height, config.width)
    assert images.isfinite().all() and images.abs().max() <= 1
