"""Films: what is written is what another reader shows, in all kinds."""

import sys

import numpy as np
import pytest
from PIL import Image, ImageSequence

from tests.support.sabotage import breaks
from zeuxis.core import errors
from zeuxis.core.film import write_film

KINDS = ["webp", "gif", "mp4", "webm"]


@pytest.fixture
def waves():
    """12 frames (21, 30) of few colours that close a circle, even in speed."""
    y, x = np.mgrid[:21, :30]
    turn = np.arange(12)[:, None, None] / 12
    level = np.rint(4 * (1 + np.sin(2 * np.pi * (x / 30 + y / 21 + turn))))
    return (level[..., None] * [31, 6, 18]).astype(np.uint8)


def shown(path):
    """(N, H, W, 4) uint8 as a reader shows it: FFmpeg's, and Pillow's where that reads no animation."""
    if path.suffix == ".webp":
        with Image.open(path) as film:
            return np.stack(
                [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(film)]
            )
    av = pytest.importorskip("av")
    with av.open(str(path)) as film:
        return np.stack([frame.to_ndarray(format="rgba") for frame in film.decode(video=0)])


def large(frames_NHWC, factor):
    return frames_NHWC.repeat(factor, 1).repeat(factor, 2)


@breaks("core/film.py", "even=True", "even=False")
@breaks("core/film.py", "lossless=True", "lossless=False")
@breaks("core/film.py", '"ITU709"', '"ITU601"')
@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_shows_the_frames_and_the_circle_closes(kind, waves, tmp_path):
    path = tmp_path / f"film.{kind}"
    write_film(waves, path, fps=12)
    got, wanted = shown(path)[..., :3].astype(float), large(waves, 10)
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).mean() <= {"webp": 0, "gif": 0}.get(kind, 2)
    steps = np.abs(np.roll(got, -1, 0) - got).mean((1, 2, 3))
    assert steps[-1] <= steps.mean() * 1.02


@breaks("core/film.py", "palette=entries + free,", "")
def test_a_gif_has_one_palette(waves, tmp_path):
    path = tmp_path / "film.gif"
    write_film(waves, path)
    assert local_palettes(path.read_bytes()) == 0


def local_palettes(content):
    """How many frames of a GIF file bring a palette of their own (its specification, GIF89a)."""
    at, found = 13 + (3 << (content[10] & 7) + 1 if content[10] & 128 else 0), 0
    while content[at] != 0x3B:
        if content[at] == 0x2C:
            flags = content[at + 9]
            found += flags >> 7
            at += 10 + (3 << (flags & 7) + 1 if flags & 128 else 0) + 1
        else:
            at += 2
        while content[at]:
            at += content[at] + 1
        at += 1
    return found


@breaks("core/film.py", "np.rint(np.arange(count + 1)", "np.floor(np.arange(count + 1)")
@pytest.mark.parametrize(
    ("kind", "fps", "sum_ms"), [("gif", 12, 1000), ("webp", 30, 400), ("gif", 30, 400)]
)
def test_the_pace_does_not_drift(kind, fps, sum_ms, waves, tmp_path):
    path = tmp_path / f"film.{kind}"
    write_film(waves, path, fps=fps)
    with Image.open(path) as film:
        frames = ImageSequence.Iterator(film)
        lasted = [frame.load() and frame.info["duration"] for frame in frames]
    assert sum(lasted) == sum_ms and max(lasted) - min(lasted) <= 10
    assert lasted[1] == {("gif", 12): 90, ("webp", 30): 34, ("gif", 30): 40}[kind, fps]


@pytest.mark.parametrize(("loop", "said"), [(True, 0), (False, 1)])
def test_whether_a_film_begins_again(loop, said, waves, tmp_path):
    for kind in ("webp", "gif"):
        write_film(waves, tmp_path / f"film.{kind}", loop=loop)
        with Image.open(tmp_path / f"film.{kind}") as film:
            assert film.info.get("loop", 1) == said


@breaks("core/film.py", '"disposal": 2', '"disposal": 1')
@breaks("core/film.py", "255 * (1 - alpha)", "0 * alpha")
def test_transparent_pixels(waves, tmp_path):
    alpha = np.where(np.roll(waves[..., :1], 3, 2) > 110, 255, 0).astype(np.uint8)
    frames = np.concatenate([waves, alpha], 3)
    for kind in ("webp", "gif"):
        write_film(frames, tmp_path / f"film.{kind}")
    visible = np.where(frames[..., 3:] > 0, frames, 0)
    assert np.array_equal(shown(tmp_path / "film.webp"), large(visible, 10))
    with Image.open(tmp_path / "film.gif") as film:
        got = np.stack([np.asarray(each.convert("RGBA")) for each in ImageSequence.Iterator(film)])
    assert np.array_equal(got[..., 3:], large(alpha, 10))
    pytest.importorskip("av")
    write_film(frames, tmp_path / "film.mp4")
    assert shown(tmp_path / "film.mp4")[..., :3][large(alpha, 10)[..., 0] == 0].mean() > 245


def test_odd_sides_and_a_single_grey_frame(tmp_path):
    grey = np.full((1, 301, 257, 1), 90, np.uint8)
    for kind in KINDS:
        write_film(grey, tmp_path / f"film.{kind}")
    assert shown(tmp_path / "film.mp4").shape[1:3] == (302, 258)
    assert shown(tmp_path / "film.webp").shape[1:3] == (301, 257)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"path": "walk.avi"},
            "cannot be a film; give a name that ends in .webp, .gif, .mp4, .webm",
        ),
        ({"path": "walk"}, "cannot be a film"),
        ({"fps": 0.5}, "0.5 frames a second; expected 1 to 50"),
        ({"fps": 60}, "expected 1 to 50"),
        ({"frames_NHWC": np.zeros((0, 8, 8, 3), np.uint8)}, "expected one or more"),
        ({"frames_NHWC": np.zeros((1, 8, 20000, 3), np.uint8)}, "of 1 to 16383 pixels a side"),
        ({"frames_NHWC": np.zeros((1, 8, 8, 3))}, "expected uint8"),
        ({"frames_NHWC": np.zeros((8, 8, 3), np.uint8)}, "expected uint8"),
    ],
)
def test_what_cannot_be_a_film_is_one_sentence(change, words, tmp_path):
    given = {"frames_NHWC": np.zeros((1, 8, 8, 3), np.uint8), "path": "walk.webp"} | change
    with pytest.raises(errors.Invalid, match=words.replace(".", r"\.")):
        write_film(**(given | {"path": tmp_path / given["path"]}))
    assert not any(tmp_path.iterdir())


def test_without_av_a_sentence_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(errors.Unable, match=r"zeuxis\[film\].*\.webp or \.gif needs nothing"):
        write_film(np.zeros((1, 8, 8, 3), np.uint8), tmp_path / "walk.mp4")
