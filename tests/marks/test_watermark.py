"""A mark is put, outlives what files go through, and its proof is never better than its bound."""

import io
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.support.sabotage import breaks
from zeuxis.core.errors import Invalid
from zeuxis.marks import crops, reading
from zeuxis.marks.carriers import FRAMES, Carriers, carriers, frame_of
from zeuxis.marks.planes import fixed, lapped, times
from zeuxis.marks.watermark import PUBLIC_KEY, Key, capacity, detect, detect_film, embed

OTHER = Key(b"another key, of more than 16 bytes")
PAYLOAD = 0x9F3A_55C0_1287_E6D4


def picture(height, width, channels=3, seed=0):
    """Soft waves under shapes with edges and some noise, uint8 (height, width, channels)."""
    drawn = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    layers = []
    for _ in range(min(channels, 3)):
        plane = 120 + 50 * np.sin(6 * x + drawn.uniform(0, 6)) * np.cos(5 * y + drawn.uniform(0, 6))
        for _ in range(5):
            centre, radius = drawn.uniform(0, 1, 2), drawn.uniform(0.05, 0.3)
            plane[np.hypot(y - centre[0], x - centre[1]) < radius] += drawn.uniform(-60, 60)
        layers.append(plane + drawn.normal(0, 2, plane.shape))
    if channels == 4:
        layers.append(np.where(x + y < 0.5, 0, 255))
    return np.stack(layers, -1).clip(0, 255).astype(np.uint8)


def psnr(one, other):
    return 10 * math.log10(255**2 / np.mean((one.astype(float) - other) ** 2))


def jpeg(image, quality):
    beside = io.BytesIO()
    Image.fromarray(image).save(beside, "JPEG", quality=quality)
    return np.asarray(Image.open(beside))


@pytest.mark.parametrize(
    ("height", "width", "bits"),
    [(12, 20, 0), (16, 16, 0), (33, 24, 16), (64, 64, 32), (96, 127, 32), (128, 150, 64)],
)
@pytest.mark.parametrize("channels", [1, 3, 4])
@breaks("marks/carriers.py", "& (word_K < 0), 0.5", "& (word_K < 0), 0.0")
@breaks("marks/carriers.py", "* self.mix_2K).sum(0)", ").sum(0)")
@breaks("marks/watermark.py", "missing_K = np.sign(off_K)", "missing_K = -np.sign(off_K)")
def test_what_is_put_is_found_and_hardly_seen(height, width, bits, channels):
    image = picture(height, width, channels)
    marked = embed(image, PUBLIC_KEY, PAYLOAD)
    assert marked.shape == image.shape and marked.dtype == np.uint8
    found = detect(marked, PUBLIC_KEY)
    assert found.bits == bits == capacity(height, width) and found.log10_p < -9
    assert found.payload == (PAYLOAD % 2**bits if bits else None)
    assert psnr(image, marked) > 38
    if channels == 4:
        assert (marked[..., 3] == image[..., 3]).all()
        assert (marked == image)[image[..., 3] == 0].all()  # colours that nobody sees
    assert detect(image, PUBLIC_KEY).log10_p > -3 and detect(marked, OTHER).log10_p > -3


@pytest.mark.parametrize("side", [64, 127, 192, 300])
def test_payload_outlives_jpeg_and_a_change_of_size_and_contrast(side):
    marked = embed(picture(side, side + 13, seed=side), OTHER, PAYLOAD)
    bigger = np.asarray(
        Image.fromarray(marked).resize((2 * side, 2 * side), Image.Resampling.BICUBIC)
    )
    duller = np.rint(128 + (marked.astype(float) - 128) * 0.85).astype(np.uint8)
    for changed in (jpeg(marked, 75), bigger, duller):
        found = detect(changed, OTHER)
        assert found.log10_p < -20 and found.payload == PAYLOAD % 2**found.bits
        assert found.bits == capacity(side, side)


@breaks("marks/watermark.py", "(luma_HW, luma_HW[:, ::-1])", "(luma_HW, luma_HW)")
def test_turned_and_mirrored_pictures_are_found_when_looked_at_thoroughly():
    marked = embed(picture(48, 60), PUBLIC_KEY, PAYLOAD)
    for turned in (np.rot90(marked), np.rot90(marked[:, ::-1], 3)):
        assert detect(turned, PUBLIC_KEY).log10_p > -6
        found = detect(turned, PUBLIC_KEY, thorough=True)
        assert found.log10_p < -20 and found.payload == PAYLOAD % 2**32


@breaks("marks/crops.py", "n * low / (high - low))", "0 * low / (high - low))")
@breaks("marks/crops.py", "enough else (middle, high)", "enough else (low, middle)")
def test_part_of_a_picture_is_found_when_looked_at_thoroughly():
    marked = embed(picture(200, 220), PUBLIC_KEY, PAYLOAD)
    cut = marked[9:181, 31:211]
    assert detect(cut, PUBLIC_KEY).log10_p > -6
    found = detect(cut, PUBLIC_KEY, thorough=True)
    assert found.log10_p < -20 and found.payload == PAYLOAD


@breaks("marks/reading.py", "image.rotate(-angle / 8", "image.rotate(-angle / 80")
@breaks("marks/watermark.py", ", lambda: turned(luma_HW, key)]", "]")
def test_a_picture_that_was_turned_a_little_and_cut_is_found_when_looked_at_thoroughly():
    marked = Image.fromarray(embed(picture(150, 160), PUBLIC_KEY, PAYLOAD))
    turned = np.asarray(marked.rotate(-1.7, Image.Resampling.BICUBIC).crop((4, 4, 156, 146)))
    assert detect(turned, PUBLIC_KEY, thorough=True).log10_p < -10


def test_places_of_a_part_are_as_many_as_are_counted():
    borders = crops.SIDE * crops.GRID - math.ceil(crops.LEAST * crops.SIDE * crops.GRID)
    assert ((borders + 1) * (borders + 2) / 2) ** 2 <= crops.PLACES * 1.01
    start = crops.Place(0, 4096, 1200, 4096)
    assert start.moved((1, 0, 0, 0)) == crops.Place(1, 4096, 1200, 4096)
    assert start.moved((-1, 0, 0, 0)) is None and start.moved((0, 0, 40, 0)) is None


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.name)
@breaks("marks/reading.py", "math.log10(2 * len(GAIN_G)) + tried", "tried")
def test_over_keys_unmarked_pictures_are_below_a_bound_no_oftener_than_it_says(frame):
    # What a key changes in the proof are the dithers; carriers of one picture stay as they are.
    image = picture(frame.smallest, frame.smallest + 3, seed=5)
    plain = carriers(frame, PUBLIC_KEY)
    luma_HW = reading.luma(image)
    value_K = plain.values(reading.coefficients(luma_HW, *frame.shape))
    drawn = np.random.default_rng(1)
    lowest = []
    for _ in range(100_000 // len(value_K)):
        dithers = drawn.random(len(value_K))
        some = Carriers(plain.at_2K, plain.mix_2K, dithers, plain.role_K, plain.code_CK)
        lowest.append(reading.read(some, frame, value_K[None], 0.0).log10_p)
    lowest = np.array(lowest)
    assert (lowest <= -1).mean() <= 0.1 and (lowest <= -2).mean() <= 0.01 and lowest.min() > -5


@breaks("marks/reading.py", "return float(bound.min())", "return 2 * float(bound.min())")
def test_bound_holds_against_sums_of_cosines():
    angles = np.random.default_rng(0).random((200_000, 30)) * 2 * np.pi
    for weight in (np.ones(30), np.linspace(0.1, 1, 30)):
        total = np.cos(angles) @ weight
        level = np.ceil(reading.LEVELS * weight).astype(int)
        for threshold in (4.0, 8.0, 12.0, 16.0):
            share = (total >= threshold).mean()
            assert share <= 10 ** reading.chernoff(threshold, level) <= max(40 * share, 1e-4)
    assert reading.chernoff(-1.0, level) == 0


def film(side=64, seed=0, count=6):
    """A slow pan, (count, side, side, 3) uint8."""
    wide = picture(side + count, side + count, seed=seed)
    return np.stack([wide[at : at + side, at : at + side] for at in range(count)])


@breaks("marks/reading.py", "drawn.dither_K)).mean(0)", "drawn.dither_K)).sum(0)")
@breaks("marks/reading.py", "LEVELS * length_K).clip", "0 * length_K).clip")
def test_frames_of_a_film_prove_together_more_than_alone_and_a_copy_proves_nothing_more():
    marked = [embed(frame, PUBLIC_KEY, PAYLOAD) for frame in film()]
    noise = np.random.default_rng(2).normal(0, 6, (len(marked), *marked[0].shape))
    worse = [np.clip(a + n, 0, 255).astype(np.uint8) for a, n in zip(marked, noise, strict=True)]
    alone = [detect(frame, PUBLIC_KEY).log10_p for frame in worse]
    together = detect_film(worse, PUBLIC_KEY)
    assert together.log10_p < 2 * min(alone) and together.payload == PAYLOAD % 2**32
    same = detect_film([worse[0]] * 6, PUBLIC_KEY)
    assert same.log10_p == pytest.approx(alone[0], abs=1e-6)


def test_unmarked_films_are_below_a_bound_no_oftener_than_it_says():
    """Over films by the public key and over keys: frames that are alike are no independent proofs."""
    lowest = [detect_film(film(seed=seed), PUBLIC_KEY).log10_p for seed in range(30)]
    frames = film(seed=1)
    lowest += [detect_film(frames, Key(b"one key of %d" % key)).log10_p for key in range(60)]
    assert min(lowest) > -2.5


def test_pictures_that_cannot_carry_a_mark_are_left():
    assert embed(picture(8, 8), PUBLIC_KEY, 1) is None
    assert embed(picture(11, 300), PUBLIC_KEY, 1) is None
    assert embed(np.zeros((1, 500, 3), np.uint8), PUBLIC_KEY, 1) is None
    digit = np.zeros((28, 28, 1), np.uint8)
    digit[8:20, 12:16] = 220
    assert embed(digit, PUBLIC_KEY, 1) is None
    assert embed(np.zeros((64, 64, 4), np.uint8), PUBLIC_KEY, 1) is None  # nothing of it is seen
    assert capacity(8, 8) == 0 and frame_of(11, 300) is None
    assert detect(np.zeros((1, 500, 3), np.uint8), PUBLIC_KEY, thorough=True).log10_p == 0


def test_flat_and_odd_pictures_are_marked_or_left_but_never_fail():
    for level in (0, 1, 128, 255):
        for shape in ((64, 64, 1), (130, 140, 3), (12, 900, 3)):
            marked = embed(np.full(shape, level, np.uint8), PUBLIC_KEY, PAYLOAD)
            assert marked is None or detect(marked, PUBLIC_KEY).log10_p < -9
    assert embed(np.full((64, 64, 3), 128, np.uint8), PUBLIC_KEY, PAYLOAD) is not None


def test_what_is_no_picture_gets_a_sentence():
    with pytest.raises(Invalid, match=r"found float64 \(8, 8, 3\)"):
        detect(np.zeros((8, 8, 3)), PUBLIC_KEY)
    with pytest.raises(Invalid, match="with 1, 3 or 4 channels"):
        embed(np.zeros((64, 64, 2), np.uint8), PUBLIC_KEY, 0)


def test_keys_come_from_files(tmp_path):
    path = tmp_path / "key"
    path.write_text("0123456789abcdef\n")
    key = Key.load(path)
    assert key == Key(b"0123456789abcdef") and key.number != PUBLIC_KEY.number < 2**24
    path.write_text("short")
    with pytest.raises(Invalid, match="5 bytes are no key"):
        Key.load(path)


def test_transforms_are_orthonormal_and_see_no_brightness():
    for side, block in {frame.shape for frame in FRAMES}:
        transform = lapped(side, block)
        assert np.abs(transform @ transform.T - np.eye(side)).max() < 1e-12
        sums = transform.sum(1).reshape(-1, block)
        assert np.abs(sums[:, 1:]).max() < 1e-12
    middle = lapped(128, 16)[48:64]
    assert np.abs(middle[1:8, [40, 71]]).max() < 0.08  # no seams: blocks end softly


@breaks(
    "marks/planes.py",
    "return np.asarray(np.rint(values * 2.0**bits) * 2.0**-bits)",
    "return values",
)
def test_products_do_not_depend_on_the_order_of_additions():
    drawn = np.random.default_rng(3)
    left, right = (fixed(drawn.normal(size=(40, 300)), 16) for _ in range(2))
    plane = drawn.uniform(0, 255, (300, 300))
    one, other = drawn.permutation(300), drawn.permutation(300)
    mixed = times(left[:, one], plane[one][:, other], right[:, other].T)
    assert (mixed == times(left, plane, right.T)).all()


CODE = """
import hashlib, numpy as np
from zeuxis.marks.watermark import PUBLIC_KEY, embed
ramp = np.add.outer(np.arange(290), np.arange(300)) % 251
print(hashlib.sha256(embed(ramp.astype(np.uint8)[..., None], PUBLIC_KEY, 5)).hexdigest())
"""


def test_marks_are_the_same_on_any_number_of_threads():
    said = set()
    for threads in ("1", "2"):
        around = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", CODE], env=around, capture_output=True, text=True, check=True
        )
        said.add(done.stdout)
    assert len(said) == 1
