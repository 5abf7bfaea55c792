"""A trained model: arrays in, arrays out, with a seed for each image and batches of a fixed size.

Measured, a batch of 1 or 4 differs from one of 64 in the last bits, and the same seed is to give the same
image always. So every network call has as many images as its family says; the last one is padded.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pydantic
import torch
from torch import Tensor

from zeuxis.core import abilities, machine
from zeuxis.core.errors import Invalid, NotFound, Unable
from zeuxis.core.family import Batch, Condition, Controls, Family
from zeuxis.core.pixels import from_uint8, to_array, to_tensor, to_uint8
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng
from zeuxis.core.settings import explain, suggest
from zeuxis.families import able
from zeuxis.inference import artefact
from zeuxis.inference.results import Images
from zeuxis.inference.verbs import VERBS

BATCH = Family.BATCH
"""Images of every network call of most families."""
DESCRIBED = ("number", "text")
"""Inputs that are part of the condition."""
NOTHING: Mapping[str, Any] = MappingProxyType({})


def load(path: str | Path, device: str = "auto") -> "Model":
    """The trained model in a folder.

    >>> images = load("runs/demo").sample(16, seed=7)  # doctest: +SKIP

    Raises:
        Invalid: not a trained model, or a damaged one.
    """
    folder = Path(path)
    place = machine.choose_device(device)
    family, content = artefact.load_with_facts(folder)
    return Model(family.to(place), content, folder, precision=content.get("precision", "float32"))


@dataclasses.dataclass(frozen=True)
class Ask:
    """One batch of what a verb asks of a family.

    Attributes:
        model: the model.
        random: what draws for these images, the padding of the last batch included.
        inputs: by name; images are float32 in [-1, 1], (B, C, H, W).
        cond: `label` (B, A), `number` (B, K) and `text` (B, T), of what the model has.
        progress: for families that take many steps; told in images.
    """

    model: "Model"
    random: Rng
    inputs: Batch
    cond: Batch
    progress: Progress | None

    @property
    def family(self) -> Any:
        """The networks; the verb has checked that they are able."""
        return self.model.family

    def noise(self) -> Batch:
        """The family's noise for these images."""
        noise: Batch = self.family.noise(self.random)
        return noise


class Model:
    """A trained family with the facts about it. Its verbs (`VERBS`) are its methods.

    Attributes:
        family: the networks, for researchers.
        facts: `config.json` of the artefact, with `dataset` filled in.
        folder: where it was loaded from.
        rng: what draws its noise.
        straight: its colours are not multiplied by alpha, as of models saved before that was done.
        device: where it runs.
        precision: of its network calls.
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
        self.straight = "files" in facts and facts.get("alpha") != "premultiplied"
        self.folder = folder
        self.rng = rng
        self.device = next(family.parameters()).device
        fast = machine.fast_bfloat16(self.device)
        self.precision = precision if precision != "bfloat16" or fast else "float32"
        if self.device.type == "cpu":
            family.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __getattr__(self, name: str) -> Any:
        if name not in VERBS:
            raise AttributeError(f"a model has no {name!r}; {suggest(name, VERBS)}")
        return VERBS[name].of(self)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *VERBS})

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What images can be asked to show."""
        return self.family.config.conditions

    def able(self, ability: str, verb: str) -> Any:
        """The family, once it is known to have an ability of `core.abilities`.

        Raises:
            Unable: it has not; the message names the families that have.
        """
        needed: type = getattr(abilities, ability)
        if not isinstance(self.family, needed):
            others = ", ".join(able(needed)) or "none"
            raise Unable(f"a {self.facts['family']} cannot {verb}; families that can: {others}")
        return self.family

    def another(self, folder: str | Path) -> "Model":
        """The model in another folder."""
        return load(folder)

    def beside(self, name: str) -> "Model":
        """Another model of the server that serves this one, by the name that clients have for it.

        Raises:
            Invalid: there is no server.
        """
        raise Invalid(f"{name!r:.80} names no model here; a request cannot name a folder")

    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of its images."""
        config = self.family.config
        return config.height, config.width, config.channels

    @functools.cached_property
    def latent_shape(self) -> tuple[int, ...]:
        """Of the latent of one image, by a family that encodes."""
        blank = np.zeros((1, *self.shape()), np.uint8)
        latents: np.ndarray = self.encode(blank).latents
        return latents.shape[1:]

    @property
    def weights(self) -> str:
        """SHA-256 of its file of weights, by which it is known; empty if it lies nowhere."""
        files: Mapping[str, str] = self.facts.get("files", {})
        return files.get(artefact.weights(self.facts) or "", "")

    def controls(self, values: Mapping[str, Any]) -> Controls:
        """The family's controls with these values, which may be words of a command line.

        Raises:
            NotFound: an unknown control.
            Invalid: a wrong value.
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

    def random(self, seed: int, rows: slice) -> Rng:
        """What draws for these images of a call."""
        return self.rng.for_images(seed, range(rows.start, rows.stop), self.device)

    def images(
        self,
        call: Callable[[Ask], Tensor],
        labels: np.ndarray,
        inputs: Mapping[str, Any] = NOTHING,
        *,
        before: np.ndarray | None = None,
        columns: int = 0,
        texts: Sequence[str] = (),
        **given: Any,
    ) -> Images:
        """What a call that gives images in [-1, 1] makes; `before`, `columns` and `texts` as for `Images`.

        The other arguments are those of `batches`.
        """
        made = self.batches(call, labels, inputs, finish=self.visible, **given)
        return Images(
            images=to_array(made),
            labels=labels,
            conditions=self.conditions,
            before=before,
            columns=columns,
            texts=texts,
        )

    def visible(self, image_BCHW: Tensor) -> Tensor:
        """Images in [-1, 1] as uint8."""
        return to_uint8(image_BCHW, self.straight)

    def batches(
        self,
        call: Callable[[Ask], Tensor],
        labels: np.ndarray,
        inputs: Mapping[str, Any] = NOTHING,
        *,
        seed: int = 0,
        progress: Progress | None = None,
        finish: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """What a call gives for one batch after another, (N, ...).

        Args:
            call: given a batch of each input.
            labels: (N, A) class indices of N images; -1 is unknown.
            inputs: arrays or tensors (N, ...); images (N, H, W, C) uint8 arrive in [-1, 1], (B, C, H, W).
            seed: of noise.
            progress: called with (images done, N).
            finish: what is to be done with each batch of the result, row by row.
        """
        known, count, parts = torch.from_numpy(labels), len(labels), []
        tensors = {name: tensor_of(value) for name, value in inputs.items()}
        size = self.family.BATCH
        for start in range(0, count, size):
            rows = slice(start, start + size)
            made = self.batch(
                call,
                self.random(seed, rows),
                padded(known, rows),
                {name: padded(value, rows) for name, value in tensors.items()},
                _within(rows, count, progress),
            )
            parts.append((finish(made) if finish else made)[: count - start])
            if progress and size > 1:
                progress(min(rows.stop, count), count)
        return torch.cat(parts)

    def batch(
        self,
        call: Callable[[Ask], Tensor],
        random: Rng,
        labels: Tensor,
        inputs: Mapping[str, Tensor],
        progress: Progress | None = None,
    ) -> Tensor:
        """What a call gives for one batch; `labels` (B, A) and `inputs` (B, ...) as for `batches`."""
        cond = {"label": labels.to(self.device)} if self.conditions else {}
        given = {name: value.to(self.device) for name, value in inputs.items()}
        cond |= {name: given.pop(name) for name in DESCRIBED if name in given}
        inside = {
            name: from_uint8(value, straight=self.straight).contiguous(
                memory_format=torch.channels_last
            )
            if value.dtype == torch.uint8
            else value
            for name, value in given.items()
        }
        with torch.inference_mode(), machine.arithmetic(self.device, self.precision):
            return call(Ask(self, random, inside, cond, progress))


def tensor_of(value: Any) -> Tensor:
    """An array as a tensor; images (N, H, W, C) uint8 as (N, C, H, W)."""
    return to_tensor(value) if value.dtype == np.uint8 else torch.as_tensor(value)


def _within(rows: slice, count: int, progress: Progress | None) -> Progress | None:
    """Progress inside a batch, for families that take many steps: still told in images done."""
    if progress is None:
        return None
    if rows.stop - rows.start == 1:  # that takes long, and is told in steps
        return lambda done, total: progress(rows.start * total + done, count * total)
    size = min(rows.stop, count) - rows.start

    def tick(done: int, total: int) -> None:
        if done < total:
            progress(rows.start + size * done // total, count)

    return tick


def padded(values: Tensor, rows: slice) -> Tensor:
    """Rows of a tensor; for those that it has not, its last one."""
    index = torch.arange(rows.start, rows.stop).clamp(max=len(values) - 1)
    return values[index.to(values.device)]
