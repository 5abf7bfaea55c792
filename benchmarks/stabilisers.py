"""What keeps adversarial training from losing modes: 25 Gaussians, and stacked digits with 1,000 modes.

    python -m benchmarks.stabilisers gaussians [--minutes 8]     # a row a method; finished rows are skipped
    python -m benchmarks.stabilisers digits                      # needs scikit-learn, for its digits
    python -m benchmarks.stabilisers sweep                       # learning rate and batch size, two methods

Gaussians: centres on a 5 x 5 grid 2 apart, standard deviation 0.05, scaled to unit variance; a sample within
three standard deviations of a centre is good, and a mode with a good sample among 2,500 is covered (as in
VEEGAN, https://arxiv.org/abs/1705.07761, and PacGAN, https://arxiv.org/abs/1712.04086). Stacked digits: three
digits of 8 x 8 as red, green and blue; a classifier says which of the 1,000 numbers a sample is, 26,000 are
drawn. Reverse KL divergence: of the modes of samples from the uniform distribution.

Networks, optimiser and steps are the same for every row of a task; nothing is tuned by row. Losses,
penalties and the spectral norm are the toolkit's own. The networks of all seeds are trained side by side: the
parameters of each network are one row of a matrix.

Shapes: S seeds, P parameters, B batch, D dimensions of a sample, M modes.
"""

import argparse
import base64
import dataclasses
import itertools
import json
import math
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import row
from zeuxis.nn.spectral import Spectral
from zeuxis.objectives import adversarial
from zeuxis.objectives.adversarial import Loss

BETAS, EMA, SLOPE = (0.5, 0.99), 0.995, 0.2
SHARE = 0.5
"""Of what the discriminator sees that is augmented: a half is seen as it is."""
LOOKS = 20
"""Measurements on the way, of 2,500 samples."""


@dataclasses.dataclass(frozen=True)
class Method:
    """One row.

    Attributes:
        name: in words.
        loss: of `zeuxis.objectives.adversarial`.
        penalty: none, one_centred, r1 or r1_r2.
        weight: of the penalty: gamma of R1 and R2, lambda of the one-centred one. Gulrajani et al., 2017,
            have 10 for images; their script for these Gaussians has 0.1.
        spectral: whether each layer of the discriminator has a spectral norm of 1.
        augment: whether what it sees is shifted at random, real and generated alike.
    """

    name: str
    loss: Loss = "non_saturating"
    penalty: str = "none"
    weight: float = 0.01
    spectral: bool = False
    augment: bool = False


REAL = Method("real data")
"""Trains nothing: the figures that samples could reach."""
PLAIN = Method("none")
BEST = Method("relativistic pairs + R1 + R2", "relativistic", "r1_r2")
METHODS = (
    PLAIN,
    Method("relativistic pairs", "relativistic"),
    Method("R1", penalty="r1"),
    Method("R1 + R2", penalty="r1_r2"),
    BEST,
    Method("spectral norm", spectral=True),
    Method("augmentation", augment=True),
    Method("gradient penalty", penalty="one_centred", weight=10.0),
    Method("gradient penalty of 0.1", penalty="one_centred", weight=0.1),
    Method("Wasserstein + gradient penalty", "wasserstein", "one_centred", 10.0),
    Method("Wasserstein + penalty of 0.1", "wasserstein", "one_centred", 0.1),
)


@dataclasses.dataclass(frozen=True)
class Setting:
    """What all rows of a task share, but for the sweep."""

    steps: int
    batch: int
    lr: float
    seeds: int


@dataclasses.dataclass(frozen=True)
class Task:
    """Data to be drawn, as vectors.

    Attributes:
        name: of the task.
        layers: sizes of the generator's layers, from the latent to the sample.
        draw: samples of a shape, (..., D).
        shift: moves samples (N, D), for augmentation.
        modes: of samples (N, D): the mode of each, and whether it is good.
        count: of modes.
        drawn: samples to measure.
        about: what its rows say besides.
    """

    name: str
    layers: tuple[int, ...]
    draw: Callable[[tuple[int, ...]], Tensor]
    shift: Callable[[Tensor], Tensor]
    modes: Callable[[Tensor], tuple[Tensor, Tensor]]
    count: int
    drawn: int
    about: dict[str, float] = dataclasses.field(default_factory=dict)


def gaussians() -> Task:
    """25 of them, scaled to unit variance."""
    axis = torch.arange(-2.0, 3.0) / math.sqrt(2)
    centres_MD, deviation = torch.cartesian_prod(axis, axis), 0.05 / 2 / math.sqrt(2)

    def draw(shape: tuple[int, ...]) -> Tensor:
        chosen = torch.randint(len(centres_MD), shape)
        return centres_MD[chosen] + deviation * torch.randn(*shape, 2)

    def shift(x: Tensor) -> Tensor:
        return x + 0.2 * torch.randn(len(x), 2)

    def modes(x: Tensor) -> tuple[Tensor, Tensor]:
        distance, nearest = torch.cdist(x, centres_MD).min(1)
        return nearest, distance < 3 * deviation

    return Task("gaussians", (2, 64, 64, 64, 2), draw, shift, modes, len(centres_MD), 2500)


def digits() -> Task:
    """Three digits of 8 x 8 pixels on one another, as 192 numbers in [-1, 1]."""
    from sklearn.datasets import load_digits

    table = load_digits()
    pixels = torch.tensor(table.data / 8 - 1, dtype=torch.float32)
    judge, right = classifier(pixels, torch.tensor(table.target))

    def draw(shape: tuple[int, ...]) -> Tensor:
        return pixels[torch.randint(len(pixels), (*shape, 3))].flatten(-2)

    def shift(x: Tensor) -> Tensor:
        padded = F.pad(x.view(-1, 3, 8, 8), (1, 1, 1, 1), value=-1.0)
        dy, dx = torch.randint(3, (2, len(x), 1, 1, 1))
        columns = (dx + torch.arange(8)).expand(-1, 3, 10, -1)
        rows = (dy + torch.arange(8)[:, None]).expand(-1, 3, -1, 8)
        return padded.gather(3, columns).gather(2, rows).flatten(1)

    def modes(x: Tensor) -> tuple[Tensor, Tensor]:
        three = judge(x.view(-1, 1, 8, 8)).argmax(1).view(-1, 3)
        return three @ torch.tensor([100, 10, 1]), torch.ones(len(x), dtype=torch.bool)

    about = {"classifier_percent": right}
    return Task("stacked digits", (32, 128, 128, 128, 192), draw, shift, modes, 1000, 26_000, about)


def classifier(pixels: Tensor, labels: Tensor) -> tuple[nn.Module, float]:
    """Of single digits, and the percentage that it gets right of a fifth that it never saw."""
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(512, 10)),
    )
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3)
    held = torch.arange(len(pixels)) % 5 == 0
    x, y = pixels[~held].view(-1, 1, 8, 8), labels[~held]
    for _ in range(400):
        chosen = torch.randint(len(x), (128,))
        optimiser.zero_grad()
        F.cross_entropy(net(x[chosen]), y[chosen]).backward()
        optimiser.step()
    net.requires_grad_(False)
    right = net(pixels[held].view(-1, 1, 8, 8)).argmax(1) == labels[held]
    return net, round(100 * right.float().mean().item(), 2)


class Side(nn.Module):
    """Networks of one kind, one a seed, as a matrix of their parameters.

    Linear layers and leaky ReLUs between them, with PyTorch's first values.
    """

    def __init__(self, layers: tuple[int, ...], seeds: int, spectral: bool = False) -> None:
        super().__init__()
        self.shapes = [*itertools.pairwise(layers)]
        first = [[nn.Linear(a, b) for a, b in self.shapes] for _ in range(seeds)]
        flat = [torch.cat([p.flatten() for x in net for p in x.parameters()]) for net in first]
        self.flat_SP = nn.Parameter(torch.stack(flat).detach())
        self.norms = nn.ModuleList(
            nn.ModuleList(Spectral(net[i].weight.detach()) for net in first)
            for i in range(len(self.shapes))
            if spectral
        )

    def weights(self) -> list[tuple[Tensor, Tensor]]:
        """Weight (S, out, in) and bias (S, 1, out) of each layer."""
        sizes = itertools.chain.from_iterable((a * b, b) for a, b in self.shapes)
        parts = self.flat_SP.split([*sizes], 1)
        pairs = zip(parts[::2], parts[1::2], self.shapes, strict=True)
        return [(w.view(-1, b, a), bias[:, None]) for w, bias, (a, b) in pairs]

    def forward(self, x_SBD: Tensor) -> Tensor:
        """(S, B, D) -> (S, B, outputs)."""
        for i, (weight, bias) in enumerate(self.weights()):
            if self.norms:
                weight = torch.stack(
                    [norm(w) for norm, w in zip(self.norms[i], weight, strict=True)]
                )
            x_SBD = F.leaky_relu(x_SBD, SLOPE) if i else x_SBD
            x_SBD = torch.baddbmm(bias, x_SBD, weight.transpose(1, 2))
        return x_SBD

    def follow(self) -> None:
        """After a step, the singular vectors follow the weights."""
        for norms, (weight, _) in zip(self.norms, self.weights(), strict=False):
            for norm, w in zip(norms, weight.detach(), strict=True):
                norm.follow(w)


def train(method: Method, task: Task, to: Setting) -> tuple[Side, dict[str, Any]]:
    """The generators' EMA after all steps, and what was measured on the way."""
    latent, size = task.layers[0], task.layers[-1]
    maker, average = Side(task.layers, to.seeds), Side(task.layers, to.seeds).requires_grad_(False)
    judge = Side((size, *task.layers[1:-1], 1), to.seeds, method.spectral)
    average.load_state_dict(maker.state_dict())
    optimisers = [torch.optim.Adam(x.parameters(), to.lr, BETAS) for x in (maker, judge)]
    shape = (to.seeds, to.batch)
    course: dict[str, Any] = {"step": [], "modes": [], "discriminator": [], "generator": []}

    def logits(x: Tensor) -> Tensor:
        """(S, B, D) or (S B, D) -> (S, B)."""
        if method.augment:
            flat = x.reshape(-1, size)
            x = torch.where(torch.rand(len(flat), 1) < SHARE, task.shift(flat), flat)
        return judge(x.view(to.seeds, -1, size)).squeeze(2)

    for step in range(to.steps):
        for optimiser in optimisers:
            optimiser.param_groups[0]["lr"] = to.lr * (1 - step / to.steps)
        with torch.no_grad():
            both = torch.cat([task.draw(shape), maker(torch.randn(*shape, latent))], 1)
        both = both.view(-1, size).requires_grad_(method.penalty.startswith("r1"))
        out = logits(both)
        real, fake = out.chunk(2, 1)
        cost = discriminator = adversarial.discriminator_loss(method.loss, real, fake).mean()
        if method.penalty == "one_centred":
            real, fake = both.view(to.seeds, -1, size).chunk(2, 1)
            mix = torch.lerp(real, fake, torch.rand(*shape, 1)).view(-1, size).requires_grad_()
            squared = adversarial.squared_gradient(logits(mix), mix)
            cost = cost + method.weight * adversarial.one_centred(squared).mean()
        elif method.penalty != "none":
            squared = adversarial.squared_gradient(out, both).view(to.seeds, 2, to.batch)
            squared = squared if method.penalty == "r1_r2" else squared[:, :1]
            cost = cost + method.weight / 2 * squared.sum(1).mean()
        move(optimisers[1], judge, cost * to.seeds)
        judge.follow()

        both = maker(torch.randn(*shape, latent))
        if method.loss == "relativistic":
            both = torch.cat([task.draw(shape), both], 1)
        out = logits(both)
        fake, real = out[:, -to.batch :], out[:, : to.batch]
        generator = adversarial.generator_loss(method.loss, fake, real).mean()
        move(optimisers[0], maker, generator * to.seeds)
        average.flat_SP.lerp_(maker.flat_SP.detach(), 1 - EMA)
        if (step + 1) % (to.steps // LOOKS) == 0:
            course["step"].append(step + 1)
            course["modes"].append(scores(task, samples(task, average, to, 2500))["modes"])
            course["discriminator"].append(round(discriminator.item(), 4))
            course["generator"].append(round(generator.item(), 4))
    return average, course


def move(optimiser: torch.optim.Optimizer, side: Side, cost: Tensor) -> None:
    """One step: the seeds' parameters are apart, so the gradient of the sum is each one's own."""
    (side.flat_SP.grad,) = torch.autograd.grad(cost, side.flat_SP)
    optimiser.step()


@torch.no_grad()
def samples(task: Task, maker: Side, to: Setting, count: int) -> Tensor:
    """So many of each seed, (S, N, D)."""
    return maker(torch.randn(to.seeds, count, task.layers[0]))


def scores(task: Task, drawn: Tensor) -> dict[str, Any]:
    """Of samples (S, N, D), for each seed: modes covered, percentage of good ones, reverse KL divergence."""
    found: dict[str, Any] = {"modes": [], "good_percent": [], "reverse_kl": []}
    for one in drawn:
        mode, good = task.modes(one)
        share = torch.bincount(mode, minlength=task.count) / len(one)
        found["modes"].append(len(mode[good].unique()))
        found["good_percent"].append(round(100 * good.float().mean().item(), 2))
        found["reverse_kl"].append(
            round((share * (share * task.count).clamp_min(1e-9).log()).sum().item(), 4)
        )
    return found


def packed(drawn: Tensor) -> str:
    """1,000 points in [-2, 2] as bytes, two a point, in base64."""
    steps = ((drawn[:1000] + 2) * 63.75).round().clamp(0, 255).to(torch.uint8)
    return base64.b64encode(steps.numpy().tobytes()).decode()


def main() -> None:
    """The rows of a task that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=("gaussians", "digits", "sweep"))
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no row after these")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.monotonic()
    task = digits() if options.task == "digits" else gaussians()
    plan = [(method, Setting(6000, 128, 1e-3, options.seeds)) for method in (REAL, *METHODS)]
    if options.task == "sweep":
        plan = [
            (method, Setting(4000, batch, lr, options.seeds))
            for method in (PLAIN, BEST)
            for lr in (1e-4, 1e-3, 1e-2)
            for batch in (16, 64, 256)
        ]
    path = row.RESULTS / "stabilisers.json"
    rows = json.loads(path.read_text()) if path.exists() else []
    keys = ("task", "method", *Setting.__annotations__)
    done = {tuple(x[key] for key in keys) for x in rows}
    for method, to in plan:
        key = {"task": task.name, "method": method.name, **dataclasses.asdict(to)}
        if tuple(key.values()) in done or time.monotonic() - began > 60 * options.minutes:
            continue
        before = time.process_time()
        torch.manual_seed(0)
        if method is REAL:
            drawn, more = task.draw((to.seeds, task.drawn)), {}
        else:
            average, course = train(method, task, to)
            drawn = samples(task, average, to, task.drawn)
            more = {"course": course} if options.task != "sweep" else {}
        more["cpu_seconds"] = round(time.process_time() - before, 1)
        if options.task == "gaussians":
            more["points"] = packed(drawn[0])
        row.write_row("stabilisers", **key, **task.about, **scores(task, drawn), **more)


if __name__ == "__main__":
    main()
