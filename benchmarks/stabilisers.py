"""What keeps adversarial training from losing modes: 25 Gaussians, and stacked digits with 1,000 modes.

    pip download --no-deps scikit-learn        # for the digits: 1,797 of 8 x 8 pixels in its wheel
    python -m benchmarks.stabilisers [--digits scikit_learn-*.whl] [--seeds 0 1 2] [--picture FILE]

The same small networks, optimiser and steps for every row; nothing is tuned per row. Gaussians: centres on
a 5 x 5 grid 2 apart, deviation 0.05 (as in Veegan, https://arxiv.org/abs/1705.07761); a sample within three
deviations of a centre is good, and a mode with a good sample is covered. Stacked digits: three digits as
red, green and blue; a classifier says which of the 1,000 numbers a sample is. Losses and penalties are
`zeuxis.objectives.adversarial`'s. Writes one row a method.
"""

import argparse
import csv
import dataclasses
import gzip
import io
import itertools
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor, nn

from benchmarks import row
from zeuxis.objectives import adversarial
from zeuxis.objectives.adversarial import Loss

STEPS, BATCH, CODE, WIDTH = 4000, 128, 32, 128
GAMMA, LAMBDA = 1.0, 10.0
"""Of R1 and R2 (half of it weighs each), and of the one-centred penalty, as their papers have them."""
DEVIATION, SPACING, SIDE = 0.05, 2.0, 5
DRAWN = 25_600


@dataclasses.dataclass(frozen=True)
class Method:
    """One row.

    Attributes:
        name: in words.
        loss: of `zeuxis.objectives.adversarial`.
        penalty: none, one_centred, r1 or r1_r2.
        spectral: whether each layer of the discriminator has a spectral norm of 1.
        augment: whether what it sees is moved about at random, real and drawn alike.
    """

    name: str
    loss: Loss = "non_saturating"
    penalty: str = "none"
    spectral: bool = False
    augment: bool = False


METHODS = (
    Method("none"),
    Method("gradient penalty", penalty="one_centred"),
    Method("R1", penalty="r1"),
    Method("R1 + R2", penalty="r1_r2"),
    Method("spectral norm", spectral=True),
    Method("augmentation", augment=True),
    Method("Wasserstein + gradient penalty", "wasserstein", "one_centred"),
    Method("relativistic pairs", "relativistic"),
    Method("relativistic pairs + R1 + R2", "relativistic", "r1_r2"),
)


@dataclasses.dataclass(frozen=True)
class Task:
    """Data to be drawn, as vectors.

    Attributes:
        name: of the task.
        size: numbers of a vector.
        draw: a batch, by a generator.
        shift: moves rows about, for augmentation.
        modes: of rows: the mode of each, -1 for none.
        count: of modes.
    """

    name: str
    size: int
    draw: Callable[[int, torch.Generator], Tensor]
    shift: Callable[[Tensor, torch.Generator], Tensor]
    modes: Callable[[Tensor], Tensor]
    count: int


def gaussians() -> Task:
    """25 of them, scaled to about unit variance."""
    axis = (torch.arange(SIDE) - SIDE // 2) * SPACING
    centres = torch.cartesian_prod(axis, axis) / 2.8

    def draw(count: int, chance: torch.Generator) -> Tensor:
        chosen = torch.randint(len(centres), (count,), generator=chance)
        return centres[chosen] + DEVIATION / 2.8 * torch.randn(count, 2, generator=chance)

    def modes(x: Tensor) -> Tensor:
        distance, nearest = torch.cdist(x, centres).min(1)
        return torch.where(distance < 3 * DEVIATION / 2.8, nearest, -1)

    def shift(x: Tensor, chance: torch.Generator) -> Tensor:
        return x + 0.2 * (torch.rand(len(x), 2, generator=chance) - 0.5)

    return Task("gaussians", 2, draw, shift, modes, len(centres))


def digits(wheel: Path) -> Task:
    """Three digits of 8 x 8 pixels on one another, as 192 numbers in [-1, 1]."""
    with zipfile.ZipFile(wheel) as packed:
        text = gzip.decompress(packed.read("sklearn/datasets/data/digits.csv.gz")).decode()
    table = np.array([*csv.reader(io.StringIO(text))], float)
    pixels = torch.tensor(table[:, :-1] / 8 - 1, dtype=torch.float32)
    labels = torch.tensor(table[:, -1], dtype=torch.int64)
    judge = classifier(pixels, labels)

    def draw(count: int, chance: torch.Generator) -> Tensor:
        return pixels[torch.randint(len(pixels), (count, 3), generator=chance)].flatten(1)

    def modes(x: Tensor) -> Tensor:
        with torch.no_grad():
            three = judge(x.view(-1, 1, 8, 8)).argmax(1).view(-1, 3)
        return three @ torch.tensor([100, 10, 1])

    def shift(x: Tensor, chance: torch.Generator) -> Tensor:
        padded = F.pad(x.view(-1, 3, 8, 8), (1, 1, 1, 1), value=-1.0)
        dy, dx = torch.randint(3, (2, len(x)), generator=chance)
        rows, columns = dy[:, None] + torch.arange(8), dx[:, None] + torch.arange(8)
        every = torch.arange(len(x))[:, None, None]
        moved = padded.permute(0, 2, 3, 1)[every, rows[:, :, None], columns[:, None]]
        return moved.permute(0, 3, 1, 2).flatten(1)

    return Task("stacked digits", 192, draw, shift, modes, 1000)


def classifier(pixels: Tensor, labels: Tensor) -> nn.Module:
    """Of single digits; says on stderr how many held-out ones it gets right."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(1024, 10),
    )
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3)
    train = torch.arange(len(pixels)) % 5 > 0
    x, y = pixels[train].view(-1, 1, 8, 8), labels[train]
    for _ in range(600):
        chosen = torch.randint(len(x), (128,))
        loss = F.cross_entropy(net(x[chosen]), y[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        right = (net(pixels[~train].view(-1, 1, 8, 8)).argmax(1) == labels[~train]).float().mean()
    print(f"the classifier is right about {100 * right:.1f} % of held-out digits")
    return net.eval().requires_grad_(False)


def network(inputs: int, outputs: int, spectral: bool = False) -> nn.Sequential:
    """Three layers with leaky ReLUs between them."""
    sizes = (inputs, WIDTH, WIDTH, outputs)
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        linear = nn.Linear(a, b)
        layers += [nn.utils.parametrizations.spectral_norm(linear) if spectral else linear]
        layers += [nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


def train(method: Method, task: Task, seed: int) -> nn.Sequential:
    """The generator after all steps, averaged over the last ones."""
    torch.manual_seed(seed)
    chance = torch.Generator().manual_seed(seed)
    maker, judge = network(CODE, task.size), network(task.size, 1, method.spectral)
    average = network(CODE, task.size).requires_grad_(False)
    average.load_state_dict(maker.state_dict())
    makes = torch.optim.Adam(maker.parameters(), 5e-4, (0.0, 0.99))
    judges = torch.optim.Adam(judge.parameters(), 5e-4, (0.0, 0.99))
    seen = (lambda x: task.shift(x, chance)) if method.augment else (lambda x: x)

    def logits(x: Tensor) -> Tensor:
        return judge(seen(x)).flatten()

    for _ in range(STEPS):
        real, noise = task.draw(BATCH, chance), torch.randn(BATCH, CODE, generator=chance)
        fake = maker(noise).detach()
        due = method.penalty != "none"
        real.requires_grad_(due), fake.requires_grad_(due)
        r, f = logits(real), logits(fake)
        cost = adversarial.discriminator_loss(method.loss, r, f).mean()
        if method.penalty == "one_centred":
            mix = torch.lerp(real, fake, torch.rand(BATCH, 1, generator=chance)).detach()
            mix.requires_grad_()
            squared = adversarial.squared_gradient(logits(mix), mix)
            cost = cost + LAMBDA * adversarial.one_centred(squared).mean()
        elif due:
            squared = adversarial.squared_gradient(r, real)
            if method.penalty == "r1_r2":
                squared = squared + adversarial.squared_gradient(f, fake)
            cost = cost + GAMMA / 2 * squared.mean()
        judges.zero_grad()
        cost.backward()
        judges.step()

        real, noise = task.draw(BATCH, chance), torch.randn(BATCH, CODE, generator=chance)
        r, f = logits(real), logits(maker(noise))
        cost = adversarial.generator_loss(method.loss, f, r).mean()
        makes.zero_grad()
        cost.backward()
        makes.step()
        with torch.no_grad():
            for mine, theirs in zip(average.parameters(), maker.parameters(), strict=True):
                mine.lerp_(theirs, 0.005)
    return average


def measure(task: Task, maker: nn.Sequential) -> tuple[int, float, Tensor]:
    """Modes covered, the share of good samples, and samples."""
    chance = torch.Generator().manual_seed(12345)
    with torch.no_grad():
        drawn = maker(torch.randn(DRAWN, CODE, generator=chance))
    modes = task.modes(drawn)
    return len(modes[modes >= 0].unique()), float((modes >= 0).float().mean()), drawn


def scatter(points: Tensor, real: Tensor) -> Image.Image:
    """Samples in grape over real ones in grey, 200 pixels a side."""
    panel = Image.new("RGB", (200, 200), "#faf8f4")
    pen = ImageDraw.Draw(panel)
    for cloud, colour in ((real, "#d8d2c8"), (points, "#6d2c63")):
        for x, y in (100 + 55 * cloud[:3000]).tolist():
            if 0 <= x < 200 and 0 <= y < 200:
                pen.rectangle((x - 0.5, y - 0.5, x + 0.5, y + 0.5), fill=colour)
    return panel


def main() -> None:
    """All rows of a task, and its picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--digits", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = digits(options.digits) if options.digits else gaussians()
    panels = []
    for method in METHODS:
        began, found, good = time.process_time(), [], []
        for seed in options.seeds:
            modes, share, drawn = measure(task, train(method, task, seed))
            found.append(modes)
            good.append(round(100 * share, 1))
            if seed == options.seeds[0] and task.size == 2:
                real = task.draw(3000, torch.Generator().manual_seed(1))
                panels.append((method.name, scatter(drawn, real)))
        row.write_row(
            "stabilisers",
            task=task.name,
            method=method.name,
            modes=found,
            of=task.count,
            good_percent=good,
            steps=STEPS,
            cpu_seconds=round(time.process_time() - began, 1),
        )
    if options.picture and panels:
        sheet = Image.new("RGB", (3 * 212 + 12, 3 * 236 + 12), "#faf8f4")
        pen = ImageDraw.Draw(sheet)
        for i, (name, panel) in enumerate(panels):
            x, y = 12 + i % 3 * 212, 12 + i // 3 * 236
            pen.text((x, y), name, fill="#1f1b18", font_size=13)
            sheet.paste(panel, (x, y + 20))
        sheet.save(options.picture)


if __name__ == "__main__":
    main()
