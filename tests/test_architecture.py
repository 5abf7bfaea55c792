"""Imports point one way, files stay small, and torch stays away from the front door."""

import ast
import subprocess
import sys
from pathlib import Path

from tests.breaks import BREAKS
from zeuxis.families import FAMILIES

SRC = Path(__file__).parents[1] / "src" / "zeuxis"
LAYERS = [
    ("disk", "lock", "words"),
    ("rng", "images"),
    ("run", "machine", "parallel", "muon", "log", "watching", "tensors", "npz"),
    ("family", "nn", "objectives", "sampling", "features"),
    ("families", "data", "metrics"),
    ("artefact",),
    ("checkpoint",),
    ("step", "use"),
    ("fit", "plan"),
    ("report", "measuring", "verdict", "allowance"),
    ("evaluate", "compare"),
    ("recipes", "stages", "folder"),
    ("looking", "closing"),
    ("pipeline", "samples", "codec"),
    ("apply", "contest"),
    ("terminal",),
    ("arguments",),
    ("verbs",),
    ("cli",),
    ("__main__",),
]
RANK = {name: i for i, layer in enumerate(LAYERS) for name in layer}


def imports(path):
    """Names of our own modules that a file imports when it runs (not for type checkers only)."""
    tree = ast.parse(path.read_text())
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in guarded:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "zeuxis":
            parts = node.module.split(".")[1:]
            yield from [parts] if parts else [[alias.name] for alias in node.names]
        if isinstance(node, ast.Import):
            yield from [a.name.split(".")[1:] for a in node.names if a.name.startswith("zeuxis.")]


def test_imports_go_down_and_families_do_not_know_each_other():
    wrong = []
    for path in SRC.rglob("*.py"):
        here = path.relative_to(SRC).with_suffix("").parts
        for there in imports(path):
            if there[0] == "__version__" or here == ("__init__",):
                continue
            same_room = here[0] == there[0]
            sideways = here[0] == "families" and there[0] == "families" and here[-1] != "__init__"
            if (not same_room and RANK[there[0]] >= RANK[here[0]]) or sideways:
                wrong.append((here, there))
    assert not wrong


def test_the_table_is_the_folder_and_files_stay_small():
    files = {path.stem: path for path in (SRC / "families").glob("[a-z]*.py")}
    assert set(files) == set(FAMILIES)
    sizes = {path: len(path.read_text().splitlines()) for path in SRC.rglob("*.py")}
    assert not {str(path): size for path, size in sizes.items() if size > 600}
    assert all(sizes[path] <= 400 for path in files.values())
    assert sizes[SRC / "fit.py"] <= 300 and sizes[SRC / "step.py"] <= 300


def test_help_and_import_need_no_torch():
    code = (
        "import sys, zeuxis, zeuxis.cli; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_break_of_the_sabotage_still_has_its_place():
    lost = [b for b in BREAKS if (SRC / b.file).read_text().count(b.old) != 1]
    assert not lost
