"""A family that only translates, in one file: a small convolutional network from any image to its partner.

It stands for all that will come: sources of another size and other channels than the images', pairs, labels.
Nothing outside of this file knows it but a line of the table (`tests.support.one_ability.in_table`).

The output is the source, stretched to the image's size, plus what the network adds; the loss is the mean
absolute error (as of pix2pix, Isola et al., 2017, https://arxiv.org/abs/1611.07004, equation 3).

Shapes: B batch, C channels, H height, W width of images; c, h, w of sources; F features.
"""

import pydantic
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.core.abilities import Batch, Controls, Translates
from zeuxis.core.family import Context, Family, FamilyConfig, Losses
from zeuxis.core.fields import Field
from zeuxis.core.progress import Progress
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training
from zeuxis.nn.condition import Conditioner


class ToyConfig(FamilyConfig):
    """Settings of a `Toy`."""

    source: Field
    """What is translated."""
    features: int = pydantic.Field(24, ge=1)
    """Channels inside."""


class Toy(Family, Translates[Controls]):
    """Source -> image."""

    Config = ToyConfig
    TRAINING = Training(steps=300, batch_size=32, lr=1e-2)
    TINY = ToyConfig(
        height=8,
        width=8,
        channels=3,
        source=Field(name="source", kind="image", shape=(1, 4, 4)),
        features=4,
    )
    config: ToyConfig

    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.config = config
        self.conditioner = Conditioner.of(config, config.features)
        self.first = nn.Conv2d(config.source.shape[0], config.features, 3, padding=1)
        self.body = nn.ModuleList(
            nn.Conv2d(config.features, config.features, 3, padding=1) for _ in range(3)
        )
        self.last = nn.Conv2d(config.features, config.channels, 3, padding=1)

    def paint(self, source_Bchw: Tensor, cond: Batch) -> Tensor:
        """(B, c, h, w) -> (B, C, H, W), not bounded."""
        size = self.config.height, self.config.width
        large_BcHW = F.interpolate(source_Bchw, size, mode="bilinear")
        x_BFHW = self.first(large_BcHW)
        if self.config.conditions:
            told = self.conditioner(self.condition(cond, len(source_Bchw)))
            x_BFHW = x_BFHW + told.vector_BE[..., None, None]
        for layer in self.body:
            x_BFHW = x_BFHW + layer(F.silu(x_BFHW))
        grey_B1HW = large_BcHW.mean(1, keepdim=True)
        same = self.config.source.shape[0] == self.config.channels
        return self.last(F.silu(x_BFHW)) + (large_BcHW if same else grey_B1HW)

    def loss(self, phase: str, batch: Batch, ctx: Context) -> Losses:
        """Mean absolute error."""
        painted_BCHW = self.paint(batch["source"], batch)
        return {"total": F.l1_loss(painted_BCHW, batch["image"])}

    def noise(self, rng: Rng) -> Batch:
        """Nothing is drawn: `none` (B, 1) only says how many there are."""
        return {"none": torch.zeros(len(rng), 1, device=rng.device, dtype=rng.dtype)}

    def translate(
        self,
        source: Tensor,
        noise: Batch,
        cond: Batch,
        controls: Controls,
        progress: Progress | None = None,
    ) -> Tensor:
        """One pass."""
        return self.paint(source, cond).clamp(-1, 1)
