"""Changes of resolution that two families or more use."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def pixel_shuffle(x_BCHW: Tensor, patch: int) -> Tensor:
    """Channels to space (Shi et al., 2016, https://arxiv.org/abs/1609.05158, equation 4).

    (B, C * patch^2, H, W) -> (B, C, H * patch, W * patch), equal to `torch`'s. In channels_last
    memory it is one copy here, several times faster than `F.pixel_shuffle` in bfloat16.
    """
    if patch == 1:
        return x_BCHW
    if not _channels_last(x_BCHW):
        return F.pixel_shuffle(x_BCHW, patch)
    b, c, h, w = x_BCHW.shape
    x = x_BCHW.permute(0, 2, 3, 1).view(b, h, w, c // patch**2, patch, patch)
    x = x.permute(0, 1, 4, 2, 5, 3).reshape(b, h * patch, w * patch, -1)
    return x.permute(0, 3, 1, 2)


class PixelShuffle(nn.Module):
    """`pixel_shuffle` as a layer."""

    def __init__(self, patch: int) -> None:
        super().__init__()
        self.patch = patch

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C * patch^2, H, W) -> (B, C, H * patch, W * patch)."""
        return pixel_shuffle(x_BCHW, self.patch)


class Rise(nn.Conv2d):
    """1x1 convolution and `pixel_shuffle`: (B, `coarse`, H, W) -> (B, `fine`, 2H, 2W)."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__(coarse, 4 * fine, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Twice the sides.

        In channels_last memory the convolution puts out the four places one after another, all channels
        of each: what then moves are whole runs, not single numbers.
        """
        if not _channels_last(x_BCHW):
            return F.pixel_shuffle(super().forward(x_BCHW), 2)
        assert self.bias is not None
        weight = self.weight.unflatten(0, (-1, 4)).transpose(0, 1).flatten(0, 1)
        y_BPHW = F.conv2d(x_BCHW, weight, self.bias.unflatten(0, (-1, 4)).t().flatten())
        b, _, h, w = y_BPHW.shape
        places = y_BPHW.permute(0, 2, 3, 1).reshape(b, h, w, 2, 2, -1).transpose(2, 3)
        return places.reshape(b, 2 * h, 2 * w, -1).permute(0, 3, 1, 2)


def _channels_last(x_BCHW: Tensor) -> bool:
    """Whether that is how x lies in memory, and the only way to see it."""
    last = x_BCHW.is_contiguous(memory_format=torch.channels_last)
    return last and not x_BCHW.is_contiguous()
