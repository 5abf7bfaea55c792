"""Between images and the latents of a trained part, brought to mean 0 and variance 1.

Shapes: B batch, C channels, H height, W width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from zeuxis.core import abilities
from zeuxis.core.errors import Invalid, Unable
from zeuxis.core.family import Family


def encoded(part: Family | None, image_BCHW: Tensor) -> Tensor:
    """Latents of images.

    Raises:
        Unable: the part does not encode.
    """
    if not isinstance(part, abilities.Encodes):
        raise Unable(
            "this flow models latents, and its part 'decoder' cannot encode an image into them; "
            "give it one that encodes as well, such as a vae"
        )
    return part.encode(image_BCHW)


def decoded(part: Family | None, latent_BCHW: Tensor) -> Tensor:
    """Images of latents.

    Raises:
        Invalid: there is no part that decodes.
    """
    if not isinstance(part, abilities.Decodes):
        raise Invalid(
            "this flow models latents and was built without a part 'decoder' that turns them into "
            "images; name the trained model whose latents it learned"
        )
    return part.decode(latent_BCHW)


def moments(
    like_BCHW: Tensor, mean: Sequence[float], deviation: Sequence[float]
) -> tuple[Tensor, ...]:
    """Mean and standard deviation of each channel, (C, 1, 1); 0 and 1 where none are given."""
    count = like_BCHW.shape[1]
    both: Tensor = like_BCHW.new_tensor((mean or [0.0] * count, deviation or [1.0] * count))
    return torch.unbind(both[..., None, None])
