"""One pass over the images feeds every metric, in shards if need be: add, merge, save, resume.

What a set of images is to every metric is its features (one table for each layer asked of the
network) and its image statistics; both are kept row by row, so that sets added in shards, merged
or continued from a file are bit for bit what one pass would have given.

Shapes: N images, B batch, H height, W width, C channels, D features.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from safetensors.numpy import save

from zeuxis.core import tensors
from zeuxis.core.errors import Invalid
from zeuxis.core.files import parse_json, write_file
from zeuxis.core.progress import Progress
from zeuxis.features import Extractor, Features, stream
from zeuxis.metrics.moments import Moments
from zeuxis.metrics.statistics import statistics

FORMAT = "1"


class Accumulator:
    """Features and statistics of the images seen so far.

    Args:
        extractor: the feature network.
        taps: which of its layers; default all.

    Attributes:
        image: "HxWxC" of the images, "" before the first.
    """

    def __init__(self, extractor: Extractor, taps: tuple[str, ...] | None = None) -> None:
        self.extractor = extractor
        self.taps = extractor.taps if taps is None else taps
        for tap in self.taps:
            if tap not in extractor.taps:
                raise Invalid(f"no layer {tap!r}; this network has {', '.join(extractor.taps)}")
        self.image = ""
        self._parts: dict[str, list[np.ndarray]] = {}

    def __len__(self) -> int:
        return sum(map(len, next(iter(self._parts.values()), [])))

    def add(self, pixels_NHWC: np.ndarray, progress: Progress | None = None) -> Self:
        """Take in more images, uint8, of the size of those before.

        Raises:
            ValueError: another size or type of image, or features that are no numbers.
        """
        if pixels_NHWC.dtype != np.uint8 or pixels_NHWC.ndim != 4:
            raise Invalid(
                f"images are {pixels_NHWC.dtype} of shape {pixels_NHWC.shape}; "
                "expected uint8 (N, H, W, C)"
            )
        grounds = " on black, grey and white" if pixels_NHWC.shape[3] == 4 else ""
        self._check_size("x".join(map(str, pixels_NHWC.shape[1:])) + grounds)
        start = 0
        for rows in stream(pixels_NHWC, self.extractor, progress=progress):
            batch = pixels_NHWC[start : start + len(rows[self.taps[0]])]
            self._append("features", {tap: rows[tap] for tap in self.taps})
            self._append("statistics", statistics(batch))
            start += len(batch)
        return self

    def merge(self, other: "Accumulator") -> Self:
        """Take in what another one has seen, after one's own.

        Raises:
            ValueError: it looked with another network or at images of another size.
        """
        for tap in self.taps:
            mine, theirs = self.extractor.receipt(tap), other.extractor.receipt(tap)
            if mine != theirs or self.taps != other.taps:
                raise Invalid(
                    f"these cannot be merged: one holds {_short(mine)}, the other {_short(theirs)}"
                )
        if other.image:
            self._check_size(other.image)
        for name, parts in other._parts.items():
            self._parts.setdefault(name, []).extend(parts)
        return self

    def receipt(self, tap: str | None = None) -> dict[str, Any]:
        """How the features of a layer were computed."""
        return {**self.extractor.receipt(tap or self.taps[0]), "image": self.image}

    def features(self, tap: str | None = None) -> Features:
        """All rows of a layer; default the first.

        Raises:
            ValueError: no image was added.
        """
        tap = tap or self.taps[0]
        return Features(self._whole(f"features.{tap}"), self.receipt(tap))

    def moments(self, tap: str | None = None) -> Moments:
        """Mean and covariance of a layer."""
        return Moments.of(self.features(tap))

    def statistics(self) -> dict[str, np.ndarray]:
        """Image statistics by name, each (N,)."""
        prefix = "statistics."
        names = [name for name in self._parts if name.startswith(prefix)]
        return {name.removeprefix(prefix): self._whole(name) for name in names}

    def save(self, path: str | Path) -> None:
        """Write all of it as one safetensors file, atomically."""
        receipts = {tap: self.receipt(tap) for tap in self.taps}
        facts = {"format": FORMAT, "image": self.image, "receipts": json.dumps(receipts)}
        content = save({name: self._whole(name) for name in self._parts}, facts)
        write_file(Path(path), lambda beside: beside.write_bytes(content))

    def resume(self, path: str | Path) -> Self:
        """Go on from a saved one, which must have looked with the same network.

        Raises:
            ValueError: it is not such a file, or its network, layers or image size differ.
        """
        receipts, held = read(path)
        for tap in self.taps:
            there = dict(receipts.get(tap, {}))
            image = there.pop("image", "")
            if there != self.extractor.receipt(tap):
                raise Invalid(
                    f"{path} holds {_short(there)}, and this network is "
                    f"{_short(self.extractor.receipt(tap))}: compute it anew"
                )
            if image:
                self._check_size(image)
        for name, array in held.items():
            self._parts.setdefault(name, []).append(array)
        return self

    def _check_size(self, image: str) -> None:
        if self.image and image != self.image:
            raise Invalid(
                f"images are {image} and those before {self.image}; bring all to one size"
            )
        self.image = image

    def _append(self, kind: str, arrays: dict[str, np.ndarray]) -> None:
        for name, array in arrays.items():
            self._parts.setdefault(f"{kind}.{name}", []).append(array)

    def _whole(self, name: str) -> np.ndarray:
        parts = self._parts.get(name)
        if not parts:
            raise Invalid("no image was added")
        if len(parts) > 1:
            self._parts[name] = parts = [np.concatenate(parts)]
        return parts[0]


def read(path: str | Path) -> tuple[dict[str, dict[str, Any]], dict[str, np.ndarray]]:
    """The receipts by layer, and the arrays, of a saved accumulator.

    Raises:
        ValueError: it is not such a file, or damaged.
    """
    path = Path(path)
    try:
        kinds = tensors.header(path)
    except ValueError as error:
        raise Invalid(f"{path} cannot be read as saved features; compute it anew") from error
    with tensors.opened(path, "np") as file:
        facts = file.metadata() or {}
        if facts.get("format") != FORMAT or "receipts" not in facts:
            raise Invalid(f"{path} holds tensors, but no features that this library saved")
        try:
            receipts = parse_json(facts["receipts"].encode())
        except ValueError as error:
            raise Invalid(f"{path}: its receipts are damaged ({error}); compute it anew") from error
        plain = all(_is_receipt(each, facts.get("image")) for each in receipts.values())
        if not plain or not _fit(receipts, kinds):
            raise Invalid(
                f"{path}: its receipts and arrays do not fit each other; expected features (N, D) of "
                "each layer and statistics (N,): compute it anew"
            )
        return receipts, {name: file.get_tensor(name) for name in kinds}


def _is_receipt(receipt: Any, image: str | None) -> bool:
    """Whether it is plain text by name, and of images of the file's size."""
    return (
        isinstance(receipt, dict)
        and all(isinstance(value, str) and value.isprintable() for value in receipt.values())
        and receipt.get("image") == image
        and re.fullmatch(r"(\d{1,6}x){2}\d", image or "") is not None
    )


def _fit(receipts: Mapping[str, Any], kinds: Mapping[str, tensors.Kind]) -> bool:
    """Whether every layer has its features, all has a row for each image, and all are fractions."""
    layers = {f"features.{tap}" for tap in receipts}
    rest = kinds.keys() - layers
    return (
        bool(layers)
        and layers <= kinds.keys()
        and all(len(kinds[name].shape) == 2 for name in layers)
        and all(name.startswith("statistics.") and len(kinds[name].shape) == 1 for name in rest)
        and all(0 not in kind.shape and kind.dtype in ("F32", "F64") for kind in kinds.values())
        and len({kind.shape[0] for kind in kinds.values()}) == 1
    )


def _short(receipt: dict[str, Any]) -> str:
    return (
        ", ".join(str(receipt[key]) for key in ("network", "layer") if key in receipt) or "nothing"
    )
