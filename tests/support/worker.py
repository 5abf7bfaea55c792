"""Training in processes of their own, for the tests that kill them or run several.

`alone` trains a tiny model and saves at every step.
`torchrun ... -m tests.support.worker losses OUT` writes the losses of every family by world size.
"""

import json
import signal
import sys
import time
from pathlib import Path

import torch

from tests.support.kit import ALL, build, loader_for, wake
from zeuxis.core.files import write_sealed
from zeuxis.core.processes import Parallel, join_processes
from zeuxis.core.settings import Training
from zeuxis.training import loop, step
from zeuxis.training.folder import begin, opened
from zeuxis.training.observers import Best, Observer, Rollback, Scores, Set


def probe(average, at, check):
    """A score that depends on the averaged weights, so that a lost one would be noticed."""
    return {"norm": float(sum(p.double().square().sum() for p in average.parameters()))}


def run(family, folder, steps, save_every=1, watch=lambda event: None):
    """As `training.run.train` goes about it: the folder is held, `run.json` is written first."""
    folder = Path(folder)
    training = Training(
        steps=steps, batch_size=4, seed=3, log_every=1, save_every=save_every, probe_every=5
    )
    model = build(family, conditional="all")
    loader = loader_for(model.config, 4)
    asked = {"request": {"family": family, "steps": steps}}
    with opened(folder, False, watch, Parallel()) as (_, tell):
        begin(folder, asked["request"], tell, Parallel())
        if not (folder / "run.json").exists():
            write_sealed(folder / "run.json", asked)
        return loop.fit(
            family,
            model,
            loader,
            training,
            folder,
            watched_by=[Scores(5, probe), Best(5)],
            run=asked,
            watch=tell,
        )


STEPS = {"float64": 10, "float32": 1}
"""Steps that are compared: rounding grows with them."""


def losses(precision, accumulate=1, processes=None, names=ALL):
    """Each family's losses over some steps of the same global batches."""
    found = {}
    for family in names:
        model = wake(build(family), 0.02)
        training = Training(steps=50, batch_size=8, seed=5, accumulate=accumulate)
        state = step.start(model, training, torch.device("cpu"), precision, processes or Parallel())
        rows = []
        for _ in range(STEPS[precision]):
            logged = step.train_step(state, loader_for(model.config, 8))
            state.step += 1
            rows.append({key: value.item() for key, value in logged.items()})
        found[family] = rows
    return found


def alone(family, folder, steps, waits=0):
    """What a process of its own does; if it `waits` at a step, then for Ctrl-C, from FOLDER.waits on."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it

    def watch(event):
        if event.kind == "saved" and event.done == waits:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
            Path(f"{folder}.waits").touch()
            while signal.SIGINT not in signal.sigpending():
                time.sleep(0.002)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

    run(family, folder, steps, watch=watch)


class Turns(Observer):
    """Slows the run down at step 2 and goes back at step 4, once."""

    name = "turns"

    def see(self, view):
        if view.step == 4 and not view.attempt:
            yield Rollback(4, "back")
        if view.step == 2 and "lr" not in view.knobs:
            yield Set("lr", 0.5, "slower")


def turning(folder, processes=None):
    """The log of a run that an observer steers."""
    model, training = (
        build("vae"),
        Training(steps=6, batch_size=4, seed=3, log_every=1, save_every=3),
    )
    loader, processes = loader_for(model.config, 4), processes or Parallel()
    watching = [Turns(1)]
    loop.fit("vae", model, loader, training, folder, parallel=processes, watched_by=watching)
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


if __name__ == "__main__":
    torch.set_num_threads(1)
    processes = join_processes()
    result = {p: losses(p, processes=processes) for p in STEPS}
    result["turning"] = turning(Path(sys.argv[2]).parent / "run", processes)
    if processes.first:
        Path(sys.argv[2]).write_text(json.dumps(result))
