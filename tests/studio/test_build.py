"""The page's sources: their own checks, types that are the server's, and nothing from elsewhere."""

import json
import os
import re
import runpy
import subprocess
import sys
import types

import pytest

from tests.support.need import ROOT, STUDIO, WEB, need, need_packages, need_web
from tests.support.openapi import schema
from tests.support.sabotage import breaks


def run(*words, folder=STUDIO, **given):
    done = subprocess.run(
        words,
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
        **given,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def tool(*words, **given):
    """Run a program of the packages."""
    return run(need_packages(), f"node_modules/.bin/{words[0]}", *words[1:], **given)


@pytest.mark.parametrize(
    "words", [("tsc",), ("vitest", "run"), ("biome", "ci", "--colors=off", ".")]
)
def test_the_checks_of_the_sources(words):
    tool(*words)


@pytest.mark.parametrize("words", [("tsc",), ("biome", "ci", "--colors=off", ".")])
def test_the_checks_of_the_sources_of_exports(words):
    need_web()
    run(f"node_modules/.bin/{words[0]}", *words[1:], folder=WEB)


@breaks("server/job_routes.py", '        "/jobs/{job}/log",', '        "/jobs/{job}/text",')
def test_types_are_those_of_the_server(tmp_path):
    written = tmp_path / "openapi.json"
    written.write_text(json.dumps(schema(), sort_keys=True))
    tool("openapi-typescript", str(written), "-o", str(tmp_path / "schema.d.ts"))
    told = "src/api/schema.d.ts is not what the server answers; run `make studio-types`"
    assert (tmp_path / "schema.d.ts").read_text() == (STUDIO / "src/api/schema.d.ts").read_text(), (
        told
    )


@pytest.mark.parametrize("folder", [STUDIO, WEB])
def test_the_lock_file_names_no_registry(folder):
    lock = json.loads((folder / "package-lock.json").read_text())
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert packages and all("resolved" not in one for one in packages.values())
    assert all("integrity" in one for one in packages.values())
    assert not re.findall(r"https?://\S*registry\S*", json.dumps(lock))


@pytest.mark.parametrize("folder", [STUDIO, WEB])
def test_versions_are_pinned(folder):
    package = json.loads((folder / "package.json").read_text())
    for version in (package["dependencies"] | package["devDependencies"]).values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)


@pytest.fixture
def hook(monkeypatch, tmp_path):
    """The hook of the build, for a checkout in `tmp_path`; hatchling is only there while a wheel is built."""
    names = ["hatchling", "builders", "hooks", "plugin", "interface"]
    for i in range(len(names)):
        name = ".".join(names[: i + 1])
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules[name].BuildHookInterface = object
    made = runpy.run_path(str(STUDIO / "hatch_build.py"))["CustomBuildHook"]()
    made.root = str(tmp_path)
    return made


def test_no_wheel_without_the_page(hook, tmp_path):
    hook.initialize("editable", {})
    for file in ("server/static/index.html", "export/static/page.html"):
        path = tmp_path / "src" / "zeuxis" / file
        path.parent.mkdir(parents=True)
        with pytest.raises(SystemExit, match="is not built; run `make (studio|web)` first"):
            hook.initialize("standard", {})
        path.write_text("")
    hook.initialize("standard", {})


def test_a_tool_that_is_required_is_not_skipped(monkeypatch):
    monkeypatch.delenv("ZEUXIS_REQUIRE", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(pytest.skip.Exception):
        need("node")
    monkeypatch.setenv("ZEUXIS_REQUIRE", "node,chromium")
    for tool in ("node", "chromium"):
        with pytest.raises(pytest.fail.Exception):
            need(tool)
    assert "ZEUXIS_REQUIRE=node,chromium" in (ROOT / ".ci" / "run").read_text()
