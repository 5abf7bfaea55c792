"""What each kind of field means: on disk, on the device, in augmentation. One table over all kinds."""

import numpy as np
import pytest
import torch

from tests.support.sabotage import breaks
from zeuxis.core.fields import KINDS, STANDARD, Field
from zeuxis.training.step import to_device

# kind: (shape of an item, a loader's values, what a family is given)
INSIDE = {
    "image": ((1, 1, 3), torch.tensor([0, 51, 255], dtype=torch.uint8), [-1.0, -0.6, 1.0]),
    "map": ((1, 4), torch.tensor([0, 2, 255, -1], dtype=torch.int16), [0, 2, 255, -1]),
    "mask": ((1, 2), torch.tensor([0, 1], dtype=torch.uint8), [0.0, 1.0]),
    "class": ((), torch.tensor([7]), [7]),
    "number": ((), torch.tensor([0.5]), [0.5]),
    "text": ((3,), torch.tensor([5, 300, 0], dtype=torch.int16), [5, 300, 0]),
    "latent": ((1, 1, 2), torch.tensor([0.5, -3.0], dtype=torch.float16), [0.5, -3.0]),
    "token": ((1, 2), torch.tensor([0, 511], dtype=torch.int16), [0, 511]),
}


@breaks("core/fields.py", "self.facts.inside or dtype", "dtype")
@breaks(
    "core/fields.py",
    'if self.kind == "image":\n            return from',
    "if stored.dtype == torch.uint8:\n            return from",
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_only_an_image_is_scaled_and_ids_stay_whole_numbers(kind, dtype):
    shape, stored, expected = INSIDE[kind]
    given = Field(name="source", kind=kind, shape=shape).inside(stored.reshape(1, *shape), dtype)
    assert given.shape == (1, *shape)
    assert given.dtype == (torch.int64 if isinstance(expected[0], int) else dtype)
    assert torch.allclose(given.flatten().double(), torch.tensor(expected).double(), atol=1e-6)
    assert len(shape) == KINDS[kind].axes


def test_images_lie_in_channels_last_memory():
    stored = torch.zeros(2, 3, 4, 5, dtype=torch.uint8)
    given = STANDARD["image"].inside(stored)
    assert given.is_contiguous(memory_format=torch.channels_last)


def test_a_field_survives_json_and_knows_its_place():
    source = Field(name="source", kind="map", shape=(4, 6), classes=("sky", "sea"))
    assert Field.model_validate_json(source.model_dump_json()) == source
    assert source.spatial and source.stored_shape == (4, 6)
    assert Field(name="image", kind="image", shape=(3, 4, 6)).stored_shape == (4, 6, 3)
    assert not STANDARD["latent"].spatial and not STANDARD["label"].spatial


def test_each_spatial_field_can_be_looked_at():
    maps = Field(name="source", kind="map", shape=(2, 2), classes=("a", "b", "c"))
    seen = maps.visible(np.array([[[0, 1], [2, -1]]], np.int16))
    assert seen.shape == (1, 2, 2, 3) and seen.dtype == np.uint8
    assert len({tuple(colour) for colour in seen.reshape(-1, 3)}) == 4 and not seen[0, 1, 1].any()
    hidden = Field(name="mask", kind="mask").visible(np.array([[[0, 1]]], np.uint8))
    assert hidden.ravel().tolist() == [0, 255]
    pixels = np.zeros((1, 2, 2, 3), np.uint8)
    assert STANDARD["image"].visible(pixels) is pixels


@pytest.mark.parametrize(
    "wrong",
    [{"name": "../x"}, {"kind": "sound"}, {"size": 3}, {"shape": (4, 4)}, {"shape": (3, 0, 4)}],
)
def test_what_is_no_field_is_refused(wrong):
    with pytest.raises(ValueError):
        Field(**{"name": "source", "kind": "image", **wrong})


@breaks("training/step.py", "if key not in fields:", "if False:")
def test_a_batch_goes_to_the_device_by_its_fields_and_a_stranger_is_named():
    source = Field(name="source", kind="map", shape=(1, 4))
    maps = torch.tensor([0, 1, 2, 255], dtype=torch.uint8).reshape(1, 1, 1, 4)  # like an image's
    fields, cpu = {**STANDARD, "source": source}, torch.device("cpu")
    image = torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)
    moved = to_device({"image": image, "source": maps}, fields, cpu, torch.float32)
    assert moved["source"].tolist() == maps.long().tolist() and (moved["image"] == 1).all()
    with pytest.raises(ValueError, match="'sorce', which is no field; did you mean 'source'"):
        to_device({"sorce": maps}, fields, cpu, torch.float32)
