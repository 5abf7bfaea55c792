"""Exact distances in bounded memory: the k nearest others, and the pairs within a radius, tile by tile.

|a|^2 + |b|^2 - 2 a.b in float32 loses digits, so it only proposes: with u = 2^-24 its error is below
(D + 24) u (|a|^2 + |b|^2), and lowered or raised by that bound it is a certain lower or upper limit of
the squared distance. What these leave open is computed again as a sum of squared differences in
float64. Where more than a hundredth of a tile is open, as among nearly equal images, the tile is done
in float64 first; there the same bound with u = 2^-53 is the last word on who is a candidate.

Shapes: N points, D features, A by B a tile, P pairs, K neighbours.
"""

import dataclasses

import numpy as np
import torch
from torch import Tensor

TILE = 2048
"""Rows and columns of a tile: 16 MiB of float32 distances."""
SPARE = 8
"""Candidates beyond those that are asked for."""
MANY = 0.01
"""Share of a tile that may be computed pair by pair."""
SLACK = 24
"""Roundings beside those of the product: of the rows, their lengths, the sums, the radius."""
PAIRS = 4096
"""Pairs that are computed at once."""


class Points:
    """One side's rows around a common centre, which makes rounding errors small."""

    def __init__(self, x_ND: np.ndarray, real_MD: np.ndarray) -> None:
        self.x_ND = x_ND
        # rounded, so that float32 rows lose nothing but their last bit when it is taken off
        self.centre_D = real_MD.mean(0, dtype=np.float64).astype(np.float32)
        self.length_N = np.concatenate(
            [np.square(self.centred(rows, np.float64)).sum(1) for rows in tiles(len(x_ND))]
        )

    def centred(self, rows: slice, dtype: type) -> np.ndarray:
        """Rows without the centre."""
        wide = np.result_type(self.x_ND.dtype, dtype)
        return (self.x_ND[rows].astype(wide, copy=False) - self.centre_D).astype(dtype, copy=False)

    def block(self, rows: slice, dtype: type | None = None) -> "Block":
        """Rows for a tile, in float32 unless asked otherwise."""
        if dtype is None:  # torch may have been told to multiply float32 less exactly
            exact = torch.get_float32_matmul_precision() == "highest"
            dtype = np.float32 if exact else np.float64
        return Block(
            self,
            rows.start,
            torch.from_numpy(self.centred(rows, dtype)),
            torch.from_numpy(self.length_N[rows].astype(dtype)),
        )

    def squared(self, rows_P: np.ndarray, other: "Points", others_P: np.ndarray) -> np.ndarray:
        """Squared distances of pairs by differences, (P,) float64.

        Every row is summed in one order, so equal images have equal distances to the last bit.
        """
        found_P = np.empty(len(rows_P))
        for start in range(0, len(rows_P), PAIRS):
            part = slice(start, start + PAIRS)
            step = self.x_ND[rows_P[part]].astype(np.float64) - other.x_ND[others_P[part]]
            found_P[part] = np.square(step, out=step).sum(1)
        return found_P


@dataclasses.dataclass(frozen=True)
class Block:
    """Some consecutive rows, centred, and their squared lengths."""

    points: Points
    start: int
    x_AD: Tensor
    length_A: Tensor


class Tile:
    """Limits of the squared distances between two blocks."""

    def __init__(self, a: Block, b: Block) -> None:
        self.a, self.b, self.dtype = a, b, a.x_AD.dtype
        self.error = (a.x_AD.shape[1] + SLACK) * torch.finfo(self.dtype).eps / 2
        less = 1 - self.error
        self.low_AB = torch.addmm(b.length_A * less, a.x_AD, b.x_AD.T, alpha=-2)
        self.low_AB += (a.length_A * less)[:, None]

    def pairs(
        self, narrow: np.ndarray, wide: np.ndarray, ties_inside: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All pairs within the wide radius, and which of them are within the narrow one, exactly.

        Args:
            narrow: squared radii, (A, 1) or (1, B), float64.
            wide: as `narrow`, and nowhere less.
            ties_inside: whether a distance equal to a radius is within it.

        Returns:
            Rows (P,) and columns (P,) of the points, and (P,) bool.
        """
        # rounded up, so that no pair is lost; the exact limits decide below
        reach = torch.from_numpy(wide * (1 + torch.finfo(self.dtype).eps)).to(self.dtype)
        i_P, j_P = (self.low_AB <= reach).nonzero(as_tuple=True)
        narrow_P, wide_P = (
            torch.from_numpy(limit).expand(self.low_AB.shape)[i_P, j_P] for limit in (narrow, wide)
        )
        low_P = self.low_AB[i_P, j_P].double()
        length_P = self.a.length_A[i_P].double() + self.b.length_A[j_P].double()
        distance_P = low_P + 2 * self.error * length_P
        open_P = (distance_P >= wide_P) | ((low_P <= narrow_P) & (distance_P >= narrow_P))
        if self.dtype == torch.float32 and open_P.sum() > MANY * self.low_AB.numel():
            return self._finer().pairs(narrow, wide, ties_inside)
        rows_P, columns_P = i_P.numpy() + self.a.start, j_P.numpy() + self.b.start
        opened = np.flatnonzero(open_P.numpy())
        exact = self.a.points.squared(rows_P[opened], self.b.points, columns_P[opened])
        distance_P[open_P] = torch.from_numpy(exact)
        within = torch.le if ties_inside else torch.lt
        kept = within(distance_P, wide_P).numpy()
        return rows_P[kept], columns_P[kept], within(distance_P, narrow_P).numpy()[kept]

    def _finer(self) -> "Tile":
        a, b = (
            one.points.block(slice(one.start, one.start + len(one.x_AD)), np.float64)
            for one in (self.a, self.b)
        )
        return Tile(a, b)


class _Nearest:
    """The columns nearest to each row so far, by the lower limits of their distances."""

    def __init__(self, n: int, count: int, dtype: torch.dtype) -> None:
        self.low_NK = torch.full((n, count), torch.inf, dtype=dtype)
        self.column_NK = torch.zeros((n, count), dtype=torch.int64)

    def see(self, start: int, low_AB: Tensor, column: int) -> None:
        """Take in a tile, given its first row and first column."""
        rows = slice(start, start + len(low_AB))
        count = self.low_NK.shape[1]
        low, found = low_AB.topk(min(count, low_AB.shape[1]), dim=1, largest=False)
        low = torch.cat([self.low_NK[rows], low], 1)
        found = torch.cat([self.column_NK[rows], found + column], 1)
        self.low_NK[rows], keep = low.topk(count, dim=1, largest=False)
        self.column_NK[rows] = found.gather(1, keep)

    def exactly(
        self, rows_N: np.ndarray, x: Points, k: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The k nearest by exact distance, and whether no other column can be nearer."""
        n, count = self.column_NK.shape
        column_NK = self.column_NK.numpy()
        exact_NK = x.squared(rows_N.repeat(count), x, column_NK.ravel()).reshape(n, count)
        order_NK = np.argsort(exact_NK, axis=1, kind="stable")[:, :k]
        exact_NK = np.take_along_axis(exact_NK, order_NK, 1)
        last_N = exact_NK[:, -1]
        sure_N = (self.low_NK.numpy().max(1) >= last_N) | (last_N == 0) | (count == len(x.x_ND) - 1)
        return exact_NK, np.take_along_axis(column_NK, order_NK, 1), sure_N


def nearest_others(x: Points, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest other rows of each row: squared distances (N, K), smallest first, and rows (N, K)."""
    n = len(x.x_ND)
    count = min(k + SPARE, n - 1)
    nearest = _Nearest(n, count, x.block(slice(0, 1)).x_AD.dtype)
    for columns in tiles(n):
        b = x.block(columns)
        for rows in tiles(columns.start):
            low_AB = Tile(x.block(rows), b).low_AB
            nearest.see(rows.start, low_AB, columns.start)
            # the tile on the other side of the diagonal is this one, turned
            nearest.see(columns.start, low_AB.T.contiguous(), rows.start)
        nearest.see(columns.start, Tile(b, b).low_AB.fill_diagonal_(torch.inf), columns.start)
    squared_NK, row_NK, sure_N = nearest.exactly(np.arange(n), x, k)
    unsure_U = np.flatnonzero(~sure_N)
    for some in tiles(len(unsure_U)):
        rows_A = unsure_U[some]
        squared_NK[rows_A], row_NK[rows_A] = _finer(x, rows_A, k, count)
    return squared_NK, row_NK


def _finer(x: Points, rows_A: np.ndarray, k: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The same for rows whose candidates float32 could not tell from others."""
    length_A = torch.from_numpy(x.length_N[rows_A])
    centred_AD = torch.from_numpy(x.x_ND[rows_A].astype(np.float64) - x.centre_D)
    a, own = Block(x, 0, centred_AD, length_A), torch.from_numpy(rows_A)
    nearest = _Nearest(len(rows_A), count, torch.float64)
    for columns in tiles(len(x.x_ND)):
        low_AB = Tile(a, x.block(columns, np.float64)).low_AB
        low_AB[own[:, None] == torch.arange(columns.start, columns.stop)] = torch.inf
        nearest.see(0, low_AB, columns.start)
    return nearest.exactly(rows_A, x, k)[:2]


def tiles(n: int) -> list[slice]:
    """Rows 0 to n - 1 in slices of a tile."""
    return [slice(start, min(start + TILE, n)) for start in range(0, n, TILE)]
