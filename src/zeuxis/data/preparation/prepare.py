"""From a source to a prepared set: decode on all cores, clean, split, write; `dataset.json` last."""

import collections
import contextlib
import dataclasses
import errno
import glob
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from safetensors.numpy import save

from zeuxis.core.errors import Invalid
from zeuxis.core.files import cache_folder, naming, sha256, write_file, write_json
from zeuxis.core.lock import locked
from zeuxis.core.progress import Progress
from zeuxis.core.settings import Data
from zeuxis.data.facts import COLUMNS, FACTS, FORMAT, IMAGES, LEFT_OUT, image_array
from zeuxis.data.preparation import clean, columns, decode, split
from zeuxis.data.preparation.decode import Decoded, Refused, Target
from zeuxis.data.preparation.warn import warnings_for
from zeuxis.data.preparation.workers import decode_all
from zeuxis.data.prepared import Prepared, Texts, is_prepared, open_prepared
from zeuxis.data.source import Item, fingerprint_of, name_of, open_source
from zeuxis.data.source.base import Source

PEEK = 1024
DEFAULT_SIZE = (64, 64)
NAMED = 20
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


@dataclasses.dataclass
class Rows:
    """What the pass over the files left behind: row r of the array came from item `item[r]`."""

    item: list[int]
    left_out: list[tuple[str, str, str]]
    sizes: collections.Counter[tuple[int, int]]
    formats: collections.Counter[str]
    modes: collections.Counter[str]
    notes: collections.Counter[str]
    enlarged: int = 0
    cut: float = 0.0


def ensure(
    source: str | Path, settings: Data | None = None, progress: Progress | None = None
) -> Prepared:
    """The prepared set that training reads: `source` itself, or its copy in the cache.

    Args:
        source: a prepared set, or anything `prepare` takes. A raw source is prepared once for each
            state of its files (names, sizes, times) and each size, channels and fit.
        settings: a prepared set must agree with its size and channels.
        progress: called with (done, total) while images are decoded.

    Raises:
        ValueError: as in `prepare`; or a prepared set is of another size than asked.
    """
    settings = settings or Data()
    if is_prepared(Path(source)):
        prepared = open_prepared(source)
        _check_agrees(prepared, settings)
        return prepared
    key = repr((fingerprint_of(source), settings.size, settings.channels, settings.fit, SEAL))
    digest = hashlib.blake2b(key.encode(), digest_size=10).hexdigest()
    folder = cache_folder() / "prepared" / f"{name_of(source)}-{digest}"
    with locked(folder.with_name(f"{folder.name}.lock"), f"{folder} is in use", wait=True):
        if folder.exists():
            try:
                return open_prepared(folder)
            except ValueError:
                shutil.rmtree(folder)  # the cache is ours: what is damaged there is made again
        return prepare(source, folder, settings, progress)


def prepare(
    source: str | Path,
    dest: str | Path,
    settings: Data | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Turn `source` into a prepared set at `dest`.

    Args:
        source: a folder, zip, tar shards, idx, npy, npz, parquet, prepared set, or `avatars`.
        dest: a folder that does not exist yet or is empty; it appears whole or not at all.
        settings: size, channels and fit; the rest does not matter here.
        progress: called with (done, total).

    Raises:
        ValueError: no source, no images, nothing usable, no space, or `dest` is taken.
    """
    dest = Path(dest)
    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        what = "already holds a prepared set" if is_prepared(dest) else "is there and not empty"
        raise Invalid(f"{dest} {what}; choose another folder or remove it")
    opened = open_source(source)
    try:
        return prepare_source(opened, dest, settings or Data(), progress)
    finally:
        opened.close()


def prepare_source(
    source: Source, dest: Path, settings: Data, progress: Progress | None = None
) -> Prepared:
    """`prepare` for a source that is open already."""
    if not source.items:
        found = ""
        if source.problems:
            name, why = source.problems[0]
            found = f" ({len(source.problems)} files could not be used; the first: {name}: {why})"
        raise Invalid(
            f"{source.name} holds no images{found}; expected PNG, JPEG, WebP, GIF, BMP or TIFF files"
        )
    began = time.monotonic()
    with _staging(dest) as staging:
        try:
            with decode.guarded():
                target = choose_target(source, settings)
                _check_space(dest.parent, len(source.items), target)
                rows = _write_images(source, target, staging / IMAGES, progress)
            facts = _finish(source, target, rows, staging)
            facts["seconds"] = round(time.monotonic() - began, 2)
            write_json(staging / FACTS, facts)
            staging.chmod(0o755)
            _move(staging, dest)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Invalid(
                    f"the disk of {dest} is full; nothing was kept: free some space, "
                    "prepare a smaller size, or choose another folder"
                ) from error
            raise
    return open_prepared(dest)


@contextlib.contextmanager
def _staging(dest: Path) -> Iterator[Path]:
    """A folder beside `dest` to fill, for one process at a time; what a kill left of others is removed."""
    with locked(dest.parent / f".{dest.name}.lock", f"{dest} is being prepared") as unlocked:
        try:
            dest.parent.mkdir(parents=True, exist_ok=True)
            stale = f".{glob.escape(dest.name)}-" + 8 * "[a-z0-9_]"
            for left in () if unlocked else dest.parent.glob(stale):
                shutil.rmtree(left, ignore_errors=True)
            staging = Path(tempfile.mkdtemp(prefix=f".{dest.name}-", dir=dest.parent))
        except OSError as error:
            raise Invalid(
                f"cannot write beside {dest} ({error.strerror}); choose another"
            ) from error
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def choose_target(source: Source, settings: Data) -> Target:
    """Size and channels: as asked, else what up to 1,024 images, evenly spread, have in common.

    One size shared by all is kept if its sides are 4 to 4,096; else it is 64 x 64. All grey gives 1
    channel; alpha throughout, with something transparent in one of 32 images looked at, gives 4; all
    else 3.
    """
    step = max(1, len(source.items) // PEEK)
    seen = []
    if settings.size is None or settings.channels is None:
        for index in range(0, len(source.items), step):
            try:
                seen.append(decode.header(source.read(index)))
            except (OSError, ValueError):
                continue
    sizes = {(h, w) for h, w, _, _ in seen}
    shared = sizes.pop() if len(sizes) == 1 else DEFAULT_SIZE
    size = settings.size or (shared if _possible(shared) else DEFAULT_SIZE)
    if not _possible(size):
        raise Invalid(f"images cannot be prepared at {size[0]}x{size[1]}; sides are 4 to 4096")
    channels = settings.channels
    if channels is None:
        grey = bool(seen) and all(mode in GREY and not alpha for _, _, mode, alpha in seen)
        clear = bool(seen) and all(alpha for *_, alpha in seen) and _something_clear(source)
        channels = 1 if grey else 4 if clear else 3
    return Target(size[0], size[1], channels, settings.fit)


def _possible(size: tuple[int, int]) -> bool:
    return min(size) >= decode.SMALLEST and max(size) <= 4096


def _something_clear(source: Source) -> bool:
    """Whether any of 32 images, evenly spread, has a pixel that is not opaque."""
    for index in range(0, len(source.items), max(1, len(source.items) // 32)):
        try:
            pixels = decode.decode(source.read(index), None).pixels_HWC
        except (OSError, ValueError):
            continue
        if pixels.shape[-1] == 4 and pixels[..., 3].min() < 255:
            return True
    return False


GREY = ("1", "L", "I", "I;16", "I;16B", "I;16L", "I;16N")


def _write_images(source: Source, target: Target, path: Path, progress: Progress | None) -> Rows:
    """Decode every item and append its pixels to `path`."""
    rows = Rows([], [], *(collections.Counter() for _ in range(4)))  # type: ignore[arg-type]
    rows.left_out += [("not used", name, why) for name, why in source.problems]
    total = len(source.items)
    cuts = []
    with naming(path), path.open("wb") as file:
        for index, result in decode_all(source, target):
            if isinstance(result, Refused):
                rows.left_out.append((result.reason, source.items[index].name, str(result)))
            else:
                file.write(np.ascontiguousarray(result.pixels_HWC).data)
                rows.item.append(index)
                cuts.append(_count(rows, result, target))
            if progress and (index % 64 == 63 or index + 1 == total):
                progress(index + 1, total)
    rows.cut = float(np.median(cuts)) if cuts else 0.0
    if not rows.item:
        first = rows.left_out[0]
        raise Invalid(
            f"none of the {total:,} images of {source.name} can be used ({_listed(rows.left_out)}); "
            f"the first: {first[1]}: {first[2]}"
        )
    return rows


def _listed(left_out: Sequence[tuple[str, str, str]]) -> str:
    """How many were left out for each reason, for an error."""
    reasons = collections.Counter(reason for reason, _, _ in left_out)
    return ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())


def _count(rows: Rows, result: Decoded, target: Target) -> float:
    """Note what was seen of one image; returns the share of it that its fit cut away."""
    h, w = result.height, result.width
    rows.sizes[h, w] += 1
    rows.formats[result.format] += 1
    rows.modes[result.mode] += 1
    rows.notes.update(result.notes)
    scale = max(target.height / h, target.width / w)
    rows.enlarged += target.fit != "pad" and scale > 1
    if target.fit != "crop":
        return 0.0
    return 1 - target.height * target.width / (h * scale * w * scale)


def _finish(source: Source, target: Target, rows: Rows, staging: Path) -> dict[str, Any]:
    """Clean, split, write the columns; returns the facts."""
    shape = (len(rows.item), target.height, target.width, target.channels)
    findings = clean.examine(np.memmap(staging / IMAGES, np.uint8, "r", shape=shape))
    items = [source.items[i] for i in rows.item]
    clusters = findings.groups()
    words = _words(items)
    contradictory = _settle(findings, words, items, source.curated)
    disputed = clean.contradictions(findings.exact, [item.text for item in items])
    keep = _kept(source, rows, findings, items)
    if not source.curated and len(keep) < shape[0]:
        _compact(staging / IMAGES, keep, shape)
    if len(keep) < 2:
        others = f" ({_listed(rows.left_out)})" if rows.left_out else ""
        raise Invalid(
            f"only {len(keep)} image of {source.name} can be used{others}; a model needs 2 at the very "
            "least: add more"
        )
    images = np.memmap(staging / IMAGES, np.uint8, "r", shape=(len(keep), *shape[1:]))
    items = [items[i] for i in keep]
    words = {name: [column[i] for i in keep] for name, column in words.items()}
    held_out, how = _split(items, clusters[keep])
    leaks = _leaks(findings.exact[keep], held_out)
    conditions, labels = columns.split(words, source.classes)
    labels = labels if conditions else np.zeros((len(keep), 0), np.int32)
    captions = [item.text for item in items]
    _write_columns(staging / COLUMNS, items, words, captions, labels, held_out)
    _write_left_out(staging / LEFT_OUT, rows.left_out)
    mean, deviation = _moments(images, held_out == 0)
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
            "holdout": int(held_out.sum()),
            "copies_across": leaks,
        },
        "conditions": _class_counts(conditions, labels),
        "columns": {name: sum(map(bool, column)) for name, column in words.items()},
        "captions": sum(map(bool, captions)),
        "found": {
            "sizes": [[h, w, n] for (h, w), n in rows.sizes.most_common(NAMED)],
            "distinct_sizes": len(rows.sizes),
            "formats": dict(rows.formats.most_common()),
            "modes": dict(rows.modes.most_common()),
            "notes": dict(rows.notes.most_common()),
            "enlarged": rows.enlarged,
            "cut": round(rows.cut, 3),
            "duplicates_kept": int(repeats.sum()),
            "blank_kept": int(findings.blank[keep].sum()),
            "contradictory": contradictory,
            "captions_differ": _counted(disputed, items),
        },
        "left_out": _summary(rows.left_out),
        "remarks": [_plain(note) for note in source.notes],
        "policy": POLICY,
        "versions": {"pillow": PIL.__version__, "numpy": np.__version__},
    }
    facts["files"] = {
        name: {"bytes": (staging / name).stat().st_size, "sha256": sha256(staging / name)}
        for name in (IMAGES, COLUMNS, LEFT_OUT)
    }
    seal = [SEAL, shape[1:], facts["conditions"], facts["files"][IMAGES], facts["files"][COLUMNS]]
    facts["hash"] = hashlib.sha256(json.dumps(seal).encode()).hexdigest()
    facts["fields"] = [image_array(facts["images"])]
    facts["warnings"] = warnings_for(facts)
    return facts


def _words(items: Sequence[Item]) -> dict[str, list[str]]:
    """Every column, in the order in which it is first met."""
    names = columns.names(item.columns for item in items)
    return {_plain(name): [_plain(item.columns.get(name, "")) for item in items] for name in names}


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
            found[name] = _counted(wrong, items)
        for row in wrong if not curated else ():
            column[row] = ""
    return found


def _counted(rows: np.ndarray, items: Sequence[Item]) -> dict[str, Any]:
    """How many, and the first few by name."""
    first = [_plain(items[row].name) for row in rows[:NAMED].tolist()]
    return {"count": len(rows), "first": first}


def _kept(
    source: Source, rows: Rows, findings: clean.Findings, items: Sequence[Item]
) -> np.ndarray:
    """Row numbers that stay, ascending; what goes is named in `rows.left_out`."""
    own = np.arange(len(items))
    if source.curated:
        return own
    held = np.array([item.side == "holdout" for item in items])
    repeats = findings.repeats(np.lexsort((own, ~held)))
    for row in np.flatnonzero(findings.blank).tolist():
        rows.left_out.append(("blank", items[row].name, "one colour throughout"))
    for row in np.flatnonzero((repeats >= 0) & ~findings.blank).tolist():
        same = findings.exact[row] == findings.exact[repeats[row]]
        word = "duplicate" if same else "near duplicate"
        rows.left_out.append((word, items[row].name, f"of {items[repeats[row]].name}"))
    return np.flatnonzero(~findings.blank & (repeats < 0))


def _compact(path: Path, keep: np.ndarray, shape: tuple[int, ...]) -> None:
    """Move the kept rows together and cut the file."""
    images = np.memmap(path, np.uint8, "r+", shape=shape)
    for start in range(0, len(keep), clean.BLOCK):
        images[start : start + clean.BLOCK][: len(keep) - start] = images[
            keep[start : start + clean.BLOCK]
        ]
    images.flush()
    row = int(np.prod(shape[1:]))
    del images
    os.truncate(path, len(keep) * row)


def _split(items: Sequence[Item], clusters: np.ndarray) -> tuple[np.ndarray, str]:
    """(N,) uint8, 1 where held out; and how it was decided."""
    sides = {item.side for item in items}
    if {"train", "holdout"} <= sides:
        held_out = np.array([item.side == "holdout" for item in items], np.uint8)
        loose = sum(item.side is None for item in items)
        how = "the source's own split: its test and validation images are never trained on"
        return held_out, how + (f"; {loose} images of neither side are trained on" if loose else "")
    groups = _groups(items, clusters)
    held_out = split.by_hash(groups).astype(np.uint8)
    if not held_out.any():
        few = f"a set of fewer than {split.WORTHWHILE} images is trained on whole"
        one = "these images form one group, whose parts are too alike to be held out"
        why = few if len(items) < split.WORTHWHILE else one
        return held_out, f"none: {why}, and every score compares with images that were trained on"
    return held_out, "by hash of the group (duplicate cluster, or what the source calls one)"


def _groups(items: Sequence[Item], clusters: np.ndarray) -> list[str]:
    """A name for each image's group: what the source calls one, joined with duplicate clusters."""
    first: dict[str, int] = {}
    names = [item.group or item.name for item in items]
    same = [first.setdefault(name, row) for row, name in enumerate(names)]
    _, heads, of = np.unique(clusters, return_index=True, return_inverse=True)
    own = np.arange(len(items))
    links = np.concatenate([np.stack([own, same], 1), np.stack([own, heads[of]], 1)])
    return [names[row] for row in clean.components(len(items), links).tolist()]


def _leaks(exact: np.ndarray, held_out: np.ndarray) -> int:
    """Training images whose very pixels are also on the hold-out side."""
    return int(np.isin(exact[held_out == 0], exact[held_out == 1]).sum())


def _write_columns(
    path: Path,
    items: Sequence[Item],
    words: dict[str, list[str]],
    captions: Sequence[str],
    labels: np.ndarray,
    held_out: np.ndarray,
) -> None:
    small = np.int16 if labels.size == 0 or labels.max() < 2**15 else np.int32
    tensors = {"labels": labels.astype(small), "holdout": held_out}
    texts: dict[str, Sequence[str]] = {"names": [item.name for item in items]}
    if any(captions):
        texts["texts"] = captions
    texts |= {f"column.{name}": column for name, column in words.items()}
    for name, column in texts.items():
        tensors[f"{name}.bytes"], tensors[f"{name}.ends"] = Texts.pack(column)
    write_file(path, lambda beside: beside.write_bytes(save(tensors)))


def _write_left_out(path: Path, left_out: Sequence[tuple[str, str, str]]) -> None:
    """One JSON line per file: the full list, of which dataset.json names the first of each reason."""
    lines = [
        json.dumps({"file": name, "reason": reason, "detail": why}, ensure_ascii=True) + "\n"
        for reason, name, why in left_out
    ]
    write_file(path, lambda beside: beside.write_text("".join(lines), encoding="utf-8"))


def _summary(left_out: Sequence[tuple[str, str, str]]) -> dict[str, dict[str, Any]]:
    """Reason -> how many, and the first few by name."""
    summary: dict[str, dict[str, Any]] = {}
    for reason, name, why in left_out:
        entry = summary.setdefault(reason, {"count": 0, "first": []})
        entry["count"] += 1
        if entry["count"] <= NAMED:
            entry["first"].append([_plain(name), _plain(why)])
    return summary


def _plain(text: str) -> str:
    """A name that JSON and a terminal can show, whatever bytes it is made of."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _class_counts(conditions: Sequence[Any], labels: np.ndarray) -> list[dict[str, Any]]:
    table = []
    for column, condition in enumerate(conditions):
        known = labels[:, column][labels[:, column] >= 0]
        counts = np.bincount(known, minlength=len(condition.classes))
        table.append(
            {
                "name": condition.name,
                "classes": list(condition.classes),
                "counts": counts.tolist(),
                "unknown": len(labels) - len(known),
            }
        )
    return table


def _moments(images: np.ndarray, train: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel over the training side, in levels."""
    row = int(np.prod(images.shape[1:]))
    total, squares = np.zeros(row), np.zeros(row)
    for start, block in clean.blocks(images):
        # At most 2,048 rows a block: the sums of squares fit into 32 bits.
        chosen = block[train[start : start + len(block)]].reshape(-1, row).astype(np.uint32)
        total += chosen.sum(0, dtype=np.uint32)
        squares += (chosen * chosen).sum(0, dtype=np.uint32)
    pixels = int(train.sum()) * row / images.shape[-1]
    mean = total.reshape(-1, images.shape[-1]).sum(0) / pixels
    square = squares.reshape(-1, images.shape[-1]).sum(0) / pixels
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    return [round(float(x), 4) for x in mean], [round(float(x), 4) for x in deviation]


def _check_agrees(prepared: Prepared, settings: Data) -> None:
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
    try:
        staging.replace(dest)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST) and is_prepared(dest):
            return
        raise
