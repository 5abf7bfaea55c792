"""What is particular to StyleGAN2: modulation, styles of layers, noise of layers, path lengths."""

import math

import pytest
import torch
import torch.nn.functional as F

from tests.support.kit import batch_for, build, context, loader_for, wake
from tests.support.sabotage import breaks
from zeuxis.core.family import Context
from zeuxis.core.processes import Parallel
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training
from zeuxis.families import get
from zeuxis.nn.condition import hide
from zeuxis.nn.modulated import EqualLinear, ModulatedConv, ToColour, demodulation
from zeuxis.objectives.path_length import path_lengths
from zeuxis.training import step


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def controls(**values):
    return get("stylegan").Controls(**values)


@breaks("nn/modulated.py", "full(scale_BI).square() @ power_OI.T", "full(scale_BI) @ power_OI.T")
def test_a_modulated_convolution_is_a_convolution_with_weights_of_its_own_for_each_row():
    """Karras et al., 2020, equations 1 to 3, as one grouped convolution."""
    layer = wake(ModulatedConv(6, 5, style=4).double(), 0.3)
    x, w = normal(3, 6, 7, 4), normal(3, 4, seed=1)
    scale = layer.affine(w)
    weight = layer.weight[None] * scale[:, None, :, None, None]
    weight = weight / weight.square().sum((2, 3, 4), keepdim=True).sqrt()
    grouped = F.conv2d(x.reshape(1, 18, 7, 4), weight.reshape(15, 6, 3, 3), padding=1, groups=3)
    expected = 1.7 * grouped.reshape(3, 5, 7, 4) + layer.bias[:, None, None]
    assert torch.allclose(layer(x, w, 1.7), expected, rtol=1e-6)


def test_demodulated_outputs_have_unit_variance_whatever_the_style():
    weight, scale = normal(64, 32, 3, 3), normal(16, 32, seed=1).exp() * 20
    x = normal(16, 32, 24, 24, seed=2) * scale[..., None, None]
    out = F.conv2d(x, weight) * demodulation(weight, scale)[..., None, None]
    deviation = out.std((2, 3))
    assert deviation.mean().item() == pytest.approx(1, abs=0.01)
    assert deviation.min() > 0.8 and deviation.max() < 1.2


@breaks("nn/modulated.py", "/ math.sqrt(self.weight.shape[1])", "/ 1.0")
def test_colours_are_a_modulated_1x1_convolution_without_demodulation():
    layer = wake(ToColour(6, 3, style=4).double(), 0.3)
    x, w = normal(2, 6, 5, 3), normal(2, 4, seed=1)
    scaled = x * layer.affine(w)[..., None, None] / math.sqrt(6)
    expected = F.conv2d(scaled, layer.weight[..., None, None], layer.bias)
    assert torch.allclose(layer(x, w), expected)


@breaks("nn/modulated.py", "self.bias * self.pace", "self.bias")
def test_pace_changes_how_fast_a_layer_learns_and_nothing_else():
    layers = [EqualLinear(5, 3, gain=2.0, bias=0.5, pace=pace).double() for pace in (1.0, 0.01)]
    with torch.no_grad():
        layers[1].weight.copy_(layers[0].weight / 0.01)
    x = normal(4, 5)
    assert torch.allclose(layers[0](x), layers[1](x))
    for layer in layers:
        layer(x).sum().backward()
    assert torch.allclose(layers[1].weight.grad, 0.01 * layers[0].weight.grad)
    assert torch.allclose(layers[1].bias.grad, 0.01 * layers[0].bias.grad)


@breaks("objectives/path_length.py", ".sum(2).mean(1)", ".sum(2).sum(1)")
def test_path_lengths_of_a_linear_generator_are_known():
    """image = A w of each layer, so J^T y = A^T y."""
    matrix = normal(3, 2 * 4 * 5, 6)  # a layer each
    w, y = normal(7, 3, 6, seed=1).requires_grad_(), normal(7, 2, 4, 5, seed=2)
    image = torch.einsum("lpz,blz->bp", matrix, w).view(7, 2, 4, 5)
    length = path_lengths(image, w, y)
    projected = torch.einsum("lpz,bp->blz", matrix, y.flatten(1)) / math.sqrt(20)
    assert torch.allclose(length, projected.square().sum(2).mean(1).sqrt())


@breaks("objectives/path_length.py", "create_graph=True", "retain_graph=True")
def test_the_path_penalty_s_gradient_agrees_with_finite_differences():
    model = wake(build("stylegan")).double()
    model.path_mean.fill_(0.3)
    batch = {k: v.double() if v.is_floating_point() else v for k, v in batch_for(model).items()}

    def penalty():
        return model.loss("generator", batch, context(dtype=torch.float64))["path"]

    weight = model.painter.convs[1].weight
    (gradient,) = torch.autograd.grad(penalty(), weight)
    direction = normal(*weight.shape)
    with torch.no_grad():
        weight += 1e-5 * direction
    up = penalty().item()
    with torch.no_grad():
        weight -= 2e-5 * direction
    slope = (up - penalty().item()) / 2e-5
    assert abs(slope) > 1e-4
    assert (gradient * direction).sum().item() == pytest.approx(slope, rel=1e-4)


@breaks(
    "families/stylegan.py",
    "config.path_weight * config.path_every * penalty",
    "config.path_weight * penalty",
)
def test_lazy_penalties_are_as_strong_on_average():
    model = wake(build("stylegan", gamma=2.0, gamma_end=0.25, penalty_every=4, path_every=3))
    model.path_mean.fill_(0.3)
    batch = batch_for(model)
    due = model.loss("discriminator", batch, context(update=4, progress=0.5))
    added = due["total"] - due["adversarial"]
    assert added.item() == pytest.approx(4 * due["penalty"].item(), rel=1e-4)
    assert "penalty" not in model.loss("discriminator", batch, context(update=3))
    due = model.loss("generator", batch, context(update=3))
    added = due["total"] - due["adversarial"] - due["beyond"]
    assert added.item() == pytest.approx(2 * 3 * due["path"].item(), rel=1e-4)
    assert "path" not in model.loss("generator", batch, context(update=4))


@breaks(
    "families/stylegan.py",
    'if config.loss == "relativistic" else real_B',
    'if config.loss == "none" else real_B',
)
@pytest.mark.parametrize("loss, images", [("non_saturating", 1), ("relativistic", 2)])
def test_r1_looks_at_real_images_and_the_relativistic_loss_at_both(loss, images):
    model = wake(build("stylegan", conditional=False, loss=loss, augment=()))
    batch, seen = batch_for(model), []
    model.discriminator.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    penalty = model.loss("discriminator", batch, context())["penalty"]
    image = seen[0].detach().requires_grad_()
    assert torch.equal(image[:4], batch["image"])
    verdict = model.discriminator.judge(model.discriminator(image), {})
    (gradient,) = torch.autograd.grad(verdict.sum(), image)
    expected = gradient[: 4 * images].square().sum() / 4 / 2
    assert penalty.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("loss", ["non_saturating", "relativistic"])
def test_everything_at_once_trains_in_bfloat16(loss):
    values = {"loss": loss, "path_every": 1, "penalty_every": 1, "fine": 0, "height": 12}
    model = build("stylegan", **values, augment=("colour", "translation", "cutout"))
    state = step.start(
        model, Training(steps=3, batch_size=8), torch.device("cpu"), "bfloat16", Parallel()
    )
    for _ in range(3):
        losses = step.train_step(state, loader_for(model.config))
        state.step += 1
    assert all(torch.isfinite(value) for value in losses.values()) and not state.skipped
    assert losses["generator/path"] > 0 and losses["generator/path"].dtype == torch.float32


def test_the_path_penalty_s_gradient_is_right_in_bfloat16():
    """Double backward under autocast and in channels_last, against float64."""
    gradients = {}
    for kind in ("float64", "bfloat16"):
        model = wake(build("stylegan", height=16, width=12, features=32), 0.02)
        model = model.to(torch.float64 if kind == "float64" else torch.float32)
        model = model.to(memory_format=torch.channels_last)
        model.path_mean.fill_(0.3)
        dtype = next(model.parameters()).dtype
        batch = {
            k: v.to(dtype) if v.is_floating_point() else v for k, v in batch_for(model).items()
        }
        with torch.autocast("cpu", torch.bfloat16, enabled=kind == "bfloat16"):
            penalty = model.loss("generator", batch, context(dtype=dtype))["path"]
        assert penalty.dtype == dtype
        found = torch.autograd.grad(penalty, list(model.painter.convs.parameters()))
        gradients[kind] = torch.cat([g.flatten().double() for g in found])
    cosine = F.cosine_similarity(gradients["float64"], gradients["bfloat16"], dim=0)
    assert cosine > 0.995


@torch.no_grad()
def test_truncation_moves_styles_towards_the_mean_of_coarse_layers_first():
    model = wake(build("stylegan", height=16))
    model.w_mean.copy_(torch.arange(4.0))
    w = model.mapping(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)))
    count = len(model.config.layers())
    assert torch.equal(model.styles(w), w[:, None].expand(3, count, 4))
    half = model.styles(w, 0.5, 2)
    assert torch.allclose(half[:, :2], ((w + model.w_mean) / 2)[:, None].expand(3, 2, 4))
    assert torch.equal(half[:, 2:], w[:, None].expand(3, count - 2, 4))


@breaks(
    "families/stylegan.py",
    "self.w_mean.lerp(w_BLZ, truncation)",
    "w_BLZ.lerp(self.w_mean, truncation)",
)
@breaks(
    "families/stylegan.py",
    'self.styles(self.mapper(noise["z"], told), *near)',
    'self.styles(self.mapper(noise["z"], told))',
)
@torch.no_grad()
def test_truncation_0_without_noise_paints_one_image():
    model = wake(build("stylegan")).eval()
    noise, label = (
        model.noise(Rng(range(4))),
        {"label": torch.tensor([[0, 0], [1, 1], [2, 0], [-1, -1]])},
    )
    images = model.generate(noise, label, controls(truncation=0.0, noise=0.0))
    assert torch.allclose(images, images[:1].expand_as(images), atol=1e-6)
    images = model.generate(noise, label, controls(truncation=0.0))
    assert not torch.allclose(images[0], images[1], atol=1e-4)
    assert torch.equal(
        model.generate(noise, {}, model.Controls()), model.generate(noise, {}, controls())
    )


@breaks("families/stylegan.py", 'noise[f"layer_{i}"] * strength', 'noise[f"layer_{i}"]')
@torch.no_grad()
def test_noise_0_leaves_only_what_the_latent_says():
    model = wake(build("stylegan"))
    first, second = model.noise(Rng([1, 2])), model.noise(Rng([3, 4]))
    other = {**second, "z": first["z"]}
    assert torch.equal(
        model.generate(first, {}, controls(noise=0.0)),
        model.generate(other, {}, controls(noise=0.0)),
    )
    assert not torch.equal(
        model.generate(first, {}, model.Controls()), model.generate(other, {}, model.Controls())
    )
    for name in first:
        turned = model.generate({**first, name: second[name]}, {}, controls(mixing=1))
        assert not torch.equal(turned, model.generate(first, {}, controls(mixing=1))), name


@breaks("families/stylegan.py", "(layer_L < start_B[:, None])", "(layer_L <= start_B[:, None])")
@torch.no_grad()
def test_mixing_takes_the_finer_styles_of_the_second_latent():
    model = wake(build("stylegan"))
    noise, count = model.noise(Rng([1, 2])), len(model.config.layers())
    second = {**noise, "z": noise["mix"]}
    assert torch.equal(
        model.generate(noise, {}, controls(mixing=0)), model.generate(second, {}, model.Controls())
    )
    assert torch.equal(
        model.generate(noise, {}, controls(mixing=count)),
        model.generate(noise, {}, model.Controls()),
    )
    w, other = (model.styles(model.mapping(noise[name])) for name in ("z", "mix"))
    by_hand = torch.cat([w[:, :1], other[:, 1:]], 1)
    mixed = model.generate(noise, {}, controls(mixing=1))
    assert torch.equal(mixed, model.synthesise(by_hand, noise))


@breaks(
    "families/stylegan.py",
    "start_B.masked_fill(mixed_B >= self.config.mixing, count)",
    "start_B.masked_fill(mixed_B[0] >= self.config.mixing, count)",
)
@torch.no_grad()
def test_styles_are_mixed_in_training_by_row_at_a_drawn_layer():
    model = wake(build("stylegan", height=32, mixing=0.5, conditional=False))
    rng, count = Rng(range(400)), len(model.config.layers())
    told = model._told({}, 400)
    mixed, w = model._drawn_styles(told, rng)
    own = (mixed == w[:, None]).all(2).sum(1)  # layers that keep the first style
    assert (own == count).float().mean().item() == pytest.approx(0.5, abs=0.08)
    assert set(own.tolist()) == set(range(1, count + 1))
    second = model.mapper(rng.normal("mix", 4), told)
    row = int((own == 2).nonzero()[0])
    assert torch.equal(mixed[row, 2:], second[row].expand(count - 2, 4))
    alone, _ = model._drawn_styles(model._told({}, 1), Rng([row]))
    assert torch.allclose(alone[0], mixed[row], atol=1e-6)


@breaks(
    "families/stylegan.py",
    'if phase == "discriminator":\n            return\n        self.w_mean',
    'if phase == "none":\n            return\n        self.w_mean',
)
def test_running_means_move_only_in_update_and_follow_the_stats():
    model = wake(build("stylegan"))
    before = model.w_mean.clone()
    losses = model.loss("generator", batch_for(model), context())
    model.generate(model.noise(Rng([1])), {}, model.Controls())
    assert torch.equal(model.w_mean, before) and model.path_mean == 0
    assert losses["path"] == 0  # no mean yet to compare with
    stats = {k: v.detach() for k, v in losses.items() if k.startswith("stat/")}
    model.update("discriminator", stats, context())
    assert torch.equal(model.w_mean, before)
    model.update("generator", stats, context())
    rng, given = context().rng, {"label": batch_for(model)["label"]}
    w = model.mapping(rng.normal("z", 4), hide(given, rng, model.config.drop_label))
    assert torch.allclose(model.w_mean, w.mean(0), atol=1e-6)
    assert model.path_mean == stats["stat/path"] > 0
    twice = {key: 2 * value for key, value in stats.items()}
    late = Context(step=0, update=10**6, progress=0.5, rng=rng)
    model.update("generator", twice, late)
    assert torch.allclose(model.w_mean, 1.01 * w.mean(0), atol=1e-6)


@torch.no_grad()
def test_noise_is_standard_normal_and_named_by_layer():
    model = build("stylegan", height=20, width=12)
    noise = model.noise(Rng(range(200)))
    shapes = [tuple(noise[f"layer_{i}"].shape[2:]) for i in range(len(noise) - 2)]
    assert shapes == [(3, 2), (5, 3), (5, 3), (10, 6), (10, 6), (20, 12), (20, 12)]
    for name, value in noise.items():
        assert value.mean().abs() < 0.1 and (value.std() - 1).abs() < 0.1, name


@torch.no_grad()
def test_a_flat_style_upsamples_without_a_checkerboard():
    """Nothing but upsampling makes neighbours differ: away from the border a constant stays flat."""
    model = build("stylegan", height=32, width=32, conditional=False)
    model.painter.start.copy_(model.painter.start.mean((2, 3), keepdim=True))
    for conv in model.painter.convs:
        conv.weight.copy_(F.pad(conv.weight[..., 1:2, 1:2], (1, 1, 1, 1)))
    w = model.mapping(torch.ones(1, 4))
    image = model.synthesise(model.styles(w), model.noise(Rng([1])))
    assert torch.allclose(image, image[..., :1, :1].expand_as(image), atol=1e-5)


@breaks("nn/wrapping.py", 'mode="bilinear"', 'mode="nearest"')
@torch.no_grad()
def test_upsampling_keeps_a_smooth_ramp():
    """Away from the border bilinear upsampling of a ramp is a ramp of half the slope."""
    painter = build("stylegan").painter
    ramp = torch.arange(5.0).expand(1, 1, 5, 5)
    rise = painter._up(ramp, (9, 10))
    assert rise.shape == (1, 1, 9, 10)
    assert torch.allclose(rise[..., 1:9].diff(dim=3), torch.tensor(0.5))
