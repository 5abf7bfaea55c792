"""What written pictures say of where they come from, read by Pillow."""

import html
import io
import json
import re
import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.support.kit import build, wake
from tests.support.sabotage import breaks
from zeuxis import create
from zeuxis.core.film import write_film
from zeuxis.inference import artefact
from zeuxis.inference.model import load
from zeuxis.inference.results import Images
from zeuxis.marks import containers, metadata
from zeuxis.marks.metadata import Kept, Origin

ORIGIN = Origin("Zeuxis flow", "1.2")
DRAWN = metadata.SOURCE_TYPES + "trainedAlgorithmicMedia"
EDITED = metadata.SOURCE_TYPES + "compositeWithTrainedAlgorithmicMedia"
SOURCE = metadata.packet(ORIGIN).replace(
    b"<rdf:Description",
    b'<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" dc:rights="Ann"',
)


def picture(mode="RGB", side=24):
    noise = np.random.default_rng(0).integers(0, 256, (side, side, len(mode)), np.uint8)
    return Image.fromarray(noise[..., 0] if mode == "L" else noise, mode if mode != "L" else None)


def encoded(kind, mode="RGB", **options):
    buffer = io.BytesIO()
    picture(mode).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    family, folder = wake(build("vae")), tmp_path_factory.mktemp("runs") / "vae"
    artefact.save(folder, "vae", family, family.state_dict(), dataset={"labels": [[[0, 1], 1]]})
    return load(folder)


@breaks("marks/containers.py", "header[0] |= EXIF | XMP", "")
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {"mode": "RGB"}),
        ("PNG", {"mode": "L"}),
        ("JPEG", {"mode": "RGB"}),
        ("JPEG", {"mode": "L", "dpi": (72, 72)}),
        ("WEBP", {"mode": "RGB"}),
        ("WEBP", {"mode": "RGB", "lossless": True}),
        ("WEBP", {"mode": "RGBA", "lossless": True}),
        ("WEBP", {"mode": "RGBA", "quality": 50, "icc_profile": b"a profile"}),
    ],
)
def test_pillow_reads_the_packet_and_the_software_and_the_same_pixels(kind, options):
    plain = encoded(kind, **options)
    marked = metadata.put(plain, ORIGIN)
    with Image.open(io.BytesIO(plain)) as before, Image.open(io.BytesIO(marked)) as after:
        assert after.mode == before.mode and np.array_equal(np.asarray(after), np.asarray(before))
        assert after.info.get("icc_profile") == before.info.get("icc_profile")
        packet = after.info.get("xmp") or after.info["XML:com.adobe.xmp"].encode()
        software = after.info.get("Software") or after.getexif()[0x0131]
    assert packet == metadata.packet(ORIGIN) == containers.xmp_of(marked)
    assert f'Iptc4xmpExt:DigitalSourceType="{DRAWN}"'.encode() in packet
    assert b'AISystemUsed="Zeuxis flow"' in packet and b'AISystemVersionUsed="1.2"' in packet
    assert software == "Zeuxis 1.2"
    assert containers.xmp_of(plain) is None and not containers.has_credentials(marked)


@pytest.mark.parametrize("suffix", [".webp", ".gif", ".mp4"])
def test_films_say_it_too_and_play_as_before(suffix, tmp_path):
    if suffix == ".mp4":
        pytest.importorskip("av")
    frames = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    plain, marked = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    write_film(frames, plain)
    write_film(frames, marked, finish=lambda content: metadata.put(content, ORIGIN))
    assert containers.xmp_of(marked.read_bytes()) == metadata.packet(ORIGIN)
    if suffix == ".mp4":
        import av

        with av.open(str(marked)) as film:
            assert len(list(film.decode(video=0))) == 3
        return
    with Image.open(plain) as before, Image.open(marked) as after:
        assert after.n_frames == before.n_frames == 3 and after.info["loop"] == 0
        for at in range(3):
            before.seek(at)
            after.seek(at)
            assert np.array_equal(
                np.asarray(before.convert("RGB")), np.asarray(after.convert("RGB"))
            )


@breaks("marks/metadata.py", 'ELEMENT.sub(b"", PROPERTY.sub(b"", kept or EMPTY))', "kept or EMPTY")
def test_what_a_source_said_stays_and_what_is_no_longer_true_goes():
    edited = metadata.packet(Origin("Zeuxis vae", "2", metadata.EDITED), SOURCE)
    assert metadata.is_plain(edited)
    assert b'dc:rights="Ann"' in edited and edited.count(b"DigitalSourceType=") == 1
    assert EDITED.encode() in edited and DRAWN.encode() not in edited
    long = b"<Iptc4xmpExt:DigitalSourceType>x</Iptc4xmpExt:DigitalSourceType>"
    assert long not in metadata.packet(ORIGIN, SOURCE.replace(b"</rdf:RDF>", long + b"</rdf:RDF>"))


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>' + metadata.packet(
    ORIGIN
).replace(b'"1.2"', b'"&b;"')


@breaks("marks/metadata.py", "raise ValueError", "pass")
@breaks("marks/metadata.py", "ends == [text.find(END)]", "True")
@pytest.mark.parametrize(
    "packet",
    [
        BOMB,
        b"\xff\xfe",
        b"<a",
        b"<a></a>",
        SOURCE + b" " * 60_000,
        SOURCE[:-30],
        b"<rdf:RDF xmlns:rdf='x'><!-- </rdf:RDF> --></rdf:RDF >",
    ],
    ids=["bomb", "no text", "cut", "other", "long", "open", "hidden"],
)
def test_a_strangers_packet_that_is_none_is_left_out(packet):
    assert not metadata.is_plain(packet)
    file = containers.put(encoded("PNG"), packet, "x")
    assert metadata.kept_of(file) is None and metadata.kept_of(np.zeros(3)) is None


@breaks("inference/results.py", "if mark is None:", "if True:")
def test_results_say_what_they_are_and_unmarked_ones_nothing(model, tmp_path):
    drawn = model.sample(2, seed=1)
    assert drawn.provenance["digital_source_type"] == "trainedAlgorithmicMedia"
    edited = model.reconstruct(drawn.images)
    assert edited.provenance["digital_source_type"] == metadata.EDITED
    for result, said in ((drawn, DRAWN), (edited, EDITED)):
        result.write(tmp_path / "out")
        result.write_sheet(tmp_path / "sheet.png")
        names = ["out/0000.png", "out/0001.png", "sheet.png"]
        for content in [*((tmp_path / n).read_bytes() for n in names), *result.files()]:
            assert f'"{said}"'.encode() in containers.xmp_of(content)
            assert b"tmp" not in content and b"runs" not in content
    bare = model.sample(2, seed=1, unmarked=True)
    assert np.array_equal(bare.images, drawn.images) and bare.provenance["unmarked"] is True
    bare.write(tmp_path / "bare")
    assert containers.xmp_of((tmp_path / "bare" / "0000.png").read_bytes()) is None
    assert json.loads((tmp_path / "bare" / "samples.json").read_text())["unmarked"] is True
    with zipfile.ZipFile(io.BytesIO(bare.as_file())) as archive:
        assert containers.xmp_of(archive.read("0000.png")) is None
    walk = model.interpolate(1, 2, 3)
    walk.write_film(tmp_path / "walk.webp")
    assert DRAWN.encode() in containers.xmp_of((tmp_path / "walk.webp").read_bytes())


@breaks("inference/verb.py", "model.folder.resolve().name", "str(model.folder)")
@breaks("marks/mark.py", 'not told.pop("recipe", False)', "False")
def test_a_file_tells_its_recipe_only_if_it_was_asked_to(model):
    for recipe in (False, True):
        made = model.sample(2, seed=1, labels=None, recipe=recipe)
        *_, second = made.files()
        assert (b"Recipe" in containers.xmp_of(second)) is recipe
    said = re.search(rb'zeuxis:Recipe=(".*?"|\'.*?\')', containers.xmp_of(second))[1]
    told = json.loads(html.unescape(said[1:-1].decode()))
    assert told["file"] == "0001.png" and told["verb"] == "sample" and told["seed"] == 1
    assert told["run"] == made.provenance["run"] == model.folder.name and told["count"] == 2
    edited = metadata.packet(ORIGIN, containers.xmp_of(second))
    assert b"Recipe" not in edited


@breaks("data/pictures.py", "said.append(kept_of(content))", "said.append(None)")
@breaks("inference/sent.py", 'tell(file_bytes(value, "a file"))', "None")
@breaks(
    "create/pictures.py",
    "kept = hashlib.sha256(content).hexdigest(), kept_of(content)",
    "kept = hashlib.sha256(content).hexdigest(), None",
)
def test_edits_keep_what_the_files_of_their_sources_said(model, tmp_path):
    from zeuxis.inference.verbs import VERBS

    content = containers.put(encoded("PNG"), SOURCE, "x")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(content)
    verb = VERBS["reconstruct"]
    for given in (
        verb.read(model, {"images": str(tmp_path / "photos")}),
        verb.take(model, {"images": [content]}, 9),
    ):
        packet = containers.xmp_of(next(verb(model, **given).files()))
        assert b'dc:rights="Ann"' in packet and EDITED.encode() in packet
    (tmp_path / "b.png").write_bytes(content)
    made = create.texture(str(tmp_path / "b.png"), size=16)
    packet = containers.xmp_of(made.as_file())
    assert b'dc:rights="Ann"' in packet and b"algorithmicallyEnhanced" in packet
    assert b"AISystemUsed" not in packet


def test_results_that_were_put_together_by_hand_are_drawn_by_a_model():
    images = Images(images=np.zeros((1, 8, 8, 3), np.uint8), kept=[Kept(xmp=SOURCE)])
    packet = containers.xmp_of(next(images.files()))
    assert DRAWN.encode() in packet and b'dc:rights="Ann"' in packet
