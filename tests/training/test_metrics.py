"""Loss, accuracy and top-5, and what they are not fooled by."""

import math

import numpy as np
import pytest

from minicnn import nn
from minicnn.tensor import Tensor
from minicnn.training import Figures, evaluate


def test_figures_against_a_plain_loop(rng):
    logits, labels = rng.standard_normal((50, 12)), rng.integers(0, 12, 50)
    figures = Figures()
    figures.add(logits[:20], labels[:20])
    figures.add(logits[20:], labels[20:])
    losses, hits, top5 = [], 0, 0
    for row, label in zip(logits, labels, strict=True):
        losses.append(math.log(sum(math.exp(value) for value in row)) - row[label])
        place = sum(value > row[label] for value in row)
        hits += place == 0
        top5 += place < 5
    assert figures.images == 50
    assert figures.loss == pytest.approx(np.mean(losses))
    assert (figures.accuracy, figures.top5) == (hits / 50, top5 / 50)


def test_a_network_that_says_the_same_for_every_class_only_guesses():
    figures = Figures()
    figures.add(np.zeros((100, 10)), np.arange(100) % 10)
    assert (figures.accuracy, figures.top5) == (0.1, 0.5)


def test_fewer_than_five_classes():
    figures = Figures()
    figures.add(np.array([[0.0, 1.0]]), np.array([0]))
    assert (figures.accuracy, figures.top5) == (0.0, 1.0)


def test_difference():
    first, second = Figures(10, 20.0, 3, 5), Figures(30, 50.0, 9, 20)
    assert second - first == Figures(20, 30.0, 6, 15)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("heads", [True, False])
def test_evaluate(network, splits, training, heads):
    model = network().train(training)
    figures = evaluate(model, splits.val.epoch(0), heads=heads)
    assert list(figures) == (["main", "aux1", "aux2"] if heads else ["main"])
    assert all(of_head.images == 12 for of_head in figures.values())
    assert model.training is training
    assert all(parameter.grad is None for parameter in model.parameters())
    model.eval()
    x, labels = next(splits.val.epoch(0))
    out = model(Tensor(x), heads=True)
    assert figures["main"].accuracy == (out.logits.numpy().argmax(axis=1) == labels).mean()


def test_evaluation_records_no_graph(splits):
    seen = []

    class Spy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(np.ones((8 * 8 * 3, 3), np.float32))

        def forward(self, x, heads):
            logits = x.reshape(len(x), -1) @ self.weight
            seen.append(logits.requires_grad)
            return nn.GoogLeNetOutput(logits, None, None)

    evaluate(Spy(), splits.val.epoch(0), heads=False)
    assert seen == [False]
