"""Break the library on purpose, one line at a time: every break must turn a test red.

`python -m tests.sabotage [WORD]` works on a copy, says of each break whether a test
noticed it, and exits with 1 if any went unnoticed. With WORD, only breaks whose text contains it.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.breaks import BREAKS, Break

ROOT = Path(__file__).parents[1]


def run(broken: Break) -> bool:
    """Apply the break to a copy and tell whether a test failed."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("src", "tests"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        target = copy / "src" / "zeuxis" / broken.file
        text = target.read_text()
        if text.count(broken.old) != 1:
            raise SystemExit(
                f"{broken.file}: {broken.old!r} is there {text.count(broken.old)} times"
            )
        target.write_text(text.replace(broken.old, broken.new))
        words = [
            w if w.startswith("-") or not w.endswith(".py") else f"tests/{w}"
            for w in broken.tests.split()
        ]
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-x",
                "-q",
                "--no-header",
                "-p",
                "no:cacheprovider",
                *words,
            ],
            cwd=copy,
            env={
                "PYTHONPATH": str(copy / "src"),
                "PATH": "/usr/bin:/bin",
                "HOME": str(Path.home()),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, 1):
            raise SystemExit(f"{broken.tests} did not run:\n{done.stdout}{done.stderr}")
        return done.returncode == 1


def main() -> int:
    """Run the breaks that the command line names."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = [b for b in BREAKS if word in f"{b.file} {b.old} {b.new} {b.tests}"]
    missed = []
    for broken in chosen:
        noticed = run(broken)
        line = (broken.new.strip() or f"without {broken.old.strip()}").splitlines()[0]
        print(f"{'noticed' if noticed else 'MISSED '}  {broken.file}: {line}", flush=True)
        if not noticed:
            missed.append(broken)
    print(f"{len(chosen) - len(missed)} of {len(chosen)} breaks noticed")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
