"""Break the library on purpose, one place at a time: every break must turn its test red.

    @breaks("core/words.py", "(ticks + 1)", "1")
    def test_code_may_hold_backticks(): ...

says that this test must fail when `(ticks + 1)`, which stands once in src/zeuxis/core/words.py, becomes `1`.
In ordinary runs the decorator does nothing. With `--sabotage`, pytest runs breaks in place of tests:

    pytest --sabotage                 breaks whose source or test file was changed in the last commit or since
    pytest --sabotage --since main    the same, since another commit
    pytest --sabotage tests           all breaks, as `make sabotage`; a file or one test selects, too
    pytest --sabotage -k words.py     breaks whose text, or whose test's name, has this word

A break passes if its test turned red, fails if the test stayed green, and is an error if the test
could not run. This file is a plugin that conftest.py loads.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

PACKAGE = "src/zeuxis"
LONGEST_S = 900


def breaks(file: str, old: str, new: str) -> pytest.MarkDecorator:
    """Say of a test that it notices when `old`, which stands once in `file`, becomes `new`.

    `file` is relative to src/zeuxis. Decorators may be stacked.
    """
    return pytest.mark.breaks(file, old, new)


class Break(pytest.Item):
    """One break of one test function, whatever the function's parameters."""

    def __init__(self, *, function: pytest.Function, broken: tuple[str, str, str], **given: Any):
        self.file, self.old, self.new = broken
        change = f"{self.file}: {self.old} -> {self.new}"
        test = function.originalname
        super().__init__(name=f"{test}[{' '.join(change.split())}]", **given)
        self.test = f"{self.parent.nodeid}::{test}"
        self.line = function.location[1]
        self.own_markers = list(function.own_markers)
        self.noticed = False

    def setup(self) -> None:
        """Run the test on a broken copy; here, so that what cannot run counts as an error."""
        root = self.config.rootpath
        text = (root / PACKAGE / self.file).read_text()
        if (times := text.count(self.old)) != 1:
            sentence = f"{self.old!r} stands {times} times in {self.file}, not once"
            pytest.fail(sentence, pytrace=False)
        with tempfile.TemporaryDirectory() as folder:
            tree = copied(root, Path(folder) / "tree")
            (tree / PACKAGE / self.file).write_text(text.replace(self.old, self.new))
            code, printed = run(self.test, tree, Path(folder) / "tmp")
        if code not in (0, 1):
            pytest.fail(f"{self.test} could not run (exit code {code}):\n{printed}", pytrace=False)
        self.noticed = code == 1

    def runtest(self) -> None:
        """Tell whether the test had turned red."""
        if not self.noticed:
            change = f"{self.new!r} in place of {self.old!r} in {self.file}"
            pytest.fail(f"unnoticed: {self.test} stays green with {change}", pytrace=False)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the test stands."""
        return self.path, self.line, self.name


def copied(root: Path, tree: Path) -> Path:
    """Make a tree whose sources and tests are copies, and the rest links."""
    tree.mkdir()
    for path in root.iterdir():
        if path.name in ("src", "tests"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(path, tree / path.name, ignore=ignored)
        elif not path.name.startswith("."):
            (tree / path.name).symlink_to(path)
    return tree


def run(test: str, tree: Path, scratch: Path) -> tuple[int, str]:
    """Run a test of the tree by itself on one thread: exit code of pytest, and what it printed."""
    outer = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    words = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "-m", "", "--basetemp", scratch]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, test],
        cwd=tree,
        env={**outer, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    return done.returncode, done.stdout


def changed(root: Path, since: str) -> set[Path]:
    """Files that differ from a commit, those that git does not know included."""
    found: set[Path] = set()
    for words in (
        ["diff", "--name-only", "--relative", since, "--"],
        ["ls-files", "--others", "--exclude-standard"],
    ):
        done = subprocess.run(
            ["git", "-c", "core.quotePath=off", *words],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = done.stderr.partition("\n")[0]
            raise pytest.UsageError(f"cannot tell what has changed, name files or tests: {said}")
        found |= {root / line for line in done.stdout.splitlines()}
    return found


def start(config: pytest.Config) -> str | None:
    """The commit since which files count as changed; None where paths or words select instead."""
    if config.option.since:
        return config.option.since
    selected = config.args_source is config.ArgsSource.ARGS or config.option.keyword
    return None if selected else "HEAD~1"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two options."""
    group = parser.getgroup("sabotage")
    group.addoption("--sabotage", action="store_true", help="run breaks in place of tests")
    group.addoption("--since", metavar="COMMIT", help="breaks of files changed since (HEAD~1)")


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark."""
    config.addinivalue_line("markers", "breaks(file, old, new): a break that the test notices")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put breaks in the place of tests, before -k and -m select."""
    if not config.option.sabotage:
        return
    since = start(config)
    files = changed(config.rootpath, since) if since else None
    found = {}
    for function in items:
        for mark in reversed(list(function.iter_markers("breaks"))):
            concerned = {function.path, config.rootpath / PACKAGE / mark.args[0]}
            if files is None or files & concerned:
                # one break, however many parameters its test has
                found[function.parent.nodeid, function.originalname, mark.args] = function
    items[:] = [
        Break.from_parent(function.parent, function=function, broken=broken)
        for (*_, broken), function in found.items()
    ]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Let a change that concerns no break pass."""
    nothing = exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED
    if nothing and session.config.option.sabotage and start(session.config):
        session.exitstatus = pytest.ExitCode.OK
