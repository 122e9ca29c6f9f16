"""Loss, accuracy and top-5, and what they are not fooled by."""

import math

import numpy as np
import pytest

from minicnn import nn
from minicnn.tensor import Tensor
from minicnn.training import Figures, evaluate
from minicnn.training.watch.plateau import PlateauWatch, is_stuck


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


# ---- the plateau at ln(K) ---------------------------------------------------------------------------


def guessing(images: int = 1000, classes: int = 10) -> Figures:
    return Figures(images, images * math.log(classes), images // classes, images // 2)


@pytest.mark.parametrize(
    ("figures", "stuck"),
    [
        (guessing(), True),
        (Figures(1000, 2260.0, 110, 500), True),
        (Figures(1000, 2250.0, 110, 500), False),  # the loss has begun to fall
        (Figures(1000, 2400.0, 100, 500), False),  # not there yet: large first steps
        (Figures(1000, 2290.0, 200, 600), False),  # unsure, but twice as good as guessing
    ],
)
def test_is_stuck(figures, stuck):
    assert is_stuck(figures, 10) is stuck


def after_epoch(watch: PlateauWatch, **heads: Figures) -> str:
    """Judge an epoch whose validation came out as its training did."""
    return str(watch.after_epoch(heads, heads))


def test_the_end_of_an_epoch_is_what_counts():
    """Guessing at first is no plateau if the last hundred steps were better; the reverse is one."""
    first, later = guessing(20_000), Figures(10_000, 15_000.0, 5_000, 9_000)
    both = Figures(30_000, first.loss_sum + later.loss_sum, 7_000, 19_000)
    watch = PlateauWatch(10, steps_per_epoch=300)
    watch.before_step(200, {"main": first})
    assert watch.after_epoch({"main": both}, {"main": guessing()}) is None
    watch = PlateauWatch(10, steps_per_epoch=300)
    watch.before_step(200, {"main": later})
    said = str(watch.after_epoch({"main": both}, {"main": guessing()}))
    assert "the loss of the network stays at ln(10) = 2.303" in said


def test_what_was_learned_in_the_last_steps_shows_in_validation():
    watch = PlateauWatch(10, steps_per_epoch=50)
    assert watch.after_epoch({"main": guessing()}, {"main": Figures(1000, 1950.0, 270, 790)}) is None


def test_said_once_and_taken_back_when_it_is_over():
    watch = PlateauWatch(10, steps_per_epoch=50)
    learning, wobbling = Figures(1000, 1500.0, 500, 900), Figures(1000, 2230.0, 150, 600)
    said = after_epoch(watch, main=learning, aux1=guessing(), aux2=guessing())
    assert "of aux1 and aux2 stays" in said
    assert after_epoch(watch, main=learning, aux1=guessing(), aux2=wobbling) == "None"
    assert "of aux2 has left ln(10)" in after_epoch(watch, main=learning, aux1=guessing(), aux2=learning)
    assert "of all heads stays" in after_epoch(watch, main=guessing(), aux1=guessing(), aux2=guessing())
