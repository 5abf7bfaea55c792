"""Images as a small grid of integers: each patch of pixels becomes the nearest of some that were learned.

Shapes: B images, C channels, H height, W width, p side of a patch, h, w the grid, P = h w patches, K codes,
D = C p p numbers of a patch, M patches of several images.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zeuxis.core.rng import Rng
from zeuxis.nn.precision import full
from zeuxis.nn.quantise import LLOYD, histogram

AT_ONCE = 4096
"""Patches whose distances to all codes are in memory at once."""


class PatchCodes(nn.Module):
    """The patches (K, D) that images are made of, and which are nearest to those of an image.

    Args:
        image: (C, H, W); where p divides no side, the last pixels are repeated.
        side: p.
        count: K.
    """

    codes_KD: Tensor
    share_K: Tensor

    def __init__(self, image: tuple[int, int, int], side: int, count: int) -> None:
        super().__init__()
        self.image, self.side, self.count = image, side, count
        channels, height, width = image
        self.grid = -(-height // side), -(-width // side)
        self.register_buffer("codes_KD", 2 * torch.rand(count, channels * side * side) - 1)
        self.register_buffer("share_K", torch.zeros(count))

    @property
    def cells(self) -> int:
        """P."""
        return self.grid[0] * self.grid[1]

    @torch.no_grad()
    def begin(self, images: Iterable[Tensor], rng: Rng) -> None:
        """Find the codes by k-means, unless they were found before.

        Patches that are equal weigh the root of their number: rare ones, such as of earrings, are kept
        better. The first codes are the commonest patches.
        """
        if self.share_K.any():
            return
        every_MD = torch.cat(
            [self._patches(full(image_BCHW)).flatten(0, 1) for image_BCHW in images]
        )
        patch_MD, times_M = torch.unique(every_MD, dim=0, return_counts=True)
        weight_M1 = times_M.to(patch_MD.dtype).sqrt()[:, None]
        first = times_M.argsort(descending=True, stable=True)[: self.count]
        self.codes_KD[: len(first)] = patch_MD[first]
        for _ in range(LLOYD):
            near_M = self._nearest(patch_MD)
            sum_KD = torch.zeros_like(self.codes_KD).index_add_(0, near_M, patch_MD * weight_M1)
            weight_K1 = torch.zeros_like(self.codes_KD[:, :1]).index_add_(0, near_M, weight_M1)
            self.codes_KD.copy_(
                torch.where(weight_K1 > 0, sum_KD / weight_K1.clamp(min=1), self.codes_KD)
            )
        self.share_K.copy_(histogram(self._nearest(every_MD), self.count))

    @torch.no_grad()
    def encode(self, image_BCHW: Tensor) -> Tensor:
        """(B, P) int64, in raster order."""
        patch_BPD = self._patches(full(image_BCHW))
        return self._nearest(patch_BPD.flatten(0, 1)).view(patch_BPD.shape[:2])

    def decode(self, token_BP: Tensor) -> Tensor:
        """Images (B, C, H, W)."""
        _, height, width = self.image
        whole = self.grid[0] * self.side, self.grid[1] * self.side
        patch_BDP = self.codes_KD[token_BP].mT
        return F.fold(patch_BDP, whole, self.side, stride=self.side)[..., :height, :width]

    def cells_of(self, mask_B1HW: Tensor) -> Tensor:
        """(B, P) bool: the cells in which any pixel of a mask is 1."""
        return self._patches(mask_B1HW).amax(2) > 0

    def _patches(self, image_BCHW: Tensor) -> Tensor:
        """(B, P, D)."""
        height, width = image_BCHW.shape[2:]
        beyond = (0, self.grid[1] * self.side - width, 0, self.grid[0] * self.side - height)
        padded = F.pad(image_BCHW, beyond, mode="replicate")
        return F.unfold(padded, self.side, stride=self.side).mT

    def _nearest(self, patch_MD: Tensor) -> Tensor:
        codes_KD = self.codes_KD.to(patch_MD.dtype)
        half_K = codes_KD.square().sum(1) / 2
        with torch.autocast(patch_MD.device.type, enabled=False):
            some = [(m @ codes_KD.t() - half_K).argmax(1) for m in patch_MD.split(AT_ONCE)]
        return torch.cat(some)
