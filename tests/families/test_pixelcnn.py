"""PixelCNN++: a distribution over all images, blind to the future, and the same step by step."""

import itertools
import math

import pydantic
import pytest
import torch

from tests.support.kit import CONDITIONS, batch_for, changed, context, new_images, wake
from tests.support.sabotage import breaks
from zeuxis import families
from zeuxis.core.pixels import from_levels, to_levels
from zeuxis.core.rng import Rng
from zeuxis.families.pixelcnn import PixelCNN, _turn, _turn_back, best_order
from zeuxis.nn.causal import gated
from zeuxis.sampling.raster import drawn

TINY = PixelCNN.TINY
SIZES = {
    "grey": {"height": 12, "width": 12, "channels": 1},
    "colour": {"height": 6, "width": 5, "channels": 3},
    "point": {"height": 1, "width": 1, "channels": 4},
}


def model_of(seed=0, scale=0.1, **values):
    model = families.build("pixelcnn", changed(TINY, **values), seed)
    return wake(model, scale).eval()


def raw(model, image, given=None):
    """The numbers that describe each pixel, (B, K, H, W)."""
    given = torch.zeros(len(image), 0) if given is None else given
    return model.head(model.net(image, given).relu())


@torch.no_grad()
def naive(model, uniform, cond):
    """The whole network for each number, and nothing kept: levels and every log_p."""
    b, height, width, channels = uniform.shape
    image, all_log_p = torch.zeros(b, channels, height, width), []
    given = model._given(cond, b)
    for i, j, c in itertools.product(range(height), range(width), range(channels)):
        raw_BK = raw(model, image, given)[:, :, i, j]
        log_p = model.output.log_p(image[:, :, i, j], raw_BK, c)
        image[:, c, i, j] = from_levels(drawn(log_p, uniform[:, i, j, c]), model.config.levels)
        all_log_p.append(log_p)
    return image, torch.stack(all_log_p)


@breaks("nn/causal.py", "for row in range(self.conv.above):", "for row in range(0):")
@breaks("nn/causal.py", "if i % 2 == 0 and j % 2 == 0:", "if j % 2 == 0:")
@breaks(
    "nn/causal.py",
    "stem.here[j].copy_(self.current[:, j - 1])",
    "stem.here[j].copy_(self.current[:, j])",
)
@breaks("nn/causal.py", "self.gate_bias = self.gate_bias + label_right", "pass")
@pytest.mark.parametrize("widths", [(8,), (8, 16), (8, 8, 8)], ids=str)
@pytest.mark.parametrize(
    "size, levels", [("grey", 256), ("colour", 256), ("colour", 5), ("point", 3)]
)
@torch.no_grad()
def test_the_cached_sampler_is_the_naive_one(size, levels, widths):
    model = model_of(**SIZES[size], levels=levels, widths=widths, conditions=CONDITIONS, scale=0.2)
    cond = {"label": torch.tensor([[0, 1], [2, -1], [-1, 0]])}
    noise = model.noise(Rng([1, 2, 3]))
    expected, all_log_p = naive(model, noise["uniform"], cond)
    cached = model.generate(noise, cond, model.Controls())
    assert torch.equal(to_levels(cached, levels), to_levels(expected, levels))
    stepper = model.stepper(3, cond)
    for level, log_p in zip(
        to_levels(expected, levels).permute(2, 3, 1, 0).flatten(0, 2), all_log_p, strict=True
    ):
        got = stepper.log_p()
        assert got.shape == (3, levels) and got.dtype == torch.float32
        assert torch.equal(got, stepper.log_p())  # asking does not move on
        assert torch.allclose(got, log_p, atol=1e-4, rtol=1e-4)
        stepper.push(level)


@torch.no_grad()
def test_a_stepper_may_be_pushed_without_being_asked_and_scores_what_bits_per_dim_scores():
    model = model_of(**SIZES["colour"])
    image = batch_for(model)["image"]
    asked, quiet = model.stepper(4), model.stepper(4)
    nats = torch.zeros(4)
    for k, level in enumerate(to_levels(image).permute(2, 3, 1, 0).flatten(0, 2)):
        log_p = asked.log_p()
        nats -= log_p.gather(1, level[:, None])[:, 0]
        if k == 50:
            assert torch.equal(log_p, quiet.log_p())
        asked.push(level)
        quiet.push(level)
    bits = nats / math.log(2) / image[0].numel()
    assert torch.allclose(bits, model.bits_per_dim({"image": image}, Rng(range(4))), rtol=1e-4)


@breaks("nn/causal.py", "self.ahead = columns // 2 if ahead else 0", "self.ahead = columns // 2")
@breaks("nn/causal.py", "F.pad(x, (0, 0, 1, -1))", "x")
@breaks(
    "nn/causal.py",
    "(0, self.behind - self.ahead, 0, self.above)",
    "(0, self.behind - self.ahead, self.above, 0)",
)
@pytest.mark.parametrize("widths", [(8,), (8, 8), (8, 8, 8)], ids=str)
def test_no_pixel_sees_itself_or_the_future(widths):
    model = model_of(height=7, width=6, widths=widths, blocks=1, scale=0.3)
    image = torch.rand(1, 1, 7, 6).requires_grad_()
    features = model.net(image, torch.zeros(1, 0))
    seen = 0
    for p in range(42):
        (gradient,) = torch.autograd.grad(
            features[0, :, p // 6, p % 6].square().sum(), image, retain_graph=True
        )
        assert (gradient.flatten()[p:] == 0).all()
        seen += (gradient.flatten()[:p] != 0).sum().item()
    assert seen > 400  # of 861: the past is heard


def test_the_pixel_before_and_those_above_are_heard():
    model = model_of(height=5, width=5, widths=(8,), blocks=1, scale=0.3)
    image = torch.rand(1, 1, 5, 5).requires_grad_()
    features = model.net(image, torch.zeros(1, 0))
    (gradient,) = torch.autograd.grad(features[0, :, 3, 2].square().sum(), image)
    assert (gradient[0, 0, :3] != 0).all() and (gradient[0, 0, 3, :2] != 0).all()


@pytest.mark.parametrize("levels", [4, 256])
@torch.no_grad()
def test_a_channel_hears_the_earlier_ones_only(levels):
    model = model_of(**SIZES["colour"], levels=levels, scale=0.3)
    raw_BK = torch.randn(1, len(model.output.start))
    pixel = from_levels(torch.tensor([[0, 1, 2]]), levels)
    for channel, changed_one in itertools.product(range(3), range(3)):
        other = pixel.clone()
        other[:, changed_one] = 1.0
        same = torch.equal(
            model.output.log_p(pixel, raw_BK, channel), model.output.log_p(other, raw_BK, channel)
        )
        assert same == (changed_one >= channel)


@pytest.mark.parametrize("shape", [(2, 2, 1), (1, 2, 3), (3, 1, 1), (1, 1, 4)], ids=str)
@pytest.mark.parametrize("widths", [(8,), (8, 8)], ids=str)
@torch.no_grad()
def test_the_probabilities_of_all_small_images_sum_to_one(shape, widths):
    height, width, channels = shape
    model = model_of(
        height=height, width=width, channels=channels, levels=3, widths=widths, scale=0.3
    )
    n = height * width * channels
    images = from_levels(torch.tensor(list(itertools.product(range(3), repeat=n))), 3)
    bits = model.bits_per_dim({"image": images.view(-1, channels, height, width)}, Rng([0]))
    p = 2.0 ** (-bits.double() * n)
    assert p.sum().item() == pytest.approx(1, abs=1e-5)
    assert p.max() > 1.5 * p.min()  # and the weights have a say


@torch.no_grad()
def test_the_mixture_of_256_levels_sums_to_one_along_the_chain():
    model = model_of(height=1, width=1, channels=3, scale=0.3)
    image = torch.tensor([[0.2, -0.4, 0.6]])[..., None, None].repeat(256, 1, 1, 1)
    image[:, 2, 0, 0] = from_levels(torch.arange(256))
    bits = model.bits_per_dim({"image": image}, Rng(range(256))).double()
    stepper = model.stepper(256)
    log_p = torch.zeros(256)
    for level in to_levels(image[:, :2, 0, 0]).unbind(1):
        log_p += stepper.log_p().gather(1, level[:, None])[:, 0]
        stepper.push(level)
    p = 2.0 ** (-bits * 3)
    assert p.sum().item() == pytest.approx(log_p[0].exp().item(), rel=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_softmax_that_knows_nothing_costs_log2_of_the_levels(channels):
    """Bits, not nats, and per number, not per pixel or image."""
    model = families.build("pixelcnn", changed(TINY, levels=8, channels=channels))
    torch.nn.init.zeros_(model.head.weight)
    batch = batch_for(model)
    assert torch.allclose(model.bits_per_dim(batch, Rng(range(4))), torch.tensor(3.0))
    assert model.loss("main", batch, context())["total"].item() == pytest.approx(3)


@torch.no_grad()
def test_the_loss_is_the_score_where_nothing_is_drawn():
    model = model_of()
    batch = batch_for(model)
    bits = model.bits_per_dim(batch, Rng(range(4)))
    assert model.loss("main", batch, context())["total"].item() == pytest.approx(
        bits.mean().item(), rel=1e-6
    )


@torch.no_grad()
def test_images_are_rounded_to_the_levels():
    model = model_of(levels=4)
    image = batch_for(model)["image"]
    rounded = from_levels(to_levels(image, 4), 4)
    args = Rng(range(4))
    assert torch.equal(
        model.bits_per_dim({"image": image}, args), model.bits_per_dim({"image": rounded}, args)
    )
    drawn_images = new_images(model, Rng([1, 2]))
    assert torch.allclose(from_levels(to_levels(drawn_images, 4), 4), drawn_images)


@torch.no_grad()
def test_labels_are_heard_and_an_unknown_one_is_a_label_of_its_own():
    model = model_of(conditions=CONDITIONS)
    image = batch_for(model)["image"][:1]
    bits = [
        model.bits_per_dim({"image": image, "label": torch.tensor([[a, b]])}, Rng([0])).item()
        for a, b in itertools.product((-1, 0, 1, 2), (-1, 0, 1))
    ]
    assert len(set(bits)) == 12
    without = model.bits_per_dim({"image": image}, Rng([0])).item()
    assert without == bits[0]


@breaks(
    "families/pixelcnn.py",
    "return torch.where(mask_B1HW, _turn_back(filled_BCHW, order_B), image_BCHW)",
    "return _turn_back(filled_BCHW, order_B)",
)
@pytest.mark.parametrize("orders", [1, 2, 4, 8])
@torch.no_grad()
def test_completion_keeps_what_is_known_and_ignores_what_is_not(orders):
    model = model_of(orders=orders, scale=0.3)
    image = batch_for(model)["image"] * 0.999  # between levels: kept to the last bit nonetheless
    generator = torch.Generator().manual_seed(0)
    mask = (torch.rand(4, 1, 8, 8, generator=generator) < 0.5).float()
    noise = model.noise(Rng(range(4)))
    done = model.complete(image, mask, noise, {}, model.Controls())
    known = mask.expand_as(image) == 0
    assert torch.equal(done[known], image[known])
    assert not torch.allclose(done[~known], image[~known], atol=0.1)
    other = torch.where(known, image, -image)
    assert torch.equal(model.complete(other, mask, noise, {}, model.Controls()), done)
    alone = model.complete(
        image[2:3], mask[2:3], {"uniform": noise["uniform"][2:3]}, {}, model.Controls()
    )
    assert torch.allclose(alone, done[2:3], atol=1e-4)


@torch.no_grad()
def test_an_open_image_is_completed_as_it_is_generated():
    model = model_of()
    noise = model.noise(Rng([1, 2]))
    everything = torch.ones(2, 1, 8, 8)
    completed = model.complete(torch.rand(2, 1, 8, 8), everything, noise, {}, model.Controls())
    assert torch.equal(completed, model.generate(noise, {}, model.Controls()))


@breaks(
    "families/pixelcnn.py",
    "(open_BP * (1 - open_BP).cumsum(1))",
    "((1 - open_BP) * open_BP.cumsum(1))",
)
def test_the_order_is_the_one_in_which_what_is_known_comes_first():
    mask = torch.zeros(5, 1, 6, 6)
    mask[0, :, 3:] = 1  # the lower half is open: from the top
    mask[1, :, :3] = 1  # the upper half: from the bottom, which is rotated
    mask[2, :, :, 3:] = 1  # the right half: by columns from the left
    mask[3, :, :, :3] = 1  # the left half: by columns from the right
    mask[4] = 1  # nothing is known: raster order
    best = best_order(mask, 8)
    assert best[0] in (0, 2) and best[1] in (1, 3) and best[4] == 0
    assert best[2] >= 4 and best[3] >= 4 and best[2] != best[3]
    assert best_order(mask, 2).tolist()[:2] == [0, 1]
    assert best_order(mask, 1).tolist() == [0] * 5


@torch.no_grad()
def test_in_the_other_orders_the_upper_half_hears_the_lower():
    mask = torch.zeros(1, 1, 8, 8)
    mask[:, :, :4] = 1
    one, two = model_of(scale=0.3), model_of(orders=2, scale=0.3)
    image = torch.rand(1, 1, 8, 8) * 2 - 1
    other = torch.cat([image[:, :, :4], -image[:, :, 4:]], 2)
    noise = one.noise(Rng([4]))

    def upper(model, known):
        return model.complete(known, mask, noise, {}, model.Controls())[:, :, :4]

    assert torch.equal(upper(one, image), upper(one, other))
    assert not torch.equal(upper(two, image), upper(two, other))


@breaks(
    "families/pixelcnn.py",
    "_turn(image_BCHW.masked_fill(mask_B1HW, 0), order_B)",
    "_turn(image_BCHW.masked_fill(mask_B1HW, 0), 0 * order_B)",
)
@torch.no_grad()
def test_the_first_pixel_is_drawn_last_in_the_reverse_order_given_all_others():
    model = model_of(orders=2, levels=5, scale=0.3)
    image = from_levels(to_levels(batch_for(model)["image"], 5), 5)
    mask = torch.zeros(4, 1, 8, 8)
    mask[..., 0, 0] = 1
    noise = model.noise(Rng(range(4)))
    done = model.complete(image, mask, noise, {}, model.Controls())
    turned = image.flip(2, 3)
    given = model._given({}, 4, torch.ones(4, dtype=torch.int64))
    last = model.output.log_p(turned[..., -1, -1], raw(model, turned, given)[..., -1, -1], 0)
    expected = from_levels(drawn(last, noise["uniform"][:, -1, -1, 0]), 5)
    assert torch.allclose(done[:, 0, 0, 0], expected)
    assert torch.equal(done[..., 1:, :], image[..., 1:, :])


@breaks(
    "families/pixelcnn.py",
    "((4, _transposed), (2, _mirrored), (1, _rotated))",
    "((1, _rotated), (2, _mirrored), (4, _transposed))",
)
def test_every_order_is_a_distribution_of_its_own_over_turned_images():
    """In order k the score of an image is that of the turned one under the label k."""
    image = torch.arange(9.0).view(1, 1, 3, 3).repeat(8, 1, 1, 1)
    order = torch.arange(8)
    turned = _turn(image, order)
    assert len({tuple(row.flatten().tolist()) for row in turned}) == 8
    assert torch.equal(_turn_back(turned, order), image)
    assert turned[1].flatten().tolist() == list(reversed(range(9)))


def test_eight_orders_need_a_square_and_say_so():
    with pytest.raises(pydantic.ValidationError, match="orders is 8.*square"):
        changed(TINY, orders=8, width=9)


def test_dropout_is_drawn_by_row():
    model = model_of(dropout=0.5, scale=0.3)
    batch = batch_for(model)
    rows = [
        model.loss("main", {"image": batch["image"][i : i + 1]}, _context([100 + i]))["total"]
        for i in range(4)
    ]
    whole = model.loss("main", batch, _context(range(100, 104)))["total"]
    assert whole.item() == pytest.approx(torch.stack(rows).mean().item(), rel=1e-5)
    same = {"image": batch["image"][:1].repeat(4, 1, 1, 1)}
    losses = {
        model.loss("main", {"image": same["image"][:1]}, _context([i]))["total"].item()
        for i in range(4)
    }
    assert len(losses) == 4
    assert model.loss("main", same, _context([7] * 4))["total"].item() == pytest.approx(
        model.loss("main", {"image": same["image"][:1]}, _context([7]))["total"].item(), rel=1e-5
    )


@breaks("families/pixelcnn.py", "(kept_BF / (1 - config.dropout))", "(kept_BF / 1)")
@torch.no_grad()
def test_dropout_keeps_the_expected_features():
    """Kept features are raised by what the dropped ones lack, so that nothing changes without it."""
    model = model_of(dropout=0.75)
    sizes = model.net.stage.sizes()
    seen = []
    model._nats = lambda image, given, kept: seen.append(kept) or torch.zeros(len(image))
    image = torch.zeros(512, 1, 8, 8)
    model.loss("main", {"image": image}, _context(range(512)))
    assert [k.shape for k in seen[0]] == [(512, size) for size in sizes]
    values = torch.cat(seen[0], 1)
    assert set(values.unique().tolist()) == {0.0, 4.0}
    assert values.mean().item() == pytest.approx(1, abs=0.05)


def _context(rows):
    ctx = context()
    return type(ctx)(step=0, update=0, progress=0.0, rng=Rng(list(rows), stream=7))


@breaks("sampling/raster.py", "(cumulated_BL <= uniform", "(cumulated_BL < uniform")
@torch.no_grad()
def test_the_inverse_is_that_of_the_cumulated_probabilities():
    p = torch.tensor([0.0, 0.25, 0.5, 0.0, 0.25])
    uniform = torch.tensor([0.0, 0.2499, 0.25, 0.7499, 0.75, 1 - 2**-24])
    levels = drawn(p.log().expand(6, -1), uniform)
    assert levels.tolist() == [1, 1, 2, 2, 4, 4]


@torch.no_grad()
def test_temperature_makes_likely_numbers_likelier():
    model = model_of(levels=3, scale=0.4)
    noise = model.noise(Rng(range(64)))
    cold = model.generate(noise, {}, PixelCNN.Controls(temperature=0.2))
    bits = [
        model.bits_per_dim({"image": image}, Rng(range(64))).mean()
        for image in (cold, model.generate(noise, {}, model.Controls()))
    ]
    assert bits[0] < bits[1]


@breaks("nn/causal.py", "torch.mul(grad_BHWF, open_BHWF, out=grad_a)", "grad_a.copy_(grad_BHWF)")
def test_the_gate_and_its_gradient_are_the_stock_ones():
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    y = torch.randn(2, 6, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.allclose(gated(x, y), x + torch.nn.functional.glu(y, 1))
    assert torch.autograd.gradcheck(gated, (x, y))
