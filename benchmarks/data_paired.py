"""Does preparing cost more processor time than by another checkout? In turns, with files beside images.

    python -m benchmarks.data_paired OTHER [COUNT=1000] [TURNS=4]

OTHER is a checkout of an earlier commit. Three sources: a folder of JPEGs in class folders with a caption
each and a table; a tar of the same files; a folder of 20 times as many names, of which only a list is made.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.row import write_row

HERE = Path(__file__).parents[1]
PREPARE = """
import sys
from zeuxis.core.settings import Data
from zeuxis.data import prepare
prepare(sys.argv[1], sys.argv[2], Data(size=(64, 64)))
"""
LIST = "import sys; from zeuxis.data.source import open_source; open_source(sys.argv[1])"


def make(root: Path, count: int) -> dict[str, tuple[str, Path]]:
    """Program and source by what is measured."""
    folder, many, lines = root / "folder", root / "many", []
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 256, (6, 6, 3), np.uint8)
        path = folder / f"class{i % 10}" / f"{i:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(pixels).resize((128, 128), Image.Resampling.BICUBIC)
        picture.save(path, quality=90)
        path.with_suffix(".txt").write_text(f"caption {i}")
        lines.append({"file_name": f"{path.parent.name}/{path.name}", "age": i % 7, "score": i / 7})
    with tarfile.open(root / "set.tar", "w") as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.add(path, path.name)
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for i in range(20 * count):
        path = many / f"class{i % 50}" / f"{i:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return {
        f"prepare a folder of {count:,}": (PREPARE, folder),
        f"prepare a tar of {count:,}": (PREPARE, root / "set.tar"),
        f"list a folder of {20 * count:,}": (LIST, many),
    }


def seconds(checkout: Path, program: str, source: Path) -> float:
    """Processor time of the program by the code of a checkout, its imports included."""
    with tempfile.TemporaryDirectory() as out:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-c", program, str(source), f"{out}/set"],
            env={**os.environ, "PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"},
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure in turns, write a row a source."""
    other = Path(sys.argv[1])
    count, turns = int((sys.argv[2:] or ["1000"])[0]), int((sys.argv[3:] or ["4"])[0])
    with tempfile.TemporaryDirectory() as root:
        for what, (program, source) in make(Path(root), count).items():
            found: dict[str, list[float]] = {"this": [], "other": []}
            for _ in range(turns):
                for name, checkout in (("other", other), ("this", HERE)):
                    found[name].append(seconds(checkout, program, source))
            medians = {f"{k}_cpu_s": round(statistics.median(v), 2) for k, v in found.items()}
            spread = {f"{k}_range": [round(min(v), 2), round(max(v), 2)] for k, v in found.items()}
            write_row("data_paired", what=what, turns=turns, **medians, **spread)


if __name__ == "__main__":
    main()
