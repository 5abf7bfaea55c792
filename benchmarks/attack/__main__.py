"""Run every attack: python -m benchmarks.attack [--record] [--case WORDS] [--list].

Forked children of one process that has imported everything, one after the other; a few minutes.
"""

import argparse
import collections
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.attack import (
    archives,
    artefacts,
    lab,
    names,
    runs,
    sets,
    single,
    sources,
    statistics,
)
from benchmarks.attack.trial import Case, Outcome, run

MODULES = (artefacts, names, sources, archives, sets, single, statistics, runs)


def cases() -> Iterator[Case]:
    """Every case of every kind."""
    for module in MODULES:
        yield from module.cases()


def main() -> None:
    """Run the cases that were asked for, print what is wrong, and write the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", default="", help="only cases whose kind or name has this")
    parser.add_argument("--record", action="store_true", help="write the row")
    parser.add_argument("--all", action="store_true", help="print clean cases, too")
    words = parser.parse_args()
    torch.set_num_threads(1)
    wanted = [case for case in cases() if words.case in f"{case.kind}: {case.name}"]
    done: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="attack-lab-") as name:
        lab.hurry()
        lab.build(Path(name))
        lab.train(Path(name))
        for case in wanted:
            done.append(run(case, Path(name)))
            if words.all or done[-1].verdict != "clean":
                _show(done[-1])
    verdicts = collections.Counter(each.verdict for each in done)
    print(len(done), dict(verdicts), f"{sum(each.seconds for each in done):.0f} s")


def _show(one: Outcome) -> None:
    print(
        f"{one.verdict:10} | {one.case.kind}: {one.case.name} | +{one.megabytes} MiB"
        f" | {one.seconds:.1f} s | {one.why}",
        flush=True,
    )


if __name__ == "__main__":
    main()
