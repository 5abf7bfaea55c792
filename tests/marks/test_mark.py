"""The marks of written results, as `detect` and others find them again."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.support.front import zeuxis
from tests.support.kit import build, wake
from tests.support.sabotage import breaks
from zeuxis.core.errors import Invalid
from zeuxis.create.results import Pictures
from zeuxis.inference import artefact
from zeuxis.inference.model import load
from zeuxis.inference.results import Images
from zeuxis.inference.translations import Translations
from zeuxis.marks import containers, credentials, metadata
from zeuxis.marks.mark import artefact_of, payload_of
from zeuxis.marks.watermark import PUBLIC_KEY, Key, detect

PHOTO = np.random.default_rng(0).integers(60, 200, (64, 64, 3), np.uint8)
BLACK = np.zeros((16, 16, 3), np.uint8)
PLAIN = {"credentials": False}


def pixels(content):
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


def found(content, key=PUBLIC_KEY):
    return detect(pixels(content), key).log10_p < -6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    family, folder = wake(build("vae")), tmp_path_factory.mktemp("runs") / "vae"
    artefact.save(folder, "vae", family, family.state_dict(), dataset={"labels": [[[0, 1], 1]]})
    return folder


@breaks("marks/mark.py", "key.number << 32", "0")
@breaks("marks/mark.py", "[: min(4, bits // 8)]", "[:4]")
def test_a_payload_names_the_model_the_key_and_the_version():
    payload = payload_of("9f86d081884c", PUBLIC_KEY)
    assert payload >> 56 == 1 and payload >> 32 & 0xFFFFFF == PUBLIC_KEY.number
    assert [artefact_of(payload, bits) for bits in (0, 16, 32, 64)] == [
        "",
        "9f86",
        *["9f86d081"] * 2,
    ]
    assert artefact_of(None, 64) == artefact_of(payload_of("", PUBLIC_KEY), 64) == ""


@breaks("inference/results.py", "self.bare.update({} if carries", "self.bare.update({} if True")
@breaks(
    "marks/mark.py",
    "return self.file(encode(marked), kept, carried), True",
    "return self.file(encode(image_HWC), kept), True",
)
def test_what_is_written_carries_the_watermark_or_is_listed(tmp_path):
    made = Images(images=[PHOTO, BLACK], provenance=PLAIN)
    made.write(tmp_path / "out")
    first, second = ((tmp_path / "out" / f"000{i}.png").read_bytes() for i in (0, 1))
    assert found(first) and np.array_equal(pixels(second), BLACK)
    assert np.array_equal(made.images[0], PHOTO) and not np.array_equal(pixels(first), PHOTO)
    note = json.loads((tmp_path / "out" / "samples.json").read_text())
    assert note["without_watermark"] == ["0001.png"]
    said = "metadata, but no watermark (too small, or mostly black or white): 0001.png"
    assert said in " ".join(made.lines(tmp_path / "out"))
    assert made.values()["provenance"]["without_watermark"] == ["0001.png"]
    made.write_picture(tmp_path / "sheet.png", PHOTO)
    assert found((tmp_path / "sheet.png").read_bytes())


@breaks(
    "inference/translations.py",
    "map(png_bytes, self.spreads)",
    "map(functools.partial(self.encoded, encode=png_bytes), self.spreads)",
)
def test_a_spread_is_a_measurement_and_stays_as_it_is():
    made = Translations(
        images=[PHOTO] * 2, samples=2, means=[PHOTO], spreads=[PHOTO], provenance=PLAIN
    )
    files = dict(made.beside())
    assert found(files["0000-mean.png"])
    assert np.array_equal(pixels(files["0000-spread.png"]), PHOTO)
    assert containers.xmp_of(files["0000-spread.png"]) is None


@breaks("inference/marking.py", "replace(result, key=mark_key)", "replace(result)")
@breaks("create/results.py", "kept=self.kept, key=self.key", "kept=self.kept")
def test_a_private_key_goes_from_the_command_line_into_the_pixels(folder, tmp_path, capsys):
    secret, photo = tmp_path / "mark.key", tmp_path / "photo.png"
    secret.write_text("a secret of some length")
    Image.fromarray(PHOTO).save(photo)
    key = Key.load(secret)
    words = ["--mark-key", secret, "--no-credentials", "--out", tmp_path / "made.png"]
    assert zeuxis("texture", photo, "--size", 64, *words) == 0
    content = (tmp_path / "made.png").read_bytes()
    assert found(content, key) and not found(content)
    recipe = json.loads((tmp_path / "made.json").read_text())
    assert recipe["mark_key"] == f"{key.number:06x}" and recipe["credentials"] is False
    assert "secret" not in json.dumps(recipe)
    several = Pictures(pictures=[PHOTO] * 2, key=key, provenance=PLAIN).as_file()
    with zipfile.ZipFile(io.BytesIO(several)) as archive:
        assert found(archive.read("0001.png"), key)
    secret.write_text("short")
    assert zeuxis("sample", folder, "--mark-key", secret, "--out", tmp_path / "out") == 2
    assert "are no key" in capsys.readouterr().err
    with pytest.raises(Invalid, match="credentials is 3; expected true or false"):
        load(folder).sample(1, credentials=3)


@breaks("marks/mark.py", "source = kept.signed if kept else None", "source = None")
@breaks("marks/mark.py", "if self.signs else said", "if False else said")
def test_signed_by_default_with_a_strangers_credentials_as_an_ingredient(folder, tmp_path):
    pytest.importorskip("c2pa")
    model = load(folder)
    assert credentials.read(next(model.sample(1).files())).state == "trusted"
    assert credentials.read(next(model.sample(1, credentials=False).files())) is None
    assert credentials.read(next(model.sample(1, unmarked=True).files())) is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path / "stranger"))
        drawn = next(model.sample(1).files())
    assert credentials.read(drawn).state == "valid"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "signed.png").write_bytes(drawn)
    family, cleans = wake(build("autoencoder")), tmp_path / "autoencoder"
    labels = {"labels": [[[0, 1], 1]]}
    artefact.save(cleans, "autoencoder", family, family.state_dict(), dataset=labels)
    assert zeuxis("denoise", cleans, tmp_path / "photos", "--out", tmp_path / "out") == 0
    edited = (tmp_path / "out" / "0000.png").read_bytes()
    told = credentials.read(edited)
    assert (told.state, told.ingredients) == ("trusted", 1)
    assert metadata.EDITED.encode() in containers.xmp_of(edited)


@breaks(
    "marks/credentials.py",
    "except OSError:\n        return False",
    "except OSError:\n        raise",
)
def test_where_no_key_can_be_made_pictures_are_not_signed(tmp_path, monkeypatch):
    pytest.importorskip("c2pa")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    content = next(Images(images=PHOTO[None]).files())
    assert not containers.has_credentials(content) and containers.xmp_of(content)


@breaks("inference/verb.py", "if self.marked else UNMARKED", "")
def test_what_was_compressed_comes_back_without_marks(tmp_path):
    pytest.importorskip("constriction")
    family = wake(build("pixelcnn"))
    labels = {"labels": [[[0, 1], 1]]}
    artefact.save(tmp_path / "run", "pixelcnn", family, family.state_dict(), dataset=labels)
    model = load(tmp_path / "run", "cpu")
    given = np.random.default_rng(0).integers(0, 256, (2, *model.shape()), np.uint8)
    model.compress(given).write(tmp_path / "given.zxi")
    made = model.decompress(tmp_path / "given.zxi")
    assert made.provenance["unmarked"] is True
    for content, image in zip(made.files(), given, strict=True):
        assert np.array_equal(pixels(content).reshape(image.shape), image)
        assert containers.xmp_of(content) is None and not containers.has_credentials(content)
