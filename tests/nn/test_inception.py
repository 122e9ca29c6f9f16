"""Inception modules and the auxiliary head: what flows where, and fused equal to composed."""

import contextlib

import numpy as np
import pytest

from minicnn import ShapeError, Tensor, composed, nn, no_grad
from minicnn import functional as F
from minicnn.tensor import observe
from op_runs import threads, tile_bytes


def images(rng, *shape):
    return Tensor(rng.standard_normal(shape), requires_grad=True)


@pytest.fixture
def inception(rng):
    module = nn.Inception(5, 3, 2, 4, 1, 2, 6, rng=rng).astype(np.float64)
    for p in module.parameters():
        p.data = rng.standard_normal(p.shape) / 2  # biases too
    return module


def by_hand(module, x):
    """The module as in the paper's figure 2b, one op at a time."""

    def conv(layer, x, padding=0):
        return F.relu(F.conv2d(x, layer.weight, layer.bias, padding=padding))

    return F.concat(
        [
            conv(module.conv1x1, x),
            conv(module.conv3x3, conv(module.conv3x3_reduce, x), 1),
            conv(module.conv5x5, conv(module.conv5x5_reduce, x), 2),
            conv(module.pool_proj, F.max_pool2d(x, 3, 1, 1)),
        ]
    )


@pytest.mark.parametrize("mode", ["fused", "composed"])
def test_inception_is_the_papers_figure(inception, rng, mode):
    x = images(rng, 2, 5, 4, 5)
    gy = rng.standard_normal((2, 5, 4, inception.out_channels))
    results = []
    for function in (inception, lambda x: by_hand(inception, x)):
        inception.zero_grad()
        x.zero_grad()
        if mode == "composed":
            with composed():
                y = function(x)
        else:
            y = function(x)
        y.backward(gy)
        results.append([y.data, x.grad, *(p.grad for p in inception.parameters())])
    assert results[0][0].shape == gy.shape == (2, 5, 4, 3 + 4 + 2 + 6)
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_composed_inception_records_every_box_of_the_figure(inception, rng):
    names = []
    with (
        composed(),
        observe(lambda function, inputs, output: names.append((function.name, function.module_path))),
    ):
        nn.Sequential(inception)(images(rng, 1, 3, 3, 5))
    convolutions = ["conv1x1", "conv3x3_reduce", "conv3x3", "conv5x5_reduce", "conv5x5"]
    assert names == [
        *((op, f"0.{name}") for name in convolutions for op in ("conv2d", "relu")),
        ("max_pool2d", "0.pool"),
        ("conv2d", "0.pool_proj"),
        ("relu", "0.pool_proj"),
        ("concat", "0"),
    ]


def test_input_gradient_is_the_sum_over_the_four_branches(inception, rng):
    x = images(rng, 1, 4, 4, 5)
    gy = rng.standard_normal((1, 4, 4, inception.out_channels))
    inception(x).backward(gy)
    total, start = np.zeros_like(x.data), 0
    for width in (3, 4, 2, 6):
        alone = Tensor(x.data, requires_grad=True)
        part = np.zeros_like(gy)
        part[..., start : start + width] = gy[..., start : start + width]
        inception(alone).backward(part)
        assert alone.grad.any()
        total += alone.grad
        start += width
    np.testing.assert_allclose(x.grad, total, rtol=1e-12, atol=1e-12)


def test_parameters_are_named_after_the_papers_table(inception):
    names = ["conv1x1", "conv3x3_reduce", "conv3x3", "conv5x5_reduce", "conv5x5", "pool_proj"]
    expected = [f"{name}.{kind}" for name in names for kind in ("weight", "bias")]
    assert [name for name, _ in inception.named_parameters()] == expected
    assert inception.conv5x5.weight.shape == (5, 5, 1, 2)


def test_naive_inception_hands_its_input_channels_on(rng):
    module = nn.NaiveInception(5, 3, 4, 2, rng=rng).astype(np.float64)
    x = images(rng, 2, 4, 4, 5)
    y = module(x)
    assert y.shape == (2, 4, 4, module.out_channels) == (2, 4, 4, 3 + 4 + 2 + 5)
    np.testing.assert_array_equal(y.data[..., 9:], F.max_pool2d(x, 3, 1, 1).data)
    for name, kernel, start, end in (("conv1x1", 1, 0, 3), ("conv3x3", 3, 3, 7), ("conv5x5", 5, 7, 9)):
        layer = getattr(module, name)
        expected = F.relu(F.conv2d(x, layer.weight, layer.bias, padding=kernel // 2))
        np.testing.assert_allclose(y.data[..., start:end], expected.data, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_other_activations_follow_every_convolution(rng, activation):
    names = []
    for module in (
        nn.Inception(3, 1, 1, 1, 1, 1, 1, activation=activation, rng=rng),
        nn.NaiveInception(3, 1, 1, 1, activation=activation, rng=rng),
        nn.AuxiliaryHead(3, 1, 2, 2, 3, activation=activation, rng=rng),
    ):
        with observe(lambda function, inputs, output: names.append(function.name)):
            module(Tensor(np.zeros((1, 5, 5, 3), np.float32)))
    assert names.count("conv2d") == 6 + 3 + 1
    assert names.count(activation) == 6 + 3 + 2
    assert "relu" not in names
    assert "conv2d_relu" not in names


def test_auxiliary_head_is_the_papers(rng):
    head = nn.AuxiliaryHead(6, 2, 10, conv_channels=4, hidden=5, rng=rng).astype(np.float64).eval()
    for p in head.parameters():
        p.data = rng.standard_normal(p.shape)
    x = images(rng, 3, 8, 8, 6)
    h = F.relu(F.conv2d(F.avg_pool2d(x, 5, 3), head.conv.weight, head.conv.bias))  # (3, 2, 2, 4)
    h = F.relu(F.linear(F.reshape(h, 3, 16), head.fc1.weight, head.fc1.bias))  # flattened in NHWC order
    expected = F.linear(h, head.fc2.weight, head.fc2.bias)
    np.testing.assert_allclose(head(x).data, expected.data, rtol=1e-12)
    assert head.dropout.p == 0.7
    assert [name for name, _ in head.named_parameters()] == [
        f"{layer}.{kind}" for layer in ("conv", "fc1", "fc2") for kind in ("weight", "bias")
    ]


def test_auxiliary_head_drops_most_of_the_hidden_units_in_training(rng):
    head = nn.AuxiliaryHead(6, 2, 10, conv_channels=4, hidden=2000, rng=rng)
    seen = {}
    with observe(lambda function, inputs, output: seen.update({function.name: output.data})):
        head(Tensor(np.ones((1, 8, 8, 6), np.float32)))
    active = seen["relu"] > 0
    assert (seen["dropout"][active] == 0).mean() == pytest.approx(0.7, abs=0.06)


def test_wrong_channel_count_names_the_module(inception):
    wrong = Tensor(np.zeros((1, 4, 4, 4)))
    with pytest.raises(ShapeError, match=r"^inception: x: expected 5 channels .* got 4 .* \(in 0\)$"):
        nn.Sequential(inception)(wrong)
    with (
        composed(),
        pytest.raises(ShapeError, match=r"^conv2d: x: expected 5 channels .* got 4 .* \(in 0\.conv1x1\)$"),
    ):
        nn.Sequential(inception)(wrong)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(
    ("batch", "size", "widths"),
    [
        (1, (7, 9), (6, 4, 3, 5, 2, 3, 4)),
        (5, (1, 3), (3, 1, 2, 2, 1, 1, 1)),
        (40, (8, 8), (48, 16, 24, 40, 8, 12, 8)),  # several tiles; in float32 Winograd's algorithm
        (3, (28, 27), (32, 16, 24, 32, 4, 8, 8)),
    ],
    ids=str,
)
def test_one_op_equals_fourteen(rng, batch, size, widths, dtype):
    module = nn.Inception(*widths, rng=rng)
    for p in module.parameters():
        p.data = (rng.standard_normal(p.shape) / 4).astype(dtype)
    x = Tensor(rng.standard_normal((batch, *size, widths[0])).astype(dtype), requires_grad=True)
    gy = rng.standard_normal((batch, *size, module.out_channels)).astype(dtype)
    before = x.data.copy(), gy.copy()
    results, names = [], []
    for mode in (contextlib.nullcontext, composed):
        module.zero_grad()
        x.zero_grad()
        seen = []
        with mode(), observe(lambda function, inputs, output, seen=seen: seen.append(function.name)):
            y = module(x)
        y.backward(gy)
        results.append([y.data, x.grad, *(p.grad for p in module.parameters())])
        names.append(seen)
    assert names[0] == ["inception"]
    assert len(names[1]) == 14
    for found, expected in zip(*results, strict=True):
        assert found.dtype == dtype
        bound = (1e-13 if dtype == np.float64 else 1e-5) * np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=bound)
    np.testing.assert_array_equal(x.data, before[0])
    np.testing.assert_array_equal(gy, before[1])


@pytest.mark.parametrize("batch", [1, 24])
def test_results_do_not_depend_on_the_number_of_threads(rng, batch):
    module = nn.Inception(48, 16, 24, 40, 8, 12, 8, rng=rng)
    images = rng.standard_normal((batch, 16, 16, 48)).astype(np.float32)
    results = []
    for count in (1, 2, 3):
        module.zero_grad()
        x = Tensor(images, requires_grad=True)
        with threads(count), tile_bytes(1 << 18):
            y = module(x)
            y.backward(np.ones(y.shape, np.float32))
        results.append([y.data, x.grad, *(p.grad for p in module.parameters())])
    for other in results[1:]:
        for found, expected in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(found, expected)


def test_evaluation_keeps_nothing_and_gives_the_same(rng):
    module = nn.Inception(8, 4, 3, 6, 2, 5, 7, rng=rng)
    x = Tensor(rng.standard_normal((3, 6, 6, 8)).astype(np.float32))
    kept = []
    with no_grad(), observe(lambda function, inputs, output: kept.append(function)):
        y = module(x)
    assert not y.requires_grad
    assert kept[0].saved == ()
    np.testing.assert_array_equal(y.data, module(x).data)
