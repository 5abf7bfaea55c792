"""From a source to a prepared set: decode on all cores, clean, split, write; `dataset.json` last."""

import contextlib
import errno
import glob
import hashlib
import json
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from zeuxis.core.errors import Invalid, Stopped
from zeuxis.core.files import cache_folder, sha256, write_json
from zeuxis.core.lock import locked
from zeuxis.core.progress import Progress
from zeuxis.core.settings import Data
from zeuxis.data.facts import COLUMNS, FACTS, FORMAT, IMAGES, LEFT_OUT, image_array
from zeuxis.data.preparation import clean, columns, decode, journal, partner, people, split
from zeuxis.data.preparation.colour import GREY
from zeuxis.data.preparation.decode import Target
from zeuxis.data.preparation.derive import operation
from zeuxis.data.preparation.partner import Partner
from zeuxis.data.preparation.record import (
    NAMED,
    brightest,
    class_counts,
    counted,
    moments,
    plain,
    summary,
    write_columns,
    write_left_out,
)
from zeuxis.data.preparation.rows import Rows, compact, kept, listed, write_images
from zeuxis.data.preparation.target import choose_target
from zeuxis.data.preparation.warn import DARK, too_dark, warnings_for
from zeuxis.data.prepared import Prepared, is_prepared, open_prepared
from zeuxis.data.source import Item, fingerprint_of, name_of, open_source, pairs
from zeuxis.data.source.base import Source

READING = 4
"""Changes with what the same files are read as, so that the cache prepares them anew. It is no part of a
set's hash, which stays if its content does."""
PAIRS = ("pairs", "paired", "pair", "source_kind")
"""Settings that decide what is read as pairs."""
SEAL = 1
"""Changes with what the same source and settings become, not with how `dataset.json` says it: runs go on by
the hash of their set."""
POLICY = {
    "unreadable": "left out",
    "blank": "left out",
    "exact duplicates": "kept once; from the hold-out side if one of them is there",
    "near duplicates": "kept once; groups of them never part at the split",
    "contradictory labels": "kept once, that label set to unknown",
    "contradictory captions": "kept once, with the caption of the image that is kept",
    "missing labels and values": "kept, set to unknown",
    "animated": "first frame",
    "transparent": "composed on white unless 4 channels are prepared",
    "curated sets": "nothing that can be decoded is left out; duplicates are reported",
}


def ensure(
    source: str | Path,
    settings: Data | None = None,
    progress: Progress | None = None,
    translates: bool = False,
) -> Prepared:
    """The prepared set that training reads: `source` itself, or its copy in the cache.

    Args:
        source: a prepared set, or anything `prepare` takes. A raw source is prepared once for each
            state of its files (names, sizes, times) and each size, channels, fit, hold-out and pairs.
        settings: a prepared set must agree with its size and channels.
        progress: called with (done, total) while images are decoded.
        translates: whether pairs are needed, so that a raw source is searched for them.

    Raises:
        ValueError: as in `prepare`; or a prepared set is of another size than asked.
    """
    settings = settings or Data()
    if is_prepared(Path(source)):
        prepared = open_prepared(source)
        made = prepared.fields["source"].facts.get("made") if "source" in prepared.fields else None
        if settings.pair in (None, made):
            _check_agrees(prepared, settings)
            return prepared
    key: tuple[object, ...]
    key = (fingerprint_of(source), settings.size, settings.channels, settings.fit, SEAL, READING)
    asked = [getattr(settings, name) for name in PAIRS]
    if translates or any(value is not None for value in asked):
        key = (*key, translates, *asked)
    if settings.holdout is not None or settings.tiles is not None:
        key = (*key, settings.holdout, settings.tiles)
    if settings.withhold:
        key = (*key, "withhold", settings.withhold)
    if settings.consent is not None:
        key = (*key, "consent", people.read(settings.consent).sha256)
    digest = hashlib.blake2b(repr(key).encode(), digest_size=10).hexdigest()
    folder = cache_folder() / "prepared" / f"{name_of(source)}-{digest}"
    with locked(folder.with_name(f"{folder.name}.lock"), f"{folder} is in use", wait=True):
        if folder.exists():
            try:
                return open_prepared(folder)
            except ValueError:
                shutil.rmtree(folder)  # the cache is ours: what is damaged there is made again
        return prepare(source, folder, settings, progress, translates)


def prepare(
    source: str | Path,
    dest: str | Path,
    settings: Data | None = None,
    progress: Progress | None = None,
    translates: bool = False,
) -> Prepared:
    """Turn `source` into a prepared set at `dest`.

    Args:
        source: a folder, zip, tar shards, idx, npy, npz, parquet, prepared set, or `avatars`.
        dest: a folder that does not exist yet or is empty; it appears whole or not at all. What a call
            that was killed had decoded, of the same files by the same settings, is not decoded again.
        settings: size, channels, fit, hold-out, and what is read as pairs; the rest does not matter here.
        progress: called with (done, total).
        translates: whether pairs are needed, so that they are looked for.

    Raises:
        ValueError: no source, no images, nothing usable, no space, or `dest` is taken.
    """
    dest = Path(dest)
    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        what = "already holds a prepared set" if is_prepared(dest) else "is there and not empty"
        raise Invalid(f"{dest} {what}; choose another folder or remove it")
    settings = settings or Data()
    if settings.pair is not None:
        operation(settings.pair)  # a wrong word costs no minutes
    opened = open_source(source, settings, translates)
    try:
        return prepare_source(opened, dest, settings, progress, fingerprint_of(source))
    finally:
        opened.close()


def prepare_source(
    source: Source,
    dest: Path,
    settings: Data,
    progress: Progress | None = None,
    fingerprint: str = "",
) -> Prepared:
    """`prepare` for a source that is open already; it resumes if the source's `fingerprint` is known."""
    if not source.items:
        found = f" ({'; '.join(source.notes[:3])})" if source.notes else ""
        if source.problems:
            name, why = source.problems[0]
            found = f" ({len(source.problems)} files could not be used; the first: {name}: {why})"
        raise Invalid(
            f"{source.name} holds no images{found}; expected PNG, JPEG, WebP, GIF, BMP or TIFF files"
        )
    began = time.monotonic()
    register = None if settings.consent is None else people.read(settings.consent)
    with decode.guarded():
        target = choose_target(source, settings)
    with _staging(dest, _key(source, target, settings, fingerprint)) as staging:
        try:
            if (staging / FACTS).is_file():  # killed when all was done
                _move(staging, dest)
                return open_prepared(dest)
            with decode.guarded():
                _check_space(dest.parent, len(source.items), target)
                rows = write_images(source, target, staging / IMAGES, progress)
                beside = None
                if settings.pair is None:
                    beside = partner.decoded(
                        source, target, staging / IMAGES, rows, progress, settings.holdout, register
                    )
            facts = _finish(source, target, rows, staging, beside, settings, register)
            facts["seconds"] = round(time.monotonic() - began, 2)
            write_json(staging / FACTS, facts)
            _move(staging, dest)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Invalid(
                    f"the disk of {dest} is full; nothing was kept: free some space, "
                    "prepare a smaller size, or choose another folder"
                ) from error
            raise
    return open_prepared(dest)


def _key(source: Source, target: Target, settings: Data, fingerprint: str) -> str:
    """Names what decoding these items gives, so that nothing else goes on from it; random if nobody can."""
    if not fingerprint:
        return secrets.token_hex(4)
    names = hashlib.blake2b("\0".join(_names(source)).encode("utf-8", "surrogateescape"))
    asked = [getattr(settings, name) for name in ("holdout", "withhold", "tiles", *PAIRS)]
    known = (fingerprint, names.hexdigest(), target, asked, SEAL, READING, PIL.__version__)
    return hashlib.blake2b(repr(known).encode(), digest_size=4).hexdigest()


def _names(source: Source) -> Iterator[str]:
    yield from (item.name for item in source.items)
    if source.partner:
        yield from (item.name for item in source.partner.items)


@contextlib.contextmanager
def _staging(dest: Path, key: str) -> Iterator[Path]:
    """A folder beside `dest` to fill, for one process at a time; what others left there is removed.

    It stays if what is decoded in it can be gone on from: after a kill, a signal, or a request to stop.
    """
    with locked(dest.parent / f".{dest.name}.lock", f"{dest} is being prepared") as unlocked:
        staging = dest.with_name(f".{dest.name}-{secrets.token_hex(4) if unlocked else key}")
        try:
            dest.parent.mkdir(parents=True, exist_ok=True)
            stale = f".{glob.escape(dest.name)}-" + 8 * "[a-z0-9_]"
            for left in () if unlocked else dest.parent.glob(stale):
                if left != staging or left.is_symlink():
                    shutil.rmtree(left, ignore_errors=True)
            staging.mkdir(mode=0o700, exist_ok=not staging.is_symlink())
            journal.keep_arrays(staging)
        except OSError as error:
            raise Invalid(
                f"cannot write beside {dest} ({error.strerror}); choose another"
            ) from error
        try:
            yield staging
        except (KeyboardInterrupt, Stopped):
            if journal.journaled(staging):
                raise Stopped(
                    f"stopped; what was decoded is kept beside {dest}: the same command goes on from there"
                ) from None
            shutil.rmtree(staging, ignore_errors=True)
            raise
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        shutil.rmtree(staging, ignore_errors=True)  # another process was first


def _finish(
    source: Source,
    target: Target,
    rows: Rows,
    staging: Path,
    beside: Partner | None,
    settings: Data,
    register: people.Register | None,
) -> dict[str, Any]:
    """Clean, split, write the columns; returns the facts."""
    pair = settings.pair
    shape = (len(rows.item), *target.shape)
    findings = clean.examine(np.memmap(staging / IMAGES, np.uint8, "r", shape=shape))
    items = [source.items[i] for i in rows.item]
    clusters = findings.groups()
    words = _words(items)
    contradictory = _settle(findings, words, items, source.curated)
    disputed = clean.contradictions(findings.exact, [item.text for item in items])
    keep = kept(source, rows, findings, items)
    theirs = beside.source if beside else None
    if register:
        both = [source, theirs] if theirs and theirs.paired else [source]
        keep = people.kept(register, both, rows, keep)
    if len(keep) < 2:
        others = f" ({listed(rows.left_out)})" if rows.left_out else ""
        top = brightest(np.memmap(staging / IMAGES, np.uint8, "r", shape=shape))
        hint = too_dark(top, rows.notes) or "a model needs 2 at the very least: add more"
        raise Invalid(f"only {len(keep)} image of {source.name} can be used{others}; {hint}")
    compact(staging / IMAGES, keep, shape)
    images = np.memmap(staging / IMAGES, np.uint8, "r", shape=(len(keep), *shape[1:]))
    stay = [rows.item[row] for row in keep]
    if beside and beside.paired:
        beside.keep(keep)
    sides = [people.Side.of(source, stay)]
    if beside and theirs:
        sides.append(people.Side.of(theirs, stay if theirs.paired else beside.items))
    if pair is not None:
        beside = partner.derived(images, operation(pair), staging)
    items = [items[i] for i in keep]
    words = {name: [column[i] for i in keep] for name, column in words.items()}
    held_out, how = split.sides(
        items, clusters[keep], settings.holdout if settings.tiles is None else None
    )
    held_out[split.withheld(items, words, settings.withhold)] = split.WITHHELD
    if not (held_out == 0).any():
        raise Invalid(
            f"data.withhold={settings.withhold} leaves no image to train on; withhold less"
        )
    leaks = _leaks(findings.exact[keep], held_out)
    conditions, labels = columns.split(words, source.classes)
    labels = labels if conditions else np.zeros((len(keep), 0), np.int32)
    captions = [item.text for item in items]
    said = columns.remarks(words, conditions, source, sum(map(bool, captions)))
    said += pairs.hints(source, rows.sizes) if pair is None else []
    said += beside.remarks() if beside else []
    more = beside.columns if beside else {}
    write_columns(staging / COLUMNS, items, words, captions, labels, held_out, more)
    write_left_out(staging / LEFT_OUT, rows.left_out)
    mean, deviation = moments(images, held_out == 0)
    repeats = findings.exact[keep] != keep
    facts: dict[str, Any] = {
        "format": FORMAT,
        "name": source.name,
        "hash": "",
        "source": {"kind": source.kind, "items": len(source.items), "curated": source.curated},
        "licence": source.licence,
        "credits": source.credits,
        "images": {
            "count": len(keep),
            "height": target.height,
            "width": target.width,
            "channels": target.channels,
            "mean": mean,
            "deviation": deviation,
        },
        "settings": {"fit": target.fit},
        "split": {
            "how": how,
            "train": int((held_out == 0).sum()),
            "holdout": int((held_out == split.HELD_OUT).sum()),
            "withheld": int((held_out == split.WITHHELD).sum()),
            "copies_across": leaks,
            "sources_across": beside.across(held_out)
            if beside and beside.paired and pair is None
            else 0,
        },
        "conditions": class_counts(conditions, labels),
        "columns": {name: sum(map(bool, column)) for name, column in words.items()},
        "captions": sum(map(bool, captions)),
        "faces": {**sides[0].facts, "sources": sides[1].facts if theirs else None},
        "consent": people.agreed(register, sides) if register else None,
        "found": {
            "sizes": [[h, w, n] for (h, w), n in rows.sizes.most_common(NAMED)],
            "distinct_sizes": len(rows.sizes),
            "formats": dict(rows.formats.most_common()),
            "modes": dict(rows.modes.most_common()),
            "notes": dict(rows.notes.most_common()),
            "colour_lost": _colour_lost(rows, target, settings),
            "brightest": brightest(images) if max(mean) < DARK else 255,
            "enlarged": rows.enlarged,
            "cut": round(rows.cut, 3),
            "duplicates_kept": int(repeats.sum()),
            "blank_kept": int(findings.blank[keep].sum()),
            "contradictory": contradictory,
            "captions_differ": counted(disputed, items),
        },
        "left_out": summary(rows.left_out),
        "remarks": [plain(note) for note in (*said, *source.notes)],
        "policy": POLICY,
        "versions": {"pillow": PIL.__version__, "numpy": np.__version__},
    }
    facts["files"] = {
        name: {"bytes": (staging / name).stat().st_size, "sha256": sha256(staging / name)}
        for name in (IMAGES, *([beside.file.name] if beside else []), COLUMNS, LEFT_OUT)
    }
    seal = [SEAL, shape[1:], facts["conditions"], facts["files"][IMAGES], facts["files"][COLUMNS]]
    facts["fields"] = [image_array(facts["images"])]
    if beside:
        facts["fields"].append(beside.entry() | ({"made": pair} if pair is not None else {}))
        seal += [facts["fields"][1], facts["files"][beside.file.name]]
    facts["hash"] = hashlib.sha256(json.dumps(seal).encode()).hexdigest()
    facts["warnings"] = warnings_for(facts)
    return facts


def _colour_lost(rows: Rows, target: Target, settings: Data) -> int:
    """Images with colour among those that were taken for grey, by the files that were looked at first."""
    if settings.channels is not None or target.channels > 1:
        return 0
    return sum(count for mode, count in rows.modes.items() if mode not in GREY)


def _words(items: Sequence[Item]) -> dict[str, list[str]]:
    """Every column, in the order in which it is first met."""
    names = columns.names(item.columns for item in items)
    return {plain(name): [plain(item.columns.get(name, "")) for item in items] for name in names}


def _settle(
    findings: clean.Findings,
    words: dict[str, list[str]],
    items: Sequence[Item],
    curated: bool,
) -> dict[str, dict[str, Any]]:
    """Unsay what equal images contradict (in a curated set: only count it), for each column."""
    found = {}
    clusters = np.where(findings.blank, np.arange(len(findings.exact)), findings.exact)
    for name, column in words.items():
        if columns.as_classes(column) is None:
            continue
        wrong = clean.contradictions(clusters, column)
        if len(wrong):
            found[name] = counted(wrong, items)
        for row in wrong if not curated else ():
            column[row] = ""
    return found


def _leaks(exact: np.ndarray, held_out: np.ndarray) -> int:
    """Training images whose very pixels are also on the hold-out side."""
    return int(np.isin(exact[held_out == 0], exact[held_out == 1]).sum())


def _check_agrees(prepared: Prepared, settings: Data) -> None:
    if settings.pairs is not None and "source" not in prepared.fields:
        raise Invalid(
            f"{prepared.folder} is prepared as single images; give data.pairs={settings.pairs} with the "
            "source that it was prepared from"
        )
    if settings.consent is not None:
        known = prepared.facts.get("consent") or {}
        if known.get("sha256") != people.read(settings.consent).sha256:
            raise Invalid(
                f"{prepared.folder} was not prepared with {settings.consent} as it is now; prepare it "
                f"anew from its source, with data.consent={settings.consent}"
            )
    fit = settings.fit not in (Data().fit, prepared.facts.get("settings", {}).get("fit"))
    source = prepared.fields.get("source")
    paired = settings.paired not in (None, source and source.paired)
    kind = settings.source_kind not in (None, source and source.field.kind)
    over = {"withhold": settings.withhold, "tiles": settings.tiles, "fit": fit}
    over |= {"paired": paired, "source_kind": kind}
    for name, given in over.items():
        if given:
            raise Invalid(
                f"{prepared.folder} is prepared; give data.{name} with the source that it was prepared from"
            )
    if settings.holdout is not None:
        raise Invalid(
            f"{prepared.folder} is prepared, with {len(prepared.holdout):,} images held out; give "
            "data.holdout with the source that it was prepared from"
        )
    size, channels = (prepared.height, prepared.width), prepared.channels
    if settings.size not in (None, size) or settings.channels not in (None, channels):
        asked = settings.size or size
        raise Invalid(
            f"{prepared.folder} is prepared at {size[0]}x{size[1]} with {channels} channels, but "
            f"{asked[0]}x{asked[1]} with {settings.channels or channels} was asked for; make it with: "
            f"zeuxis data prepare {prepared.folder} NEW --size {asked[0]}x{asked[1]} "
            f"--channels {settings.channels or channels}"
        )


def _check_space(folder: Path, count: int, target: Target) -> None:
    needed = count * target.height * target.width * target.channels + (1 << 20)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise Invalid(
            f"preparing {count:,} images at {target.height}x{target.width} takes {needed / 1e9:.1f} GB "
            f"but {folder} has {free / 1e9:.1f} GB free; prepare a smaller size or free some space"
        )


def _move(staging: Path, dest: Path) -> None:
    """Let the finished folder appear; another process may have been first, with the same content."""
    journal.forget(staging)
    staging.chmod(0o755)
    try:
        staging.replace(dest)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST) and is_prepared(dest):
            return
        raise
