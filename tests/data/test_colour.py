"""Files whose pixels mean something else than they seem to: each is read as viewers show it."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from tests.support.sabotage import breaks
from zeuxis import data
from zeuxis.core.settings import Data
from zeuxis.data.pictures import form_of
from zeuxis.data.preparation.decode import Refused, Target, decode
from zeuxis.data.preparation.warn import too_dark

GREY = np.random.default_rng(0).integers(0, 256, (24, 20), np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (24, 20, 3), np.uint8)
BRIGHT = np.random.default_rng(2).integers(60, 256, (24, 20, 3), np.uint8)


def encoded(pixels, kind="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunk(content, kind, body):
    """A PNG with one more chunk behind its header."""
    return content[:33] + chunk(kind, body) + content[33:]


def deep_png(values, key=None):
    """A PNG of 16 bits a colour, with a colour key."""
    height, width = values.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, 16, 0 if values.ndim == 2 else 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    hidden = b"" if key is None else chunk(b"tRNS", np.array(key, ">u2").tobytes())
    parts = [chunk(b"IHDR", head), hidden, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def negative_tiff(bits):
    """A TIFF of grey in which 0 is white."""
    white = 2**bits - 1
    values = (white - GREY.astype(np.uint16) * (257 if bits == 16 else 1)).astype(f"<u{bits // 8}")
    tags = {
        256: 20,
        257: 24,
        258: bits,
        259: 1,
        262: 0,
        273: 8,
        277: 1,
        278: 24,
        279: values.nbytes,
    }
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + values.nbytes) + values.tobytes() + directory


def profile(name, gamma, space=b"RGB "):
    """A small profile with the primaries of sRGB, or of grey, and a power curve."""

    def number(*values):
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    text = name.encode() + b"\0"
    described = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    white = (0.9642, 1.0, 0.8249)
    tags = [(b"desc", described), (b"wtpt", b"XYZ " + bytes(4) + number(*white))]
    if space == b"GRAY":
        tags.append((b"kTRC", curve))
    else:
        primaries = (0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
        for letter, primary in zip("rgb", primaries, strict=True):
            tags.append((f"{letter}XYZ".encode(), b"XYZ " + bytes(4) + number(*primary)))
            tags.append((f"{letter}TRC".encode(), curve))
    table, body, at = b"", b"", 132 + 12 * len(tags)
    for name_of, content in tags:
        table += name_of + struct.pack(">II", at + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I", at + len(body)) + bytes(4) + b"\x02\x10\0\0mntr" + space + b"XYZ "
    head = (head + bytes(12) + b"acsp").ljust(68, b"\0") + number(*white)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def from_linear(levels):
    """The level in sRGB of linear light."""
    light = levels / 255
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


LINEAR, GREY_LINEAR = profile("GIMP built-in Linear sRGB", 1.0), profile("Dot", 1.0, b"GRAY")
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
DEEP = GREY.astype(np.uint16) * 257
KEYED = np.concatenate([np.full((8, 20), 1234, np.uint16), DEEP[8:]])
DEEP_RGB = np.concatenate(
    [np.full((8, 20, 3), 1234, np.uint16), BRIGHT[8:].astype(np.uint16) * 257]
)
DEEP_RGB[9, 9] = 1235  # differs from the key in the byte that Pillow drops
OPAQUE = np.dstack([GREY, np.full_like(GREY, 255)])
WHITE_TOP = np.concatenate([np.full((8, 20), 255, np.uint8), GREY[8:]])
WHITE_TOP_RGB = np.concatenate([np.full((8, 20, 3), 255, np.uint8), BRIGHT[8:]])
WHITE_TOP_RGB[9, 9] = 4


@breaks("data/preparation/colour.py", "65535 - values_HW.astype(np.int32)", "values_HW")
@breaks("data/preparation/colour.py", "<= SAME", "<= 255")
@breaks(
    "data/preparation/colour.py",
    "256 * high + low == np.array(key)",
    "high == np.array(key) // 256",
)
@pytest.mark.parametrize(
    ("content", "wanted", "near"),
    [
        pytest.param(negative_tiff(16), GREY, 0, id="16-bit negative"),
        pytest.param(negative_tiff(8), GREY, 0, id="8-bit negative"),
        pytest.param(
            encoded(RGB, icc_profile=LINEAR), from_linear(RGB), 2, id="called sRGB, linear"
        ),
        pytest.param(encoded(RGB, icc_profile=SRGB), RGB, 0, id="sRGB"),
        pytest.param(
            encoded(GREY, icc_profile=GREY_LINEAR), from_linear(GREY), 2, id="grey profile"
        ),
        pytest.param(
            encoded(OPAQUE, icc_profile=GREY_LINEAR), from_linear(GREY), 2, id="with alpha"
        ),
        pytest.param(encoded(DEEP, icc_profile=GREY_LINEAR), from_linear(GREY), 2, id="in 16 bits"),
        pytest.param(
            with_chunk(encoded(RGB), b"gAMA", struct.pack(">I", 100000)),
            from_linear(RGB),
            1,
            id="gamma 1",
        ),
        pytest.param(
            with_chunk(encoded(RGB), b"gAMA", struct.pack(">I", 45455)), RGB, 0, id="usual gamma"
        ),
        pytest.param(
            with_chunk(
                with_chunk(encoded(RGB), b"gAMA", struct.pack(">I", 100000)), b"sRGB", b"\0"
            ),
            RGB,
            0,
            id="sRGB chunk overrules gamma",
        ),
        pytest.param(deep_png(KEYED, 1234), WHITE_TOP, 0, id="16-bit grey key"),
        pytest.param(deep_png(DEEP_RGB, (1234,) * 3), WHITE_TOP_RGB, 0, id="16-bit colour key"),
    ],
)
def test_what_pixels_mean(content, wanted, near):
    read = decode(content, Target(24, 20, 3)).pixels_HWC
    wanted = wanted if wanted.ndim == 3 else wanted[..., None].repeat(3, 2)
    light = wanted >= (60 if near > 1 else 0)  # next to black, tables of 8 bits are coarse
    assert np.abs(read - wanted.astype(np.float64))[light].max() <= near + 0.5


def workflow(size):
    """A PNG beside whose pixels lies text of so many bytes, packed."""
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "7" * size, zip=True)
    return encoded(RGB, pnginfo=info)


def jpeg(**options):
    return encoded(
        np.kron(RGB[:8, :8], np.ones((8, 8, 1), np.uint8)), "JPEG", quality=95, **options
    )


def large_profile():
    packed = zlib.compress(SRGB + bytes(1_500_000))
    return with_chunk(encoded(RGB), b"iCCP", b"big\0\0" + packed)


@breaks("data/preparation/mend.py", "np.array_equal(pixels[0], pixels[1])", "True")
@breaks("data/preparation/mend.py", "and _is_large(kind, body)", "and False")
@pytest.mark.parametrize(
    ("content", "kept"),
    [
        pytest.param(jpeg()[:-2], True, id="JPEG without its end marker"),
        pytest.param(jpeg()[:-1], True, id="JPEG without its last byte"),
        pytest.param(jpeg()[:-20], False, id="JPEG without its last pixels"),
        pytest.param(jpeg()[: len(jpeg()) // 2], False, id="half a JPEG"),
        pytest.param(
            jpeg(progressive=True)[:-2], False, id="progressive JPEG that may lack a scan"
        ),
        pytest.param(workflow(2_000_000), True, id="2 MB of text"),
        pytest.param(large_profile(), True, id="profile of 1.5 MB"),
        pytest.param(workflow(100), True, id="little text"),
    ],
)
def test_sound_pictures_are_read_whatever_stands_beside_the_pixels(content, kept):
    if not kept:
        with pytest.raises(Refused, match="truncated"):
            decode(content, Target(24, 20, 3))
        return
    assert decode(content, None).pixels_HWC.std() > 10
    assert form_of(content).startswith(("PNG", "JPEG"))


def test_a_bmp_whose_fourth_byte_is_0_is_opaque():
    head = struct.pack("<IiiHHIIiiII", 108, 20, 24, 1, 32, 3, 1920, 2835, 2835, 0, 0)
    head += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
    pixels = np.dstack([RGB[..., ::-1], np.zeros((24, 20), np.uint8)])[::-1].tobytes()
    content = b"BM" + struct.pack("<IHHI", 122 + len(pixels), 0, 0, 122) + head + pixels
    assert np.array_equal(decode(content, Target(24, 20, 3)).pixels_HWC, RGB)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_orientation_in_xmp_turns_every_format(kind):
    xmp = b'<x:xmpmeta xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    options = {"pnginfo": info} if kind == "PNG" else {"xmp": xmp}
    assert decode(encoded(RGB, kind, **options), None).pixels_HWC.shape == (20, 24, 3)


@pytest.mark.parametrize(
    ("brightest", "notes", "words"),
    [
        (255, {}, ""),
        (100, {"16-bit grey, divided by 257": 3}, ""),
        (64, {"16-bit grey, divided by 257": 3}, "14 bits in 16; multiply their values by 4"),
        (16, {"16-bit grey, divided by 257": 3}, "12 bits in 16; multiply their values by 16"),
        (1, {"16-bit grey, divided by 257": 3}, "8 bits in 16; multiply their values by 256"),
        (1, {}, "masks or class ids"),
        (60, {}, "very dark pictures"),
    ],
)
def test_dark_sets_are_named_for_what_they_hold(brightest, notes, words):
    assert words in too_dark(brightest, notes) and bool(words) == bool(too_dark(brightest, notes))


def folder_of(tmp_path, images):
    for number, pixels in enumerate(images):
        Image.fromarray(pixels).save(tmp_path / f"{number:02d}.png")
    return tmp_path


@breaks("data/preparation/rows.py", "rows.item[row] in rows.clear", "False")
def test_pictures_that_vanish_on_white_are_named_and_4_channels_are_offered(tmp_path):
    rng = np.random.default_rng(3)
    images = [rng.integers(0, 256, (12, 12, 3), np.uint8) for _ in range(6)]
    for number in range(2):
        alpha = rng.integers(0, 2, (12, 12, 1), np.uint8) * 255
        images.append(np.concatenate([np.full((12, 12, 3), 255, np.uint8), alpha], 2))
        assert number < 2
    source = folder_of(tmp_path, images)
    prepared = data.prepare(source, tmp_path / "set", Data(size=(12, 12)))
    said = [w for w in prepared.facts["warnings"] if "data.channels=4 keeps them" in w]
    assert said and "06.png, 07.png" in said[0] and "blank" not in str(prepared.facts["left_out"])
    assert len(data.prepare(source, tmp_path / "all", Data(size=(12, 12), channels=4))) == 8


def test_colour_that_one_channel_throws_away_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("zeuxis.data.preparation.target.PEEK", 4)
    rng = np.random.default_rng(4)
    images = [rng.integers(0, 256, (8, 8), np.uint8) for _ in range(8)]
    images[1] = rng.integers(0, 256, (8, 8, 3), np.uint8)
    source = folder_of(tmp_path, images)
    prepared = data.prepare(source, tmp_path / "set")
    assert prepared.channels == 1
    assert any(
        "(1) have colour, which 1 channel throws away" in w for w in prepared.facts["warnings"]
    )
    asked = data.prepare(source, tmp_path / "asked", Data(channels=1))
    assert not any("throws away" in w for w in asked.facts["warnings"])


def test_dark_masks_are_refused_for_what_they_are(tmp_path):
    rng = np.random.default_rng(5)
    source = folder_of(tmp_path, [rng.integers(0, 2, (8, 8), np.uint8) for _ in range(4)])
    with pytest.raises(
        ValueError, match="the brightest of all pixels is 1 of 255: .* masks or class ids"
    ):
        data.prepare(source, tmp_path / "set")
