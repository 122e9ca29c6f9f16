"""What each branch adds to a score: against sums written out, and against running the network again."""

import itertools

import numpy as np
import pytest

from minicnn import Tensor, models, nn, no_grad, study
from minicnn.errors import ShapeError, UsageError
from minicnn.study.branches import BRANCHES
from minicnn.tensor import composed


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return rng.standard_normal((5, 6, 7, 3)), rng.integers(0, 4, 5)


@pytest.fixture
def linear_after_branches():
    """The score is linear in what the branches say."""
    rng = np.random.default_rng(1)
    model = nn.Sequential(
        nn.Inception(3, 4, 3, 5, 2, 6, 3, rng=rng), nn.GlobalAvgPool2d(), nn.Linear(18, 4, rng=rng)
    )
    return model.astype(np.float64)


def test_against_the_sum_written_out(linear_after_branches, images):
    x, labels = images
    model = linear_after_branches
    inception, _, linear = (module for _, module in model.children())
    with no_grad(), composed():
        activations = inception(Tensor(x)).numpy()  # (N, H, W, 18)
    above = activations.mean(axis=(1, 2)) - activations.mean(axis=(0, 1, 2))  # (N, 18)
    weight = linear.weight.data
    importance = weight[:, labels] - weight.mean(axis=1, keepdims=True)  # (18, N)
    by_channel = above * importance.T
    expected = np.stack([part.sum(axis=1) for part in np.split(by_channel, [4, 9, 15], axis=1)], axis=1)
    scores = study.branch_scores(model, x, labels)
    assert scores.gradient["0"] == pytest.approx(expected, rel=1e-10, abs=1e-12)
    assert scores.silenced["0"] == pytest.approx(expected, rel=1e-10, abs=1e-12)
    assert np.abs(expected).min() > 1e-4


def test_against_branches_replaced_by_hand(images):
    """Two modules in a row: now silencing is more than the first order."""
    x, labels = images
    rng = np.random.default_rng(2)
    model = nn.Sequential(
        nn.Inception(3, 4, 3, 5, 2, 6, 3, rng=rng), nn.Inception(18, 2, 3, 4, 2, 2, 3, rng=rng),
        nn.GlobalAvgPool2d(), nn.Linear(11, 4, rng=rng),
    ).astype(np.float64)  # fmt: skip
    first, *rest = (module for _, module in model.children())
    cuts = np.cumsum([0, 4, 5, 6, 3])

    def score(activations):
        y = Tensor(activations)
        for module in rest:
            y = module(y)
        logits = y.numpy()
        return logits[np.arange(5), labels] - logits.mean(axis=1)

    with no_grad():
        activations = first(Tensor(x)).numpy()
        expected = []
        for start, stop in itertools.pairwise(cuts):
            replaced = activations.copy()
            replaced[..., start:stop] = activations[..., start:stop].mean(axis=(0, 1, 2))
            expected.append(score(activations) - score(replaced))
    scores = study.branch_scores(model, x, labels)
    assert scores.silenced["0"] == pytest.approx(np.stack(expected, axis=1), rel=1e-9, abs=1e-12)
    assert list(scores.silenced) == ["0", "1"]
    assert not np.allclose(scores.gradient["0"], scores.silenced["0"], rtol=0.01)


def test_batches_make_no_difference(linear_after_branches, images, monkeypatch):
    x, labels = images
    whole = study.branch_scores(linear_after_branches, x, labels)
    monkeypatch.setattr("minicnn.study.branches.BATCH_SIZE", 2)
    for one, other in zip(study.branch_scores(linear_after_branches, x, labels), whole, strict=True):
        assert one["0"] == pytest.approx(other["0"], rel=1e-10, abs=1e-13)


def test_the_network_is_left_as_it_was():
    model = models.googlenet_cifar(width=0.05, rng=np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((3, 32, 32, 3)).astype(np.float32)
    before = {name: (p.data, p.data.copy()) for name, p in model.named_parameters()}
    scores = study.branch_scores(model, x, np.array([0, 1, 2]))
    assert len(scores.silenced) == 9
    assert scores.silenced["inception5b"].shape == (3, len(BRANCHES))
    assert model.training
    for name, parameter in model.named_parameters():
        array, values = before[name]
        assert parameter.data is array
        assert np.array_equal(array, values)
        assert parameter.grad is None


def test_errors(linear_after_branches, images):
    x, labels = images
    with pytest.raises(ShapeError, match=r"^branch_scores: labels: expected shape \(5,\), got \(4,\)$"):
        study.branch_scores(linear_after_branches, x, labels[:4])
    with pytest.raises(UsageError, match=r"^branch_scores: model: there is no inception module in it$"):
        study.branch_scores(nn.Sequential(nn.Linear(3, 2)), x, labels)
    smooth = nn.Sequential(nn.Inception(3, 1, 1, 1, 1, 1, 1, activation="tanh"))
    with pytest.raises(UsageError, match=r"^branch_scores: 0: expected ReLUs in it, got tanh$"):
        study.branch_scores(smooth, x, labels)
