"""GoogLeNet against the published table, and how its heads come and go."""

import itertools

import numpy as np
import pytest

from minicnn import DTypeError, ShapeError, Tensor, UsageError, composed, models, nn, no_grad
from minicnn import functional as F
from minicnn.tensor import observe

# Stage, output (H, W, C), 1024s of weights, millions of multiply-adds: the paper's table 1 with the figures
# that follow from its widths. Where the paper prints others, docs/googlenet.md says why.
TABLE = [
    ("conv1", (112, 112, 64), 9.2, 118.0),
    ("pool1", (56, 56, 64), 0, 0),
    ("norm1", (56, 56, 64), 0, 0),
    ("conv2_reduce conv2", (56, 56, 192), 112.0, 359.7),
    ("norm2", (56, 56, 192), 0, 0),
    ("pool2", (28, 28, 192), 0, 0),
    ("inception3a", (28, 28, 256), 159.5, 128.0),
    ("inception3b", (28, 28, 480), 379.0, 304.3),
    ("pool3", (14, 14, 480), 0, 0),
    ("inception4a", (14, 14, 512), 366.8, 73.6),
    ("inception4b", (14, 14, 512), 438.0, 87.9),
    ("inception4c", (14, 14, 512), 497.5, 99.9),
    ("inception4d", (14, 14, 528), 590.5, 118.5),
    ("inception4e", (14, 14, 832), 847.0, 170.0),
    ("pool4", (7, 7, 832), 0, 0),
    ("inception5a", (7, 7, 832), 1018.0, 51.1),
    ("inception5b", (7, 7, 1024), 1409.0, 70.7),
    ("global_pool", (1024,), 0, 0),
    ("fc", (1000,), 1000, 1.0),
]
HEADS_TABLE = [
    ("aux1.pool", (4, 4, 512)),
    ("aux1.conv", (4, 4, 128)),
    ("aux1.fc1", (1024,)),
    ("aux1.fc2", (1000,)),
    ("aux2.pool", (4, 4, 528)),
    ("aux2.conv", (4, 4, 128)),
    ("aux2.fc1", (1024,)),
    ("aux2.fc2", (1000,)),
]
# The same stages of the small network for 32x32 images.
SMALL_TABLE = [
    ("conv1", (32, 32, 64)),
    ("norm1", (32, 32, 64)),
    ("conv2_reduce", (32, 32, 64)),
    ("conv2", (32, 32, 192)),
    ("norm2", (32, 32, 192)),
    ("pool2", (16, 16, 192)),
    ("inception3a", (16, 16, 256)),
    ("inception3b", (16, 16, 480)),
    ("pool3", (8, 8, 480)),
    ("inception4a", (8, 8, 512)),
    ("inception4d", (8, 8, 528)),
    ("inception4e", (8, 8, 832)),
    ("pool4", (4, 4, 832)),
    ("inception5b", (4, 4, 1024)),
    ("global_pool", (1024,)),
    ("fc", (10,)),
    ("aux1.pool", (2, 2, 512)),
    ("aux1.fc1", (1024,)),
    ("aux2.pool", (2, 2, 528)),
    ("aux2.fc2", (10,)),
]

MODULES = [f"inception{row}" for row in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")]
BRANCHES = ["conv1x1", "conv3x3_reduce", "conv3x3", "conv5x5_reduce", "conv5x5", "pool_proj"]


class Trace:
    """What flows through a network: the last output below each module path, and the multiply-adds."""

    def __init__(self, model, x, **kwargs):
        self.outputs: dict[str, tuple[int, ...]] = {}
        self.macs: dict[str, int] = {}
        with no_grad(), composed(), observe(self.note):
            self.result = model(x, **kwargs)

    def note(self, function, inputs, output):
        *parents, last = function.module_path.split(".")
        for path in itertools.accumulate([*parents, last], "{}.{}".format):
            self.outputs[path] = output.shape
            if function.name in ("conv2d", "linear"):
                weight = inputs[1]
                self.macs[path] = self.macs.get(path, 0) + output.size * weight.size // weight.shape[-1]


@pytest.fixture(scope="module")
def published():
    return models.googlenet(rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def trace(published):
    rng = np.random.default_rng(1)
    return Trace(
        published.eval(), Tensor(rng.standard_normal((1, 224, 224, 3)).astype(np.float32)), heads=True
    )


def small(aux=True, width=0.1, **kwargs):
    return models.googlenet_cifar(width=width, aux=aux, rng=np.random.default_rng(0), **kwargs)


def images(count=2, size=32, channels=3, dtype=np.float32):
    return Tensor(np.random.default_rng(2).standard_normal((count, size, size, channels)).astype(dtype))


# ---- the published network ----


def test_parameter_counts(published):
    state = published.state_dict()
    heads = sum(array.size for name, array in state.items() if name.startswith("aux"))
    assert published.num_parameters() == 13_378_280
    assert heads == 6_379_728
    assert published.num_parameters() - heads == 6_998_552
    without_biases = sum(
        array.size for name, array in state.items() if "aux" not in name and "bias" not in name
    )
    assert without_biases == 6_990_272


def test_number_of_layers(published):
    kinds = [type(module) for path, module in published.named_modules() if not path.startswith("aux")]
    assert kinds.count(nn.Conv2d) == 57
    assert kinds.count(nn.Inception) == 9
    fives = [
        m for path, m in published.named_modules() if isinstance(m, nn.Conv2d) and m.weight.shape[0] == 5
    ]
    assert len(fives) == 9


@pytest.mark.parametrize(("stage", "shape", "weights", "macs"), TABLE, ids=[row[0] for row in TABLE])
def test_published_table(published, trace, stage, shape, weights, macs):
    layers = stage.split()
    assert trace.outputs[layers[-1]] == (1, *shape)
    found = sum(
        array.size
        for name, array in published.state_dict().items()
        if name.startswith(tuple(f"{s}." for s in layers)) and name.endswith("weight")
    )
    assert found / 1024 == pytest.approx(weights, abs=0.051)
    assert sum(trace.macs.get(layer, 0) for layer in layers) / 1e6 == pytest.approx(macs, abs=0.051)


@pytest.mark.parametrize(("path", "shape"), HEADS_TABLE, ids=[row[0] for row in HEADS_TABLE])
def test_heads_of_the_published_network(trace, path, shape):
    assert trace.outputs[path] == (1, *shape)


def test_multiply_adds_at_inference(trace):
    trunk = {stage for row in TABLE for stage in row[0].split()}
    assert sum(trace.macs.get(stage, 0) for stage in trunk) == 1_582_671_872


def test_published_network_gives_logits_for_all_three_heads(trace, published):
    assert all(head.shape == (1, 1000) for head in trace.result)
    assert all(np.isfinite(head.data).all() for head in trace.result)
    assert published.input_size == (224, 224, 3)
    assert published.num_classes == 1000


def test_kernels_and_settings_of_the_published_network(published):
    layers = dict(published.named_modules())
    assert (layers["conv1"].weight.shape, layers["conv1"].stride, layers["conv1"].padding) == (
        (7, 7, 3, 64),
        2,
        3,
    )
    assert layers["conv2"].weight.shape == (3, 3, 64, 192)
    for name in ("pool1", "pool2", "pool3", "pool4"):
        pool = layers[name]
        assert (pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode) == (3, 2, 0, True)
    for name in ("norm1", "norm2"):
        norm = layers[name]
        assert (norm.size, norm.alpha, norm.beta, norm.k) == (5, 1e-4, 0.75, 1.0)
    assert (layers["dropout"].p, layers["aux1.dropout"].p, layers["aux2.dropout"].p) == (0.4, 0.7, 0.7)
    # Every convolution is followed by a ReLU; so is the first linear layer of a head, but no classifier.
    activations = {name: m.activation for name, m in layers.items() if isinstance(m, (nn.Conv2d, nn.Linear))}
    classifiers = {"fc", "aux1.fc2", "aux2.fc2"}
    assert {name for name, activation in activations.items() if activation is None} == classifiers
    assert {activation for name, activation in activations.items() if name not in classifiers} == {"relu"}


# ---- the order of things ----


def test_parameter_names():
    inception = [f"{module}.{branch}" for module in MODULES for branch in BRANCHES]
    head = ["conv", "fc1", "fc2"]
    expected = {"conv1", "conv2_reduce", "conv2", *inception, "fc"}
    expected |= {f"{aux}.{layer}" for aux in ("aux1", "aux2") for layer in head}
    names = list(small().state_dict())
    assert set(names) == {f"{layer}.{kind}" for layer in expected for kind in ("weight", "bias")}
    # In order of definition, which is the order in which data flows.
    layers = [name.removesuffix(".weight") for name in names if name.endswith(".weight")]
    trunk = [layer for layer in layers if not layer.startswith("aux")]
    assert trunk == ["conv1", "conv2_reduce", "conv2", *inception, "fc"]
    assert layers.index("aux1.conv") == layers.index("inception4a.pool_proj") + 1
    assert layers.index("aux2.conv") == layers.index("inception4d.pool_proj") + 1
    assert [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")] == names


def test_heads_sit_on_4a_and_4d():
    order = []
    with observe(lambda function, inputs, output: order.append(function.module_path.partition(".")[0])):
        small()(images())
    stages = [name for name, _ in itertools.groupby(order)]
    start = stages.index("inception4a")
    assert stages[start : start + 7] == [
        "inception4a", "aux1", "inception4b", "inception4c", "inception4d", "aux2", "inception4e"
    ]  # fmt: skip


@pytest.mark.parametrize(("path", "shape"), SMALL_TABLE, ids=[row[0] for row in SMALL_TABLE])
def test_small_network(small_trace, path, shape):
    assert small_trace.outputs[path] == (1, *shape)
    assert "pool1" not in small_trace.outputs


@pytest.fixture(scope="module")
def small_trace():
    return Trace(models.googlenet_cifar(rng=np.random.default_rng(0)), images(1))


# ---- width ----


@pytest.mark.parametrize("width", [0.01, 0.1, 0.25, 0.3, 1.5])
def test_width_scales_every_channel_count(width):
    def scaled(channels):
        return max(4, int(channels * width))

    model = small(width=width)
    shapes = {name: p.shape for name, p in model.named_parameters()}
    assert shapes["conv1.weight"] == (3, 3, 3, scaled(64))
    assert shapes["conv2.weight"] == (3, 3, scaled(64), scaled(192))
    assert shapes["inception3a.conv5x5.weight"] == (5, 5, scaled(16), scaled(32))
    out4a = scaled(192) + scaled(208) + scaled(48) + scaled(64)
    assert shapes["inception4b.conv1x1.weight"] == (1, 1, out4a, scaled(160))
    assert shapes["aux1.conv.weight"] == (1, 1, out4a, scaled(128))
    assert shapes["aux1.fc1.weight"] == (2 * 2 * scaled(128), scaled(1024))
    assert shapes["aux2.fc2.weight"] == (scaled(1024), 10)
    out5b = scaled(384) + scaled(384) + scaled(128) + scaled(128)
    assert shapes["fc.weight"] == (out5b, 10)


def test_number_of_classes():
    out = small(num_classes=7)(images())
    assert [head.shape for head in out] == [(2, 7)] * 3


@pytest.mark.parametrize("width", [0, -1, float("nan")])
def test_impossible_width(width):
    with pytest.raises(UsageError, match=r"^googlenet_cifar: width: expected a factor greater than 0, got "):
        models.googlenet_cifar(width=width)


# ---- when the heads run ----


@pytest.mark.parametrize(
    ("aux", "training", "heads", "run"),
    [
        (True, True, None, True),
        (True, False, None, False),
        (True, True, False, False),
        (True, False, True, True),
        (False, True, None, False),
        (False, False, None, False),
        (False, True, False, False),
    ],
)
def test_heads_run_in_training_or_whenever_asked(aux, training, heads, run):
    model = small(aux).train(training)
    out = model(images()) if heads is None else model(images(), heads=heads)
    assert out.logits.shape == (2, 10)
    for head in (out.aux1, out.aux2):
        assert (head.shape == (2, 10)) if run else (head is None)


def test_heads_that_are_not_there_cannot_be_asked_for():
    with pytest.raises(UsageError, match=r"^GoogLeNet: heads=True, but this network was made without heads"):
        small(aux=False)(images(), heads=True)


def test_evaluation_drops_nothing_out():
    model = small()
    assert (model(images()).logits.data != model(images()).logits.data).any()
    model.eval()
    first, second = model(images(), heads=True), model(images(), heads=True)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    np.testing.assert_array_equal(model(images()).logits.data, first.logits.data)


def test_samples_do_not_influence_each_other():
    model, x = small().eval(), images(3)
    together = model(x).logits.data
    for i in range(3):
        alone = model(Tensor(x.data[i : i + 1])).logits.data
        np.testing.assert_allclose(together[i : i + 1], alone, rtol=1e-4, atol=1e-6)


def test_loss_reaches_every_parameter():
    model = small()
    models.total_loss(model(images(8)), np.arange(8)).backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in model.parameters())
    silent = [name for name, p in model.named_parameters() if name.endswith("weight") and not p.grad.any()]
    assert silent == []


def test_weight_zero_of_the_heads_leaves_them_alone():
    model = small()
    models.total_loss(model(images()), np.array([1, 2]), aux_weight=0.0).backward()
    for name, p in model.named_parameters():
        assert p.grad.any() != name.startswith("aux"), name


# ---- fused equal to composed ----


def outputs_and_gradients(model, x, labels):
    for seed, (_, module) in enumerate(model.named_modules()):
        if isinstance(module, nn.Dropout):
            module.rng = np.random.default_rng(seed)
    model.zero_grad()
    out = model(x)
    loss = models.total_loss(out, labels)
    loss.backward()
    return [*(head.data for head in out), loss.data, *(p.grad for p in model.parameters())]


def test_fused_training_equals_composed():
    """Ops that are run together for speed, over the whole network, outputs and all gradients."""
    model = small(initialisation="glorot").astype(np.float64)
    x, labels = images(3, dtype=np.float64), np.array([3, 1, 9])
    names = {"fused": set(), "composed": set()}
    with observe(lambda function, inputs, output: names["fused"].add(function.name)):
        fused = outputs_and_gradients(model, x, labels)
    with composed(), observe(lambda function, inputs, output: names["composed"].add(function.name)):
        single = outputs_and_gradients(model, x, labels)
    assert "relu" in names["composed"]
    assert not {name for name in names["composed"] if "_relu" in name}
    assert names["fused"] != names["composed"]
    for found, expected in zip(fused, single, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())


# ---- weights come and go ----


def test_weights_with_heads_load_into_a_network_without():
    full, bare = small(), small(aux=False, num_classes=10)
    for p in full.parameters():
        p.data = p.data + 1
    report = bare.load_state_dict(full.state_dict(), strict=False)
    assert report.missing == ()
    assert report.left_over == tuple(name for name in full.state_dict() if name.startswith("aux"))
    np.testing.assert_array_equal(bare.eval()(images()).logits.data, full.eval()(images()).logits.data)


def test_weights_without_heads_load_into_a_network_with():
    full, bare = small(), small(aux=False)
    for p in bare.parameters():
        p.data = p.data + 1
    head = full.aux1.fc1.weight.data.copy()
    report = full.load_state_dict(bare.state_dict(), strict=False)
    assert report.left_over == ()
    assert report.missing == tuple(name for name in full.state_dict() if name.startswith("aux"))
    assert str(report).startswith(
        "not in the state, left as they were: aux1.conv.weight, aux1.conv.bias, aux1.fc1."
    )
    np.testing.assert_array_equal(full.aux1.fc1.weight.data, head)
    np.testing.assert_array_equal(bare.eval()(images()).logits.data, full.eval()(images()).logits.data)


# ---- initialisation ----


@pytest.mark.parametrize(("scheme", "bias"), [("he", 0.0), ("glorot", 0.2), ("caffe", 0.2)])
def test_initialisation(scheme, bias):
    model = small(width=0.5, initialisation=scheme)
    classifiers = ("fc.", "aux1.fc2.", "aux2.fc2.")
    checked = 0
    for name, p in model.named_parameters():
        if name.endswith("bias"):
            assert (p.data == np.float32(0 if name.startswith(classifiers) else bias)).all(), name
            continue
        *kernel, inputs, outputs = p.shape
        fan_in, fan_out = (int(np.prod(kernel)) * channels for channels in (inputs, outputs))
        variance = {"he": 2 / fan_in, "glorot": 2 / (fan_in + fan_out), "caffe": 1 / fan_in}[scheme]
        variance = 1e-4 if name.startswith(classifiers) else variance
        if p.size > 5000:
            checked += 1
            assert p.data.var() == pytest.approx(variance, rel=0.1), name
    assert checked > 40


def test_generator_decides_all_weights():
    a, b = small().state_dict(), small().state_dict()
    assert all((a[name] == b[name]).all() for name in a)
    c, d = (models.googlenet_cifar(width=0.1).state_dict() for _ in range(2))
    assert (c["conv1.weight"] != d["conv1.weight"]).any()


@pytest.mark.parametrize("scheme", ["he", "glorot", "caffe"])
def test_untrained_network_knows_nothing(scheme):
    """Its loss is about ln 10, not tens: the first steps need not be spent on forgetting."""
    out = small(width=0.25, initialisation=scheme).eval()(images(8), heads=True)
    for head in out:
        assert F.cross_entropy(head, np.arange(8)).item() == pytest.approx(np.log(10), abs=0.3)


def test_unknown_initialisation_and_activation():
    expected = "initialisation: expected one of he, glorot, caffe, zero, got 'zeros'"
    with pytest.raises(UsageError, match=f"^{expected}$"):
        small(initialisation="zeros")
    with pytest.raises(
        UsageError, match=r"^activation: expected one of relu, sigmoid, tanh or None, got 'swish'$"
    ):
        small(activation="swish")


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_other_activations(activation):
    names = []
    with observe(lambda function, inputs, output: names.append(function.name)):
        small(activation=activation)(images())
    assert names.count(activation) == 57 + 2 * 2
    assert not [name for name in names if "relu" in name]


# ---- bad input ----


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((2, 32, 32, 1), r"^GoogLeNet: x: expected images of shape \(N, 32, 32, 3\), got \(2, 32, 32, 1\)$"),
        ((2, 3, 32, 32), r"^GoogLeNet: x: expected images of shape \(N, 32, 32, 3\), got \(2, 3, 32, 32\)$"),
        ((32, 32, 3), r"^GoogLeNet: x: expected images of shape \(N, 32, 32, 3\), got \(32, 32, 3\)$"),
        (
            (2, 224, 224, 3),
            r"^GoogLeNet: x: expected images of shape \(N, 32, 32, 3\), got \(2, 224, 224, 3\)$",
        ),
        ((0, 32, 32, 3), r"^conv2d: x: expected .* got an empty batch: \(0, 32, 32, 3\) \(in conv1\)$"),
    ],
)
def test_wrong_images_are_explained(shape, words):
    with pytest.raises(ShapeError, match=words):
        small()(Tensor(np.zeros(shape, np.float32)))


def test_without_heads_images_may_have_another_size_unless_too_small():
    model = small(aux=False).eval()
    assert model(images(1, size=40)).logits.shape == (1, 10)
    words = (
        r"^max_pool2d: kernel_size: expected at most the height of the padded image, .* got 3 \(in pool\d\)$"
    )
    with pytest.raises(ShapeError, match=words):
        model(images(1, size=4))


def test_images_of_another_dtype_are_not_converted_silently():
    with pytest.raises(
        DTypeError, match=r"^conv2d(_relu)?: expected tensors of one dtype, got uint8 and float32;"
    ):
        small()(Tensor(np.zeros((2, 32, 32, 3), np.uint8)))
    with pytest.raises(
        DTypeError, match=r"got float64 and float32; .* module\.astype\(\.\.\.\) \(in conv1\)$"
    ):
        small()(images(dtype=np.float64))
