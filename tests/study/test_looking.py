"""First filters, saliency and Grad-CAM against independent computations, and their pictures."""

import itertools
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from minicnn import DTypeError, ShapeError, Tensor, UsageError, models, nn, no_grad, study
from minicnn import functional as F
from minicnn.study.looking.picture import LayerMap
from minicnn.tensor import composed, fusion_enabled, observe

EPS = 1e-5


class Tail(nn.Module):
    """Maps to logits, without any averaging, so that gradients differ from place to place."""

    def __init__(self, inputs, classes, rng):
        super().__init__()
        self.fc = nn.Linear(inputs, classes, rng=rng)

    def forward(self, maps):
        return self.fc(F.flatten(F.tanh(maps)))


class Small(nn.Module):
    """Smooth everywhere, so that difference quotients tell the gradient."""

    def __init__(self, rng):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1, activation="tanh", rng=rng)
        self.tail = Tail(5 * 4 * 3, 4, rng)

    def forward(self, x):
        return self.tail(self.conv(x))


class Output(NamedTuple):
    logits: Tensor
    extra: None


class WithLogits(Small):
    def forward(self, x):
        return Output(super().forward(x), None)


@pytest.fixture
def small(rng) -> Small:
    return Small(rng).astype(np.float64)


@pytest.fixture
def x(rng):
    return rng.normal(size=(2, 5, 4, 2))


def quotients(score, array):
    """Central difference quotients of a number that depends on an array, coordinate by coordinate."""
    gradient = np.empty_like(array)
    for index in np.ndindex(array.shape):
        up, down = array.copy(), array.copy()
        up[index] += EPS
        down[index] -= EPS
        gradient[index] = (score(up) - score(down)) / (2 * EPS)
    return gradient


# ---- saliency ---------------------------------------------------------------------------------------


def test_saliency_is_what_difference_quotients_say(small, x):
    labels = [3, 1]
    expected = quotients(lambda a: sum(small(Tensor(a)).numpy()[[0, 1], labels]), x)
    np.testing.assert_allclose(study.input_gradient(small, x, labels), expected, atol=1e-9)
    saliency = study.saliency(small, x, labels)
    assert saliency.shape == (2, 5, 4)
    for n, i, j in np.ndindex(saliency.shape):
        assert saliency[n, i, j] == pytest.approx(max(abs(value) for value in expected[n, i, j]), abs=1e-9)


@pytest.mark.parametrize("function", [study.input_gradient, study.saliency, study.grad_cam])
def test_without_a_label_the_predicted_class_is_explained(small, x, function):
    predicted = small(Tensor(x)).numpy().argmax(axis=1)
    np.testing.assert_array_equal(function(small, Tensor(x)), function(small, x, predicted))
    others = (predicted + 1) % 4
    assert np.abs(function(small, x) - function(small, x, others)).max() > 1e-3


@pytest.mark.parametrize("function", [study.input_gradient, study.saliency, study.grad_cam])
def test_images_do_not_mix(small, x, function):
    together = function(small, x, 2)
    for n in range(2):
        np.testing.assert_allclose(function(small, x[n : n + 1], 2)[0], together[n], rtol=1e-12)


# ---- Grad-CAM ---------------------------------------------------------------------------------------


def test_grad_cam_is_its_definition(small, x):
    """Equations (1) and (2) as loops, with difference quotients for the gradient."""
    label = 1
    A = small.conv(Tensor(x)).numpy()  # (2, 5, 4, 3)
    gradient = quotients(lambda maps: small.tail(Tensor(maps)).numpy()[:, label].sum(), A)
    expected = np.zeros((2, 5, 4))
    for n in range(2):
        for k in range(3):
            alpha = sum(gradient[n, i, j, k] for i, j in np.ndindex(5, 4)) / (5 * 4)
            for i, j in np.ndindex(5, 4):
                expected[n, i, j] += alpha * A[n, i, j, k]
    assert (expected < -1e-3).any()  # so that the ReLU has something to do
    expected[expected < 0] = 0
    assert (expected > 1e-3).any()
    np.testing.assert_allclose(study.grad_cam(small, x, label, layer="conv"), expected, atol=1e-9)


def test_on_averaged_maps_it_is_the_class_activation_map(rng):
    """... divided by H W, and what is on it adds up to the logit: exactly, in numbers without rounding."""
    model = nn.Sequential(
        nn.Conv2d(1, 3, 1, activation="relu"), nn.GlobalAvgPool2d(), nn.Linear(3, 2)
    ).astype(np.float64)
    conv_weight, conv_bias, weight, bias = model.parameters()
    conv_weight.data = np.array([[[[1.0, -1.0, 2.0]]]])
    conv_bias.data = np.array([0.0, 1.0, -3.0])
    weight.data = np.array([[-3.0, 1.0], [2.0, 5.0], [1.0, 3.0]])
    bias.data = np.array([7.0, -1.0])
    x = rng.integers(-4, 5, (3, 4, 4, 1)).astype(np.float64)
    with no_grad():
        maps = model.__dict__["0"](Tensor(x)).numpy()
        logits = model(Tensor(x)).numpy()
    for label in range(2):
        cam = maps @ weight.numpy()[:, label]  # Zhou et al. 2016, equation (2)
        grad_cam = study.grad_cam(model, x, label, layer="0")
        assert np.array_equal(grad_cam, np.maximum(cam, 0) / 16)
        assert np.array_equal(cam.sum(axis=(1, 2)) / 16, logits[:, label] - bias.numpy()[label])
    assert np.array_equal(grad_cam.sum(axis=(1, 2)), logits[:, 1] - bias.numpy()[1])  # nothing is negative


@pytest.fixture(scope="module")
def googlenet() -> models.GoogLeNet:
    return models.googlenet_cifar(width=0.1, rng=np.random.default_rng(0)).astype(np.float64)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).normal(size=(2, 32, 32, 3))


@pytest.mark.parametrize(
    ("layer", "size"), [("inception3a", 16), ("inception4d", 8), ("inception5b", 4), ("conv1", 32)]
)
def test_fused_and_composed_networks_look_alike(googlenet, images, layer, size):
    """The gradient of the fused op's own output, by hand."""
    outputs = []
    googlenet.eval()
    with observe(lambda function, inputs, output: outputs.append((function, output))):
        logits = googlenet(Tensor(images, requires_grad=True)).logits
    maps = [output for function, output in outputs if function.module_path == layer][-1]
    assert fusion_enabled()
    if layer != "conv1":
        assert maps.creator.name == "inception"
    maps.retain_grad()
    label = logits.numpy().argmax(axis=1)  # of others, nothing may speak for them
    logits.backward(np.eye(10)[label])
    googlenet.zero_grad()
    by_hand = np.maximum((maps.grad.mean(axis=(1, 2), keepdims=True) * maps.data).sum(axis=3), 0)

    cam = study.grad_cam(googlenet, images, label, layer)
    assert cam.shape == (2, size, size)
    assert cam.max() > 0
    np.testing.assert_allclose(cam, by_hand, rtol=1e-9, atol=1e-12)
    with composed():
        np.testing.assert_array_equal(study.grad_cam(googlenet, images, label, layer), cam)


def test_parts_of_an_inception_module_are_layers_too(googlenet, images):
    assert study.grad_cam(googlenet, images, layer="inception4a.conv3x3").shape == (2, 8, 8)


def test_without_a_layer_the_last_maps_are_shown(googlenet, images, small, x):
    np.testing.assert_array_equal(
        study.grad_cam(googlenet, images), study.grad_cam(googlenet, images, layer="inception5b")
    )
    assert study.grad_cam(small, x).shape == (2, 5, 4)


def test_a_network_inside_another_one(small, x):
    alone = study.grad_cam(small, x, layer="conv")
    whole = nn.Sequential(nn.ReLU(), small)
    np.testing.assert_array_equal(study.grad_cam(small, x, layer="conv"), alone)
    np.testing.assert_array_equal(study.grad_cam(whole, np.abs(x), layer="1.conv"),
                                  study.grad_cam(small, np.abs(x), layer="conv"))  # fmt: skip


@pytest.mark.parametrize("function", [study.input_gradient, study.saliency, study.grad_cam])
def test_outputs_with_logits(rng, x, function):
    plain, wrapped = Small(rng).astype(np.float64), WithLogits(rng).astype(np.float64)
    wrapped.load_state_dict(plain.state_dict())
    np.testing.assert_array_equal(function(wrapped, x), function(plain, x))


def test_float32_stays_float32(x):
    small = Small(np.random.default_rng(0))
    for function in (study.input_gradient, study.saliency, study.grad_cam, study.first_filters):
        result = function(small) if function is study.first_filters else function(small, x.astype("f4"))
        assert result.dtype == np.float32


# ---- nothing is left behind -------------------------------------------------------------------------


@pytest.mark.parametrize("function", [study.input_gradient, study.saliency, study.grad_cam])
@pytest.mark.parametrize("shape", [(2, 32, 32, 3), (2, 32, 32, 5)], ids=["right", "wrong"])
def test_the_model_is_left_as_it_was(function, shape, rng):
    model = models.googlenet_cifar(width=0.02, rng=rng)
    model.inception4b.eval()
    for parameter in itertools.islice(model.parameters(), 3):
        parameter.grad = np.ones(parameter.shape, np.float32)
    model.fc.bias.requires_grad = False
    modes = [module.training for _, module in model.named_modules()]
    before = [(p.grad, p.requires_grad, p.data.tobytes()) for p in model.parameters()]
    x = Tensor(rng.normal(size=shape).astype(np.float32), requires_grad=True)
    if shape[3] == 3:
        function(model, x)
    else:
        with pytest.raises(ShapeError, match="expected images of shape"):
            function(model, x)
    assert [module.training for _, module in model.named_modules()] == modes
    for parameter, (grad, wish, data) in zip(model.parameters(), before, strict=True):
        assert parameter.grad is grad
        assert parameter.requires_grad == wish
        assert parameter.data.tobytes() == data
    assert x.grad is None


# ---- bad input --------------------------------------------------------------------------------------


class Pair(Small):
    def forward(self, x):
        return x, x


class Aside(Small):
    """The convolution runs, but nothing depends on it."""

    def forward(self, x):
        self.conv(x)
        return self.tail(F.concat([x, x[:, :, :, :1]]))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"layer": "cnov"}, UsageError, "there is no 'cnov' in the network; near it: conv"),
        ({"layer": ""}, UsageError, "there is no '' in the network"),
        ({"layer": "tail"}, ShapeError, r"whose output are maps \(N, h, w, K\), got \(2, 4\) from 'tail'"),
        ({"label": 4}, UsageError, "label: expected classes of 0 to 3, got 4"),
        ({"label": -1}, UsageError, "label: expected classes of 0 to 3, got -1"),
        ({"label": [1, 2, 3]}, ShapeError, "or one for each of 2 images"),
        ({"label": 1.0}, ShapeError, "label: expected a whole number"),
        ({"x": np.ones((2, 5, 4))}, ShapeError, r"expected images of shape \(N, H, W, C\), got \(2, 5, 4\)"),
        ({"x": np.ones((2, 5, 4, 2), np.uint8)}, DTypeError, "floating-point numbers, got dtype uint8"),
        ({"x": [1.0]}, DTypeError, "got list"),
        ({"model": Pair}, DTypeError, "expected it to return logits, .* got tuple"),
        ({"model": Aside, "layer": "conv"}, UsageError, "do not depend on the output of 'conv'"),
    ],
)  # fmt: skip
def test_bad_input(rng, x, arguments, error, words):
    model = arguments.pop("model", Small)(rng).astype(np.float64)
    with pytest.raises(error, match=f"^grad_cam: .*{words}"):
        study.grad_cam(model, **{"x": x, **arguments})


def test_layers_that_do_not_run(googlenet, images):
    with pytest.raises(UsageError, match="'aux1' runs no op in evaluation mode"):
        study.grad_cam(googlenet, images, layer="aux1")


def test_under_no_grad(small, x):
    with no_grad(), pytest.raises(UsageError, match=r"no recorded link to x \(is this called under no_grad"):
        study.saliency(small, x)


# ---- filters ----------------------------------------------------------------------------------------


def test_first_filters(googlenet):
    filters = study.first_filters(googlenet)
    weight = googlenet.conv1.weight.numpy()  # (3, 3, 3, 6)
    assert filters.shape == (6, 3, 3, 3)
    for o in range(6):
        np.testing.assert_array_equal(filters[o], weight[:, :, :, o])
    filters[:] = 0
    assert googlenet.conv1.weight.numpy().any()


@pytest.mark.parametrize("columns", [None, 1, 3, 7])
@pytest.mark.parametrize("colours", [1, 3])
def test_the_grid_places_every_filter(rng, columns, colours):
    filters = rng.normal(size=(7, 2, 3, colours))
    grid = study.filter_grid(filters, columns)
    per_row = columns or 3
    rows = -(-7 // per_row)
    assert grid.shape == (rows * 3 + 1, per_row * 4 + 1, 3)
    largest = np.abs(filters).max()
    rest = np.ones(grid.shape[:2], bool)
    for place in range(7):
        top, left = place // per_row * 3 + 1, place % per_row * 4 + 1
        cell = grid[top : top + 2, left : left + 3]
        np.testing.assert_allclose((2 * cell - 1) * largest, np.broadcast_to(filters[place], cell.shape))
        rest[top : top + 2, left : left + 3] = False
    assert (grid[rest] == 1).all()
    assert grid.min() >= 0
    assert grid.max() <= 1


def test_filters_that_are_all_zero_are_grey():
    assert study.filter_grid(np.zeros((1, 2, 2, 3)))[1, 1].tolist() == [0.5, 0.5, 0.5]


def test_filters_without_colours(rng):
    with pytest.raises(UsageError, match="expected a model with a convolution"):
        study.first_filters(nn.Linear(3, 2))
    with pytest.raises(ShapeError, match=r"filter_grid: filters: .* got \(2, 3, 3, 5\)"):
        study.filter_grid(np.ones((2, 3, 3, 5)))


# ---- pictures ---------------------------------------------------------------------------------------


def look(rng, scale=1.0) -> study.Look:
    def layer_map(size):
        return LayerMap(f"inception{size}", (size, size), scale * rng.random((12, 10)))

    probabilities = rng.random(7)
    return study.Look(
        title="A look",
        image=rng.integers(0, 256, (12, 10, 3)).astype(np.uint8),
        class_names=[f"a class whose name has {n} of many letters" for n in range(7)],
        probabilities=probabilities / probabilities.sum(),
        label=int(probabilities.argmin()),
        saliency=scale * rng.random((12, 10)),
        cam=layer_map(4),
        other_depths=[layer_map(12), layer_map(8)],
        filters=scale * rng.normal(size=(5, 3, 3, 3)),
    )


@pytest.mark.parametrize("scale", [1.0, 0.0])
def test_pictures(rng, tmp_path, monkeypatch, scale):
    monkeypatch.setattr("minicnn.study.looking.picture.DPI", 40)
    folder = tmp_path / "deep" / "folder"
    written = study.draw_look(look(rng, scale), folder)
    names = ["look", "image", "classes", "saliency", "grad_cam", "filters", "depths"]
    assert written == [folder / f"{name}.png" for name in names]
    assert sorted(folder.iterdir()) == sorted(written)
    for path in written:
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert len(np.unique(np.array(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 20


def test_the_explained_class_is_shown_although_it_is_improbable(rng):
    from matplotlib.figure import Figure

    from minicnn.study.looking.picture import _draw_classes

    axes = Figure().add_subplot()
    _draw_classes(axes, look(rng))
    texts = [text.get_text() for text in axes.texts]
    assert len(texts) == 5
    assert [text.get_fontweight() for text in axes.texts] == ["normal"] * 4 + ["bold"]
