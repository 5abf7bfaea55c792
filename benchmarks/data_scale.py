"""A million prepared 64x64 images: memory of a training process's own, and time to the first batch.

Usage: python -m benchmarks.data_scale [COUNT=1000000]

The set is made with real columns and names, and with pixels of which every 64th block is random and the rest
is a hole in the file: it is read like any other, but costs little disk. It is deleted at the end.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from benchmarks.row import write_row
from zeuxis.core.files import write_json
from zeuxis.data.prepared import COLUMNS, FACTS, FORMAT, IMAGES, Texts

CHILD = """
import time
began = time.perf_counter()
import json, sys
from pathlib import Path
from zeuxis import data
from zeuxis.run import Data
ready = time.perf_counter()
prepared = data.open_prepared(sys.argv[1])
load = data.batches(prepared, Data(flip=True), 0, 256)
batch = load(0, slice(0, 256))
first = time.perf_counter()
table = prepared.label_table()
assert batch["image"].shape == (256, 3, 64, 64) and batch["label"].shape == (256, 2)
draws = 400
start = time.perf_counter()
for draw in range(1, draws + 1):
    load(draw, slice(0, 256))
each = (time.perf_counter() - start) / draws
# A late epoch costs no more than the first: nothing is shuffled or skipped.
start = time.perf_counter()
load(10**9, slice(0, 256))
late = time.perf_counter() - start
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps({
    "import_s": round(ready - began, 3),
    "first_batch_s": round(first - ready, 3),
    "batch_ms": round(1000 * each, 2),
    "late_batch_ms": round(1000 * late, 2),
    "rss_anon_mb": int(status["RssAnon"].split()[0]) // 1024,
    "rss_file_mb": int(status["RssFile"].split()[0]) // 1024,
    "label_rows": len(table),
}))
"""


def make(folder: Path, count: int, side: int = 64) -> None:
    """A prepared set of `count` images that takes little disk."""
    rng = np.random.default_rng(0)
    row = side * side * 3
    block = rng.integers(0, 256, (1024, row), np.uint8)
    with (folder / IMAGES).open("wb") as file:
        for start in range(0, count, 64 * len(block)):
            file.seek(start * row)
            file.write(block[: count - start].tobytes())
        file.truncate(count * row)
    labels = np.stack([rng.integers(0, 100, count), rng.integers(0, 5, count)], 1)
    held_out = np.zeros(count, np.uint8)
    held_out[rng.permutation(count)[:5000]] = 1
    content, ends = Texts.pack([f"folder/{i:09d}.jpg" for i in range(count)])
    tensors = {"labels": labels.astype(np.int16), "holdout": held_out}
    tensors |= {"names.bytes": content, "names.ends": ends}
    save_file(tensors, folder / COLUMNS)
    conditions = [
        {"name": name, "classes": [f"{name}{i}" for i in range(n)], "counts": [], "unknown": 0}
        for name, n in (("kind", 100), ("colour", 5))
    ]
    files = {n: {"bytes": (folder / n).stat().st_size, "sha256": ""} for n in (IMAGES, COLUMNS)}
    shape = {"count": count, "height": side, "width": side, "channels": 3}
    facts = {"format": FORMAT, "name": "million", "hash": "0" * 64, "images": shape, "files": files}
    write_json(folder / FACTS, {**facts, "conditions": conditions, "captions": 0, "columns": {}})


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as room:
        make(Path(room), count)
        words = [sys.executable, "-c", CHILD, room]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    write_row("data_scale", images=count, size=[64, 64, 3], **json.loads(done.stdout))
