"""Verbs over HTTP: the same bytes as in Python, and the same sentences for bad values."""

import base64
import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.contract.test_verbs import USED
from tests.create.test_verbs import WORDS
from tests.data.test_decode import swapped_profile
from tests.support.front import zeuxis
from tests.support.one_ability import in_table
from tests.support.sabotage import breaks
from tests.support.toy import Toy
from zeuxis.core import errors
from zeuxis.core.fields import Field
from zeuxis.core.pixels import save_png
from zeuxis.create.arguments import Choice
from zeuxis.create.verbs import VERBS as OF_PICTURES
from zeuxis.inference import artefact
from zeuxis.inference.arguments import LabelsOf, Number
from zeuxis.inference.model import load
from zeuxis.inference.prompts import TextOf
from zeuxis.inference.results import Images, Latents
from zeuxis.inference.verbs import VERBS
from zeuxis.server import models

ZIP, PNG = "application/zip", "image/png"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def encoded(path):
    return base64.b64encode(path.read_bytes()).decode()


def readable(photos):
    return sorted(photos.glob("photo-[0-4].png"))


def unsigned(verb):
    """No credentials, where they can be had: a signature differs each time."""
    return {"credentials": False} if "credentials" in verb.arguments else {}


def body_of(verb, given, photos):
    """The JSON body that asks for what these words of a command line do."""
    body = unsigned(verb)
    for name, word in given.items():
        if name in ("images", "sources"):
            body[name] = [encoded(path) for path in readable(photos)]
        elif name == "script":
            body[name] = word.read_text().splitlines()
        elif verb.arguments[name].is_file and not str(word).isdigit():
            body[name] = encoded(word)
        else:
            body[name] = int(word)
    return body


def in_python(verb, run, given):
    """The result for the same, of plain arrays."""
    model = load(run, verb.device)
    values = verb.read(model, given)
    arrays = {name: getattr(value, "images", value) for name, value in values.items()}
    return verb(model, **arrays, **unsigned(verb))


@pytest.mark.parametrize(("verb", "name"), USED)
def test_rest_gives_what_python_gives(verb, name, server, runs, photos, words):
    verb = VERBS[verb]
    if verb.needs == "Sequential":
        pytest.importorskip("constriction")
    given = words(verb, name)
    if "count" in verb.arguments:
        given["count"] = 3
    answer = server.post(
        f"/api/v1/runs/{server.serve(name)}/{verb.name}", json=body_of(verb, given, photos)
    )
    assert answer.status_code == 200, answer.text
    expected, found = in_python(verb, runs(name), given), answer.json()
    if isinstance(expected, Images):
        pngs = [base64.b64decode(image["png"]) for image in found["images"]]
        assert pngs == list(expected.files())
    elif isinstance(expected, Latents):
        with np.load(io.BytesIO(base64.b64decode(found["file"]))) as arrays:
            assert arrays["latent"].tobytes() == expected.latents.tobytes()
    else:
        assert {**found, "provenance": 0} == {**expected.values(), "provenance": 0}
    assert found["provenance"]["run"] == name and "/" not in json.dumps(found["provenance"])


@breaks("inference/verb.py", "if _has_words(value):", "if False:")
@pytest.mark.parametrize("verb", [*VERBS.values(), *OF_PICTURES.values()], ids=lambda v: v.name)
def test_no_argument_takes_a_path_from_a_body(verb, runs, tmp_path):
    """A word is refused, or it is looked up among classes or choices, or a text as it stands."""
    model = load(runs("vae")) if verb.needs else None
    model = toy(tmp_path) if verb.needs == "Translates" else model
    (tmp_path / "here").write_text("0")
    for argument in verb.arguments.values():
        for word in (str(tmp_path / "here"), "../here", "runs/demo"):
            for value in (word, [word], {"a": word}):
                try:
                    taken = argument.take(model, value, 8)
                except errors.Invalid as refused:
                    assert str(tmp_path) not in str(refused).replace(repr(value)[:80], "")
                    continue
                assert taken == value and isinstance(argument, LabelsOf | TextOf | Choice | Number)


@pytest.mark.parametrize("name", OF_PICTURES)
def test_verbs_without_a_run_take_pictures_as_bodies(name, server, folder):
    files, options = WORDS[name]
    verb = OF_PICTURES[name]
    places = [n for n, argument in verb.arguments.items() if not argument.option]
    asked = {k.removeprefix("--"): int(v) for k, v in zip(options[::2], options[1::2], strict=True)}
    asked |= {"credentials": False}
    several = {n: "list" in str(verb.arguments[n].body) for n in places}
    contents = {n: encoded(folder / file) for n, file in zip(places, files, strict=True)}
    body = {n: [content] if several[n] else content for n, content in contents.items()} | asked
    found = server.post(f"/api/v1/{name}", json=body, headers={"accept": "image/png, */*"})
    given = {n: str(folder / file) for n, file in zip(places, files, strict=True)}
    expected = OF_PICTURES[name](None, **given, **asked)
    assert (found.status_code, found.headers["content-type"]) == (200, expected.media), found.text
    assert found.content == expected.as_file()
    assert str(folder) not in found.headers["zeuxis-provenance"]
    for place in places:
        wrong = {
            **body,
            place: [str(folder / files[0])] if several[place] else str(folder / files[0]),
        }
        refused = server.post(f"/api/v1/{name}", json=wrong)
        assert refused.status_code == 422 and "base64" in refused.json()["detail"]


def toy(folder, kind="image", shape=(3, 8, 8), classes=()):
    """An untrained model that translates."""
    field = Field(name="source", kind=kind, shape=shape, classes=classes)
    with in_table(Toy):
        family = Toy(Toy.TINY.model_copy(update={"source": field}))
        artefact.save(folder / kind, "toy", family, family.state_dict())
        return load(folder / kind)


def test_sources_of_a_translation_are_files_too(tmp_path):
    for kind, shape, classes in (("image", (3, 8, 8), ()), ("map", (8, 8), ("sky", "sea"))):
        model = toy(tmp_path, kind, shape, classes)
        folder = tmp_path / f"{kind}s"
        for i in range(3):
            ids = np.random.default_rng(i).integers(0, 2, (16, 16), np.uint8)
            save_png(folder / f"{i}.png", ids[..., None] * (1 if kind == "map" else 255))
        read = VERBS["translate"].read(model, {"sources": str(folder)})["sources"].images
        body = {"sources": [encoded(path) for path in sorted(folder.iterdir())]}
        assert np.array_equal(VERBS["translate"].take(model, body, 3)["sources"].images, read)


@breaks("inference/arguments.py", "told(value, profile_of)", "()")
@pytest.mark.parametrize(
    ("verb", "name", "place"),
    [
        ("translate", "pix2pix", "sources"),
        ("reconstruct", "vae", "images"),
        ("texture", "", "picture"),
    ],
)
def test_a_colour_profile_is_read_and_written_as_by_the_command_line(
    verb, name, place, server, runs, tmp_path
):
    """Levels in a profile are others in sRGB; what is written has the profile, or is in sRGB, in both."""
    file, profile = tmp_path / "given" / "a.png", swapped_profile(SRGB)
    file.parent.mkdir()
    levels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    out = tmp_path / ("made" if name else "made.png")
    url = f"/api/v1/runs/{server.serve(name)}/{verb}" if name else f"/api/v1/{verb}"
    shown = []
    for icc in (None, profile):
        Image.fromarray(levels).save(file, icc_profile=icc)
        given = [runs(name), file.parent] if name else [file]
        words = [verb, *given, "--no-credentials", "--out", out]
        assert zeuxis(*words) == 0
        (written,) = out.glob("*.png") if out.is_dir() else [out]
        body = {place: [encoded(file)] if name else encoded(file), "credentials": False}
        found = server.post(url, json=body, headers={"accept": PNG})
        assert found.status_code == 200, found.text
        assert found.content == written.read_bytes()
        with Image.open(written) as image:
            assert image.info.get("icc_profile") == (None if verb == "reconstruct" else icc)
            shown.append(np.asarray(image))
    assert not np.array_equal(*shown)


@breaks("server/worker.py", "len(result) == 1", "True")
def test_images_come_as_the_request_accepts_them(server, runs, tmp_path):
    url = f"/api/v1/runs/{server.serve('vae')}/sample"
    model = load(runs("vae"))
    model.folder = model.folder.relative_to(model.folder.parent)
    model.sample(3, seed=5, credentials=False).write(tmp_path / "out")
    asked = {"count": 3, "seed": 5, "credentials": False}
    packed = server.post(url, json=asked, headers={"accept": ZIP})
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()
        }
    one = server.post(url, json={**asked, "count": 1}, headers={"accept": f"{PNG};q=0.9, */*"})
    assert one.headers["content-type"] == PNG
    assert one.content == (tmp_path / "out" / "0000.png").read_bytes()
    assert json.loads(one.headers["zeuxis-provenance"])["seed"] == 5
    assert json.loads(one.headers["zeuxis-labels"]) == {"shape": "disc", "ink": "light"}
    for media in (PNG, "text/html"):
        refused = server.post(url, json={"count": 3}, headers={"accept": media})
        assert refused.status_code == 406 and ZIP in refused.json()["detail"]


@breaks("server/worker.py", "media in FILMS and", "False and")
def test_a_walk_comes_as_a_film(server):
    url, asked = f"/api/v1/runs/{server.serve('gan')}/interpolate", {"start": [3, 1], "end": 4}
    for media, kind in (("image/webp", "WEBP"), ("image/gif", "GIF")):
        film = server.post(url, json=asked, headers={"accept": media})
        with Image.open(io.BytesIO(film.content)) as opened:
            assert (film.headers["content-type"], opened.format, opened.n_frames) == (
                media,
                kind,
                8,
            )


def test_a_single_file_may_be_the_body_and_the_rest_the_query(server, runs, photos):
    photo = readable(photos)[0]
    url = f"/api/v1/runs/{server.serve('vae')}/score"
    raw = {"content-type": "application/octet-stream"}
    found = server.post(
        f"{url}?seed=3&labels=shape%3Dring", content=photo.read_bytes(), headers=raw
    )
    asked = {"images": [encoded(photo)], "seed": 3, "labels": {"shape": "ring"}}
    assert found.status_code == 200, found.text
    assert found.json() == server.post(url, json=asked).json()
    flow = f"/api/v1/runs/{server.serve('flow')}/vary?steps=2&strength=0.5"
    turned = server.post(flow, content=photo.read_bytes(), headers=raw)
    assert turned.json()["provenance"]["controls"]["steps"] == 2


BAD = [
    ("sample", {"count": 0}, 422, "count is 0; expected a whole number of at least 1"),
    ("sample", {"count": "many"}, 422, "count is 'many'; expected a whole number"),
    ("sample", {"seed": 1.5}, 422, "seed is 1.5; expected a whole number"),
    ("sample", {"count": 17}, 413, "17 images are asked for and one request may have 16"),
    ("sample", {"controls": {"temprature": 1}}, 404, "no control 'temprature'"),
    ("sample", {"controls": {"progress": 1}}, 404, "no control 'progress'"),
    ("sample", {"controls": 3}, 422, "controls is 3; expected an object"),
    ("sample", {"folder": "/etc"}, 404, "sample takes no 'folder'"),
    ("sample", {"labels": "disc"}, 422, "which condition"),
    ("sample", {"labels": {"shape": "dics"}}, 404, "did you mean 'disc'"),
    ("sample", {"labels": {"shape": 3}}, 422, "expected a class, or classes by condition"),
    ("sample", {"labels": 3}, 422, "expected a class, or classes by condition"),
    ("interpolate", {"start": 1, "end": 2, "count": 1}, 422, "at least 2"),
    ("interpolate", {"start": "/etc/passwd", "end": 2}, 422, "an end is no file as base64"),
    ("interpolate", {"start": 1}, 422, "interpolate needs end"),
    ("reconstruct", {}, 422, "reconstruct needs images"),
    ("reconstruct", {"images": "photos"}, 422, "images: expected a list"),
    ("reconstruct", {"images": []}, 422, "at least 1 image file"),
    ("reconstruct", {"images": ["photos/"]}, 422, "images is no file as base64"),
    ("reconstruct", {"images": ["AAAA"]}, 422, "images cannot be read as an image"),
    ("reconstruct", {"images": ["AAAA"] * 17}, 413, "found 17 images"),
    ("decode", {"latents": "AAAA"}, 422, "latents cannot be read as numpy arrays"),
    (
        "complete",
        {"images": ["AAAA"], "mask": "AAAA"},
        422,
        "a vae cannot complete; families that can",
    ),
    ("nonsense", {}, 404, "Not Found"),
]


@pytest.mark.parametrize(("verb", "body", "status", "sentence"), BAD)
def test_bad_values_are_problems_with_the_same_sentence(verb, body, status, sentence, server):
    answer = server.post(f"/api/v1/runs/{server.serve('vae')}/{verb}", json=body)
    told = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, told["status"]) == (status, status), told
    assert (
        sentence in told["detail"] and "\n" not in told["detail"] and "/tmp" not in told["detail"]
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"[1]", "expected an object"),
        (b"{", "no JSON object"),
        (b"[" * 100_000, "no JSON object"),
        (b'{"seed": NaN}', "NaN is no finite number"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "5,000 digits"),
        (b"\xff", "no JSON object"),
    ],
    ids=["list", "cut", "deep", "nan", "digits", "bytes"],
)
def test_bodies_that_are_no_json_object(content, sentence, server):
    url = f"/api/v1/runs/{server.serve('vae')}/sample"
    answer = server.post(url, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 422 and sentence in answer.json()["detail"]


@breaks("server/models.py", "self._bytes -= len(order.body)", "pass")
def test_bodies_that_wait_have_a_bound_together(server, monkeypatch):
    monkeypatch.setattr(models, "MOST_BYTES", 100)
    url = f"/api/v1/runs/{server.serve('gan')}/sample"
    for _ in range(8):
        assert server.post(url, json={"count": 1}).status_code == 200
    full = server.post(url, json={"count": 1, "labels": "x" * 100})
    assert full.status_code == 429 and full.headers["retry-after"] == "1"


def test_openapi_has_a_route_for_each_verb_with_its_declared_arguments(server):
    paths = server.get("/api/v1/openapi.json").json()["paths"]
    for verb in [*VERBS.values(), *OF_PICTURES.values()]:
        path = f"/runs/{{run}}/{verb.name}" if verb.needs else f"/{verb.name}"
        told = paths[f"/api/v1{path}"]["post"]
        assert [one["name"] for one in told["parameters"]] == (["run"] if verb.needs else [])
        content = told["requestBody"]["content"]
        fields = content["application/json"]["schema"]["properties"]
        assert set(verb.arguments) == set(fields) - {"controls"}
        needed = {n: one for n, one in verb.arguments.items() if n not in verb.defaults}
        files = sum(argument.is_file for argument in needed.values())
        assert ("application/octet-stream" in content) == (files == 1)
        assert told["summary"] == verb.summary


def test_a_run_is_described_with_the_schemas_of_what_it_can(server):
    told = server.get(f"/api/v1/runs/{server.serve('vae')}").json()
    assert (told["family"], told["conditions"]["ink"]) == ("vae", ["dark", "light"])
    assert (told["numbers"], told["words"], told["source"]) == ([], None, None)
    source = server.get(f"/api/v1/runs/{server.serve('paint')}").json()["source"]
    assert source["kind"] == "image" and source["shape"] == [1, 8, 8] and source["classes"] == []
    assert "sample" in told["verbs"] and "complete" not in told["verbs"]
    assert "vae" in server.get("/api/v1/runs").json()["runs"]
    assert (
        server.get("/api/v1/runs/vea").json()["detail"] == "no run 'vea' here; did you mean 'vae'?"
    )


def test_every_route_says_how_it_answers_and_every_path_which_methods_it_has(server):
    described = server.get("/api/v1/openapi.json").json()["paths"]
    for path, methods in described.items():
        for method, told in methods.items():
            assert {"4XX", "5XX"} <= set(told["responses"]), (path, method)
        answer = server.request("TRACE", path)
        assert answer.status_code == 405, path
        assert answer.headers["allow"] == ", ".join(sorted(methods)).upper()


@breaks("inference/verb.py", "value is None and name in self.arguments", "False")
@pytest.mark.parametrize("name", OF_PICTURES)
def test_null_is_no_picture(name, server):
    """A texture of null was a 500, which schemathesis found (`benchmarks/openapi.py`)."""
    verb = OF_PICTURES[name]
    answer = server.post(f"/api/v1/{name}", json=dict.fromkeys(verb.files))
    assert answer.status_code == 422
    assert answer.json()["detail"] == f"{name} needs {verb.files[0]}, and found null"


def test_metrics_count_answers(server):
    server.post(f"/api/v1/runs/{server.serve('vae')}/sample", json={"count": 0})
    text = server.get("/api/v1/metrics").text
    assert (
        'zeuxis_requests_total{verb="sample",status="422"}' in text and "zeuxis_waiting 0" in text
    )


@breaks("server/worker.py", "find(order.others, name)", "Path(name)")
def test_another_run_enlarges_what_one_makes(server, runs, photos):
    """By its name, also in a query; a path is no name."""
    vae, other = server.serve("vae"), server.serve("enhance")
    url = f"/api/v1/runs/{vae}/sample"
    asked = {"count": 2, "size": 20, "credentials": False}
    answer = server.post(url, json={**asked, "upscale": other})
    found = [base64.b64decode(image["png"]) for image in answer.json()["images"]]
    expected = load(runs("vae")).sample(**asked, upscale=runs("enhance"))
    assert found == list(expected.files())
    assert answer.json()["provenance"]["upscale"] == "enhance"
    file = {
        "content": readable(photos)[0].read_bytes(),
        "headers": {"accept": PNG, "content-type": "application/octet-stream"},
    }
    url = f"/api/v1/runs/{vae}/reconstruct"
    answer = server.post(f"{url}?upscale={other}", **file)
    assert answer.status_code == 200, answer.text
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert picture.size == (16, 16)
    for name in ("nobody", str(runs("enhance"))):
        answer = server.post(url, params={"upscale": name}, **file)
        assert answer.status_code == 404 and "no run" in answer.json()["detail"]
