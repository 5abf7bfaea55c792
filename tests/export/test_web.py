"""Pages and packages draw what `zeuxis sample` draws, mark what they write, and ask nobody for anything."""

import base64
import io
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.export.test_onnx import GAN
from tests.support.kit import ANGLE, CONDITIONS, WORDS, build, wake
from tests.support.need import ROOT, need, need_web
from tests.support.sabotage import breaks
from zeuxis.core.errors import Invalid, Unable
from zeuxis.core.fields import Field
from zeuxis.export.parity import sources
from zeuxis.export.running import fresh
from zeuxis.export.write import export
from zeuxis.inference import artefact
from zeuxis.inference.results import Images
from zeuxis.marks.watermark import PUBLIC_KEY, detect
from zeuxis.trust.verify import verify

LEGEND = Field(name="source", kind="map", shape=(8, 8), classes=("grass", "water", "sand"))
KNOWN = {
    "labels": [[[0, 0], 1], [[2, 1], 1]],
    "examples": [["a cat", [1.0]], ["a blue dog", [None]]],
}
BEFORE = ROOT / "tests" / "fixtures" / "before"
RUNS = {"gan": GAN, **{name: BEFORE / name for name in ("flow", "vae", "pixelcnn")}}
CASES = [pytest.param(n, marks=[] if n == "flow" else [pytest.mark.slow]) for n in RUNS]


def node(script, *words):
    """What a script of this folder prints, as JSON."""
    command = [need_web(), str(Path(__file__).parent / script), *(str(word) for word in words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def opened(content):
    return np.atleast_3d(np.array(Image.open(io.BytesIO(base64.b64decode(content)))))


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A package by the name of a run, written once."""
    need_web()
    folder = tmp_path_factory.mktemp("packages")

    def of(name):
        if not (folder / name).exists():
            export(RUNS[name], "npm", folder / name, half=False, compared=2)
        return folder / name

    return of


@breaks("export/meta.py", 'data.get("labels") or', "")
@breaks(
    "export/meta.py",
    '"guidance_scale": 2.0 if guided else 1.0, **controls',
    '**controls, "steps": 7',
)
@pytest.mark.parametrize("name", CASES)
def test_a_package_draws_what_the_model_draws(name, package):
    folder, model = package(name), fresh(RUNS[name])
    labels = {c.name: c.classes[1] for c in model.conditions[:1]}
    found = node("package.mjs", folder, 7, 3, json.dumps({"labels": labels}))
    ours = model.sample(3, seed=7, labels=labels or None)
    for i, picture in enumerate(found["pictures"]):
        theirs = np.array(picture["levels"]).reshape(ours.array.shape[1:])
        assert np.abs(theirs - ours.array[i].astype(int)).max() <= 1
        asked = [c.classes[at] for c, at in zip(ours.conditions, ours.labels[i], strict=True)]
        assert [*picture["labels"].values()] == asked
    assert found["alone"] == found["pictures"][1]["levels"]
    assert "no condition nothing" in found["refused"] and "no control" in found["refused"]
    assert "no number" in found["refused"]


@breaks("export/meta.py", '"merges": config.text.merges', '"merges": ()')
@breaks("export/meta.py", "yield name, key", "yield name, None")
@pytest.mark.parametrize("name", ["flow", "gan"])
def test_words_numbers_and_controls_are_those_of_the_product(name, tmp_path):
    need_web()
    described = {"numbers": (ANGLE,), "text": WORDS, "conditions": CONDITIONS}
    family = wake(build(name, **described if name == "flow" else {}), 0.2)
    run = tmp_path / "run"
    artefact.save(run, name, family, family.state_dict(), dataset=KNOWN if name == "flow" else {})
    asked = {"text": "A red, DOG", "numbers": {"angle": 2}} if name == "flow" else {}
    controls = {"steps": 3, "guidance_scale": 1.5} if name == "flow" else {"truncation": 0.5}
    export(run, "npm", tmp_path / "package", half=False, compared=0)
    options = {**asked, "controls": controls}
    found = node("package.mjs", tmp_path / "package", 7, 3, json.dumps(options))
    if asked:
        asked |= {"text": [asked["text"]]}
    ours, usual = (fresh(run).sample(3, seed=7, **asked, **more).array for more in (controls, {}))
    for i, picture in enumerate(found["pictures"]):
        theirs = np.array(picture["levels"]).reshape(ours.shape[1:])
        assert np.abs(theirs - ours[i].astype(int)).max() <= 1
    assert np.abs(ours.astype(int) - usual).max() > 1


MADE = {
    "paint": {"source": LEGEND},
    "palette": {},
    "pix2pix": {},
    "unpaired": {},
    "enhance": {},
    "stylise": {},
}


@breaks("export/meta.py", 'SHOWN = ("given", "planes", "mean")', 'SHOWN = ("given",)')
@pytest.mark.slow
@pytest.mark.parametrize("name", MADE)
def test_a_page_makes_pictures_of_others(name, tmp_path):
    need("chromium")
    need_web()
    family = wake(build(name, **MADE[name]), 0.2)
    run, page, given = tmp_path / "run", tmp_path / "page.html", tmp_path / "given.png"
    artefact.save(run, name, family, family.state_dict())
    export(run, "page", page, compared=2)
    model, field = fresh(run), family.fields()["source"]
    source = sources(family, 1)
    Image.fromarray(field.visible(source)[0].squeeze()).save(given)
    found = node("made.mjs", page, given, 7)
    ours = model.translate(source, seed=7).array[0]
    theirs = np.array(found["made"]).reshape(*ours.shape[:2], 4)[..., : ours.shape[2]]
    assert np.abs(theirs - ours.astype(int)).max() <= 1 and not found["errors"]
    assert found["maps"] == found["changed"] == (field.kind == "map")
    with pytest.raises(Unable, match="makes none without others: export it with --to page"):
        export(run, "npm", tmp_path / "package")


@breaks(
    "export/marks.py", "drawn.goal(payload_of(model.weights, PUBLIC_KEY))", "drawn.goal(1) + 0.5"
)
@breaks("export/marks.py", '"slack": frame.slack', '"slack": 1.0')
def test_files_of_a_package_are_marked_as_those_of_the_product(package, tmp_path):
    folder = package("flow")
    found = node("package.mjs", folder, 5, 6, "{}")
    assert (folder / "index.d.ts").is_file() and "generate" in (folder / "README.md").read_text()
    for i, picture in enumerate(found["pictures"]):
        path = tmp_path / f"{i}.png"
        path.write_bytes(base64.b64decode(picture["png"]))
        marked = opened(picture["png"])
        plain = np.array(picture["levels"], np.uint8).reshape(marked.shape)
        ours = Images(images=plain[None], provenance=fresh(BEFORE / "flow").sample(1).provenance)
        expected = opened(base64.b64encode(next(iter(ours.files()))))
        assert np.abs(marked.astype(int) - expected).max() <= 1
        assert (marked != expected).mean() < 0.01
        assert detect(marked, PUBLIC_KEY).log10_p < -6
    assert {each.answer.name for each in verify([tmp_path])} == {"MADE"}


@breaks("export/page.py", 'json.dumps({"meta": content', 'json.dumps({"other": content')
def test_a_page_draws_from_a_file_without_a_network(tmp_path):
    need("chromium")
    page, saved = tmp_path / "gan.html", tmp_path / "saved.png"
    need_web()
    export(GAN, "page", page, compared=2)
    found = node("page.mjs", page, 7, 4, saved)
    ours = fresh(GAN).sample(4, seed=7)
    theirs = np.array(found["levels"]).reshape(4, *ours.array.shape[1:3], 4)[..., :3]
    assert np.abs(theirs - ours.array.astype(int)).max() <= 1
    assert not found["errors"] and all(
        url.startswith(("file:", "blob:")) for url in found["requests"]
    )
    assert found["again"] and found["name"] == "7-0000.png"
    asked = ours.conditions[0].classes[ours.labels[0, 0]]
    assert found["named"] == f"Picture 1 of seed 7: {ours.conditions[0].name} {asked}"
    (verdict,) = verify([saved])
    assert "trainedAlgorithmicMedia" in json.dumps(verdict.values())


@breaks("export/meta.py", 'data.get("words") or []', "[]")
def test_a_page_names_words_that_training_never_saw(tmp_path):
    need("chromium")
    need_web()
    family = wake(build("gan", text=WORDS), 0.2)
    for words in (["a", "blue", "cat", "red"], []):
        run, page = tmp_path / f"run-{len(words)}", tmp_path / f"{len(words)}.html"
        artefact.save(run, "gan", family, family.state_dict(), dataset={**KNOWN, "words": words})
        export(run, "page", page, compared=0)
        found = node("words.mjs", page, "-", "A red BICYCLE, bicycle and cat", "a blue cat", "")
        named = "Not seen in training: bicycle, and" if words else ""
        assert found == {"said": [named, "", ""], "errors": []}


def test_a_page_is_of_what_draws_from_a_seed(tmp_path):
    need_web()
    encoder = ROOT / "tests" / "fixtures" / "encoded" / "encoder"
    with pytest.raises(Unable, match="that a page could; export it with --to onnx"):
        export(encoder, "page", tmp_path / "page.html")
    with pytest.raises(Invalid, match=r"ends in \.html"):
        export(GAN, "page", tmp_path / "page")


@breaks("export/write.py", "if able and to not in able and", "if False and")
@pytest.mark.parametrize(
    ("kind", "setting", "kinds"),
    [
        ("page", {"count": 9}, "sheet"),
        ("folder", {"half": True}, "onnx, page, npm"),
        ("sheet", {"licence": "MIT"}, "onnx, page, npm, folder"),
    ],
)
def test_what_a_kind_does_not_use_is_refused(kind, setting, kinds):
    with pytest.raises(Invalid, match=f"{next(iter(setting))} is not used.*, only to {kinds}$"):
        export(GAN, kind, **setting)


def test_what_was_not_built_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("zeuxis.export.page.STATIC", tmp_path)
    with pytest.raises(Unable, match="run `make web` first"):
        export(GAN, "page", tmp_path / "page.html")


@breaks(
    "export/plain.py",
    "made.write_picture(asked.out, laid.reshape",
    "made.write_picture(asked.out, ground.reshape",
)
def test_a_sheet_says_where_each_picture_lies(tmp_path):
    path = tmp_path / "sheet.png"
    export(GAN, "sheet", path, count=5, seed=7)
    sheet, said = np.array(Image.open(path)), json.loads((tmp_path / "sheet.json").read_text())
    ours = fresh(GAN).sample(5, seed=7).array
    for (name, one), picture in zip(said["frames"].items(), ours, strict=True):
        x, y, w, h = one["frame"].values()
        near = np.abs(sheet[y : y + h, x : x + w].astype(int) - picture).max()
        assert near <= 24, name  # the watermark lies in the sheet
    assert said["meta"]["size"] == {"w": sheet.shape[1], "h": sheet.shape[0]}


def test_a_folder_is_the_model_with_its_card(tmp_path):
    files = export(GAN, "folder", tmp_path / "model", licence="MIT")
    assert {path.suffix for path in files} >= {".safetensors", ".json", ".md"}
    assert (tmp_path / "model" / "LICENSE").read_text().startswith("MIT")
    ours, theirs = (fresh(run).sample(2, seed=7).array for run in (GAN, tmp_path / "model"))
    assert np.array_equal(ours, theirs)
