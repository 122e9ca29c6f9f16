"""A run small enough for a test: a few hundred weights, sixty images, a few milliseconds an epoch."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minicnn import Tensor, nn
from minicnn import functional as F
from minicnn.data import Loader, Normalisation
from minicnn.parallel import get_num_threads, set_num_threads
from minicnn.training import Config, DataFacts, Images, RunFolder, Splits, make_splits

SIZE = 8
CLASSES = ("red", "green", "blue")


class TinyNetwork(nn.Module):
    """A convolution and three classifiers: what GoogLeNet is to the training loop."""

    def __init__(self, seed: int = 0, aux: bool = True) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.conv = nn.Conv2d(3, 8, 3, padding=1, activation="relu", rng=rng)
        self.aux1 = nn.Linear(8, 3, rng=rng) if aux else None
        self.aux2 = nn.Linear(8, 3, rng=rng) if aux else None
        self.dropout = nn.Dropout(0.2, rng=rng)
        self.fc = nn.Linear(8, 3, rng=rng)

    def forward(self, x: Tensor, heads: bool | None = None) -> nn.GoogLeNetOutput:
        x = F.global_avg_pool2d(self.conv(x))
        run_heads = self.aux1 is not None and (self.training if heads is None else heads)
        aux1, aux2 = (self.aux1(x), self.aux2(x)) if run_heads else (None, None)
        return nn.GoogLeNetOutput(self.fc(self.dropout(x)), aux1, aux2)


class CountingLoader(Loader):
    """Counts how often its images were gone through, and can stop half-way like a crash."""

    iterations = 0
    crash_at: tuple[int, int] | None = None  # epoch and step, both from 0

    def epoch(self, epoch: int, start_step: int = 0):
        self.iterations += 1
        for step, batch in enumerate(super().epoch(epoch, start_step)):
            if (epoch, step) == self.crash_at:
                raise KeyboardInterrupt
            yield batch


def coloured_images(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise in which one of three colours is a little stronger."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = rng.integers(0, 200, (count, SIZE, SIZE, 3))
    images[np.arange(count), :, :, labels] += 55
    return images.astype(np.uint8), labels.astype(np.int64)


@pytest.fixture
def images() -> Images:
    train, val, test = coloured_images(60, 1), coloured_images(12, 2), coloured_images(30, 3)
    return Images(train, val, test, DataFacts(CLASSES, 60, 12, Normalisation.from_images(train[0])))


@pytest.fixture
def config() -> Config:
    """The settings of a quick run that exercises everything with a state of its own."""
    return Config(
        epochs=3, batch_size=16, lr=0.1, schedule="plateau", patience=1, nesterov=True, weight_decay=1e-3,
        bias_lr_factor=2.0, average_epochs=0.5, seed=3,
    )  # fmt: skip


@pytest.fixture
def splits(images: Images, config: Config) -> Splits:
    made = make_splits(images, config, SIZE)
    loaders = {}
    for name in ("train", "val", "test"):
        loaders[name] = getattr(made, name)
        loaders[name].__class__ = CountingLoader
    return replace(made, **loaders)


@pytest.fixture
def start(tmp_path: Path, splits: Splits) -> Callable[[str, Config], RunFolder]:
    """Give a function that makes the folder of a new run."""
    return lambda name, config: RunFolder.create(tmp_path / name, config, splits.facts)


@pytest.fixture
def network() -> Callable[..., TinyNetwork]:
    return TinyNetwork


@pytest.fixture
def keep_threads():
    """Put the number of threads back after the test."""
    before = get_num_threads()
    yield set_num_threads
    set_num_threads(before)
