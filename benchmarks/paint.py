"""Scenes from maps of a game, held-out worlds: how real, how true to the map, how various.

    python benchmarks/pairs/game.py game
    zeuxis train paint game/ data.pairs=maps:images --minutes 12
    python -m benchmarks.paint game runs/paint-game [OTHER RUN ...] [--sheet sheet.png] [--record]

The rows: real frames, the mean colour of each class, a lookup table (mean colour by class and place in the
cell of 8 x 8 pixels), the scene of the nearest training map, and each run: of one that draws samples, its
point estimate if it has one, and a sample in 1, 2, 4 and 16 steps. Beside the figures of
`benchmarks.translate`: the share of cells in which a segmenter finds the map's class again, and its mean
intersection over union. The segmenter is a small convolutional network trained here on the training frames;
on real held-out frames it is to be right in 95 %.

With --variety only how samples of the first run differ, at each number of steps: the standard deviation over
8 seeds in levels, and the share of true values between their least and most (7 of 9 would be honest).

With --sheet nothing is measured: the first five held-out maps of a permutation, none picked, and beside each
what the first run makes of it with four seeds, the lookup table's scene, and the real frame.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.row import write_row
from benchmarks.translate import figures
from zeuxis import load
from zeuxis.core.pixels import grid, save_png
from zeuxis.core.settings import Data
from zeuxis.data import ensure
from zeuxis.evaluation.baselines import regression, retrieval
from zeuxis.features import features
from zeuxis.inference.model import Model
from zeuxis.metrics.spread import spread

CELL = 8
EPOCHS, BATCH = 8, 64
SAMPLES, EIGHTH = 8, 8
STEPS = (1, 2, 4, 16)
SHOWN = 5
RESAMPLED = 200


def segmenter(maps: np.ndarray, frames: np.ndarray, classes: int) -> nn.Module:
    """A network from frames (B, 3, H, W) in [-1, 1] to logits of each cell (B, classes, H / 8, W / 8)."""
    torch.manual_seed(0)
    halved = [(3, 48), (48, 96), (96, 160)]
    layers = [
        layer
        for inside, outside in halved
        for layer in (nn.Conv2d(inside, outside, 4, 2, 1), nn.BatchNorm2d(outside), nn.ReLU())
    ]
    net = nn.Sequential(*layers, nn.Conv2d(160, 160, 1), nn.ReLU(), nn.Conv2d(160, classes, 1))
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    steps = EPOCHS * (len(maps) // BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, steps)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        rows = rng.integers(0, len(maps), BATCH)
        asked = torch.from_numpy(maps[rows, ::CELL, ::CELL].astype(np.int64))
        loss = F.cross_entropy(net(_inside(frames[rows])), asked, ignore_index=-1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return net.eval()


def _inside(frames: np.ndarray) -> Tensor:
    x_BCHW = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
    return x_BCHW.float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def seen(net: nn.Module, frames: np.ndarray) -> np.ndarray:
    """The class of each cell, (N, H / 8, W / 8)."""
    return np.concatenate(
        [net(_inside(frames[i : i + 64])).argmax(1).numpy() for i in range(0, len(frames), 64)]
    )


def agreement(told: np.ndarray, maps: np.ndarray, classes: int) -> dict[str, list[float]]:
    """Share of cells, mean intersection over union of the classes there are, and half of their intervals."""
    truth = maps[:, ::CELL, ::CELL]
    confusion = np.stack(
        [
            np.bincount((classes * t + s).ravel(), minlength=classes**2).reshape(classes, classes)
            for t, s in zip(truth, told, strict=True)
        ]
    ).astype(np.float64)
    present = confusion.sum((0, 2)) > 0

    def both(rows: np.ndarray) -> tuple[float, float]:
        total = confusion[rows].sum(0)
        hit = np.diag(total)
        union = total.sum(0) + total.sum(1) - hit
        return hit.sum() / total.sum(), float(np.mean((hit / np.maximum(union, 1))[present]))

    rng, count = np.random.default_rng(0), len(maps)
    value = both(np.arange(count))
    again = np.array([both(rng.integers(0, count, count)) for _ in range(RESAMPLED)])
    half = (np.quantile(again, 0.975, 0) - np.quantile(again, 0.025, 0)) / 2
    return {
        name: [round(v, 4), round(h, 4)]
        for name, v, h in zip(("accuracy", "miou"), value, half, strict=True)
    }


def lookup(known: tuple[np.ndarray, np.ndarray], maps: np.ndarray, classes: int) -> np.ndarray:
    """Mean colour by class and place in the cell."""
    side = maps.shape[1]
    place = (np.arange(side) % CELL)[:, None] * CELL + np.arange(side) % CELL
    key = known[0].astype(np.int64) * CELL**2 + place
    size = classes * CELL**2
    count = np.bincount(key.ravel(), minlength=size)
    table = (
        np.stack([np.bincount(key.ravel(), known[1][..., c].ravel(), size) for c in range(3)], 1)
        / np.maximum(count, 1)[:, None]
    )
    return np.rint(table[maps.astype(np.int64) * CELL**2 + place]).astype(np.uint8)


def drawn(model: Model, maps: np.ndarray) -> dict[str, np.ndarray]:
    """Scenes of a run by row."""
    name = model.facts["family"]
    if "steps" not in type(model.family).Controls.model_fields:
        return {name: model.translate(maps).images}
    rows = {}
    if point := getattr(type(model.family), "POINT", {}):
        rows[f"{name}, mean"] = model.translate(maps, **point).images
    for steps in STEPS:
        rows[f"{name}, {steps} steps"] = model.translate(maps, steps=steps).images
    return rows


def variety(model: Model, maps: np.ndarray, truth: np.ndarray) -> dict[int, dict[str, float]]:
    """What `metrics.spread` says of samples of some maps, by steps."""
    found = {}
    for steps in STEPS:
        seeds = range(SAMPLES)
        samples = np.stack([model.translate(maps, seed=s, steps=steps).images for s in seeds])
        shares = spread(samples, truth, {})
        found[steps] = {key: round(one.value, 4) for key, one in shares.items()}
    return found


def sheet(model: Model, table: np.ndarray, maps: np.ndarray, truth: np.ndarray, path: Path) -> None:
    """Map, four samples, the lookup table's scene and the truth, a row each."""
    drawn = [model.translate(maps, seed=seed).images for seed in range(4)]
    columns = [model.family.fields()["source"].visible(maps), *drawn, table, truth]
    rows = np.stack(columns, 1)
    save_png(path, grid(rows.reshape(-1, *rows.shape[2:]), len(columns), scale=2))


def main() -> None:
    """Print the table, and record it if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", help="the game's maps and frames")
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--variety", action="store_true", help="measure how samples differ")
    parser.add_argument("--sheet", type=Path, help="write a sheet instead")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    asked = parser.parse_args()
    prepared = ensure(asked.data, Data(pairs="maps:images"), translates=True)
    stored, images = prepared.fields["source"], prepared.images
    known = stored.take(stored.train), np.asarray(images[stored.train])
    maps, truth = stored.take(stored.holdout), np.asarray(images[stored.holdout])
    classes = len(stored.field.classes)
    if asked.sheet:
        some = np.random.default_rng(0).permutation(len(maps))[:SHOWN]
        scenes = lookup(known, maps[some], classes)
        sheet(load(asked.runs[0]), scenes, maps[some], truth[some], asked.sheet)
        return
    if asked.variety:
        found = variety(load(asked.runs[0]), maps[::EIGHTH], truth[::EIGHTH])
        print(json.dumps(found))
        if asked.record:
            write_row("paint", set="crafter", maps=len(maps[::EIGHTH]), variety=found)
        return
    net, real = segmenter(*known, classes), features(truth)
    table: dict[str, dict[str, list[float]]] = {"real": agreement(seen(net, truth), maps, classes)}
    print("real", table["real"], flush=True)

    def add(row: str, made: np.ndarray) -> None:
        table[row] = figures(made, truth, real) | agreement(seen(net, made), maps, classes)
        print(f"{row:20}", json.dumps(table[row]), flush=True)

    add("class mean", regression(stored.field, known, maps))
    add("lookup", lookup(known, maps, classes))
    add("retrieval", retrieval(stored.field, known, maps))
    facts = {}
    for folder in asked.runs:
        model = load(folder)
        for row, made in drawn(model, maps).items():
            add(row, made)
        facts[model.facts["family"]] = model.facts["progress"]
    if asked.record:
        counts = {"holdout": len(truth), "training": len(known[0])}
        write_row("paint", set="crafter", **counts, table=table, runs=facts)
    else:
        print(json.dumps(facts))


if __name__ == "__main__":
    main()
