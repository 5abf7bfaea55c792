"""The four answers of `zeuxis verify`, word by word."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from tests.support.front import zeuxis
from tests.support.sabotage import breaks
from zeuxis.core.film import picture_frames, video_frames, write_film
from zeuxis.inference.results import Images, Walk
from zeuxis.marks import containers, credentials, metadata
from zeuxis.marks.metadata import Origin
from zeuxis.marks.watermark import PUBLIC_KEY, Key, detect

WEIGHTS = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
MARKED = (
    "it has the watermark of the key that every Zeuxis has: fewer than 1 in 10^N unmarked images "
    "look as marked"
)
NAMES = "the watermark names a model whose weights' SHA-256 begins with 9f86d081"
STATES = "its metadata says trainedAlgorithmicMedia, by Zeuxis flow 0.1.0; anybody can write that"
GONE = "the metadata that Zeuxis writes beside a watermark is gone: it was edited or saved again"
NOTHING = "no watermark of a known key was found"
SIGNED = "signed with this user's own key, and unchanged since"
SAYS = "its metadata says trainedAlgorithmicMedia, by Other 3; anybody can write that"
MADE, AI, EDITED, NONE = (
    "made by Zeuxis",
    "says it is AI-made",
    "edited since",
    "no mark found, which proves nothing",
)
CODES = {MADE: 0, AI: 1, EDITED: 3, NONE: 4}


def photo(side=64, seed=0):
    """Smooth, with some grain: (side, side, 3) uint8."""
    y, x = np.mgrid[:side, :side] / side
    waves = np.stack([np.sin(5 * x + seed), np.cos(4 * y), np.sin(3 * (x + y))], -1)
    grain = np.random.default_rng(seed).normal(0, 4, (side, side, 3))
    return np.clip(128 + 70 * waves + grain, 0, 255).astype(np.uint8)


def drawn(image=None, key=None, **provenance):
    facts = {"family": "flow", "weights": WEIGHTS, "credentials": False, **provenance}
    image = photo() if image is None else image
    return next(Images(images=image[None], provenance=facts, key=key).files())


def saved(content, kind="PNG", **options):
    """Saved again, by a program that keeps nothing."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        Image.fromarray(np.asarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def plain():
    buffer = io.BytesIO()
    Image.fromarray(photo()).save(buffer, "PNG")
    return buffer.getvalue()


def stranger(monkeypatch_home):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(monkeypatch_home))
        return credentials.sign(plain(), Origin("Other", "3"))


def bomb():
    entities = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    packet = entities + metadata.packet(Origin("Other &b;", "3"))
    return containers.put(plain(), packet, "Other")


def broken():
    content = bytearray(drawn(credentials=True))
    content[-40] ^= 1
    return bytes(content)


FIXTURES = {
    "made": (drawn, MADE, [STATES, MARKED, NAMES]),
    "signed": (lambda: drawn(credentials=True), MADE, [SIGNED, STATES, MARKED, NAMES]),
    "saved again": (lambda: saved(drawn()), EDITED, [MARKED, NAMES, GONE]),
    "as JPEG": (lambda: saved(drawn(), "JPEG", quality=90), EDITED, [MARKED, NAMES, GONE]),
    "unmarked": (lambda: drawn(unmarked=True), NONE, [NOTHING]),
    "plain": (plain, NONE, [NOTHING]),
    "metadata alone": (lambda: metadata.put(plain(), Origin("Other", "3")), AI, [SAYS, NOTHING]),
    "camera": (
        lambda: metadata.put(plain(), Origin("", "", "digitalCapture")),
        NONE,
        ["its metadata says digitalCapture; anybody can write that", NOTHING],
    ),
    "bomb": (
        bomb,
        NONE,
        ["its XMP is refused: it declares entities, is damaged or beyond 60,000 bytes", NOTHING],
    ),
    "signed by a stranger": (
        stranger,
        AI,
        [
            "signed by Zeuxis local with Zeuxis, whose key is not known here, and unchanged since",
            NOTHING,
        ],
    ),
    "signature broken": (
        broken,
        EDITED,
        [
            "signed by Zeuxis local with Zeuxis, and changed since: the signature does not fit the file",
            STATES,
            MARKED,
            NAMES,
        ],
    ),
    "too small for a watermark": (
        lambda: drawn(np.full((8, 8, 3), 9, np.uint8)),
        AI,
        [STATES, NOTHING],
    ),
}


@breaks("trust/verify.py", "CERTAIN = -6.0", "CERTAIN = -600.0")
@breaks("trust/verify.py", "and not (ours or signed or", "and not (True or")
@breaks("trust/verify.py", "if not metadata.is_plain(packet)", "if False")
@breaks("trust/verify.py", 'signed.state == "broken"', "False")
@breaks("marks/mark.py", 'int.from_bytes(model, "little") |', "0 |")
@pytest.mark.parametrize("name", FIXTURES)
def test_each_kind_of_file_gets_its_answer_word_by_word(name, tmp_path, capsys):
    make, answer, evidence = FIXTURES[name]
    if "sign" in name:
        pytest.importorskip("c2pa")
    content = make(tmp_path / "home") if make is stranger else make()
    file = tmp_path / "picture.png"
    file.write_bytes(content)
    assert zeuxis("verify", file, "--json") == CODES[answer]
    (found,) = json.loads(capsys.readouterr().out)
    assert found["answer"] == answer and found["code"] == CODES[answer]
    exponent = int(-found["watermark"]["log10_p"])
    said = [line.replace(f"10^{exponent} ", "10^N ") for line in found["evidence"]]
    assert said == evidence
    assert not found["watermark"]["found"] or exponent >= 6


@breaks("trust/verify.py", "keys = [PUBLIC_KEY, *([Key", "keys = [PUBLIC_KEY, *([] and [Key")
@breaks(
    "inference/results.py",
    "Mark.of(self.provenance, self.key, name)\n        if mark",
    "Mark.of(self.provenance)\n        if mark",
)
def test_a_private_key_is_found_by_whoever_has_it(tmp_path, capsys):
    secret, file = tmp_path / "mark.key", tmp_path / "a.png"
    secret.write_text("not so secret, but long enough")
    key = Key.load(secret)
    file.write_bytes(drawn(key=key))
    assert zeuxis("verify", file) == 1
    assert zeuxis("verify", file, "--key", secret) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"it has the watermark of your key {key.number:06x}: fewer than" in said
    assert "2 looks being allowed for" in said


@breaks("trust/verify.py", "math.log10(tests)", "0")
def test_a_folder_is_told_file_by_file_and_its_size_is_allowed_for(tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(drawn())
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    assert zeuxis("verify", tmp_path / "a.png", "--json") == 0
    (alone,) = json.loads(capsys.readouterr().out)
    assert zeuxis("verify", tmp_path, "--json") == 2
    (first, second) = json.loads(capsys.readouterr().out)
    assert second["answer"] == "cannot be read" and second["code"] == 2
    gained = first["watermark"]["log10_p"] - alone["watermark"]["log10_p"]
    assert gained == pytest.approx(np.log10(2))
    (tmp_path / "b.jpg").write_bytes(plain())
    assert zeuxis("verify", tmp_path) == 4
    said = capsys.readouterr().out
    assert "2 files: 1 made by Zeuxis; 1 no mark found, which proves nothing" in said


def pan(count=12):
    """Frames of a camera that moves, (count, 64, 64, 3)."""
    wide = photo(64 + count)
    return np.stack([wide[at : at + 64, at : at + 64] for at in range(count)])


@breaks("inference/results.py", "mark.film(frames_NHWC)", "frames_NHWC, None")
@breaks("trust/verify.py", 'or container_of(content) == "webm")', ")")
@breaks("core/film.py", "kept, stride = kept[::2], 2 * stride", "pass")
@pytest.mark.parametrize("kind", ["webp", "gif", "mp4", "webm"])
def test_frames_of_films_are_marked_and_looked_at_together(kind, tmp_path, capsys):
    if kind in ("mp4", "webm"):
        pytest.importorskip("av")
    facts = {"family": "flow", "weights": WEIGHTS, "credentials": False}
    film, bare = tmp_path / f"film.{kind}", tmp_path / f"bare.{kind}"
    walk = Walk(images=pan(), provenance=facts)
    walk.write_film(film)
    assert not walk.bare
    assert zeuxis("verify", film, "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    stated = [] if kind == "webm" else [STATES]
    assert found["answer"] == MADE and found["evidence"][:-2] == stated
    frames = read_back(film)
    assert found["watermark"]["log10_p"] < detect(frames[0], PUBLIC_KEY).log10_p - 9 < -18
    assert len(frames) == 12 and len(read_back(film, 4)) == 3
    assert found["watermark"]["model"] == "9f86d081"
    Walk(images=pan(), provenance={**facts, "unmarked": True}).write_film(bare)
    assert zeuxis("verify", bare) == 4 and NOTHING in capsys.readouterr().out
    write_film(np.stack(frames), tmp_path / f"again.{kind}")
    assert zeuxis("verify", tmp_path / f"again.{kind}") == (0 if kind == "webm" else 3)


def read_back(path, most=120):
    """Frames of a film, (H, W, C) uint8 each."""
    if path.suffix in (".mp4", ".webm"):
        return video_frames(path.read_bytes(), most)
    with Image.open(path) as film:
        return picture_frames(film, most)


def test_films_without_room_for_a_watermark_are_listed_and_broken_ones_refused(tmp_path, capsys):
    walk = Walk(images=np.zeros((3, 16, 16, 3), np.uint8), provenance={"credentials": False})
    walk.write_film(tmp_path / "black.gif")
    assert list(walk.bare) == ["black.gif"] and zeuxis("verify", tmp_path / "black.gif") == 1
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(99))
    (tmp_path / "a.webm").write_bytes(b"\x1a\x45\xdf\xa3" + bytes(99))
    pytest.importorskip("av")
    for name in ("a.mp4", "a.webm"):
        capsys.readouterr()
        assert zeuxis("verify", tmp_path / name) == 2
        assert "cannot be read" in capsys.readouterr().err


def test_bad_input_is_one_sentence(tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(b"no picture")
    (tmp_path / "empty").mkdir()
    for place, words in (
        (tmp_path / "a.png", "cannot be read as a picture"),
        (tmp_path / "b.png", "there is no file"),
        (tmp_path / "empty", "holds no picture"),
    ):
        assert zeuxis("verify", place) == 2
        said = capsys.readouterr().err
        assert words in said and said.strip().count("\n") == 0
