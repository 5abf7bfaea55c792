"""Prepared sets and results as tables of other libraries and as NumPy arrays."""

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.data.test_layouts import AB, CSV, FOUR, contents
from tests.data.test_sources import write
from tests.support.sabotage import breaks
from zeuxis.core.family import Condition
from zeuxis.core.settings import Data
from zeuxis.data import prepare
from zeuxis.data.source import open_source
from zeuxis.inference.arguments import PixelsOf
from zeuxis.inference.model import load
from zeuxis.inference.results import UNMARKED, Images, Latents, Scores

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
HAIR = Condition(name="hair", classes=("dark", "fair"))
DRAWN = Images(
    images=IMAGES, labels=np.array([[1], [-1], [0]]), conditions=[HAIR], provenance=UNMARKED
)


@pytest.fixture
def prepared(tmp_path):
    files = contents({**FOUR, "metadata.csv": CSV.replace("3.png,b", "3.png,"), "2.txt": "a cat"})
    return prepare(write(tmp_path / "raw", files), tmp_path / "set", Data(size=(8, 8)))


def test_a_prepared_set_is_a_table_and_an_array(prepared):
    table = prepared.to_arrow().to_pydict()
    assert table == {
        "name": [*AB],
        "side": ["train"] * 4,
        "text": [None, None, "a cat", None],
        "label": ["a", "b", "a", None],
    }
    assert np.array_equal(np.asarray(prepared), prepared.images)
    assert np.asarray(prepared, np.float32).dtype == np.float32


@breaks("inference/results.py", 'table.append_column("image", arrow.array(files))', "table")
def test_a_result_written_as_parquet_is_a_source(tmp_path):
    written = pytest.importorskip("pyarrow.parquet")
    written.write_table(DRAWN.to_arrow(), tmp_path / "drawn.parquet")
    source = open_source(tmp_path / "drawn.parquet")
    assert [item.columns["hair"] for item in source.items] == ["fair", "", "dark"]
    assert source.read(2) == list(DRAWN.files())[2]


@pytest.mark.parametrize(
    ("result", "table"),
    [
        (DRAWN, {"file_name": ["0000.png", "0001.png", "0002.png"], "hair": ["fair", None, "dark"]}),
        (Scores(bits=np.float32([2, 3]), kind="exact", names=["a", "b"]),
         {"name": ["a", "b"], "bits_per_dim": [2.0, 3.0]}),
        (Latents(latents=np.zeros((2, 1, 2), np.float32)), {"name": ["0", "1"], "latent": [[0, 0]] * 2}),
    ],
)  # fmt: skip
def test_results_are_tables(result, table):
    found = result.to_arrow().to_pydict()
    assert {name: found[name] for name in table} == table
    assert list(result.table()) == list(table)
    pandas = pytest.importorskip("pandas")
    assert isinstance(result.to_pandas(), pandas.DataFrame)
    assert list(result.to_pandas().columns) == list(table)


def test_a_library_that_is_not_there_is_named(monkeypatch, prepared):
    for library, ask in (("pandas", prepared.to_pandas), ("pyarrow", DRAWN.to_arrow)):
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(ValueError, match=f"needs {library}: pip install {library}"):
            ask()


@pytest.mark.parametrize(
    ("images", "match"),
    [
        (IMAGES[0], r"expected uint8 of shape .* give images\[..., ::-1\]"),
        (None, "expected uint8 of shape"),
        ([IMAGES[0], None], "or one is missing .OpenCV gives None"),
        (IMAGES / 255, r"expected uint8.* BGR, give images\[..., ::-1\]"),
    ],
)
def test_arrays_as_opencv_gives_them(images, match):
    model = load(Path(__file__).parents[1] / "fixtures" / "gan")
    height, width, channels = model.shape()
    if isinstance(images, np.ndarray) and images.ndim == 4:
        images = np.zeros((1, height, width, channels), images.dtype)
    with pytest.raises(ValueError, match=match):
        PixelsOf(help="").check(model, images, {})
    turned = np.zeros((1, height, width, channels), np.uint8)[..., ::-1]
    assert PixelsOf(help="").check(model, turned, {}).strides[-1] == 1
