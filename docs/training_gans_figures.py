"""Draw the figures of docs/training-gans.md and renew its tables, from rows of `benchmarks/stabilisers.py`.

    python -m docs.training_gans_figures

`gan-dirac.svg` needs no rows: it plays the smallest game there is with the toolkit's losses and penalties.
"""

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.stabilisers import METHODS
from zeuxis.objectives import adversarial
from zeuxis.objectives.adversarial import Loss

HERE = Path(__file__).parent
PAGE = HERE / "training-gans.md"
STYLE = """<style>
svg{background:#faf8f4;color:#1f1b18;--grape:#6d2c63;--leaf:#4c7a34;--line:#d8d2c8}
text{font:13px system-ui,sans-serif;fill:currentColor}.small{font-size:11px;opacity:.75}
polyline{fill:none;stroke:var(--grape);stroke-width:1.5}.second{stroke:var(--leaf)}
.axis,.ring{fill:none;stroke:var(--line)}.start{fill:var(--grape)}.goal{fill:var(--leaf)}
.dots{fill:none;stroke:var(--grape);stroke-width:1.6;stroke-linecap:round}
@media(prefers-color-scheme:dark){svg{background:#16131a;color:#eee8e2;--grape:#d79bd0;--leaf:#9ccb7d;--line:#443b4d}}
</style>"""
SIDE, GAP, HEAD = 200, 16, 26


def svg(name: str, panels: list[tuple[str, str]], columns: int, tall: int = SIDE) -> None:
    """Write panels (title, inner marks within SIDE x tall), row by row."""
    rows = -(-len(panels) // columns)
    parts = []
    for i, (title, marks) in enumerate(panels):
        x, y = i % columns * (SIDE + GAP), i // columns * (tall + HEAD + GAP)
        parts.append(f'<g transform="translate({x} {y})"><text y="14">{title}</text>')
        parts.append(f'<g transform="translate(0 {HEAD})">{marks}</g></g>')
    width, height = columns * (SIDE + GAP) + GAP, rows * (tall + HEAD + GAP) + GAP
    box = f'xmlns="http://www.w3.org/2000/svg" viewBox="{-GAP} {-GAP // 2} {width} {height}"'
    (HERE / "images" / name).write_text(f"<svg {box}>{STYLE}{''.join(parts)}</svg>\n")


def line(points: list[tuple[float, float]], kind: str = "first") -> str:
    """A polyline."""
    return f'<polyline class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def dirac(loss: Loss, penalty: Callable[[Tensor, Tensor, Tensor], Tensor]) -> str:
    """Both players move by gradient steps: data at 0, samples at theta, D(x) = psi x."""
    theta, psi, rate = torch.tensor(1.0), torch.tensor(0.0), 0.05
    path = []
    for _ in range(500):
        path.append((100 + 60 * float(theta), 100 - 60 * float(psi)))
        theta.requires_grad_(), psi.requires_grad_()
        real, fake = torch.zeros(1, 1), theta.detach().view(1, 1)
        cost = adversarial.discriminator_loss(loss, psi * real[0], psi * fake[0]).sum()
        (up,) = torch.autograd.grad(cost + penalty(psi, real, fake), psi)
        cost = adversarial.generator_loss(loss, psi * theta, psi * real[0]).sum()
        (across,) = torch.autograd.grad(cost, theta)
        theta, psi = (theta - rate * across).detach(), (psi - rate * up).detach()
    marks = '<path class="axis" d="M0 100H200M100 0V200"/>' + line(path)
    marks += f'<circle class="start" cx="{path[0][0]}" cy="{path[0][1]}" r="4"/>'
    marks += '<circle class="goal" cx="100" cy="100" r="4"/>'
    marks += '<text class="small" x="165" y="112">sample</text>'
    return marks + '<text class="small" x="104" y="10">slope of D</text>'


def slope(psi: Tensor, at: Tensor) -> Tensor:
    """Squared gradient of D at a point."""
    at = at.clone().requires_grad_()
    return adversarial.squared_gradient((psi * at).view(1), at).sum()


def games() -> None:
    """Four ways to play it."""

    def none(psi: Tensor, real: Tensor, fake: Tensor) -> Tensor:
        return torch.zeros(())

    def one(psi: Tensor, real: Tensor, fake: Tensor) -> Tensor:
        return 0.3 * adversarial.one_centred(slope(psi, fake))

    def r1(psi: Tensor, real: Tensor, fake: Tensor) -> Tensor:
        return slope(psi, real) / 2

    def r1_r2(psi: Tensor, real: Tensor, fake: Tensor) -> Tensor:
        return (slope(psi, real) + slope(psi, fake)) / 2

    panels = [
        ("no penalty: round and round", dirac("non_saturating", none)),
        ("Wasserstein, slope drawn to 1", dirac("wasserstein", one)),
        ("R1: comes to rest", dirac("non_saturating", r1)),
        ("relativistic pairs, R1 + R2", dirac("relativistic", r1_r2)),
    ]
    svg("gan-dirac.svg", panels, 4)


def place(value: float) -> float:
    """A coordinate of data, about [-1.5, 1.5], in a panel."""
    return 100 + 58 * value


def clouds(rows: list[dict[str, Any]]) -> None:
    """1,000 samples of the first seed of each method, over rings twice as wide as what counts as good."""
    grid = [place(i / 2**0.5) for i in range(-2, 3)]
    rings = "".join(
        f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="6.2"/>' for x in grid for y in grid
    )
    panels = []
    for row in rows:
        flat = torch.frombuffer(bytearray(base64.b64decode(row["points"])), dtype=torch.uint8)
        where = (flat.view(-1, 2).float() / 63.75 - 2).tolist()
        dots = "".join(f"M{place(x):.0f} {place(y):.0f}h0" for x, y in where)
        panels.append((row["method"], f'{rings}<path class="dots" d="{dots}"/>'))
    svg("gan-modes.svg", panels, 3)


def courses(rows: list[dict[str, Any]]) -> None:
    """Modes covered by each seed, and the discriminator's loss, over the steps."""
    panels = []
    for row in rows:
        course, last = row["course"], row["steps"]
        marks = '<path class="axis" d="M0 0V100H200M0 50H200"/>'
        for seed in range(row["seeds"]):
            found = zip(course["step"], course["modes"], strict=True)
            marks += line([(200 * at / last, 100 - 4 * modes[seed]) for at, modes in found])
        undecided = 0.693 if row["method"].startswith("relativistic") else 1.386
        if not row["method"].startswith("Wasserstein"):
            costs = zip(course["step"], course["discriminator"], strict=True)
            shares = [(200 * at / last, min(cost / undecided, 1)) for at, cost in costs]
            marks += line([(x, 100 - 100 * share) for x, share in shares], "second")
        panels.append((row["method"], marks))
    svg("gan-curves.svg", panels, 3, tall=100)


def spread(values: list[float], digits: int) -> str:
    """Mean, smallest and largest."""
    mean = sum(values) / len(values)
    if min(values) == max(values):
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(rows: list[dict[str, Any]], stacked: dict[str, dict[str, Any]]) -> str:
    """A line a method."""
    lines = [
        "| | modes of 25 | good samples, % | reverse KL | digits: modes of 1,000 | reverse KL |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [spread(row["modes"], 1), spread(row["good_percent"], 1)]
        cells.append(spread(row["reverse_kl"], 2))
        other = stacked.get(row["method"])
        cells.append(spread(other["modes"], 0) if other else "")
        cells.append(spread(other["reverse_kl"], 2) if other else "")
        lines.append(f"| {row['method']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def sweep(rows: list[dict[str, Any]]) -> str:
    """Modes and good samples by learning rate and batch size; nothing before it has been run."""
    if not rows:
        return ""
    batches = sorted({row["batch"] for row in rows})
    lines = [
        "Modes of 25 and good samples by batch size, 4,000 steps, three seeds"
        " (`python -m benchmarks.stabilisers sweep`):",
        "",
        f"| method, learning rate | {' | '.join(f'batch {batch}' for batch in batches)} |",
        f"|---|{'---|' * len(batches)}",
    ]
    for method, lr in dict.fromkeys((row["method"], row["lr"]) for row in rows):
        cells = [
            f"{spread(row['modes'], 0)}; {sum(row['good_percent']) / row['seeds']:.0f} %"
            for batch in batches
            for row in rows
            if (row["method"], row["lr"], row["batch"]) == (method, lr, batch)
        ]
        lines.append(f"| {method}, {lr:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """All figures and tables."""
    games()
    rows = json.loads((HERE.parent / "benchmarks" / "results" / "stabilisers.json").read_text())
    names = ["real data", *(method.name for method in METHODS)]
    grid = sorted((r for r in rows if "points" in r), key=lambda r: names.index(r["method"]))
    trained = [row for row in grid if "course" in row]
    clouds(trained)
    courses(trained)
    made = {
        "stabilisers": table(grid, {r["method"]: r for r in rows if r["task"] != "gaussians"}),
        "sweep": sweep([row for row in rows if row["task"] == "gaussians" and "points" not in row]),
    }
    text = PAGE.read_text()
    for name, lines in made.items():
        between = f"(<!-- {name} -->\n).*?(<!-- end -->)"
        text = re.sub(between, rf"\g<1>{lines}\n\g<2>", text, flags=re.S)
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
