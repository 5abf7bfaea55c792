"""Verbs: in Python and on files they give the same, and bad values get one sentence."""

import csv
import io
import json
import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.support.front import zeuxis
from tests.support.kit import able, build, config_for, wake
from tests.support.sabotage import breaks
from zeuxis import families
from zeuxis.core import abilities, errors
from zeuxis.core.abilities import (
    Completes,
    Decodes,
    Denoises,
    Encodes,
    Generates,
    Interpolates,
    Reconstructs,
    Scores,
)
from zeuxis.create.verbs import VERBS as CREATE
from zeuxis.evaluation.report import training
from zeuxis.inference import artefact
from zeuxis.inference.model import load
from zeuxis.inference.results import Result
from zeuxis.inference.verbs import VERBS

TABLE = [[[0, 1], 1]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Name -> folder of an untrained model of that family, made when asked for."""
    made = {}

    def run(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp("runs") / name
            family = wake(build(name))
            labels = TABLE if family.config.conditions else []
            weights = family.state_dict()
            artefact.save(made[name], name, family, weights, dataset={"labels": labels})
        return made[name]

    return run


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Five pictures larger than the models' images, one of them damaged."""
    folder = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    for i in range(5):
        pixels = generator.integers(0, 256, (16, 16), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"photo-{i}.png")
    (folder / "photo-9.png").write_bytes(b"no picture")
    return folder


def pixels_of(model, source):
    return VERBS["reconstruct"].arguments["images"].read(model, str(source), None)


def drawn(folder):
    images = []
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as image:
            images.append(np.asarray(image))
    return np.stack(images)


@pytest.mark.parametrize("name", able(Reconstructs))
def test_reconstruct_writes_what_the_python_door_gives(name, runs, photos, tmp_path, capsys):
    out, sheet = tmp_path / "out", tmp_path / "sheet.png"
    assert zeuxis("reconstruct", runs(name), photos, "--out", out, "--grid", sheet) == 0
    said = capsys.readouterr().out
    assert "1 files could not be read" in said and "wrote 5 images" in said
    config = config_for(name)
    note = json.loads((out / "samples.json").read_text())
    assert note["verb"] == "reconstruct" and note["files"][0].endswith("photo-0.png")
    assert drawn(out).shape[:3] == (5, config.height, config.width)
    with Image.open(sheet) as picture:
        assert picture.size[0] > picture.size[1]


@pytest.mark.parametrize("name", [n for n in able(Encodes) if n in able(Decodes)])
def test_encode_then_decode_through_a_file(name, runs, photos, tmp_path):
    file, out = tmp_path / "latents.npz", tmp_path / "out"
    assert zeuxis("encode", runs(name), photos, "--out", file) == 0
    with np.load(file) as arrays:
        assert len(arrays["latent"]) == 5 and arrays["name"][0].endswith("photo-0.png")
        expected = load(runs(name)).decode(arrays["latent"]).images
    assert zeuxis("decode", runs(name), file, "--unmarked", "--out", out) == 0
    assert np.array_equal(drawn(out).reshape(expected.shape), expected)


@breaks("inference/arguments.py", "latents.shape[1:] != one or", "")
@breaks("inference/arguments.py", "or latents.max() >= most", "")
@pytest.mark.parametrize(
    ("name", "arrays", "sentence"),
    [
        ("vae", None, "cannot be read as numpy arrays"),
        ("vae", {"z": np.zeros((2, 8))}, "no array `latent`"),
        ("vae", {"latent": np.zeros((2, 999))}, r"shape \(2, 999\); this model's are \(N, "),
        ("vae", {"latent": np.array("a")}, "no finite numbers"),
        ("vae", {"latent": np.nan}, "no finite numbers"),
        ("vae", {"latent": "x"}, "no finite numbers"),
        ("tokenizer", {"latent": 10**6}, "other tokens than 0 to"),
        ("tokenizer", {"latent": 0.5}, "other tokens than 0 to"),
    ],
)
def test_latents_that_are_none_are_one_sentence(name, arrays, sentence, runs, tmp_path, capsys):
    import re

    file = tmp_path / "x.npz"
    if arrays is None:
        file.write_bytes(b"PK\3\4cut")
    else:
        latent = arrays.get("latent")
        if latent is not None and np.ndim(latent) == 0 and not isinstance(latent, np.ndarray):
            model = load(runs(name))
            config = model.family.config
            blank = np.zeros((1, config.height, config.width, config.channels), np.uint8)
            arrays = {"latent": np.full(model.encode(blank).latents.shape, latent)}
        np.savez(file, **arrays)
    assert zeuxis("decode", runs(name), file, "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert re.search(sentence, said) and said.count("\n") == 1


@pytest.mark.parametrize("name", able(Denoises))
def test_denoise(name, runs, photos, tmp_path):
    outs = [tmp_path / str(sigma) for sigma in (10, 60)]
    for sigma, out in zip((10, 60), outs, strict=True):
        assert zeuxis("denoise", runs(name), photos, "--sigma", sigma, "--out", out) == 0
    assert not np.array_equal(drawn(outs[0]), drawn(outs[1]))


@breaks("inference/arguments.py", ">= 128).astype", "< 128).astype")
@pytest.mark.parametrize("name", able(Completes))
def test_complete_paints_the_white_of_the_mask_only(name, runs, photos, tmp_path):
    config = config_for(name)
    mask = np.zeros((config.height, config.width), np.uint8)
    mask[: config.height // 2] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    out = tmp_path / "out"
    words = ["--mask", tmp_path / "mask.png", "--seed", 3, "--unmarked", "--out", out]
    assert zeuxis("complete", runs(name), photos, *words) == 0
    known = mask == 0
    assert zeuxis("complete", runs(name), photos, *words) == 0  # again into the same folder
    images = pixels_of(load(runs(name)), photos).images[..., 0]
    assert np.array_equal(drawn(out)[:, known], images[:, known])
    assert not np.array_equal(drawn(out), images)


@breaks("marks/mark.py", "marked[~open_HW] = image_HWC[~open_HW]", "pass")
@breaks("inference/results.py", "self._open(source, image_HWC)", "None")
def test_written_files_differ_from_what_was_given_only_inside_the_mask(runs, tmp_path):
    """The watermark, too, stays inside; where that is too little for it, the result says so."""
    model = load(runs("vae" if "vae" in able(Completes) else able(Completes)[0]))
    side = model.shape()[0]
    given = np.random.default_rng(1).integers(60, 190, (1, *model.shape()), np.uint8)
    mask = np.zeros((side, side), np.uint8)
    mask[: side // 2] = 1
    made = model.complete(given, mask)
    file = np.asarray(Image.open(io.BytesIO(next(made.files()))))
    assert np.array_equal(file.reshape(model.shape())[side // 2 :], given[0, side // 2 :])
    assert "without_watermark" in made.values()["provenance"]


@breaks(
    "inference/verbs/draw.py",
    "model.random(seed, slice(row, row + 1))",
    "model.random(seed, slice(0, 1))",
)
def test_a_walk_between_samples_begins_and_ends_with_them(runs):
    model = load(runs("gan"))
    drawn_ = model.sample(4, seed=7)
    asked = {"labels": {"shape": "square"}}
    known = model.sample(4, seed=7, **asked).images
    walk = model.interpolate((7, 3), (7, 1), 3, **asked).images
    assert np.array_equal(walk[[0, 2]], known[[3, 1]]) and len(drawn_) == 4
    read = VERBS["interpolate"].arguments["start"].read
    assert read(model, "7:3", None) == (7, 3) and read(model, "-7", None) == -7
    for wrong in ((7, -1), (7, 1, 2), (7, "a")):
        with pytest.raises(errors.Invalid, match="expected a seed, or a seed and the number"):
            model.interpolate(wrong, 8)


@pytest.mark.parametrize("name", able(Interpolates))
def test_interpolate(name, runs, photos, tmp_path):
    out = tmp_path / "out"
    ends = [3, 4] if name in able(Generates) else [photos / f"photo-{i}.png" for i in (0, 1)]
    assert zeuxis("interpolate", runs(name), *ends, "--count", 4, "--out", out) == 0
    assert len(drawn(out)) == 4


@breaks("inference/verbs/draw.py", "if value is not None]", "if value is None]")
@breaks("inference/verbs/draw.py", "exclude_defaults=True", "include=set()")
def test_a_walk_between_images_says_what_it_does_not_use(runs):
    model = load(runs("vae"))
    ends = model.sample(2, seed=7).images
    (said,) = model.interpolate(*ends, 2, labels={"shape": "square"}).remarks
    assert said.startswith("labels had no effect: a walk between images shows")
    (said,) = model.interpolate(*ends, 2, temperature=0.5).remarks
    assert said.startswith("temperature had no effect: a walk between images shows")
    assert not model.interpolate(*ends, 2).remarks


@breaks("inference/results.py", "std(ddof=1) / len(self.bits) ** 0.5", "std(ddof=1)")
@pytest.mark.parametrize("name", able(Scores))
def test_score_prints_the_mean_with_its_error_and_kind_and_writes_each(
    name, runs, photos, tmp_path, capsys
):
    table = tmp_path / "scores.csv"
    assert zeuxis("score", runs(name), photos, "--out", table) == 0
    said = capsys.readouterr().out
    with table.open() as file:
        bits = [float(row["bits_per_dim"]) for row in csv.DictReader(file)]
    assert len(bits) == 5
    assert f"{np.mean(bits):.4f} bits/dim" in said
    assert f"standard error {np.std(bits, ddof=1) / 5**0.5:.4f}" in said
    kind = load(runs(name)).family.kind
    assert {"exact": "(exact)", "bound": "upper bound", "estimate": "estimate"}[kind] in said


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["reconstruct", "gan", "PHOTOS"], "a gan cannot reconstruct; families that can: .*vae"),
        (["score", "gan", "PHOTOS"], "cannot score"),
        (["encode", "gan", "PHOTOS"], "cannot encode"),
        (["denoise", "gan", "PHOTOS"], "cannot denoise"),
        (["reconstruct", "vae", "nowhere"], "nowhere"),
        (["reconstruct", "vae", "PHOTOS", "--label", "shape=dics"], "did you mean 'disc'"),
        (["encode", "vae", "PHOTOS", "--out", "latents.txt"], "ends in .npz"),
        (["decode", "vae", "nowhere.npz"], "there is no file"),
        (["score", "vae", "PHOTOS", "--out", "scores.txt"], "ends in .csv"),
        (["interpolate", "vae", "3", "nowhere.png"], "nowhere.png cannot be read as an image"),
        (["interpolate", "vae", "BOMB", "BOMB"], "bomb.png .*144000000 pixels. exceeds"),
        (["interpolate", "vae", "EPS", "EPS"], "ghost.png .*no PNG/JPEG"),
        (["complete", "flow", "PHOTOS", "--mask", "EPS"], "ghost.png .*no PNG/JPEG"),
        (["complete", "flow", "PHOTOS", "--mask", "BOMB"], "144000000 pixels. exceeds"),
        (["complete", "flow", "PHOTOS", "--mask", "CLEAR"], "white is what is to be filled"),
        (["complete", "flow", "PHOTOS", "--mask", "BLACK"], "white is what is to be filled"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_sentence(words, sentence, runs, photos, tmp_path, monkeypatch, capsys):
    import re

    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "black.png")
    Image.new("LA", (8, 8), (255, 0)).save(tmp_path / "clear.png")
    (tmp_path / "ghost.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    chunks = [b"IHDR" + struct.pack(">II", 12_000, 12_000) + bytes([8, 0, 0, 0, 0]), b"IDAT"]
    whole = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(whole))
    places = {"PHOTOS": photos, "BLACK": tmp_path / "black.png", "EPS": tmp_path / "ghost.png"}
    places |= {"BOMB": tmp_path / "bomb.png", "CLEAR": tmp_path / "clear.png"}
    verb, name, *rest = words
    assert zeuxis(verb, runs(name), *(places.get(word, word) for word in rest)) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(sentence, said), said


@breaks("inference/arguments.py", " * (pixels_HWC[..., 3] / 255)", "")
def test_single_files_are_turned_and_cropped_as_those_of_a_source(runs, tmp_path):
    """By its EXIF orientation, on white where it is transparent, from the middle."""
    model = load(runs("vae"))
    side = model.family.config.height
    pixels = np.zeros((side, 3 * side, 2), np.uint8)
    pixels[:, side : 2 * side, 0] = np.arange(side)[:, None] * 20
    pixels[..., 1] = 255
    pixels[0, :, 1] = 0
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(pixels, "LA").save(tmp_path / "a.png", exif=exif)
    expected = pixels_of(model, tmp_path).images[0]
    found = VERBS["interpolate"].arguments["start"].read(model, str(tmp_path / "a.png"), None)
    assert (
        np.array_equal(found, expected)
        and (found[-1] == 255).all()
        and (found[0, :, 0] > 100).all()
    )
    mask = VERBS["complete"].arguments["mask"].read(model, tmp_path / "a.png", None)
    assert mask.tolist() == [
        [int(20 * (side - 1 - row) >= 128 and row < side - 1)] * side for row in range(side)
    ]


@breaks("data/pictures.py", "content = read_file(path, root)", "content = path.read_bytes()")
def test_sheets_of_a_strangers_run_are_its_own_and_the_decoder_s(runs, tmp_path):
    model = load(shutil.copytree(runs("vae"), tmp_path / "run"))
    folder = model.folder / "samples"
    folder.mkdir()
    sheet = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    for number in (1, 9):
        sheet.save(folder / f"step-{number}.png")
    sheet.save(tmp_path / "private.png")
    (folder / "step-2.png").symlink_to(tmp_path / "private.png")
    (folder / "step-3.png").write_text("%!PS-Adobe-3.0 EPSF-3.0")
    (folder / "step-x.png").write_bytes((folder / "step-1.png").read_bytes())
    assert [caption for caption, _ in training.sheets(model, [])] == ["step 1", "step 9"]


# What holds for every verb


USED = [
    (verb.name, name)
    for verb in VERBS.values()
    if verb.needs != "Translates"
    for name in able(getattr(abilities, verb.needs))
    if verb.needs != "Interpolates" or name in able(Generates)
    if verb.name != "story" or families.get(name).TINY.text
]
"""Verbs and the families of the table that have the ability; `test_translate` has one of its own."""


@pytest.fixture
def words(runs, photos, tmp_path):
    """(verb, family) -> words for each argument without a default."""

    def make(verb, name):
        mask = np.zeros((8, 8), np.uint8)
        mask[2:5] = 255
        Image.fromarray(mask).save(tmp_path / "mask.png")
        kinds = {"images": photos, "mask": tmp_path / "mask.png", "start": "3", "end": "4"}
        kinds |= {"latents": tmp_path / "given.npz", "file": tmp_path / "given.zxi"}
        kinds |= {"script": tmp_path / "script.txt"}
        kinds["script"].write_text("a cat\non a mat\non a tree\n")
        model = load(runs(name), verb.device)
        if "latents" in verb.arguments and name in able(Encodes):
            model.encode(pixels_of(model, photos)).write(kinds["latents"])
        elif "latents" in verb.arguments:
            pytest.skip("nothing gives latents to decode")
        if "file" in verb.arguments:
            model.compress(pixels_of(model, photos)).write(kinds["file"])
        return {n: kinds[n] for n in verb.arguments if n not in verb.defaults}

    return make


@pytest.mark.parametrize(("verb", "name"), USED)
def test_python_gives_the_files_of_the_command_line(verb, name, runs, words, tmp_path):
    verb = VERBS[verb]
    if verb.needs == "Sequential":
        pytest.importorskip("constriction")
    given = words(verb, name)
    typed = [value for n, value in given.items() if not verb.arguments[n].option]
    named = [(f"--{n}", value) for n, value in given.items() if verb.arguments[n].option]
    suffix = verb.gives.SUFFIX
    typed += [word for pair in named for word in pair]
    out, again = tmp_path / f"out{suffix}", tmp_path / f"again{suffix}"
    # A signature differs each time.
    signs = "credentials" in verb.arguments
    typed += ["--no-credentials"] if signs else []
    assert zeuxis(verb.name, runs(name), *typed, "--out", out) == 0
    model = load(runs(name), verb.device)
    words_of = {n: str(v) for n, v in given.items()} | paths(given)
    values = verb.read(model, words_of)
    verb(model, **values, **({"credentials": False} if signs else {})).write(again)
    files = sorted(out.iterdir()) if out.is_dir() else [out]
    for file in files:
        other = again / file.name if out.is_dir() else again
        assert file.read_bytes() == other.read_bytes(), file.name


def paths(given):
    return {n: value for n, value in given.items() if n in ("mask", "latents", "file")}


@pytest.mark.parametrize("verb", [*VERBS.values(), *CREATE.values()], ids=lambda verb: verb.name)
def test_a_request_has_a_schema_and_each_argument_a_sentence(verb):
    kinds = able(getattr(abilities, verb.needs)) if verb.needs else []
    for name in kinds or ["vae"]:
        schema = verb.body(families.get(name).Controls).model_json_schema()
        assert schema["description"] == verb.summary.rstrip()
        assert set(verb.arguments) <= set(schema["properties"])
        for argument in verb.arguments:
            assert schema["properties"][argument]["description"].endswith((".", "repeatable."))
        assert json.dumps(schema)
    assert verb.examples and all(e.startswith(f"zeuxis {verb.name} ") for e in verb.examples)
    assert issubclass(verb.gives, Result) and verb.gives is not Result


@pytest.mark.parametrize(
    ("verb", "wrong", "sentence"),
    [
        ("sample", {"count": 0}, "count is 0; expected a whole number of at least 1"),
        ("sample", {"count": "many"}, "count is 'many'; expected a whole number"),
        ("sample", {"seed": 1.5}, "seed is 1.5; expected a whole number"),
        ("sample", {"temprature": 1}, "no control 'temprature'"),
        ("sample", {"labels": "disc"}, "which condition"),
        ("interpolate", {"start": 1, "end": 2, "count": 1}, "count is 1; .* at least 2"),
        ("reconstruct", {}, "reconstruct needs images"),
        ("reconstruct", {"images": np.zeros((2, 3, 3, 1), np.uint8)}, "expected uint8 of shape"),
        ("reconstruct", {"images": "FLOAT"}, "float64, expected uint8"),
        ("reconstruct", {"images": "NONE"}, "at least 1 image"),
        ("reconstruct", {"images": "GOOD", "steps": 3}, "reconstruct takes no steps, only images"),
        ("score", {"images": "GOOD", "labels": np.zeros((1, 1))}, r"labels have shape \(1, 1\)"),
        ("decode", {"latents": np.zeros((2, 99))}, r"shape \(2, 99\); this model's"),
    ],
)
def test_bad_values_are_one_sentence_in_python(verb, wrong, sentence, runs):
    model = load(runs("vae"))
    good = np.zeros((2, *model.shape()), np.uint8)
    stand = {"GOOD": good, "FLOAT": good / 255, "NONE": good[:0]}
    given = {n: stand.get(v, v) if isinstance(v, str) else v for n, v in wrong.items()}
    with pytest.raises(errors.Invalid, match=sentence) as found:
        getattr(model, verb)(**given)
    assert "\n" not in str(found.value)


def test_more_values_than_arguments_are_a_sentence(runs):
    with pytest.raises(
        errors.Invalid, match="sample takes at most 5 values: count, seed, labels, text"
    ):
        load(runs("vae")).sample(1, 2, None, None, None, 4)


def test_a_result_knows_what_was_drawn_and_data_reads_its_folder_again(runs, tmp_path):
    drawn_ = load(runs("vae")).sample(6, seed=3, labels={"shape": "square"}, unmarked=True)
    assert drawn_.labels.shape == (6, 2) and (drawn_.labels[:, 0] == 1).all()
    assert drawn_.provenance["seed"] == 3 and drawn_.provenance["labels"] == {"shape": "square"}
    drawn_.labels[3:, 0] = 2
    drawn_.write(tmp_path / "out")
    seen = pixels_of(load(runs("vae")), tmp_path / "out")
    column = [condition.name for condition in seen.conditions].index("shape")
    classes = seen.conditions[column].classes
    assert [classes[i] for i in seen.labels[:, column]] == ["square"] * 3 + ["ring"] * 3
    assert np.array_equal(seen.images, drawn_.images)


def test_a_default_folder_that_is_there_is_left_alone(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for expected in ("vae-seed7", "vae-seed7-2", "vae-seed7-3"):
        assert zeuxis("sample", runs("vae"), "--count", 2, "--seed", 7) == 0
        assert f"wrote 2 images to samples/{expected}\n" in capsys.readouterr().out
