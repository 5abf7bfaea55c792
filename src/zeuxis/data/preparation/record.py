"""What is written of a prepared set beside its arrays: columns, what was left out, counts and moments."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from zeuxis.core.files import write_file
from zeuxis.data.preparation import clean
from zeuxis.data.prepared import Texts
from zeuxis.data.source.base import Item

NAMED = 20
"""Files that `dataset.json` names for each reason."""


def write_columns(
    path: Path,
    items: Sequence[Item],
    words: dict[str, list[str]],
    captions: Sequence[str],
    labels: np.ndarray,
    held_out: np.ndarray,
    more: Mapping[str, np.ndarray],
) -> None:
    """Write labels, hold-out, names, captions and words, and what another field adds."""
    small = np.int16 if labels.size == 0 or labels.max() < 2**15 else np.int32
    tensors = {"labels": labels.astype(small), "holdout": held_out, **more}
    texts: dict[str, Sequence[str]] = {"names": [item.name for item in items]}
    if any(captions):
        texts["texts"] = captions
    texts |= {f"column.{name}": column for name, column in words.items()}
    for name, column in texts.items():
        tensors[f"{name}.bytes"], tensors[f"{name}.ends"] = Texts.pack(column)
    write_file(path, lambda beside: beside.write_bytes(save(tensors)))


def write_left_out(path: Path, left_out: Sequence[tuple[str, str, str]]) -> None:
    """One JSON line per file: the full list, of which dataset.json names the first of each reason."""
    lines = [
        json.dumps({"file": name, "reason": reason, "detail": why}, ensure_ascii=True) + "\n"
        for reason, name, why in left_out
    ]
    write_file(path, lambda beside: beside.write_text("".join(lines), encoding="utf-8"))


def summary(left_out: Sequence[tuple[str, str, str]]) -> dict[str, dict[str, Any]]:
    """Reason -> how many, and the first few by name."""
    summary: dict[str, dict[str, Any]] = {}
    for reason, name, why in left_out:
        entry = summary.setdefault(reason, {"count": 0, "first": []})
        entry["count"] += 1
        if entry["count"] <= NAMED:
            entry["first"].append([plain(name), plain(why)])
    return summary


def plain(text: str) -> str:
    """A name that JSON and a terminal can show, whatever bytes it is made of."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def class_counts(conditions: Sequence[Any], labels: np.ndarray) -> list[dict[str, Any]]:
    """How many images each class of each condition has."""
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


def moments(images: np.ndarray, train: np.ndarray) -> tuple[list[float], list[float]]:
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


def brightest(images: np.ndarray) -> int:
    """The highest level of any colour of any image."""
    colours = slice(0, min(3, images.shape[-1]))
    return max(int(block[..., colours].max()) for _, block in clean.blocks(images))


def counted(rows: np.ndarray, items: Sequence[Item]) -> dict[str, Any]:
    """How many, and the first few by name."""
    first = [plain(items[row].name) for row in rows[:NAMED].tolist()]
    return {"count": len(rows), "first": first}
