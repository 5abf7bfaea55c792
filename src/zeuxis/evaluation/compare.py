"""Any two sets of images, or statistics files of them, from any tool -> report.json and report.html."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from zeuxis import __version__
from zeuxis.core.errors import Invalid
from zeuxis.core.progress import Progress
from zeuxis.core.rng import derive_seed
from zeuxis.core.settings import Data
from zeuxis.data.pictures import MOST, pictures
from zeuxis.data.source import name_of
from zeuxis.evaluation import diagnosis, sides
from zeuxis.evaluation.report import Page
from zeuxis.evaluation.report.measures import cards
from zeuxis.evaluation.report.outcome import Outcome
from zeuxis.evaluation.report.pictures import HIDDEN, TILES, beside, hide
from zeuxis.evaluation.report.verdict import verdict
from zeuxis.evaluation.sides import Side, look
from zeuxis.features import Extractor, Features, extractor
from zeuxis.metrics import Estimate, Measured, files
from zeuxis.metrics.accumulator import Accumulator
from zeuxis.metrics.nearest import Memorisation, memorisation_without_holdout

CONTROL = 1000
"""Images of the second side, at most, that tell how alike real images are by chance."""


def compare(
    a: str | Path,
    b: str | Path,
    out: str | Path | None = None,
    network: str | Extractor = "efficientnet-lite0",
    weights: str | Path | None = None,
    samples: int = MOST,
    size: tuple[int, int] | None = None,
    channels: Literal[1, 3, 4] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Compare the images of `a` with reference images `b`; writes `report.json` and `report.html`.

    Args:
        a: what is measured: any source of images, or a statistics file (`zeuxis.metrics.files`).
        b: the reference set, likewise.
        out: folder for the report; default `runs/compare-A-B`.
        network: the feature network, by name or as an extractor.
        weights: file of its weights, where they come with no package.
        samples: images of each side at most, drawn by seed.
        size: height and width to bring both sides to.
        channels: 1, 3 or 4, to bring both sides to.
        seed: of every draw.
        progress: called with (done, 100).

    Returns:
        The content of report.json, with `report`, the path of the page.

    Raises:
        ValueError: a side cannot be read, has too few images, or was not looked at like the other.
    """
    part = sides.parts(progress)
    eye = extractor(network, weights=weights) if isinstance(network, str) else network
    notes: list[str] = []
    settings = Data(size=size, channels=channels)
    fake = _side(a, eye, samples, settings, seed, part(0, 30), notes)
    real = _side(b, eye, samples, settings, seed, part(30, 60), notes)
    _check_shapes(fake, real)
    fake, real = _adopted(fake, real), _adopted(real, fake)
    notes += _form_notes(fake, real)
    found = sides.measure(fake, real, seed, part(60, 85))
    found.attempt(OF_REAL, lambda: _of_real(real, seed))
    copied = _copied(fake, real, seed, found)
    part(85, 100)(1, 1)
    findings = diagnosis.findings(found, found.left_out)
    outcome = Outcome(
        found=found,
        verdict=verdict(found, findings, list(cards(found))),
        findings=findings,
        notes=notes,
        facts={
            "measured": fake.name,
            "reference": real.name,
            "stored": {"measured": dict(fake.form), "reference": dict(real.form)},
            "features": dict(fake.features.receipt),
            "seed": seed,
            "zeuxis": __version__,
        },
    )
    folder = Path(out) if out else Path("runs") / f"compare-{fake.name}-{real.name}"
    folder.mkdir(parents=True, exist_ok=True)
    return outcome.write(folder, _page(fake, real, copied, outcome))


def statistics(
    source: str | Path,
    file: str | Path,
    network: str | Extractor = "efficientnet-lite0",
    weights: str | Path | None = None,
    samples: int | None = None,
    size: tuple[int, int] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write a set's statistics, to be compared with later or by other tools; the suffix says how.

    `.safetensors`: features, image statistics and receipts, for `compare`; `.npz`: `mu` and `sigma`, as
    pytorch-fid and clean-fid read them; `.pkl`: as StyleGAN2-ada and StyleGAN3 do.

    Raises:
        ValueError: an unknown suffix, or a source that cannot be read.
    """
    path = Path(file)
    if path.suffix not in files.SUFFIXES:
        raise Invalid(
            f"{path.name} has no suffix that is known; expected one of {', '.join(files.SUFFIXES)}"
        )
    eye = extractor(network, weights=weights) if isinstance(network, str) else network
    seen = pictures(source, size, None, samples or 10**9)
    found = Accumulator(eye).add(seen.images, progress)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        found.save(path)
    elif path.suffix == ".npz":
        files.write_pytorch_fid(path, found.moments())
    else:
        files.write_stylegan(path, found.features())
    return path


def _side(
    source: str | Path,
    eye: Extractor,
    samples: int,
    settings: Data,
    seed: int,
    progress: Progress,
    notes: list[str],
) -> Side:
    """A side from images or from a statistics file; `notes` takes what readers must know."""
    if files.is_statistics(source):
        return _from_file(Path(source), eye)
    seen = pictures(
        source,
        settings.size,
        settings.channels,
        samples,
        seed,
        lambda done, total: progress(done, 3 * total),
    )
    if seen.found > len(seen.images) + len(seen.refused):
        notes.append(
            f"Of {seen.name}, {len(seen.images):,} of {seen.found:,} images were used, also to look for "
            "copies."
        )
    if seen.refused:
        name, why = seen.refused[0]
        notes.append(
            f"{len(seen.refused):,} files of {seen.name} could not be read; the first: {name}: {why}."
        )
    if len(seen.images) < 2000:
        notes.append(
            f"{seen.name} has only {len(seen.images):,} images, so the intervals are wide."
        )
    return look(
        seen.name,
        seen.images,
        eye,
        seen.conditions,
        seen.labels,
        seen.form,
        lambda done, total: progress(total + 2 * done, 3 * total),
    )


def _from_file(path: Path, eye: Extractor) -> Side:
    """What a statistics file holds; our own holds all but the images."""
    if path.suffix != ".safetensors":
        return Side(name=name_of(path), features=files.read_statistics(path))
    held = Accumulator(eye, sides.taps_of(eye)).resume(path)
    return sides.side_of(name_of(path), held)


def _check_shapes(fake: Side, real: Side) -> None:
    if fake.images is None or real.images is None:
        return
    shapes = [side.images.shape[1:] for side in (fake, real) if side.images is not None]
    if shapes[0] == shapes[1]:
        return
    (h, w, c), (height, width, channels) = shapes
    which = "--size" if (h, w) != (height, width) else "--channels"
    raise Invalid(
        f"{fake.name} holds images of {h}x{w} with {c} channels and {real.name} of {height}x{width} with "
        f"{channels}; bring both to one form, for instance with {which}"
    )


def _adopted(side: Side, other: Side) -> Side:
    """If a file does not say how its features were computed, assume the same as for the other side."""
    foreign = "features" in side.features.receipt
    if not foreign or "features" in other.features.receipt:
        return side
    return dataclasses.replace(
        side,
        features=dataclasses.replace(side.features, receipt=other.features.receipt),
        form=TRUST,
    )


TRUST = {"statistics file that does not say how its features were made": 1.0}


def _form_notes(fake: Side, real: Side) -> Iterator[str]:
    for side in (fake, real):
        if side.form is TRUST:
            yield (
                f"{side.name} is a statistics file that does not say which network and resize made it: the "
                "distance means something only if they are those of this comparison."
            )
    kinds = [{name for name in side.form if name != "pixels"} for side in (fake, real)]
    if all(kinds) and kinds[0] != kinds[1] and TRUST not in (fake.form, real.form):
        stored = [", ".join(sorted(kind)) for kind in kinds]
        yield (
            f"The two sides are stored differently ({fake.name}: {stored[0]}; {real.name}: {stored[1]}), "
            "which changes every distance: store both in one format before trusting a small difference."
        )


OF_REAL = ("kernel_distance_of_real", "coverage_of_real")


def _of_real(real: Side, seed: int) -> dict[str, Estimate]:
    """Baseline: one random half of the reference set against the other."""
    count, least = len(real.table), 2 * sides.FEWEST
    if count < least:
        raise Invalid(f"{count:,} images of {real.name}, at least {least:,} are needed")
    order = np.random.default_rng(derive_seed(seed, "halves")).permutation(count)
    one, two = (np.sort(half) for half in np.array_split(order, 2))
    found = sides.distances(real.rows(one), real.rows(two), seed)
    return {f"{name}_of_real": estimate for name, estimate in found.items()}


def _copied(fake: Side, real: Side, seed: int, found: Measured) -> Memorisation | None:
    """Put exact and near copies of images of the second side into `found`."""
    names = ["exact_copy_rate", "exact_repeat_rate", "copy_rate"]
    try:
        a, b = sides.images_of(fake), sides.images_of(real)
        found |= sides.identical(a, b, f"images in {real.name}", seed=seed)
        names = names[2:]
        copied = memorisation_without_holdout(a, b, CONTROL, derive_seed(seed, "control"))
    except ValueError as why:
        found.leave_out(why, *names)
        return None
    found["copy_rate"] = copied.rate
    return copied


def _count(side: Side) -> str:
    """How many images, in words."""
    n = len(side.features) if isinstance(side.features, Features) else side.features.n
    return "an unknown number of" if n is None else f"{n:,}"


def _page(fake: Side, real: Side, copied: Memorisation | None, outcome: Outcome) -> Page:
    tiles, places = np.zeros((0, 8, 8, 1), np.uint8), frozenset[int]()
    near = []
    if fake.images is not None and real.images is not None:
        tiles, places = hide(real.images[:HIDDEN], fake.images[: TILES - HIDDEN])
        near = list(beside(fake.images, real.images, copied))
    stored = {
        side.name: ", ".join(f"{k} ({v:.0%})" for k, v in side.form.items())
        for side in (fake, real)
    }
    how = fake.features.receipt
    return outcome.page(
        title=f"{fake.name}, compared with {real.name}",
        summary=f"{_count(fake)} images against {_count(real)}.",
        tiles_NHWC=tiles,
        real=places,
        real_side=f"from {real.name}",
        neighbours=near,
        facts=[
            *((f"Stored as: {name}", words or "unknown") for name, words in stored.items()),
            *(
                (str(name).replace("_", " ").capitalize(), str(value))
                for name, value in how.items()
            ),
            ("Made with", f"zeuxis {__version__}, seed {outcome.facts['seed']}"),
        ],
    )
