"""Draw docs/damage.svg: what each measure answers to each damage, from the rows of the benchmark.

    python docs/damage_figure.py

Each cell goes from no damage on the left to gross on the right; 1 is the strongest answer that the measure
gives to any damage, so a flat line is a measure that is blind to it.
"""

import json
from pathlib import Path
from typing import Any

from zeuxis.metrics.damage import DAMAGES

HERE = Path(__file__).parent
ROWS = HERE.parent / "benchmarks" / "results" / "damage_ladder.json"
MEASURES = {
    "frechet_distance": "Frechet distance",
    "frechet_infinity": "Frechet, endless",
    "kernel_distance": "kernel distance",
    "gaussian_kernel_distance": "Gaussian kernel",
    "sliced_wasserstein": "sliced Wasserstein",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "different_bins": "different bins",
    "class_score": "class score",
    "diversity": "variety",
    "ms_ssim_diversity": "variety, MS-SSIM",
    "repeat_rate": "repeats",
    "copy_rate": "near-copies",
    "shift_detail": "detail",
    "shift_noise": "noise",
    "shift_blocks": "blocks",
    "shift_brightness": "brightness",
    "shift_warmth": "warmth",
}
WIDE, TALL, LEFT, TOP = 88, 34, 130, 46


def panel(row: dict[str, Any], y: int) -> tuple[list[str], int]:
    """One data set's grid, from `y` on, and where it ends."""
    ladder = row["ladder"]
    base = next(step["scores"] for step in ladder if step["damage"] == "none")
    shown = {name: title for name, title in MEASURES.items() if name in base}
    parts = [f'<text class="head" x="0" y="{y + 14}">{row["data"]}, {row["images"]} images</text>']
    for column, damage in enumerate(DAMAGES):
        x = LEFT + column * WIDE + WIDE / 2
        parts.append(f'<text x="{x}" y="{y + 36}" text-anchor="middle">{damage}</text>')
    for line, (name, title) in enumerate(shown.items()):
        floor = y + TOP + (line + 1) * TALL
        values = {
            damage: [base[name]]
            + [s["scores"].get(name, base[name]) for s in ladder if s["damage"] == damage]
            for damage in DAMAGES
        }
        most = max(abs(v - base[name]) for some in values.values() for v in some) or 1.0
        parts.append(f'<text x="{LEFT - 8}" y="{floor - 8}" text-anchor="end">{title}</text>')
        for column, damage in enumerate(DAMAGES):
            left, width = LEFT + column * WIDE + 6, WIDE - 12
            points = " ".join(
                f"{left + width * i / (len(values[damage]) - 1):.1f},"
                f"{floor - 4 - (TALL - 10) * abs(v - base[name]) / most:.1f}"
                for i, v in enumerate(values[damage])
            )
            parts.append(f'<path class="axis" d="M{left} {floor - 4}h{width}"/>')
            parts.append(f'<polyline points="{points}"/>')
    return parts, y + TOP + TALL * len(shown) + 24


def main() -> None:
    """The latest row of each data set, one grid below the other."""
    latest = {row["data"]: row for row in json.loads(ROWS.read_text()) if not row["labels"]}
    parts, y = [], 0
    for row in latest.values():
        grid, y = panel(row, y)
        parts += grid
    style = (
        "text{font:12px system-ui,sans-serif;fill:#6d655d}.head{font-weight:600;fill:#1f1b18}"
        "polyline{fill:none;stroke:#6d2c63;stroke-width:2}.axis{stroke:#e2dcd2}"
        "svg{background:#faf8f4}"
    )
    (HERE / "damage.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 -8 {LEFT + WIDE * len(DAMAGES) + 20} {y}">'
        f"<style>{style}</style>{''.join(parts)}</svg>\n"
    )


if __name__ == "__main__":
    main()
