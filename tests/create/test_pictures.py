"""Pictures and their files: hidden colours, profiles, formats, and what is never replaced."""

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from tests.support.sabotage import breaks
from zeuxis.core import errors
from zeuxis.create.pictures import open_picture
from zeuxis.create.results import Pictures
from zeuxis.data.pictures import pictures


def test_transparent_pixels_take_the_colour_of_what_is_near():
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:, :4] = (255, 0, 0, 255)
    pixels[:, 12:] = (0, 0, 255, 1)
    colours = open_picture(pixels).colours()
    assert torch.equal(colours[0, :, 0, 0], torch.tensor([1.0, 0, 0]))
    assert torch.equal(colours[0, :, 0, 15], torch.tensor([0.0, 0, 1]))
    assert colours[0, 0, 8, 5] > 0.7 and colours[0, 1].max() < 1e-6


def test_what_is_wholly_transparent_is_black_and_finite():
    colours = open_picture(np.zeros((9, 5, 4), np.uint8)).colours()
    assert colours.isfinite().all() and colours.shape == (1, 3, 9, 5)


@breaks("create/results.py", "through(image, profile)", "image")
def test_a_colour_profile_comes_back(tmp_path):
    """Through a profile and back the levels are as before, and the file says which profile it has."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(_swapped()))
    pixels = np.random.default_rng(0).integers(60, 200, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=profile.tobytes())
    picture = open_picture(tmp_path / "a.png")
    assert picture.profile == profile.tobytes()
    assert np.abs(picture.pixels_HWC.astype(int) - pixels).max() > 20
    for name in ("b.png", "b.webp", "b.jpg"):
        Pictures(pictures=[picture.pixels_HWC], profile=picture.profile).write(
            tmp_path / name[0] / name
        )
        with Image.open(tmp_path / name[0] / name) as image:
            assert image.info["icc_profile"] == picture.profile
            levels = np.asarray(image).astype(int)
        assert np.abs(levels - pixels).max() <= (40 if name.endswith("jpg") else 4)
        (tmp_path / name[0] / "b.json").unlink()


def _swapped():
    """sRGB's profile under another name, with red and blue of the primaries exchanged."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(content[128:132], "big")
    tags = {bytes(content[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, blue = (bytes(content[tags[name] + 4 : tags[name] + 12]) for name in (b"rXYZ", b"bXYZ"))
    content[tags[b"rXYZ"] + 4 : tags[b"rXYZ"] + 12] = blue
    content[tags[b"bXYZ"] + 4 : tags[b"bXYZ"] + 12] = red
    found = bytes(content).replace("sRGB".encode("utf-16-be"), "xRGB".encode("utf-16-be"))
    return found


def test_formats_keep_what_they_can(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 4), np.uint8)
    made = Pictures(pictures=[pixels])
    for name in ("a.png", "b.webp"):
        made.write(tmp_path / name)
        with Image.open(tmp_path / name) as image:
            shown = np.asarray(image)[pixels[..., 3] > 0]
        assert np.array_equal(shown, pixels[pixels[..., 3] > 0])
    made.write(tmp_path / "c.jpg")
    with Image.open(tmp_path / "c.jpg") as image:
        assert image.mode == "RGB"
    assert "JPEG holds no alpha" in "".join(made.lines(tmp_path / "c.jpg"))


@breaks("create/results.py", "if note.exists() and not ours", "if False")
@breaks("create/results.py", "if path.exists() and not ours", "if False")
def test_only_what_a_recipe_names_is_replaced(tmp_path):
    made = Pictures(pictures=[np.zeros((8, 8, 3), np.uint8)])
    made.write(tmp_path / "a.png")
    made.write(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"mine")
    (tmp_path / "c.json").write_text("{}")
    for name in ("b.png", "c.png", "a.jpg"):
        with pytest.raises(errors.Conflict):
            made.write(tmp_path / name)


def test_several_are_a_folder_that_data_reads_again(tmp_path):
    many = [np.full((8, 8, 3), level, np.uint8) for level in (0, 90, 200)]
    made = Pictures(pictures=many)
    made.write(tmp_path / "out")
    assert np.array_equal(pictures(tmp_path / "out").images, made.array)
    with pytest.raises(errors.Invalid, match="cannot hold 3 pictures"):
        made.write(tmp_path / "a.png")
    Pictures(pictures=many, fps=12).write(tmp_path / "film.webp")
    with Image.open(tmp_path / "film.webp") as film:
        assert film.n_frames == 3
