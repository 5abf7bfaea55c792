"""A source's images as they are: duplicates stay, sizes must agree, formats are told."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.support.sabotage import breaks
from zeuxis.data.pictures import form_of, pictures


def save(path, seed=0, size=(12, 10), **options):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def test_duplicates_stay_and_classes_are_read(tmp_path):
    for i in range(4):
        same = save(tmp_path / "cat" / f"{i}.png", seed=0)
    for i in range(4):
        save(tmp_path / "dog" / f"{i}.png", seed=i)
    found = pictures(tmp_path)
    assert found.images.shape == (8, 12, 10, 3) and found.found == 8
    assert (found.images[:4] == same).all()
    assert [c.classes for c in found.conditions] == [("cat", "dog")]
    assert found.labels[:, 0].tolist() == [0] * 4 + [1] * 4
    assert found.form == {"PNG": 1.0}


def test_what_cannot_be_read_is_named(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    found = pictures(tmp_path)
    assert len(found.images) == 1 and [name for name, _ in found.refused] == ["b.png"]
    (tmp_path / "a.png").unlink()
    with pytest.raises(ValueError, match="no image that can be read"):
        pictures(tmp_path, size=(8, 8))


@breaks("data/pictures.py", "if len(sizes) > 1:", "if False:")
def test_sizes_must_agree_or_be_asked_for(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / "b.png", size=(20, 20))
    with pytest.raises(ValueError, match=r"2 sizes .*--size 64"):
        pictures(tmp_path)
    assert pictures(tmp_path, size=(8, 8)).images.shape == (2, 8, 8, 3)


def test_a_seeded_part_of_a_large_source(tmp_path):
    for i in range(9):
        save(tmp_path / f"{i}.png", seed=i)
    part = pictures(tmp_path, most=4, seed=1)
    assert len(part.images) == 4 and part.found == 9
    assert (part.images == pictures(tmp_path, most=4, seed=1).images).all()
    whole = pictures(tmp_path).images.tolist()
    assert all(image in whole for image in part.images.tolist())


@pytest.mark.parametrize("quality", [10, 50, 75, 87, 95])
def test_the_quality_of_a_jpeg_is_found(quality):
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "teal").save(file, "JPEG", quality=quality)
    assert form_of(file.getvalue()) == f"JPEG, quality {quality}"
