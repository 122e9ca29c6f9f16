"""Whether averaging over the image before the classifier makes a network more accurate.

"A move from fully connected layers to average pooling improved the top-1 accuracy by about 0.6%", on ImageNet
(Szegedy et al. 2014, section 5). Lectures repeat the figure. Here, on small images, the same network
is trained with its classifier on

    average      the mean of each of the C channels over the 4x4 places of 5b, C numbers
    flattened    all 16 C numbers, so that the classifier has 16 times as many weights
"""

from __future__ import annotations

from dataclasses import dataclass

from minicnn.study.experiments.repetitions import minus
from minicnn.study.experiments.ways import WayRun, WaysExperiment

AVERAGE, FLATTENED = "average", "flattened"
CLAIMED = 0.6  # percentage points


@dataclass(frozen=True)
class PoolingRun(WayRun):
    """One training.

    Attributes
    ----------
    classifier_weights : int
        Parameters of the last linear layer.
    """

    classifier_weights: int


@dataclass(frozen=True)
class PoolingExperiment(WaysExperiment[PoolingRun]):
    """Trainings with a classifier on averages, and on all places."""

    ways = (AVERAGE, FLATTENED)
    question = "Is a classifier on averages more accurate?"

    def remarks(self) -> list[str]:
        counts = [f"{self.of(way)[0].classifier_weights:,} ({way})" for way in self.ways]
        return [f"Parameters of the classifier: {', '.join(counts)}"]

    def findings(self) -> list[str]:
        found = [self.compared(AVERAGE, FLATTENED, "the average is better", "the average is worse")]
        if len(self.seeds) == 1:
            return found  # no interval, so nothing to compare the paper's figure with
        low, high = minus(self.test(AVERAGE), self.test(FLATTENED)).interval
        fits = (
            f"the interval includes the {CLAIMED:g} that the paper found on ImageNet"
            if low <= CLAIMED <= high
            else f"the {CLAIMED:g} that the paper found on ImageNet lies outside of the interval"
        )
        return [*found, f"at the end, {fits}"]
