"""Named sets, from what package registries carry, as prepared sets with credits and licence.

Package managers are called with lists of arguments, never through a shell, and only fetch: their
archives are read in place and thrown away.
"""

import csv
import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from zeuxis.core.errors import Conflict, Invalid
from zeuxis.core.settings import Data, suggest
from zeuxis.data.preparation import decode
from zeuxis.data.preparation.prepare import Progress, prepare_source
from zeuxis.data.prepared import Prepared
from zeuxis.data.source.arrays import ArraySource, open_idx
from zeuxis.data.source.avatars import open_avatars
from zeuxis.data.source.base import Item, Source

FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
STYLES = {
    "google": ("emoji-datasource-google@16.0.0", "package/img/google/64/"),
    "twitter": ("emoji-datasource-twitter@16.0.0", "package/img/twitter/64/"),
    "fluent": ("@lobehub/fluent-emoji-3d@1.1.0", "package/assets/"),
}
SKIN_TONES = range(0x1F3FB, 0x1F400)
PATCH = 64
CRAFTER = ("crafter==1.8.3", "opensimplex==0.4.5.1", "ruamel.yaml==0.18.6", "imageio==2.37.0")
FRAMES = 4096
USUAL = {"emoji": Data(channels=3)}
"""Emoji are put on white: metrics look at three channels. Ask for 4 to keep transparency."""
PATIENCE = 1800


def get(
    name: str, dest: str | Path, progress: Progress | None = None, settings: Data | None = None
) -> Prepared:
    """Fetch a named set and prepare it at `dest`.

    Args:
        name: one of `NAMES`.
        dest: a folder that does not exist yet or is empty.
        progress: called with (done, total) while it is prepared.
        settings: size, channels and fit, if not the set's own.

    Raises:
        ValueError: an unknown name, `dest` is taken, a package manager is missing or fails.
    """
    if name not in NAMES:
        raise Invalid(f"no data set {name!r}; {suggest(name, NAMES)}")
    dest = Path(dest)
    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        raise Conflict(f"{dest} is not empty; choose another folder or remove it")
    with tempfile.TemporaryDirectory(prefix="zeuxis-get-") as scratch:
        source = NAMES[name](Path(scratch))
        try:
            return prepare_source(source, dest, settings or USUAL.get(name, Data()), progress)
        finally:
            source.close()


def call(words: list[str], folder: Path, instead: str, path: str = "") -> None:
    """Run a package manager in `folder`.

    Raises:
        ValueError: it is not installed, fails or hangs; `instead` says what else can be done.
    """
    surroundings = {**os.environ, **({"PYTHONPATH": path} if path else {})}
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            env=surroundings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except FileNotFoundError as error:
        raise Invalid(f"{words[0]} is needed for this but not installed; {instead}") from error
    except subprocess.TimeoutExpired as error:
        raise Invalid(f"{words[0]} took more than {PATIENCE} s; try again later") from error
    if done.returncode:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
        last = next((line for line in reversed(said) if line.strip()), "no message")
        raise Invalid(f"{' '.join(words[:3])} failed ({last.strip()[:300]}); {instead}")


def fetched(folder: Path, pattern: str, words: list[str]) -> Path:
    """The one file that a package manager was to leave."""
    found = sorted(folder.glob(pattern))
    if not found:
        raise Invalid(f"{' '.join(words)} left no {pattern}; fetch the package by hand")
    return found[0]


def _avatars(_: Path) -> Source:
    return open_avatars()


def _fashion_mnist(scratch: Path) -> Source:
    """Debian's package: its own copy if installed, else downloaded and unpacked without root."""
    place = Path("usr/share/datasets/fashion-mnist")
    folder = Path("/") / place
    if not folder.is_dir():
        instead = (
            "elsewhere fetch the four files *-ubyte.gz of Fashion-MNIST and run: "
            "zeuxis data prepare FOLDER DEST"
        )
        words = ["apt-get", "download", "dataset-fashion-mnist"]
        call(words, scratch, instead)
        package = fetched(scratch, "dataset-fashion-mnist*.deb", words)
        call(["dpkg-deb", "-x", str(package), str(scratch / "x")], scratch, instead)
        folder = scratch / "x" / place
    source = open_idx(folder, FASHION)
    source.name = "fashion-mnist"
    source.licence = "MIT"
    source.credits = "Fashion-MNIST by Zalando Research (Xiao, Rasul and Vollgraf 2017)."
    return source


def _digits(scratch: Path) -> Source:
    """8x8 digits, from within scikit-learn's wheel, which is not installed."""
    words = [sys.executable, "-m", "pip", "download", "scikit-learn", "--no-deps", "--quiet"]
    words += ["--only-binary", ":all:", "--disable-pip-version-check"]
    call(words, scratch, "install pip, or give any folder of images instead")
    with zipfile.ZipFile(fetched(scratch, "scikit_learn-*.whl", words)) as wheel:
        content = gzip.decompress(wheel.read("sklearn/datasets/data/digits.csv.gz"))
    table = np.array(list(csv.reader(io.StringIO(content.decode()))), np.float32)
    pixels = np.rint(table[:, :64] * 255 / 16).astype(np.uint8).reshape(-1, 8, 8, 1)
    items = [Item(f"digit-{i:04d}", {"label": f"{y:.0f}"}) for i, y in enumerate(table[:, 64])]
    source = ArraySource("digits", [(pixels, items)])
    source.licence = "BSD-3-Clause (scikit-learn); data CC BY 4.0 (UCI)"
    source.credits = "Optical Recognition of Handwritten Digits, Alpaydin and Kaynak 1998 (UCI)."
    return source


def _emoji(scratch: Path) -> Source:
    """Three styles of each emoji that all three have; skin tones of one emoji stay together."""
    images: dict[str, dict[tuple[int, ...], bytes]] = {}
    about: dict[tuple[int, ...], dict[str, str]] = {}
    for style, (package, prefix) in STYLES.items():
        images[style] = {}
        for path, content in _npm(scratch, package):
            if path == "package/emoji.json" and not about:
                about = _emoji_facts(json.loads(content))
            if path.startswith(prefix) and path.endswith((".png", ".webp")):
                images[style][code_points(Path(path).stem)] = content
    shared = sorted(set.intersection(*(set(pictures) for pictures in images.values())) & set(about))
    items, files = [], []
    for style, pictures in images.items():
        for code in shared:
            facts = about[code]
            columns = {key: facts[key] for key in ("category", "subcategory")} | {"style": style}
            base = "-".join(f"{point:x}" for point in code if point not in SKIN_TONES)
            name = f"{style}/{'-'.join(f'{point:x}' for point in code)}"
            items.append(Item(name, columns, facts["name"], group=base))
            files.append(pictures[code])
    source = BytesSource("emoji", items, files)
    source.licence = "google: Apache-2.0; twitter: CC-BY-4.0 (credit it); fluent: MIT"
    source.credits = (
        "Noto Color Emoji by Google; Twemoji by Twitter and contributors (CC-BY-4.0); Fluent Emoji by "
        "Microsoft. Packaged by Cal Henderson (emoji-data) and LobeHub."
    )
    return source


def code_points(stem: str) -> tuple[int, ...]:
    """What an emoji file's name spells, without the variation selector.

    >>> code_points("0023-fe0f-20e3") == code_points("23-20e3")
    True
    """
    return tuple(point for point in (int(part, 16) for part in stem.split("-")) if point != 0xFE0F)


def _emoji_facts(table: list[dict[str, object]]) -> dict[tuple[int, ...], dict[str, str]]:
    """Code points -> name, category, subcategory; variants of skin inherit them."""
    about = {}
    for entry in table:
        facts = {key: str(entry[key]) for key in ("name", "category", "subcategory")}
        facts["name"] = facts["name"].lower()
        variants = entry.get("skin_variations") or {}
        assert isinstance(variants, dict)
        for code in [entry["unified"], *(v["unified"] for v in variants.values())]:
            about[code_points(str(code).lower())] = facts
    return about


def _earth(scratch: Path) -> Source:
    """Patches of 64 px, by day and by night, of the same places; a place is a group."""
    files = dict(_npm(scratch, "three-globe@2.45.2"))
    day = _picture(files["package/example/img/earth-blue-marble.jpg"])
    night = _picture(files["package/example/img/earth-night.jpg"])
    water = _picture(files["package/example/img/earth-water.png"]).resize(day.size).convert("L")
    wet = _patches(water)[..., 0].mean(axis=(1, 2)) / 255
    ground = ["sea" if w > 0.98 else "land" if w < 0.02 else "coast" for w in wet]
    across = day.size[0] // PATCH
    parts = []
    for time, picture in (("day", day), ("night", night)):
        pixels = _patches(picture.resize(day.size))
        items = []
        for i, kind in enumerate(ground):
            place = f"{i // across:02d}-{i % across:02d}"
            items.append(Item(f"{time}/{place}", {"time": time, "ground": kind}, group=place))
        parts.append((pixels, items))
    source = ArraySource("earth", parts)
    source.curated = False
    source.licence = "MIT (package); the images are uncredited there, as far as known NASA's"
    source.credits = "three-globe 2.45.2, example/img; Blue Marble and Black Marble are by NASA."
    return source


def _picture(content: bytes) -> Image.Image:
    return Image.fromarray(decode.decode(content, None).pixels_HWC.squeeze())


def _patches(picture: Image.Image) -> np.ndarray:
    """(N, 64, 64, C), row by row."""
    pixels = np.asarray(picture)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    h, w = pixels.shape[0] // PATCH, pixels.shape[1] // PATCH
    grid = pixels[: h * PATCH, : w * PATCH].reshape(h, PATCH, w, PATCH, -1)
    return np.ascontiguousarray(grid.transpose(0, 2, 1, 3, 4).reshape(h * w, PATCH, PATCH, -1))


def _crafter(scratch: Path) -> Source:
    """Frames of a small open world, played by an agent that wanders; a group is an episode."""
    words = [sys.executable, "-m", "pip", "install", "--target", str(scratch / "game"), "--no-deps"]
    words += ["--quiet", "--disable-pip-version-check", *CRAFTER]
    call(words, scratch, "install pip, or give any folder of images instead")
    script = Path(__file__).with_name("crafter_play.py")
    frames = scratch / "frames.npz"
    play = [sys.executable, "-P", str(script), str(frames), str(FRAMES)]
    call(play, scratch, "the game could not be played; report it", path=str(scratch / "game"))
    with np.load(frames, allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}
    rows = zip(arrays["ground"], arrays["light"], arrays["episode"], strict=True)
    items = [
        Item(f"frame-{i:05d}", {"ground": str(g), "light": str(t)}, group=f"episode {e}")
        for i, (g, t, e) in enumerate(rows)
    ]
    source = ArraySource("crafter", [(arrays["images"], items)])
    source.curated = False
    source.licence = "MIT"
    source.credits = "Crafter 1.8.3 by Danijar Hafner."
    return source


class BytesSource(Source):
    """Encoded files that are in memory already."""

    def __init__(self, name: str, items: list[Item], files: list[bytes]) -> None:
        super().__init__(name, "package")
        self.items = items
        self._files = files

    def read(self, index: int) -> bytes:
        """File `index`."""
        return self._files[index]


def _npm(scratch: Path, package: str) -> Iterator[tuple[str, bytes]]:
    """(path, bytes) of the regular files in an npm package; its scripts are not run."""
    words = ["npm", "pack", package, "--silent", "--ignore-scripts"]
    call(words, scratch, "install npm (Debian: apt install npm)")
    pattern = package.rpartition("@")[0].replace("@", "").replace("/", "-") + "-*.tgz"
    with tarfile.open(fetched(scratch, pattern, words)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() else None
            if file is not None:
                yield member.name, file.read()


NAMES: dict[str, Callable[[Path], Source]] = {
    "avatars": _avatars,
    "fashion-mnist": _fashion_mnist,
    "digits": _digits,
    "emoji": _emoji,
    "earth": _earth,
    "crafter": _crafter,
}
