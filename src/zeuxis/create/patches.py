"""Textures from the patches of one picture: no network, no training.

Granot et al., 2022, "Drop the GAN: in defense of patches nearest neighbors as single image generative models"
(https://arxiv.org/abs/2103.15545). From coarse to fine, each patch of a guess is replaced by its nearest
neighbour among the source's patches, overlapping ones are averaged, and the result is enlarged to be the
next guess. At coarse sizes the search is exact and prefers source patches that are not used yet. At fine
ones it is PatchMatch (Barnes et al., 2009) on the patches' principal components, from the coarser field on.

On an axis that is to tile, the guess is a circle: in patches, in averages, in enlargement. The source is not.

Shapes: C channels, H height, W width of a guess, h, w of the grid of source patches, N, M patches, D numbers
of a patch.
"""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from zeuxis.core.progress import Progress

PATCH = 7
"""Pixels a side of a patch."""
HALF = PATCH // 2
COARSEST = 28
"""Pixels of the source's shorter side at the coarsest size."""
RATIO = 0.75
"""Of one size to the next finer one."""
NOISE = 0.75
"""Standard deviation of what is added to the source to begin with; its range is 0 to 1."""
UNUSED = 0.005
"""Added to the squared distance of a source patch to its nearest query: less prefers unused ones more."""
ROUNDS = (2, 3, 5)
"""Of replacing patches at the finest size, at the next one and at all others."""
EXACT = 6_000
"""Patches of a source up to which the search is exact."""
SWEEPS = 2
"""Of PatchMatch in a round."""
COMPONENTS = 32
"""Of a patch, in PatchMatch."""
CHUNK = 2_048
"""Patches that are compared with all others at once."""


def synthesise(
    source_CHW: Tensor,
    shape: tuple[int, int],
    wraps: tuple[bool, bool] = (False, False),
    seed: int = 0,
    progress: Progress | None = None,
) -> Tensor:
    """A new picture (C, *shape) out of the patches of a source, float32 in [0, 1].

    The same arguments give the same picture. It shows the source's detail at its scale, whatever its shape.

    Args:
        source_CHW: float32 in [0, 1], premultiplied if it has an alpha channel; 7 pixels a side or more.
        shape: height and width of the result, 7 or more.
        wraps: whether it tiles from top to bottom, and from left to right.
        seed: of the noise.
        progress: told (done, total) in thousands of patches.
    """
    generator = torch.Generator().manual_seed(seed)
    scales = pyramid(min(*source_CHW.shape[1:], *shape))
    work = [round(a * b * s * s / 1000) + 1 for s in scales for a, b in [shape]]
    rounds = [ROUNDS[min(left, 2)] for left in reversed(range(len(scales)))]
    done, total = 0, sum(a * b for a, b in zip(work, rounds, strict=True))
    guess, field = None, None
    for level, scale in enumerate(scales):
        source = _scaled(source_CHW, scale)
        size = tuple(max(PATCH, round(side * scale)) for side in shape)
        if guess is None:
            start = resized(source, size)
            guess = start + NOISE * torch.randn(start.shape, generator=generator)
            blurred = source
        else:
            guess = resized(guess, size, wraps)
            blurred = resized(_scaled(source_CHW, scales[level - 1]), tuple(source.shape[1:]))
        for turn in range(rounds[level]):
            field = nearest(guess, blurred if turn == 0 else source, field, wraps, generator)
            guess = folded(source, field, wraps)
            done += work[level]
            if progress is not None:
                progress(done, total)
    assert guess is not None
    return guess.clamp(0, 1)


def pyramid(side: int) -> list[float]:
    """Scales from the coarsest to 1.

    >>> pyramid(20), [round(scale, 2) for scale in pyramid(56)]
    ([1.0], [0.56, 0.75, 1.0])
    """
    scales = [1.0]
    while side * scales[-1] * RATIO >= COARSEST:
        scales.append(scales[-1] * RATIO)
    return scales[::-1]


def resized(
    x_CHW: Tensor, size: Sequence[int], wraps: tuple[bool, bool] = (False, False)
) -> Tensor:
    """Cubic interpolation, smoothed where it shrinks; on a circle along the axes that wrap."""
    for axis in (1, 2):
        old, new, times = x_CHW.shape[axis], size[axis - 1], 3 if wraps[axis - 1] else 1
        if old == new:
            continue
        row = torch.cat([x_CHW] * times, axis)
        shape = [*row.shape[1:]]
        shape[axis - 1] = new * times
        row = F.interpolate(row[None], shape, mode="bicubic", antialias=True)[0]
        x_CHW = row.narrow(axis, new * (times // 2), new)
    return x_CHW


def _scaled(source_CHW: Tensor, scale: float) -> Tensor:
    return resized(source_CHW, [max(PATCH, round(side * scale)) for side in source_CHW.shape[1:]])


def nearest(
    guess_CHW: Tensor,
    keys_CHW: Tensor,
    before: Tensor | None,
    wraps: tuple[bool, bool],
    generator: torch.Generator,
) -> Tensor:
    """The field (2, H, W): row and column of the source patch that is nearest to the patch around each pixel.

    Args:
        guess_CHW: the picture.
        keys_CHW: the source.
        before: a field of this size or of the next coarser one, to start the search from.
        wraps: axes of the picture that are a circle.
        generator: of the search.
    """
    h, w = (side - PATCH + 1 for side in keys_CHW.shape[1:])
    size = guess_CHW.shape[1:]
    seen = _padded(guess_CHW, wraps)
    if before is None or (h * w <= EXACT and size.numel() <= 2 * EXACT):
        keys_ND, guess_ND = (F.unfold(x[None], PATCH)[0].T.contiguous() for x in (keys_CHW, seen))
        return torch.stack(_unravel(exact(guess_ND, keys_ND), w)).view(2, *size)
    basis = principal(keys_CHW)
    guess_HWD, keys_hwD = (
        F.conv2d(x[None], basis)[0].permute(1, 2, 0).contiguous() for x in (seen, keys_CHW)
    )
    return patch_match(guess_HWD, keys_hwD, carried(before, (h, w), size), generator)


def exact(guess_ND: Tensor, keys_MD: Tensor) -> Tensor:
    """For each query the index of the key that minimises |q - k|^2 / (UNUSED + min over q of |q - k|^2)."""
    square_M = keys_MD.square().sum(1)
    least_M = torch.full_like(square_M, torch.inf)
    for chunk in guess_ND.split(CHUNK):
        least_M = torch.minimum(least_M, _distances(chunk, keys_MD, square_M).amin(0))
    weight_M = 1 / (UNUSED + least_M)
    chosen = [
        _distances(chunk, keys_MD, square_M).mul_(weight_M).argmin(1)
        for chunk in guess_ND.split(CHUNK)
    ]
    return torch.cat(chosen)


def _distances(guess_ND: Tensor, keys_MD: Tensor, square_M: Tensor) -> Tensor:
    """Squared distances (N, M)."""
    square_N1 = guess_ND.square().sum(1, keepdim=True)
    return torch.addmm(square_M, guess_ND, keys_MD.T, alpha=-2).add_(square_N1).clamp_(min=0)


def principal(keys_CHW: Tensor) -> Tensor:
    """The directions (D', C, 7, 7) in which patches of a picture differ most."""
    h, w = (side - PATCH + 1 for side in keys_CHW.shape[1:])
    every = max(1, int((h * w / 20_000) ** 0.5))
    patches_CPPhw = keys_CHW.unfold(1, PATCH, every).unfold(2, PATCH, every)
    patches_ND = patches_CPPhw.permute(1, 2, 0, 3, 4).flatten(2).flatten(0, 1)
    _, vectors = torch.linalg.eigh(torch.cov(patches_ND.T.double()))
    basis = vectors[:, -COMPONENTS:].T.float()
    return basis.reshape(-1, len(keys_CHW), PATCH, PATCH).contiguous()


def patch_match(
    guess_HWD: Tensor, keys_hwD: Tensor, field: Tensor, generator: torch.Generator
) -> Tensor:
    """A field improved from its neighbours' matches and at random places, (2, H, W)."""
    height, width, d = guess_HWD.shape
    h, w = keys_hwD.shape[:2]
    flat, guess = keys_hwD.view(-1, d), guess_HWD.view(-1, d)

    def distance(place: Tensor) -> Tensor:
        found = flat.index_select(0, (place[0] * w + place[1]).flatten())
        return found.sub_(guess).square_().sum(1).view(height, width)

    best = distance(field)
    shifts = [
        (dy, dx) for step in (4, 1) for dy, dx in ((0, step), (0, -step), (step, 0), (-step, 0))
    ]
    radii = (max(8, min(h, w) // 4), 8, 2)
    for _ in range(SWEEPS):
        tries = itertools.chain(
            ((shift, 0) for shift in shifts), (((0, 0), radius) for radius in radii)
        )
        for (dy, dx), radius in tries:
            place = field.roll((dy, dx), (1, 2)) + torch.tensor([dy, dx])[:, None, None]
            if radius:
                place += torch.randint(-radius, radius + 1, place.shape, generator=generator)
            place[0].clamp_(0, h - 1)
            place[1].clamp_(0, w - 1)
            found = distance(place)
            better = found < best
            field, best = torch.where(better, place, field), torch.where(better, found, best)
    return field


def carried(field: Tensor, keys: Sequence[int], size: Sequence[int]) -> Tensor:
    """A coarser field at a finer size: what was matched with the same shift stays side by side."""
    old = field.shape[1:]
    if tuple(old) == tuple(size):
        place = field
    else:
        lines = [torch.arange(new) * before // new for new, before in zip(size, old, strict=True)]
        coarse = field[:, lines[0]][:, :, lines[1]]
        at_old = torch.stack(torch.meshgrid(*lines, indexing="ij"))
        at_new = torch.stack(torch.meshgrid(*map(torch.arange, size), indexing="ij"))
        scale = torch.tensor([a / b for a, b in zip(size, old, strict=True)])[:, None, None]
        place = at_new - HALF + ((coarse + HALF - at_old) * scale).round().long()
    most = torch.tensor(keys)[:, None, None] - 1
    return torch.minimum(place.clamp(min=0), most)


def folded(source_CHW: Tensor, field: Tensor, wraps: tuple[bool, bool]) -> Tensor:
    """The picture (C, H, W) in which each pixel is the mean over the source patches that cover it.

    The nearer a pixel is to the middle of a patch, the more this patch counts.
    """
    height, width = field.shape[1:]
    columns = source_CHW.shape[2]
    flat_CN = source_CHW.flatten(1)
    corner = (field[0] * columns + field[1]).flatten()
    total = source_CHW.new_zeros(len(source_CHW), height + 2 * HALF, width + 2 * HALF)
    weight = total.new_zeros(1, *total.shape[1:])
    near = torch.exp(-torch.linspace(-HALF, HALF, PATCH).square() / (2 * (PATCH / 3) ** 2)).tolist()
    for down, right in itertools.product(range(PATCH), repeat=2):
        share = near[down] * near[right]
        pixels = flat_CN.index_select(1, corner + (down * columns + right)).view(-1, height, width)
        total[:, down : down + height, right : right + width].add_(pixels, alpha=share)
        weight[:, down : down + height, right : right + width] += share
    total, weight = (_closed(x, wraps) for x in (total, weight))
    return total / weight


def _closed(x_CHW: Tensor, wraps: tuple[bool, bool]) -> Tensor:
    """Without its margin, which on a circle adds to the opposite side."""
    for axis in (1, 2):
        inner = x_CHW.shape[axis] - 2 * HALF
        body = x_CHW.narrow(axis, HALF, inner).clone()
        if wraps[axis - 1]:
            body.narrow(axis, 0, HALF).add_(x_CHW.narrow(axis, HALF + inner, HALF))
            body.narrow(axis, inner - HALF, HALF).add_(x_CHW.narrow(axis, 0, HALF))
        x_CHW = body
    return x_CHW


def _padded(x_CHW: Tensor, wraps: tuple[bool, bool]) -> Tensor:
    """With a margin of half a patch, from the opposite side or mirrored."""
    for axis in (1, 2):
        last = x_CHW.shape[axis] - 1
        index = torch.arange(-HALF, last + HALF + 1)
        mirrored = last - (index.abs() - last).abs()
        index = index.remainder(last + 1) if wraps[axis - 1] else mirrored
        x_CHW = x_CHW.index_select(axis, index)
    return x_CHW


def _unravel(index: Tensor, columns: int) -> tuple[Tensor, Tensor]:
    return index // columns, index % columns
