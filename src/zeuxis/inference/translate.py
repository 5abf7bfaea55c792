"""From pictures of any size to their translations; the arithmetic of parts is in `tiling`.

Shapes: N sources, H height, W width, C channels.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zeuxis.core.abilities import Batch, Controls
from zeuxis.core.errors import Unable
from zeuxis.core.pixels import to_array, to_pil, to_tensor
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng
from zeuxis.core.spool import Spool
from zeuxis.inference.results import SHOWN
from zeuxis.inference.tiling import blended, by_parts, reduced
from zeuxis.inference.translations import Translations, on_white

if TYPE_CHECKING:
    from zeuxis.inference.model import Ask, Model


def translations(
    model: "Model",
    sources: Sequence[np.ndarray],
    seed: int,
    labels: np.ndarray,
    samples: int,
    masks: Sequence[np.ndarray] | None,
    controls: Controls | None,
    progress: Progress | None,
) -> Translations:
    """What the verb `translate` gives.

    Args:
        model: of a family that translates.
        sources: (h, w, c) uint8 or (h, w) int64 each.
        seed: of the first sample.
        labels: (N, A).
        samples: of each source.
        masks: (h, w) bool of each source, true where it is to be filled.
        controls: the family's.
        progress: called with (images done, of how many).

    Raises:
        Unable: samples are asked for and are all the same, or the model fills no holes.
    """
    work, field = _Work(model, controls, seed), model.family.fields()["source"]
    if masks is not None and not model.family.fills:
        raise Unable(
            f"this {model.facts['family']} has not learned to fill holes; leave the mask out, or train "
            "enhance with family.holes=0.3"
        )
    shape, notes = field.stored_shape, getattr(sources, "notes", ())
    if not work.stride and samples == 1 and all(each.shape == shape for each in sources):
        return Translations(
            images=work.batches(np.stack(sources), labels, progress),
            labels=labels,
            conditions=model.conditions,
            before=field.visible(np.stack(sources[:SHOWN])),
            seed=seed,
            notes=notes,
        )
    means, spreads = [], []
    with Spool() as made:
        for row, source in enumerate(sources):
            drawn = []
            for sample in range(samples):
                mask = None if masks is None else masks[row]
                drawn.append(work.whole(source, labels[row : row + 1], row, sample, mask))
                made.add(drawn[-1])
                if progress:
                    progress(row * samples + sample + 1, len(sources) * samples)
            if samples > 1:
                mean, spread = _spread(drawn, model)
                means.append(mean)
                spreads.append(spread)
        images = made.arrays()
    shown = [field.visible(each[None])[0] for each in sources[:SHOWN]]
    return Translations(
        images=images,
        labels=labels.repeat(samples, 0),
        conditions=model.conditions,
        before=on_white(shown),
        samples=samples,
        seed=seed,
        means=means,
        spreads=spreads,
        notes=notes,
    )


@dataclasses.dataclass(frozen=True)
class _Work:
    """One call of the verb."""

    model: "Model"
    controls: Controls | None
    seed: int

    @property
    def family(self) -> Any:
        """The networks."""
        return self.model.family

    @property
    def stride(self) -> int:
        """0 if the networks take one size only."""
        found: int = self.family.stride
        return found

    def batches(
        self, sources: np.ndarray, labels: np.ndarray, progress: Progress | None
    ) -> np.ndarray:
        """Sources of the size that the model was trained on, many at a time."""

        def call(ask: "Ask") -> Tensor:
            given = ask.inputs["source"], ask.noise(), ask.cond
            made: Tensor = self.family.translate(*given, self.controls, ask.progress)
            return made

        inputs = {"source": sources}
        made = self.model.images(call, labels, inputs, seed=self.seed, progress=progress)
        return made.array

    def whole(
        self,
        source: np.ndarray,
        labels: np.ndarray,
        row: int,
        sample: int,
        mask_HW: np.ndarray | None = None,
    ) -> np.ndarray:
        """One picture of any size, (H, W, C) uint8; `row` is its number, labels (1, A)."""
        field, config = self.family.fields()["source"], self.family.config
        random = self.model.random(self.seed + sample, slice(row, row + 1))
        taken, alpha = source, None
        if field.kind == "image":
            taken, alpha = _as_taken(source, field.shape[0])
        common: Batch = {}

        def call(tiles: np.ndarray) -> np.ndarray:
            made = self._ask(self._translate(common), tiles, labels, random, mask_HW is not None)
            return to_array(self.model.visible(made))

        if not self.stride:
            made = blended(call, taken, field.shape[-2:], (config.height, config.width))
        elif self.family.WHOLE:
            made = call(taken[None])[0]
        else:
            common = self._survey(taken, labels, random)
            if mask_HW is not None:
                taken = np.dstack([taken, mask_HW.astype(np.uint8)])
            around = self.stride, self.family.margin, self.family.scale
            made = by_parts(lambda part: call(part[None])[0], taken, *around)
        return made if alpha is None or made.shape[2] == 4 else _with_alpha(made, alpha)

    def _translate(self, common: Batch) -> "Callable[[Ask], Tensor]":
        """Windows of one picture, with its noise and what they agree on."""

        def call(ask: "Ask") -> Tensor:
            source = ask.inputs["source"]
            noise = {
                key: each.expand(len(source), *each.shape[1:]) for key, each in ask.noise().items()
            }
            holes = {"mask": ask.inputs["mask"]} if "mask" in ask.inputs else {}
            cond = {**ask.cond, **common, **holes}
            made: Tensor = self.family.translate(source, noise, cond, self.controls, ask.progress)
            return made

        return call

    def _survey(self, source: np.ndarray, labels: np.ndarray, random: Rng) -> Batch:
        """What windows agree on, from a copy that the networks can see at once."""
        found: dict[str, Tensor] = {}

        def look(ask: "Ask") -> Tensor:
            found.update(self.family.survey(ask.inputs["source"]))
            return ask.inputs["source"]

        small = reduced(source)
        if small is not source:
            self._ask(look, small[None], labels, random)
        return found

    def _ask(
        self,
        call: "Callable[[Ask], Tensor]",
        tiles: np.ndarray,
        labels: np.ndarray,
        random: Rng,
        masked: bool = False,
    ) -> Tensor:
        """What a call gives for windows of one picture; if it is `masked`, the last channel is the mask."""
        known = torch.from_numpy(labels.repeat(len(tiles), 0))
        holes = (
            {"mask": torch.from_numpy(tiles[..., -1:]).permute(0, 3, 1, 2).float()}
            if masked
            else {}
        )
        stored = np.require(tiles[..., :-1] if masked else tiles, requirements=("C", "W"))
        source = to_tensor(stored) if stored.dtype == np.uint8 else torch.as_tensor(stored)
        return self.model.batch(call, random, known, {"source": source, **holes})


def _as_taken(source_HWC: np.ndarray, channels: int) -> tuple[np.ndarray, np.ndarray | None]:
    """A picture with as many channels as a model takes, and the alpha channel that it does not."""
    own = source_HWC.shape[2]
    alpha_HW = source_HWC[..., 3] if own == 4 and channels != 4 else None
    colours = source_HWC[..., :3] if alpha_HW is not None else source_HWC
    if channels == colours.shape[2]:
        return colours, alpha_HW
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    changed = np.asarray(to_pil(np.ascontiguousarray(colours)).convert(mode))
    return changed.reshape(*changed.shape[:2], channels), alpha_HW


def _with_alpha(image_HWC: np.ndarray, alpha_HW: np.ndarray) -> np.ndarray:
    """Colours with an alpha channel, which is brought to their size."""
    height, width, channels = image_HWC.shape
    alpha = Image.fromarray(alpha_HW)
    if alpha.size != (width, height):
        alpha = alpha.resize((width, height), Image.Resampling.BICUBIC)
    colours = image_HWC if channels == 3 else image_HWC.repeat(3, 2)
    return np.concatenate([colours, np.asarray(alpha)[..., None]], 2)


def _spread(drawn: Sequence[np.ndarray], model: "Model") -> tuple[np.ndarray, np.ndarray]:
    """Mean of samples, and twice their standard deviation at each pixel."""
    if all(np.array_equal(drawn[0], other) for other in drawn[1:]):
        raise Unable(
            f"the samples do not differ: a {model.facts['family']} makes one image of a source whatever the "
            "seed; leave --samples out"
        )
    total, squares = (np.zeros(drawn[0].shape, np.float32) for _ in "ab")
    for each in drawn:
        values = each.astype(np.float32)
        total += values
        squares += values**2
    mean = total / len(drawn)
    deviation = np.sqrt(np.maximum(squares / len(drawn) - mean**2, 0))
    return np.rint(mean).astype(np.uint8), np.rint(2 * deviation).clip(0, 255).astype(np.uint8)
