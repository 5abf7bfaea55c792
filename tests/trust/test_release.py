"""Cards and releases: what is written is valid for others, and one flipped byte is found."""

import base64
import json
import shutil

import pytest

from tests.support.front import zeuxis
from tests.support.kit import build, wake
from tests.support.sabotage import breaks
from zeuxis.core.files import write_json, write_sealed
from zeuxis.inference import artefact
from zeuxis.marks import credentials
from zeuxis.trust import cards, release

DATA = {
    "name": "/home/annabel/photos",
    "hash": "ab" * 32,
    "licence": "",
    "images": {"count": 51, "height": 8, "width": 8, "channels": 1},
    "files": {"images.u8": {"bytes": 9, "sha256": "cd" * 32}},
    "fields": [{"name": "image", "kind": "image", "file": "images.u8"}],
    "labels": [[[0, 1], 1]],
}
CLASSES = {"conditions": [{"name": "kind", "classes": ["n/a", "b/w"]}]}
ASKED = {"source": "/home/annabel/photos", "config": {"style": "/home/annabel/wave.jpg", **CLASSES}}
ESTIMATE = {"value": 0.25, "interval": [0.125, 0.5], "n": 40}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run as training leaves it, with a report; paths of whoever trained are in it."""
    folder, family = tmp_path_factory.mktemp("runs") / "vae", wake(build("vae"))
    machine = {"device": "cpu", "processor": "one", "torch": "2.13.0"}
    facts = {"machine": machine, "started": "2026-11-29", "source": "/home/annabel/photos"}
    artefact.save(folder, "vae", family, family.state_dict(), dataset=DATA, **facts)
    write_sealed(folder / "run.json", {"request": ASKED})
    estimates = {"kernel_distance": ESTIMATE, "kernel_distance_of_real": ESTIMATE}
    report = {
        "estimates": estimates,
        "scores": {"copy_rate": 0.01},
        "verdict": {"sentence": "Fair."},
    }
    write_json(folder / "report.json", report)
    return folder


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "vae")


@breaks("trust/cards.py", 'return PurePath(value.replace("\\\\", "/")).name', "return value")
@breaks("trust/cards.py", '"_of_real" not in name and', "")
def test_cards_say_what_is_known_and_not_stated_of_the_rest(run, capsys):
    assert zeuxis("card", run) == 0
    card = (run / "README.md").read_text()
    front = dict(line.split(": ", 1) for line in card.split("---\n")[1].splitlines())
    matter = {name: json.loads(value) for name, value in front.items()}
    assert matter["license"] == "unknown" and matter["library_name"] == "zeuxis"
    assert matter["pipeline_tag"] == "unconditional-image-generation"
    (result,) = matter["model-index"][0]["results"]
    assert [(m["type"], m["value"]) for m in result["metrics"]] == [("kernel_distance", 0.25)]
    assert "- Licence: not stated" in card and "consent: not stated" in card
    assert "| kernel_distance | 0.25 | 0.125 to 0.5 | 40 |" in card
    assert "copy_rate: 0.01 of the samples" in card
    for name in (cards.CARD, cards.DATA, cards.RECEIPT):
        assert "annabel" not in (run / name).read_text()
    assert not (run / release.STATEMENT).exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "no licence of the model is stated; give --licence, such as --licence Apache-2.0, or"),
        (["--licence", "MIT"], "no licence of its data is stated; give --data-licence"),
        (["--check"], "holds no release"),
    ],
)
def test_without_a_licence_or_a_stated_unknown_nothing_is_released(words, sentence, run, capsys):
    assert zeuxis("release", run, *words) == 2
    assert sentence in capsys.readouterr().err
    assert not (run / release.STATEMENT).exists()


@breaks("trust/release.py", 'request["config"] |= whole', "pass")
@breaks("trust/release.py", "if not isinstance(v, str)}", "}")
@breaks("trust/release.py", "sha256(file) == digest", "True")
@breaks("trust/release.py", "(run / STATEMENT).unlink(missing_ok=True)", "pass")
@breaks("trust/release.py", "key.verify(", "str(")
def test_a_release_is_checked_and_one_flipped_byte_found(run, capsys, monkeypatch, tmp_path):
    pytest.importorskip("cryptography")
    words = ["--licence", "MIT", "--data-licence", "unknown", "--people", "none"]
    assert zeuxis("release", run, *words) == 0
    payload = json.loads(
        base64.b64decode(json.loads((run / release.STATEMENT).read_text())["payload"])
    )
    asked = payload["predicate"]["buildDefinition"]["externalParameters"]
    assert asked == {"source": "photos", "config": {"style": "wave.jpg", **CLASSES}}
    assert zeuxis("release", run, "--check") == 0
    assert "signed with your own key, unchanged since; licence: MIT" in capsys.readouterr().out
    with monkeypatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path / "another"))
        assert zeuxis("release", run, "--check") == 1
    (weights,) = run.glob("model-*.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    capsys.readouterr()
    assert zeuxis("release", run, "--check") == 3
    assert f"{weights.name}: changed since it was signed" in capsys.readouterr().out
    content[-1] ^= 1
    weights.write_bytes(content)
    envelope = json.loads((run / release.STATEMENT).read_text())
    swapped = envelope["payload"][:-8] + "AAAA" + envelope["payload"][-4:]
    write_json(run / release.STATEMENT, {**envelope, "payload": swapped})
    assert zeuxis("release", run, "--check") == 2
    assert "was changed since it was signed" in capsys.readouterr().err
    assert zeuxis("card", run) == 0 and not (run / release.STATEMENT).exists()


@breaks("trust/release.py", "return inside and", "return")
def test_a_strangers_statement_is_a_sentence_and_reaches_no_file_outside(run, capsys, tmp_path):
    """Whoever signs it writes what he likes."""
    pytest.importorskip("cryptography")
    (tmp_path / "outside").write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    subject = [{"name": "../outside", "digest": {"sha256": empty}}]
    stated = {"buildDefinition": {"internalParameters": {"licence": "MIT"}}}
    me = credentials.identity()
    for payload, code in (
        ({"subject": subject, "predicate": stated}, 3),
        ({"subject": 3, "predicate": stated}, 2),
        ({"subject": subject}, 2),
    ):
        content = json.dumps(payload).encode()
        signed = {"sig": release._sign(me, content), "cert": me.chain.decode()}
        whole = {"payload": base64.b64encode(content).decode(), "signatures": [signed]}
        write_json(run / release.STATEMENT, whole)
        assert zeuxis("release", run, "--check") == code
        said = capsys.readouterr()
        assert ("../outside: changed" in said.out) == (code == 3)
        assert ("holds another statement" in said.err) == (code == 2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of rdflib, by mlcroissant
def test_others_validators_take_the_cards(run):
    facts = release.write_cards(run, "MIT", "CC0-1.0", "none")
    croissant = pytest.importorskip("mlcroissant")
    issues = croissant.Dataset(json.loads((run / cards.DATA).read_text())).metadata.ctx.issues
    assert not issues.errors and not issues.warnings
    assert facts.licence == "MIT"


def test_others_validators_take_the_receipt(run):
    pytest.importorskip("jsonschema")
    validation = pytest.importorskip("cyclonedx.validation.json")
    schema = pytest.importorskip("cyclonedx.schema")
    release.write_cards(run, "MIT", "CC0-1.0", "none")
    validator = validation.JsonStrictValidator(schema.SchemaVersion.V1_6)
    assert validator.validate_str((run / cards.RECEIPT).read_text()) is None
