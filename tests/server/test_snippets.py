"""What the docs say of other languages runs, where these are installed, and gives the same picture."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.server.test_processes import serving
from tests.support.need import ROOT
from zeuxis.export.running import fresh

GAN = ROOT / "tests" / "fixtures" / "gan"
PAGE = (ROOT / "docs" / "serve.md").read_text()
SAVED = {
    "js": '\nimport("node:fs").then((fs) => fs.writeFileSync("one.png", picture));',
    "r": "",
    "python": "\nimport shutil\nshutil.copy('0.png', 'one.png')",
    "sh": "",
}
RUN = {
    "js": ["node", "--input-type=module", "-e"],
    "r": ["Rscript", "-e"],
    "python": [sys.executable, "-c"],
    "sh": ["bash", "-ec"],
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("served"), GAN) as (_, client):
        yield client


def snippet(language, api, token):
    """The first block of the page in a language, for the model of the tests."""
    text = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)[0]
    if language == "sh":  # of several requests, the one for a single picture
        (text,) = re.findall(r"^# one image as PNG\n(.*?)\n\n", text, re.M | re.S)
        text = re.sub(r', "labels": {.*?}', "", text)
    text = text.replace("runs/demo", "runs/gan").replace("http://127.0.0.1:8000/api/v1", api)
    known = f'{"const " if language == "js" else ""}API="{api}"\n'
    known += f'{"const " if language == "js" else ""}TOKEN="{token}"\n'
    return known + text + SAVED[language]


@pytest.mark.parametrize("language", [*SAVED])
def test_a_snippet_gives_the_picture(language, served, tmp_path):
    program = RUN[language][0]
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    packages = "library(httr2); library(jsonlite)"
    if (
        language == "r"
        and subprocess.run(["Rscript", "-e", packages], capture_output=True).returncode
    ):
        pytest.skip("R has no httr2 or jsonlite")
    token = served.headers["authorization"].removeprefix("Bearer ")
    api = str(served.base_url).rstrip("/")
    words = [*RUN[language], snippet(language, api, token)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    seen, ours = np.array(Image.open(tmp_path / "one.png")), fresh(GAN).sample(1, seed=7).array[0]
    assert np.abs(seen.astype(int) - ours).max() <= 1  # 8 pixels carry no watermark
