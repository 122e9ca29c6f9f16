"""What is measured: a network, a batch, and whether it is trained or only run.

Every framework gets the same images, labels and initial weights. This module is read by the workers too,
in environments where minicnn is not installed: it needs NumPy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Small, so that rounding errors are not blown up by a jump across the loss surface (agreement.py).
LEARNING_RATE = 1e-4
MOMENTUM = 0.9
AUX_WEIGHT = 0.3


@dataclass(frozen=True)
class Workload:
    """One network on one batch.

    Attributes
    ----------
    name : str
        As in "W1".
    small : bool
        googlenet_cifar for images of 32x32, otherwise googlenet for 224x224.
    width : float
        Factor on the channel counts; 1.0 for googlenet.
    batch, classes : int
    training : bool
        A step is: forward with both heads, loss, backward, SGD with momentum; otherwise: logits.
    steps_per_turn : int
        Steps of which the mean is taken, so that a turn of a quick workload lasts long enough to be timed.
    """

    name: str
    small: bool
    width: float
    batch: int
    classes: int
    training: bool
    steps_per_turn: int = 1

    @property
    def title(self) -> str:
        """The name with what is done: "W1 training"."""
        return f"{self.name} {'training' if self.training else 'inference'}"

    @property
    def side(self) -> int:
        """Height and width of the images."""
        return 32 if self.small else 224

    @property
    def network(self) -> str:
        """The network and its input in words."""
        kind = f"googlenet_cifar, width {self.width}" if self.small else "googlenet"
        return f"{kind}, {self.side}x{self.side}, {self.classes} classes, batch {self.batch}"

    def images_and_labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Draw images (batch, side, side, 3), float32, and labels (batch,), int64, always the same."""
        rng = np.random.default_rng(2014)
        images = rng.standard_normal((self.batch, self.side, self.side, 3), np.float32)
        return images, rng.integers(0, self.classes, self.batch)


WORKLOADS = (
    Workload("W1", small=True, width=1.0, batch=64, classes=10, training=True),
    Workload("W2", small=True, width=0.25, batch=64, classes=10, training=True, steps_per_turn=3),
    Workload("W3", small=False, width=1.0, batch=8, classes=1000, training=True),
    Workload("W1", small=True, width=1.0, batch=64, classes=10, training=False),
    Workload("W2", small=True, width=0.25, batch=64, classes=10, training=False, steps_per_turn=5),
    Workload("W3", small=False, width=1.0, batch=8, classes=1000, training=False, steps_per_turn=3),
    Workload("W3-1", small=False, width=1.0, batch=1, classes=1000, training=False, steps_per_turn=10),
)
NAMES = tuple(dict.fromkeys(workload.name for workload in WORKLOADS))
