"""Break the library on purpose, one line at a time: every break must turn a test red.

`python -m tests.sabotage [WORD]` works on a copy, says of each break whether a test
noticed it, and exits with 1 if any went unnoticed. With WORD, only breaks whose text contains it.
"""

import dataclasses
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True)
class Break:
    """Replace `old`, which must be there once, by `new`; `tests` are to notice."""

    file: str
    old: str
    new: str
    tests: str


BREAKS = [
    # the loop
    Break("step.py", "    follow(state)\n    return logged", "    return logged", "test_fit.py"),
    Break("step.py", "_laid_out_as(trained[index], value)", "value", "test_crash.py -k ctrl_c"),
    Break(
        "step.py",
        'tensors |= {f"best/',
        'tensors |= {} and {f"best/',
        "test_crash.py -k three_kills",
    ),
    Break("step.py", "if torch.isfinite(norm):", "if True:", "test_fit.py"),
    Break("step.py", "value.detach() / training.accumulate", "value.detach()", "test_parallel.py"),
    Break(
        "step.py",
        '(losses["total"] / training.accumulate).backward()',
        'losses["total"].backward()',
        "test_parallel.py",
    ),
    Break(
        "step.py",
        "draw = state.step * per_step + (own if phase.own_batch else 0)",
        "draw = state.step * per_step",
        "test_fit.py",
    ),
    Break("step.py", "(step + 1) / warmup", "step / warmup", "test_fit.py"),
    Break("step.py", "state.updates[phase.name] += 1", "pass", "test_fit.py"),
    Break("fit.py", 'log.cut(saved.facts["log_bytes"])', "pass", "test_crash.py -k three_kills"),
    Break("fit.py", 'raise Stopped(f"stopped', 'pass; (f"stopped', "test_crash.py -k ctrl_c"),
    Break("fit.py", "score < state.best_score", "score > state.best_score", "test_fit.py"),
    # processes
    Break("parallel.py", "flat /= self.world", "pass", "test_parallel.py"),
    Break("parallel.py", "self.rank * accumulate + micro", "self.rank + micro", "test_parallel.py"),
    # disk
    Break(
        "checkpoint.py",
        'return read_sealed(path / "state.json")["sha256"] == sha256(path / "state.safetensors")',
        "return True",
        "test_crash.py -k damaged",
    ),
    Break(
        "disk.py", "beside.replace(path)", "path.write_bytes(beside.read_bytes())", "test_disk.py"
    ),
    Break(
        "disk.py", 'content.pop("checksum", None) != checksum(content)', "False", "test_artefact.py"
    ),
    Break("artefact.py", "sha256(folder / name) != expected", "False", "test_artefact.py"),
    Break(
        "artefact.py",
        "if not is_dropped(model, key)}\n    files",
        "}\n    files",
        "test_families.py",
    ),
    # randomness and pixels
    Break(
        "rng.py",
        "self.seeds, strict=True):\n            row.normal_",
        "self.seeds[:1] * len(self), strict=True):\n            row.normal_",
        "test_rng.py",
    ),
    Break("rng.py", "derive_seed(seed, name)", "seed", "test_rng.py"),
    Break("images.py", "/ 127.5 - 1.0", "/ 128.0 - 1.0", "../src/zeuxis/images.py"),
    # the door
    Break("use.py", "drawn[:, column] = index", "pass", "test_use.py"),
    Break(
        "use.py",
        'derive_seed(seed, "sample", i)',
        'derive_seed(seed, "sample", i % 32)',
        "test_use.py",
    ),
    # families and samplers
    Break(
        "families/gan.py",
        "x = self.norm(x, next(styles), next(styles))",
        "x = leaky(x)",
        "test_gan.py -k bounded",
    ),
    Break("families/gan.py", "* config.penalty_every\n", "\n", "test_gan.py -k lazy"),
    Break("families/gan.py", "(label_BA >= 0)", "(label_BA >= -1)", "test_gan.py -k unknown"),
    Break("families/vae.py", "return math.log(2) *", "return 1 *", "test_vae.py"),
    Break("families/vae.py", " - log_det_B", "", "test_vae.py"),
    Break("families/vae.py", "- 1 / 255) * inverse", "- 0 / 255) * inverse", "test_vae.py"),
    Break("families/flow.py", "noise_BCHW - image_BCHW)", "noise_BCHW)", "test_flow.py"),
    Break("families/flow.py", "guess_BCHW = (t - (1", "guess_BCHW = (t + (1", "test_flow.py"),
    Break("sampling/ode.py", "if i + 1 < steps:", "if False:", "test_sampling.py"),
    Break("nn/norm.py", "(grad * normal).sum", "grad.sum", "test_flow.py"),
    # data and metrics
    Break(
        "data/split.py", "return chosen[inverse]", "return ~chosen[inverse]", "test_data_prepare.py"
    ),
    Break("data/loader.py", "draw * batch_size + numbers", "numbers", "test_data_loader.py"),
    Break("metrics/kernel.py", "[0] - own_N", "[0]", "test_metrics.py"),
    Break("metrics/nearest.py", "differ_N < threshold", "differ_N < 0", "test_metrics.py"),
]


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
        line = broken.new.strip().splitlines()[0]
        print(f"{'noticed' if noticed else 'MISSED '}  {broken.file}: {line}", flush=True)
        if not noticed:
            missed.append(broken)
    print(f"{len(chosen) - len(missed)} of {len(chosen)} breaks noticed")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
