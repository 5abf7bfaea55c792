"""Distance of exports from the product, in onnxruntime and in a page in Chromium; how fast the page draws.

`python -m benchmarks.export RUN ...` writes rows for each run into `results/export.json`: `graphs`, the
largest difference of each network (of log-probabilities: under forced inputs); `pictures`, 256 of them by
seed 7 against the product in float32; `page`, the same drawn in Chromium from a file with the network off, by
the page as it is written by default, its size, and the milliseconds of pictures drawn one by one.
"""

import argparse
import base64
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.row import write_row
from zeuxis.core import machine
from zeuxis.core.errors import Unable
from zeuxis.export.parity import SEED
from zeuxis.export.running import fresh
from zeuxis.export.write import export

PAGE = Path(__file__).with_suffix(".mjs")


def files(run: Path, folder: Path, half: bool, count: int) -> None:
    """Write the rows of a run's files in onnxruntime."""
    export(run, "onnx", folder, half=half, compared=count)
    meta, parity = (
        json.loads((folder / name).read_text()) for name in ("meta.json", "parity.json")
    )
    sizes = {path.name: path.stat().st_size for path in folder.glob("*.onnx")}
    told = {
        "family": meta["family"],
        "run": run.name,
        "precision": "float16" if half else "float32",
    }
    write_row(
        "export",
        what="graphs",
        **told,
        bytes=sizes,
        largest_difference=parity["largest_difference"],
    )
    if "pictures" in parity:
        write_row("export", what="pictures", **told, **parity["pictures"], within=parity["in"])


def page(run: Path, file: Path, count: int, timed: int) -> None:
    """Write the row of a run's page, if it has one."""
    try:
        export(run, "page", file, compared=0)
    except Unable as error:
        print(error)
        return
    ours = fresh(run).sample(count, seed=SEED)
    command = ["node", str(PAGE), str(file), str(SEED), str(count), str(timed)]
    load = os.getloadavg()[0]
    found: dict[str, Any] = json.loads(
        subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    )
    theirs = np.frombuffer(base64.b64decode(found["levels"]), np.uint8).reshape(ours.array.shape)
    off = np.abs(theirs.astype(int) - ours.array)
    write_row(
        "export",
        what="page",
        family=fresh(run).facts["family"],
        run=run.name,
        bytes=file.stat().st_size,
        browser=f"Chromium {found['version']}",
        foreign_requests=found["foreign"],
        count=count,
        seed=SEED,
        largest_difference_in_levels=int(off.max()),
        values_that_differ=round(float((off > 0).mean()), 6),
        equal_pictures=int((off.reshape(count, -1).max(1) == 0).sum()),
        milliseconds_median=round(statistics.median(found["milliseconds"]), 1),
        milliseconds_most=round(max(found["milliseconds"]), 1),
        timed=timed,
        load_before=round(load, 2),
    )


def main() -> None:
    """Measure each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--count", type=int, default=256)
    parser.add_argument(
        "--pages", type=int, default=256, help="pictures drawn in pages; 0 writes none"
    )
    parser.add_argument("--timed", type=int, default=20, help="pictures drawn one by one in a page")
    parser.add_argument("--half", action="store_true", help="rows of float16 files, too")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    machine.set_threads(args.threads)
    for run in args.runs:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for half in (False, True) if args.half else (False,):
                files(run, folder / f"onnx-{half}", half, args.count)
            if args.pages:
                page(run, folder / "page.html", args.pages, args.timed)


if __name__ == "__main__":
    main()
