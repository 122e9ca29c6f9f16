"""summarize: against the published table, hand counts, and networks of every make."""

import numpy as np
import pytest

from minicnn import Function, ShapeError, Tensor, models, nn, study
from minicnn import functional as F


@pytest.fixture(scope="module")
def published():
    return study.summarize(models.googlenet(aux=False, rng=np.random.default_rng(0)), (1, 224, 224, 3))


@pytest.fixture(scope="module")
def with_heads():
    return study.summarize(models.googlenet(rng=np.random.default_rng(0)), (1, 224, 224, 3))


def by_name(summary):
    return {row.name: row for row in summary.rows}


def zeros(*shape):
    return nn.Parameter(np.zeros(shape, np.float32))


# ---- GoogLeNet ----


def test_totals_of_googlenet(published, with_heads):
    assert published.total_params == published.inference_params == 6_998_552
    assert published.total_macs == 1_582_671_872
    assert published.training_macs == 0
    assert sum(row.params for row in published.rows) == 6_998_552

    assert with_heads.total_params == 13_378_280
    assert with_heads.inference_params == 6_998_552
    assert with_heads.total_macs == 1_582_671_872
    assert sum(row.params for row in with_heads.rows) == 13_378_280


def test_the_rows_of_inference_do_not_depend_on_heads(published, with_heads):
    trunk = [row for row in with_heads.rows if not row.training_only]
    assert trunk == list(published.rows)
    heads = [row for row in with_heads.rows if row.training_only]
    assert {row.name.split(".")[0] for row in heads} == {"aux1", "aux2"}
    assert sum(row.params for row in heads) == 6_379_728
    assert sum(row.macs for row in heads) == with_heads.training_macs
    assert with_heads.rows[-len(heads) :] == tuple(heads)
    sources = {row.name: [with_heads.rows[source].name for source in row.sources] for row in heads}
    assert sources["aux1.pool"] == ["inception4a"]
    assert sources["aux1.conv"] == ["aux1.pool"]
    assert sources["aux2.pool"] == ["inception4d"]


# From the paper's table 1 as recomputed from its widths: output, weights and biases, multiply-adds.
STAGES = {
    "conv1": ((112, 112, 64), 9_472, 118_013_952),
    "inception3a": ((28, 28, 256), 163_696, 128_049_152),
    "inception3b": ((28, 28, 480), 388_736, 304_267_264),
    "inception4a": ((14, 14, 512), 376_176, 73_608_192),
    "inception4d": ((14, 14, 528), 605_376, 118_515_712),
    "inception4e": ((14, 14, 832), 868_352, 169_996_288),
    "inception5b": ((7, 7, 1024), 1_444_080, 70_697_984),
    "fc": ((1000,), 1_025_000, 1_024_000),
}


@pytest.mark.parametrize("stage", STAGES)
def test_stages_of_googlenet(published, stage):
    output, params, macs = STAGES[stage]
    rows = [row for row in published.rows if row.name.split(".")[0] == stage]
    assert rows[-1].output_shape == (1, *output)
    assert sum(row.params for row in rows) == params
    assert sum(row.macs for row in rows) == macs


def test_a_row_of_googlenet(published):
    row = by_name(published)["inception3a.conv3x3"]
    assert (row.kind, row.window, row.activation) == ("conv2d", "3x3", "relu")
    assert row.output_shape == (1, 28, 28, 128)
    assert row.params == 96 * 128 * 9 + 128
    assert row.macs == 28 * 28 * 128 * 96 * 9
    assert not row.training_only
    assert sum(row.kind == "conv2d" for row in published.rows) == 57
    assert sum(row.kind == "concat" for row in published.rows) == 9
    assert sum(row.window == "5x5" for row in published.rows) == 9


def test_receptive_fields_of_googlenet(published):
    rows = by_name(published)
    sizes = {name: rows[name].receptive_field for name in rows}
    assert sizes["conv1"] == 7
    assert sizes["pool2"] == 27
    branches = ["conv1x1", "conv3x3_reduce", "conv3x3", "conv5x5_reduce", "conv5x5", "pool", "pool_proj"]
    assert [sizes[f"inception3a.{branch}"] for branch in branches] == [27, 27, 43, 27, 59, 43, 43]
    assert sizes["inception3a"] == 59
    assert sizes["inception5b"] == 715, "more than the image has: borders do not count"
    for name in ("global_pool", "fc"):
        assert rows[name].receptive_field == 224
        assert rows[name].sees_everything
    assert not rows["inception5b"].sees_everything


def receptive_field_by_gradient(function, size):
    """Count the rows of an image that the middle of the output depends on."""
    x = Tensor(np.ones((1, size, size, 1)), requires_grad=True)
    y = function(x)
    cotangent = np.zeros(y.shape)
    cotangent[0, y.shape[1] // 2, y.shape[2] // 2] = 1
    y.backward(cotangent)
    return int((np.abs(x.grad).sum(axis=(0, 2, 3)) > 0).sum())


def test_receptive_fields_are_what_gradients_see():
    def ones(layer):
        layer.weight.data = np.ones(layer.weight.shape)
        layer.bias.data = np.ones(layer.bias.shape)
        return layer

    layers = [
        ones(nn.Conv2d(1, 1, 3, stride=2)),
        nn.AvgPool2d(2),
        ones(nn.Conv2d(1, 1, 5, padding=2)),
        nn.AvgPool2d(3, stride=2),
        ones(nn.Conv2d(1, 1, 3)),
    ]
    model = nn.Sequential(*layers)
    summary = study.summarize(model, (1, 101, 101, 1))
    assert summary.rows[-1].receptive_field == receptive_field_by_gradient(model, 101) == 45


def test_the_table_shows_modules_branch_by_branch(with_heads):
    text = str(with_heads)
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("inception3a"))
    assert [line.split()[:2] for line in lines[start + 1 : start + 5]] == [
        ["├", "conv1x1"],
        ["├", "conv3x3_reduce"],
        ["│", "└"],
        ["├", "conv5x5_reduce"],
    ]
    assert lines[start].split() == ["inception3a", "163,696", "128,049,152"]
    assert "│ └ conv3x3       conv2d 3x3, relu" in lines[start + 3]
    assert lines[start + 8].split()[:3] == ["└", "concat", "concat"]
    assert lines[start + 8].endswith("59")
    assert max(map(len, lines)) <= 110
    assert lines[-2].split() == ["total", "at", "inference", "6,998,552", "1,582,671,872"]
    assert lines[-1].split() == ["total", "in", "training", "13,378,280", "1,591,044,096"]
    heads = lines.index("in training only:")
    assert lines[heads + 1].startswith("aux1")
    assert not any(line.startswith("aux") for line in lines[:heads])


def test_the_small_network():
    model = models.googlenet_cifar(width=0.25, rng=np.random.default_rng(0))
    summary = study.summarize(model, (1, 32, 32, 3))
    assert summary.total_params == model.num_parameters()
    assert by_name(summary)["inception4a"].output_shape[:3] == (1, 8, 8)
    assert any(row.training_only for row in summary.rows)


def test_heads_that_do_not_fit_the_image_are_mentioned():
    summary = study.summarize(models.googlenet_cifar(width=0.1), (1, 48, 48, 3))
    assert not any(row.training_only for row in summary.rows)
    assert "heads are not listed: GoogLeNet: x: expected images of shape (N, 32, 32, 3)" in summary.note
    assert summary.note in str(summary)


# ---- any network ----


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_batch_does_not_matter(batch):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 16, 7))
    summary = study.summarize(model, (batch, 6, 6, 3))
    assert [row.macs for row in summary.rows] == [4 * 4 * 4 * 27, 0, 64 * 7]
    assert summary.rows[0].output_shape == (batch, 4, 4, 4)


class Free(nn.Module):
    """Uses functions directly, in itself and in a module without children."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = zeros(3, 3, 2, 6)

        def forward(self, x):
            return F.relu(F.conv2d(x, self.w, groups=2, stride=2))

    def __init__(self):
        super().__init__()
        self.block = self.Block()
        self.scale = zeros(6)
        self.project = zeros(6, 5)

    def forward(self, x):
        x = self.block(x) * self.scale
        return F.softmax(x.mean(axis=(1, 2)) @ self.project)


def test_ops_outside_of_layers_have_rows_of_their_own():
    summary = study.summarize(Free(), (2, 9, 9, 4))
    assert [(row.name, row.kind, row.params, row.macs) for row in summary.rows] == [
        ("block", "conv2d", 108, 4 * 4 * 6 * 18),
        ("block", "relu", 0, 0),
        ("multiply", "multiply", 6, 0),
        ("mean", "mean", 0, 0),
        ("matmul", "matmul", 30, 30),
        ("softmax", "softmax", 0, 0),
    ]
    assert [row.receptive_field for row in summary.rows] == [3, 3, 3, 9, 9, 9]
    assert [row.sees_everything for row in summary.rows] == [False] * 3 + [True] * 3
    assert "conv2d 3x3/2, 2 groups" in str(summary)


def test_shared_parameters_count_once():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(4, 4)
            self.second = nn.Linear(4, 4)
            self.second.weight = self.first.weight

        def forward(self, x):
            return self.second(self.first(self.first(x)))

    summary = study.summarize(Twice(), (3, 4))
    assert [row.params for row in summary.rows] == [20, 20, 20]
    assert summary.total_params == summary.inference_params == 16 + 4 + 4
    assert summary.total_macs == 3 * 16


def test_unused_parameters_are_told_apart():
    class Lazy(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(4, 2), nn.Linear(4, 3)

        def forward(self, x):
            return self.used(x)

    summary = study.summarize(Lazy(), (1, 4))
    assert (summary.total_params, summary.inference_params) == (25, 10)
    assert str(summary).splitlines()[-1].split() == ["with", "unused", "parameters", "25", "8"]


def test_weights_made_from_parameters_cost_the_same_for_every_batch():
    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = zeros(4, 3), zeros(3, 2)

        def forward(self, x):
            return F.linear(x, self.a @ self.b)

    for batch in (1, 7):
        assert [row.macs for row in study.summarize(Product(), (batch, 4)).rows] == [24, 8]


def test_receptive_fields_differ_by_direction():
    model = nn.Sequential(nn.Conv2d(1, 1, (3, 1)), nn.MaxPool2d(2), nn.Conv2d(1, 1, (1, 3)))
    summary = study.summarize(model, (1, 9, 9, 1))
    assert [row.receptive_field for row in summary.rows] == [(3, 1), (4, 2), (4, 6)]
    assert "4x6" in str(summary)


def test_what_cannot_be_told_is_left_open():
    class Shuffle(Function):
        name = "shuffle"

        def forward(self, x):
            return np.repeat(x, 2, axis=1)

    class Net(nn.Module):
        def __init__(self, move):
            super().__init__()
            self.move = move
            self.pool = nn.AvgPool2d(2)

        def forward(self, x):
            return self.pool(self.move(x)) + 1

    def fields(move):
        return [row.receptive_field for row in study.summarize(Net(move), (2, 8, 8, 1)).rows]

    assert fields(lambda x: Shuffle().apply(x)) == [None, None, None]
    assert fields(lambda x: x.reshape(2, 4, 16, 1)) == [1, None, None]
    assert fields(F.tanh) == [1, 2, 2]
    assert fields(lambda x: x.mean(axis=(1, 2), keepdims=True) + x) == [8, 8, 8, 8]
    summary = study.summarize(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), (1, 3))
    assert [row.receptive_field for row in summary.rows] == [None, None]


def test_a_linear_layer_on_single_pixels_sees_what_they_see():
    class Pixels(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(1, 2, 3, padding=1), nn.Linear(2, 3)

        def forward(self, x):
            return self.fc(self.conv(x).reshape(-1, 2))

    row = study.summarize(Pixels(), (2, 5, 5, 1)).rows[-1]
    assert (row.receptive_field, row.sees_everything) == (3, False)
    assert row.macs == 25 * 6


def test_a_part_of_a_network_is_named_from_itself():
    model = models.googlenet_cifar(width=0.1)
    summary = study.summarize(model.inception3a, (1, 16, 16, 19))
    assert [row.name for row in summary.rows][-2:] == ["pool_proj", "concat"]
    assert summary.total_params == model.inception3a.num_parameters()


def test_nested_modules_and_long_names_fit():
    inner = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, groups=2, activation="sigmoid"), nn.ReLU())
    model = nn.Sequential(inner, nn.Sequential(nn.Flatten()))
    model.a_module_with_a_name_longer_than_any_table_has_room_for = nn.Linear(50, 10**4)
    lines = str(study.summarize(model, (1, 5, 5, 2))).splitlines()
    assert lines[3].split() == ["0", "20", "450"]
    assert lines[4].startswith("  0")
    assert "conv2d 3x3, 2 groups, sigmo…" in lines[4]
    assert any(line.startswith("1.0 ") for line in lines)
    assert any(line.startswith("a_module_with_a_name_longer…") for line in lines)
    assert max(map(len, lines)) <= 110


def test_what_comes_after_branches_have_met_is_no_branch():
    class Fork(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)

        def forward(self, x):
            return F.relu(self.left(x) + self.right(x))

    lines = str(study.summarize(nn.Sequential(Fork()), (1, 3, 3, 1))).splitlines()
    assert [line[:9].rstrip() for line in lines[3:8]] == [
        "0",
        "  ├ left",
        "  ├ right",
        "  └ add",
        "    relu",
    ]


def test_branches_of_several_layers_are_shown_as_modules():
    class Fork(nn.Module):
        def __init__(self):
            super().__init__()
            self.left = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1))
            self.right = nn.Conv2d(1, 1, 1)

        def forward(self, x):
            return F.concat([self.left(x), self.right(x)])

    lines = str(study.summarize(nn.Sequential(Fork()), (1, 3, 3, 1))).splitlines()
    assert [line[:11].rstrip() for line in lines[3:9]] == [
        "0",
        "  left",
        "    0",
        "    1",
        "  right",
        "  concat",
    ]


# ---- nothing is left changed, and errors are clear ----


def test_modes_and_gradients_are_as_before():
    model = models.googlenet_cifar(width=0.05)
    model.inception3a.eval()
    before = [module.training for _, module in model.named_modules()]
    study.summarize(model, (1, 32, 32, 3))
    assert [module.training for _, module in model.named_modules()] == before
    assert all(p.grad is None for p in model.parameters())


def test_dtype_follows_the_network_and_values_do_not_matter():
    class Inverse(nn.Module):
        def forward(self, x):
            assert x.dtype == np.float32
            return 1 / x + x.log()

    assert len(study.summarize(Inverse(), (1, 2)).rows) == 3
    model = nn.Sequential(nn.Linear(2, 2)).astype(np.float64)
    assert study.summarize(model, (1, 2)).total_macs == 4


@pytest.mark.parametrize(
    ("shape", "match"),
    [
        ((1, 28, 28, 100), r"conv2d: x: expected 192 channels.*got 100.*\(in inception3a\.conv1x1\)"),
        ((28, 28, 192), r"conv2d: x: expected a batch of images.*\(in inception3a\.conv1x1\)"),
        ((0, 28, 28, 192), r"summarize: input_shape: expected at least 1, got 0"),
        ((1, 28, 28.5, 192), r"summarize: input_shape: expected a whole number, got 28\.5"),
        ((1,), r"summarize: input_shape: expected the batch size and the input's"),
    ],
)
def test_bad_shapes(shape, match):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inception3a = nn.Inception(192, 4, 4, 4, 4, 4, 4)

        def forward(self, x):
            return self.inception3a(x)

    model = Net()
    with pytest.raises(ShapeError, match=match):
        study.summarize(model, shape)
    assert model.training
