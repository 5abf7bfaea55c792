"""Exports by name of their kind: what `zeuxis export RUN --to KIND` writes."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zeuxis.core.errors import Conflict, Invalid, NotFound, Unable
from zeuxis.core.progress import Progress
from zeuxis.core.settings import suggest
from zeuxis.export import npm, page, plain
from zeuxis.export.files import Asked, check_folder, networks, write_card
from zeuxis.export.meta import META
from zeuxis.export.parity import PARITY
from zeuxis.families import ADOPTED
from zeuxis.inference import artefact
from zeuxis.trust import cards


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of export.

    Attributes:
        write: does it, and gives the files that it wrote.
        what: in a sentence.
        uses: fields of `Asked` beside the run and the place.
        suffix: of the file; none if it is a folder.
    """

    write: Callable[[Asked, Progress | None], list[Path]]
    what: str
    uses: tuple[str, ...]
    suffix: str = ""


USE = """\
## Use

In Python, with `pip install onnxruntime` alone; other languages have onnxruntime, too.

```python
import json
import numpy, onnxruntime

meta = json.load(open("meta.json"))
graph = meta["graphs"]["{name}"]
session = onnxruntime.InferenceSession(graph["file"])
noise, rows = numpy.random.default_rng(7), 4
inputs = {{}}
for one in graph["inputs"]:
    shape = [rows if axis == "batch" else axis for axis in one["shape"]]
    drawn = noise.standard_normal(shape, numpy.float32)
    inputs[one["name"]] = drawn if one["type"] == "float32" else numpy.full(shape, {whole}, numpy.int64)
found = session.run(None, inputs)[0]
```

`meta.json` says what the inputs mean, how a seed becomes noise, and what is run around the networks;
`parity.json` how far they are from Zeuxis. {marks}

"""
UNKNOWN = -1
"""Of labels. Tokens and places begin at 0."""


def network_files(asked: Asked, progress: Progress | None = None) -> list[Path]:
    """The networks as ONNX files, with `meta.json`, the receipt and the card."""
    check_folder(asked.out, META)
    content = networks(asked, asked.out, progress)
    first = next(iter(content["graphs"]))
    whole = UNKNOWN if first in ("generate", "velocity") else 0
    write_card(asked, asked.out, USE.format(name=first, whole=whole, marks=content["marks"]))
    names = [one["file"] for one in content["graphs"].values()]
    return [asked.out / name for name in (*names, META, PARITY, cards.CARD)]


NETWORKS = ("half", "licence", "compared")
PICTURES = ("count", "seed")
KINDS: Mapping[str, Kind] = {
    "onnx": Kind(
        network_files, "a folder of ONNX files, for other programs and languages", NETWORKS
    ),
    "page": Kind(page.write, "one HTML file that draws by itself", NETWORKS, ".html"),
    "npm": Kind(npm.write, "a package for node, bundlers and browsers", NETWORKS),
    "sheet": Kind(plain.sheet, "one PNG of many pictures, and where each lies", PICTURES, ".png"),
    "folder": Kind(plain.folder, "the weights with their card", ("licence",)),
}
"""By the word after `--to`."""


def export(
    run: str | Path,
    to: str,
    out: str | Path | None = None,
    half: bool | None = None,
    progress: Progress | None = None,
    **more: Any,
) -> list[Path]:
    """Write a trained model for use outside of Zeuxis; the files.

    Args:
        run: the folder that `zeuxis train` wrote.
        to: one of `KINDS`.
        out: file or folder; by default `exports/RUN-KIND`.
        half: float16; as `Asked` has it.
        progress: told as it goes on.
        more: other fields of `Asked`.

    Raises:
        NotFound: no such kind, or no model.
        Invalid: a setting that this kind does not use.
        Conflict: the folder holds something else.
        Unable: this model cannot be exported so, or a package is missing.
    """
    if to not in KINDS:
        raise NotFound(f"no export called {to!r}; {suggest(to, KINDS)}")
    kind, run = KINDS[to], Path(run)
    path = Path(out) if out else Path("exports") / f"{run.resolve().name}-{to}{kind.suffix}"
    if kind.suffix and path.suffix.lower() != kind.suffix:
        raise Conflict(f"{path} cannot be that; give --out a name that ends in {kind.suffix}")
    asked = Asked(run, path, half, **more)
    for field in dataclasses.fields(Asked):
        able = [name for name, each in KINDS.items() if field.name in each.uses]
        if able and to not in able and getattr(asked, field.name) != field.default:
            given = ", ".join(able)
            raise Invalid(f"{field.name} is not used in an export to {to}, only to {given}")
    if artefact.read(run)["family"] in ADOPTED and to != "sheet":
        raise Unable(
            f"the weights of {run} are another's and are not in it, so they are not exported; a sheet of its "
            "pictures is, with --to sheet"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    return kind.write(asked, progress)
