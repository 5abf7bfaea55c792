"""Whether the variety of several samples of one thing is honest: how often the truth lies among them.

Shapes: K samples of each image, N images, H height, W width, C channels.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from zeuxis.metrics import Estimate, mean

NORMAL_90 = 1.645
"""Standard deviations on either side of the mean that hold 90 % of a normal distribution."""


def spread(
    samples_KNHWC: np.ndarray, truth_NHWC: np.ndarray, receipt: Mapping[str, Any]
) -> dict[str, Estimate]:
    """Shares of true values that lie where the samples say, uncorrected; intervals over images.

    `truth_within_90`: within the samples' mean +- 1.645 of their standard deviations; 0.9 if samples and
    truth are normal and K is large. `truth_within_samples`: within the least and the most of K samples;
    (K - 1) / (K + 1) if the truth is one more of them, whatever the distribution.

    Args:
        samples_KNHWC: uint8, at least 3 samples of at least 2 images.
        truth_NHWC: uint8.
        receipt: what else to note.
    """
    count = len(samples_KNHWC)
    exact = samples_KNHWC.astype(np.float32)
    within_90 = np.abs(exact.mean(0) - truth_NHWC) <= NORMAL_90 * exact.std(0, ddof=1)
    within = (samples_KNHWC.min(0) <= truth_NHWC) & (truth_NHWC <= samples_KNHWC.max(0))
    noted = {**receipt, "samples_each": count}
    ideal = (count - 1) / (count + 1)
    return {
        "truth_within_90": mean(within_90.mean((1, 2, 3)), {**noted, "ideal": 0.9}),
        "truth_within_samples": mean(within.mean((1, 2, 3)), {**noted, "ideal": ideal}),
    }


def deciles(samples_KNHWC: np.ndarray, truth_NHWC: np.ndarray) -> list[tuple[float, float]]:
    """Mean standard deviation of the samples and mean error of their mean, by tenths of the former; levels.

    An honest spread has errors that rise with it.
    """
    exact = samples_KNHWC.astype(np.float32)
    deviation, error = exact.std(0, ddof=1).ravel(), np.abs(exact.mean(0) - truth_NHWC).ravel()
    parts = np.array_split(np.argsort(deviation, kind="stable"), 10)
    return [(float(deviation[part].mean()), float(error[part].mean())) for part in parts]
