"""What content credentials add to a picture: bytes, and milliseconds of signing and of reading.

    python -m benchmarks.credentials [--record]

Random pictures, which compress to nothing; medians of `ROUNDS` of each size and format. The key is made in
a folder of its own.
"""

import argparse
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np
from PIL import Image

from benchmarks.row import write_row
from zeuxis.marks import credentials, metadata

ROUNDS = 20
SIDES, FORMATS = (64, 512), ("PNG", "JPEG", "WEBP", "GIF")
ORIGIN = metadata.Origin("Zeuxis flow", "1")


def picture(side: int, kind: str) -> bytes:
    """A file with metadata and without credentials."""
    noise = np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, kind)
    return metadata.put(buffer.getvalue(), ORIGIN)


def milliseconds(work: Callable[[], object]) -> float:
    """Median of the processor's time."""
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        found.append((time.process_time() - began) * 1000)
    return round(statistics.median(found), 2)


def measured(side: int, kind: str) -> dict[str, float]:
    """One size and format."""
    plain = picture(side, kind)
    signed = credentials.sign(plain, ORIGIN)
    edited = credentials.sign(plain, ORIGIN, signed)
    told = credentials.read(signed)
    assert told is not None and told.state == "trusted"
    return {
        "bytes": len(signed) - len(plain),
        "bytes_with_ingredient": len(edited) - len(plain),
        "sign_ms": milliseconds(lambda: credentials.sign(plain, ORIGIN)),
        "read_ms": milliseconds(lambda: credentials.read(signed)),
    }


def main() -> None:
    """Print all, and record it if that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CONFIG_HOME"] = folder
        found = {f"{kind} {side}": measured(side, kind) for side in SIDES for kind in FORMATS}
    for name, row in found.items():
        print(name, row)
    if args.record:
        write_row("credentials", rounds=ROUNDS, pictures=found)


if __name__ == "__main__":
    main()
