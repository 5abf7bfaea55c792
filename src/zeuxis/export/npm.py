"""A package for node, bundlers and browsers: `generate({seed, count, labels})`, with all that it needs."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

from zeuxis.core import abilities
from zeuxis.core.errors import Unable
from zeuxis.core.files import write_file, write_json
from zeuxis.core.progress import Progress
from zeuxis.export.files import Asked, check_folder, networks, write_card
from zeuxis.export.meta import META
from zeuxis.export.page import static
from zeuxis.export.parity import PARITY
from zeuxis.inference import artefact
from zeuxis.trust.cards import CARD, UNSTATED

MODEL = "model"
"""Folder of the networks in the package."""
PACKAGE = "package.json"
USE = """\
## Use

```js
import {{ generate }} from "{name}";

const pictures = await generate({{ seed: 7, count: 4{labels} }});
pictures[0].labels; // what it was asked to show
await pictures[0].png(); // the bytes of a PNG file, marked as AI-generated
pictures[0].rgba(); // for a canvas
```

Runs in browsers, bundlers and node 20 or later; nothing else is installed and nothing is sent anywhere.
The same seed draws what `zeuxis sample` draws: `{model}/{parity}` says how nearly. The files in `{model}/`
are ONNX and can be used without this package, but what they give is not marked.

"""


def write(asked: Asked, progress: Progress | None = None) -> list[Path]:
    """Write the package.

    Raises:
        Conflict: the folder holds something else.
        Unable: as of a page.
    """
    folder = asked.out
    check_folder(folder, PACKAGE)
    files = {
        "index.js": static("index.js"),
        "index.d.ts": static("index.d.ts"),
        "LICENCES.txt": static("LICENCES.txt"),
        "ort.wasm": gzip.decompress(static("ort.wasm.gz")),
    }
    if not isinstance(artefact.load(asked.run), abilities.Generates):
        raise Unable(
            f"a package draws new pictures, and {asked.run.name} makes none without others: export it with "
            "--to page or --to onnx"
        )
    content = networks(asked, folder / MODEL, progress, drawing=True)
    for name, each in files.items():
        write_file(folder / name, lambda beside, each=each: beside.write_bytes(each))  # type: ignore[misc]
    described = package(content)
    write_json(folder / PACKAGE, described)
    labels = "".join(
        f", labels: {{ {json.dumps(one['name'])}: {json.dumps(one['classes'][0])} }}"
        for one in content["asked"].get("labels", [])[:1]
    )
    use = USE.format(name=described["name"], labels=labels, model=MODEL, parity=PARITY)
    write_card(asked, folder, use)
    nets = [f"{MODEL}/{one['file']}" for one in content["graphs"].values()]
    names = [*files, PACKAGE, CARD, f"{MODEL}/{META}", f"{MODEL}/{PARITY}", *nets]
    return [folder / name for name in names]


def package(content: dict[str, Any]) -> dict[str, Any]:
    """What `package.json` says."""
    stated = content["licence"] != UNSTATED
    return {
        "name": re.sub(r"[^a-z0-9-]+", "-", content["name"].lower()).strip("-") or "zeuxis-model",
        "version": "1.0.0",
        "description": f"Draws pictures by a {content['family']} that was trained with Zeuxis.",
        "license": content["licence"] if stated else "UNLICENSED",
        "type": "module",
        "exports": {".": {"types": "./index.d.ts", "default": "./index.js"}},
        "types": "./index.d.ts",
        "files": ["index.js", "index.d.ts", "ort.wasm", "LICENCES.txt", MODEL],
        "sideEffects": False,
        "engines": {"node": ">=20"},
    }
