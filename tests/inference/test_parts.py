"""A family may build on trained models: they move and are saved with it, but are never trained."""

import pytest
import torch
from torch import nn

from tests.support.kit import build, pixels, wake
from tests.support.sabotage import breaks
from zeuxis import families
from zeuxis.core.abilities import Decodes
from zeuxis.core.family import Family, FamilyConfig
from zeuxis.core.files import read_sealed, sha256, write_sealed
from zeuxis.core.processes import Parallel
from zeuxis.core.settings import Training
from zeuxis.inference import artefact
from zeuxis.training import loop, step


class Toy(Family):
    """Learns one number for each latent number of its decoder: the darkest picture it can paint."""

    Config = FamilyConfig
    TRAINING = Training()
    TINY = FamilyConfig(height=8, width=8, channels=1)
    CONDITIONAL = False
    PARTS = ("decoder",)

    def __init__(self, config, parts=None):
        super().__init__(parts or {})
        self.config = config
        self.latent = nn.Parameter(torch.zeros(4))

    def loss(self, phase, batch, ctx):
        decoder = self.parts["decoder"]
        assert isinstance(decoder, Decodes)
        rows = self.latent.expand(len(batch["image"]), -1)
        return {"total": decoder.decode(rows).mean()}


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    get = families.get
    monkeypatch.setattr(families, "get", lambda name: Toy if name == "toy" else get(name))


@pytest.fixture
def decoder(tmp_path):
    """A saved autoencoder, beside other files of its run."""
    model = wake(build("vae", conditional=False))
    artefact.save(tmp_path / "vae", "vae", model, model.state_dict(), source="x")
    (tmp_path / "vae" / "log.jsonl").write_text("{}")
    return tmp_path / "vae"


def on(decoder, **values):
    config = Toy.TINY.model_copy(update=values)
    return families.build("toy", config, parts={"decoder": artefact.load(decoder)})


@breaks("core/family.py", "self.parts = Parts(parts)", "self.parts = nn.ModuleDict(parts)")
def test_a_part_is_in_no_state_phase_or_gradient(decoder):
    model = on(decoder)
    assert list(model.state_dict()) == ["latent"] == [key for key, _ in model.named_parameters()]
    assert len(list(model.modules())) == 1
    part = model.parts["decoder"]
    assert not part.training and not any(p.requires_grad for p in part.parameters())
    model.train().requires_grad_(True)
    assert not part.training and not any(p.requires_grad for p in part.parameters())


@breaks("core/family.py", "part._apply(fn, recurse)", "pass")
def test_a_part_moves_with_its_owner_and_copies_share_it(decoder):
    import copy

    model = on(decoder)
    twin = copy.deepcopy(model)
    assert twin.parts["decoder"] is model.parts["decoder"] and twin.latent is not model.latent
    model.double()
    assert all(p.dtype == torch.float64 for p in model.parts["decoder"].parameters())
    model.to("meta")
    assert all(p.device.type == "meta" for p in model.parts["decoder"].parameters())


def test_training_leaves_the_part_as_it_was_and_out_of_the_checkpoint(decoder, tmp_path):
    model = on(decoder)
    before = {key: value.clone() for key, value in model.parts["decoder"].state_dict().items()}
    training = Training(steps=4, batch_size=4, lr=0.1, warmup=0)
    load = lambda draw, rows: {"image": pixels(Toy.TINY, 4, draw)[rows]}  # noqa: E731
    state = step.start(model, training, torch.device("cpu"), "float32", Parallel())
    totals = []
    for _ in range(4):
        totals.append(step.train_step(state, load)["main/total"].item())
        state.step += 1
    assert totals[-1] < totals[0]
    after = model.parts["decoder"].state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert set(state.pack().tensors) == {
        "model/latent", "average/latent", "optimiser/main/0/step",
        "optimiser/main/0/exp_avg", "optimiser/main/0/exp_avg_sq",
    }  # fmt: skip
    out = loop.fit("toy", on(decoder), load, training, tmp_path / "run")
    assert out.latent.abs().sum() > 0 and isinstance(out.parts["decoder"], families.get("vae"))


def test_the_artefact_holds_the_part_whole_and_the_two_come_back_together(decoder, tmp_path):
    model = wake(on(decoder))
    run = tmp_path / "run"
    artefact.save(run, "toy", model, model.state_dict())
    copied = run / "parts" / "decoder"
    theirs = {path.name for path in decoder.iterdir()} - {"log.jsonl"}
    assert {path.name for path in copied.iterdir()} == theirs
    recorded = read_sealed(run / "config.json")["parts"]
    assert recorded == {"decoder": sha256(decoder / "config.json")}
    moved = tmp_path / "elsewhere"
    run.rename(moved)
    for path in decoder.iterdir():
        path.unlink()
    again = artefact.load(moved)
    latent = again.latent[None]
    assert torch.equal(again.parts["decoder"].decode(latent), model.parts["decoder"].decode(latent))
    artefact.save(moved, "toy", again, again.state_dict())  # saved onto itself
    assert torch.equal(artefact.load(moved).latent, model.latent)


def test_parts_of_parts_are_copied_too(decoder, tmp_path):
    inner = tmp_path / "inner"
    model = on(decoder)
    artefact.save(inner, "toy", model, model.state_dict())
    outer = families.build("toy", Toy.TINY, parts={"decoder": artefact.load(inner)})
    artefact.save(tmp_path / "outer", "toy", outer, outer.state_dict())
    again = artefact.load(tmp_path / "outer")
    assert "decoder" in again.parts["decoder"].parts


@breaks(
    "inference/artefact.py",
    "if not file.is_file() or sha256(file) != expected:",
    "if not file.is_file():",
)
@pytest.mark.parametrize("damage", ["weights", "config", "missing"])
def test_a_damaged_part_is_refused_by_name(decoder, tmp_path, damage):
    run = tmp_path / "run"
    model = on(decoder)
    artefact.save(run, "toy", model, model.state_dict())
    part = run / "parts" / "decoder"
    if damage == "missing":
        (part / "config.json").unlink()
    elif damage == "config":  # sealed, but by another: not the one that this model was trained on
        content = read_sealed(part / "config.json")
        write_sealed(part / "config.json", {**content, "source": "y"})
    else:
        path = next(part.glob("model-*"))
        path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ValueError, match="parts/decoder/.*damaged"):
        artefact.load(run)


@breaks(
    "inference/artefact.py", "if copy(folder, dest) != known:", "if copy(folder, dest) is None:"
)
def test_a_part_that_changed_since_it_was_loaded_is_not_saved(decoder, tmp_path):
    model = on(decoder)
    other = wake(build("vae", conditional=False), 0.2)
    artefact.save(decoder, "vae", other, other.state_dict())
    with pytest.raises(ValueError, match="not what was loaded"):
        artefact.save(tmp_path / "run", "toy", model, model.state_dict())


def test_a_part_made_in_memory_is_refused_in_a_sentence(tmp_path):
    parts = {"decoder": build("vae", conditional=False)}
    model = families.build("toy", Toy.TINY, parts=parts)
    with pytest.raises(ValueError, match="'decoder' was not loaded"):
        artefact.save(tmp_path, "toy", model, model.state_dict())


def test_unknown_parts_are_refused(decoder):
    part = artefact.load(decoder)
    with pytest.raises(ValueError, match="did you mean 'decoder'"):
        families.build("toy", Toy.TINY, parts={"decodr": part})
    with pytest.raises(ValueError, match="builds on no 'decoder'"):
        families.build("vae", families.get("vae").TINY, parts={"decoder": part})


def test_a_part_s_name_never_leaves_the_artefact(decoder, tmp_path):
    run = tmp_path / "run"
    model = on(decoder)
    artefact.save(run, "toy", model, model.state_dict())
    content = read_sealed(run / "config.json")
    content["parts"] = {"../../vae": sha256(decoder / "config.json")}
    write_sealed(run / "config.json", content)
    with pytest.raises(ValueError, match="no plain name"):
        artefact.load(run)
