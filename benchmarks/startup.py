"""How long a new process takes: import, help, and 64 samples from a trained model.

    python -m benchmarks.startup [RUN ...]

Each figure is the fastest of several new processes with a warm file cache: what the code costs, not
what else the machine was doing. A RUN is a folder that `zeuxis train` wrote; a family with
guidance draws with 10 steps and guidance. Without a RUN only import and help are timed.
"""

import subprocess
import sys
import time
from pathlib import Path

from benchmarks import row

REPEATS = 7
HELP = "import sys; from zeuxis.cli.main import main; sys.exit(main(['--help']))"
DRAW = """
import sys, zeuxis
model = zeuxis.load(sys.argv[1])
guided = "guidance_scale" in model.family.Controls.model_fields
model.sample(64, seed=1, **({"steps": 10, "guidance_scale": 2.0} if guided else {}))
"""


def fastest(*words: str, repeats: int = REPEATS) -> float:
    """Seconds of the fastest of `repeats` processes."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    return round(min(times), 3)


def main(runs: list[str]) -> None:
    """Write one row."""
    figures = {
        "bare_python": fastest("-c", "pass"),
        "import_zeuxis": fastest("-c", "import zeuxis"),
        "help": fastest("-c", HELP),
        "import_torch": fastest("-c", "import torch", repeats=3),
    }
    for run in runs:
        figures[f"load_and_draw_64 {Path(run).name}"] = fastest("-c", DRAW, run, repeats=3)
    row.write_row("startup", **figures)


if __name__ == "__main__":
    main(sys.argv[1:])
