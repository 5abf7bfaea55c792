"""A search on the avatars, and whether its winner is better than the preset on images that it never saw.

    python -m benchmarks.tune FOLDER [--family gan] [--trials 20] [--minutes 60] [--confirm 3] [--threads 1]

It is what `zeuxis tune` does, in the folder that is named, so it may be stopped and goes on by the same
command. Writes one row when all is done: trials by how they ended, the best score of the search beside the
preset's, and both again with new seeds.
"""

import argparse
import collections
from pathlib import Path

import zeuxis
from benchmarks import row
from zeuxis.cli import terminal


def main() -> None:
    """One row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--family", default="gan")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--confirm", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    with terminal.watching() as watch:
        found = zeuxis.tune(
            options.family,
            "avatars",
            trials=options.trials,
            minutes=options.minutes,
            confirm=options.confirm,
            threads=options.threads,
            out=options.folder,
            watch=watch,
        )
    terminal.show_tuned(found)
    ended = collections.Counter(each.state for each in found.rows)
    best = next(each for each in found.rows if each.number == found.best)
    row.write_row(
        "tune",
        family=options.family,
        data="avatars",
        asked={"trials": options.trials, "minutes": options.minutes},
        trials=dict(ended),
        seconds=round(sum(each.seconds for each in found.rows)),
        best={"trial": best.number, "score": best.score, "settings": dict(found.settings)},
        preset=found.rows[0].score,
        confirmed=found.confirmed.values() if found.confirmed else None,
    )


if __name__ == "__main__":
    main()
