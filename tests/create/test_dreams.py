"""Dreams: a layer sees more than before, a guide is followed, and one's own networks are found."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.front import zeuxis
from tests.support.kit import build, wake
from tests.support.sabotage import breaks
from zeuxis.core import errors
from zeuxis.core.pixels import save_png
from zeuxis.create import dream, dreams
from zeuxis.create.pictures import open_picture
from zeuxis.inference import artefact
from zeuxis.inference.model import load

PICTURE = np.random.default_rng(0).integers(60, 190, (64, 72, 3), np.uint8)


def seen(pixels, layer):
    network = dreams.network_of(None, {layer: 1.0})
    with torch.no_grad():
        return network.maps(open_picture(pixels).colours())[layer].relu().square().mean().item()


@breaks("create/dreams.py", "moved = rolled.detach() + STEP", "moved = rolled.detach() - STEP")
@breaks("create/dreams.py", "moved.roll((-down, -right)", "moved.roll((down, right)")
def test_a_layer_sees_more_and_the_picture_stays_in_place():
    made = dream(PICTURE, layers={"block2": 1}, size=72, steps=4, octaves=2).array
    assert seen(made, "block2") > 1.15 * seen(PICTURE, "block2")
    change = np.corrcoef(made.ravel(), PICTURE.ravel())[0, 1]
    assert change > 0.5


def test_the_guide_and_the_seed_matter_and_a_seed_gives_the_same():
    given = {"size": 64, "steps": 2, "octaves": 1, "layers": ["block2=0.5", "block4"]}
    first = dream(PICTURE, **given).array
    assert np.array_equal(first, dream(PICTURE, **given).array)
    for other in ({"seed": 1}, {"guide": PICTURE[::-1].copy()}, {"layers": ["block4"]}):
        assert not np.array_equal(first, dream(PICTURE, **{**given, **other}).array)


@breaks(
    "create/dreams.py",
    "(f_CP.detach().T @ guide_CP).argmax(1)",
    "(f_CP.detach().T @ guide_CP).argmin(1)",
)
def test_a_guide_draws_towards_its_best_feature():
    network = dreams.network_of(None, {"block1": 1.0})
    guide = torch.eye(4) * torch.tensor([1.0, 2, 3, 4])
    one = dreams.Dream(network, {"block1": guide}, 0, 1, None)
    f = torch.tensor([1.0, 0.0, 0.0, 2.0]).view(1, 4, 1, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(one._seen("block1", f), f)
    assert gradient.flatten().tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("name", ["gan", "stylegan", "vae", "autoencoder", "tokenizer"])
def test_own_networks_dream_by_their_discriminator_or_encoder(name, tmp_path):
    family = wake(build(name))
    artefact.save(tmp_path / name, name, family, family.state_dict(), dataset={"labels": []})
    with pytest.raises(errors.NotFound, match="no layer 'list'; there are ") as found:
        dream(PICTURE, layers=["list"], run=tmp_path / name)
    listed = str(found.value).split("there are ")[1].split(", ")
    part = "discriminator." if name in ("gan", "stylegan") else ("encoder", "damage", "to_")
    assert all(layer.startswith(part) for layer in listed)
    made = dream(PICTURE, layers=listed[:1], run=tmp_path / name, size=64, steps=2, octaves=1)
    assert made.array.shape == (57, 64, 3)
    assert dream(PICTURE, run=tmp_path / name, size=64, steps=1, octaves=1).array.shape == (
        57,
        64,
        3,
    )


@breaks("create/dreams.py", "if network.own and len(sizes) > 1", "if False")
@breaks(
    "create/dreams.py", "x = (base + F.interpolate(detail,", "x = (x.mean() + F.interpolate(detail,"
)
def test_ones_own_network_does_not_see_the_largest_size(tmp_path):
    family = wake(build("gan"))
    artefact.save(tmp_path / "run", "gan", family, family.state_dict(), dataset={"labels": []})
    model, heights = load(tmp_path / "run"), []
    first = next(iter(dreams.network_of(model, {}).layers.values()))
    first.register_forward_hook(lambda module, given, out: heights.append(given[0].shape[2]))
    settings = dreams.Settings(size=128, steps=1, octaves=2)
    made = dreams.dreamed(open_picture(PICTURE), {}, model, None, settings).pictures[0]
    assert made.shape == (114, 128, 3) and max(heights) == 96
    large = open_picture(PICTURE).with_colours(dreams.resized(open_picture(PICTURE).colours(), 128))
    assert 0 < np.abs(made.astype(int) - large).mean() < 10


@breaks("cli/verbs.py", 'words.pop("run") if verb.needs else None', 'words.pop("run", None)')
def test_the_command_dreams_by_ones_own_model(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    family = wake(build("gan"))
    artefact.save(Path("gan"), "gan", family, family.state_dict(), dataset={"labels": []})
    save_png(Path("cat.png"), PICTURE)
    options = ["--run", "gan", "--size", 64, "--steps", 1, "--octaves", 1]
    assert zeuxis("dream", "cat.png", *options, "--unmarked") == 0
    expected = dream("cat.png", run="gan", size=64, steps=1, octaves=1)
    with Image.open("samples/cat-dream.png") as made:
        assert np.array_equal(np.asarray(made), expected.array)
    assert zeuxis("dream", "cat.png", "--run", "gan", "--layer", "list") == 2
    assert "there are discriminator." in " ".join(capsys.readouterr().err.split())


def test_without_an_encoder_or_a_discriminator_there_is_a_sentence(tmp_path):
    family = wake(build("pixelcnn"))
    artefact.save(tmp_path / "run", "pixelcnn", family, family.state_dict(), dataset={"labels": []})
    with pytest.raises(
        errors.Unable, match="a pixelcnn has neither a discriminator nor an encoder"
    ):
        dream(PICTURE, run=tmp_path / "run")


def test_a_film_zooms_and_a_mistyped_layer_is_a_sentence():
    film = dream(PICTURE, layers=["stem"], size=64, steps=1, octaves=1, frames=3)
    assert film.array.shape == (3, 57, 64, 3) and film.fps
    assert not np.array_equal(film.array[0], film.array[1])
    with pytest.raises(errors.Invalid, match="expected NAME=WEIGHT"):
        dream(PICTURE, layers=["stem=much"])
    with pytest.raises(errors.TooLarge, match="at most 2048"):
        dream(PICTURE, size=2049)
