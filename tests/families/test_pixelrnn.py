"""PixelRNN: nothing hears the future, all levels together are certain, and both ways of computing agree."""

import itertools
import math

import pydantic
import pytest
import torch

from tests.support.kit import batch_for, build, changed, config_for, new_images, wake
from tests.support.sabotage import breaks
from zeuxis.core.pixels import from_levels, to_levels
from zeuxis.core.rng import Rng
from zeuxis.nn import lstm
from zeuxis.sampling.raster import drawn

LAYERS = ("row", "diagonal")
OUTPUTS = ("mixture", "softmax")


def awake(scale=0.3, **values):
    """Wide enough at its end that no pixel meets only dead ReLUs."""
    return wake(build("pixelrnn", **{"head": 32, **values}), scale).eval()


def heard_by(model, row, column):
    """(H, W) bool: which pixels have a gradient on what describes the pixel at (row, column)."""
    config = model.config
    image = batch_for(model, 2)["image"].double().requires_grad_()
    label = model._given({}, 2)
    raw_PBK = model.network(image, label)
    (grad,) = torch.autograd.grad(raw_PBK[row * config.width + column].square().sum(), image)
    return grad.abs().sum((0, 1)) > 0


@breaks("nn/lstm.py", "(0, 0, 0, 0, 1, 0))[:, :-1]", "(0, 0, 0, 0, 0, 1))[:, 1:]")
@breaks("nn/lstm.py", "h_NBS[left.argsort()[:-width]]", "h_NBS[left.argsort()[width:]]")
@breaks(
    "families/pixelrnn.py",
    "taps[: self.before], 2)  # mask A",
    "taps[1 : self.before + 1], 2)  # mask A",
)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_pixel_hears_nothing_of_itself_and_of_later_ones(layer, channels, layers):
    h, w = 6, 7
    model = awake(layer=layer, layers=layers, height=h, width=w, channels=channels).double()
    order = torch.arange(h * w).view(h, w)
    for p in (0, 1, w - 1, w, 3 * w + 3, 4 * w, h * w - 1):
        heard = heard_by(model, p // w, p % w)
        assert not heard[order >= p].any()
        assert heard[order < p].any() or p == 0


def test_the_diagonal_layer_hears_all_but_one_earlier_pixel_and_the_row_layer_a_triangle():
    h, w, i, j = 6, 9, 5, 3
    order = torch.arange(h * w).view(h, w)
    y, x = order // w, order % w
    diagonal = awake(layer="diagonal", layers=2, height=h, width=w).double()
    # the last pixel above is in no feature of its own row, and rows further down start too far left
    missed = (y == i - 1) & (x == w - 1)
    assert torch.equal(heard_by(diagonal, i, j), (order < i * w + j) & ~missed)
    assert torch.equal(heard_by(diagonal, i, w - 2), order < i * w + w - 2)  # the kernel reaches it
    row = awake(layer="row", layers=1, height=h, width=w).double()
    # kernel 3 reaches one pixel to each side, two taps one more to the left; then the triangle
    up = i - y
    near = (x >= j - 2 - up) & (x <= j + up)
    assert torch.equal(heard_by(row, i, j), near & (order < i * w + j))


@pytest.mark.parametrize("layer", LAYERS)
def test_the_wide_kernel_hides_the_future_too(layer):
    model = awake(layer=layer, kernel=7, height=6, width=7).double()
    order = torch.arange(42).view(6, 7)
    for p in (0, 24, 41):
        assert not heard_by(model, p // 7, p % 7)[order >= p].any()


@breaks("nn/lstm.py", "self.upsample(h_PBS + shifted_PBS)", "self.upsample(h_PBS)")
def test_the_direction_to_the_left_brings_what_lies_above_and_to_the_right():
    layer = lstm.DiagonalBiLSTM(4, 2, 0)
    x_PBF = torch.randn(20, 1, 4, generator=torch.Generator().manual_seed(1))
    before = layer(x_PBF, torch.zeros(1, 0), (4, 5))
    x_PBF[4] += 1  # (0, 4): the last of the first row
    after = layer(x_PBF, torch.zeros(1, 0), (4, 5))
    moved = ((after - before).abs().sum((1, 2)) > 0).view(4, 5)
    assert moved.tolist() == [[False] * 4 + [True], *[[True] * 5] * 3]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (3, 5), (5, 2), (1, 6), (6, 1)])
def test_skewing_visits_each_pixel_once_and_after_its_neighbours(shape, mirrored):
    h, w = shape
    order = lstm.skewed(h, w, mirrored)
    assert order.sort().values.tolist() == list(range(h * w))
    x = torch.arange(h * w)
    assert torch.equal(x[order][order.argsort()], x)
    cells = [divmod(p, w) for p in order.tolist()]
    step = {}
    start = 0
    for t, (first, last) in enumerate(lstm.diagonals(h, w).spans):
        for lane in range(first, last):
            i, j = cells[start]
            assert i == lane
            step[i, j] = t
            start += 1
    assert start == h * w
    back = 1 if mirrored else -1
    for (i, j), t in step.items():
        assert step.get((i - 1, j), t - 1) == t - 1 and step.get((i, j + back), t - 1) == t - 1


def cell_by_torch(cells):
    """torch.nn.LSTMCell with the weights of `cells`; its gates are i, f, g, o."""
    x, size = cells.hear.in_features, cells.state.shape[1] // 4
    o, f, i, g = range(4)
    rows = torch.cat([torch.arange(size) + size * k for k in (i, f, g, o)])
    taps = cells.state.shape[0] // size
    cell = torch.nn.LSTMCell(x, size).double()
    with torch.no_grad():
        cell.weight_ih.copy_(cells.hear.weight[rows])
        cell.bias_ih.copy_(cells.hear.bias[rows])
        cell.bias_hh.zero_()
    return cell, [part.T[rows] for part in cells.state.detach().split(size)][:taps]


@breaks("nn/lstm.py", "c.mul_(f).addcmul_(i, new)", "c.mul_(i).addcmul_(f, new)")
def test_a_column_of_pixels_is_a_plain_lstm():
    layer = lstm.RowLSTM(4, 3, 0).double()
    x_PBF = torch.randn(6, 2, 4, generator=torch.Generator().manual_seed(1)).double()
    cell, taps = cell_by_torch(layer.cells)
    with torch.no_grad():
        cell.weight_hh.copy_(taps[1])  # the state right above
        h = c = torch.zeros(2, 3).double()
        for x_BF, out_BF in zip(x_PBF, layer(x_PBF, torch.zeros(2, 0), (6, 1)), strict=True):
            h, c = cell(torch.cat([torch.zeros_like(x_BF), x_BF], 1), (h, c))
            assert torch.allclose(out_BF, x_BF + layer.upsample(h))


@breaks("nn/lstm.py", "h_NBS[right.argsort()]", "h_NBS[right]")
def test_the_bilstm_is_what_its_equations_say():
    """Against loops over pixels with torch's own cell, both directions."""
    h, w = 3, 4
    layer = lstm.DiagonalBiLSTM(4, 3, 0).double()
    x_PBF = torch.randn(h * w, 2, 4, generator=torch.Generator().manual_seed(1)).double()
    zero = torch.zeros(2, 3).double()
    sums = {}
    with torch.no_grad():
        for cells, columns in ((layer.right, range(w)), (layer.left, reversed(range(w)))):
            cell, (above, beside) = cell_by_torch(cells)
            columns = list(columns)
            back = columns[0] - columns[1] if w > 1 else 0
            states = {}
            for i in range(h):
                for j in columns:
                    up, _ = states.get((i - 1, j), (zero, zero))
                    side, c = states.get((i, j + back), (zero, zero))
                    cell.weight_hh.copy_(beside)
                    cell.bias_hh.zero_()
                    # what the state above says joins the input: LSTMCell has one state only
                    cell_in = torch.cat([x_PBF[i * w + j], up], 1)
                    joint = torch.nn.LSTMCell(4 + 3, 3).double()
                    joint.weight_ih.copy_(torch.cat([cell.weight_ih, above], 1))
                    joint.weight_hh.copy_(cell.weight_hh)
                    joint.bias_ih.copy_(cell.bias_ih)
                    joint.bias_hh.zero_()
                    states[i, j] = joint(cell_in, (side, c))
            shift = 0 if cells is layer.right else 1
            for (i, j), (state, _) in states.items():
                sums[i + shift, j] = sums.get((i + shift, j), 0) + state
        out_PBF = layer(x_PBF, torch.zeros(2, 0), (h, w))
        for p, x_BF in enumerate(x_PBF):
            assert torch.allclose(out_PBF[p], x_BF + layer.upsample(sums[divmod(p, w)]))


@breaks("nn/lstm.py", "state.zero_()", "pass")
@breaks("nn/lstm.py", "bias_BG += given.sum(0)", "bias_BG = given.sum(0)")
@pytest.mark.parametrize("bias_rows", [1, 2])
@pytest.mark.parametrize("schedule", [lstm.rows(2, 3), lstm.diagonals(2, 3), lstm.diagonals(3, 2)])
def test_the_gradient_by_hand_is_the_gradient(schedule, bias_rows):
    generator = torch.Generator().manual_seed(1)
    shapes = (6, 2, 3), (3 + len(schedule.taps), 4), (bias_rows, 4)
    inputs = [torch.randn(s, generator=generator).double().requires_grad_() for s in shapes]
    assert torch.autograd.gradcheck(lambda *x: lstm._Recurrence.apply(*x, schedule), inputs)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("layer", LAYERS)
@torch.no_grad()
def test_the_probabilities_of_all_images_sum_to_one(layer, output):
    model = awake(layer=layer, output=output, height=2, width=2, levels=3).double()
    levels = torch.tensor(list(itertools.product(range(3), repeat=4))).view(-1, 1, 2, 2)
    label = torch.tensor([[1, -1]]).expand(len(levels), -1)
    bits = model.bits_per_dim({"image": from_levels(levels, 3).double(), "label": label}, Rng([]))
    assert (2 ** (-4 * bits.double())).sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("output", OUTPUTS)
@torch.no_grad()
def test_the_probabilities_of_all_coloured_pairs_sum_to_one(output):
    model = awake(layer="row", output=output, height=1, width=2, channels=3, levels=2).double()
    levels = torch.tensor(list(itertools.product(range(2), repeat=6))).view(-1, 3, 1, 2)
    label = torch.full((len(levels), 2), -1)
    bits = model.bits_per_dim({"image": from_levels(levels, 2).double(), "label": label}, Rng([]))
    assert (2 ** (-6 * bits.double())).sum().item() == pytest.approx(1, abs=1e-5)


@breaks("objectives/levels.py", "logits_NL + table(level_NC[:, earlier])", "logits_NL")
@pytest.mark.parametrize("output", OUTPUTS)
@torch.no_grad()
def test_one_channel_hears_the_ones_before_it_in_its_pixel(output):
    model = awake(output=output, channels=3)
    image = batch_for(model, 2)["image"]
    label = model._given({}, 2)
    raw_PBK = model.network(image, label)
    known_BC = image[..., 0, 0]
    for channel in range(3):
        log_p = model.output.log_p(known_BC, raw_PBK[0], channel)
        for other in range(3):
            moved = known_BC.clone()
            moved[:, other] = -moved[:, other]
            same = torch.equal(log_p, model.output.log_p(moved, raw_PBK[0], channel))
            assert same == (other >= channel)


@torch.no_grad()
def naive(model, noise, cond, temperature=1.0):
    """The whole network again for every number."""
    config = model.config
    uniform = noise["uniform"]
    image = torch.zeros(len(uniform), config.channels, config.height, config.width)
    for p in range(config.height * config.width):
        i, j = divmod(p, config.width)
        for c in range(config.channels):
            raw_PBK = model.network(image, model._given(cond, 2))
            log_p = model.output.log_p(image[..., i, j], raw_PBK[p], c) / temperature
            cumulated = log_p.exp().cumsum(1) / log_p.exp().sum(1, keepdim=True)
            level = (cumulated <= uniform[:, i, j, c, None]).sum(1)
            image[:, c, i, j] = from_levels(level, config.levels)
    return image


@breaks("nn/lstm.py", "self.left_BF = x_BF", "pass")
@breaks(
    "nn/lstm.py",
    "for column in reversed(range(len(self.xs))):",
    "for column in range(len(self.xs)):",
)
@breaks("sampling/raster.py", "stepper.log_p() / temperature", "stepper.log_p()")
@pytest.mark.parametrize("shape", [(8, 8, 1), (5, 6, 3)])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("layer", LAYERS)
@torch.no_grad()
def test_the_cached_sampler_draws_what_the_whole_network_would(layer, output, shape):
    h, w, c = shape
    model = awake(layer=layer, output=output, height=h, width=w, channels=c, kernel=5, levels=64)
    noise, cond = model.noise(Rng([1, 2])), {"label": torch.tensor([[0, 1], [-1, 0]])}
    assert torch.equal(model.generate(noise, cond, model.Controls()), naive(model, noise, cond))
    cooler = model.Controls(temperature=0.5)
    assert torch.equal(model.generate(noise, cond, cooler), naive(model, noise, cond, 0.5))


@breaks("families/pixelrnn.py", "self.channel, self.raw_BK = 0, None", "self.channel = 0")
@pytest.mark.parametrize("layer", LAYERS)
@torch.no_grad()
def test_the_steps_add_up_to_the_score(layer):
    model = awake(layer=layer, height=4, width=5, channels=3)
    batch = batch_for(model, 3)
    levels = to_levels(batch["image"])
    stepper, bits = model.stepper(3, batch), torch.zeros(3)
    for i, j, c in itertools.product(range(4), range(5), range(3)):
        log_p = stepper.log_p()
        assert log_p.shape == (3, 256) and log_p.dtype == torch.float32
        bits -= log_p.gather(1, levels[:, c, i, j, None])[:, 0] / math.log(2)
        stepper.push(levels[:, c, i, j])
    assert torch.allclose(bits / 60, model.bits_per_dim(batch, Rng([1, 2, 3])), atol=1e-5)


@breaks(
    "sampling/raster.py",
    "level_B = torch.where(known[1][:, 0, i, j], level_B, level_BCHW[:, c, i, j])",
    "pass",
)
@pytest.mark.parametrize("layer", LAYERS)
@torch.no_grad()
def test_completing_forces_what_is_known_and_hears_it(layer):
    model = awake(layer=layer, height=6, width=5)
    noise = model.noise(Rng([3, 4]))
    image = batch_for(model, 2)["image"] + 0.001  # off the levels: kept as it is
    mask = torch.zeros(2, 1, 6, 5)
    mask[:, :, 3:] = 1
    done = model.complete(image, mask, noise, {}, model.Controls())
    assert torch.equal(done[:, :, :3], image[:, :, :3])
    other = model.complete(torch.where(mask > 0, 0.0, image), mask, noise, {}, model.Controls())
    assert torch.equal(done, other)  # what the mask covers has no influence
    mirrored = model.complete(image.flip(3), mask, noise, {}, model.Controls())
    assert not torch.equal(done[:, :, 3:], mirrored[:, :, 3:])
    everything = model.complete(image, torch.ones_like(mask), noise, {}, model.Controls())
    assert torch.equal(everything, model.generate(noise, {}, model.Controls()))


@breaks(
    "nn/lstm.py", "bias_BG + full(self.label(label_BE))", "bias_BG + 0 * full(self.label(label_BE))"
)
@pytest.mark.parametrize("layer", LAYERS)
@torch.no_grad()
def test_labels_are_heard_in_every_gate(layer):
    model = awake(layer=layer)
    batch = batch_for(model)
    scores = [
        model.bits_per_dim({**batch, "label": torch.full((4, 2), k)}, Rng(range(4)))
        for k in (-1, 0, 1)
    ]
    assert all((a - b).abs().min() > 1e-6 for a, b in itertools.combinations(scores, 2))


@breaks("nn/lstm.py", "self.hear.bias[size : 2 * size] += 1", "self.hear.bias[:size] += 1")
def test_a_state_survives_many_rows_at_first():
    """The forget gate starts open, so that the top of an image can matter at its bottom."""
    layer = lstm.RowLSTM(8, 4, 0)
    assert (layer.cells.hear.bias[4:8] > 0.5).all() and (layer.cells.hear.bias[:4] < 0.5).all()


@breaks(
    "sampling/raster.py", "uniform_B[:, None] * cumulated_BL[:, -1:]", "uniform_B[:, None] + 1e-3"
)
def test_temperature_sharpens():
    log_p = torch.tensor([[0.6, 0.4]]).log().expand(1000, -1)
    uniform = torch.linspace(0, 0.999, 1000)
    assert drawn(log_p, uniform).float().mean().item() == pytest.approx(0.4, abs=0.01)
    assert drawn(log_p / 0.1, uniform).float().mean().item() == pytest.approx(0.017, abs=0.005)
    assert drawn(torch.tensor([[-200.0, 0.0, -200.0]]), torch.tensor([1 - 2**-24])).item() == 1


def test_an_even_kernel_is_refused_in_a_sentence():
    with pytest.raises(pydantic.ValidationError) as error:
        changed(config_for("pixelrnn"), kernel=4)
    assert "4" in str(error.value) and "take 5" in str(error.value)


@pytest.mark.parametrize("layer", LAYERS)
@torch.no_grad()
def test_a_single_pixel_is_an_image(layer):
    model = awake(layer=layer, height=1, width=1)
    assert new_images(model, Rng([1])).shape == (1, 1, 1, 1)
    assert torch.isfinite(model.bits_per_dim(batch_for(model, 2), Rng([1, 2]))).all()
