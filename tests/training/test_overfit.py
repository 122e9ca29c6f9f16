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
    assert overfit_one_batch(model, *batch, num_classes=3, lr=0.1, max_steps=30, say=said.append) is False
    assert any(line.startswith("dead ReLUs: no image switches on the units of conv (100%)") for line in said)
    assert "No: after 30 steps the loss is 1.0" in said[-1]
    assert "still guessing (ln(3) = 1.10)" in said[-1]


def test_too_slow(network, batch):
    said = []
    assert not overfit_one_batch(network(), *batch, num_classes=3, lr=0.05, max_steps=20, say=said.append)
    assert "It learns, but slowly: try a higher --lr" in said[-1]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_diverges(network, batch):
    said = []
    assert not overfit_one_batch(network(), *batch, num_classes=3, lr=1e38, say=said.append)
    assert said[-1].startswith("No: the loss became ")
    assert "a lower --lr" in said[-1]


def test_labels_that_contradict_each_other(network, batch):
    said = []
    x, _ = batch
    x = np.broadcast_to(x[:1], x.shape).copy()
    labels = np.array([0, 1, 0, 1, 0, 1])
    assert not overfit_one_batch(network(), x, labels, num_classes=3, lr=0.3, max_steps=60, say=said.append)
    assert "different labels also do this" in said[-1]
