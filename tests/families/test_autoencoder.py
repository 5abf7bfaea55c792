"""Towers, damage, and the autoencoder: against closed forms, Pillow's codec, and rows taken alone."""

import io

import numpy as np
import pydantic
import pytest
import torch
from PIL import Image

from benchmarks import autoencoding
from tests.support.kit import build, changed, context, pixels, smooth, wake
from tests.support.sabotage import breaks
from zeuxis import families
from zeuxis.core.pixels import from_levels, from_uint8, to_pil, to_tensor, to_uint8
from zeuxis.core.rng import Rng
from zeuxis.nn import corruption, towers

TINY = families.get("autoencoder").TINY


def make(**values):
    return wake(build("autoencoder", conditional=False, **values)).eval()


def images(model, n=4, seed=0):
    return from_uint8(pixels(model.config, n, seed))


def draws(n, *shape):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(3))


@breaks("nn/towers.py", "[..., : size[0], : size[1]]", "")
@pytest.mark.parametrize("height, width", [(28, 28), (29, 21), (5, 40)])
@torch.no_grad()
def test_towers_take_any_size_and_mirror_each_other(height, width):
    down, up = towers.DownTower(3, (16, 32, 48), 1, 2), towers.UpTower(3, (16, 32, 48), 1, 2)
    found = down.features(torch.rand(2, 3, height, width))
    expected = towers.sizes(height, width, 3, 2)
    assert [tuple(x.shape[2:]) for x in found] == expected
    assert expected[-1] == (-(-height // towers.factor(3, 2)), -(-width // towers.factor(3, 2)))
    assert up(found[-1], (height, width)).shape == (2, 3, height, width)


@breaks(
    "nn/towers.py",
    "layer.weight.add_(averaging(4 * fine, coarse).view(coarse, fine, 2, 2))",
    "pass",
)
@breaks("nn/towers.py", "nn.init.zeros_(self.second.weight)", "pass")
@torch.no_grad()
def test_a_new_tower_is_linear_and_its_shortcuts_are_means_and_copies():
    down = towers.DownTower(1, (16, 32), 2, 2).double()
    a, b = torch.rand(2, 2, 1, 8, 12, dtype=torch.float64)
    sum_of_parts = down(a) + down(b) - down(torch.zeros_like(a))
    assert torch.allclose(down(a + b), sum_of_parts)
    shortcut = towers.averaging(4 * 16, 32)
    assert torch.allclose(shortcut.sum(1), torch.ones(32)) and (shortcut > 0).sum() == 64
    bound = 1 / 64**0.5  # of the layer's own initial weight
    weight = down.shrink[0].weight.flatten(1)
    assert (weight - shortcut).abs().max() <= bound
    weight = towers.growing(32, 16).weight.flatten(1)
    assert (weight - (shortcut.t() * 2)).abs().max() <= 1 / 32**0.5


@breaks("nn/towers.py", 'mode="replicate"', 'mode="constant"')
@torch.no_grad()
def test_an_edge_is_repeated_where_a_side_does_not_divide():
    down = wake(towers.DownTower(1, (16, 16), 1, 2))
    image = torch.rand(1, 1, 6, 7)
    padded = torch.nn.functional.pad(image, (0, 1, 0, 2), mode="replicate")
    assert torch.equal(down(image), down(padded))


def test_noise_has_the_stated_deviation():
    deviation_B = torch.tensor([0.0, 0.1, 0.5])
    image = torch.full((3, 1, 100, 100), 0.9)
    normal = Rng([1, 2, 3]).normal("n", 1, 100, 100)
    noisy = corruption.gaussian(image, normal, deviation_B)
    assert torch.allclose((noisy - image).std((1, 2, 3)), deviation_B, rtol=0.02)
    assert noisy.max() > 1.5  # not clipped: the noise stays Gaussian


@breaks("nn/corruption.py", "chosen_B1HW < per_row(share_B)", "chosen_B1HW < share_B.mean()")
def test_salt_and_pepper_hit_the_stated_share_in_all_channels():
    image = torch.zeros(2, 3, 64, 64)
    out = corruption.impulse(image, draws(2, 2, 64, 64), torch.tensor([0.0, 0.3]))
    assert torch.equal(out[0], image[0])
    hit = out[1].abs() == 1
    assert hit.float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert torch.equal(hit[0], hit[2]) and torch.equal(out[1, 0], out[1, 1])
    assert (out[1] == 1).float().mean().item() == pytest.approx(0.15, abs=0.03)


@breaks("nn/corruption.py", "wide_B = share_B / tall_B", "wide_B = tall_B")
@breaks(
    "nn/corruption.py",
    "scattered_B1HW = uniform_B1HW.gather(2, rows)",
    "scattered_B1HW = 0.9 * uniform_B1HW.gather(2, rows)",
)
def test_holes_hide_about_the_stated_share_and_come_in_three_kinds():
    n, share = 300, 0.3
    uniform_BK = draws(n, corruption.HOLE_DRAWS)
    mask = corruption.hole_mask(uniform_BK, draws(n, 1, 24, 36), torch.full((n,), share))
    assert mask.shape == (n, 1, 24, 36) and set(mask.unique().tolist()) == {0.0, 1.0}
    kind = uniform_BK[:, 0]
    covered = mask.mean((1, 2, 3))
    for low in (0, 1 / 3, 2 / 3):
        of_kind = covered[(kind >= low) & (kind < low + 1 / 3)]
        assert of_kind.mean().item() == pytest.approx(share, abs=0.03)
    box = mask[kind < 1 / 3][:, 0]  # a box is the product of its shadows
    assert torch.equal(box, box.amax(1, keepdim=True) * box.amax(2, keepdim=True))
    side = mask[(kind >= 1 / 3) & (kind < 2 / 3)][:, 0]
    corners = side[:, ::23, ::35].flatten(1)
    assert (corners.sum(1) == 2).all() and len({tuple(row) for row in corners.tolist()}) == 4


@breaks("nn/corruption.py", "(5000 / quality_B).floor()", "(2500 / quality_B).floor()")
@breaks("nn/corruption.py", "_standard(chrominance=i > 0)", "_standard(chrominance=False)")
@breaks("nn/corruption.py", 'scale_factor=2.0, mode="bilinear"', "scale_factor=2.0")
@pytest.mark.parametrize("quality", [5, 30, 75, 95])
@pytest.mark.parametrize("channels, halved", [(1, False), (3, False), (3, True)])
def test_the_simulated_jpeg_is_what_pillow_decodes(channels, halved, quality):
    pixels_NHWC = np.concatenate([smooth(3, side=21), np.kron(smooth(1, 1, 7), np.ones((3, 3, 1)))])
    pixels_NHWC = pixels_NHWC[..., :channels].astype(np.uint8)
    ours = corruption.jpeg(
        from_uint8(to_tensor(pixels_NHWC)),
        torch.full((4,), float(quality)),
        torch.tensor([halved] * 4),
    )
    theirs = []
    for picture in pixels_NHWC:
        file = io.BytesIO()
        to_pil(picture).save(file, "JPEG", quality=quality, subsampling=2 if halved else 0)
        theirs.append(np.asarray(Image.open(file)).reshape(picture.shape))
    apart = (to_uint8(ours).float() - to_tensor(np.stack(theirs)).float()).abs()
    loss = (to_uint8(ours).float() - to_tensor(pixels_NHWC).float()).square().mean()
    assert (
        10 * torch.log10(255**2 / apart.square().mean()) > 40
    )  # decibels; libjpeg rounds ties elsewhere
    assert apart.square().mean() < loss / 4 or loss < 2


def test_jpeg_keeps_alpha_and_its_quality_is_each_row_s_own():
    image = from_uint8(to_tensor(smooth(2, side=16)))
    image = torch.cat([image, torch.rand(2, 1, 16, 16)], 1)
    out = corruption.jpeg(image, torch.tensor([5.0, 90.0]))
    assert torch.equal(out[:, 3], image[:, 3])
    error = (out - image)[:, :3].square().mean((1, 2, 3))
    assert error[0] > 4 * error[1]
    assert torch.allclose(out[1:], corruption.jpeg(image[1:], torch.tensor([90.0])))


@breaks(
    "families/autoencoder.py",
    'rng.normal("noise", c, h, w)[row]',
    'rng.normal("noise", c, h, w)[: len(row)]',
)
def test_damage_is_drawn_by_row_and_all_kinds_occur():
    model = make(clean=0.2)
    image = images(model, 64)
    seeds = range(64)
    kind, strength, damaged, mask = model._damage(image, Rng(seeds))
    assert set(kind.tolist()) == set(range(5))
    assert (kind == 0).float().mean().item() == pytest.approx(0.2, abs=0.12)
    assert torch.equal(damaged[kind == 0], image[kind == 0]) and not strength[kind == 0].any()
    noisy = strength[kind == 1]
    assert noisy.min() >= model.config.deviation_min and noisy.max() <= model.config.deviation_max
    hidden = kind == 3
    assert not mask[~hidden].any() and not damaged[hidden][mask[hidden] > 0].any()
    assert torch.equal(mask[hidden].mean((1, 2, 3)), strength[hidden])
    for i in range(0, 64, 3):
        alone = model._damage(image[i : i + 1], Rng([i]))
        assert alone[0] == kind[i] and alone[1] == strength[i]
        assert torch.equal(alone[2][0], damaged[i]) and torch.equal(alone[3][0], mask[i])


def test_the_loss_without_damage_is_the_error_of_the_reconstruction():
    model = make(corrupt=(), bits=(3,))
    image = images(model)
    losses = model.loss("main", {"image": image}, context())
    assert model.reconstruct(image).abs().max() < 1  # nothing was clipped
    expected = (model.reconstruct(image) - image).square().mean()
    assert losses["total"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert losses["clean"] == losses["total"] and losses["damaged"] == 0
    model = make(corrupt=(), error="absolute")
    expected = (model.reconstruct(image) - image).abs().mean()
    assert model.loss("main", {"image": image}, context())["total"].item() == pytest.approx(
        expected.item(), rel=1e-5
    )


@breaks("families/autoencoder.py", '"total": (error_B / gain_B).mean()', '"total": error_B.mean()')
def test_noisy_rows_count_by_the_inverse_of_the_network_s_share():
    model = make(corrupt=("gaussian",), clean=0.0)
    image, ctx = images(model), context()
    kind, deviation, noisy, _ = model._damage(image, ctx.rng)
    error = (model._restore(noisy, kind, deviation) - image).square().mean((1, 2, 3))
    gain = deviation * 0.5 / (deviation**2 + 0.25).sqrt()
    expected = (error / gain).mean().item()
    total = model.loss("main", {"image": image}, context())["total"].item()
    assert total == pytest.approx(expected, rel=1e-5)


@breaks(
    "families/autoencoder.py",
    "DEVIATION**2 / total_B, zero_B)",
    "DEVIATION**2 / total_B.sqrt(), zero_B)",
)
@torch.no_grad()
def test_without_noise_denoising_is_the_identity_and_at_first_it_is_the_linear_optimum():
    model = make()
    image = images(model)
    assert torch.allclose(model.denoise(image, torch.zeros(4)), image, atol=1e-6)
    assert not torch.allclose(model.denoise(image, torch.full((4,), 0.3)), image, atol=0.05)
    for parameter in model.decoder.head.parameters():
        parameter.zero_()
    noisy, deviation = image + 0.1, torch.tensor([0.1, 0.2, 0.5, 1.0])
    linear = (0.25 / (0.25 + deviation**2)).view(-1, 1, 1, 1) * noisy
    assert torch.allclose(model.denoise(noisy, deviation), linear.clamp(-1, 1), atol=1e-6)


@torch.no_grad()
def test_each_row_is_denoised_by_its_own_deviation():
    model = make()
    image, deviation = images(model), torch.tensor([0.02, 0.1, 0.3, 0.6])
    together = model.denoise(image, deviation)
    assert torch.allclose(together[2:3], model.denoise(image[2:3], deviation[2:3]), atol=1e-5)


@breaks(
    "families/autoencoder.py",
    "known_BCHW = torch.where(hidden_B1HW, 0.0, image_BCHW)",
    "known_BCHW = image_BCHW",
)
@breaks(
    "families/autoencoder.py",
    "return torch.where(hidden_B1HW, whole_BCHW, image_BCHW)",
    "return whole_BCHW",
)
@torch.no_grad()
def test_completion_keeps_what_is_known_and_never_looks_at_what_is_hidden():
    model = make(height=9, width=12, channels=3)
    image, mask = images(model), (draws(4, 1, 9, 12) < 0.4).float()
    noise = model.noise(Rng(range(4)))
    out = model.complete(image, mask, noise, {}, model.Controls())
    assert torch.equal(out * (1 - mask), image * (1 - mask)) and out.abs().max() <= 1
    other = torch.where(mask > 0, images(model, seed=9), image)
    assert torch.equal(out * mask, model.complete(other, mask, noise, {}, model.Controls()) * mask)
    assert not torch.allclose(out * mask, image * mask, atol=0.05)


@breaks(
    "families/autoencoder.py",
    "passing = [x * damaged for x in features]",
    "passing = [x * ~damaged for x in features]",
)
@torch.no_grad()
def test_repairs_use_skips_and_reconstructions_do_not():
    """The latent's way is closed: what is left must have come past it."""
    model = make()
    for layer in model.from_latent.parameters():
        layer.zero_()
    image = images(model)
    same = model.reconstruct(image)
    assert torch.allclose(same[:1].expand_as(same), same, atol=1e-6)
    fixed = model.restore(image, "impulse", torch.full((4,), 0.2))
    assert not torch.allclose(fixed[:1].expand_as(fixed), fixed, atol=1e-2)
    model = make(skips=False)
    for layer in model.from_latent.parameters():
        layer.zero_()
    fixed = model.restore(image, "impulse", torch.full((4,), 0.2))
    assert torch.allclose(fixed[:1].expand_as(fixed), fixed, atol=1e-6)


@breaks(
    "families/autoencoder.py",
    "return [n for n in self.bits for _ in range(each)]",
    "return [n for _ in range(each) for n in self.bits]",
)
@breaks(
    "families/autoencoder.py",
    "((latent.clamp(-1, 1) + 1) * (self.top.to(latent.dtype) / 2))",
    "((latent + 1) * (self.top.to(latent.dtype) / 2))",
)
@pytest.mark.parametrize("layout", ["flat", "spatial"])
@torch.no_grad()
def test_a_rounded_latent_survives_as_whole_numbers(layout):
    model = make(bits=(3, 1), layout=layout, height=9, width=13)
    image = images(model, 64)
    latent = model.encode(image)
    assert latent.shape == (64, *model.config.latent_shape())
    code = model.codes(latent)
    halves = code.flatten(1).chunk(2, 1)
    assert len(halves[0].unique()) > 2 and len(halves[1].unique()) == 2
    ends = [model.codes(sign * torch.ones_like(latent)).flatten(1) for sign in (-1, 1, 9)]
    assert not ends[0].any() and torch.equal(ends[1], ends[2])
    assert [half.unique().tolist() for half in ends[1].chunk(2, 1)] == [[7], [1]]
    bits = model.config.number_bits()
    assert len(bits) == latent[0].numel() and bits[0] == 3 and bits[-1] == 1
    assert torch.equal(model.from_codes(code), latent)
    assert torch.allclose(latent.flatten(1).chunk(2, 1)[0], from_levels(halves[0], 8))
    assert set(latent.flatten(1).chunk(2, 1)[1].unique().tolist()) == {-1.0, 1.0}
    assert torch.equal(model.decode(model.from_codes(code)), model.reconstruct(image))


@breaks("families/autoencoder.py", "return rounded + (latent - latent.detach())", "return rounded")
def test_rounding_lets_the_gradient_of_the_tanh_through():
    rounded, smooth_ = make(bits=(2,)), make(bits=())
    features = torch.randn(4, 16, *TINY.grid(), requires_grad=True)
    grads = [
        torch.autograd.grad(model._bound(features).sum(), features)[0]
        for model in (rounded, smooth_)
    ]
    assert torch.equal(*grads) and grads[0].abs().sum() > 0
    assert smooth_._bound(100 * features).abs().max() <= 1


@pytest.mark.parametrize(
    "values, words",
    [
        ({"corrupt": ("gaussain",)}, ["gaussain", "did you mean 'gaussian'"]),
        ({"corrupt": ("mask", "mask")}, ["once"]),
        ({"deviation_min": 0.9}, ["0.9", "deviation_max"]),
        ({"widths": ()}, ["widths"]),
        ({"bits": (3, 2, 1)}, ["bits", "divide latent, 4"]),
        ({"bits": (0, 17)}, ["1 to 16"]),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(values, words):
    with pytest.raises(pydantic.ValidationError) as error:
        changed(TINY, **values)
    assert all(word in str(error.value) for word in words)


def test_what_was_not_learnt_is_refused_in_a_sentence():
    model = make(corrupt=("mask",))
    image = images(model)
    with pytest.raises(ValueError, match="learnt to undo mask, not gaussian"):
        model.denoise(image, torch.zeros(4))
    with pytest.raises(ValueError, match="it has no bits"):
        model.codes(model.encode(image))
    plain = make(corrupt=())
    with pytest.raises(ValueError, match="learnt to undo nothing, not mask"):
        plain.complete(
            image, torch.ones(4, 1, 8, 8), plain.noise(Rng(range(4))), {}, plain.Controls()
        )


@pytest.mark.parametrize("bits", [[1] * 13, [8] * 4, [5, 5, 3, 1, 1]], ids=str)
def test_the_benchmark_s_bytes_hold_the_code_and_nothing_else(bits):
    code = np.random.default_rng(0).integers(0, 2 ** np.array(bits), (5, len(bits)))
    content = autoencoding.pack(code, bits)
    assert {len(row) for row in content} == {-(-sum(bits) // 8)}
    assert np.array_equal(autoencoding.unpack(content, bits), code)


def test_the_benchmark_charges_no_headers_in_a_payload():
    """Any picture's payload is all of its file but what two pictures have in common."""
    for kind, spared in (("WEBP", 30), ("JPEG", 150)):
        content, again = autoencoding.squeeze(smooth(1, side=16)[0][..., :1], kind, 50)
        assert again.shape == (16, 16, 1)
        size = autoencoding.payload(content, kind)
        assert 0 < size <= len(content) - spared
