"""What images are asked to show: classes, numbers and text as models are given them; the rest is the data's.

Shapes: N images, A conditions, K numbers, T ids of a caption.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zeuxis.core.errors import Invalid, NotFound, Unable
from zeuxis.core.family import Condition, Number
from zeuxis.core.rng import derive_seed
from zeuxis.core.settings import suggest
from zeuxis.core.vocabulary import words

if TYPE_CHECKING:
    from zeuxis.data.pictures import Pictures
    from zeuxis.inference.model import Model
    from zeuxis.inference.results import Images

NAMED = 8
"""Words that a remark names."""


def indices(
    conditions: Sequence[Condition], label: str | Mapping[str, str] | None
) -> dict[int, int]:
    """Condition -> class, by index, of a class name (with one condition) or names by condition.

    Raises:
        Unable: there are no conditions.
        NotFound: an unknown condition or class.
        Invalid: a class name without its condition, of several.
    """
    if label is None:
        return {}
    names = [condition.name for condition in conditions]
    if not names:
        raise Unable("this model was trained without labels, so none can be asked for")
    if isinstance(label, str):
        if len(names) > 1:
            raise Invalid(f"which condition is {label!r}? name one of {', '.join(names)}")
        label = {names[0]: label}
    wanted = {}
    for name, value in label.items():
        if name not in names:
            raise NotFound(f"no condition {name!r} in this model; {suggest(name, names)}")
        classes = conditions[names.index(name)].classes
        if value not in classes:
            raise NotFound(f"no {name} {value!r} in this model; {suggest(value, classes)}")
        wanted[names.index(name)] = classes.index(value)
    return wanted


def table(conditions: Sequence[Condition], value: Any, count: int) -> np.ndarray:
    """(count, A) int64 class indices, -1 unknown, of a label by name or of such a table.

    Raises:
        Invalid: a table of another shape, or with indices of no class.
    """
    shape = (count, len(conditions))
    if value is None or isinstance(value, str | Mapping):
        known = np.full(shape, -1, np.int64)
        for column, index in indices(conditions, value).items():
            known[:, column] = index
        return known
    given = np.asarray(value, dtype=np.int64)
    if given.shape != shape:
        raise Invalid(f"labels have shape {given.shape}, expected {shape}")
    for condition, column_N in zip(conditions, given.T, strict=True):
        most = len(condition.classes) - 1
        if not ((column_N >= -1) & (column_N <= most)).all():
            raise Invalid(
                f"labels of {condition.name!r} go from {column_N.min()} to {column_N.max()}, "
                f"expected 0 to {most}, or -1 for unknown"
            )
    return given


def of_source(conditions: Sequence[Condition], seen: "Pictures") -> np.ndarray | None:
    """(N, A) of what a source says of these conditions; None if nothing."""
    known = {condition: column for column, condition in enumerate(seen.conditions)}
    found = [known.get(condition) for condition in conditions]
    if all(column is None for column in found):
        return None
    unknown = np.full(len(seen.images), -1)
    return np.stack([unknown if at is None else seen.labels[:, at] for at in found], axis=1)


def drawn(
    conditions: Sequence[Condition],
    dataset: Mapping[str, Any],
    count: int,
    seed: int = 0,
    value: Any = None,
) -> np.ndarray:
    """(count, A) int64 from the joint distribution of the training data, given a label by name.

    Args:
        conditions: of the model.
        dataset: what it was trained on; `labels` lists (indices, images) of each combination.
        count: how many.
        seed: label i depends on this and on i alone.
        value: a class name, names by condition, or the whole table, which is then checked only.

    Raises:
        Invalid: as `indices` and `table`.
    """
    if not (value is None or isinstance(value, str | Mapping)):
        return table(conditions, value, count)
    wanted = indices(conditions, value)
    if not conditions:
        return np.zeros((count, 0), np.int64)
    known = dataset.get("labels") or [([-1] * len(conditions), 1)]
    rows = np.array([row for row, _ in known], dtype=np.int64)
    weights = np.array([n for _, n in known], dtype=np.float64)
    agree = np.ones(len(rows), bool)
    for column, index in wanted.items():
        agree &= rows[:, column] == index
    if agree.any():
        rows, weights = rows[agree], weights[agree]
    edges = np.cumsum(weights / weights.sum())
    points = np.array([derive_seed(seed, "label", i) / 2**63 for i in range(count)])
    chosen = rows[np.minimum(np.searchsorted(edges, points, side="right"), len(rows) - 1)]
    for column, index in wanted.items():
        chosen[:, column] = index
    return chosen


def amounts(numbers: Sequence[Number], asked: Mapping[str, float]) -> np.ndarray:
    """(K,) float32 of numbers by name, NaN where nothing is asked for.

    Raises:
        Unable: the model takes no numbers.
        NotFound: an unknown one.
    """
    names = [number.name for number in numbers]
    out = np.full(len(names), np.nan, np.float32)
    if asked and not names:
        raise Unable("this model was trained without numbers, so none can be asked for")
    for name, value in asked.items():
        if name not in names:
            raise NotFound(f"no number {name!r} in this model; {suggest(name, names)}")
        out[names.index(name)] = value
    return out


def described(
    model: "Model",
    count: int,
    seed: int,
    numbers: Mapping[str, float] | None = None,
    text: Sequence[str] | None = None,
    *,
    open_to_data: bool = True,
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Inputs `number` (count, K) and `text` (count, T) of a model, and the captions.

    Image i is of text i, counted around.

    Args:
        model: the model.
        count: how many images.
        seed: of what is drawn: for image i it depends on this and i alone.
        numbers: what is asked for, by name.
        text: captions; "" is none.
        open_to_data: what is not asked for is drawn from the training data's; else it is unknown.

    Raises:
        Unable, NotFound: as `amounts`.
        Invalid: more captions than images.
    """
    config, inputs, captions = model.family.config, dict[str, np.ndarray](), list[str]()
    known = amounts(config.numbers, numbers or {})
    examples = model.facts.get("dataset", {}).get("examples") if open_to_data else None
    drawn = (
        [examples[derive_seed(seed, "example", i) % len(examples)] for i in range(count)]
        if examples
        else []
    )
    if config.numbers and (numbers or open_to_data):
        rows = np.array([row for _, row in drawn] or [[None] * len(known)] * count, np.float32)
        inputs["number"] = np.where(np.isnan(known), rows, known)
    if config.text is not None and (text or open_to_data):
        text = text or [one for one, _ in drawn] or [""]
        if len(text) > count:
            raise Invalid(f"found {len(text)} texts for {count} images; ask for as many images")
        captions = [text[i % len(text)] for i in range(count)]
        inputs["text"] = config.text.rows(captions).astype(np.int64)
    return inputs, captions


def with_remarks(model: "Model", made: "Images", text: Sequence[str] | None) -> "Images":
    """Images with what the model does not take of the texts that were asked for."""
    return dataclasses.replace(made, remarks=remarks(model, text or ()))


def remarks(model: "Model", text: Sequence[str]) -> list[str]:
    """What the model does not take of texts: words that training never saw, and what is cut."""
    out = list[str]()
    seen = set(model.facts.get("dataset", {}).get("words") or ())
    asked = dict.fromkeys(word for one in text for word in words(one))
    new = [word for word in asked if word not in seen] if seen else []
    if new:
        named = ", ".join(repr(word) for word in new[:NAMED])
        more = f" and {len(new) - NAMED} more" if new[NAMED:] else ""
        out.append(f"{len(new)} of {len(asked)} words were never seen in training: {named}{more}")
    for one in text:
        if rest := model.family.cut(one):
            out.append(f"too long a text: cut before {rest[:60]!r}")
    return out
