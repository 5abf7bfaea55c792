"""The contract that every family keeps. A new family is tested here by being in the table."""

import math
import typing

import pydantic
import pytest
import torch

from tests.support.kit import (
    ALL,
    able,
    batch_for,
    build,
    config_for,
    context,
    loader_for,
    new_images,
    wake,
)
from tests.support.sabotage import breaks
from zeuxis import families
from zeuxis.core.abilities import (
    Completes,
    Decodes,
    Denoises,
    Draws,
    Encodes,
    Generates,
    Interpolates,
    Scores,
    Sequential,
    Translates,
    Varies,
    abilities_of,
)
from zeuxis.core.pixels import from_levels, to_levels
from zeuxis.core.processes import Parallel
from zeuxis.core.request import nested
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training, override
from zeuxis.inference import artefact
from zeuxis.training import recipes, step

CASES = [(name, conditional) for name in ALL for conditional in (False, True)]
CASES += [(name, "all") for name in ALL if families.get(name).DESCRIBED]
RECIPES = [(name, preset) for name in ALL for preset in recipes.names(name)]


@pytest.mark.parametrize("name", ALL)
def test_config_is_frozen_and_survives_json(name):
    config = config_for(name)
    assert type(config).model_validate_json(config.model_dump_json()) == config
    with pytest.raises(pydantic.ValidationError):
        config.height = 1
    with pytest.raises(pydantic.ValidationError):
        type(config).model_validate({**config.model_dump(), "no_such_field": 1})


@pytest.mark.parametrize("name", ALL)
def test_every_setting_and_control_says_what_it_is(name):
    cls = families.get(name)
    generated = {"height", "width", "channels", "conditions"}
    for schema in (cls.Config, cls.Controls):
        silent = [
            n for n, f in schema.model_fields.items() if not f.description and n not in generated
        ]
        assert not silent


@pytest.mark.parametrize("name", ALL)
def test_abilities_say_what_they_take_and_give(name):
    """And those with randomness are generic in the family's own controls."""
    cls = families.get(name)
    for ability in abilities_of(cls):
        assert isinstance(ability.takes, tuple) and ability.gives, ability
    steered = [base for base in vars(cls).get("__orig_bases__", ()) if typing.get_args(base)]
    assert {typing.get_args(base) for base in steered} <= {(cls.Controls,)}
    assert {b for b in abilities_of(cls) if issubclass(b, Draws)} == {
        typing.get_origin(base) for base in steered
    }


def test_families_are_final():
    classes = [families.get(name) for name in ALL]
    assert not [a for a in classes for b in classes if a is not b and issubclass(a, b)]


@pytest.mark.parametrize("name, conditional", CASES)
def test_each_parameter_is_in_exactly_one_phase(name, conditional):
    model = build(name, conditional=conditional)
    trained = [id(p) for phase in model.phases() for p in step.parameters(model, phase)]
    assert sorted(trained) == sorted(id(p) for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", ALL)
def test_every_family_learns_from_four_channels(name):
    model = wake(build(name, channels=4))
    for phase in model.phases():
        model.zero_grad()
        model.loss(phase.name, batch_for(model), context())["total"].backward()
        found = [p.grad for p in step.parameters(model, phase) if p.grad is not None]
        assert found and all(torch.isfinite(grad).all() for grad in found)


@pytest.mark.parametrize("name, conditional", CASES)
def test_each_phase_gives_finite_gradients_to_its_parameters_only(name, conditional):
    model = wake(build(name, conditional=conditional))
    for phase in model.phases():
        trained = step.parameters(model, phase)
        model.requires_grad_(False)
        for p in trained:
            p.requires_grad_(True)
        losses = model.loss(phase.name, batch_for(model), context())
        assert all(v.shape == () for k, v in losses.items() if not k.startswith("stat/"))
        assert all(p.grad is None for p in model.parameters())  # `backward` is the loop's
        losses["total"].backward()
        for key, p in model.named_parameters():
            inside = any(p is q for q in trained)
            assert (p.grad is not None) == inside, key
            if inside:
                assert torch.isfinite(p.grad).all() and p.grad.abs().sum() > 0, key
        model.zero_grad(set_to_none=True)


@pytest.mark.parametrize("name", ALL)
def test_a_loss_touches_neither_the_global_generator_nor_the_model(name):
    model = build(name)
    generator = torch.get_rng_state()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for phase in model.phases():
        first = model.loss(phase.name, batch_for(model), context())
        again = model.loss(phase.name, batch_for(model), context())
        assert first["total"] == again["total"]
    assert torch.equal(generator, torch.get_rng_state())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name, conditional", CASES)
def test_a_loss_is_the_mean_over_rows(name, conditional):
    """So micro-batches and processes average to the whole batch: nothing couples rows."""
    model = wake(build(name, conditional=conditional)).double()
    n = 4 * model.GROUP
    batch = {k: v.double() if v.is_floating_point() else v for k, v in batch_for(model, n).items()}
    for phase in model.phases():
        whole = model.loss(phase.name, batch, context(n, dtype=torch.float64))["total"]
        parts = []
        for start in range(0, n, model.GROUP):
            rows = slice(start, start + model.GROUP)
            rng = Rng(range(100 + start, 100 + start + model.GROUP), stream=7, dtype=torch.float64)
            ctx = context(n)
            ctx = type(ctx)(step=ctx.step, update=ctx.update, progress=ctx.progress, rng=rng)
            parts.append(
                model.loss(phase.name, {k: v[rows] for k, v in batch.items()}, ctx)["total"]
            )
        assert torch.stack(parts).mean().item() == pytest.approx(whole.item(), rel=1e-10)


@pytest.mark.parametrize("name", ALL)
def test_each_phase_alone_lowers_its_total_on_one_batch(name):
    for phase in build(name).phases():
        model = wake(build(name), 0.02)
        trained = step.parameters(model, phase)
        optimiser = torch.optim.Adam(trained, lr=2e-3)
        totals = []
        for _ in range(40):
            optimiser.zero_grad(set_to_none=True)
            model.requires_grad_(False)
            for p in trained:
                p.requires_grad_(True)
            total = model.loss(phase.name, batch_for(model), context())["total"]
            total.backward()
            optimiser.step()
            totals.append(total.item())
        assert min(totals[-5:]) < totals[0]


@pytest.mark.parametrize("name", ALL)
def test_a_lazy_term_is_due_by_the_phase_s_own_count(name):
    """A resumed run must know which update it is at: the same context gives the same loss."""
    model = wake(build(name))
    for phase in model.phases():
        for update in (0, 1, 8):
            totals = [
                model.loss(phase.name, batch_for(model), context(update=update))["total"]
                for _ in "ab"
            ]
            assert totals[0] == totals[1]


@pytest.mark.parametrize("name", ALL)
def test_bfloat16_autocast_trains(name):
    training = Training(steps=3, batch_size=8, seed=1)
    model = build(name)
    state = step.start(model, training, torch.device("cpu"), "bfloat16", Parallel())
    for _ in range(3):
        losses = step.train_step(state, loader_for(model.config))
        state.step += 1
    assert all(torch.isfinite(value) for value in losses.values()) and not state.skipped
    assert all(p.dtype == torch.float32 for p in state.model.parameters())


@breaks(
    "families/enhance.py",
    "with torch.autocast(image_BCHW.device.type, enabled=False):\n            return",
    "with torch.no_grad():\n            return",
)
@pytest.mark.parametrize("name", able(Translates))
@torch.no_grad()
def test_bfloat16_autocast_translates(name):
    model, rng = wake(build(name)).eval(), Rng(range(4))
    batch = batch_for(model)
    with torch.autocast("cpu", torch.bfloat16):
        given = {"source": batch["image"], **model.damaged(batch["image"].bfloat16(), rng), **batch}
        made = model.translate(given["source"], model.noise(rng), given, model.Controls())
    assert made.shape == batch["image"].shape and torch.isfinite(made).all()


@breaks("inference/artefact.py", "if not is_dropped(model, key)}\n    files", "}\n    files")
@pytest.mark.parametrize("name", ALL)
def test_artefact_round_trip_at_a_config_that_is_no_preset(name, tmp_path):
    tiny = config_for(name)
    model = wake(build(name, height=2 * tiny.height, channels=4))
    artefact.save(tmp_path, name, model, model.state_dict())
    again = artefact.load(tmp_path)
    assert again.config == model.config
    for key, value in again.state_dict().items():
        if not artefact.is_dropped(model, key):
            assert torch.equal(value, model.state_dict()[key]), key


@pytest.mark.parametrize("shape", [(8, 8, 1), (16, 8, 3), (24, 40, 4), (128, 128, 3)], ids=str)
@pytest.mark.parametrize("name", ALL)
def test_any_size_and_channel_count(name, shape):
    h, w, c = shape
    model = build(name, height=h, width=w, channels=c).eval()
    for phase in model.phases():
        assert torch.isfinite(model.loss(phase.name, batch_for(model, 2), context(2))["total"])
    slow = isinstance(model, Sequential) and h * w > 1000  # a step a number
    if isinstance(model, Generates) and not slow:
        with torch.no_grad():
            assert new_images(model, Rng([1])).shape == (1, c, h, w)


@pytest.mark.parametrize("name", able(Generates))
@torch.no_grad()
def test_a_sample_depends_on_its_own_seed_and_label_only(name):
    model = wake(build(name)).eval()
    label = torch.tensor([[0, 1], [1, 0], [2, -1]])
    together = new_images(model, Rng([5, 6, 7]), {"label": label})
    alone = new_images(model, Rng([6]), {"label": label[1:2]})
    c = model.config
    assert together.shape == (3, c.channels, c.height, c.width)
    assert torch.allclose(together[1:2], alone, atol=1e-4)
    assert not torch.allclose(together[0], together[1], atol=1e-3)
    other = new_images(model, Rng([6]), {"label": torch.tensor([[2, 1]])})
    assert not torch.equal(alone, other)  # the label is heard


@pytest.mark.parametrize("name", able(Generates))
@torch.no_grad()
def test_generate_is_deterministic_and_works_without_labels(name):
    model = wake(build(name)).eval()
    noise = model.noise(Rng([1, 2]))
    state = torch.get_rng_state()
    assert torch.equal(
        model.generate(noise, {}, model.Controls()), model.generate(noise, {}, model.Controls())
    )
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", [n for n in able(Encodes) if n in able(Decodes)])
@torch.no_grad()
def test_encode_then_decode_is_reconstruct(name):
    model = wake(build(name)).eval()
    batch = batch_for(model)
    cond = {key: value for key, value in batch.items() if key == "label"}
    latent = model.encode(batch["image"], cond)
    assert torch.allclose(
        model.decode(latent, cond), model.reconstruct(batch["image"], cond), atol=1e-5
    )


@pytest.mark.parametrize("name", able(Scores))
@torch.no_grad()
def test_bits_per_dim_depend_on_their_own_row_only(name):
    model = wake(build(name)).eval()
    batch = batch_for(model)
    together = model.bits_per_dim(batch, Rng([1, 2, 3, 4]))
    alone = model.bits_per_dim({k: v[2:3] for k, v in batch.items()}, Rng([3]))
    assert together.shape == (4,) and together.dtype == torch.float32
    assert torch.allclose(together[2:3], alone, rtol=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_small_sizes_work_or_are_refused_in_a_sentence(name):
    try:
        model = build(name, height=3, width=2)
    except pydantic.ValidationError as error:
        assert "3" in str(error) and "height" in str(error)
        return
    for phase in model.phases():
        assert torch.isfinite(model.loss(phase.name, batch_for(model, 2), context(2))["total"])


@pytest.mark.parametrize(
    "channels, levels, pixels", [(1, 3, (2, 2)), (3, 3, (1, 2)), (1, 40, (1, 2))]
)
@pytest.mark.parametrize("name", [n for n in able(Scores) if families.get(n).kind == "exact"])
@torch.no_grad()
def test_exact_probabilities_of_all_images_sum_to_one(name, channels, levels, pixels):
    height, width = pixels
    model = wake(build(name, height=height, width=width, channels=channels, levels=levels), 0.3)
    numbers = height * width * channels
    every = torch.cartesian_prod(*[torch.arange(levels)] * numbers)
    image = from_levels(every.view(-1, height, width, channels).permute(0, 3, 1, 2), levels)
    batch = {"image": image}
    if model.config.conditions:
        batch["label"] = torch.tensor([[1, 0]]).expand(len(image), -1)
    bits = model.eval().bits_per_dim(batch, Rng(range(len(image)))).double() * numbers
    assert torch.exp2(-bits).sum().item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", able(Sequential))
@torch.no_grad()
def test_steps_say_what_the_whole_image_says(name):
    """The chain of the steps' probabilities is the image's likelihood, channels innermost."""
    model = wake(build(name, height=4, width=5, channels=3)).eval()
    batch = batch_for(model, 3)
    cond = {key: value for key, value in batch.items() if key == "label"}
    levels = to_levels(batch["image"]).permute(0, 2, 3, 1).flatten(1)
    stepper, log_p = model.stepper(3, cond), torch.zeros(3)
    for number, level in enumerate(levels.unbind(1)):
        said, (place, channel) = stepper.log_p(), divmod(number, 3)
        if place in (0, 11, 19):
            whole = model.log_p(batch["image"], torch.tensor([place]), cond)[:, channel]
            assert torch.allclose(whole, said, atol=1e-4)
        log_p += said.gather(1, level[:, None])[:, 0]
        stepper.push(level)
    bits = model.bits_per_dim(batch, Rng([1, 2, 3]))
    assert torch.allclose(-log_p / math.log(2) / levels.shape[1], bits, atol=1e-4)


@pytest.mark.parametrize("name", able(Denoises))
@torch.no_grad()
def test_denoising_keeps_shape_and_range_and_rows_apart(name):
    model = wake(build(name)).eval()
    image = batch_for(model)["image"]
    deviation = torch.tensor([0.1, 0.2, 0.3, 0.4])
    out = model.denoise(image, deviation)
    assert out.shape == image.shape and out.abs().max() <= 1
    assert torch.allclose(out[1:2], model.denoise(image[1:2], deviation[1:2]), atol=1e-5)


@pytest.mark.parametrize("name", able(Completes))
@torch.no_grad()
def test_what_is_known_stays_and_what_is_hidden_has_no_say(name):
    model = wake(build(name)).eval()
    image = batch_for(model, 3)["image"]
    mask = torch.zeros(3, 1, *image.shape[2:])
    mask[:, :, 2:5, 1:6] = 1
    painted = model.complete(image, mask, model.noise(Rng([1, 2, 3])), {}, model.Controls())
    assert torch.allclose(painted * (1 - mask), image * (1 - mask), atol=1e-5)
    other = image * (1 - mask) + mask * -image
    again = model.complete(other, mask, model.noise(Rng([1, 2, 3])), {}, model.Controls())
    assert torch.equal(painted * mask, again * mask) and painted.abs().max() <= 1
    alone = model.complete(image[1:2], mask[1:2], model.noise(Rng([2])), {}, model.Controls())
    assert torch.allclose(painted[1:2], alone, atol=1e-4)


@pytest.mark.parametrize("name", able(Varies))
@torch.no_grad()
def test_variations_depend_on_their_image(name):
    model = wake(build(name)).eval()
    source = batch_for(model, 2)["image"]
    out = model.vary(source, model.noise(Rng([1, 1])), {}, model.Controls())
    assert out.shape == source.shape and out.abs().max() <= 1
    assert not torch.allclose(out[0], out[1], atol=1e-3)


@pytest.mark.parametrize("name", [n for n in able(Interpolates) if n in able(Generates)])
def test_noise_to_walk_in_is_standard_normal(name):
    for value in build(name).noise(Rng(range(500))).values():
        assert abs(value.mean()) < 0.1 and abs(value.std() - 1) < 0.1


@pytest.mark.parametrize("name, preset", RECIPES)
def test_a_recipe_trains(name, preset):
    words = nested(recipes.find(name, preset))
    config = override(config_for(name, height=16, width=16), words["family"], "family.")
    words["training"].update(steps="2", batch_size="8")
    training = override(families.get(name).TRAINING, words["training"], "training.")
    state = step.start(
        families.build(name, config), training, torch.device("cpu"), "float32", Parallel()
    )
    for _ in range(2):
        losses = step.train_step(state, loader_for(config))
        state.step += 1
    assert all(torch.isfinite(value) for value in losses.values())
