"""Enhancement: how sources are damaged, what is told of them, and what is made again."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.kit import batch_for, build, changed, context, pixels, smooth, wake
from tests.support.sabotage import breaks
from zeuxis import families, load
from zeuxis.core.errors import Invalid, Unable
from zeuxis.core.pixels import from_uint8, to_array, to_pil, to_tensor, to_uint8
from zeuxis.core.rng import Rng
from zeuxis.families.enhance import CLEANEST, Enhance
from zeuxis.features.layers import map_distance
from zeuxis.inference import artefact, tiling
from zeuxis.nn import corruption, crops

TINY = Enhance.TINY


def make(**values):
    return wake(build("enhance", **values), 0.1).eval()


def images(model, n=4):
    return from_uint8(pixels(model.config, n))


def saved(folder, **values):
    model = make(**values)
    artefact.save(folder, "enhance", model, model.state_dict())
    return load(folder)


def resized(pixels_HWC, size, method):
    plain = to_pil(pixels_HWC).resize(size, method)
    return np.asarray(plain).reshape(size[1], size[0], -1)


@breaks("families/enhance.py", "nn.init.zeros_(self.head.weight)", "pass")
@breaks("families/enhance.py", 'size, mode="bicubic", antialias=True', 'size, mode="bicubic"')
@pytest.mark.parametrize("scale", [1, 2, 4])
@torch.no_grad()
def test_it_starts_as_pillow_s_bicubic(scale):
    model = build("enhance", scale=scale)
    source = 64 + smooth(2, side=8) // 2  # Pillow clips between its two passes
    made = model.translate(from_uint8(to_tensor(source)), {}, {}, model.Controls())
    size = (8 * scale, 8 * scale)
    theirs = np.stack([resized(one, size, Image.Resampling.BICUBIC) for one in source])
    assert np.abs(to_array(to_uint8(made)).astype(int) - theirs).max() <= 1


@breaks("nn/corruption.py", "F.avg_pool2d(image_BCHW, factor)", "F.max_pool2d(image_BCHW, factor)")
@breaks("nn/corruption.py", '"bicubic", antialias=True).clamp', '"bicubic").clamp')
def test_reduction_is_pillow_s_box_or_bicubic():
    fine = smooth(2, side=16)
    for sharp, method in ((False, Image.Resampling.BOX), (True, Image.Resampling.BICUBIC)):
        ours = corruption.reduced(from_uint8(to_tensor(fine)), 4, torch.tensor([sharp] * 2))
        theirs = np.stack([resized(one, (4, 4), method) for one in fine])
        assert np.abs(to_array(to_uint8(ours)).astype(int) - theirs).max() <= 1


@breaks("nn/corruption.py", "** 2) / 2)", "** 2))")
def test_blur_widens_a_point_by_its_deviation_and_leaves_0_alone():
    point = torch.zeros(3, 2, 41, 41)
    point[:, :, 20, 20] = 1
    deviation = torch.tensor([0.0, 1.0, 2.5])
    out = corruption.blur(point, deviation, 2.5)
    assert torch.equal(out[0], point[0])
    place = torch.arange(41.0) - 20
    found = (out[:, 1].sum(1) * place**2).sum(1).sqrt()
    assert torch.allclose(found, deviation, rtol=0.03) and torch.allclose(
        out.sum((2, 3)), torch.ones(3, 2)
    )


@breaks("nn/corruption.py", "(known_B1HW == 0) & (around_B1HW > 0)", "around_B1HW > 0")
def test_holes_are_filled_from_their_edges_inwards_and_nothing_else_changes():
    image, mask = torch.rand(2, 3, 12, 12), torch.zeros(2, 1, 12, 12)
    mask[0, :, 3:8, 4:9] = 1
    image[0, :, 3:8, 4:9] = 99.0
    flat = torch.where(mask > 0, 99.0, torch.full_like(image, 0.25))
    assert torch.allclose(corruption.filled(flat, mask, 3), torch.full_like(image, 0.25))
    out = corruption.filled(image, mask, 2)
    assert torch.equal(out[1], image[1]) and torch.equal(out[0, :, :3], image[0, :, :3])
    assert (out[0, :, 5, 6] == 0).all() and (out[0, :, 4, 5] > 0).all() and out.max() <= 1


@breaks("nn/crops.py", "if way & 4 else square", "if way & 2 else square")
@breaks("nn/crops.py", "(height - side + 1)", "(height - side)")
def test_squares_come_from_everywhere_in_all_symmetries():
    image = torch.arange(12.0).view(1, 1, 3, 4).expand(8, 1, 3, 4)
    cut = crops.squares(image, 2, torch.full((8, 2), 0.999), torch.arange(8))
    assert len({tuple(one.flatten().tolist()) for one in cut}) == 8
    assert all(sorted(one.flatten().tolist()) == [6, 7, 10, 11] for one in cut)
    assert cut[0, 0].tolist() == [[6, 7], [10, 11]]


@breaks("families/enhance.py", "per_row(noise_B / 127.5)", "per_row(noise_B / 255)")
@breaks("families/enhance.py", "blur_B * config.scale, most_blur", "blur_B, most_blur")
@torch.no_grad()
def test_a_damaged_source_is_what_its_strengths_say():
    n, flat = 200, torch.zeros(200, 3, 48, 48)
    model = build("enhance", height=48, width=48, holes=0.0, jpeg=0, blur=0.0, clean=0.25)
    made, strength = model._damage(flat, Rng(range(n)))
    source = made["source"]
    found = (source.std((1, 2, 3)) * 127.5 / 25) ** 2
    assert source.shape == (n, 3, 24, 24) and "mask" not in made
    assert torch.allclose(found, strength[:, 1] ** 2, atol=0.02)
    assert (strength[:, 1] == 0).float().mean().item() == pytest.approx(0.25, abs=0.08)
    assert strength[:, 1].max().item() == pytest.approx(12 / 25, rel=0.05)
    assert torch.equal(((source + 1) * 127.5).round() / 127.5 - 1, source)  # as 8 bits hold it
    step = flat.clone()
    step[..., 24:] = 1
    model = build("enhance", height=48, width=48, holes=0.0, jpeg=0, noise=0.0, clean=0.0)
    made, strength = model._damage(step, Rng(range(n)))
    rise = made["source"][:, 0, 12].diff(dim=1)
    place = torch.arange(23.0)
    width = ((rise * (place - 11) ** 2).sum(1) / rise.sum(1)).clamp(min=0).sqrt()
    blurred = strength[:, 0] > 0.5
    assert torch.allclose(width[blurred], strength[blurred, 0], atol=0.25)


@breaks("families/enhance.py", "1 - quality_B / 100", "quality_B / 100")
@breaks("families/enhance.py", "coin_B2[:, 1])", "coin_B2[:, 1] | True)")
@torch.no_grad()
def test_compressed_sources_are_pillow_s_of_that_quality():
    model = build(
        "enhance", height=32, width=32, scale=1, holes=0.0, blur=0.0, noise=0.0, clean=0.0
    )
    fine = smooth(12, side=32)
    made, strength = model._damage(from_uint8(to_tensor(fine)), Rng(range(12)))
    quality = (100 * (1 - 0.5 * strength[:, 2])).round().int().tolist()
    assert min(quality) >= model.config.jpeg and max(quality) <= CLEANEST
    ways = []
    for one, found, q in zip(fine, to_array(to_uint8(made["source"])), quality, strict=True):
        errors = []
        for subsampling in (0, 2):
            file = io.BytesIO()
            to_pil(one).save(file, "JPEG", quality=q, subsampling=subsampling)
            errors.append(np.abs(np.asarray(Image.open(file)).astype(int) - found).mean())
        assert min(errors) < 1
        ways.append(int(np.argmin(errors)))
    assert set(ways) == {0, 1}


@breaks("families/enhance.py", "torch.zeros_like(alpha)], 1)", "normal[:, 3:]], 1)")
@breaks("families/enhance.py", "torch.minimum(source[:, :3], source[:, 3:])", "source[:, :3]")
@torch.no_grad()
def test_transparent_sources_stay_premultiplied():
    model = build("enhance", channels=4, height=16, width=16, holes=0.0, clean=0.0)
    image = from_uint8(pixels(model.config, 16))
    image[:, 3, :, :8] = -1
    image[:, :3] = torch.minimum(image[:, :3], image[:, 3:])
    source = model.damaged(image, Rng(range(16)))["source"]
    assert (source[:, :3] <= source[:, 3:]).all() and (source[:, 3, :, :2] == -1).all()


@breaks(
    "families/enhance.py",
    "told_BK = strength_BK.masked_fill(",
    "told_BK = strength_BK.masked_fill(False & ",
)
@torch.no_grad()
def test_strengths_are_told_to_some_rows_and_hidden_from_most(monkeypatch):
    model, told = build("enhance", clean=0.0), []
    monkeypatch.setattr(
        model.network, "forward", lambda x, t: told.append(t) or torch.zeros(400, 3, 8, 8)
    )
    model.loss("main", batch_for(model, 400), context(400))
    hidden = (told[0] == -1).float().mean(0)
    assert ((hidden - 0.75).abs() < 0.08).all()
    assert (told[0] == -1).all(1).float().mean().item() == pytest.approx(9 / 16, abs=0.08)


def test_what_is_known_of_a_source_changes_what_is_made_of_it(tmp_path):
    model, source = saved(tmp_path / "run"), smooth(1, side=8)
    made = [
        model.translate(source, **given).images[0]
        for given in ({}, {"noise": 0}, {"noise": 12}, {"jpeg": 50}, {"blur": 0.5})
    ]
    assert len({one.tobytes() for one in made}) == len(made)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"noise": 13}, r"noise=13 is beyond .* \(up to 12\); train one with family.noise=13"),
        ({"jpeg": 30}, r"jpeg=30 is beyond .* \(down to 40\); train one with family.jpeg=30"),
        ({"blur": -1}, "blur"),
        ({"jpeg": 0}, "jpeg"),
        ({"nois": 1}, "did you mean 'noise'"),
    ],
)
def test_more_than_was_learned_is_refused_in_a_sentence(given, sentence, tmp_path):
    with (
        pytest.raises(Invalid, match=sentence)
        if "nois" not in given
        else pytest.raises(ValueError, match=sentence)
    ):
        saved(tmp_path / "run").translate(smooth(1, side=8), **given)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"height": 9}, r"images of 9 x 8 pixels are not 2 times .* data.size=8x8"),
        ({"scale": 4, "height": 4}, "data.size=8x8"),
        ({"scale": 3}, "scale"),
        ({"scale": 1, "blur": 0, "noise": 0, "jpeg": 0, "holes": 0}, "nothing to learn"),
        ({"jpeg": 99}, "jpeg"),
        ({"noise": -1}, "noise"),
    ],
)
def test_settings_that_cannot_be_are_one_sentence(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        changed(TINY, **values)


@breaks("families/enhance.py", "else torch.where(mask > 0, made, source)", "else made")
@breaks("inference/translate.py", "tiles[..., -1:]", "0 * tiles[..., -1:]")
def test_holes_are_filled_and_all_else_stays_at_scale_1(tmp_path, monkeypatch):
    model, source = saved(tmp_path / "run", scale=1), smooth(1, side=40)[0]
    mask = np.zeros((40, 40), bool)
    mask[5:9, 30:33] = True
    whole = model.translate([source], mask=mask).images[0]
    assert np.array_equal(whole[~mask], source[~mask]) and not np.array_equal(whole, source)
    other = source.copy()
    other[mask] = 7
    assert np.array_equal(model.translate([other], mask=mask).images[0], whole)
    monkeypatch.setattr(tiling, "LARGEST", (2 * model.family.margin + 8) ** 2)
    assert np.array_equal(model.translate([source], mask=[mask]).images[0], whole)


@pytest.mark.parametrize(
    ("mask", "kind", "sentence"),
    [
        (np.ones((3, 4)), Invalid, r"the mask has shape \(3, 4\) and a source \(8, 8\)"),
        ([np.ones((8, 8))] * 2, Invalid, "found 2 masks for 1 sources"),
    ],
)
def test_masks_that_do_not_fit_are_one_sentence(mask, kind, sentence, tmp_path):
    with pytest.raises(kind, match=sentence):
        saved(tmp_path / "run").translate(smooth(1, side=8), mask=mask)


def test_a_model_without_holes_takes_no_mask(tmp_path):
    with pytest.raises(Unable, match="this enhance has not learned to fill holes"):
        saved(tmp_path / "run", holes=0.0).translate(smooth(1, side=8), mask=np.ones((8, 8)))


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_tiles_of_the_default_network_are_bit_equal_to_the_whole(scale, tmp_path, monkeypatch):
    """The margin is the receptive field, and no sum depends on the size of the input."""
    values = {name: Enhance.Config.model_fields[name].default for name in ("features", "blocks")}
    model, source = saved(tmp_path / "run", scale=scale, **values), smooth(1, side=70)[0]
    whole = model.translate([source]).images[0]
    monkeypatch.setattr(tiling, "LARGEST", (scale * (2 * model.family.margin + 30)) ** 2)
    tiled = model.translate([source]).images[0]
    assert whole.shape == (70 * scale, 70 * scale, 3) and np.ptp(whole) > 100
    assert np.array_equal(tiled, whole)


@breaks(
    "families/enhance.py",
    "self.patch * (2 + 2 * len(self.blocks)) +",
    "self.patch * (2 + 2 * len(self.blocks)) + 2 +",
)
@pytest.mark.parametrize("scale", [1, 2])
def test_a_pixel_sees_as_far_as_it_says_and_no_farther(scale):
    model = make(scale=scale)
    reach, middle = model.network.reach, 20
    source = torch.zeros(1, 4, 41, 41, requires_grad=True)
    made = model.network(source, torch.zeros(1, 3))
    block = made[..., middle * scale : (middle + 1) * scale, middle * scale : (middle + 1) * scale]
    block.sum().backward()
    seen = source.grad[0].abs().sum(0).nonzero()
    farthest = (seen - middle).abs().max().item()
    assert farthest == reach or (scale == 1 and farthest == reach - 1)
    assert families.get("enhance") is Enhance


@breaks("families/enhance.py", "PENALTY_EVERY * (ctx.update", "1 * (ctx.update")
def test_with_a_discriminator_two_players_take_turns():
    model = wake(build("enhance", adversarial=0.1))
    assert [phase.name for phase in model.phases()] == ["discriminator", "generator"]
    terms = {}
    for phase in model.phases():
        model.zero_grad()
        terms[phase.name] = model.loss(phase.name, batch_for(model), context(update=4))
        terms[phase.name]["total"].backward()
        trained = [p for path in phase.modules for p in model.get_submodule(path).parameters()]
        assert all(p.grad.abs().sum() > 0 for p in trained)
    first, second = terms.values()
    assert set(first) == {"total", "adversarial", "real", "fake", "penalty"}
    assert torch.isclose(first["total"], first["adversarial"] + 4 * first["penalty"])
    assert {"error", "adversarial", "ratio"} < set(second)
    assert "penalty" not in model.loss("discriminator", batch_for(model), context(update=5))


@breaks("features/layers.py", "aimed.items():", "made.items():")
@breaks("families/enhance.py", "config.perceptual * self", "self")
def test_features_join_the_error_by_their_weight():
    model = wake(build("enhance", height=48, width=48, perceptual=0.5))
    losses = model.loss("main", batch_for(model, 2), context(2))
    assert torch.isclose(losses["total"], losses["error"] + losses["perceptual"])
    with torch.no_grad():
        model.config = changed(model.config, perceptual=1.0)
        twice = model.loss("main", batch_for(model, 2), context(2))["perceptual"]
    assert losses["perceptual"] > 0 and torch.isclose(twice, 2 * losses["perceptual"], rtol=1e-3)
    losses["total"].backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    same = {"a": torch.rand(2, 3, 4, 4)}
    assert torch.equal(map_distance(same, same), torch.zeros(2))
    far = {"a": same["a"] + 2 * same["a"].flatten(1).var(1).sqrt()[:, None, None, None]}
    assert torch.allclose(map_distance({**far, "b": same["a"]}, same), torch.full((2,), 4.0))
