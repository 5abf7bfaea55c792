"""Families with a single ability, as small as can be: what holds for an ability must not need another.

Each is a convolution of one pixel, and a vector for each class. They are in the table of families only as
long as `in_table` says so.
"""

import contextlib
import sys
import types

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from zeuxis import families
from zeuxis.core import abilities
from zeuxis.core.abilities import Controls
from zeuxis.core.family import Family, FamilyConfig
from zeuxis.core.settings import Training
from zeuxis.nn.condition import Conditioner


class Tiny(Family):
    """Learns to make each image from itself, or from noise where it is given none."""

    Config = FamilyConfig
    TRAINING = Training(steps=2, batch_size=8, lr=1e-2)
    TINY = FamilyConfig(height=8, width=8, channels=3)

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.net = nn.Conv2d(config.channels, config.channels, 1)
        self.conditioner = Conditioner.of(config, config.channels)

    def paint(self, image, cond):
        """What all abilities here are: an image of an image."""
        out = self.net(image)
        if self.config.conditions:
            told = self.conditioner(self.condition(cond, len(image)))
            out = out + told.vector_BE[..., None, None]
        return out.clamp(-1, 1)

    def loss(self, phase, batch, ctx):
        return {"total": F.mse_loss(self.paint(batch["image"], batch), batch["image"])}

    def noise(self, rng):
        config = self.config
        return {"image": rng.normal("image", config.channels, config.height, config.width)}


class Generator(Tiny, abilities.Generates[Controls]):
    def generate(self, noise, cond, controls, progress=None):
        return self.paint(noise["image"], cond)


class Completer(Tiny, abilities.Completes[Controls]):
    def complete(self, image_BCHW, mask_B1HW, noise, cond, controls, progress=None):
        painted = self.paint(noise["image"], cond)
        return torch.where(mask_B1HW > 0, painted, image_BCHW)


class Varier(Tiny, abilities.Varies[Controls]):
    def vary(self, image_BCHW, noise, cond, controls, progress=None):
        return self.paint(image_BCHW + 0.1 * noise["image"], cond)


class Captioner(Tiny, abilities.Captions[Controls]):
    def caption(self, image_BCHW, noise, start_BS, cond, controls, progress=None):
        return start_BS

    def caption_nats(self, image_BCHW, text_BT):
        return image_BCHW.abs().mean((1, 2, 3))


class Writer(Tiny, abilities.Writes[Controls]):
    def write(self, noise, start_BS, cond, controls, progress=None):
        return start_BS

    def text_nats(self, text_BT, cond=abilities.EMPTY):
        return text_BT.float().sum(1)


class Reconstructor(Tiny, abilities.Reconstructs):
    def reconstruct(self, image_BCHW, cond=abilities.EMPTY):
        return self.paint(image_BCHW, cond)


class Denoiser(Tiny, abilities.Denoises):
    def denoise(self, image_BCHW, deviation_B, cond=abilities.EMPTY):
        return self.paint(image_BCHW / (1 + deviation_B[:, None, None, None]), cond)


class Encoder(Tiny, abilities.Encodes):
    def encode(self, image_BCHW, cond=abilities.EMPTY):
        return self.paint(image_BCHW, cond).mean((2, 3))


class Decoder(Tiny, abilities.Decodes):
    def decode(self, latent, cond=abilities.EMPTY):
        return self.paint(latent, cond)


class Coder(Tiny, abilities.Encodes, abilities.Decodes):
    def encode(self, image_BCHW, cond=abilities.EMPTY):
        return 2 * image_BCHW

    def decode(self, latent, cond=abilities.EMPTY):
        return self.paint(latent / 2, cond)


class Scorer(Tiny, abilities.Scores):
    kind = "bound"

    def bits_per_dim(self, batch, rng):
        return self.paint(batch["image"], batch).square().mean((1, 2, 3)).float()


class Uniform:
    """The stepper of equally likely levels."""

    def __init__(self, rows):
        self.rows = rows

    def log_p(self):
        return torch.full((self.rows, 256), -torch.tensor(256.0).log())

    def push(self, level_B):
        pass


class Stepper(Tiny, abilities.Sequential):
    def stepper(self, rows, cond=abilities.EMPTY):
        return Uniform(rows)

    def log_p(self, image_BCHW, place, cond=abilities.EMPTY):
        return Uniform(len(image_BCHW)).log_p()[:, None].expand(-1, image_BCHW.shape[1], -1)


ONE = (
    Generator,
    Completer,
    Varier,
    Captioner,
    Writer,
    Reconstructor,
    Denoiser,
    Encoder,
    Decoder,
    Coder,
    Scorer,
    Stepper,
)


@contextlib.contextmanager
def in_table(*classes):
    """Names of the classes, which meanwhile stand in the table of families, each by one line."""
    with pytest.MonkeyPatch.context() as patch:
        for cls in classes:
            name = cls.__name__.lower()
            module = types.ModuleType(f"zeuxis.families.{name}")
            setattr(module, cls.__name__, cls)
            patch.setitem(sys.modules, module.__name__, module)
            patch.setitem(families.FAMILIES, name, (cls.__name__, cls.__doc__ or ""))
        yield [cls.__name__.lower() for cls in classes]
