"""Pictures of any size through families that translate: sizes, tiles, names, alpha, colours, samples."""

import re
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from tests.support.front import zeuxis
from tests.support.kit import changed, wake
from tests.support.one_ability import in_table
from tests.support.sabotage import breaks
from tests.support.toy import Toy
from zeuxis import families, load
from zeuxis.core.errors import Invalid, Unable
from zeuxis.core.fields import Field
from zeuxis.core.files import read_json
from zeuxis.core.pixels import from_uint8, to_array, to_tensor, to_uint8
from zeuxis.data.originals import originals
from zeuxis.data.pictures import picture
from zeuxis.inference import artefact, tiling
from zeuxis.inference.results import NOTE
from zeuxis.inference.verbs import VERBS
from zeuxis.sampling import any_size

COLOUR = Field(name="source", kind="image", shape=(3, 8, 8))
MAP = Field(name="source", kind="map", shape=(8, 8), classes=("sky", "sea", "land"))


class Noisy(Toy):
    """A toy whose images differ by seed."""

    def noise(self, rng):
        return {"level": 0.2 * rng.normal("level", 1)}

    def translate(self, source, noise, cond, controls, progress=None):
        painted = self.paint(source, cond) + noise["level"][..., None, None]
        return painted.clamp(-1, 1)


KINDS = {
    "toy": {},
    "noisy": {},
    "stylise": {},
    "enhance": {},
    "enhance at scale 1": {"scale": 1},
    "enhance at scale 4": {"scale": 4},
    "pix2pix": {"source": COLOUR},
    "pix2pix of maps": {"source": MAP},
    "unpaired by contrast": {"method": "contrast"},
    "palette": {"source": COLOUR, "jumps": 0.2},
    "palette of maps": {"source": MAP},
    "paint": {"source": COLOUR, "jumps": 0.0},
    "paint of maps": {"source": MAP},
}
SCALES = {"toy": 2, "noisy": 2, "enhance": 2, "enhance at scale 4": 4}
"""How many times as large as its source an image is; the toy was trained on such a source."""
FLOWS = [name for name in KINDS if name.split()[0] in ("palette", "paint")]
"""Those that see to the parts of a picture themselves."""


@pytest.fixture(scope="module", autouse=True)
def table():
    with in_table(Toy, Noisy):
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Name -> folder of a model with weights that do something."""
    made = {}
    for name, values in KINDS.items():
        family = name.split()[0]
        model = wake(families.build(family, changed(families.get(family).TINY, **values)), 0.1)
        made[name] = tmp_path_factory.mktemp("runs") / name.replace(" ", "-")
        artefact.save(made[name], family, model, model.state_dict())
    return made


def drawn(height, width, channels=3, seed=0):
    """A soft random picture."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, channels), np.uint8)
    plain = coarse[..., 0] if channels == 1 else coarse
    large = Image.fromarray(plain).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(large).reshape(height, width, channels)


def ids(height, width):
    return np.random.default_rng(height).integers(-1, 3, (height, width))


@pytest.mark.parametrize("size", [(7, 9), (8, 8), (9, 7), (31, 40), (300, 200), (4, 61)], ids=str)
@pytest.mark.parametrize("name", KINDS)
def test_a_picture_of_any_size_gives_the_same_pixels_in_python_and_on_the_command_line(
    name, size, runs, tmp_path
):
    is_map = name.endswith("maps")
    source = ids(*size).clip(0) if is_map else drawn(*size)
    (tmp_path / "given").mkdir()
    Image.fromarray(source.astype(np.uint8)).save(tmp_path / "given" / "a.b.png")
    words = [tmp_path / "given", "--unmarked", "--out", tmp_path / "made"]
    assert zeuxis("translate", runs[name], *words) == 0
    made = picture(tmp_path / "made" / "a.b.png", None, tmp_path)
    found = load(runs[name]).translate([source]).images[0]
    assert np.array_equal(made, found)
    scale = SCALES.get(name, 1)
    assert made.shape == (size[0] * scale, size[1] * scale, 3)
    assert np.ptp(made) > 0


@breaks("nn/plain.py", "return 3 + self.side + blocks + again", "return 0 * blocks * again")
@breaks("families/stylise.py", "2 + 1 + 2 + 4 * len(self.inner)", "2 + 0 * len(self.inner)")
@breaks("families/enhance.py", "(2 + 2 * len(self.blocks))", "(1 + 2 * len(self.blocks))")
@breaks("inference/tiling.py", "max(start - margin, 0)", "start")
@breaks(
    "inference/tiling.py",
    "_times(kept_columns, scale, columns.start)",
    "_times(kept_columns, scale, columns.start + 1)",
)
@pytest.mark.parametrize("name", [n for n in KINDS if n not in ("toy", "noisy", *FLOWS)])
@torch.no_grad()
def test_tiles_equal_the_whole(name, runs, monkeypatch):
    family = load(runs[name]).family
    source = ids(150, 131) if name.endswith("maps") else drawn(150, 131)
    noted = {}

    def call(part):
        stored = torch.from_numpy(part[None]) if part.ndim == 2 else to_tensor(part[None].copy())
        inside = stored if part.ndim == 2 else from_uint8(stored)
        noted.update(noted or family.survey(inside))
        return to_array(to_uint8(family.translate(inside, {}, noted, family.Controls())))[0]

    around = family.stride, family.margin, family.scale
    whole = tiling.by_parts(call, source, *around)
    monkeypatch.setattr(tiling, "LARGEST", (family.scale * (2 * family.margin + 40)) ** 2)
    assert len(list(tiling.parts(150, 131, *around))) > 2
    tiled = tiling.by_parts(call, source, *around)
    apart = np.abs(tiled.astype(int) - whole)
    assert (
        apart.max() <= 1 and (apart > 0).mean() < 1e-3
    )  # kernels round by the size of their input


@breaks("inference/translate.py", "if small is not source:", "if False:")
def test_parts_of_a_large_picture_share_its_statistics(runs, monkeypatch):
    """It is dark on the left: windows that saw only themselves would each have a contrast of its own."""
    model, source = load(runs["stylise"]), drawn(120, 200)
    source = (source * np.linspace(0.1, 1, 200)[None, :, None]).astype(np.uint8)
    whole = model.translate([source]).images[0].astype(int)
    monkeypatch.setattr(tiling, "LARGEST", (2 * model.family.margin + 24) ** 2)
    tiled = model.translate([source]).images[0].astype(int)
    assert np.abs(tiled - whole).mean() < 8
    columns = [kept.start for _, kept in tiling.parts(200, 120, 4, model.family.margin)][1:]
    steps, elsewhere = (np.abs(np.diff(each, axis=1)).mean((0, 2)) for each in (tiled, whole))
    at = np.array(columns) - 1
    assert len(at) > 2 and steps[at].mean() < 1.05 * elsewhere.mean()


@breaks("sampling/any_size.py", "max(side - side // OVERLAP, 1)", "side")
@pytest.mark.parametrize("steps", [3, 8])
@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_s_windows_leave_no_seam(name, steps, runs, monkeypatch):
    """Their norms see other surroundings, and yet steps at their borders are those of the whole picture."""
    model, source = load(runs[name]), ids(96, 144) if "maps" in name else drawn(96, 144)
    whole = model.translate([source], steps=steps).images[0].astype(int)
    monkeypatch.setattr(any_size, "LARGEST", 48 * 48)
    tiled = model.translate([source], steps=steps).images[0].astype(int)
    multiple = model.family.net.multiple
    starts = any_size._starts(144, 48, multiple)[1:]
    ends = [start + 48 for start in any_size._starts(144, 48, multiple)[:-1]]
    at = np.array([*starts, *ends]) - 1
    steps_at_borders = []
    for made in (tiled, whole):
        across = np.abs(np.diff(made, axis=1)).mean((0, 2))
        steps_at_borders.append(across[at].mean() / across.mean())
    assert not np.array_equal(tiled, whole)
    assert steps_at_borders[0] == pytest.approx(steps_at_borders[1], rel=0.05)


@breaks("inference/tiling.py", "sum_HWC /= share_HW1", "pass")
@pytest.mark.parametrize("image", [(8, 8), (16, 16), (12, 4), (4, 4)], ids=str)
def test_windows_of_one_size_are_blended_without_seams(image):
    """A network that resizes, window by window, gives the resized picture."""
    height, width = (side / 8 for side in image)

    def call(tiles):
        rows, columns = ((np.arange(n) * 8 // n) for n in image)
        return tiles[:, rows][:, :, columns]

    for size in ((5, 6), (8, 8), (30, 43)):
        source = np.full((*size, 1), 130, np.uint8)
        source[: size[0] // 2] = 20
        made = tiling.blended(call, source, (8, 8), image)
        assert made.shape == (-(-size[0] * height // 1), -(-size[1] * width // 1), 1)
        assert set(np.unique(made)) == {20, 130}


def test_names_folders_alpha_and_grey_are_kept(runs, tmp_path):
    given = tmp_path / "given"
    for name, channels in (("x/cat.png", 4), ("y/cat.png", 1), ("dog.png", 3)):
        (given / name).parent.mkdir(parents=True, exist_ok=True)
        plain = drawn(20, 24, channels, seed=channels)
        Image.fromarray(plain[..., 0] if channels == 1 else plain).save(given / name)
    out = tmp_path / "made"
    words = [given / "x", given / "y", given / "dog.png", "--unmarked"]
    for _ in "ab":  # written anew over its own
        assert (
            zeuxis("translate", runs["pix2pix"], *words, "--out", out, "--grid", tmp_path / "g.png")
            == 0
        )
    made = {path.name: picture(path, None, out) for path in out.glob("*.png")}
    assert set(made) == {"cat.png", "cat-2.png", "dog.png"}
    alpha = picture(given / "x" / "cat.png", None, given)[..., 3]
    assert np.array_equal(made["cat.png"][..., 3], alpha) and made["dog.png"].shape == (20, 24, 3)
    grey = drawn(20, 24, 1, seed=1)
    found = load(runs["pix2pix"]).translate([grey]).images
    assert np.array_equal(found[0], made["cat-2.png"])
    assert zeuxis("translate", runs["pix2pix"], given / "dog.png", "--out", out) == 0
    assert [path.name for path in out.glob("*.png")] == ["dog.png"]


@breaks("data/originals.py", "through(to_pil(image_HWC), profile), io", "to_pil(image_HWC), io")
def test_a_colour_profile_is_kept_and_its_colours_too(runs, tmp_path):
    """A profile whose three lights are swapped: what looks red in it is stored as green."""
    lab = ImageCms.createProfile("sRGB")
    content = bytearray(ImageCms.ImageCmsProfile(lab).tobytes())
    for old, new in ((b"rXYZ", b"tmp1"), (b"gXYZ", b"rXYZ"), (b"tmp1", b"gXYZ")):
        content = content.replace(old, new, 1)
    content = content.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    source = drawn(16, 16)
    Image.fromarray(source).save(tmp_path / "a.png", icc_profile=bytes(content))
    assert originals([tmp_path / "a.png"]).profiles == [bytes(content)]
    assert zeuxis("translate", runs["pix2pix"], tmp_path / "a.png", "--out", tmp_path / "made") == 0
    with Image.open(tmp_path / "made" / "a.png") as stored:
        assert stored.info["icc_profile"] == bytes(content)
    again = originals([tmp_path / "made" / "a.png"]).images[0].astype(int)
    made = load(runs["pix2pix"]).translate(originals([tmp_path / "a.png"])).images[0]
    assert np.abs(again - made).mean() < 4  # in sRGB both are the same, but for 8 bits in between


@breaks("inference/translate.py", "self.seed + sample", "self.seed")
def test_samples_have_seeds_a_mean_and_a_spread(runs, tmp_path, capsys):
    Image.fromarray(drawn(9, 7)).save(tmp_path / "a.png")
    out = tmp_path / "made"
    words = (
        "translate",
        runs["noisy"],
        tmp_path / "a.png",
        "--samples",
        4,
        "--seed",
        3,
        "--unmarked",
        "--out",
        out,
    )
    assert zeuxis(*words) == 0
    seeds = [f"a-seed{seed}.png" for seed in (3, 4, 5, 6)]
    assert {p.name for p in out.glob("*.png")} == {*seeds, "a-mean.png", "a-spread.png"}
    made = np.stack([picture(out / name, None, out) for name in seeds]).astype(float)
    assert np.abs(picture(out / "a-mean.png", None, out) - made.mean(0)).max() <= 0.51
    assert np.abs(picture(out / "a-spread.png", None, out) - 2 * made.std(0)).max() <= 0.6
    assert "standard deviation over 4 samples" in capsys.readouterr().out
    model = load(runs["noisy"])
    alone = model.translate([drawn(9, 7)], seed=5).images[0]
    assert np.array_equal(alone, made[2])
    assert read_json(out / NOTE)["samples"] == 4


def test_a_family_without_noise_has_no_samples(runs):
    with pytest.raises(Unable, match="the samples do not differ: a pix2pix makes one image"):
        load(runs["pix2pix"]).translate([drawn(9, 7)], samples=2)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (np.zeros((9, 7, 2), np.uint8), "expected uint8 images"),
        (np.zeros((9, 7, 3)), "float64 of shape"),
        (np.full((9, 7), 5), "expected uint8 images"),
    ],
)
def test_bad_arrays_are_one_sentence(source, sentence, runs):
    with pytest.raises(Invalid, match=sentence):
        load(runs["pix2pix"]).translate([source])
    with pytest.raises(Invalid, match="at least 1 source"):
        load(runs["pix2pix"]).translate([])
    with pytest.raises(
        Invalid,
        match="source 0 has class ids .* learned: 3; it knows 0 sky #f06969, 1 sea #54ec83, 2 land",
    ):
        load(runs["pix2pix of maps"]).translate([np.full((9, 7), 3)])


def test_bad_files_are_one_sentence(runs, tmp_path, capsys):
    (tmp_path / "note.png").write_text("no picture")
    (tmp_path / "empty").mkdir()
    head = b"IHDR" + struct.pack(">II", 10_000, 10_000) + bytes([8, 0, 0, 0, 0])
    chunks = [
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c))
        for c in (head, b"IDAT")
    ]
    (tmp_path / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    Image.new("RGB", (2, 2)).save(tmp_path / "dot.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "good.png")
    for name, said in (
        ("note.png", "not? ?a? .*PNG"),
        ("empty", "no image"),
        ("huge.png", "100000000 pixels|oversized|exceeds"),
        ("dot.png", "at least 4 a side"),
        ("nowhere", "nowhere"),
    ):
        assert zeuxis("translate", runs["pix2pix"], tmp_path / name, "--out", tmp_path / "o") == 2
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert re.search(said, line), line
    assert zeuxis("translate", runs["pix2pix"], tmp_path / "good.png", "steps=3") == 2
    assert "no setting steps" in capsys.readouterr().err


@breaks("inference/arguments.py", "if far > 0.5:", "if False:")
@breaks("core/pixels.py", "ids_HW[clear], off_HW[clear] = -1, 0", "pass")
@breaks("core/pixels.py", "(apart**2).sum(2).argmin(1)", "apart[..., 0].argmin(1)")
def test_a_map_in_colours_is_taken_as_the_ids_of_the_nearest(runs, tmp_path, capsys):
    """Exact colours, those of a JPEG, and transparent ones, in Python and on the command line."""
    model, known = load(runs["paint of maps"]), ids(24, 31).repeat(8, 0).repeat(8, 1)
    palette = np.array([[0, 0, 0], [240, 105, 105], [84, 236, 131], [158, 68, 224]], np.uint8)
    coloured = np.dstack([palette[known + 1], np.where(known < 0, 0, 255).astype(np.uint8)])
    assert np.array_equal(MAP.visible(known[None])[0], palette[known + 1])
    made = model.translate([known])
    found = model.translate([coloured])
    assert np.array_equal(found.images[0], made.images[0]) and not found.notes
    given = tmp_path / "given"
    given.mkdir()
    Image.fromarray(coloured).save(given / "a.png")
    Image.fromarray(palette[known.clip(0) + 1]).save(given / "b.jpg", quality=90)
    assert (
        zeuxis("translate", runs["paint of maps"], given, "--unmarked", "--out", tmp_path / "made")
        == 0
    )
    said = re.sub(r"\s+", " ", capsys.readouterr().out)
    counted = re.search(r"b.jpg: ([\d,]+) of 47,616 pixels have no colour of the legend", said)
    assert 1000 < int(counted[1].replace(",", "")) <= 47_616 and "a.png:" not in said
    assert np.array_equal(picture(tmp_path / "made" / "a.png", None, tmp_path), made.images[0])
    nearest = sources(model, given / "b.jpg")[0]
    assert (nearest == known.clip(0)).mean() > 0.95
    with pytest.raises(
        Invalid, match="source 0 holds colours, and .*expected a map .*0 sky #f06969"
    ):
        model.translate([np.full((16, 16, 3), 7, np.uint8)])


def sources(model, path):
    """What a file is read as for a verb."""
    argument = VERBS["translate"].arguments["sources"]
    return argument.check(model, argument.read(model, [path], None), {})


def test_bad_maps_are_one_sentence(runs, tmp_path, capsys):
    """By the file's name, with what the model knows."""
    Image.fromarray(np.full((9, 9), 7, np.uint8)).save(tmp_path / "seven.png")
    Image.fromarray(drawn(16, 16, 1)[..., 0]).save(tmp_path / "grey.jpg")
    Image.fromarray(drawn(32, 32) // 4).save(tmp_path / "photo.png")
    for name, said in (
        (
            "seven.png",
            "seven.png has class ids .* not learned: 7; it knows 0 sky #f06969, .* nearest",
        ),
        ("grey.jpg", "JPEG changes class ids"),
        ("photo.png", "photo.png holds colours, and .* expected a map of class ids"),
    ):
        words = ["translate", runs["paint of maps"], tmp_path / name, "--out", tmp_path / "o"]
        assert zeuxis(*words) == 2
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert re.search(said, line), line
