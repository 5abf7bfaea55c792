"""Quantisers against their definitions, and the tokenizer's late and balanced adversary."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from tests.support.kit import batch_for, build, config_for, context, loader_for, wake
from tests.support.sabotage import breaks
from zeuxis import families
from zeuxis.core import tensors
from zeuxis.core.processes import Parallel
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training
from zeuxis.inference import artefact
from zeuxis.nn import quantise
from zeuxis.objectives.similarity import dissimilarity
from zeuxis.training import step

LATE = 0.9
RNG = Rng(range(4), stream=3)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# FSQ


@breaks("nn/quantise.py", "aside = (1 - levels % 2) / 2", "aside = 0 * levels")
@pytest.mark.parametrize("levels", [(8, 6, 5), (8, 5, 5, 5), (2,), (3, 2), (7, 4)], ids=str)
def test_fsq_tokens_and_codes_are_one_to_one_and_all_codes_are_reached(levels):
    fsq = quantise.FSQ(levels)
    token = torch.arange(fsq.count)[None, :, None]
    codes = fsq.codes(token)
    assert torch.equal(fsq.tokens(codes), token)
    assert len(torch.unique(codes[0, :, :, 0].t(), dim=0)) == fsq.count
    assert codes.min() == -1 and codes.max() <= 1
    far = 20 * normal(60_000, len(levels), 1, 1)
    near = normal(60_000, len(levels), 1, 1)
    seen = torch.cat([fsq(far).token_Bhw, fsq(near).token_Bhw]).unique()
    assert torch.equal(seen, torch.arange(fsq.count))


def test_fsq_rounds_the_paper_s_bound_of_each_number():
    """Section 3.1 by hand: floor(L / 2) tanh for odd L; for even L a tanh of L - 1 steps, half one aside."""
    z = torch.linspace(-3, 3, 101).double()[None, None, None]
    odd = quantise.FSQ((5,))(z).code_BDhw
    assert torch.equal(odd, torch.round(2.002 * torch.tanh(z)) / 2)
    even = quantise.FSQ((4,))(z).code_BDhw
    shift = torch.atanh(torch.tensor(0.5 / 1.5015).double())
    assert torch.equal(even, torch.round(1.5015 * torch.tanh(z + shift) - 0.5) / 2)


def test_fsq_passes_the_gradient_of_the_bound():
    fsq = quantise.FSQ((5, 5))
    z = normal(3, 2, 4, 4).double().requires_grad_()
    code, token, commitment = fsq(z)
    (got,) = torch.autograd.grad(code.sum(), z)
    (expected,) = torch.autograd.grad((2.002 / 2 * torch.tanh(z)).sum(), z)
    assert torch.allclose(got, expected)
    assert torch.equal(code.detach(), fsq.codes(token).double()) and not commitment.any()


def test_vectors_become_the_nearest_code():
    fsq = quantise.FSQ((8, 5))
    every = fsq.codes(torch.arange(40)[None, :, None])[0, :, :, 0].t()
    vector = normal(200, 2) * 1.5
    nearest = torch.cdist(vector, every).argmin(1)
    assert torch.equal(fsq.tokens(vector[..., None, None]).flatten(), nearest)


# VQ


def vq(count=16, size=4, **settings):
    torch.manual_seed(0)
    return quantise.VQ(size, count, **settings)


def test_vq_takes_the_nearest_unit_code():
    quantiser, z = vq(), normal(2, 4, 3, 5)
    code, token, commitment = quantiser(z)
    flat = F.normalize(z, dim=1).movedim(1, -1).reshape(-1, 4)
    distance = torch.cdist(flat, quantiser.codebook_KD).square()
    assert torch.equal(token.flatten(), distance.argmin(1))
    assert torch.allclose(commitment, distance.min(1).values.view(2, -1).mean(1), atol=1e-6)
    assert torch.equal(code, quantiser.codes(token)) and torch.equal(quantiser.tokens(code), token)


@breaks("nn/quantise.py", "(e_BDhw - code_BDhw).square()", "(e_BDhw.detach() - code_BDhw).square()")
def test_beta_belongs_to_the_encoder_s_side():
    """The commitment's gradient is that of |e - sg(code)|^2: 2 (e - code) through the normalisation."""
    quantiser, z = vq(), normal(2, 4, 3, 3).double().requires_grad_()
    quantiser.double()
    (got,) = torch.autograd.grad(quantiser(z).commitment_B.sum(), z)
    e = F.normalize(z, dim=1)
    fixed = quantiser.codes(quantiser(z).token_Bhw)
    (expected,) = torch.autograd.grad(e, z, 2 * (e - fixed).detach() / 9)
    assert torch.allclose(got, expected)


@breaks("nn/quantise.py", "+ 2 * along_e * code_BDhw", "+ along_e * code_BDhw")
def test_the_rotation_carries_the_vector_to_its_code_and_keeps_the_gradient_s_angle():
    e = F.normalize(normal(5, 4, 2, 2).double(), dim=1).requires_grad_()
    code = F.normalize(e.detach() + 0.3 * normal(5, 4, 2, 2, seed=1), dim=1)
    assert torch.equal(quantise.rotate(e, code), code)
    basis = torch.eye(4).double()
    rows = [
        torch.autograd.grad(
            quantise.rotate(e, code), e, b[None, :, None, None].expand_as(e), retain_graph=True
        )[0]
        for b in basis
    ]
    matrix = torch.stack([r[0, :, 0, 0] for r in rows])  # one place: the Jacobian, (out, in)
    assert torch.allclose(matrix @ matrix.t(), basis, atol=1e-12)
    assert torch.allclose(matrix @ e[0, :, 0, 0], code[0, :, 0, 0])
    assert torch.linalg.det(matrix) > 0
    gradient = normal(5, 4, 2, 2, seed=2).double()
    (moved,) = torch.autograd.grad(quantise.rotate(e, code), e, gradient)
    assert torch.allclose((moved * e).sum(1), (gradient * code).sum(1))


def test_straight_through_is_the_identity():
    quantiser, z = vq(rotation=False), normal(2, 4, 3, 3).requires_grad_()
    gradient = normal(2, 4, 3, 3, seed=1)
    (got,) = torch.autograd.grad(quantiser(z).code_BDhw, z, gradient)
    (expected,) = torch.autograd.grad(F.normalize(z, dim=1), z, gradient)
    assert torch.allclose(got, expected, atol=1e-6)


@breaks(
    "nn/quantise.py",
    "self.sum_KD.lerp_(sum_KD.to(self.sum_KD.dtype), 1 - self.decay)",
    "self.sum_KD.lerp_(sum_KD.to(self.sum_KD.dtype), self.decay)",
)
def test_the_codebook_converges_to_the_mean_directions():
    """Two tight clusters, two codes: moving averages end on their normalised means."""
    centres = F.normalize(normal(2, 4, seed=3), dim=1)
    quantiser = vq(count=2, decay=0.9, dead=0.0)
    quantiser.codebook_KD.copy_(F.normalize(centres + 0.3 * normal(2, 4, seed=4), dim=1))
    points = (centres[:, None] + 0.05 * normal(2, 50, 4)).reshape(4, 25, 4).movedim(2, 1)[..., None]
    once, sums = vq(count=2, decay=0.9, dead=0.0), torch.ones(2, 4)
    expected = F.normalize(0.9 * once.sum_KD + 0.1 * sums, dim=1)
    once.follow(torch.tensor([0.5, 0.5]), sums, RNG)
    assert torch.allclose(once.codebook_KD, expected, atol=1e-6)
    for _ in range(200):
        token = quantiser(points).token_Bhw
        quantiser.follow(quantise.histogram(token, 2), quantiser.sums(points, token), RNG)
    unit = F.normalize(points, dim=1).movedim(1, -1).reshape(2, 50, 4)
    assert torch.allclose(quantiser.codebook_KD, F.normalize(unit.mean(1), dim=1), atol=1e-5)
    assert torch.allclose(quantiser.share_K, torch.tensor([0.5, 0.5]))


def test_forward_moves_no_buffer():
    quantiser = vq()
    before = {key: value.clone() for key, value in quantiser.state_dict().items()}
    quantiser.train()(normal(2, 4, 3, 3))
    assert all(torch.equal(before[key], value) for key, value in quantiser.state_dict().items())


@breaks("nn/quantise.py", "self.sum_KD[donors] /= 2", "pass")
@breaks(
    "nn/quantise.py",
    "known_K1 = self.sum_KD.norm(dim=1, keepdim=True) > FAINT",
    "known_K1 = self.sum_KD.norm(dim=1, keepdim=True) > -1",
)
def test_a_dead_code_is_born_beside_a_busy_one_and_shares_its_use():
    quantiser = vq(count=8, dead=0.5)
    share = torch.tensor([0.6, 0.4, 0, 0, 0, 0, 0, 0])
    quantiser.share_K.copy_(share)
    quantiser.sum_KD.copy_(share[:, None] * quantiser.codebook_KD)
    before = quantiser.codebook_KD.clone()
    quantiser.follow(share, share[:, None] * before, RNG)
    assert torch.allclose(quantiser.share_K, torch.tensor([0.3, 0.2, 0.3, 0.2, 0, 0, 0, 0]))
    shared = torch.tensor([0.3, 0.2, 0.3, 0.2])
    assert torch.allclose(quantiser.sum_KD.norm(dim=1)[:4], shared, atol=1e-6)
    for old, new in ((0, 2), (1, 3)):
        assert torch.allclose(quantiser.codebook_KD[old], before[old], atol=1e-6)
        cosine = quantiser.codebook_KD[new] @ before[old]
        assert 0.8 < cosine < 0.9999
    assert torch.allclose(quantiser.codebook_KD.norm(dim=1), torch.ones(8))


def test_k_means_finds_clusters():
    centres = F.normalize(normal(6, 4, seed=9), dim=1)
    points = (centres[:, None] + 0.02 * normal(6, 200, 4)).reshape(-1, 4)
    quantiser = vq(count=24)
    quantiser.begin(points, RNG)
    product = centres @ quantiser.codebook_KD.t()
    assert product.max(1).values.min() > 0.995
    assert quantise.usage(quantiser.share_K) > 0.6


def test_usage_and_perplexity_of_known_histograms():
    even, one = torch.full((8,), 1 / 8), torch.eye(8)[0]
    assert quantise.usage(even) == 1 and quantise.perplexity(even).item() == pytest.approx(8)
    assert quantise.usage(one) == 1 / 8 and quantise.perplexity(one) == 1
    assert quantise.usage(0 * one) == 0 and quantise.perplexity(0 * one) == 1
    assert quantise.summary(torch.tensor([0, 0, 1, 1]), 4) == {"usage": 0.5, "perplexity": 2.0}


# similarity


@breaks("objectives/similarity.py", "(2 * covariance + C2)", "(covariance + C2)")
def test_dissimilarity_is_the_formula_by_hand_and_0_for_equal_images():
    a, b = normal(2, 3, 7, 7).double().clamp(-1, 1), normal(2, 3, 7, 7, seed=1).double()
    expected = []
    for x, y in zip(a.flatten(2).flatten(0, 1), b.flatten(2).flatten(0, 1), strict=True):
        mx, my, c = x.mean(), y.mean(), ((x - x.mean()) * (y - y.mean())).mean()
        up = (2 * mx * my + 0.02**2) * (2 * c + 0.06**2)
        down = (mx**2 + my**2 + 0.02**2) * (x.var(correction=0) + y.var(correction=0) + 0.06**2)
        expected.append((1 - up / down) / 2)
    assert torch.allclose(dissimilarity(a, b), torch.stack(expected).view(2, 3).mean(1))
    assert dissimilarity(a, a).abs().max() < 1e-12
    assert dissimilarity(normal(1, 1, 4, 9), normal(1, 1, 4, 9, seed=1)).shape == (1,)


# the family


@pytest.mark.parametrize(
    "size, tokens",
    [((32, 32), 64), ((28, 28), 49), ((64, 64), 64), ((128, 128), 256), ((16, 16), 64)],
    ids=str,
)
def test_the_grid_of_tokens(size, tokens):
    config = config_for("tokenizer", height=size[0], width=size[1])
    assert config.grid()[0] * config.grid()[1] == tokens
    model = build("tokenizer", height=size[0], width=size[1])
    image = batch_for(model, 2)["image"]
    assert model.encode(image).shape == (2, *config.grid())
    assert model.codes(model.encode(image)).shape == (2, 2, *config.grid())


@pytest.mark.parametrize("side", [5, 31, 100, 256, 500])
def test_there_are_never_more_than_256_tokens(side):
    config = config_for("tokenizer", height=side, width=2 * side)
    assert 2 <= config.grid()[0] * config.grid()[1] <= 256


@pytest.mark.parametrize("quantiser", ["fsq", "vq"])
@torch.no_grad()
def test_vectors_and_tokens_decode_alike(quantiser):
    model = wake(build("tokenizer", quantiser=quantiser, codes=16)).eval()
    token = model.encode(batch_for(model)["image"])
    assert token.dtype == torch.int64 and 0 <= token.min() <= token.max() < model.vocabulary
    assert torch.equal(model.tokens(model.codes(token)), token)
    expected = model.decode(token)
    assert torch.equal(model.decode(model.codes(token)), expected)
    assert torch.equal(model.decode(token.float()), expected)


@pytest.mark.parametrize("quantiser", ["fsq", "vq"])
def test_late_losses_are_means_over_rows_and_give_the_loop_its_gradients(quantiser):
    model = wake(build("tokenizer", quantiser=quantiser, codes=16)).double()
    model.balance.fill_(0.7)
    batch = {"image": batch_for(model)["image"].double()}
    whole = model.loss("autoencoder", batch, context(progress=LATE, dtype=torch.float64))
    parts = [
        model.loss(
            "autoencoder",
            {"image": batch["image"][i : i + 1]},
            context(1, progress=LATE, dtype=torch.float64),
        )
        for i in range(4)
    ]
    for key, value in whole.items():
        mean = torch.stack([part[key] for part in parts]).mean(0)
        assert torch.allclose(mean, value, rtol=1e-8, atol=1e-12), key
    assert all(p.grad is None for p in model.parameters())
    last = model.decoder.tower.head.weight
    painting = whole["error"] + model.config.structure * whole["structure"]
    (expected,) = torch.autograd.grad(painting, last, retain_graph=True)
    assert torch.allclose(whole["stat/reconstruction"], expected)
    assert "stat/adversarial" not in model.loss(
        "autoencoder", batch, context(update=1, progress=LATE)
    )


@breaks(
    "families/tokenizer.py",
    "config.adversarial * self.balance * losses",
    "config.adversarial * losses",
)
@breaks(
    "families/tokenizer.py",
    "start = max(0.0, self.config.adversarial_start - WARM_UP)",
    "start = self.config.adversarial_start",
)
def test_the_verdict_counts_late_and_as_much_as_its_balance_says():
    model = wake(build("tokenizer"))
    batch = batch_for(model)
    early = model.loss("autoencoder", batch, context(progress=0.59))
    assert "adversarial" not in early
    late = model.loss("autoencoder", batch, context(progress=0.6))
    assert late["total"] == early["total"]  # the balance is still 0
    model.balance.fill_(2.0)
    later = model.loss("autoencoder", batch, context(progress=0.6))
    expected = early["total"] + 0.2 * 2.0 * late["adversarial"]
    assert later["total"].item() == pytest.approx(expected.item(), rel=1e-5)
    starts = {phase.name: phase.start for phase in model.phases()}
    assert starts == {"autoencoder": 0.0, "discriminator": pytest.approx(0.5)}


@breaks("families/tokenizer.py", "wanted.clamp(max=BALANCE_MAX)", "wanted")
def test_the_balance_is_the_ratio_of_gradients_capped_and_smoothed():
    model = build("tokenizer")
    share = torch.full((12,), 1 / 12)
    stats = {"stat/share": share, "stat/reconstruction": torch.tensor([3.0, 4.0])}
    model.update("autoencoder", {**stats, "stat/adversarial": torch.tensor([0.0, 2.5])}, context())
    assert model.balance.item() == pytest.approx(2, rel=1e-3)
    model.update("autoencoder", {**stats, "stat/adversarial": torch.zeros(2)}, context())
    assert model.balance.item() == pytest.approx(2 + 0.2 * 98, rel=1e-3)
    model.update("autoencoder", {"stat/share": share}, context())
    assert model.balance.item() == pytest.approx(2 + 0.2 * 98, rel=1e-3)


@pytest.mark.parametrize("quantiser", ["fsq", "vq"])
def test_micro_batches_move_codebook_and_balance_as_the_whole_batch_does(quantiser):
    states = []
    for accumulate in (1, 4):
        model = build("tokenizer", quantiser=quantiser, codes=16)
        training = Training(steps=10, batch_size=8, accumulate=accumulate, seed=1)
        state = step.start(model, training, torch.device("cpu"), "float64", Parallel())
        state.step = 8
        for _ in range(2):
            step.train_step(state, loader_for(model.config))
            state.step += 1
        states.append({k: v for k, v in state.model.named_buffers() if "discriminator" not in k})
    assert states[0]["balance"] > 0 and states[0]["share_K"].sum() > 0
    for key, value in states[0].items():
        assert torch.allclose(value.double(), states[1][key].double(), rtol=1e-6), key


@breaks("families/tokenizer.py", "if self.share_K.any():", "if False:")
@pytest.mark.parametrize("quantiser", ["fsq", "vq"])
def test_begin_spreads_the_encoder_s_numbers_once(quantiser):
    model = wake(build("tokenizer", quantiser=quantiser, codes=16))
    batches = [batch_for(model, 32, seed) for seed in range(2)]
    model.begin(batches, RNG)
    z = torch.cat([model.encoder(batch["image"]) for batch in batches])
    assert torch.allclose(z.mean((0, 2, 3)), torch.zeros(z.shape[1]), atol=1e-4)
    assert torch.allclose(z.std((0, 2, 3)), torch.ones(z.shape[1]), atol=1e-3)
    token = model.encode(batches[0]["image"])
    assert quantise.summary(token, model.vocabulary)["usage"] > 0.7
    model.share_K.fill_(1 / model.vocabulary)
    model.encoder.head.weight.data *= 2
    model.begin(batches, RNG)  # trained weights stay
    assert model.encoder(batches[0]["image"]).std() > 1.8


def test_the_discriminator_is_left_out_of_the_artefact(tmp_path):
    model = wake(build("tokenizer", quantiser="vq", codes=16))
    model.quantiser.codebook_KD.copy_(F.normalize(normal(16, 8), dim=1))
    artefact.save(tmp_path, "tokenizer", model, model.state_dict())
    again = artefact.load(tmp_path)
    image = batch_for(model)["image"]
    assert torch.equal(again.encode(image), model.eval().encode(image))
    kept = tensors.read(next(tmp_path.glob("model-*")))
    assert kept and not [key for key in kept if key.startswith("discriminator")]


def test_without_an_adversary_there_is_none():
    model = build("tokenizer", adversarial=0.0)
    assert model.discriminator is None and len(model.phases()) == 1


@pytest.mark.parametrize(
    "values, sentence",
    [
        ({"levels": (1, 5)}, "at least 2"),
        ({"factor": 3}, "power of two"),
        ({"levels": ()}, "8,6,5"),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        config_for("tokenizer", **values)


def test_a_training_uses_most_codes_and_lowers_the_error():
    """A few dozen steps on images that a linear map can describe."""
    for quantiser, codes in itertools.product(("fsq", "vq"), (12,)):
        model = build("tokenizer", quantiser=quantiser, codes=codes, code_size=3)
        training = Training(steps=60, batch_size=16, lr=5e-3, warmup=1, seed=0)
        state = step.start(model, training, torch.device("cpu"), "float32", Parallel())
        load = loader_for(model.config, 16)
        batch = load(0, slice(0, 16))
        inside = step.to_device(batch, state.model.fields(), state.device, torch.float32)
        state.model.begin([inside], RNG)
        errors = []
        for _ in range(60):
            losses = step.train_step(state, load)
            errors.append(losses["autoencoder/error"].item())
            state.step += 1
        assert errors[-1] < errors[0] and losses["autoencoder/usage"] > 0.8, quantiser


def test_the_family_says_what_it_can():
    abilities = [c.__name__ for c in families.get("tokenizer").__mro__]
    for name in ("Encodes", "Decodes", "Reconstructs", "Tokenizes"):
        assert name in abilities
    assert "Generates" not in abilities and "Interpolates" not in abilities
