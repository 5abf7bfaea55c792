"""What several test files need: families at tiny size, and batches as pure functions."""

import torch

from zeuxis import families
from zeuxis.core.abilities import EMPTY
from zeuxis.core.family import Condition, Context, Number
from zeuxis.core.pixels import from_uint8
from zeuxis.core.rng import Rng
from zeuxis.core.vocabulary import Vocabulary

ALL = sorted(families.FAMILIES)
CONDITIONS = (
    Condition(name="shape", classes=("disc", "square", "ring")),
    Condition(name="ink", classes=("dark", "light")),
)

ANGLE = Number(name="angle", mean=1.0, deviation=2.0)
WORDS = Vocabulary.learn(["a red cat", "a blue dog"])


def able(ability):
    return [name for name in ALL if issubclass(families.get(name), ability)]


def changed(config, **values):
    """The config with other values, validated."""
    given = {name: getattr(config, name) for name in type(config).model_fields}
    return type(config).model_validate({**given, **values})


def config_for(name, conditional=True, **values):
    """The tiny config, with classes, or "all": numbers and captions, too."""
    cls = families.get(name)
    values.setdefault("conditions", CONDITIONS if conditional and cls.CONDITIONAL else ())
    if conditional == "all" and cls.DESCRIBED:
        values = {"numbers": (ANGLE,), "text": WORDS, **values}
    return changed(cls.TINY, **values)


def build(name, seed=0, conditional=True, **values):
    return families.build(name, config_for(name, conditional, **values), seed)


def new_images(model, rng, cond=EMPTY, controls=None):
    """New images of a family."""
    return model.generate(model.noise(rng), cond, controls or model.Controls())


def pixels(config, n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (n, config.channels, config.height, config.width)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def labels(config, n, seed=0):
    generator = torch.Generator().manual_seed(seed + 1)
    columns = [
        torch.randint(-1, len(c.classes), (n, 1), generator=generator) for c in config.conditions
    ]
    return torch.cat(columns, dim=1)


def raw_batch(config, n=4, seed=0):
    """A loader's batch: uint8 images, a source and labels if the config has them."""
    batch = {"image": pixels(config, n, seed)}
    if hasattr(config, "source"):
        generator, shape = torch.Generator().manual_seed(seed + 2), (n, *config.source.shape)
        batch["source"] = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    if config.conditions:
        batch["label"] = labels(config, n, seed)
    generator = torch.Generator().manual_seed(seed + 3)
    if config.numbers:
        batch["number"] = torch.randn(n, len(config.numbers), generator=generator)
        batch["number"][0] = torch.nan
    if config.text:
        said = torch.randint(2, config.text.size, (n, config.text.length), generator=generator)
        batch["text"] = said.to(torch.int16)
    return batch


def batch_for(model, n=4, seed=0):
    """A family's batch: exactly the keys that it says it needs."""
    batch = raw_batch(model.config, n, seed)
    batch |= {key: from_uint8(batch[key]) for key in ("image", "source") if key in batch}
    batch |= {"text": batch["text"].long()} if "text" in batch else {}
    return {key: batch[key] for key in model.needs()}


def loader_for(config, batch_size=8):
    """Batches by (draw, rows) as fit reads them."""
    return lambda draw, rows: {
        key: value[rows] for key, value in raw_batch(config, batch_size, seed=draw).items()
    }


def context(n=4, step=0, update=0, progress=0.5, dtype=torch.float32):
    return Context(
        step=step,
        update=update,
        progress=progress,
        rng=Rng(range(100, 100 + n), stream=7, dtype=dtype),
    )


def wake(model, scale=0.05):
    """Perturb all weights, so that layers which start at zero pass something on."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn(p.shape, generator=generator) * scale)
    return model


def smooth(n, seed=0, side=16):
    """(N, side, side, 3) uint8 images of a few soft patches of colour."""
    generator = torch.Generator().manual_seed(seed)
    patches = torch.rand(n, 3, 5, 5, generator=generator)
    large = torch.nn.functional.interpolate(patches, (side, side), mode="bicubic")
    return (255 * large).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
