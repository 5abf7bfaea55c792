import numpy as np
import pytest

from tests.support.kit import smooth
from tests.support.sabotage import breaks
from zeuxis.core.fields import Field
from zeuxis.evaluation.baselines import baselines, identity, regression, retrieval

IMAGE = Field(name="source", kind="image", shape=(3, 16, 16))
MAP = Field(name="source", kind="map", shape=(16, 16), classes=("a", "b", "c"))
COLOURS = np.array([[9, 9, 9], [10, 200, 30], [250, 0, 100], [0, 0, 255]], np.uint8)


@breaks("evaluation/baselines.py", "for j in range(i, x.shape[1])", "for j in range(0)")
def test_regression_finds_any_map_of_colours_of_second_degree():
    source = smooth(20)
    x = source / 255
    image = np.stack([x[..., 0] ** 2, 1 - x[..., 1] * x[..., 2], x[..., 2]], -1)
    image = np.rint(255 * image).astype(np.uint8)
    made = regression(IMAGE, (source[:15], image[:15]), source[15:])
    assert np.abs(made.astype(int) - image[15:]).max() <= 1


@breaks(
    "evaluation/baselines.py", "sums / often.clip(1)[:, None], goal.mean(0)", "sums, goal.mean(0)"
)
def test_regression_of_a_map_is_the_mean_colour_of_each_class():
    ids = np.random.default_rng(0).integers(-1, 3, (6, 16, 16)).astype(np.int16)
    image = COLOURS[ids + 1]
    assert np.array_equal(regression(MAP, (ids[:4], image[:4]), ids[4:]), image[4:])
    absent = ids[:4].clip(max=1)
    made = regression(MAP, (absent, COLOURS[absent + 1]), np.full((1, 16, 16), 2, np.int16))
    mean = COLOURS[absent + 1].mean((0, 1, 2))
    assert np.abs(made - mean).max() <= 0.5  # a class that training lacks


@breaks("evaluation/baselines.py", "away.argmin(1)", "away.argmax(1)")
@pytest.mark.parametrize("field", [IMAGE, MAP], ids=lambda field: field.kind)
def test_retrieval_gives_the_partner_of_the_nearest_source(field):
    rng = np.random.default_rng(0)
    known = smooth(9) if field is IMAGE else rng.integers(0, 3, (9, 16, 16)).astype(np.int16)
    images = smooth(9, seed=4)
    asked = known[[7, 2]].copy()
    asked[:, 0, 0] = 0
    assert np.array_equal(retrieval(field, (known, images), asked), images[[7, 2]])


@pytest.mark.parametrize(("channels", "made"), [(1, 3), (3, 1), (4, 3), (3, 4), (1, 4), (3, 3)])
def test_identity_has_the_images_size_and_channels(channels, made):
    source = smooth(2)[..., :1].repeat(channels, -1)
    found = identity(IMAGE, source[:, ::2, ::2], (16, 16, made))
    assert found.shape == (2, 16, 16, made) and found.dtype == np.uint8
    assert np.abs(found[..., 0].astype(int) - source[..., 0]).mean() < 25
    if made == 4 and channels != 4:
        assert (found[..., 3] == 255).all()


def test_a_map_is_no_image():
    ids = np.zeros((4, 16, 16), np.int16)
    assert set(baselines(MAP, (ids, smooth(4)), ids)) == {"regression", "retrieval"}
    found = baselines(IMAGE, (smooth(4), smooth(4)), smooth(2))
    assert set(found) == {"identity", "regression", "retrieval"}
