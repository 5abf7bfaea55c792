"""Images losslessly in one file, by a model's exact likelihoods, against what the model states.

    python -m benchmarks.compression RUN PREPARED [--count 1000] [--record]

Takes the first held-out images, codes them, reads the file back in another process (one thread, another
instruction set), compares every level, and weighs the file against PNG and WebP.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.row import write_row
from zeuxis.data import open_prepared
from zeuxis.inference import codec
from zeuxis.inference.model import load

ELSEWHERE = {
    "OMP_NUM_THREADS": "1",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "ATEN_CPU_CAPABILITY": "default",
}


def main() -> None:
    """Code, decode, compare, print one row of JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path, help="a prepared set of the model's size")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    args = parser.parse_args()
    model, prepared = load(args.run, device="cpu"), open_prepared(args.data)
    images = prepared.images[prepared.holdout[: args.count]]
    names = [f"{i}" for i in range(len(images))]
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "a.zxi", Path(folder) / "out"
        began = time.perf_counter()
        coded = codec.compress(model, images, names)
        coded.write(file)
        encoding = time.perf_counter() - began
        one = codec.compress(model, images[:1], names[:1])
        words = ["decompress", str(args.run), str(file), "--out", str(out)]
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "zeuxis", *words], env={**os.environ, **ELSEWHERE}, check=True
        )
        decoding = time.perf_counter() - began
        for place, image in enumerate(images):
            with Image.open(out / f"{place:04d}.png") as again:
                if not np.array_equal(np.asarray(again).reshape(image.shape), image):
                    raise SystemExit(f"image {place} differs")
    row = {
        "run": args.run.name,
        "data": prepared.name,
        "count": coded.count,
        "bytes": coded.total,
        "header_bytes": coded.header,
        "written_down": coded.written_down,
        "bits_per_dim_coded": round(coded.bits_per_dim, 5),
        "bits_per_dim_stated": round(coded.stated, 5),
        "over_stated": round(coded.bits_per_dim / coded.stated - 1, 5),
        "one_image_bytes": one.total,
        "one_image_header_bytes": one.header,
        "peers_bytes": coded.peers,
        "same_bits": True,
        "encode_seconds": round(encoding, 1),
        "decode_seconds": round(decoding, 1),
        "decoded_with": ELSEWHERE,
    }
    if args.record:
        write_row("compression", **row)
    else:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
