"""Illustrate: both orders in one network, the same token by token, and words that are picked by a uniform."""

import math

import pytest
import torch

from tests.support.kit import batch_for, build, changed, context, pixels, wake
from tests.support.sabotage import breaks
from zeuxis.core.errors import Unable
from zeuxis.core.pixels import from_uint8
from zeuxis.core.rng import Rng
from zeuxis.core.vocabulary import NO_CAPTION, PADDING, Vocabulary
from zeuxis.families.illustrate import Illustrate, IllustrateConfig
from zeuxis.nn.patches import PatchCodes
from zeuxis.sampling.words import chosen, gumbel
from zeuxis.training.muon import matrices

WORDS = Vocabulary.learn(["a red cat", "a blue dog on a red mat"])
SAID = ["a red cat", "", "a blue dog on a mat", "red"]


def model_of(scale=0.3, **values):
    model = build("illustrate", text=WORDS, conditional=False, **values)
    return wake(model, scale).eval()


def texts(said=SAID):
    return torch.from_numpy(WORDS.rows(said)).long()


def with_controls(**values):
    return changed(Illustrate.Controls(), **values)


def plainly(net, *parts):
    """The network's outputs (N, E) of one row: each sees all before it, nothing is kept or hidden."""
    x = torch.cat(parts, 1)
    return net.layers(x, torch.ones(1, x.shape[1], x.shape[1], dtype=torch.bool).tril())[0]


def log_p_of(model, text, token, text_first):
    """Log-probabilities of a row's ids, end included, and of its patches, by the plainest way."""
    net, codes, none = model.net, model.patches.codes_KD, torch.zeros(1, 0, dtype=torch.int64)
    ids = none if text[0] == NO_CAPTION else text[text != PADDING][None]
    said = ids.shape[1] > 0
    one = [net.texts(ids)] if said else []
    other = [net.images(token[None], torch.tensor([said and text_first]), codes)]
    h = plainly(net, *(one + other if text_first else other + one))
    cells = token.shape[0]
    split = h.shape[0] - cells - 1 if text_first else cells + 1
    of_text, of_image = (h[:split], h[split:]) if text_first else (h[split:], h[:split])
    ends = torch.cat([ids[0], torch.tensor([PADDING])])
    text_log_p = net.text_log_p(of_text) if said else torch.zeros(0, WORDS.size)
    return text_log_p, ends, net.image_log_p(of_image[:-1])


@breaks("nn/joint.py", "place_N + place_N.shape[0] * later_BN", "place_N + 0 * later_BN")
@breaks("nn/joint.py", "first_B & told(text_BT)", "first_B")
@breaks("nn/transformer.py", "& there_RN[:, None]", "")
@pytest.mark.parametrize("text_first", [True, False])
@torch.no_grad()
def test_both_orders_are_what_each_sequence_alone_says(text_first):
    model, text = model_of(), texts()
    image = from_uint8(pixels(model.config, 4))
    token = model.patches.encode(image)
    nats = model.nats(image, {"text": text}, text_first)
    for row in range(4):
        text_log_p, ends, image_log_p = log_p_of(model, text[row], token[row], text_first)
        expected = -image_log_p.gather(1, token[row][:, None]).sum()
        assert nats.image_B[row].item() == pytest.approx(expected.item(), abs=1e-4)
        expected = -text_log_p.gather(1, ends[: text_log_p.shape[0], None]).sum()
        assert nats.text_B[row].item() == pytest.approx(expected.item(), abs=1e-4)
    if text_first:
        assert torch.allclose(model.text_nats(text), nats.text_B, atol=1e-4)
    else:
        assert torch.allclose(model.caption_nats(image, text), nats.text_B, atol=1e-4)


@breaks("nn/transformer.py", "cache.done += x_RND.shape[1]", "cache.done += 1")
@breaks(
    "families/illustrate.py", "patches(token_R1, place, codes_KD)", "patches(token_R1, 0, codes_KD)"
)
@breaks(
    "families/illustrate.py",
    "torch.lerp(log_p_RK[rows:], log_p_RK[:rows], scale)",
    "log_p_RK[:rows]",
)
@torch.no_grad()
def test_cached_drawing_says_what_whole_passes_say_at_each_patch():
    """With guidance, whose other half is the order in which the image comes first."""
    model, text, scale = model_of(), texts(), 1.7
    noise = model.noise(Rng(range(4)))["image"][:, 0]
    given, controls = {"text": text}, with_controls(guidance_scale=scale)
    token, _ = model._draw(noise, given, controls)
    _, nats = model._draw(noise, given, controls, (token, torch.zeros_like(token).bool()))
    for row in range(4):
        _, _, told = log_p_of(model, text[row], token[row], text_first=True)
        _, _, alone = log_p_of(model, texts([""])[0], token[row], text_first=False)
        log_p = ((1 - scale) * alone + scale * told).log_softmax(1)
        assert torch.equal(chosen(log_p, noise[row]), token[row])
        expected = -log_p.gather(1, token[row][:, None]).sum()
        assert nats[row].item() == pytest.approx(expected.item(), abs=1e-4)


@breaks(
    "families/illustrate.py",
    "self.net.words(id_B[:, None], start + place)",
    "self.net.words(id_B[:, None], start)",
)
@torch.no_grad()
def test_captions_are_the_likeliest_next_words_and_end():
    model = model_of()
    image = from_uint8(pixels(model.config, 4))
    noise = model.noise(Rng(range(4)))
    none = torch.zeros(4, 0, dtype=torch.int64)
    said = model.caption(image, noise, none, {}, Illustrate.Controls())
    assert torch.equal(
        said[1:2],
        model.caption(image[1:2], model.noise(Rng([1])), none[:1], {}, Illustrate.Controls()),
    )
    token = model.patches.encode(image)
    for row in range(4):
        log_p, ends, _ = log_p_of(model, said[row], token[row], text_first=False)
        count = min(len(ends), WORDS.length)
        assert torch.equal(log_p.argmax(1)[:count], ends[:count])
        assert not said[row, count:].any()
    warm = model.caption(image, noise, none, {}, with_controls(temperature=1.0))
    assert not torch.equal(warm, said)


@breaks(
    "families/illustrate.py",
    "torch.cat([start_BS, written_BT], 1)\n\n    def text_nats",
    "written_BT\n\n    def text_nats",
)
@torch.no_grad()
def test_writing_goes_on_from_its_start():
    model, noise = model_of(), None
    noise = model.noise(Rng(range(4)))
    start = torch.tensor([WORDS.encode(" a red")]).expand(4, -1)
    free = model.write(noise, start[:, :0], {}, Illustrate.Controls())
    led = model.write(noise, start, {}, Illustrate.Controls())
    assert free.shape == led.shape == (4, WORDS.length)
    assert torch.equal(led[:, : start.shape[1]], start)
    assert len({tuple(row) for row in free.tolist()}) > 1
    likeliest = model.write(noise, start, {}, with_controls(temperature=0.0))
    assert len({tuple(row) for row in likeliest.tolist()}) == 1


@breaks("families/illustrate.py", "argmin(0)", "argmax(0)")
@torch.no_grad()
def test_of_several_drawings_that_is_kept_which_makes_the_text_likeliest():
    model, text = model_of(), texts(["a red cat", "a blue dog", "red", "a mat"])
    noise, given = model.noise(Rng(range(4))), {"text": text}
    every = []
    for number in range(3):
        moved = {"image": noise["image"].roll(-number, 1)}
        image = model.generate(moved, given, Illustrate.Controls())
        every.append((image, model.caption_nats(image, text)))
    best = torch.stack([nats for _, nats in every]).argmin(0)
    kept = model.generate(noise, given, with_controls(best_of=3))
    for row in range(4):
        assert torch.equal(kept[row], every[best[row]][0][row])
    wordless = wake(build("illustrate", text=None, conditional=False)).eval()
    with pytest.raises(Unable, match="best_of goes by the text"):
        wordless.generate(wordless.noise(Rng([1])), {}, with_controls(best_of=2))


@breaks("families/illustrate.py", "forced_B * log_p_RK", "0 * log_p_RK")
@torch.no_grad()
def test_a_hole_is_filled_so_that_what_is_known_below_is_likeliest():
    model = model_of()
    image, noise = from_uint8(pixels(model.config, 4)), model.noise(Rng(range(4)))
    mask = torch.zeros(4, 1, 8, 8)
    mask[:, :, :4] = 1
    fills, nats = [], []
    for number in range(3):
        moved = {"image": noise["image"].roll(-number, 1)}
        fills.append(model.complete(image, mask, moved, {}, with_controls(guidance_scale=1.0)))
        token, below = model.patches.encode(fills[-1]), model.patches.cells // 2
        log_p = [log_p_of(model, texts([""])[0], row, False)[2][below:] for row in token]
        known = [p.gather(1, row[below:, None]).sum() for p, row in zip(log_p, token, strict=True)]
        nats.append(-torch.stack(known))
    best = torch.stack(nats).argmin(0)
    kept = model.complete(image, mask, noise, {}, with_controls(guidance_scale=1.0, best_of=3))
    assert torch.equal(kept[:, :, 4:], image[:, :, 4:])
    for row in range(4):
        assert torch.equal(kept[row], fills[best[row]][row])


@torch.no_grad()
def test_a_negative_text_moves_the_picture():
    model, noise = model_of(), None
    noise, given = model.noise(Rng(range(4))), {"text": texts(["a red cat"] * 4)}
    plain, away = (
        model.generate(noise, given, with_controls(negative=words)) for words in ("", "a blue dog")
    )
    assert not torch.equal(plain, away)


def test_it_learns_without_text_and_from_images_without_captions():
    wordless = wake(build("illustrate", text=None))
    losses = wordless.loss("main", batch_for(wordless), context())
    assert losses["total"].isfinite() and "text" not in losses
    model = model_of()
    batch = {**batch_for(model), "text": texts(["", "", "", ""])}
    losses = model.loss("main", batch, context())
    assert losses["text"] == 0 and losses["total"] > 0


def test_the_matrices_of_the_transformer_are_for_muon():
    model = model_of()
    assert sum(each.numel() for each in matrices(model)) == 12 * model.config.features**2


@breaks("nn/patches.py", ".sqrt()[:, None]", "[:, None]")
@torch.no_grad()
def test_patches_that_occur_are_kept_and_rare_ones_weigh_more():
    codes = PatchCodes((1, 5, 7), 2, 6)
    some = torch.tensor([-1.0, -0.5, 0.0, 0.5, 0.9])
    image = some[torch.randint(5, (9, 1, 3, 4), generator=torch.Generator().manual_seed(0))]
    image = image.repeat_interleave(2, 2).repeat_interleave(2, 3)[:, :, :5, :7]
    codes.begin([image[:4], image[4:]], Rng([0]))
    assert torch.allclose(codes.decode(codes.encode(image)), image, atol=1e-6)
    assert codes.encode(image).shape == (9, 12) and codes.share_K.sum() == pytest.approx(1)
    before = codes.codes_KD.clone()
    codes.begin([-image], Rng([0]))
    assert torch.equal(before, codes.codes_KD)
    two = PatchCodes((1, 1, 1), 1, 2)
    values = torch.tensor([-1.0] * 900 + [0.1] * 4 + [1.0] * 16).view(-1, 1, 1, 1)
    two.begin([values], Rng([0]))
    assert sorted(two.codes_KD[:, 0].tolist()) == pytest.approx([-1.0, (4 * 1 + 2 * 0.1) / 6])


def test_patches_grow_with_the_image():
    sides = {16: 2, 32: 2, 33: 4, 128: 8}
    for size, side in sides.items():
        assert IllustrateConfig(height=size, width=size, channels=3).side == side
    with pytest.raises(ValueError, match="which 5 heads do not divide"):
        IllustrateConfig(height=8, width=8, channels=1, heads=5)


def test_tokens_are_cut_and_picked_as_said():
    p, count = torch.tensor([0.5, 0.3, 0.15, 0.05]), 40_000
    uniform = Rng([3]).uniform("tokens", count)[0]

    def shares(of=p, **cut):
        found = chosen(of.log().expand(count, -1), uniform, **cut)
        return torch.bincount(found, minlength=4) / count

    def near(found, expected):
        return torch.allclose(found, torch.as_tensor(expected), atol=0.01)

    assert near(shares(), p) and near(shares(p.flip(0)), p.flip(0))
    assert shares(temperature=0).tolist() == [1, 0, 0, 0]
    assert near(shares(temperature=0.5), p**2 / (p**2).sum())
    for cut in ({"top_k": 2}, {"top_p": 0.6}, {"min_p": 0.5}):
        assert near(shares(**cut), [0.625, 0.375, 0, 0])
    assert shares(top_p=0.4).tolist() == [1, 0, 0, 0]


@breaks(
    "sampling/words.py",
    "(bits_B[:, None] << 32) + place_V",
    "(bits_B[:, None] << 32) + 0 * place_V",
)
def test_one_number_gives_independent_ones_and_near_distributions_the_same_token():
    noise = gumbel(Rng([4]).uniform("numbers", 4000)[0], 64)
    assert abs(noise.mean() - 0.5772) < 0.01 and abs(noise.var() - math.pi**2 / 6) < 0.03
    assert torch.corrcoef(noise.T).fill_diagonal_(0).abs().max() < 0.08
    uniform = Rng([5]).uniform("tokens", 4000)[0]
    p = torch.rand(64, generator=torch.Generator().manual_seed(0)).expand(4000, -1)
    other = p * (1 + 0.1 * torch.arange(64).remainder(2))
    same = chosen(p.log(), uniform) == chosen(other.log(), uniform)
    assert same.float().mean() > 0.9


@breaks("nn/transformer.py", "seen_RND * kept_R21D[:, 0]", "seen_RND")
@breaks("nn/transformer.py", "made_RND * kept_R21D[:, 1]", "made_RND")
def test_dropout_drops_what_each_part_adds():
    model = model_of(text_first=1.0, layers=2)
    batch = batch_for(model)
    given, image = {"text": batch["text"]}, batch["image"]
    kept = torch.ones(4, 4, model.config.features)
    plain = model.nats(image, given, True)
    assert torch.equal(plain.image_B, model.nats(image, given, True, kept).image_B)
    for part in range(4):
        none = kept.clone()
        none[:, part] = 0
        assert not torch.equal(plain.image_B, model.nats(image, given, True, none).image_B)
    rates = {rate: model_of(dropout=rate).loss("main", batch, context()) for rate in (0.0, 0.5)}
    assert rates[0.0]["total"] != rates[0.5]["total"]
