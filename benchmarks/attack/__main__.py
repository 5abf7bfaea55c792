"""Run every attack: python -m benchmarks.attack [--case WORDS] [--quick] [--all] [--record].

Forked children of one process that has imported everything, one after the other; some minutes. The exit
code is 1 if a case was not clean.
"""

import argparse
import collections
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.attack import (
    archives,
    artefacts,
    names,
    runs,
    sets,
    single,
    sources,
    statistics,
)
from benchmarks.attack.lab import Lab, hurry
from benchmarks.attack.trial import Case, Outcome, run
from benchmarks.row import write_row

MODULES = (artefacts, names, sources, archives, sets, single, statistics, runs)
QUICK = frozenset(
    (
        "honest",
        "honest network",
        "weights: one weight is NaN",
        "weights: one is complex64",
        "config of a gan: features 1099511627776",
        "family is []",
        "config.json: deep",
        "config.json: 300 MB of spaces",
        "files names ../../outside/secret.txt",
        "the weights lie outside",
        "copied by data encode: a name climbs to .bashrc",
        "dataset.json: null",
        "part: a name of its files climbs",
        "classes of escape codes: an unknown label",
        "link to a secret: a caption: prepare",
        "link to a secret: LICENSE: prepare",
        "escape codes and markup: folders of classes: inspect",
        "side file: dataset.json, infinite: prepare",
        "npy of pickles: prepare",
        "tar: a caption that is a link: prepare",
        "zip: names climb: prepare",
        "set: files names '../../outside/secret.txt'",
        "PNG bomb, 50,000 x 50,000: interpolate",
        "EPS: a mask",
        "pickled",
        "pkl, objects by address",
        "pkl, os.system",
        "npz, cut",
        "no shape",
        "doubtful [[0, 0, 99, 99, 5]]",
        "weights that climb",
        "0000.png.tmp is a link to a file of the person",
    )
)
"""The worst of each kind: what the tests run."""


def cases() -> Iterator[Case]:
    """Every case of every kind."""
    for module in MODULES:
        yield from module.cases()


def attack(wanted: Sequence[Case], show_all: bool = False) -> list[Outcome]:
    """Run cases one after the other, and print what is wrong as it is found."""
    done: list[Outcome] = []
    torch.set_num_threads(1)
    hurry()
    with tempfile.TemporaryDirectory(prefix="attack-lab-") as name:
        lab = Lab(Path(name))
        for case in wanted:
            done.append(run(case, lab))
            if show_all or done[-1].verdict != "clean":
                _show(done[-1])
    return done


def figures(done: Sequence[Outcome]) -> dict[str, Any]:
    """What the row says."""
    verdicts = collections.Counter(each.verdict for each in done)
    honest = sum(each.case.name.startswith("honest") for each in done)
    return {
        "inputs": len(done) - honest,
        "honest": honest,
        "kinds": dict(collections.Counter(each.case.kind for each in done)),
        "effects": verdicts["effect"],
        "tracebacks": verdicts["traceback"],
        "killed": verdicts["killed"],
        "timeouts": verdicts["timeout"],
        "over_memory": verdicts["memory"],
        "honest_refused": verdicts["refused though honest"],
        "most_mib": max(each.megabytes for each in done),
        "slowest_s": max(each.seconds for each in done),
    }


def main() -> int:
    """Run the cases that were asked for, print what is wrong, and write the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", default="", help="only cases whose kind or name has this")
    parser.add_argument("--quick", action="store_true", help="only the worst of each kind")
    parser.add_argument("--all", action="store_true", help="print clean cases, too")
    parser.add_argument("--record", action="store_true", help="write the row")
    words = parser.parse_args()
    wanted = [case for case in cases() if words.case in f"{case.kind}: {case.name}"]
    if words.quick:
        wanted = [case for case in wanted if case.name in QUICK]
    began = time.perf_counter()
    done = attack(wanted, words.all)
    found = {**figures(done), "seconds": round(time.perf_counter() - began)}
    if words.record:
        write_row("attack", **found)
    else:
        print(found)
    return int(any(each.verdict != "clean" for each in done))


def _show(one: Outcome) -> None:
    print(
        f"{one.verdict:10} | {one.case.kind}: {one.case.name} | +{one.megabytes} MiB"
        f" | {one.seconds:.1f} s | {one.why}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
