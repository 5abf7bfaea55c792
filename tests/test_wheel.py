"""The wheel is whole: in an empty environment, away from the checkout, it runs the demo."""

import os
import re
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.support.need import need_packages, need_web

ROOT = Path(__file__).parents[1]


def call(*words, **kwargs):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_the_wheel_runs_the_demo_in_an_empty_environment(tmp_path):
    need_packages()  # the wheel carries the studio's page, and what exports are made of
    need_web()
    call(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("zeuxis-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    embedded = {f"zeuxis/data/avatars/avatars.{suffix}" for suffix in ("png", "csv")}
    assert "zeuxis/server/static/index.html" in names
    assert {
        f"zeuxis/export/static/{file}" for file in ("page.html", "index.js", "ort.wasm.gz")
    } <= names
    assert names >= {"zeuxis/py.typed", "zeuxis/data/avatars/CREDITS.md", *embedded}

    call(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    call(
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "-c",
        ROOT / "constraints.txt",
        f"{wheel}[studio]",
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    clean["ZEUXIS_CACHE"] = str(tmp_path / "cache")
    demo = tmp_path / "venv" / "bin" / "zeuxis"
    text = call(demo, "demo", "--minutes", "0.2", cwd=elsewhere, env=clean)
    assert "Try next" in text
    assert (elsewhere / "runs" / "demo" / "report.html").stat().st_size > 10_000

    words = [demo, "studio", tmp_path / "studio", "--no-browser", "--port", "0"]
    bare = clean | {"PATH": "", "PYTHONUNBUFFERED": "1"}  # no node
    server = subprocess.Popen(
        [str(word) for word in words], stdout=subprocess.PIPE, text=True, env=bare, cwd=elsewhere
    )
    try:
        address = re.search(r"http://[^#]+", server.stdout.readline())[0]
        assert b"<title>Zeuxis</title>" in urllib.request.urlopen(address, timeout=60).read()
    finally:
        server.terminate()
        server.wait(30)
        server.stdout.close()
