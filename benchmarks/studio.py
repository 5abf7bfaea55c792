"""What the studio's page costs: a stroke to its picture, a frame of the brush, tiles in the page, bytes.

    python benchmarks/studio.py RUN_OF_PAINT

Appends a row to benchmarks/results/studio.json: in Debian's Chromium without a GPU, with the load of the
machine beside the figures. `make studio` comes first.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from row import write_row

ROOT = Path(__file__).parents[1]
SERVE = """
from pathlib import Path
import sys
from zeuxis.server.serve import Options, serve
runs = sorted(path.parent for path in Path(sys.argv[1], "runs").glob("*/config.json"))
options = Options(port=0, token_file=None, host_name=None, queue=64, deadline=600.0, max_images=10_000,
                  jobs=Path(sys.argv[1]), sources=())
serve(runs, options, lambda words: None, lambda address: print(address, flush=True))
"""


def tiny(folder: Path) -> None:
    """A generator that draws ten thousand pictures in a moment."""
    from zeuxis import families
    from zeuxis.inference import artefact

    family = families.build("gan", families.get("gan").TINY, 0)
    artefact.save(folder, "gan", family, family.state_dict())


def main(run: Path) -> None:
    """Measure, and append the row."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "studio"
        shutil.copytree(run, folder / "runs" / "paint")
        tiny(folder / "runs" / "many")
        server = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(folder)], stdout=subprocess.PIPE, text=True
        )
        try:
            address = re.search(r"http://\S+", server.stdout.readline())[0]
            told = subprocess.run(
                ["node", ROOT / "studio" / "test" / "browser" / "costs.mjs", address],
                capture_output=True,
                text=True,
                check=True,
                env={"CHROMIUM": shutil.which("chromium") or "", **os.environ},
            )
        finally:
            server.terminate()
            server.wait(30)
    found = json.loads(told.stdout.splitlines()[-1])
    load = [round(each, 2) for each in os.getloadavg()]
    write_row("studio", run=run.name, load=load, **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
