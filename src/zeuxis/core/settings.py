"""A run as a value: data, family and training, and typed `path=value` overrides."""

import difflib
import json
import reprlib
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pydantic

from zeuxis.core.errors import Invalid, NotFound
from zeuxis.core.space import Around, When


class Settings(
    pydantic.BaseModel, frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
):
    """Frozen settings whose field docstrings are the help texts."""


Hash = Annotated[str, pydantic.Field(pattern="^[0-9a-f]{64}$")]
Natural = Annotated[int, pydantic.Field(ge=0)]
Share = Annotated[float, pydantic.Field(ge=0, lt=1)]


class Training(Settings):
    """How to train, whatever the family."""

    steps: int = pydantic.Field(1000, ge=1)
    """Optimiser steps. `--minutes` fills this in."""
    batch_size: Annotated[int, Around(2)] = pydantic.Field(64, ge=1)
    """Images per step, over all processes and micro-batches."""
    accumulate: int = pydantic.Field(1, ge=1)
    """Micro-batches per step (gradient accumulation): less memory, the same result."""
    seed: int = 0
    """Random seed: the same seed, machine and thread count give the same weights."""
    optimiser: Literal["adamw", "muon"] = "adamw"
    """`muon` orthogonalises updates of convolution weights: fewer steps than AdamW (`training.muon`)."""
    lr: Annotated[float, Around(5)] = pydantic.Field(1e-3, gt=0)
    """Peak learning rate."""
    warmup: int = pydantic.Field(100, ge=0)
    """Steps over which the learning rate rises linearly (at most a tenth of the run)."""
    final_lr: Annotated[float, When("decay", "linear", "cosine")] = pydantic.Field(0.02, ge=0, le=1)
    """Learning rate at the end, as a share of the peak."""
    decay: Literal["linear", "cosine", "constant"] = "linear"
    """Shape of the learning-rate decay after the warm-up."""
    betas: tuple[Share, Share] = (0.9, 0.99)
    """Decay of AdamW's running means of the gradient and of its square."""
    weight_decay: float = pydantic.Field(0.0, ge=0)
    """Share of each weight that a step takes away, times the learning rate (as in AdamW); 0 is off."""
    clip: float = pydantic.Field(0.0, ge=0)
    """Largest norm of a phase's gradient; 0 does not clip."""
    average: float = pydantic.Field(0.05, ge=0, le=1)
    """Length of the EMA of the weights, as a share of the images seen so far; 0 keeps the last weights."""
    average_max: Annotated[float, When("average")] = pydantic.Field(0.999, ge=0, lt=1)
    """Upper limit of the EMA's decay per step."""
    precision: Literal["auto", "float32", "bfloat16", "float64"] = "auto"
    """Number format of the networks; `auto` goes by the processor, and with `--minutes` by what is faster."""
    log_every: int = pydantic.Field(20, ge=1)
    """Steps between lines of `log.jsonl`."""
    save_every: int = pydantic.Field(500, ge=1)
    """Steps between checkpoints; by default about a minute's worth."""
    probe_every: int = pydantic.Field(500, ge=1)
    """Steps between scores of 256 samples; by default at least 500, or with `--minutes` 5 % of the time."""
    sheet_every: int = pydantic.Field(500, ge=1)
    """Steps between sheets of samples, which cost less than a score."""
    doctor: Literal["off", "say", "heal"] = "heal"
    """Whether trouble is looked for, said, and put right: steps left out, the run taken back."""


class Data(Settings):
    """How images are prepared and augmented."""

    size: tuple[int, int] | None = None
    """Height and width, as 64 or 48x64; by default the images' own if they all share it, else 64 x 64."""
    channels: Literal[1, 3, 4] | None = None
    """1 for grey, 3 for colour, 4 for colour with alpha; by default what the images have."""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """What to do with images of another shape."""
    tiles: int | None = pydantic.Field(None, ge=8, le=4096)
    """Cut each image into squares of so many pixels, side by side: a set of one large photo."""
    holdout: float | None = pydantic.Field(None, ge=0)
    """Images that are never trained on, to measure with: a number, or below 1 a share; 0 is none; by default
    5 %, raised to 64 but never above 15 %, at most 5,000, and none of fewer than 220."""
    withhold: str = ""
    """Combinations that are never trained on, by words of columns: hair=red,glasses=*;skin=bronze|brown,hat=*
    (* is any word but `none`): a third side, to see whether a model combines what it learned apart."""
    consent: str | None = None
    """Register of consent (docs/responsible-use.md): files whose consent was revoked are left out."""
    pairs: str | None = None
    """Folders of source and target images, such as A:B, or left:right for images that hold both halves;
    by default looked for if the family translates."""
    paired: bool | None = None
    """Whether files of equal names in the two folders are pairs; by default if half of them are."""
    pair: str | None = None
    """Make each source image from its target: grey, downscale:4, edges, mask, jpeg:10 or blur."""
    source_kind: Literal["image", "map"] | None = None
    """How source files are read, as images or as maps of class ids; by default by the files."""
    conditions: tuple[str, ...] | None = None
    """Label columns that the model is conditioned on, and `text` for captions; by default every column of
    classes, or captions where there is none; or `none`."""
    text: Annotated[Literal["own", "minilm"], When("text")] = "own"
    """What reads captions: a small transformer that learns from them, or frozen sentence vectors
    (docs/text.md)."""
    numbers: tuple[str, ...] = ()
    """Columns that the model is conditioned on as numbers, not as classes."""
    flip: bool = False
    """Mirror half of the images left to right."""
    flip_vertical: bool = False
    """Mirror half of the images top to bottom."""
    crop: float = pydantic.Field(0.0, ge=0, lt=1)
    """Largest share of each side that a random crop removes."""
    rotate: float = pydantic.Field(0.0, ge=0, le=180)
    """Largest random rotation in degrees, in either direction."""
    colour: float = pydantic.Field(0.0, ge=0, le=1)
    """Strength of random brightness, contrast and saturation."""

    @pydantic.field_validator("holdout")
    @classmethod
    def _share_or_number(cls, holdout: float | None) -> float | None:
        if holdout is not None and holdout > 1 and holdout % 1:
            raise Invalid("expected a whole number of images, or a share below 1")
        return holdout

    @pydantic.field_validator("pairs")
    @classmethod
    def _two_names(cls, pairs: str | None) -> str | None:
        names = (pairs or "A:B").split(":")
        if len(names) != 2 or not all(names) or len({*names}) < 2 or any("/" in n for n in names):
            raise Invalid("expected two folders, source:target, such as A:B; or left:right")
        return pairs

    @pydantic.model_validator(mode="after")
    def _one_origin(self) -> "Data":
        if self.pair is not None and self.pairs is not None:
            raise Invalid("found both data.pair and data.pairs; give one of them")
        return self


ALIASES = {
    "steps": "epochs iterations iters max_steps num_steps total_steps n_steps",
    "size": "resolution image_size img_size imsize res height width",
    "batch_size": "batch bs minibatch batchsize",
    "lr": "learning_rate rate",
    "optimiser": "optimizer",
    "average": "ema",
    "precision": "dtype amp fp16 bf16 mixed_precision",
    "colour": "color",
    "out": "output outdir out_dir output_dir save_dir outfile",
    "device": "gpu gpus cuda",
    "threads": "workers num_workers jobs",
    "count": "number num n samples num_samples num_images",
    "label": "class classes labels",
    "guidance_scale": "cfg guidance",
    "truncation": "psi truncation_psi",
    "flow": "diffusion ddpm ddim edm dit flow_matching rectified_flow",
    "gan": "biggan r3gan sagan",
    "gan --preset dcgan": "dcgan",
    "gan family.loss=wasserstein family.penalty=one_centred": "wgan wgan_gp",
    "stylegan": "stylegan2 stylegan3",
    "vae": "cvae beta_vae",
    "hvae": "nvae vdvae",
    "autoencoder": "ae",
    "tokenizer": "vqvae vq_vae vqgan fsq",
    "pixelcnn": "autoregressive pixelsnail",
}
"""What other programs call our settings, options and families."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """What `name` most likely stands for: what others call by it, or the known name spelled most like it.

    >>> nearest("epochs", ["steps", "seed"]), nearest("widht", ["width"]), nearest("x", ["steps"])
    ('steps', 'width', None)
    """
    known = list(known)
    word = name.lower().replace("-", "_")
    for ours, theirs in ALIASES.items():
        if word in theirs.split() and ours.split()[0] in known:
            return ours
    return next(iter(difflib.get_close_matches(name, known, n=1)), None)


def suggest(name: str, known: Iterable[str]) -> str:
    """The end of an error sentence: the nearest known name, or all of them.

    >>> suggest("widht", ["width", "height"])
    "did you mean 'width'?"
    """
    known = sorted(known)
    near = nearest(name, known)
    return f"did you mean {near!r}?" if near else f"there are {', '.join(known) or 'none'}"


def similar(path: str | Path, names: Iterable[str] = ()) -> str:
    """` (did you mean PATH?)` if a path or one of `names` is spelled much like it; else nothing."""
    if near := difflib.get_close_matches(str(path), names, n=1):
        return f" (did you mean {near[0]}?)"
    missing = Path(path)
    while not missing.parent.is_dir() and missing != missing.parent:
        missing = missing.parent
    try:
        beside = [found.name for found in missing.parent.iterdir()]
    except OSError:
        return ""
    near = [
        name for name in difflib.get_close_matches(missing.name, beside) if name != missing.name
    ]
    return f" (did you mean {missing.parent / near[0]}?)" if near else ""


S = TypeVar("S", bound=pydantic.BaseModel)


def override(settings: S, words: dict[str, str], where: str = "") -> S:
    """A copy of `settings` with each `name: text` parsed by its field's type and validated.

    >>> override(Training(), {"lr": "3e-4", "betas": "0,0.9"}).betas
    (0.0, 0.9)
    >>> override(Data(), {"size": "64"}).size
    (64, 64)

    Raises:
        ValueError: an unknown name (with the nearest known one) or a value of the wrong type.
    """
    fields = type(settings).model_fields
    values = {name: getattr(settings, name) for name in fields}
    for name, text in words.items():
        if name not in fields:
            raise NotFound(f"there is no setting {where}{name}; {suggest(name, fields)}")
        values[name] = _parse(fields[name].annotation, text, where + name)
    try:
        return type(settings).model_validate(values)
    except pydantic.ValidationError as error:
        raise Invalid(explain(error, where)) from error


def read_value(settings: type[pydantic.BaseModel], name: str, text: str, where: str = "") -> Any:
    """The value that a word means for one setting, validated by itself.

    >>> read_value(Training, "betas", "0,0.9")
    (0.0, 0.9)

    Raises:
        ValueError: an unknown name (with the nearest known one), or a value that it cannot have.
    """
    fields = settings.model_fields
    if name not in fields:
        raise NotFound(f"there is no setting {where}{name}; {suggest(name, fields)}")
    value = _parse(fields[name].annotation, text, where + name)
    field: Any = (fields[name].annotation, fields[name])
    try:
        return getattr(pydantic.create_model("One", **{name: field})(**{name: value}), name)
    except pydantic.ValidationError as error:
        raise Invalid(explain(error, where)) from error


SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = SHORT.maxlong = 200


def explain(error: pydantic.ValidationError, where: str = "") -> str:
    """A validation error as one plain sentence."""
    parts = []
    for item in error.errors()[:3]:
        name = where + ".".join(str(part)[:80] for part in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        parts.append(
            f"{name}: {message} (got {SHORT.repr(item['input'])})" if item["loc"] else message
        )
    return "; ".join(parts)


def checked(schema: type[S], value: object, where: object) -> S:
    """What was read as JSON from the file `where`, as the schema has it.

    Raises:
        ValueError: it is something else; one sentence.
    """
    try:
        return schema.model_validate_json(json.dumps(value))
    except pydantic.ValidationError as error:
        raise Invalid(f"{where}: {explain(error)}") from error


def _parse(annotation: Any, text: str, name: str) -> Any:
    """Turn a word of the command line into a value of the annotated type."""
    options = typing.get_args(annotation)
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        if text.lower() == "auto" and type(None) in options:
            return None
        return _parse(next(o for o in options if o is not type(None)), text, name)
    if typing.get_origin(annotation) is tuple:
        return _parse_several(options, text, name)
    if typing.get_origin(annotation) is Literal:
        return next((option for option in options if str(option) == text), text)
    if annotation is bool:
        if text.lower() not in ("true", "false"):
            raise Invalid(f"{name} is true or false, not {text!r}")
        return text.lower() == "true"
    if typing.get_origin(annotation) is Annotated:
        annotation = options[0]
    if annotation in (int, float):
        try:
            return annotation(text)
        except ValueError as error:
            kind = "a whole number" if annotation is int else "a number"
            raise Invalid(f"{name} is {kind}, not {text!r}") from error
    return text


def _parse_several(options: tuple[Any, ...], text: str, name: str) -> tuple[Any, ...]:
    """Values between commas, or 48x64; one whole number where two are wanted stands for both."""
    if options[0] is str:
        return tuple(w.strip() for w in text.split(",") if w.strip() not in ("", "none"))
    if text == "none" and options[-1] is Ellipsis:
        return ()
    words = [word for word in text.replace("x", ",").split(",") if word.strip()]
    if options == (int, int) and len(words) == 1:
        words *= 2
    if options[-1] is not Ellipsis and len(words) != len(options):
        raise Invalid(f"{name} is {len(options)} numbers, such as 48x64 or 0.5,0.9, not {text!r}")
    return tuple(_parse(options[0], word, name) for word in words)
