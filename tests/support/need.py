"""Tools that a test can do without, and must not where `ZEUXIS_REQUIRE` names them: there a skip would
hide that nothing was tested."""

import os
import shutil
from pathlib import Path

import pytest

from zeuxis.export.page import STATIC as BUILT
from zeuxis.server.pages import STATIC

ROOT = Path(__file__).parents[2]
STUDIO = ROOT / "studio"
WEB = ROOT / "web"


def need(tool):
    """The path of a program; the test is skipped where there is none."""
    found = shutil.which(tool)
    if found is None:
        _without(tool, f"there is no {tool} on PATH")
    return found


def need_packages():
    """The path of node, with the packages of the studio's page installed and the page built."""
    node = need("node")
    if not (STUDIO / "node_modules").is_dir() or not (STATIC / "index.html").is_file():
        _without("node", "the studio's page is not built; run `make studio`")
    return node


def need_web():
    """The path of node, with what pages and packages are made of built."""
    node = need("node")
    if not (WEB / "node_modules").is_dir() or not (BUILT / "page.html").is_file():
        _without("node", "what exports are made of is not built; run `make web`")
    return node


def _without(tool, why):
    if tool in os.environ.get("ZEUXIS_REQUIRE", "").split(","):
        pytest.fail(why)
    pytest.skip(why)
