"""A prepared set that somebody else made opens as it was written, or is refused in one sentence."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.support.sabotage import breaks
from zeuxis import data
from zeuxis.core.files import sha256
from zeuxis.core.settings import checked
from zeuxis.data import facts as written
from zeuxis.data.facts import Array

ROWS = {"shape": [4, 2, 2], "encoder": {"sha256": "0" * 64}, "count": 12}
LATENTS = {
    **ROWS,
    "name": "latent",
    "kind": "latent",
    "file": "latent.f16",
    "mean": [0] * 4,
    "deviation": [1] * 4,
}
TOKENS = {
    **ROWS,
    "name": "token",
    "kind": "token",
    "file": "token.i16",
    "shape": [2, 2],
    "vocabulary": 16,
}


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(Path(__file__).parents[1] / "fixtures" / "set", tmp_path / "set")


def rewrite(folder, change):
    facts = json.loads((folder / "dataset.json").read_text())
    change(facts)
    (folder / "dataset.json").write_text(json.dumps(facts))


@breaks("data/facts.py", "checked(Facts, content, where)", "pass")
@pytest.mark.parametrize(
    ("where", "values"),
    {
        "format": (None, True, "1", 99),
        "name": (None, 5, ...),
        "hash": ("x", None, "../../x", ...),
        "images": (None, [], ...),
        "images.count": (-6, 0, 1.5, "12", True, None, 2**40, 13),
        "images.channels": (2, 0, 5),
        "files": (None, {}, ...),
        "files.images.u8": (5, {"bytes": 2304}),
        "conditions": (None, [5], [{"name": "x"}], [{"name": "x", "classes": ["a"], "counts": []}]),
        "columns": (None, ["x"], {"x": "y"}, ...),
        "captions": (-1, "yes", ...),
        "licence": (None, 5, ...),
        "found": (None, {}, ...),
        "left_out": (None, {"corrupt": 5}),
        "remarks": (None, [5]),
        "warnings": (None, "x"),
        "split": ({"train": "x"}, ...),
        "encoded": ([], "x", {}),
    }.items(),
)
def test_every_wrong_fact_is_one_sentence(folder, where, values):
    original = (folder / "dataset.json").read_text()
    outer, _, key = where.partition(".")
    for value in values:
        (folder / "dataset.json").write_text(original)

        def change(facts, value=value):
            at, last = (facts[outer], key) if key else (facts, outer)
            if value is ...:
                del at[last]
            else:
                at[last] = value

        rewrite(folder, change)
        with pytest.raises(ValueError, match=r"dataset\.json") as error:
            data.open_prepared(folder)
        assert "\n" not in str(error.value)


@breaks("data/facts.py", "* math.prod(array.shape)", "")
@pytest.mark.parametrize("name", ["../set/left_out.jsonl", "/etc/passwd", "a\0b", ".."])
def test_a_set_names_no_file_outside_of_its_folder(folder, name):
    rewrite(folder, lambda facts: facts["files"].update({name: facts["files"]["left_out.jsonl"]}))
    with pytest.raises(ValueError, match="no plain name"):
        data.open_prepared(folder)


@breaks("data/prepared.py", "or found.dtype not in WHOLE", "")
@breaks("data/prepared.py", "(labels < -1) | ", "")
@breaks("data/prepared.py", "(ends[1:] < ends[:-1]).any() or ", "")
@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("holdout", None),
        ("holdout", np.zeros(11, np.uint8)),
        ("holdout", np.zeros(12, np.float32)),
        ("labels", None),
        ("labels", np.zeros((12, 2), np.int16)),
        ("labels", np.zeros((12, 1), np.float64)),
        ("labels", np.full((12, 1), 2, np.int16)),
        ("labels", np.full((12, 1), -2, np.int16)),
        ("names.bytes", np.zeros(200, np.float32)),
        ("names.ends", None),
        ("names.ends", np.zeros(2, np.int64)),
        ("names.ends", np.full(12, 0.5)),
        ("names.ends", np.full(12, 2**60)),
        ("names.ends", np.full(12, -5)),
        ("names.ends", np.arange(12)[::-1].copy()),
    ],
)
def test_columns_that_do_not_fit_are_refused(folder, name, array):
    file = folder / "columns.safetensors"
    held = load_file(file)
    held.pop(name)
    save_file(held if array is None else {**held, name: array}, file)
    entry = {"bytes": file.stat().st_size, "sha256": sha256(file)}
    rewrite(folder, lambda facts: facts["files"].update({file.name: entry}))
    with pytest.raises(ValueError, match=rf"columns\.safetensors.*\b{name.split('.')[0]}"):
        _ = data.open_prepared(folder).names[0]


def test_facts_of_an_encoder_are_checked():
    for honest in (LATENTS, TOKENS):
        assert checked(Array, honest, "x").kind == honest["kind"]
    for wrong in (
        {**LATENTS, "file": "token.i16"},
        {**LATENTS, "file": "../latent.f16"},
        {**LATENTS, "shape": [4, 2]},
        {**LATENTS, "shape": [4, 2, -2]},
        {**LATENTS, "mean": [0] * 3},
        {**LATENTS, "deviation": [1, 1, 1, 0]},
        {**TOKENS, "kind": "__class__"},
        {**TOKENS, "vocabulary": 2**40},
        {**TOKENS, "encoder": {}},
    ):
        with pytest.raises(ValueError, match="x: "):
            checked(Array, wrong, "x")


def test_rows_have_the_size_that_their_shape_says(folder):
    facts = json.loads((folder / "dataset.json").read_text())
    facts |= {"encoded": {k: v for k, v in TOKENS.items() if k not in ("name", "count")}}
    facts["files"]["token.i16"] = {"bytes": 2 * 12 * 4, "sha256": "0" * 64}
    assert written.read(facts, "x")["fields"][1] == TOKENS
    facts["files"]["token.i16"]["bytes"] += 2
    with pytest.raises(ValueError, match=r"token\.i16 96 bytes"):
        written.read(facts, "x")
