"""Files of every kind come out upright, in sRGB, at the size asked; bad ones are refused in words."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from zeuxis.data.preparation import decode
from zeuxis.data.preparation.decode import Refused, Target

RNG = np.random.default_rng(0)
PHOTO = np.asarray(
    Image.fromarray(RNG.integers(0, 256, (6, 8, 3), np.uint8)).resize((64, 48), Image.BICUBIC)
)


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def read(content, target=None):
    with decode.guarded():
        return decode.decode(content, target)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_keep_every_pixel(kind):
    assert np.array_equal(read(encoded(Image.fromarray(PHOTO), kind)).pixels_HWC, PHOTO)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF"])
def test_lossy_formats_come_close(kind):
    out = read(encoded(Image.fromarray(PHOTO), kind), Target(48, 64, 3)).pixels_HWC
    assert np.abs(out.astype(int) - PHOTO).mean() < 9


def test_modes():
    photo = Image.fromarray(PHOTO)
    assert read(encoded(photo.convert("L"))).pixels_HWC.shape == (48, 64, 1)
    assert read(encoded(photo.convert("1"))).pixels_HWC.shape == (48, 64, 1)
    assert read(encoded(photo.convert("P"))).pixels_HWC.shape == (48, 64, 3)
    assert read(encoded(photo.convert("RGBA"))).pixels_HWC.shape == (48, 64, 4)
    assert read(encoded(photo.convert("LA"))).pixels_HWC.shape == (48, 64, 4)
    cmyk = read(encoded(photo.convert("CMYK"), "JPEG", quality=95)).pixels_HWC
    assert np.abs(cmyk.astype(int) - PHOTO).mean() < 6


def test_sixteen_bit_grey_is_scaled_by_its_full_range():
    levels = (np.arange(48 * 64, dtype=np.uint32) * 65535 // (48 * 64 - 1)).astype(np.uint16)
    for kind in ("TIFF", "PNG"):
        out = read(encoded(Image.fromarray(levels.reshape(48, 64)), kind))
        assert np.array_equal(
            out.pixels_HWC[..., 0].ravel(), np.rint(levels / 257).astype(np.uint8)
        )
        assert out.notes == ("16-bit grey, divided by 257",)


def test_floating_point_pixels_are_refused():
    with pytest.raises(Refused, match="black and white"):
        read(encoded(Image.fromarray(np.ones((9, 9), np.float32)), "TIFF"))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_exif_orientation_is_turned_upright(orientation, kind):
    lossy = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    undo = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)
    image = Image.fromarray(PHOTO)
    stored = image.transpose(decode.TURNS[undo]) if undo > 1 else image
    exif = Image.Exif()
    exif[274] = orientation
    out = read(encoded(stored, kind, exif=exif, **lossy), Target(48, 64, 3))
    assert (out.height, out.width) == (48, 64)
    assert np.abs(out.pixels_HWC.astype(int) - PHOTO).mean() < 6
    assert decode.header(encoded(stored, kind, exif=exif))[:2] == (48, 64)


def test_a_colour_profile_is_converted_and_srgb_is_not_touched():
    wide = ImageCms.createProfile("LAB")
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = read(encoded(Image.fromarray(PHOTO), icc_profile=srgb))
    assert np.array_equal(same.pixels_HWC, PHOTO) and same.notes == ()
    wrong = ImageCms.ImageCmsProfile(wide).tobytes()
    out = read(encoded(Image.fromarray(PHOTO), icc_profile=wrong))
    assert out.notes == ("colour profile unreadable, ignored",)
    out = read(encoded(Image.fromarray(PHOTO), icc_profile=swapped_profile(srgb)))
    assert out.notes == ("converted to sRGB by its colour profile",)
    assert np.abs(out.pixels_HWC.astype(int) - PHOTO[..., [2, 1, 0]]).mean() < 3

    clear = np.dstack([PHOTO, np.full((48, 64, 1), 128, np.uint8)])
    out = read(encoded(Image.fromarray(clear), icc_profile=swapped_profile(srgb)))
    assert (out.pixels_HWC[..., 3] == 128).all()
    assert np.abs(out.pixels_HWC[..., :3].astype(int) - PHOTO[..., [2, 1, 0]]).mean() < 3
    grey = read(encoded(Image.fromarray(PHOTO).convert("L"), icc_profile=swapped_profile(srgb)))
    assert grey.notes == ("colour profile unreadable, ignored",)


def swapped_profile(content):
    """An sRGB profile whose red and blue primaries are exchanged."""
    data = bytearray(content)
    count = struct.unpack(">I", data[128:132])[0]
    at = {}
    for i in range(count):
        tag, offset, _ = struct.unpack(">4sII", data[132 + 12 * i : 144 + 12 * i])
        at[tag] = (132 + 12 * i + 4, offset)
        if tag == b"desc":
            start = data.find("sRGB".encode("utf-16-be"), offset)
            if start >= 0:
                data[start : start + 8] = "swap".encode("utf-16-be")
            start = data.find(b"sRGB", offset)
            if start >= 0:
                data[start : start + 4] = b"swap"
    (red, red_at), (blue, blue_at) = at[b"rXYZ"], at[b"bXYZ"]
    data[red : red + 4], data[blue : blue + 4] = (
        struct.pack(">I", blue_at),
        struct.pack(">I", red_at),
    )
    return bytes(data)


def test_crop_pad_and_stretch():
    image = encoded(Image.fromarray(PHOTO))
    assert np.array_equal(read(image, Target(48, 64, 3, "crop")).pixels_HWC, PHOTO)
    square = read(image, Target(48, 48, 3, "crop")).pixels_HWC
    assert np.array_equal(square, PHOTO[:, 8:56])
    padded = read(image, Target(32, 32, 3, "pad")).pixels_HWC
    assert padded[:4].max() == padded[28:].max() == 0 < padded[4:28].min(axis=2).max()
    small = read(encoded(Image.fromarray(PHOTO[:28, :28])), Target(32, 32, 3, "pad")).pixels_HWC
    assert np.array_equal(small[2:30, 2:30], PHOTO[:28, :28]) and small[:2].max() == 0
    assert read(image, Target(10, 50, 3, "stretch")).pixels_HWC.shape == (10, 50, 3)
    grown = read(image, Target(96, 128, 3, "crop")).pixels_HWC
    assert np.abs(grown[::2, ::2].astype(int) - PHOTO).mean() < 8


def test_pixels_take_the_same_way_as_files():
    for target in (
        Target(32, 32, 3, "crop"),
        Target(80, 80, 3, "pad"),
        Target(9, 50, 1, "stretch"),
    ):
        file = read(encoded(Image.fromarray(PHOTO)), target).pixels_HWC
        assert np.array_equal(read(PHOTO, target).pixels_HWC, file)


def test_a_fine_grid_does_not_alias():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    for content in (encoded(Image.fromarray(stripes)), encoded(Image.fromarray(stripes), "JPEG")):
        out = read(content, Target(50, 50, 3)).pixels_HWC[5:-5, 5:-5]
        assert np.abs(out.astype(int) - 127).max() < 16


def test_transparency_becomes_white_or_stays():
    clear = np.dstack([PHOTO, np.zeros((48, 64, 1), np.uint8)])
    clear[:, 32:, 3] = 255
    on_white = read(encoded(Image.fromarray(clear)), Target(48, 64, 3)).pixels_HWC
    assert on_white[:, :32].min() == 255 and np.array_equal(on_white[:, 32:], PHOTO[:, 32:])
    kept = read(encoded(Image.fromarray(clear)), Target(48, 64, 4)).pixels_HWC
    assert (
        np.array_equal(kept[:, 32:], clear[:, 32:]) and (kept[:, :32] == [255, 255, 255, 0]).all()
    )
    half = read(encoded(Image.fromarray(clear)), Target(24, 32, 4)).pixels_HWC
    assert half[:, 20:, 3].min() == 255 and half[:, :12, 3].max() == 0


def test_arrays_hide_no_colours_either():
    clear = np.dstack([PHOTO, np.zeros((48, 64, 1), np.uint8)])
    clear[:, 32:, 3] = 255
    for target in (None, Target(48, 64, 4), Target(60, 70, 4, "pad"), Target(24, 32, 4)):
        file = read(encoded(Image.fromarray(clear)), target).pixels_HWC
        assert np.array_equal(read(clear, target).pixels_HWC, file)


def test_hidden_colours_do_not_bleed_into_edges():
    image = np.zeros((64, 64, 4), np.uint8)
    image[..., 0] = 255
    image[16:48, 16:48] = (0, 0, 255, 255)
    out = read(encoded(Image.fromarray(image)), Target(17, 17, 4)).pixels_HWC
    assert out[out[..., 3] > 8][:, 0].max() <= 16


def png(width, height, body=b""):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"hello there, no image", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (encoded(Image.fromarray(PHOTO))[:200], "truncated"),
        (encoded(Image.fromarray(PHOTO), "JPEG")[:-200], "truncated"),
        (encoded(Image.fromarray(PHOTO[:3, :3])), "too small"),
        (png(9000, 9000), "oversized"),
        (png(60000, 60000), "oversized"),
        (png(2**31 - 1, 2**31 - 1), "oversized"),
        (encoded(Image.fromarray(PHOTO), "PPM"), "not an image"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(content, reason):
    with pytest.raises(Refused) as refused:
        read(content, Target(32, 32, 3))
    assert refused.value.reason == reason, str(refused.value)


def test_animations_give_their_first_frame():
    frames = [Image.fromarray(PHOTO), Image.fromarray(255 - PHOTO)]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        out = read(content, Target(48, 64, 3))
        assert ("several pages" if kind == "TIFF" else "animated") in out.notes
        assert np.abs(out.pixels_HWC.astype(int) - PHOTO).mean() < 20


def test_a_cameras_jpeg_with_a_preview_is_a_jpeg():
    large = Image.fromarray(PHOTO).resize((640, 480), Image.BICUBIC)
    content = encoded(large, "MPO", save_all=True, append_images=[large.rotate(180)])
    out = read(content, Target(48, 64, 3))
    assert (out.format, out.notes) == ("JPEG", ())
    assert np.abs(out.pixels_HWC.astype(int) - PHOTO).mean() < 9
