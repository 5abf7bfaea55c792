"""Pages of others, in Debian's Chromium with a session of the studio: nothing of theirs has an effect."""

import os
import re
import subprocess
import sys

import pytest

from tests.support.need import ROOT, STUDIO, need, need_packages
from tests.support.sabotage import breaks

LONGEST = 120
"""Seconds."""


@pytest.fixture
def address(tmp_path):
    """What a new studio prints; it ends with the test."""
    need_packages()
    need("chromium")
    words = [sys.executable, "-m", "zeuxis", "studio", str(tmp_path / "studio"), "--no-browser"]
    server = subprocess.Popen(
        [*words, "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        cwd=ROOT,
    )
    try:
        yield re.search(r"http://127\.0\.0\.1:\d+/#ticket=[\w-]+", server.stdout.readline())[0]
    finally:
        server.terminate()
        server.wait(30)
        server.stdout.close()


@breaks("server/guard.py", 'headers.get("host") not in self._hosts', "False")
def test_a_rebound_name_another_port_and_frames(address):
    """Ray 2025-62593, Ollama 2024-28224: DNS rebinding; fetches, forms, frames of another site."""
    done = subprocess.run(
        [need_packages(), STUDIO / "test" / "browser" / "hostile.mjs", address],
        capture_output=True,
        text=True,
        timeout=LONGEST,
        env={**os.environ, "CHROMIUM": need("chromium")},
    )
    assert done.returncode == 0 and done.stdout.endswith("done\n"), done.stderr[-4000:]
