"""Precision, recall, density and coverage, from nearest neighbours in feature space.

A set is seen as balls around its images, each as wide as the distance to its k-th nearest other one.

    precision   share of fake images that are in some ball of a real one
    recall      share of real images that are in some ball of a fake one
    density     balls of real images that a fake one is in, on average, over k
    coverage    share of balls of real images that hold some fake one

Precision and recall by Kynkaanniemi et al. 2019 (arXiv:1904.06991, eqs. 1 and 2), density and
coverage by Naeem et al. 2020 (arXiv:2002.09797, eqs. 3 and 4). If N fake and M real images come from
one distribution, density is 1 and coverage 1 - C(M - 1, k) / C(N + M - 1, k) on average, whatever it
is; precision and recall depend on it.

Who is inside is decided exactly, in memory that does not grow with N x M (`zeuxis.metrics.tiles`). A
distance equal to the radius, which happens where images are repeated, is inside, as in Kynkaanniemi
et al. and torch-fidelity; `prdc` has it outside (`ties_inside=False`).

**Intervals.** Balls overlap and share images, so Wilson's interval for independent ones is too sure:
simulated with Gaussians, it held the truth in 75 to 92 % of cases instead of 95. Here each image of
either side is left out in turn, exactly: a ball that loses one of its k neighbours grows to the
next, so all that is needed is who enters then. By Efron & Stein (1981) this variance errs upwards:
it held the truth in 97 to 100 %.
Shares take Wilson's interval (right near 0 and 1), stretched by the ratio of the two standard errors
where that is above 1.

Shapes: N fake, M real images, D features, P pairs, K neighbours.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from zeuxis.core.errors import Invalid
from zeuxis.features import Features
from zeuxis.metrics import Estimate, share
from zeuxis.metrics.comparable import check
from zeuxis.metrics.tiles import Points, Tile, nearest_others, tiles


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """What the balls around images say; each number with a 95 % interval.

    Attributes:
        precision: share of generated images that are like some real one; fidelity.
        recall: share of real images that are like some generated one; variety. One far-off sample in
            a wide ball can raise it.
        density: generated images around a real one, over k; around 1, and above it where they crowd.
        coverage: share of real images that have a generated one among their neighbours; variety.
        balls_N: how many balls of real images hold each generated image.
        covered_M: whether each real image's ball holds a generated one.
    """

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate
    balls_N: np.ndarray
    covered_M: np.ndarray


def neighbours(fake: Features, real: Features, k: int = 5, ties_inside: bool = True) -> Neighbours:
    """Precision, recall, density and coverage in one pass over the tiles of distances.

    Time is O((N^2 / 2 + M^2 / 2 + N M) D); memory beside the features some hundred MB at any size.

    Args:
        fake: features (N, D), float32 or float64.
        real: features (M, D).
        k: neighbours that a ball reaches to: 3 in Kynkaanniemi et al., 5 in Naeem et al.
        ties_inside: whether a distance equal to the radius is inside.

    Raises:
        ValueError: the features were computed in different ways, a side has fewer than k + 2 images, or
            features are NaN or infinite.
    """
    if k < 1:
        raise Invalid(f"expected at least 1 neighbour, got {k}")
    check(f"a comparison of balls over {k} neighbours", fake, real, k + 2)
    x, y = Points(fake.array, real.array), Points(real.array, real.array)
    of_fake, of_real = _Balls(x, len(real), k), _Balls(y, len(fake), k)
    for columns in tiles(len(real)):
        b = y.block(columns)
        for rows in tiles(len(fake)):
            tile = Tile(x.block(rows), b)
            point_P, ball_P, inside_P = tile.pairs(
                of_real.radius[None, columns], of_real.wider[None, columns], ties_inside
            )
            of_real.see(point_P, ball_P, inside_P)
            ball_P, point_P, inside_P = tile.pairs(
                of_fake.radius[rows, None], of_fake.wider[rows, None], ties_inside
            )
            of_fake.see(point_P, ball_P, inside_P)
    receipt = {
        **fake.receipt,
        "k": k,
        "ties": "inside" if ties_inside else "outside",
        "interval": "95 %, delete-one jackknife of both sides",
        "fake": len(fake),
        "real": len(real),
    }
    return Neighbours(
        precision=of_real.share_of_points(receipt),
        recall=of_fake.share_of_points(receipt),
        density=of_real.density(receipt),
        coverage=of_real.share_of_balls(receipt),
        balls_N=of_real.balls,
        covered_M=of_real.points > 0,
    )


def expected_coverage(n: int, m: int, k: int) -> float:
    """Coverage on average where n fake and m real images come from one continuous distribution.

    >>> round(expected_coverage(1000, 1000, 5), 4)
    0.969
    """
    # a ball is empty if the k nearest of the others, n + m - 1 in all, are real
    return 1 - math.comb(m - 1, k) / math.comb(n + m - 1, k)


class _Balls:
    """The balls of one side, and which of the other side's images (its points) are inside.

    Attributes:
        radius: squared, of each ball; `wider` is that of the ball without one of its neighbours.
        neighbour_MK: each ball's k neighbours.
        balls: how many balls hold each point; `ball` is which, if it is one.
        points: how many points each ball holds; `point` is which, if it is one.
        entering: how many more the wider ball would hold; `entries` are all such (point, ball).
    """

    def __init__(self, side: Points, count: int, k: int) -> None:
        squared, rows = nearest_others(side, k + 1)
        self.radius, self.wider, self.neighbour_MK = squared[:, k - 1], squared[:, k], rows[:, :k]
        self.balls, self.ball = np.zeros((2, count), np.int64)
        self.points, self.point, self.entering = np.zeros((3, len(rows)), np.int64)
        self.entries: list[np.ndarray] = []

    def see(self, point_P: np.ndarray, ball_P: np.ndarray, inside_P: np.ndarray) -> None:
        """Count pairs of a point and a ball that is wide enough for it, or would be if wider."""
        point, ball = point_P[inside_P], ball_P[inside_P]
        np.add.at(self.balls, point, 1)
        np.add.at(self.ball, point, ball)
        np.add.at(self.points, ball, 1)
        np.add.at(self.point, ball, point)
        outside = np.stack([point_P[~inside_P], ball_P[~inside_P]])
        np.add.at(self.entering, outside[1], 1)
        self.entries.append(outside.astype(np.int32))

    def share_of_points(self, receipt: Mapping[str, Any]) -> Estimate:
        """Share of the points that some ball holds."""
        n, m, k = len(self.balls), *self.neighbour_MK.shape
        inside = self.balls > 0
        lost_M = np.bincount(self.ball[self.balls == 1], minlength=m)
        # a point enters with each of a ball's neighbours that leaves, if no other ball holds it
        point_P, ball_P = np.concatenate(self.entries, 1)
        few = self.balls[point_P] <= 1
        point = point_P[few].repeat(k).astype(np.int64)
        leaver = self.neighbour_MK[ball_P[few]].ravel()
        enters = (self.balls[point] == 0) | (self.ball[point] == leaver)
        once = np.unique(point[enters] * m + leaver[enters])
        gained_M = np.bincount(once % m, minlength=m)
        without_point = (inside.sum() - inside) / (n - 1)
        without_ball = (inside.sum() - lost_M + gained_M) / n
        return _share(int(inside.sum()), n, _variance(without_point, without_ball), receipt)

    def share_of_balls(self, receipt: Mapping[str, Any]) -> Estimate:
        """Share of the balls that hold some point."""
        n, m = len(self.balls), len(self.points)
        held = self.points > 0
        lost_N = np.bincount(self.point[self.points == 1], minlength=n)
        gained_M = self._with_neighbour((self.points == 0) & (self.entering > 0))
        without_point = (held.sum() - lost_N) / m
        without_ball = (held.sum() - held + gained_M) / (m - 1)
        return _share(int(held.sum()), m, _variance(without_point, without_ball), receipt)

    def density(self, receipt: Mapping[str, Any]) -> Estimate:
        """Balls that a point is in, on average, over k."""
        n, k = len(self.balls), self.neighbour_MK.shape[1]
        total = self.balls.sum()
        without_point = (total - self.balls) / (k * (n - 1))
        without_ball = (total - self.points + self._with_neighbour(self.entering)) / (k * n)
        value, half = total / (k * n), 1.96 * math.sqrt(_variance(without_point, without_ball))
        interval = (max(0.0, float(value) - half), float(value) + half)
        return Estimate(value=float(value), interval=interval, n=n, receipt=receipt)

    def _with_neighbour(self, of_ball_M: np.ndarray) -> np.ndarray:
        """For each image, the sum over the balls that it is a neighbour of."""
        found_M = np.zeros(len(of_ball_M), np.int64)
        np.add.at(found_M, self.neighbour_MK, of_ball_M[:, None].astype(np.int64))
        return found_M


def _variance(*without: np.ndarray) -> float:
    """The delete-one jackknife's, from the values without each image of each side."""
    return float(sum((len(values) - 1) * values.var() for values in without))


def _share(count: int, n: int, variance: float, receipt: Mapping[str, Any]) -> Estimate:
    """`count` of `n` with Wilson's interval, stretched to a standard error that is larger."""
    found = share(count, n, receipt)
    p, (low, high) = found.value, found.interval
    alone = p * (1 - p) / n
    stretch = math.sqrt(max(1.0, variance / alone)) if alone else 1.0
    interval = (max(0.0, p - stretch * (p - low)), min(1.0, p + stretch * (high - p)))
    return dataclasses.replace(found, interval=interval)
