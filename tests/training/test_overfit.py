"""Learning one batch by heart: the verdicts."""

import numpy as np
import pytest

from minicnn import nn
from minicnn.training import overfit_one_batch


@pytest.fixture
def batch(splits):
    x, labels = next(splits.val.epoch(0))
    return x[:6], labels[:6]


def test_yes(network, batch):
    said = []
    model = network()
    assert overfit_one_batch(model, *batch, num_classes=3, lr=0.3, say=said.append) is True
    assert said[-1].startswith("Yes: it learned 6 images by heart in ")
    assert "accuracy 100.0%" in said[-2]
    assert all(module.p == 0.0 for _, module in model.named_modules() if isinstance(module, nn.Dropout))


def test_still_guessing(network, batch):
    said = []
    model = network()
    model.conv.bias.data[...] = -1000.0
    settings = {"num_classes": 3, "lr": 0.1, "max_steps": 30, "advice": ["try --initialisation he: why"]}
    assert overfit_one_batch(model, *batch, **settings, say=said.append) is False
    (found,) = [text for text in said if text.startswith("dead ReLUs at step 30: ")]
    assert "no image switches on most units of conv (100%)" in found
    assert "try" not in found, "the settings of a training run are not those of this one"
    assert "No: after 30 steps the loss is 1.0" in said[-1]
    assert "still guessing (ln(3) = 1.10)" in said[-1]
    assert said[-1].endswith(
        "dies on the way: try --initialisation he: why; try an --lr higher or lower than 0.1, then minicnn "
        "gradcheck."
    )


def test_too_slow(network, batch):
    said = []
    settings = {"num_classes": 3, "lr": 0.05, "max_steps": 20, "advice": ["try --activation relu: why"]}
    assert not overfit_one_batch(network(), *batch, **settings, say=said.append)
    assert "It learns, but slowly: try --activation relu: why; try a higher --lr" in said[-1]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_diverges(network, batch):
    said = []
    assert not overfit_one_batch(network(), *batch, num_classes=3, lr=1e38, say=said.append)
    assert said[-1].startswith("No: the loss became ")
    assert said[-1].endswith("It diverges: an --lr below 1e+38.")


def test_labels_that_contradict_each_other(network, batch):
    said = []
    x, _ = batch
    x = np.broadcast_to(x[:1], x.shape).copy()
    labels = np.array([0, 1, 0, 1, 0, 1])
    assert not overfit_one_batch(network(), x, labels, num_classes=3, lr=0.3, max_steps=60, say=said.append)
    assert "different labels also do this" in said[-1]
