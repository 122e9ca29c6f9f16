"""The variances that the three schemes promise, and the biases they set."""

import numpy as np
import pytest

from minicnn import Tensor, UsageError, nn
from minicnn.nn.initialisers import classifier_normal, fans

SHAPES = {"conv": ((5, 5, 48, 64), 5 * 5 * 48, 5 * 5 * 64), "linear": ((300, 200), 300, 200)}


@pytest.mark.parametrize(("shape", "fan_in", "fan_out"), SHAPES.values(), ids=SHAPES)
def test_fans(shape, fan_in, fan_out):
    assert fans(shape) == (fan_in, fan_out)


@pytest.mark.parametrize(("shape", "fan_in", "fan_out"), SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("scheme", ["he", "glorot", "caffe"])
def test_variance_and_distribution(scheme, shape, fan_in, fan_out, rng):
    draw = {"he": nn.he_normal, "glorot": nn.glorot_uniform, "caffe": nn.caffe_xavier}[scheme]
    variance = {"he": 2 / fan_in, "glorot": 2 / (fan_in + fan_out), "caffe": 1 / fan_in}[scheme]
    w = draw(shape, rng)
    assert w.dtype == np.float32
    assert w.shape == shape
    assert abs(w.mean()) < 4 * np.sqrt(variance / w.size)
    assert w.var() == pytest.approx(variance, rel=0.03)
    standardised = np.abs(w) / np.sqrt(variance)
    if scheme == "he":
        assert (standardised > 1).mean() == pytest.approx(0.3173, rel=0.05)  # as of a normal distribution
    else:
        assert standardised.max() == pytest.approx(np.sqrt(3), rel=0.001)  # as of a uniform one


class Network(nn.Module):
    def __init__(self, bias=True):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, activation="relu", bias=bias)
        self.hidden = nn.Linear(8, 8, activation="relu", bias=bias)
        self.classifier = nn.Linear(8, 4, bias=bias)


@pytest.mark.parametrize(("scheme", "bias"), [("he", 0.0), ("glorot", 0.2), ("caffe", 0.2)])
def test_biases(scheme, bias, rng):
    model = Network()
    for p in model.parameters():
        p.data = np.full_like(p.data, 7)
    nn.initialise(model, scheme, rng)
    assert (model.conv.bias.data == np.float32(bias)).all()
    assert (model.hidden.bias.data == np.float32(bias)).all()
    assert (model.classifier.bias.data == 0).all()
    assert all((p.data != 7).all() for p in model.parameters())


@pytest.mark.parametrize("scheme", ["he", "glorot", "caffe"])
def test_every_scheme_draws_layer_after_layer_from_the_generator(scheme):
    model = Network(bias=False)
    nn.initialise(model, scheme, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    draw = {"he": nn.he_normal, "glorot": nn.glorot_uniform, "caffe": nn.caffe_xavier}[scheme]
    np.testing.assert_array_equal(model.conv.weight.data, draw((3, 3, 3, 8), rng))
    np.testing.assert_array_equal(model.hidden.weight.data, draw((8, 8), rng))
    np.testing.assert_array_equal(model.classifier.weight.data, classifier_normal((8, 4), rng))


def test_classifiers_start_small(rng):
    """All classes are about equally likely at first, whatever the scheme: the loss starts at ln K."""
    w = classifier_normal((200, 300), rng)
    assert w.dtype == np.float32
    assert w.std() == pytest.approx(0.01, rel=0.02)
    assert abs(w.mean()) < 4 * 0.01 / np.sqrt(w.size)


def test_zero_is_zero_everywhere(rng):
    model = Network()
    nn.initialise(model, "zero", rng)
    assert all((p.data == 0).all() and p.dtype == np.float32 for p in model.parameters())


def test_dtype_is_kept(rng):
    model = Network().astype(np.float64)
    nn.initialise(model, "he", rng)
    assert all(p.dtype == np.float64 for p in model.parameters())


def test_he_keeps_the_variance_through_many_relu_layers(rng):
    """This is what it is for: the same with Glorot's scheme fades away."""
    spreads = {}
    for scheme in ("he", "glorot"):
        model = nn.Sequential(*(nn.Linear(256, 256, activation="relu", bias=False) for _ in range(20)))
        nn.initialise(model, scheme, rng)
        spreads[scheme] = np.square(
            model(Tensor(rng.standard_normal((64, 256)).astype(np.float32))).data
        ).mean()
    assert 0.1 < spreads["he"] < 10
    assert spreads["glorot"] < 1e-4


def test_unknown_scheme():
    with pytest.raises(
        UsageError, match=r"^initialisation: expected one of he, glorot, caffe, zero, got 'xavier'$"
    ):
        nn.initialise(Network(), "xavier")
