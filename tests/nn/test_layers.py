"""Layers hand their settings on to the functions of the same name."""

import numpy as np
import pytest

from minicnn import ShapeError, Tensor, UsageError, composed, nn
from minicnn import functional as F


@pytest.fixture
def x(rng):
    return Tensor(rng.standard_normal((3, 7, 8, 4)).astype(np.float32))


@pytest.mark.parametrize("single_ops", [True, False])
@pytest.mark.parametrize("activation", [None, "relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("bias", [True, False])
def test_conv2d(x, rng, activation, bias, single_ops):
    settings = {"stride": (2, 1), "padding": ((0, 1), (2, 0)), "groups": 2}
    layer = nn.Conv2d(4, 6, (3, 2), **settings, bias=bias, activation=activation, rng=rng)
    assert layer.weight.shape == (3, 2, 2, 6)
    assert layer.num_parameters() == 3 * 2 * 2 * 6 + 6 * bias
    if bias:
        layer.bias.data = rng.standard_normal(6).astype(np.float32)
    expected = F.conv2d(x, layer.weight, layer.bias, **settings)
    expected = {"relu": F.relu, "sigmoid": F.sigmoid, "tanh": F.tanh, None: lambda y: y}[activation](expected)
    if single_ops:
        with composed():
            y = layer(x)
    else:
        y = layer(x)
    np.testing.assert_array_equal(y.data, expected.data)


@pytest.mark.parametrize("activation", [None, "relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(rng, activation, bias):
    x = Tensor(rng.standard_normal((3, 5)).astype(np.float32))
    layer = nn.Linear(5, 2, bias=bias, activation=activation, rng=rng)
    assert layer.weight.shape == (5, 2)
    assert layer.num_parameters() == 10 + 2 * bias
    if bias:
        layer.bias.data = rng.standard_normal(2).astype(np.float32)
    expected = F.linear(x, layer.weight, layer.bias)
    expected = {"relu": F.relu, "sigmoid": F.sigmoid, "tanh": F.tanh, None: lambda y: y}[activation](expected)
    np.testing.assert_array_equal(layer(x).data, expected.data)


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (nn.MaxPool2d(3), lambda x: F.max_pool2d(x, 3, 3)),
        (nn.MaxPool2d((2, 3), 2, 1, True), lambda x: F.max_pool2d(x, (2, 3), 2, 1, True)),
        (nn.AvgPool2d(2), lambda x: F.avg_pool2d(x, 2, 2)),
        (nn.AvgPool2d(3, 2, 1, True, False), lambda x: F.avg_pool2d(x, 3, 2, 1, True, False)),
        (nn.GlobalAvgPool2d(), F.global_avg_pool2d),
        (nn.LocalResponseNorm(), F.local_response_norm),
        (nn.LocalResponseNorm(3, 2.0, 0.5, 1.5), lambda x: F.local_response_norm(x, 3, 2.0, 0.5, 1.5)),
        (nn.ReLU(), F.relu),
        (nn.Flatten(), F.flatten),
    ],
    ids=lambda value: repr(value) if isinstance(value, nn.Module) else "",
)
def test_layers_without_weights(x, layer, function):
    assert layer.num_parameters() == 0
    np.testing.assert_array_equal(layer(x).data, function(x).data)


def test_dropout_works_in_training_only_and_reads_its_settings_at_each_call(x):
    layer = nn.Dropout(0.5, rng=np.random.default_rng(1))
    y = layer(x)
    np.testing.assert_array_equal(y.data, F.dropout(x, 0.5, rng=np.random.default_rng(1)).data)
    assert (layer(x).data != y.data).any()
    layer.rng = np.random.default_rng(1)
    np.testing.assert_array_equal(layer(x).data, y.data)
    layer.p = 0.0
    assert layer(x) is x
    layer.p = 0.5
    assert layer.eval()(x) is x


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: nn.Conv2d(0, 1, 1), ShapeError, r"^Conv2d: in_channels: expected at least 1, got 0$"),
        (
            lambda: nn.Conv2d(1, 1.5, 1),
            ShapeError,
            r"^Conv2d: out_channels: expected a whole number, got 1\.5$",
        ),
        (lambda: nn.Conv2d(1, 1, (1, 0)), ShapeError, r"^Conv2d: kernel_size: expected at least 1, got 0$"),
        (
            lambda: nn.Conv2d(5, 4, 1, groups=2),
            ShapeError,
            r"^Conv2d: groups: expected a divisor of 5 input and 4 output channels, got 2$",
        ),
        (lambda: nn.Linear(3, 0), ShapeError, r"^Linear: out_features: expected at least 1, got 0$"),
        (
            lambda: nn.Conv2d(1, 1, 1, activation="gelu"),
            UsageError,
            r"^activation: expected one of relu, sigmoid, tanh or None, got 'gelu'$",
        ),
        (
            lambda: nn.Linear(1, 1, activation="gelu"),
            UsageError,
            r"^activation: expected one of relu, sigmoid, tanh",
        ),
    ],
)
def test_impossible_layers_are_refused_when_made(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_weights_come_from_the_generator():
    a, b = (nn.Conv2d(3, 4, 3, rng=np.random.default_rng(5)).weight.data for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert (nn.Conv2d(3, 4, 3).weight.data != nn.Conv2d(3, 4, 3).weight.data).any()
    a, b = (nn.Linear(3, 4, rng=np.random.default_rng(5)).weight.data for _ in range(2))
    np.testing.assert_array_equal(a, b)
