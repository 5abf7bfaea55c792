import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.kit import batch_for, build, context, wake
from tests.support.sabotage import breaks
from zeuxis.core.errors import Invalid
from zeuxis.core.rng import Rng
from zeuxis.families.stylise import LIKENESS, SIDE
from zeuxis.inference import artefact


def begun(path):
    model = wake(build("stylise", style=str(path)))
    model.begin(iter([batch_for(model)]), Rng([0]))
    return model


def picture(path, size, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@breaks("families/stylise.py", "return Path(style).name", "return style")
@breaks("families/stylise.py", "self._sums.clear()", "pass")
@breaks("families/stylise.py", "self.style.copy_(style_3HW)", "pass")
def test_the_style_is_read_once_and_kept_in_the_model(tmp_path):
    path = picture(tmp_path / "style.png", (2 * SIDE, SIDE))
    model = build("stylise", style=str(path))
    before = model.loss("main", batch_for(model), context())["style"]
    model.begin(iter([]), Rng([0]))
    with Image.open(path) as file:
        middle = np.asarray(file)[:, SIDE // 2 : SIDE // 2 + SIDE]
    assert np.array_equal(model.style.permute(1, 2, 0).numpy(), middle)
    after = model.loss("main", batch_for(model), context())["style"]
    assert abs(after - before) > 1e-3
    artefact.save(tmp_path / "run", "stylise", model, model.state_dict())
    assert model.config.style == str(path) and str(tmp_path) not in model.config.model_dump_json()
    path.unlink()
    again = artefact.load(tmp_path / "run")
    assert torch.equal(again.style, model.style)
    assert not [key for key in again.state_dict() if not key.startswith(("painter.", "style"))]


def test_without_one_the_first_picture_is_the_style():
    model = build("stylise")
    batch = batch_for(model)
    model.begin(iter([batch]), Rng([0]))
    small = torch.nn.functional.interpolate(model.style[None].float(), (8, 8), mode="area")
    assert (small / 127.5 - 1 - batch["image"][:1]).abs().mean() < 0.3


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing.png", "missing.png cannot be read as a picture"),
        ("text.png", "text.png cannot be read as a picture"),
        ("dot.png", "1 x 1 pixels; strokes need at least 32 a side"),
    ],
)
def test_a_file_that_is_no_style_is_a_sentence(name, sentence, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    picture(tmp_path / "dot.png", (1, 1))
    with pytest.raises(Invalid, match=sentence):
        begun(tmp_path / name)


@breaks("families/stylise.py", "/ self.config.strength", "* self.config.strength")
def test_strength_takes_weight_from_the_content():
    for strength in (0.5, 1.0, 4.0):
        model = wake(build("stylise", strength=strength))
        losses = {k: v.item() for k, v in model.loss("main", batch_for(model), context()).items()}
        expected = losses["style"] + LIKENESS / strength * losses["content"]
        assert losses["total"] == pytest.approx(expected, rel=1e-5)


@breaks(
    "families/stylise.py",
    "torch.cat([styled, source[:, 3:]], 1)",
    "torch.cat([styled, styled[:, :1]], 1)",
)
@torch.no_grad()
def test_alpha_stays_and_given_statistics_are_used():
    model = wake(build("stylise", channels=4)).eval()
    source = torch.rand(2, 4, 20, 12) * 2 - 1
    noted = model.survey(source)
    plain = model.translate(source, {}, {}, model.Controls())
    assert torch.equal(plain[:, 3], source[:, 3])
    assert torch.allclose(model.translate(source, {}, noted, model.Controls()), plain, atol=1e-5)
    other = {"statistics": 2 * noted["statistics"]}
    assert not torch.allclose(
        model.translate(source, {}, other, model.Controls()), plain, atol=0.01
    )


@breaks("families/stylise.py", "min(crops[", "max(crops[")
def test_crops_are_squares_of_the_pictures():
    model = build("stylise", height=24, width=40, crops=(8, 16, 100))
    image = torch.arange(24 * 40.0).view(1, 1, 24, 40).expand(4, 3, 24, 40)
    sides = set()
    for step in range(12):
        cut = model._cropped(image, Rng.for_rows(0, "x", step, range(4)))
        sides.add(cut.shape[2])
        assert cut.shape[2] == cut.shape[3]
        for square in cut[:, 0]:
            across = square.diff(dim=1)
            assert (square.diff(dim=0) == 40).all() and (across.abs() == 1).all()
    assert sides == {8, 16, 24}
