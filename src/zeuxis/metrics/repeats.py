"""Repeated samples: near-duplicates within a set.

After the birthday test of Arora & Zhang (2018, arXiv:1706.08224), who look for twins in a batch by eye.
Here a generated image is a repeat if its nearest other generated image is closer, in features, than
99 % of as many real images have theirs: new real images score 1 % by construction, a generator with
few pictures nearly 100 %. Among more images twins are more likely, so both sides are cut to one size.

Shapes: N fake, M real images, D features.
"""

import numpy as np

from zeuxis.features import Features
from zeuxis.metrics import Estimate, share
from zeuxis.metrics.comparable import check
from zeuxis.metrics.tiles import Points, nearest_others

QUANTILE = 0.01
"""Share of real images that count as repeats."""


def repeat_rate(fake: Features, real: Features, seed: int = 0) -> Estimate:
    """Share of generated images that have a twin among the others, with Wilson's interval.

    Args:
        fake: features (N, D).
        real: features (M, D).
        seed: of which images are left out of the larger side.

    Raises:
        ValueError: the features were computed in different ways, a side has fewer than 16 images, or
            features are NaN or infinite.
    """
    check("a repeat rate", fake, real, 16)
    n = min(len(fake), len(real))
    rng = np.random.default_rng(seed)
    near_N, near_M = (
        nearest_others(Points(x[np.sort(rng.permutation(len(x))[:n])], real.array), 1)[0][:, 0]
        for x in (fake.array, real.array)
    )
    limit = float(np.quantile(near_M, QUANTILE, method="lower"))
    receipt = {
        **fake.receipt,
        "statistic": f"nearest other image closer than {1 - QUANTILE:.0%} of real images have theirs",
        "squared_distance": limit,
        "seed": seed,
        "interval": "95 %, Wilson, given the limit",
        "fake": n,
        "real": n,
    }
    return share(int((near_N < limit).sum()), n, receipt)
