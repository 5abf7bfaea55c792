"""Breaks stand in the source, and one that no test notices is reported."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import sabotage

ROOT = Path(__file__).parents[1]
FILES = {
    "pyproject.toml": """
[tool.pytest.ini_options]
addopts = "--strict-markers -q"
testpaths = ["tests"]
pythonpath = ["src", "."]
filterwarnings = ["error"]
""",
    "src/zeuxis/__init__.py": "",
    "src/zeuxis/sums.py": "def add(a, b):\n    return a + b\n",
    "src/zeuxis/lists.py": "EMPTY = []\n",
    "tests/__init__.py": "",
    "tests/conftest.py": 'pytest_plugins = ["tests.support.sabotage"]\n',
    "tests/support/__init__.py": "",
    "tests/test_sums.py": """
import pytest
from tests.support.sabotage import breaks
from zeuxis.sums import add

@breaks("sums.py", "a + b", "a - b")
@breaks("sums.py", "a + b", "b + a")
@pytest.mark.parametrize("b", [1, 2])
def test_sum(b):
    assert add(2, b) == 2 + b

class TestSums:
    @breaks("sums.py", "return a + b", "pass")
    def test_zero(self):
        assert add(0, 0) == 0

@breaks("sums.py", "a", "c")
@breaks("sums.py", "def add", "def subtract")
def test_nothing(): ...
""",
    "tests/test_lists.py": """
from tests.support.sabotage import breaks
from zeuxis.lists import EMPTY

@breaks("lists.py", "[]", "[0]")
def test_empty():
    assert not EMPTY
""",
}


def written():
    """Every `breaks(...)` above a test, as path and arguments."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                for call in node.decorator_list:
                    if isinstance(call, ast.Call) and ast.unparse(call.func) == "breaks":
                        yield path, [ast.literal_eval(word) for word in call.args]


def test_every_break_still_has_its_place():
    lost = []
    for path, (file, old, new) in written():
        source = ROOT / sabotage.PACKAGE / file
        if old == new or not source.exists() or source.read_text().count(old) != 1:
            lost.append((path.name, file, old))
    assert not lost


@pytest.fixture
def project(tmp_path):
    """A small package and its tests, with the plugin."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    shutil.copy(sabotage.__file__, tmp_path / "tests/support")
    return tmp_path


def pytest_in(folder, *words):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--sabotage", *words],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_break_passes_if_its_test_turns_red(project):
    code, printed = pytest_in(project, "-rA", "tests/test_sums.py")
    here = "tests/test_sums.py::test_"
    for line in (
        f"PASSED {here}sum[sums.py: a + b -> a - b]",
        "PASSED tests/test_sums.py::TestSums::test_zero[sums.py: return a + b -> pass]",
        f"FAILED {here}sum[sums.py: a + b -> b + a] - Failed: unnoticed: {here}sum stays green",
        f"ERROR {here}nothing[sums.py: a -> c] - Failed: 'a' stands 3 times in sums.py, not once",
        f"ERROR {here}nothing[sums.py: def add -> def subtract] - Failed: {here}nothing could not run",
        "1 failed, 2 passed, 2 errors",
    ):
        assert line in printed
    assert code == 1


def test_without_a_word_only_what_has_changed_is_broken(project):
    def git(*words):
        command = ["git", "-c", "user.name=a", "-c", "user.email=a", *words]
        subprocess.run(command, cwd=project, check=True, capture_output=True)

    def found(*words):
        code, printed = pytest_in(project, "--collect-only", *words)
        return code, printed.count("[sums.py: "), printed.count("[lists.py: ")

    git("init")
    for message in ("one", "two"):
        git("add", ".")
        git("commit", "--allow-empty", "--message", message)
    assert found() == (0, 0, 0)
    (project / "src/zeuxis/lists.py").write_text("EMPTY = [  ]\n")
    assert found() == (0, 0, 1)
    assert found("-k", "sums") == (0, 5, 0)
