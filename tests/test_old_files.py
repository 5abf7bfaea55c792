"""What a version of before wrote (a19da00, of 2026-11-28: two steps on twelve images) opens and works."""

from pathlib import Path

from zeuxis import data
from zeuxis.data import inspection
from zeuxis.inference.model import load

FIXTURES = Path(__file__).parent / "fixtures"


def test_an_old_model_loads_and_draws():
    model = load(FIXTURES / "gan")
    assert model.sample(3, seed=1).shape == (3, 8, 8, 3)
    assert [c.name for c in model.family.config.conditions] == ["label"]


def test_an_old_prepared_set_opens():
    prepared = data.open_prepared(FIXTURES / "set")
    prepared.verify()
    assert len(prepared) == 12 and prepared.images.shape == (12, 8, 8, 3)
    assert prepared.names[11] == "dog/5.png" and prepared.label_table() == [([0], 6), ([1], 6)]
    assert "12 usable" in "\n".join(inspection.inspect(FIXTURES / "set").lines())
