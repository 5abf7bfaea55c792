"""Imports point one way, files stay small, and torch stays away from the front door."""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

from tests.support.sabotage import breaks
from zeuxis.families import ADOPTED, FAMILIES

SRC = Path(__file__).parents[1] / "src" / "zeuxis"
RANKS = [
    ("core",),
    ("nn", "objectives", "sampling", "features", "marks"),
    ("data", "families", "metrics"),
    ("inference",),
    ("evaluation",),
    ("training",),
    ("trust", "create"),
    ("export",),
    ("server",),
    ("cli",),
]
RANK = {package: rank for rank, packages in enumerate(RANKS) for package in packages}


def imports(path):
    """What a file imports of ours when it runs (not for type checkers only): parts of module and name."""
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
            yield from ([*parts, alias.name] for alias in node.names)
        if isinstance(node, ast.Import):
            yield from [a.name.split(".")[1:] for a in node.names if a.name.startswith("zeuxis.")]


def modules():
    """Each module of ours as the parts of its name below `zeuxis`, with its file."""
    for path in SRC.rglob("*.py"):
        parts = path.relative_to(SRC).with_suffix("").parts
        yield (parts[:-1] if parts[-1] == "__init__" else parts), path


def test_packages_import_only_packages_below_them_and_no_family_another():
    wrong = []
    for here, path in modules():
        if len(here) < 2 and here not in {(package,) for package in RANK}:
            continue
        for there in imports(path):
            if there[0] == "__version__":
                continue
            sideways = here[0] == there[0] == "families" and len(here) > 1
            if (here[0] != there[0] and RANK[there[0]] >= RANK[here[0]]) or sideways:
                wrong.append((".".join(here), ".".join(there)))
    assert not wrong


def test_modules_import_each_other_in_no_circle():
    names = {".".join(here): path for here, path in modules() if here}
    after = {}
    for name, path in names.items():
        # Whoever imports a module runs the packages around it first, but for those that run already.
        found = {
            ".".join(parts[:depth]) for parts in imports(path) for depth in range(1, len(parts) + 1)
        }
        around = {name[: at.start()] for at in re.finditer(r"\.", name)}
        after[name] = found & set(names) - {name} - around
    assert tuple(graphlib.TopologicalSorter(after).static_order())


def test_the_table_is_the_folder_and_files_stay_small():
    files = {path.stem: path for path in (SRC / "families").glob("[a-z]*.py")}
    assert set(files) == {*FAMILIES, *ADOPTED}
    sizes = {path: len(path.read_text().splitlines()) for path in SRC.rglob("*.py")}
    assert not {str(path): size for path, size in sizes.items() if size > 600}
    assert all(sizes[path] <= 400 for path in files.values())
    assert sizes[SRC / "training/loop.py"] <= 300 and sizes[SRC / "training/step.py"] <= 300


@breaks("nn/towers.py", "modulation(x.shape[0]", "modulation(len(x)")
def test_networks_never_ask_the_length_of_a_batch():
    """`len(x)` is a number to an exporter, and the batch is frozen; `x.shape[0]` stays free."""
    rows = re.compile(r"\blen\((\w+_B\w*|x|like|latent|source|noise\[.*?\])\)")
    networks = [
        path for part in ("families", "nn", "sampling") for path in SRC.glob(f"{part}/*.py")
    ]
    found = {path.name: rows.findall(path.read_text()) for path in networks}
    assert not {name: asked for name, asked in found.items() if asked}


def test_help_and_import_need_no_torch():
    for modules in ("zeuxis, zeuxis.cli.main", "zeuxis.server.serve, zeuxis.server.app"):
        code = f"import sys, {modules}; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0, modules
