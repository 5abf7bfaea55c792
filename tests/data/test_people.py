"""Faces are counted when a set is prepared, and files whose consent was revoked stay out of it."""

import collections
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.test_prepare import photo
from tests.support.front import tiny, zeuxis
from tests.support.sabotage import breaks
from zeuxis import data
from zeuxis.core.files import read_sealed
from zeuxis.core.settings import Data
from zeuxis.data.preparation import faces, people
from zeuxis.data.preparation.rows import Rows
from zeuxis.data.preparation.warn import many_faces
from zeuxis.data.source import open_source
from zeuxis.data.source.avatars import open_avatars
from zeuxis.data.source.base import Chosen

FACE = Image.open(Path(__file__).with_name("astronaut.png")).convert(
    "L"
)  # Eileen Collins; NASA, public domain
SMALL = Data(size=(16, 16))


def portrait(number):
    """A photo in which the face covers about half of the height."""
    picture = photo(number, 120)
    picture.paste(FACE.convert("RGB"), (7 * (number % 8), 50 - 6 * (number % 8)))
    return picture


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Four pictures with a face and twelve without."""
    root = tmp_path_factory.mktemp("mixed")
    for number in range(16):
        (portrait if number < 4 else photo)(number).save(root / f"{number:02d}.png")
    return root


def written(path, *entries):
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def agreed(root, subject, *names, **more):
    files = [hashlib.sha256((root / name).read_bytes()).hexdigest() for name in names]
    return {
        "subject": subject,
        "files": files,
        "scope": "training of image models",
        "proof": f"forms/{subject}.pdf",
        "date": "2026-11-29",
        **more,
    }


@breaks("data/preparation/faces.py", ">= blocks[1][1]", "> blocks[1][1]")
@breaks("data/preparation/faces.py", "code << 1", "code << 2")
@breaks("data/preparation/faces.py", "AGREE = 3, 5", "AGREE = 3, 99")
@breaks("data/preparation/faces.py", "FLAT = 1 / 3", "FLAT = 1.0")
def test_a_face_is_found_upright_at_many_sizes_and_nothing_in_noise_or_avatars():
    sides = (24, 40, 64, 200, 400)
    shown = [np.asarray(FACE.resize((side, side), Image.BICUBIC)) for side in sides]
    assert faces.seen(shown) == [True] * 5
    assert faces.seen([picture[::-1].copy() for picture in shown]) == [False] * 5
    assert faces.seen([np.asarray(portrait(i).convert("L")) for i in range(8)]).count(True) >= 7
    assert not any(faces.seen([np.asarray(photo(i, 64, "L")) for i in range(20)]))
    assert faces.seen([np.zeros((4, 5000), np.uint8)]) == [False]
    assert faces.seen([each // 64 * 64 for each in shown[3:]]) == [False] * 2  # as if cut of paper
    avatars = open_avatars()
    assert not people.of_rows(np.stack([avatars.read(i) for i in range(0, 2000, 40)]))["found"]


@breaks("data/preparation/people.py", "(faces.MOST - h) // 2, (faces.MOST - w) // 2", "0, 0")
def test_faces_are_counted_in_the_files_not_in_what_is_left_of_them(mixed, tmp_path, capsys):
    prepared = data.prepare(mixed, tmp_path / "set", SMALL)
    found = prepared.facts["faces"]
    assert (found["looked"], found["found"]) == (16, 4)
    assert any("asks, with --faces, why" in line for line in prepared.facts["warnings"])
    assert not people.of_rows(prepared.images)["found"]  # of 8 pixels nobody is known
    assert zeuxis("data", "inspect", mixed, "--out", tmp_path / "page") == 0
    line = "faces: 4 of 16 that were looked at (25.0 %; 95 % interval 10.2 to 49.5 %)"
    assert line in " ".join(capsys.readouterr().out.split())


def test_a_set_of_before_is_looked_at_as_it_is_stored(mixed, tmp_path):
    prepared = data.prepare(mixed, tmp_path / "set", Data(size=(96, 96)))
    del prepared.facts["faces"]
    assert 3 <= people.of_rows(prepared.images)["found"] <= 4


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Twelve pairs; five of the sources show a face, and none of the targets."""
    root = tmp_path_factory.mktemp("pairs")
    for folder in "AB":
        (root / folder).mkdir()
    for number in range(12):
        photo(number + 50).resize((120, 120)).save(root / "B" / f"{number}.png")
        (portrait if number < 5 else photo)(number).resize((120, 120)).save(
            root / "A" / f"{number}.png"
        )
    return root


@breaks("data/preparation/warn.py", 'found.get("sources") or found]', "found]")
@breaks("data/preparation/people.py", '1, "pad", part=source.part', '1, "pad"')
@pytest.mark.parametrize("paired", [True, False, "halves"])
def test_faces_of_sources_count_too_and_training_asks(pairs, paired, tmp_path, capsys):
    settings = {"size": (16, 16), "pairs": "A:B", "paired": paired}
    if paired == "halves":
        settings, root = {"size": (16, 16), "pairs": "left:right"}, tmp_path / "halves"
        root.mkdir()
        for file in pairs.glob("A/*.png"):
            both = Image.new("RGB", (240, 120))
            for at, folder in enumerate("AB"):
                both.paste(Image.open(pairs / folder / file.name), (120 * at, 0))
            both.save(root / file.name)
        pairs = root
    prepared = data.prepare(pairs, tmp_path / "set", Data(**settings))
    found = prepared.facts["faces"]
    assert (found["looked"], found["found"]) == (12, 0)
    assert (found["sources"]["looked"], found["sources"]["found"]) == (12, 5)
    (said,) = [line for line in prepared.facts["warnings"] if "--faces" in line]
    assert "targets: 0 of 12" in said and "sources: 5 of 12" in said
    assert zeuxis("data", "inspect", tmp_path / "set", "--out", tmp_path / "page") == 0
    assert "sources: 5 of 12" in " ".join(capsys.readouterr().out.split())
    if paired is True:
        assert zeuxis("train", "pix2pix", tmp_path / "set", "--out", tmp_path / "run") == 2
        assert "sources: 5 of 12" in capsys.readouterr().err
    del prepared.facts["faces"]
    assert people.of_set(prepared)["sources"]["looked"] == 12


def test_pictures_that_sources_are_made_of_are_looked_at_once(mixed, tmp_path):
    prepared = data.prepare(mixed, tmp_path / "set", Data(size=(16, 16), pair="grey"))
    assert prepared.facts["faces"]["found"] == 4 and prepared.facts["faces"]["sources"] is None
    del prepared.facts["faces"]["sources"]
    assert people.of_set(prepared)["sources"] is None


@pytest.mark.parametrize("paired", [True, False])
@breaks(
    "data/preparation/people.py",
    "for source in sources:\n        stay",
    "for source in sources[:1]:\n        stay",
)
@breaks("data/preparation/partner.py", "if register else keep", "if False else keep")
@breaks(
    "data/preparation/people.py",
    "for side in sides:\n        named",
    "for side in sides[:1]:\n        named",
)
def test_consent_covers_both_sides_of_pairs(pairs, paired, tmp_path):
    gone = agreed(pairs, "p2", "A/1.png", revoked="2026-11-30")
    register = written(tmp_path / "register.jsonl", agreed(pairs, "p1", "A/0.png", "B/3.png"), gone)
    settings = Data(size=(16, 16), pairs="A:B", paired=paired, consent=str(register))
    prepared = data.prepare(pairs, tmp_path / "set", settings)
    names = prepared.names if paired else prepared.source_names
    assert len(prepared.images) == (11 if paired else 12)
    assert len(prepared.fields["source"].rows) == 11 and not any(
        name[2:] == "1.png" for name in names
    )
    assert prepared.facts["left_out"]["consent revoked"]["count"] == 1
    consent = prepared.facts["consent"]
    assert consent["subjects"] == ["p1"]
    assert consent["missing"] == {"count": 3, "first": ["A/2.png", "A/3.png", "A/4.png"]}


class Counted(Chosen):
    """A source that counts how often each item is read."""

    def read(self, index):
        self.times[index] += 1
        return super().read(index)


@breaks("data/preparation/people.py", "if key not in self.named", "if True")
def test_a_file_is_read_once_whatever_the_register_is_asked(mixed, tmp_path):
    whole = open_source(mixed)
    source = Counted(whole, enumerate(whole.items))
    source.times = collections.Counter()
    gone = agreed(mixed, "p2", "02.png", revoked="2026-11-30")
    register = people.read(written(tmp_path / "r.jsonl", agreed(mixed, "p1", "00.png"), gone))
    rows = Rows([*range(16)], [], *(collections.Counter() for _ in range(4)))
    keep = people.kept(register, [source], rows, np.arange(16))
    found = people.agreed(register, [people.Side(source, keep.tolist(), [0, 1], {})])
    assert len(keep) == 15 and found["subjects"] == ["p1"]
    assert found["missing"] == {"count": 1, "first": ["01.png"]}
    assert set(source.times.values()) == {1} and len(source.times) == 16


TRAIN = ["--steps", "1", "--threads", "1", "--no-evaluate", "data.size=8", *tiny("vae")]


@breaks("data/preparation/warn.py", "> MOST", "> 10 * MOST")
@breaks("training/people.py", "if earlier and request.faces is None", "if False")
@breaks("training/people.py", 'if missing["count"]', "if False")
def test_training_stops_until_it_is_said_why_and_the_run_keeps_that(mixed, tmp_path, capsys):
    run, register = tmp_path / "run", tmp_path / "register.jsonl"
    words = ["train", "vae", mixed, "--out", run, *TRAIN]
    assert zeuxis(*words) == 2 and not (run / "run.json").exists()
    said = capsys.readouterr().err
    assert "faces were found in 4 of 16" in said and "--faces acknowledged=" in said
    assert zeuxis(*words, "--faces", "because") == 2
    assert "consented=REGISTER or acknowledged=REASON" in capsys.readouterr().err
    assert zeuxis(*words, "--faces", "acknowledged=myself, as a test") == 0
    assert zeuxis(*words) == 0  # it goes on without being told again
    kept = read_sealed(run / "run.json")["faces"]
    assert kept["reason"] == "myself, as a test" and many_faces(kept)
    assert zeuxis("card", run) == 0
    assert "used because: myself, as a test" in (run / "README.md").read_text()
    written(register, agreed(mixed, "p1", "00.png", "01.png"))
    consented = ["--fresh", "--faces", f"consented={register}"]
    capsys.readouterr()
    assert zeuxis(*words, *consented) == 2
    assert "does not name 2 of the pictures" in capsys.readouterr().err


@breaks("data/preparation/people.py", "if entry.revoked]", "if not entry]")
@breaks("trust/cards.py", "if entry.revoked} &", "if not entry} &")
def test_revoked_files_stay_out_and_their_models_are_to_be_trained_again(mixed, tmp_path, capsys):
    run, register = tmp_path / "run", tmp_path / "register.jsonl"
    one = agreed(mixed, "p1", "00.png", "01.png")
    two = agreed(mixed, "p2", "02.png")
    gone = agreed(mixed, "p3", "03.png", revoked="2026-11-30")
    written(register, one, two, gone)
    words = ["train", "vae", mixed, "--out", run, *TRAIN, "--faces", f"consented={register}"]
    assert zeuxis(*words) == 0
    kept = read_sealed(run / "run.json")["faces"]
    assert kept["subjects"] == ["p1", "p2"] and kept["found"] == 3
    assert "p1" not in (run / "dataset.json").read_text() + (run / "config.json").read_text()
    assert zeuxis("card", run) == 0
    card = (run / "README.md").read_text()
    assert "2 people consented" in card and "trained again" not in card
    prepared = data.prepare(mixed, tmp_path / "set", Data(size=(8, 8), consent=str(register)))
    assert "03.png" not in list(prepared.names) and "00.png" in list(prepared.names)
    assert prepared.facts["left_out"]["consent revoked"]["first"] == [
        ["03.png", "that of p3, on 2026-11-30"]
    ]
    written(register, one, two | {"revoked": "2026-12-01"}, gone)
    capsys.readouterr()
    assert zeuxis("card", run) == 0
    assert "1 of 2 people revoked" in (run / "README.md").read_text() + capsys.readouterr().err
    release = ["--licence", "Apache-2.0", "--data-licence", "unknown"]
    assert zeuxis("release", run, *release) == 2
    assert "To be trained again: 1 of 2 people" in capsys.readouterr().err
    with pytest.raises(ValueError, match="was not prepared with"):
        data.ensure(prepared.folder, Data(consent=str(register)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names nobody"),
        ("{}", "line 1: subject: Field required"),
        ('{"subject": "p", "files": ["x"]}', "line 1: files"),
        ("\x00[", "line 1"),
    ],
)
def test_a_register_that_is_none_is_one_sentence(tmp_path, text, said):
    (tmp_path / "register.jsonl").write_text(text)
    with pytest.raises(ValueError, match=said) as error:
        people.read(tmp_path / "register.jsonl")
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="cannot read"):
        people.read(tmp_path / "none")
