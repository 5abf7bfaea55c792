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

from zeuxis.core import machine
from zeuxis.core.abilities import (
    Completes,
    Controls,
    Decodes,
    Denoises,
    Encodes,
    Generates,
    Interpolates,
    Reconstructs,
    Scores,
    Sequential,
    Varies,
)
from zeuxis.core.errors import Invalid, NotFound, Unable
from zeuxis.core.family import Condition, Family
from zeuxis.core.pixels import from_uint8, to_array, to_tensor, to_uint8
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng, derive_seed
from zeuxis.core.settings import explain, suggest
from zeuxis.families import able
from zeuxis.inference import artefact

LANE = 32
"""Rows of every network call."""

VERBS: Mapping[str, type] = {
    "sample": Generates,
    "encode": Encodes,
    "decode": Decodes,
    "reconstruct": Reconstructs,
    "denoise": Denoises,
    "complete": Completes,
    "translate": Varies,
    "interpolate": Interpolates,
    "score": Scores,
    "compress": Sequential,
}
"""What can be done with a trained model, and the ability that it takes."""

A = TypeVar("A")


def load(path: str | Path, device: str = "auto") -> "Model":
    """The trained model in a folder.

    >>> images = load("runs/demo").sample(16, seed=7)  # doctest: +SKIP

    Raises:
        ValueError: not a trained model, or a damaged one.
    """
    folder = Path(path)
    place = machine.choose_device(device)
    family, content = artefact.load_with_facts(folder)
    return Model(family.to(place), content, folder, precision=content.get("precision", "float32"))


class Model:
    """A trained family with the facts about it.

    Attributes:
        family: the networks, for researchers.
        facts: `config.json` of the artefact, with `dataset` filled in.
        folder: where it was loaded from.
        rng: what draws its noise.
    """

    def __init__(
        self,
        family: Family,
        facts: Mapping[str, Any],
        folder: Path,
        precision: str = "float32",
        rng: type[Rng] = Rng,
    ) -> None:
        self.family = family
        self.facts = facts
        self.folder = folder
        self.rng = rng
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
        progress: Progress | None = None,
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
        given = self._conditions(labels, count)

        def draw(rows: slice) -> Tensor:
            noise = family.noise(self._rng(seed, rows))
            inner = _within(rows, count, progress)
            return to_uint8(family.generate(noise, given(rows), settings, inner))

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
        unknown = [([-1] * len(self.conditions), 1)]
        table = self.facts["dataset"].get("labels") or unknown
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
                raise NotFound(
                    f"no control {name!r} for {self.facts['family']}; "
                    f"{suggest(name, schema.model_fields)}"
                )
        try:
            return schema.model_validate(dict(values))
        except pydantic.ValidationError as error:
            raise Invalid(explain(error)) from error

    def reconstruct(
        self,
        images_NHWC: np.ndarray,
        labels: np.ndarray | None = None,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Images after the family's bottleneck, (N, H, W, C) uint8; `labels` as in `sample`."""
        family = self._able(Reconstructs, "reconstruct")
        return self._repaint(images_NHWC, labels, progress, family.reconstruct)

    def encode(
        self,
        images_NHWC: np.ndarray,
        labels: np.ndarray | None = None,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Latents of images, (N, ...) float32; of a tokenizer, the tokens (N, h, w) int64."""
        family = self._able(Encodes, "encode")
        pixels, given = self._pixels(images_NHWC), self._conditions(labels, len(images_NHWC))

        def call(rows: slice) -> Tensor:
            latent = family.encode(self._inside(_padded(pixels, rows)), given(rows))
            return (latent.float() if latent.is_floating_point() else latent).cpu()

        return self._lanes(len(pixels), call, progress).numpy()

    def decode(
        self,
        latents: np.ndarray,
        labels: np.ndarray | None = None,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Images of latents as `encode` returns them, (N, H, W, C) uint8."""
        family = self._able(Decodes, "decode")
        array = np.asarray(latents)
        whole = np.issubdtype(array.dtype, np.integer)
        latent = torch.from_numpy(array.astype(np.int64 if whole else np.float32))
        given = self._conditions(labels, len(latent))

        def call(rows: slice) -> Tensor:
            return to_uint8(family.decode(_padded(latent, rows).to(self.device), given(rows)))

        return to_array(self._lanes(len(latent), call, progress))

    def denoise(
        self,
        images_NHWC: np.ndarray,
        sigma: float,
        labels: np.ndarray | None = None,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """The expected clean images, (N, H, W, C) uint8.

        Args:
            images_NHWC: noisy images, uint8; or float, on the same scale of 0 to 255 and perhaps beyond.
            sigma: standard deviation of the noise in levels of 255, such as 25.
            labels: (N, A) class indices, -1 unknown.
            progress: called with (images done, N).

        Raises:
            ValueError: a family that does not denoise, a negative sigma, or images of another shape.
        """
        family = self._able(Denoises, "denoise")
        if not 0 <= sigma < float("inf"):
            raise Invalid(f"sigma is a number of levels, at least 0, not {sigma}")
        noisy = np.asarray(images_NHWC)
        self._check_shape(noisy)
        image = to_tensor(np.require(noisy, np.float32, ("C", "W"))) / 127.5 - 1
        given = self._conditions(labels, len(image))
        deviation = torch.full((LANE,), sigma / 127.5, device=self.device)

        def call(rows: slice) -> Tensor:
            noisy_BCHW = _padded(image, rows).to(self.device)
            return to_uint8(family.denoise(noisy_BCHW, deviation, given(rows)))

        return to_array(self._lanes(len(image), call, progress))

    def complete(
        self,
        images_NHWC: np.ndarray,
        mask: np.ndarray,
        seed: int = 0,
        labels: np.ndarray | None = None,
        progress: Progress | None = None,
        **controls: Any,
    ) -> np.ndarray:
        """Paint what a mask leaves open, (N, H, W, C) uint8; all else stays as it is.

        Args:
            images_NHWC: uint8.
            mask: (H, W) for all, or (N, H, W): other than 0 where the image is to be painted.
            seed: same seed, same painting.
            labels: (N, A) class indices, -1 unknown.
            progress: called with (images done, N).
            **controls: of the family.

        Raises:
            ValueError: a family that does not complete, or a mask of another shape.
        """
        family = self._able(Completes, "complete")
        settings = self.controls(controls)
        pixels, given = self._pixels(images_NHWC), self._conditions(labels, len(images_NHWC))
        count, height, width, _ = images_NHWC.shape
        open_NHW = np.asarray(mask) != 0
        if open_NHW.shape not in ((height, width), (count, height, width)):
            raise Invalid(
                f"the mask has shape {open_NHW.shape}, expected {(height, width)} or "
                f"{(count, height, width)}"
            )
        mask_N1HW = torch.from_numpy(np.broadcast_to(open_NHW, (count, height, width)).copy())
        mask_N1HW = mask_N1HW[:, None].float()

        def call(rows: slice) -> Tensor:
            image, mask_B1HW = self._inside(_padded(pixels, rows)), _padded(mask_N1HW, rows)
            noise = family.noise(self._rng(seed, rows))
            inner = _within(rows, count, progress)
            known = (image, mask_B1HW.to(self.device))
            return to_uint8(family.complete(*known, noise, given(rows), settings, inner))

        return to_array(self._lanes(count, call, progress))

    def translate(
        self,
        images_NHWC: np.ndarray,
        seed: int = 0,
        labels: np.ndarray | None = None,
        progress: Progress | None = None,
        **controls: Any,
    ) -> np.ndarray:
        """Turn images into others, (N, H, W, C) uint8; `labels` (N, A) say what they are to become.

        Raises:
            ValueError: a family that does not translate, or images of another shape.
        """
        family = self._able(Varies, "translate")
        settings = self.controls(controls)
        pixels, given = self._pixels(images_NHWC), self._conditions(labels, len(images_NHWC))

        def call(rows: slice) -> Tensor:
            noise = family.noise(self._rng(seed, rows))
            source = self._inside(_padded(pixels, rows))
            inner = _within(rows, len(pixels), progress)
            return to_uint8(family.vary(source, noise, given(rows), settings, inner))

        return to_array(self._lanes(len(pixels), call, progress))

    def interpolate(
        self,
        start: int | np.ndarray,
        end: int | np.ndarray,
        count: int = 8,
        label: str | Mapping[str, str] | None = None,
        progress: Progress | None = None,
        **controls: Any,
    ) -> np.ndarray:
        """A walk between the images of two seeds, or between two images, (count, H, W, C) uint8.

        Between seeds, what `label` leaves open is drawn once, as for the first image, and holds for
        the whole walk. The noise goes along a great circle, so that it stays as long as noise is
        (White, 2016, https://arxiv.org/abs/1609.04468). Between images (H, W, C) uint8 the latents
        do.

        Raises:
            ValueError: a family without smooth walks, or one that cannot start from these ends.
        """
        self._able(Interpolates, "interpolate")
        if count < 2:
            raise Invalid(f"a walk has at least its 2 ends, not {count} images")
        share = torch.linspace(0, 1, count, device=self.device)
        if isinstance(start, np.ndarray) and isinstance(end, np.ndarray):
            ends = torch.from_numpy(self.encode(np.stack([start, end])))
            walk = slerp(ends[:1], ends[1:], share.cpu())
            return self.decode(walk.numpy(), progress=progress)
        if isinstance(start, np.ndarray) or isinstance(end, np.ndarray):
            raise Invalid("a walk leads from a seed to a seed or from an image to an image")
        family = self._able(Generates, "interpolate between seeds; give two images")
        settings = self.controls(controls)
        noises = [family.noise(self._rng(s, slice(0, 1))) for s in (start, end)]
        steps = {key: slerp(noises[0][key], noises[1][key], share) for key in noises[0]}
        labels = self.draw_labels(1, start, label).repeat(count, 0)
        given = self._conditions(labels, count)

        def draw(rows: slice) -> Tensor:
            noise = {key: _padded(value, rows) for key, value in steps.items()}
            inner = _within(rows, count, progress)
            return to_uint8(family.generate(noise, given(rows), settings, inner))

        return to_array(self._lanes(count, draw, progress))

    def bits_per_dim(
        self,
        images_NHWC: np.ndarray,
        labels: np.ndarray | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Bits per dimension of each image, (N,) float32; `family.kind` says if exact or a bound."""
        family = self._able(Scores, "score")
        pixels, given = self._pixels(images_NHWC), self._conditions(labels, len(images_NHWC))

        def score(rows: slice) -> Tensor:
            batch = {"image": self._inside(_padded(pixels, rows)), **given(rows)}
            return family.bits_per_dim(batch, self._rng(seed, rows)).float().cpu()

        return self._lanes(len(pixels), score, progress).numpy()

    def check_able(self, verb: str) -> Family:
        """The family, once it is known to have the ability that a verb takes.

        Raises:
            ValueError: it has not; the message names the families that have.
        """
        self._able(VERBS[verb], verb)
        return self.family

    def indices(self, label: str | Mapping[str, str] | None, count: int) -> np.ndarray:
        """Class indices (count, A) int64 of a label by name, -1 where it says nothing."""
        table = np.full((count, len(self.conditions)), -1, np.int64)
        for column, index in self._label_indices(label).items():
            table[:, column] = index
        return table

    def _able(self, ability: type[A], verb: str) -> A:
        if not isinstance(self.family, ability):
            others = ", ".join(able(ability)) or "none"
            raise Unable(f"a {self.facts['family']} cannot {verb}; families that can: {others}")
        return self.family

    def _label_indices(self, label: str | Mapping[str, str] | None) -> dict[int, int]:
        if label is None:
            return {}
        names = [condition.name for condition in self.conditions]
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
            classes = self.conditions[names.index(name)].classes
            if value not in classes:
                raise NotFound(f"no {name} {value!r} in this model; {suggest(value, classes)}")
            wanted[names.index(name)] = classes.index(value)
        return wanted

    def _known(self, labels: np.ndarray, count: int) -> Tensor:
        """Class indices as a tensor, once they are of the right shape and each names a class or -1."""
        given = np.asarray(labels, dtype=np.int64)
        expected = (count, len(self.conditions))
        if given.shape != expected:
            raise Invalid(f"labels have shape {given.shape}, expected {expected}")
        for condition, column in zip(self.conditions, given.T, strict=True):
            most = len(condition.classes) - 1
            if not ((column >= -1) & (column <= most)).all():
                raise Invalid(
                    f"labels of {condition.name!r} go from {column.min()} to {column.max()}, "
                    f"expected 0 to {most}, or -1 for unknown"
                )
        return torch.from_numpy(given)

    def _conditions(
        self, labels: np.ndarray | None, count: int
    ) -> Callable[[slice], dict[str, Tensor]]:
        """Rows -> what the family is given to know of them; labels None are all unknown."""
        unknown = np.full((count, len(self.conditions)), -1)
        known = self._known(unknown if labels is None else labels, count)
        if not self.conditions:
            return lambda rows: {}
        return lambda rows: {"label": _padded(known, rows).to(self.device)}

    def _repaint(
        self,
        images_NHWC: np.ndarray,
        labels: np.ndarray | None,
        progress: Progress | None,
        call: Callable[[Tensor, Mapping[str, Tensor]], Tensor],
    ) -> np.ndarray:
        pixels, given = self._pixels(images_NHWC), self._conditions(labels, len(images_NHWC))

        def paint(rows: slice) -> Tensor:
            return to_uint8(call(self._inside(_padded(pixels, rows)), given(rows)))

        return to_array(self._lanes(len(pixels), paint, progress))

    def _rng(self, seed: int, rows: slice) -> Rng:
        return self.rng.for_images(seed, range(rows.start, rows.stop), self.device)

    def _inside(self, pixels_BCHW: Tensor) -> Tensor:
        image = from_uint8(pixels_BCHW.to(self.device))
        return image.contiguous(memory_format=torch.channels_last)

    def _pixels(self, images_NHWC: np.ndarray) -> Tensor:
        """(N, C, H, W) uint8, once the images are of the model's kind."""
        self._check_shape(images_NHWC)
        if images_NHWC.dtype != np.uint8:
            raise Invalid(f"images are {images_NHWC.dtype}, expected uint8, 0 to 255")
        return to_tensor(np.require(images_NHWC, requirements=("C", "W")))

    def _check_shape(self, images_NHWC: np.ndarray) -> None:
        config = self.family.config
        expected = (config.height, config.width, config.channels)
        if images_NHWC.shape[1:] != expected:
            raise Invalid(
                f"images are {images_NHWC.dtype} of shape {images_NHWC.shape[1:]}, "
                f"expected uint8 of shape {expected} (height, width, channels)"
            )

    def _lanes(
        self, count: int, call: Callable[[slice], Tensor], progress: Progress | None = None
    ) -> Tensor:
        """Call with one full lane of rows after another; drop what pads the last one."""
        parts = []
        for rows in lanes(count):
            with torch.inference_mode(), machine.arithmetic(self.device, self.precision):
                parts.append(call(rows)[: count - rows.start])
            if progress:
                progress(min(rows.stop, count), count)
        if not parts:
            raise Invalid(f"expected at least 1 image, found {count}")
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


def _within(rows: slice, count: int, progress: Progress | None) -> Progress | None:
    """Progress inside a lane, for families that take many steps: still told in images done."""
    if progress is None:
        return None
    size = min(LANE, count - rows.start)

    def tick(done: int, total: int) -> None:
        if done < total:
            progress(rows.start + size * done // total, count)

    return tick


def _padded(values: Tensor, rows: slice) -> Tensor:
    index = torch.arange(rows.start, rows.stop).clamp(max=len(values) - 1)
    return values[index.to(values.device)]
