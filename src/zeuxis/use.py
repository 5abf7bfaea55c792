"""The only door to a trained model: seeds, label names, precision, fixed lanes, uint8 out.

Inference runs in lanes of a fixed number of rows, the last one padded: measured, a batch of 1 or 4
differs from one of 64 in the last bits, and the same seed is to give the same image always.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pydantic
import torch
from torch import Tensor

from zeuxis import artefact, machine
from zeuxis.family import (
    Condition,
    Controls,
    Decodes,
    Encodes,
    Family,
    Generates,
    Reconstructs,
    Scores,
    Tick,
)
from zeuxis.images import from_uint8, to_array, to_tensor, to_uint8
from zeuxis.rng import Rng, derive_seed
from zeuxis.run import explain, suggest

LANE = 32
"""Rows of every network call."""

A = TypeVar("A")


def load(path: str | Path, device: str = "auto") -> "Model":
    """The trained model in a folder.

    >>> images = load("runs/demo").sample(16, seed=7)  # doctest: +SKIP

    Raises:
        ValueError: not a trained model, or a damaged one.
    """
    folder = Path(path)
    content = artefact.read(folder)
    place = machine.choose_device(device)
    family = artefact.rebuild(folder, content)
    return Model(family.to(place), content, folder, precision=content.get("precision", "float32"))


class Model:
    """A trained family with the facts about it.

    Attributes:
        family: the networks, for researchers.
        facts: `config.json` of the artefact, with `dataset` filled in.
        folder: where it was loaded from.
    """

    def __init__(
        self, family: Family, facts: Mapping[str, Any], folder: Path, precision: str = "float32"
    ) -> None:
        self.family = family
        self.facts = facts
        self.folder = folder
        self.device = next(family.parameters()).device
        fast = machine.fast_bfloat16(self.device)
        self.precision = precision if precision != "bfloat16" or fast else "float32"
        if self.device.type == "cpu":
            family.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What samples can be asked to have."""
        return self.family.config.conditions

    def sample(
        self,
        count: int,
        seed: int = 0,
        *,
        label: str | Mapping[str, str] | None = None,
        labels: np.ndarray | None = None,
        progress: Tick | None = None,
        **controls: Any,
    ) -> np.ndarray:
        """Draw images, (count, H, W, C) uint8. Image i depends on (seed, i) and on what is asked for.

        Args:
            count: how many.
            seed: same seed, same images.
            label: a class name (with one condition), or names by condition. What is left open is
                drawn from the training data's distribution.
            labels: (count, A) class indices instead, -1 unknown.
            progress: called with (images done, count).
            **controls: of the family, e.g. `steps=10, guidance_scale=1.5`.

        Raises:
            ValueError: an unknown label or control, or a family that does not generate.
        """
        family = self._able(Generates, "sample")
        settings = self.controls(controls)
        if labels is None:
            labels = self.draw_labels(count, seed, label)
        cond = self._known(labels, count)

        def draw(rows: slice) -> Tensor:
            noise = family.noise(Rng(self._seeds(seed, rows), device=self.device))
            asked = {"label": cond[_within(rows, count)].to(self.device)} if self.conditions else {}
            return to_uint8(family.generate(noise, asked, settings))

        return to_array(self._lanes(count, draw, progress))

    def draw_labels(
        self, count: int, seed: int = 0, label: str | Mapping[str, str] | None = None
    ) -> np.ndarray:
        """Class indices (count, A) int64 from the training data's joint distribution, given `label`.

        Raises:
            ValueError: an unknown condition or class name.
        """
        wanted = self._label_indices(label)
        if not self.conditions:
            return np.zeros((count, 0), np.int64)
        table = self.facts["dataset"]["labels"]
        rows = np.array([row for row, _ in table], dtype=np.int64)
        weights = np.array([n for _, n in table], dtype=np.float64)
        agree = np.ones(len(rows), bool)
        for column, index in wanted.items():
            agree &= rows[:, column] == index
        if agree.any():
            rows, weights = rows[agree], weights[agree]
        edges = np.cumsum(weights / weights.sum())
        point = np.array([derive_seed(seed, "label", i) / 2**63 for i in range(count)])
        drawn = rows[np.minimum(np.searchsorted(edges, point, side="right"), len(rows) - 1)]
        for column, index in wanted.items():
            drawn[:, column] = index
        return drawn

    def controls(self, values: Mapping[str, Any]) -> Controls:
        """The family's sampling controls with these values.

        Raises:
            ValueError: an unknown control (with the nearest known one) or a wrong value.
        """
        schema = self.family.Controls
        for name in values:
            if name not in schema.model_fields:
                raise ValueError(
                    f"no control {name!r} for {self.facts['family']}; "
                    f"{suggest(name, schema.model_fields)}"
                )
        try:
            return schema.model_validate(dict(values))
        except pydantic.ValidationError as error:
            raise ValueError(explain(error)) from error

    def reconstruct(self, images_NHWC: np.ndarray, progress: Tick | None = None) -> np.ndarray:
        """Images after the family's bottleneck, (N, H, W, C) uint8."""
        family = self._able(Reconstructs, "reconstruct")
        return to_array(self._map(images_NHWC, lambda x: to_uint8(family.reconstruct(x)), progress))

    def encode(self, images_NHWC: np.ndarray) -> np.ndarray:
        """Latents of images, (N, ...) float32."""
        family = self._able(Encodes, "encode")
        return self._map(images_NHWC, lambda x: family.encode(x).float().cpu()).numpy()

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Images of latents, (N, H, W, C) uint8."""
        family = self._able(Decodes, "decode")
        given = torch.from_numpy(np.asarray(latents, np.float32))

        def draw(rows: slice) -> Tensor:
            return to_uint8(family.decode(_padded(given, rows).to(self.device)))

        return to_array(self._lanes(len(given), draw))

    def interpolate(
        self,
        seed_a: int,
        seed_b: int,
        count: int = 8,
        label: str | Mapping[str, str] | None = None,
        **controls: Any,
    ) -> np.ndarray:
        """A walk between the images of two seeds, (count, H, W, C) uint8.

        What `label` leaves open is drawn once, as for the first image, and holds for the whole walk.
        The noise goes along a great circle, so that it stays as long as noise is (White, 2016,
        https://arxiv.org/abs/1609.04468).
        """
        family = self._able(Generates, "interpolate")
        settings = self.controls(controls)
        ends = [
            family.noise(Rng(self._seeds(s, slice(0, 1)), device=self.device))
            for s in (seed_a, seed_b)
        ]
        share = torch.linspace(0, 1, count, device=self.device)
        walk = {key: slerp(ends[0][key], ends[1][key], share) for key in ends[0]}
        labels = torch.from_numpy(self.draw_labels(1, seed_a, label)).expand(LANE, -1)

        def draw(rows: slice) -> Tensor:
            noise = {key: _padded(value, rows) for key, value in walk.items()}
            asked = {"label": labels.to(self.device)} if self.conditions else {}
            return to_uint8(family.generate(noise, asked, settings))

        return to_array(self._lanes(count, draw))

    def bits_per_dim(
        self,
        images_NHWC: np.ndarray,
        labels: np.ndarray | None = None,
        seed: int = 0,
        progress: Tick | None = None,
    ) -> np.ndarray:
        """Bits per dimension of each image, (N,) float32; `family.kind` says if exact or a bound."""
        family = self._able(Scores, "score")
        pixels = self._pixels(images_NHWC)
        given = None if labels is None else self._known(labels, len(pixels))

        def score(rows: slice) -> Tensor:
            batch: dict[str, Tensor] = {"image": self._inside(_padded(pixels, rows))}
            if self.conditions:
                unknown = torch.full((LANE, len(self.conditions)), -1)
                batch["label"] = (unknown if given is None else _padded(given, rows)).to(
                    self.device
                )
            rng = Rng(self._seeds(seed, rows), device=self.device)
            return family.bits_per_dim(batch, rng).float().cpu()

        return self._lanes(len(pixels), score, progress).numpy()

    def _able(self, ability: type[A], verb: str) -> A:
        if not isinstance(self.family, ability):
            raise ValueError(
                f"a {self.facts['family']} cannot {verb}; `zeuxis families` lists which can"
            )
        return self.family

    def _label_indices(self, label: str | Mapping[str, str] | None) -> dict[int, int]:
        if label is None:
            return {}
        names = [condition.name for condition in self.conditions]
        if not names:
            raise ValueError("this model was trained without labels, so none can be asked for")
        if isinstance(label, str):
            if len(names) > 1:
                raise ValueError(f"which condition is {label!r}? name one of {', '.join(names)}")
            label = {names[0]: label}
        wanted = {}
        for name, value in label.items():
            if name not in names:
                raise ValueError(f"no condition {name!r} in this model; {suggest(name, names)}")
            classes = self.conditions[names.index(name)].classes
            if value not in classes:
                raise ValueError(f"no {name} {value!r} in this model; {suggest(value, classes)}")
            wanted[names.index(name)] = classes.index(value)
        return wanted

    def _known(self, labels: np.ndarray, count: int) -> Tensor:
        """Class indices as a tensor, once they are of the right shape and each names a class or -1."""
        given = np.asarray(labels, dtype=np.int64)
        expected = (count, len(self.conditions))
        if given.shape != expected:
            raise ValueError(f"labels have shape {given.shape}, expected {expected}")
        for condition, column in zip(self.conditions, given.T, strict=True):
            most = len(condition.classes) - 1
            if not ((column >= -1) & (column <= most)).all():
                raise ValueError(
                    f"labels of {condition.name!r} go from {column.min()} to {column.max()}, "
                    f"expected 0 to {most}, or -1 for unknown"
                )
        return torch.from_numpy(given)

    def _seeds(self, seed: int, rows: slice) -> list[int]:
        return [derive_seed(seed, "sample", i) for i in range(rows.start, rows.stop)]

    def _inside(self, pixels_BCHW: Tensor) -> Tensor:
        image = from_uint8(pixels_BCHW.to(self.device))
        return image.contiguous(memory_format=torch.channels_last)

    def _map(
        self,
        images_NHWC: np.ndarray,
        call: Callable[[Tensor], Tensor],
        progress: Tick | None = None,
    ) -> Tensor:
        pixels = self._pixels(images_NHWC)
        return self._lanes(
            len(pixels), lambda rows: call(self._inside(_padded(pixels, rows))), progress
        )

    def _pixels(self, images_NHWC: np.ndarray) -> Tensor:
        """(N, C, H, W) uint8, once the images are of the model's kind."""
        config = self.family.config
        expected = (config.height, config.width, config.channels)
        if images_NHWC.shape[1:] != expected or images_NHWC.dtype != np.uint8:
            raise ValueError(
                f"images are {images_NHWC.dtype} of shape {images_NHWC.shape[1:]}, "
                f"expected uint8 of shape {expected} (height, width, channels)"
            )
        return to_tensor(np.ascontiguousarray(images_NHWC))

    def _lanes(
        self, count: int, call: Callable[[slice], Tensor], progress: Tick | None = None
    ) -> Tensor:
        """Call with one full lane of rows after another; drop what pads the last one."""
        parts = []
        for rows in lanes(count):
            with torch.inference_mode(), machine.arithmetic(self.device, self.precision):
                parts.append(call(rows)[: count - rows.start])
            if progress:
                progress(min(rows.stop, count), count)
        if not parts:
            raise ValueError(f"expected at least 1 image, found {count}")
        return torch.cat(parts)


def slerp(a: Tensor, b: Tensor, share_N: Tensor) -> Tensor:
    """Points on the great circle from row `a` (1, ...) to `b` (1, ...): (N, ...)."""
    flat_a, flat_b = a.flatten(), b.flatten()
    cosine = torch.dot(flat_a, flat_b) / (flat_a.norm() * flat_b.norm())
    angle = torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6))
    share = share_N.view(-1, *[1] * (a.ndim - 1))
    return (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle)


def lanes(count: int) -> Iterator[slice]:
    """Slices of LANE rows that cover `count`."""
    return (slice(start, start + LANE) for start in range(0, count, LANE))


def _within(rows: slice, count: int) -> Tensor:
    return torch.arange(rows.start, rows.stop).clamp(max=count - 1)


def _padded(values: Tensor, rows: slice) -> Tensor:
    return values[_within(rows, len(values)).to(values.device)]
