"""Figures of gradient flows, against the arrays they come from; their tables, pictures and JSON."""

import csv
import io
import json
import math

import numpy as np
import pytest
from PIL import Image

from minicnn import models, nn, study
from minicnn.errors import UsageError
from minicnn.study.flow_row import FlowRow

HEADS = ("main", "aux1", "aux2")


def network(aux=True):
    return models.googlenet_cifar(width=0.05, aux=aux, rng=np.random.default_rng(0))


def fixed_dropouts(model):
    for place, (_, module) in enumerate(model.named_modules()):
        if isinstance(module, nn.Dropout):
            module.rng = np.random.default_rng(place)
    return model


def batch():
    rng = np.random.default_rng(1)
    return rng.normal(size=(3, 32, 32, 3)).astype(np.float32), np.array([3, 1, 4])


@pytest.fixture(scope="module")
def flow():
    return study.gradient_flow(fixed_dropouts(network()), *batch())


def vectors(layers):
    """For each head, the gradients of all parameters of these layers end to end; and the weights."""
    model = fixed_dropouts(network())
    parts = study.attribute_gradients(model, *batch())
    names = [name for name in parts if name.startswith(layers)]
    weights = np.concatenate([p.data.ravel() for n, p in model.named_parameters() if n in names])
    return {
        head: np.concatenate([parts[n][head].ravel() for n in names]).astype(np.float64) for head in HEADS
    }, weights.astype(np.float64)


def agrees(row, parts, weights):
    norm = np.linalg.norm
    whole = sum(parts.values())
    total = sum(norm(part) for part in parts.values())
    assert row.size == len(weights)
    assert row.norm == pytest.approx(norm(whole), rel=1e-9)
    assert row.rms == pytest.approx(np.sqrt(np.mean(whole**2)), rel=1e-9)
    assert row.ratio == pytest.approx(norm(whole) / norm(weights), rel=1e-9)
    for head, part in parts.items():
        assert row.norms[head] == pytest.approx(norm(part), rel=1e-9)
        assert row.shares[head] == pytest.approx(norm(part) / total, rel=1e-9)
    for a, b in (("main", "aux1"), ("main", "aux2"), ("aux1", "aux2")):
        cosine = row.cosines[f"{a}-{b}"]
        if parts[a].any() and parts[b].any():
            angle = parts[a] @ parts[b] / norm(parts[a]) / norm(parts[b])
            assert cosine == pytest.approx(angle, abs=1e-9)
        else:
            assert cosine is None
    assert row.norm_of("aux1", "aux2") == pytest.approx(norm(parts["aux1"] + parts["aux2"]), rel=1e-9)


@pytest.mark.parametrize("layer", ["conv1", "inception3a.conv3x3_reduce", "inception4b.conv5x5", "aux1.fc1"])
def test_figures_of_a_layer(flow, layer):
    (row,) = [row for row in flow.rows if row.layer == layer]
    agrees(row, *vectors(layer + "."))


@pytest.mark.parametrize("block", ["inception3a", "inception4d", "aux2", "fc"])
def test_figures_of_a_module(flow, block):
    (row,) = [row for row in flow.blocks if row.layer == block]
    agrees(row, *vectors(block + "."))


def test_layers_come_in_network_order(flow):
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name, _ in network().named_parameters()))
    assert [row.layer for row in flow.rows] == layers
    assert [row.layer for row in flow.trunk] == [
        "conv1", "conv2_reduce", "conv2", "inception3a", "inception3b", "inception4a", "inception4b",
        "inception4c", "inception4d", "inception4e", "inception5a", "inception5b", "fc",
    ]  # fmt: skip
    assert flow.heads == HEADS
    assert (flow.model, flow.images) == ("GoogLeNet", 3)


def test_the_table(flow):
    lines = str(flow).splitlines()
    assert max(map(len, lines)) <= 113
    assert lines[0] == "GoogLeNet, 3 images, weight of the auxiliary heads 0.3"
    conv1 = flow.rows[0]
    (shown,) = [line.split() for line in lines if line.startswith("conv1")]
    assert shown[:2] == ["conv1", str(conv1.size)]
    assert float(shown[2]) == pytest.approx(conv1.norm, rel=1e-2)
    assert [float(x) for x in shown[3:6]] == pytest.approx(list(conv1.norms.values()), rel=1e-2)
    assert [int(x) for x in shown[6:9]] == [round(100 * share) for share in conv1.shares.values()]
    assert [float(x) for x in shown[9:12]] == pytest.approx(list(conv1.cosines.values()), abs=6e-3)
    assert float(shown[12]) == pytest.approx(conv1.ratio, rel=1e-2)
    assert [line[:9] for line in lines if "fc2" in line] == ["  fc2    ", "  fc2    "]
    total = sum(row.size for row in flow.rows if row.layer.startswith("inception3a"))
    (module,) = [line.split() for line in lines if line.startswith("inception3a")]
    assert module[1] == f"{total:,}"


def test_without_heads_there_is_less_to_show():
    flow = study.gradient_flow(network(aux=False), *batch())
    assert flow.heads == ("main",)
    lines = str(flow).splitlines()
    assert "all of the gradient comes from the main head" in lines[0]
    assert "aux1" not in str(flow)
    assert len(next(line for line in lines if line.startswith("conv1")).split()) == 4


def test_only_some_layers(flow):
    assert {row.layer.partition(".")[0] for row in flow.only("inception4a").rows} == {"inception4a"}
    assert len(flow.only("*.conv3x3").rows) == 9
    assert [row.layer for row in flow.only("aux?.fc1").rows] == ["aux1.fc1", "aux2.fc1"]
    with pytest.raises(UsageError, match="got 'inception9z'; there are conv1, conv2_reduce"):
        flow.only("inception9z")


def test_other_forms(flow):
    found = json.loads(json.dumps(flow.to_json(), allow_nan=False))
    assert [row["layer"] for row in found["layers"]] == [row.layer for row in flow.rows]
    assert found["layers"][0]["norms"] == flow.rows[0].norms
    assert found["layers"][0]["cosines"] == flow.rows[0].cosines
    assert (found["model"], found["images"], found["aux_weight"]) == ("GoogLeNet", 3, 0.3)

    table = list(csv.DictReader(io.StringIO(flow.as_csv())))
    assert len(table) == len(flow.rows)
    assert float(table[0]["norm aux2"]) == flow.rows[0].norms["aux2"]
    assert table[-1]["cosine main-aux1"] == ""

    lines = flow.as_markdown().splitlines()
    assert len(lines) == 2 + len(flow.rows)
    assert {line.count("|") for line in lines} == {14}


def test_numbers_that_json_does_not_have():
    row = FlowRow("conv", 2, 0.0, math.inf, np.full((3, 3), np.nan))
    assert row.ratio is None
    text = json.dumps(row.to_json(), allow_nan=False)
    assert json.loads(text)["norm"] is None
    assert FlowRow("conv", 2, 1.0, 0.0, np.zeros((3, 3))).shares == dict.fromkeys(HEADS, 0.0)


def test_tiny_gradients_do_not_become_zero():
    """float32 holds 1e-30, but not its square."""
    model = network().astype(np.float32)
    model.fc.weight.data = np.full(model.fc.weight.shape, 1e-28, np.float32)
    model.fc.weight.data[:, 0] = 2e-28
    flow = study.gradient_flow(model, *batch())
    assert 0 < flow.rows[0].norms["main"] < 1e-22


def test_the_picture(flow, tmp_path):
    flow.draw(tmp_path / "flow.png")
    with Image.open(tmp_path / "flow.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000
        colours = {colour for _, colour in picture.convert("RGB").getcolors(10**6)}
    assert {(0x0B, 0x4F, 0x8A), (0xD5, 0x5E, 0x00), (0x00, 0x9E, 0x73)} <= colours
    assert [path.name for path in tmp_path.iterdir()] == ["flow.png"]


def test_a_module_of_ones_own(tmp_path):
    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            rng = np.random.default_rng(0)
            self.scale = nn.Parameter(np.ones(4, np.float32))
            self.body, self.side, self.end = (nn.Linear(4, 4, rng=rng) for _ in range(3))

        def forward(self, x):
            x = self.body(x * self.scale)
            return nn.GoogLeNetOutput(self.end(x), self.side(x), None)

    flow = study.gradient_flow(Small(), np.ones((2, 4), np.float32), np.array([0, 3]))
    assert [row.layer for row in flow.rows] == ["Small", "body", "side", "end"]
    assert flow.heads == ("main", "aux1")
    assert [row.layer for row in flow.trunk] == ["Small", "body", "end"]
    assert "aux2" not in str(flow)
    flow.draw(tmp_path / "small.png")
