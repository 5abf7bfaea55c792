"""Pre-encoded sets: the same rows as the encoder gives, beside the images, and a model trained on them."""

import json
import shutil

import numpy as np
import pytest
import torch

import zeuxis
from tests.support.kit import build, changed, smooth, wake
from tests.support.sabotage import breaks
from zeuxis import data, families
from zeuxis.core.files import sha256
from zeuxis.core.settings import Data
from zeuxis.data.preparation.encode import write
from zeuxis.inference import artefact
from zeuxis.inference.latents import encode, frozen_parts, set_by_latents
from zeuxis.inference.model import load
from zeuxis.training.resolved import make_config

SIDE = 8


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """600 soft pictures with a label, some of them held out."""
    folder = tmp_path_factory.mktemp("set")
    kinds = np.arange(600) % 3
    np.savez(folder / "set.npz", images=smooth(600, side=SIDE), label=kinds)
    return data.prepare(folder / "set.npz", folder / "prepared")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A tokenizer of 2 x 4 tokens' worth of 12 codes, beside other files of its run."""
    folder = tmp_path_factory.mktemp("tokenizer")
    model = wake(build("tokenizer", height=SIDE, width=SIDE, channels=3), 0.2)
    artefact.save(folder, "tokenizer", model, model.state_dict(), source="x")
    (folder / "log.jsonl").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def tokens(prepared, tokenizer, tmp_path_factory):
    return encode(prepared.folder, tokenizer, tmp_path_factory.mktemp("encoded") / "tokens")


def grid(pixels_NHWC):
    """A known encoder: means of 4 x 4 blocks, (B, 3, 2, 2), each channel of another scale."""
    blocks = pixels_NHWC.reshape(-1, 2, 4, 2, 4, 3).mean((2, 4)).transpose(0, 3, 1, 2)
    return (blocks * np.array([1, 0.1, 0])[:, None, None] + 3).astype(np.float32)


@pytest.fixture(scope="module")
def latents(prepared, tokenizer, tmp_path_factory):
    """The set with the blocks' means; the artefact beside it is another's, which does not matter here."""
    dest = tmp_path_factory.mktemp("encoded") / "latents"
    copy = lambda path: artefact.copy(tokenizer, path)  # noqa: E731
    write(prepared, dest, "latent", grid, copy, {"family": "blocks"})
    return data.open_prepared(dest)


def test_the_tokens_are_those_of_the_encoder_and_all_else_stays(prepared, tokenizer, tokens):
    expected = load(tokenizer).encode(np.array(prepared.images))
    assert (
        np.array_equal(tokens.fields["token"].rows, expected)
        and tokens.fields["token"].rows.dtype == np.int16
    )
    assert (
        tokens.fields["token"].field.shape == (4, 4)
        and tokens.fields["token"].facts["vocabulary"] == 12
    )
    assert len(np.unique(expected)) > 4
    assert np.array_equal(tokens.images, prepared.images)
    assert np.array_equal(tokens.labels, prepared.labels)
    assert np.array_equal(tokens.holdout, prepared.holdout)
    assert tokens.hash != prepared.hash
    tokens.verify()
    assert set(prepared.fields) == {"image"}


def test_the_encoder_lies_beside_its_tokens_without_its_run_s_other_files(tokenizer, tokens):
    folder = tokens.fields["token"].encoder()
    assert {p.name for p in folder.iterdir()} == {p.name for p in tokenizer.iterdir()} - {
        "log.jsonl"
    }
    facts = tokens.facts["fields"][1]["encoder"]
    assert facts["sha256"] == sha256(folder / "config.json")
    assert (folder / facts["weights"]).is_file() and facts["family"] == "tokenizer"
    painted = load(folder).decode(np.asarray(tokens.fields["token"].rows[:3])).images
    assert painted.shape == (3, SIDE, SIDE, 3)


def test_encoding_again_gives_the_same_bytes(prepared, tokenizer, tokens, tmp_path):
    seen = []
    progress = lambda done, total: seen.append((done, total))  # noqa: E731
    again = encode(prepared.folder, tokenizer, tmp_path / "again", progress)
    assert again.hash == tokens.hash and again.facts == tokens.facts
    assert seen == [(512, 600), (600, 600)]
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


@breaks(
    "data/preparation/encode.py",
    "chosen = stored[trained[start : start + BLOCK]]",
    "chosen = stored[:]",
)
def test_moments_are_those_of_the_training_rows(prepared, latents):
    rows = grid(np.asarray(prepared.images)[prepared.train]).astype(np.float16).astype(np.float64)
    facts = latents.facts["fields"][1]
    assert np.allclose(facts["mean"], rows.mean((0, 2, 3)), rtol=1e-12)
    assert np.allclose(facts["deviation"][:2], rows.std((0, 2, 3))[:2], rtol=1e-9)
    assert facts["deviation"][2] == 1  # a constant channel
    assert latents.fields["latent"].rows.dtype == np.float16 and facts["file"] == "latent.f16"
    settings = set_by_latents(families.get("flow"), latents)
    assert settings["latent"] == (3, 2, 2) and settings["latent_mean"] == tuple(facts["mean"])


@breaks("data/preparation/encode.py", 'seal = [facts["files"], ', "seal = [")
def test_large_latents_are_kept_in_float32(prepared, tokenizer, latents, tmp_path):
    copy = lambda path: artefact.copy(tokenizer, path)  # noqa: E731
    large = lambda pixels: 1000 * grid(pixels)  # noqa: E731
    write(prepared, tmp_path / "large", "latent", large, copy, {})
    assert data.open_prepared(tmp_path / "large").hash != latents.hash
    opened = data.open_prepared(tmp_path / "large").fields["latent"]
    assert opened.rows.dtype == np.float32
    assert np.array_equal(opened.rows, large(np.asarray(prepared.images)))


@breaks("data/loader.py", "stored.take(some)", "stored.take(numbers)")
def test_the_loader_gives_the_rows_of_its_images_if_they_are_needed(prepared, latents, tokens):
    for opened, key in ((latents, "latent"), (tokens, "token")):
        plain = data.batches(opened, Data(), 5, 16)
        load = data.batches(opened, Data(), 5, 16, needs=("image", key, "label"))
        whole = load(3, slice(0, 16))
        assert key not in plain(3, slice(0, 16))
        assert torch.equal(whole["image"], plain(3, slice(0, 16))["image"])
        halves = [load(3, slice(a, a + 8)) for a in (0, 8)]
        for name, value in whole.items():
            assert torch.equal(torch.cat([half[name] for half in halves]), value)
        pixels = whole["image"].permute(0, 2, 3, 1).numpy()
        if key == "latent":
            assert whole[key].dtype == torch.float16
            assert np.array_equal(whole[key], grid(pixels).astype(np.float16))
        else:
            assert whole[key].dtype == torch.int16 and whole[key].shape == (16, 4, 4)
    trained = {tuple(row.ravel()) for row in np.asarray(prepared.images)[prepared.train]}
    assert all(tuple(row.ravel()) in trained for row in pixels)


@breaks("data/loader.py", "if active and not stored.field.spatial:", "if False:")
def test_augmentation_is_refused_for_latents_only(latents):
    with pytest.raises(ValueError, match="cannot be augmented"):
        data.batches(latents, Data(flip=True), 0, 8, needs=("latent",))
    assert data.batches(latents, Data(flip=True), 0, 8)(0, slice(0, 2))["image"].shape[0] == 2


def test_a_taken_folder_a_vector_and_nonsense_are_refused_and_leave_nothing(
    prepared, tokenizer, tmp_path
):
    copy = lambda path: artefact.copy(tokenizer, path)  # noqa: E731
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    for dest, encoder, sentence in (
        ("taken", grid, "not empty"),
        ("vector", lambda pixels: grid(pixels).reshape(len(pixels), -1), "a grid of 3 axes"),
        ("nan", lambda pixels: grid(pixels) * np.nan, "no finite numbers"),
    ):
        with pytest.raises(ValueError, match=sentence):
            write(prepared, tmp_path / dest, "latent", encoder, copy, {})
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_family_that_does_not_encode_is_refused(prepared, tmp_path):
    model = build("gan", height=SIDE, width=SIDE, channels=3)
    artefact.save(tmp_path / "gan", "gan", model, model.state_dict())
    with pytest.raises(ValueError, match="does not both encode"):
        encode(prepared.folder, tmp_path / "gan", tmp_path / "out")


@breaks("data/prepared.py", 'sha256(file) != self.facts["encoder"]["sha256"]', "False")
def test_another_encoder_or_a_damaged_file_is_noticed(prepared, tokenizer, tmp_path):
    opened = encode(prepared.folder, tokenizer, tmp_path / "tokens")
    config = opened.folder / "encoder" / "config.json"
    content = json.loads(config.read_text())
    config.write_text(json.dumps({**content, "source": "y"}))
    with pytest.raises(ValueError, match="not the model that encoded"):
        opened.fields["token"].encoder()
    file = opened.folder / "token.i16"
    file.write_bytes(file.read_bytes()[:-2])
    with pytest.raises(ValueError, match="token.i16 has"):
        data.open_prepared(opened.folder)


def test_a_flow_learns_latents_and_paints_through_the_encoder_s_decoder(prepared, tmp_path):
    """The whole way: images, a model that encodes them, latents, a flow of these, images."""
    tiny = families.get("autoencoder").TINY
    values = {"height": SIDE, "width": SIDE, "channels": 3, "layout": "spatial"}
    model = wake(families.build("autoencoder", changed(tiny, **values)), 0.1)
    artefact.save(tmp_path / "coder", "autoencoder", model, model.state_dict(), dataset={})
    opened = encode(prepared.folder, tmp_path / "coder", tmp_path / "latents")
    flow = families.get("flow")
    made = make_config(flow, opened, Data(), {})
    assert (
        made.latent == opened.fields["latent"].field.shape
        and len(made.latent_mean) == made.latent[0]
    )
    with pytest.raises(ValueError, match="comes from the set"):
        make_config(flow, opened, Data(), {"latent": "1,2,2"})
    assert make_config(families.get("vae"), opened, Data(), {"latent": "16"}).latent == 16
    words = {"family.widths": "16", "family.blocks": "1", "training.batch_size": "4"}
    run = zeuxis.train(
        "flow",
        opened.folder,
        out=tmp_path / "run",
        steps=2,
        threads=1,
        overrides=words,
        evaluate=False,
    )
    assert (run / "parts" / "decoder" / "config.json").is_file()
    drawn = load(run).sample(2, seed=1).images
    assert drawn.shape == (2, SIDE, SIDE, 3)
    # Continued from its checkpoint, it finds itself finished and unchanged.
    again = zeuxis.train(
        "flow",
        opened.folder,
        out=tmp_path / "run",
        steps=2,
        threads=1,
        overrides=words,
        evaluate=False,
    )
    assert np.array_equal(load(again).sample(2, seed=1).images, drawn)


def test_a_family_of_pixels_trains_on_an_encoded_set_as_on_any(tokens, tmp_path):
    config = make_config(families.get("flow"), tokens, Data(), {})
    assert config.latent is None and frozen_parts(families.get("flow"), tokens) == {}


@breaks("data/prepared.py", "(rows >= 0) & ", "")
def test_a_token_that_no_code_has_is_refused_when_it_is_read(tokens, tmp_path):
    folder = shutil.copytree(tokens.folder, tmp_path / "set")
    rows = np.fromfile(folder / "token.i16", np.int16)
    for wrong in (-1, tokens.fields["token"].facts["vocabulary"]):
        rows[0] = wrong
        rows.tofile(folder / "token.i16")
        with pytest.raises(ValueError, match=r"token\.i16 is damaged"):
            data.open_prepared(folder).fields["token"].take(np.array([0]))
