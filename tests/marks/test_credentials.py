"""Content credentials: signed by the user's own key, read again, broken by one byte, kept by edits."""

import io
import stat

import numpy as np
import pytest
from PIL import Image

from tests.support.sabotage import breaks
from zeuxis.core.errors import Unable
from zeuxis.marks import containers, credentials, metadata
from zeuxis.marks.metadata import Origin

pytest.importorskip("c2pa")
ORIGIN = Origin("Zeuxis flow", "1.2")
EDIT = Origin("Zeuxis vae", "1.2", metadata.EDITED)


def file(kind):
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, kind)
    return metadata.put(buffer.getvalue(), ORIGIN)


@breaks("marks/credentials.py", '"thumbnail": {"enabled": False}', '"thumbnail": {"enabled": True}')
@breaks("marks/credentials.py", "0o600)", "0o644)")
@breaks("marks/credentials.py", '["trust"] = {"user_anchors"', '["trust"] = {"ignored"')
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_signed_file_is_trusted_here_and_broken_by_one_byte(kind):
    plain = file(kind)
    signed = credentials.sign(plain, ORIGIN, watermark="00ff")
    assert containers.has_credentials(signed) and not containers.has_credentials(plain)
    assert 3000 < len(signed) - len(plain) < 4000
    told = credentials.read(signed)
    assert (told.state, told.generator, told.made_by_ai) == ("trusted", "Zeuxis", True)
    assert containers.xmp_of(signed) == containers.xmp_of(plain)
    with Image.open(io.BytesIO(plain)) as one, Image.open(io.BytesIO(signed)) as two:
        assert np.array_equal(np.asarray(one), np.asarray(two))
    changed = bytearray(signed)
    changed[-40] ^= 1
    assert credentials.read(bytes(changed)).state == "broken"
    assert credentials.read(plain) is None
    mode = (credentials.folder() / credentials.KEY).stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


@breaks("marks/credentials.py", "if source is not None:", "if False:")
def test_an_edit_keeps_a_strangers_credentials_as_an_ingredient(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    foreign = credentials.sign(file("JPEG"), ORIGIN)
    monkeypatch.undo()
    assert credentials.read(foreign).state == "valid"
    kept = metadata.kept_of(foreign)
    edited = credentials.sign(file("PNG"), EDIT, kept.signed)
    told = credentials.read(edited)
    assert (told.state, told.ingredients) == ("trusted", 1)


def test_where_the_packages_are_missing_one_sentence_says_so(monkeypatch):
    monkeypatch.setattr(credentials, "installed", lambda: False)
    with pytest.raises(
        Unable, match=r"pip install 'zeuxis\[credentials\]'; metadata and watermark"
    ):
        credentials.needed()
