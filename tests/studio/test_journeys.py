"""People at the page, in Debian's Chromium against the real server: offline, and no route is played."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.studio.icons import icons
from tests.support.need import ROOT, STUDIO, need, need_packages
from tests.support.sabotage import breaks

LONGEST_S = 900
MOST_BYTES = 150_000
"""Of the page's files, compressed."""


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """A folder of icons, and the names of those that are broken or copied."""
    folder = tmp_path_factory.mktemp("pictures") / "icons"
    return folder, sorted(name.removeprefix("copy-of-") for name in icons(folder))


@pytest.fixture
def studio(tmp_path):
    """The address that a new studio prints; it ends with the test."""
    need_packages()
    need("chromium")
    words = [sys.executable, "-m", "zeuxis", "studio", str(tmp_path / "studio")]
    env = {**os.environ, "ZEUXIS_CACHE": str(tmp_path / "cache"), "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(
        [*words, "--no-browser", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=env,
        cwd=ROOT,
    )
    try:
        said = server.stdout.readline()
        yield re.search(r"http://127\.0\.0\.1:\d+/#ticket=[\w-]+", said)[0]
    finally:
        server.terminate()
        server.wait(30)
        server.stdout.close()


def walk(journey, *words, **env):
    """Walk a journey to its end; what it printed last."""
    done = subprocess.run(
        [need_packages(), STUDIO / "test" / "browser" / journey, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        env={**os.environ, "CHROMIUM": need("chromium"), **env},
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_designer_gathers_icons(studio, drawn, theme):
    folder, bad = drawn
    assert walk("gather.mjs", studio, folder, theme, BAD=json.dumps(bad)) == "done"


def test_the_same_by_keyboard_at_twice_the_size(studio, drawn):
    assert walk("keys.mjs", studio, drawn[0]) == "done"


@breaks("server/guard.py", "script-src 'self'", "script-src 'none'")
def test_the_first_paint_is_small_and_asks_nobody_else(studio):
    told = json.loads(walk("paint.mjs", studio))
    assert told["bytes"] <= MOST_BYTES, told
    assert told["paint"] is not None and len(told["files"]) <= 12, told
