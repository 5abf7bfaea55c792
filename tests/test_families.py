"""The contract that every family keeps. A new family is tested here by being in the table."""

import pydantic
import pytest
import torch

from tests.kit import (
    ALL,
    able,
    batch_for,
    build,
    changed,
    config_for,
    context,
    loader_for,
    wake,
)
from zeuxis import artefact, families, step
from zeuxis.family import Decodes, Encodes, Generates, Reconstructs, Scores
from zeuxis.parallel import Parallel
from zeuxis.rng import Rng
from zeuxis.run import Training

CASES = [(name, conditional) for name in ALL for conditional in (False, True)]


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


def test_families_are_final():
    classes = [families.get(name) for name in ALL]
    assert not [a for a in classes for b in classes if a is not b and issubclass(a, b)]


@pytest.mark.parametrize("name, conditional", CASES)
def test_each_parameter_is_in_exactly_one_phase(name, conditional):
    model = build(name, conditional=conditional)
    trained = [id(p) for phase in model.phases() for p in step.parameters(model, phase)]
    assert sorted(trained) == sorted(id(p) for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("name, conditional", CASES)
def test_each_phase_gives_finite_gradients_to_its_parameters_only(name, conditional):
    model = wake(build(name, conditional=conditional))
    for phase in model.phases():
        trained = step.parameters(model, phase)
        model.requires_grad_(False)
        for p in trained:
            p.requires_grad_(True)
        losses = model.loss(phase.name, batch_for(model), context())
        assert all(value.shape == () for value in losses.values())
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
            rng = Rng(range(100 + start, 100 + start + model.GROUP), shared=7, dtype=torch.float64)
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
    if isinstance(model, Generates):
        with torch.no_grad():
            assert model.sample(Rng([1])).shape == (1, c, h, w)


@pytest.mark.parametrize("name", able(Generates))
@torch.no_grad()
def test_a_sample_depends_on_its_own_seed_and_label_only(name):
    model = wake(build(name)).eval()
    label = torch.tensor([[0, 1], [1, 0], [2, -1]])
    together = model.sample(Rng([5, 6, 7]), {"label": label})
    alone = model.sample(Rng([6]), {"label": label[1:2]})
    c = model.config
    assert together.shape == (3, c.channels, c.height, c.width)
    assert torch.allclose(together[1:2], alone, atol=1e-4)
    assert not torch.allclose(together[0], together[1], atol=1e-3)
    other = model.sample(Rng([6]), {"label": torch.tensor([[2, 1]])})
    assert not torch.equal(alone, other)  # the label is heard


@pytest.mark.parametrize("name", able(Generates))
@torch.no_grad()
def test_generate_is_deterministic_and_works_without_labels(name):
    model = wake(build(name)).eval()
    noise = model.noise(Rng([1, 2]))
    state = torch.get_rng_state()
    assert torch.equal(model.generate(noise), model.generate(noise))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", able(Generates))
@torch.no_grad()
def test_samples_are_in_range_whatever_the_weights(name):
    model = build(name).eval()
    for p in model.parameters():
        p.mul_(100)
    images = model.sample(Rng(range(4)))
    assert torch.isfinite(images).all() and images.abs().max() <= 1


@pytest.mark.parametrize("name", able(Reconstructs))
@torch.no_grad()
def test_reconstruction_keeps_shape_and_range(name):
    model = wake(build(name)).eval()
    for p in model.parameters():
        p.mul_(10)
    image = batch_for(model)["image"]
    out = model.reconstruct(image)
    assert out.shape == image.shape and out.abs().max() <= 1


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
def test_impossible_sizes_are_refused_in_a_sentence(name):
    with pytest.raises(pydantic.ValidationError) as error:
        changed(families.get(name).TINY, height=3)
    assert "3" in str(error.value) and "height" in str(error.value)
