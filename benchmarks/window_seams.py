"""Whether borders of windows show in a large picture that a flow translates window by window.

    python -m benchmarks.window_seams RUN PICTURE [--side 128] [--controls steps=4] [--record]

RUN is of a family that sees to windows itself (`Translates.WHOLE`). The picture is translated at once and by
windows of SIDE pixels; printed are the mean step in level between neighbouring pixels across the windows'
borders, over that across all pixels, of both, and how far they differ. The two ratios should be within 5 %.
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.row import write_row
from zeuxis import load
from zeuxis.data.originals import originals
from zeuxis.sampling import any_size


def steps(made: np.ndarray, side: int, multiple: int) -> float:
    """Mean step across borders of windows over that across all pixels, in both directions."""
    found = []
    for axis in (0, 1):
        length = made.shape[axis]
        starts = any_size._starts(length, side, multiple)
        at = np.array(sorted({*starts[1:], *(start + side for start in starts[:-1])})) - 1
        across = np.abs(np.diff(made.astype(int), axis=axis)).mean((1 - axis, 2))
        found.append(across[at].mean() / across.mean())
    return float(np.mean(found))


def main() -> None:
    """Translate twice and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--controls", nargs="*", default=[])
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    asked = parser.parse_args()
    model = load(asked.run)
    multiple = model.family.net.multiple
    source = originals([asked.picture], model.family.fields()["source"].kind).images[0]
    controls = {name: int(value) for name, value in (word.split("=") for word in asked.controls)}
    whole = model.translate([source], **controls).images[0]
    any_size.LARGEST = asked.side**2
    tiled = model.translate([source], **controls).images[0]
    facts = {
        "family": model.facts["family"],
        "size": list(whole.shape[:2]),
        "side": asked.side,
        "controls": controls,
        "at_once": round(steps(whole, asked.side, multiple), 4),
        "by_windows": round(steps(tiled, asked.side, multiple), 4),
        "apart": round(float(np.abs(whole.astype(int) - tiled).mean()), 2),
    }
    if asked.record:
        write_row("window_seams", **facts)
    else:
        print(facts)


if __name__ == "__main__":
    main()
