"""Another's pipeline of the diffusers library, used where it lies: not trained, not copied.

`inference.adopt` makes a run of a folder that `save_pretrained` wrote: its path, the class of its pipeline
and the SHA-256 of every file that is read. Of the table `PIPELINES` a folder can be; no code of its own is
ever run, no pickle is read and no socket is opened.

A pipeline draws one image a call, so that an image depends on its seed and its text alone. Its latents are
drawn by `core.rng`; what schedulers and VAEs draw later comes from a torch generator that has its seed from
there.

Shapes: B batch, C channels, H height, W width, T ids of a text; latents are (1, c, h, w).
"""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import pydantic
import torch
from torch import Tensor, nn

from zeuxis.core import abilities
from zeuxis.core.abilities import Batch, Controls
from zeuxis.core.errors import Invalid, NotFound, Unable
from zeuxis.core.family import Context, Family, FamilyConfig, Losses, Phase
from zeuxis.core.files import sha256
from zeuxis.core.pipelines import PIPELINES, files_of, needed
from zeuxis.core.pixels import from_levels
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Hash, Training
from zeuxis.core.vocabulary import Verbatim

LEAST_SIDE = 8
"""Pixels that every side is a multiple of."""
MOST_SIDE = 4096
"""Pixels of a side that is asked for."""


class PretrainedConfig(FamilyConfig):
    """Where the pipeline lies, what it was when it was adopted, and what suits it."""

    folder: str
    """Absolute path of the pipeline's folder."""
    pipeline: Literal[tuple(PIPELINES)]  # type: ignore[valid-type]
    """Its class."""
    files: dict[str, Hash]
    """SHA-256 by path in the folder."""
    half: bool = False
    """Whether its weights are stored as float16 alone."""
    steps: int = pydantic.Field(ge=1)
    """Network passes of an image unless others are asked for."""
    guidance_scale: float = pydantic.Field(ge=0)
    """Guidance unless another is asked for."""
    text: Verbatim = Verbatim()
    """The pipeline has a vocabulary of its own."""


class PretrainedControls(Controls):
    """What can be turned when drawing."""

    steps: int | None = pydantic.Field(None, ge=1, le=1000)
    """Network passes of an image; by default what suits the pipeline."""
    guidance_scale: float | None = pydantic.Field(None, ge=0, le=100)
    """Classifier-free guidance: up to 1 is off; higher is nearer to the text and less diverse; by default
    what suits the pipeline."""
    negative: str = pydantic.Field("", max_length=4000)
    """Text to move away from when guided."""
    strength: float = pydantic.Field(0.6, gt=0, le=1)
    """How much of an image that is varied becomes noise: 1 is all of it."""
    height: int | None = pydantic.Field(None, ge=LEAST_SIDE, le=MOST_SIDE)
    """Pixels from top to bottom of new images; by default as the pipeline was trained."""
    width: int | None = pydantic.Field(None, ge=LEAST_SIDE, le=MOST_SIDE)
    """Pixels from left to right of new images; by default as the pipeline was trained."""


class Pretrained(
    Family,
    abilities.Generates[PretrainedControls],
    abilities.Varies[PretrainedControls],
    abilities.Completes[PretrainedControls],
):
    """A pipeline, and a hash of its files in place of weights."""

    Config = PretrainedConfig
    Controls = PretrainedControls
    TRAINING: ClassVar[Training] = Training()
    CONDITIONAL = False
    BATCH = 1
    config: PretrainedConfig
    fingerprint: Tensor

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.config = config
        known = sorted(config.files.items())
        digest = bytes.fromhex("".join(hash for _, hash in known))
        self.register_buffer("fingerprint", torch.tensor(list(digest), dtype=torch.uint8))
        self.networks = nn.ModuleDict()
        self._siblings: dict[str, Any] = {}

    def phases(self) -> tuple[Phase, ...]:
        """None: it is not trained."""
        return ()

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """None: it is not trained."""
        raise NotImplementedError("others have trained it")

    def ready(self) -> None:
        """Open the pipeline, once its files are known to be those that were adopted.

        Raises:
            NotFound: it is not there any more.
            Invalid: a file has changed.
            Unable: diffusers is not installed.
        """
        folder, known = Path(self.config.folder), self.config.files
        if not folder.is_dir():
            raise NotFound(
                f"{folder} is gone, and with it the weights of this run; bring it back, or adopt it from "
                "where it is now"
            )
        for name in sorted({*files_of(folder), *known}):
            if not (folder / name).is_file() or sha256(folder / name) != known.get(name):
                raise Invalid(
                    f"{folder / name} is not what was adopted; bring the old file back, or adopt the folder "
                    "again"
                )
        self.open()

    def open(self) -> None:
        """Load the networks of the pipeline.

        Raises:
            Invalid: they cannot be loaded.
            Unable: diffusers is not installed.
        """
        diffusers, config = needed(), self.config
        variant = {"variant": "fp16"} if config.half else {}
        try:
            self.pipe = getattr(diffusers, config.pipeline).from_pretrained(
                config.folder,
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
                **variant,
            )
        except (OSError, ValueError, TypeError, KeyError, RuntimeError, ImportError) as error:
            said = " ".join(str(error).split())[:300]
            raise Invalid(
                f"{config.folder} cannot be opened as a {config.pipeline}: {said}"
            ) from error
        self.pipe.set_progress_bar_config(disable=True)
        parts = self.pipe.components.items()
        self.networks.update({n: part for n, part in parts if isinstance(part, nn.Module)})

    def noise(self, rng: Rng) -> Batch:
        """`seed` (B, 2), of latents of any size."""
        return {"seed": rng.integers("seed", 2**31, 2)}

    def generate(
        self,
        noise: Batch,
        cond: Batch,
        controls: PretrainedControls,
        progress: Progress | None = None,
    ) -> Tensor:
        """Images to the texts, of the size that is asked for."""
        size = controls.height or self.config.height, controls.width or self.config.width
        self.check_size(*size)

        def given(row: int, seed: int) -> dict[str, Any]:
            latents = self._packed(self._latents(seed, *size))
            return {"height": size[0], "width": size[1], "latents": latents}

        return self._each(self.pipe, noise, cond, controls, progress, given)

    def vary(
        self,
        image_BCHW: Tensor,
        noise: Batch,
        cond: Batch,
        controls: PretrainedControls,
        progress: Progress | None = None,
    ) -> Tensor:
        """Image to image: `strength` of the steps, from the noisy latent of each image on."""
        usual = controls.steps or self.config.steps
        steps = max(usual, math.ceil(1 / controls.strength))  # at least one is left of them
        turned = controls.model_copy(update={"steps": steps})

        def given(row: int, seed: int) -> dict[str, Any]:
            size = {"height": self.config.height, "width": self.config.width}
            return {"image": _shown(image_BCHW[row]), "strength": controls.strength, **size}

        return self._each(self._sibling("Image2Image"), noise, cond, turned, progress, given)

    def complete(
        self,
        image_BCHW: Tensor,
        mask_B1HW: Tensor,
        noise: Batch,
        cond: Batch,
        controls: PretrainedControls,
        progress: Progress | None = None,
    ) -> Tensor:
        """Inpainting; what is known is put back, since VAEs change it."""
        open_B1HW = mask_B1HW > 0
        known_BCHW = image_BCHW.masked_fill(open_B1HW, 0)
        size = self.config.height, self.config.width

        def given(row: int, seed: int) -> dict[str, Any]:
            mask_11HW = open_B1HW[row][None].float()
            shown = {"image": _shown(known_BCHW[row]), "mask_image": mask_11HW, "strength": 1.0}
            latents = self._latents(seed, *size)
            return {**shown, "height": size[0], "width": size[1], "latents": latents}

        pipe = self._sibling("Inpainting")
        drawn_BCHW = self._each(pipe, noise, cond, controls, progress, given)
        return torch.where(open_B1HW, drawn_BCHW, image_BCHW)

    def cut(self, text: str) -> str:
        """What of a text the pipeline does not take: its text encoders read so many tokens."""
        limit, tokenizer = max(self._tokenizers(), key=lambda each: each[0])
        ids = tokenizer(text, truncation=False, verbose=False).input_ids
        rest = ids[limit - 1 : -1] if len(ids) > limit else []
        return str(tokenizer.decode(rest, skip_special_tokens=True)).strip()

    def _tokenizers(self) -> Iterator[tuple[int, Any]]:
        """Those of the pipeline, with the tokens that each takes, marks included."""
        longest = inspect.signature(self.pipe.__call__).parameters.get("max_sequence_length")
        most = longest.default if longest else 1 << 30
        for name, part in self.pipe.components.items():
            if name.startswith("tokenizer") and part is not None:
                yield min(part.model_max_length, most), part

    def _each(
        self,
        pipe: Any,
        noise: Batch,
        cond: Batch,
        controls: PretrainedControls,
        progress: Progress | None,
        given: Callable[[int, int], Mapping[str, Any]],
    ) -> Tensor:
        """Images in [-1, 1], a call each, with what is given by row and seed."""
        rows, config = noise["seed"].shape[0], self.config
        takes = inspect.signature(pipe.__call__).parameters
        ids_BT = self.condition(cond, rows)["text"]
        if controls.negative and ("negative_prompt" not in takes or "true_cfg_scale" in takes):
            raise Unable(f"a {config.pipeline} takes no negative text")
        scale = controls.guidance_scale
        made = []
        for row in range(rows):
            seed = _whole(noise["seed"][row])

            def tick(pipe: Any, step: int, time: Any, kept: Any, row: int = row) -> Any:
                if progress:
                    total = pipe.num_timesteps
                    progress(row * total + step + 1, rows * total)
                return kept

            asked = {
                "prompt": config.text.decode(ids_BT[row].tolist()),
                "negative_prompt": controls.negative or None,
                "num_inference_steps": controls.steps or config.steps,
                "guidance_scale": config.guidance_scale if scale is None else scale,
                "generator": torch.Generator().manual_seed(seed),
                "output_type": "pt",
                "callback_on_step_end": tick,
                **given(row, seed),
            }
            try:
                found = pipe(**{name: asked[name] for name in asked if name in takes}).images
            except ValueError as error:
                if isinstance(error, Invalid):
                    raise
                raise Invalid(f"the {config.pipeline} says: {error}") from error
            made.append(from_levels(found, 2))
        return torch.cat(made)

    def _latents(self, seed: int, height: int, width: int) -> Tensor:
        """Standard normal, (1, c, h, w), of an image of that size."""
        channels, factor = self.pipe.vae.config.latent_channels, self.pipe.vae_scale_factor
        rng = Rng((seed,), "pretrained", self.fingerprint.device)
        return rng.normal("latents", channels, height // factor, width // factor)

    def _packed(self, latents: Tensor) -> Tensor:
        """Latents as the pipeline takes those of new images: some want tokens of 2 x 2 cells."""
        pack = getattr(self.pipe, "_pack_latents", None)
        return pack(latents, *latents.shape) if pack else latents

    def check_size(self, height: int, width: int) -> None:
        """Refuse sizes that have no latents.

        Raises:
            Invalid: they have none.
        """
        cells = PIPELINES[self.config.pipeline].cells
        factor = math.lcm(LEAST_SIDE, self.pipe.vae_scale_factor * cells)
        if height % factor or width % factor:
            raise Invalid(
                f"images of {height} x {width} are asked for; this pipeline draws multiples of {factor}"
            )

    def _sibling(self, task: str) -> Any:
        """The pipeline for another task, of the same weights.

        Raises:
            Unable: there is none.
        """
        if task not in self._siblings:
            try:
                pipe = getattr(needed(), f"AutoPipelineFor{task}").from_pipe(self.pipe)
            except ValueError as error:
                what = "fill holes" if task == "Inpainting" else "start from images"
                raise Unable(f"a {self.config.pipeline} cannot {what}") from error
            pipe.set_progress_bar_config(disable=True)
            self._siblings[task] = pipe
        return self._siblings[task]


def _whole(seed_2: Tensor) -> int:
    """One seed of 62 bits."""
    high, low = seed_2.tolist()
    return int(high) << 31 | int(low)


def _shown(image_CHW: Tensor) -> Tensor:
    """An image (1, C, H, W) in [0, 1], as pipelines take it."""
    return ((image_CHW + 1) / 2).clamp(0, 1)[None]
