"""Sampling number by number from a cache against the whole network for every number.

    python -m benchmarks.sampling_speed pixelcnn [--size 28] [--channels 1] [--batch 64] [--run RUN]
        [--set blocks=3 ...] [--record]

Both draw the same images from the same uniforms. The naive sampler's pass is timed at evenly spaced
numbers of the finished images and multiplied by how many there are, in float32 and, where the hardware
has it, in bfloat16, which it would prefer; the ratio is to the faster of the two. At those
numbers its float32 draw must be the cached sampler's. The cached sampler is timed in full. Without
`--run` the weights are random, which costs the same.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import row
from zeuxis import families
from zeuxis.core import machine
from zeuxis.core.abilities import Generates, Sequential
from zeuxis.core.family import Family
from zeuxis.core.pixels import to_levels
from zeuxis.core.rng import Rng
from zeuxis.core.settings import override
from zeuxis.inference.model import load
from zeuxis.sampling.raster import drawn

CPU = torch.device("cpu")


def pixelcnn_log_p(model: Any, image_BCHW: Tensor, i: int, j: int, c: int) -> Tensor:
    """Log-probabilities (B, L) of one number by a pass of the whole network."""
    given_BE = model._given(model.label_of({}, len(image_BCHW)))
    raw_BKHW = model.head(model.net(image_BCHW, given_BE).relu().float())
    log_p_BL: Tensor = model.output.log_p(image_BCHW[:, :, i, j], raw_BKHW[:, :, i, j], c)
    return log_p_BL


def pixelrnn_log_p(model: Any, image_BCHW: Tensor, i: int, j: int, c: int) -> Tensor:
    """As `pixelcnn_log_p`."""
    given_BE = model.labels(model.label_of({}, len(image_BCHW)))
    raw_BK = model.network(image_BCHW, given_BE)[i * image_BCHW.shape[3] + j]
    log_p_BL: Tensor = model.output.log_p(image_BCHW[:, :, i, j], raw_BK, c)
    return log_p_BL


NAIVE: dict[str, Callable[[Any, Tensor, int, int, int], Tensor]] = {
    "pixelcnn": pixelcnn_log_p,
    "pixelrnn": pixelrnn_log_p,
}


def wake(model: Family) -> None:
    """Random weights also where training starts from zero."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.03 * torch.randn(p.shape, generator=generator))


def build(args: argparse.Namespace) -> Family:
    """The trained model, or the family's default one for images of this size."""
    if args.run:
        return load(args.run).family
    size = {"height": args.size, "width": args.size, "channels": args.channels}
    config = families.get(args.family).Config(**size)
    model = families.build(
        args.family, override(config, dict(word.split("=", 1) for word in args.set))
    )
    wake(model)
    return model


@torch.inference_mode()
def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Time both and compare their numbers."""
    model = build(args).to(memory_format=torch.channels_last).eval()
    if not isinstance(model, Sequential) or not isinstance(model, Generates):
        raise SystemExit(f"{args.family} does not model images number by number")
    config: Any = model.config
    noise = model.noise(Rng(range(args.batch)))
    model.stepper(args.batch).log_p()  # warms up
    began = time.perf_counter()
    image_BCHW = model.generate(noise, {}, model.Controls())
    cached = time.perf_counter() - began
    level_BCHW = to_levels(image_BCHW, config.levels)
    image_BCHW = image_BCHW.contiguous(memory_format=torch.channels_last)

    numbers = config.height * config.width * config.channels
    places = [round(k * (numbers - 1) / (args.places - 1)) for k in range(args.places)]
    times: dict[str, list[float]] = {"float32": []}
    if machine.fast_bfloat16(CPU):
        times["bfloat16"] = []
    same = 0
    for place in (places[0], *places):  # the first warms up
        pixel, c = divmod(place, config.channels)
        i, j = divmod(pixel, config.width)
        for precision, seconds in times.items():
            began = time.perf_counter()
            with machine.arithmetic(CPU, precision):
                log_p_BL = NAIVE[args.family](model, image_BCHW, i, j, c)
            seconds.append(time.perf_counter() - began)
            if precision == "float32":
                drawn_B = drawn(log_p_BL, noise["uniform"][:, i, j, c])
                same += int((drawn_B == level_BCHW[:, c, i, j]).sum())
    median = {key: statistics.median(values[1:]) for key, values in times.items()}
    return {
        "family": args.family,
        "config": config.model_dump(mode="json", exclude_defaults=True),
        "parameters": sum(p.numel() for p in model.parameters()),
        "batch": args.batch,
        "numbers": numbers,
        "trained": bool(args.run),
        "cached_seconds": round(cached, 2),
        "naive_seconds": {key: round(value * numbers, 1) for key, value in median.items()},
        "ratio": round(min(median.values()) * numbers / cached, 1),
        "compared": args.batch * (args.places + 1),
        "equal": same,
    }


def main() -> None:
    """One row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("family", choices=sorted(NAIVE))
    parser.add_argument("--size", type=int, default=28)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--places", type=int, default=20)
    parser.add_argument("--set", nargs="*", default=[], help="settings of the family, name=value")
    parser.add_argument("--run", type=Path, help="a trained model instead of a random one")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    args = parser.parse_args()
    machine.set_threads(None)
    figures = measure(args)
    if args.record:
        row.write_row("sampling_speed", **figures)
    else:
        print(figures)


if __name__ == "__main__":
    main()
