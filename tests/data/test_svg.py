"""SVG is drawn at the size that is wanted, with alpha, and may be a stranger's."""

import base64
import io
import subprocess
import sys
import tarfile
import zipfile

import pytest
from PIL import Image

from tests.support.sabotage import breaks
from zeuxis import data
from zeuxis.core.settings import Data
from zeuxis.data.preparation import decode, vector, workers
from zeuxis.data.preparation.decode import Refused, Target

drawn = pytest.mark.skipif(not vector.AVAILABLE, reason="needs zeuxis[svg]")
HEAD = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
LEFT = '<path d="M0 0h5v10h-5z" fill="#f00"/>'


def svg(body=LEFT, root='viewBox="0 0 10 10"', before=""):
    return f"{before}<svg {HEAD} {root}>{body}</svg>".encode()


def colour(number):
    body = (
        f'<circle cx="5" cy="5" r="{2 + number / 10}" fill="#{number * 1111111 % 0xFFFFFF:06x}"/>'
    )
    return svg(body)


@pytest.fixture
def draw():
    """Draws files as a pass over a source does, each set of arguments in a process of its own."""
    started = []

    def draw(*contents, target=None):
        started.append(workers.Worker(target or Target(16, 16, 4)))
        return started[-1].decode(contents)

    yield draw
    for worker in started:
        worker.close()


def packed(kind, files, folder):
    if kind == "folder":
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder
    path = folder.with_suffix(f".{kind}")
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path


FILES = {f"{'ab'[i % 2]}/{i}.svg": colour(i) for i in range(1, 13)}


@drawn
@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
@pytest.mark.parametrize("channels", [3, 4])
def test_every_kind_of_source_is_drawn(tmp_path, kind, channels):
    source = packed(kind, FILES, tmp_path / "icons")
    made = data.prepare(source, tmp_path / "set", Data(size=(24, 24), channels=channels))
    assert len(made) == 12 and made.facts["found"]["formats"] == {"SVG": 12}
    assert made.conditions[0].classes == ("a", "b")
    corner, middle = made.images[:, 0, 0], made.images[:, 12, 12]
    assert (corner == (255, 255, 255, 0)[:channels]).all()
    if channels == 4:
        assert (middle[:, 3] == 255).all()
    assert made.facts["found"]["enlarged"] == 0 and not made.facts["left_out"]


@drawn
def test_a_small_set_of_no_given_size_is_64_pixels(tmp_path):
    made = data.prepare(packed("folder", FILES, tmp_path / "icons"), tmp_path / "set")
    assert made.images.shape == (12, 64, 64, 3)
    assert made.facts["found"]["sizes"] == [[64, 64, 12]]


@drawn
@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        ("crop", [[1, 1], [1, 1]]),  # the middle 10 of 20
        ("pad", [[0, 0], [1, 1]]),  # as wide as the frame, half as high
        ("stretch", [[1, 0], [1, 0]]),
    ],
)
def test_the_frame_is_filled_as_photos_fill_it(draw, fit, expected):
    wide = svg(
        '<path d="M0 0h10v10h-10z"/>' if fit == "stretch" else '<path d="M0 0h20v10h-20z"/>',
        'width="20mm" height="10mm" viewBox="0 0 20 10"',
    )
    [found] = draw(wide, target=Target(16, 16, 4, fit))
    alpha = found.pixels_HWC[..., 3] / 255
    assert [
        [alpha[1, 4], alpha[1, 12]],
        [alpha[8, 4], alpha[8, 4 if fit != "stretch" else 12]],
    ] == expected
    assert (found.height, found.width) == (16, 32)


@drawn
@pytest.mark.parametrize(
    ("root", "shape"),
    [
        ('viewBox="0 0 10 5"', (32, 64)),
        ('width="3in" height="1in"', (21, 64)),
        ('width="100%" height="100%" viewBox="-5,-5,10,20"', (64, 32)),
        ('width="8"', (64, 64)),
        ('width="0" height="-4" viewBox="0 0 0 nan"', (64, 64)),
    ],
)
def test_the_proportions_are_those_that_the_file_says(root, shape):
    assert decode.header(svg(root=root)) == (*shape, "RGBA", True)


@drawn
@breaks("data/preparation/vector.py", "            _keep_within(element)", "            pass")
@pytest.mark.parametrize("way", ["href", "xlink:href"])
@pytest.mark.parametrize(
    "body",
    [
        '<image {way}="{file}" width="10" height="10"/>',
        '<filter id="f"><feImage {way}="{file}"/></filter><path d="M0 0h10v10z" filter="url(#f)"/>',
    ],
)
def test_no_other_file_is_read(draw, tmp_path, monkeypatch, way, body):
    Image.new("RGB", (4, 4), (255, 0, 0)).save(tmp_path / "secret.png")
    monkeypatch.chdir(tmp_path)
    files = (str(tmp_path / "secret.png"), "secret.png", "  ./secret.png")
    blue = LEFT.replace("f00", "00f")
    for found in draw(*(svg(blue + body.format(way=way, file=file)) for file in files)):
        seen = found.pixels_HWC[alpha_of(found)]
        assert len(seen) and (seen[:, :3] == (0, 0, 255)).all()


def link(kind, content):
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def alpha_of(found):
    return found.pixels_HWC[..., 3] > 0


@drawn
def test_data_in_the_file_is_drawn_but_leads_to_no_other(draw, tmp_path):
    Image.new("RGB", (4, 4), (255, 0, 0)).save(tmp_path / "red.png")
    png = (tmp_path / "red.png").read_bytes()
    inner = svg(f'<image href="{tmp_path / "red.png"}" width="10" height="10"/>')
    frame = '<image href="{}" width="10" height="10"/>'
    images = [
        svg(frame.format(link("image/png", png))),
        svg(frame.format(link("image/svg+xml", inner))),
    ]
    shown, hidden = draw(*images)
    assert (shown.pixels_HWC == (255, 0, 0, 255)).all() and not alpha_of(hidden).any()


LAUGHS = "<!DOCTYPE svg [<!ENTITY a0 'aaaaaaaaaa'>" + "".join(
    f"<!ENTITY a{i} '{10 * f'&a{i - 1};'}'>" for i in range(1, 10)
)
USES = '<g id="g{0}">' + 10 * '<use href="#g{1}"/>' + "</g>"
HOSTILE = {
    "laughs": svg("<title>&a9;</title>", before=LAUGHS + "]>"),
    "outside": svg(
        "<title>&x;</title>", before="<!DOCTYPE svg [<!ENTITY x SYSTEM '/etc/hostname'>]>"
    ),
    "deep": svg("<g>" * 50000 + "</g>" * 50000),
    "no end": svg()[:-5],
    "no svg": b"<html><svg/></html>",
    "large": svg("<!--" + "x" * vector.LARGEST + "-->"),
    "uses": svg(
        "".join(map(USES.format, range(1, 12), range(11))) + '<path id="g0" d="M0 0h1v1z"/>'
    ),
}


@drawn
@breaks("data/preparation/vector.py", "if len(content) > LARGEST:", "if False:")
def test_hostile_files_are_refused_one_by_one(draw):
    good = svg()
    *found, last = draw(*HOSTILE.values(), good)
    reasons = {name: getattr(each, "reason", "") for name, each in zip(HOSTILE, found, strict=True)}
    assert reasons == dict.fromkeys(HOSTILE, "corrupt")
    assert alpha_of(last).any()


BOUNDED = """
import sys
from zeuxis.data.preparation import vector
vector.CPU_S, vector.MEMORY = map(int, sys.argv[1:])
vector.drawn(sys.stdin.buffer.read(), 16, 16, "crop")
"""


def noise():
    graph = '<filter id="f"><feTurbulence numOctaves="99999" baseFrequency=".1"/></filter>'
    return graph + 99 * '<path d="M0 0h10v10h-10z" filter="url(#f)"/>'


def bomb():
    content = io.BytesIO()
    Image.new("1", (12000, 12000)).save(content, "PNG")
    return f'<image width="9" height="9" href="{link("image/png", content.getvalue())}"/>'


@drawn
@pytest.mark.parametrize(("body", "seconds", "memory"), [(noise, 0, 3 << 30), (bomb, 10, 5 << 27)])
def test_a_drawing_without_bounds_ends_its_process(body, seconds, memory):
    command = [sys.executable, "-c", BOUNDED, str(seconds), str(memory)]
    done = subprocess.run(command, input=svg(body()), capture_output=True)
    assert done.returncode < 0


@drawn
def test_text_is_noted_and_a_drawing_is_no_map(draw):
    [found] = draw(svg(LEFT + '<text y="9">Hi</text>'))
    assert found.notes == (vector.TEXT,)
    for target in (Target(16, 16, 1, kind="map"), Target(16, 16, 3, part="left")):
        assert [each.reason for each in draw(svg(), target=target)] == ["unsupported"]


@drawn
def test_elsewhere_it_is_said_to_prepare_a_set():
    with pytest.raises(Refused, match="zeuxis data prepare"):
        decode.decode(svg(), Target(16, 16, 3))


WITHOUT = """
import sys
sys.modules["resvg_py"] = None
from zeuxis.data.preparation import decode
from zeuxis.data.source import open_source
print(open_source(sys.argv[1]).problems)
try:
    decode.decode(b"<svg/>", None)
except ValueError as error:
    print(error)
"""


@breaks("data/preparation/vector.py", "zeuxis[svg]'; or", "zeuxis'; or")
def test_without_the_extra_one_sentence_names_it(tmp_path):
    (tmp_path / "a.svg").write_bytes(svg())
    command = [sys.executable, "-c", WITHOUT, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True).stdout
    assert said.count("pip install 'zeuxis[svg]'; or convert it to PNG") == 2
