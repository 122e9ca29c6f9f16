"""The stepper without a browser: what it records and writes is what the engine did."""

import base64
import io
import itertools
import json
import re

import numpy as np
import pytest
from PIL import Image

from minicnn import Tensor, UsageError, composed, functional, models, nn, no_grad, study
from minicnn.shapes import window
from minicnn.study.explorer import page, patches, thumbnails
from minicnn.study.explorer.describe import Titles, describe
from minicnn.study.explorer.formulas import FORMULAS, filled_in, formula_of
from minicnn.study.explorer.heads import heads_of
from minicnn.study.explorer.record import record
from minicnn.tensor import Function, Observer, observed_by
from package_tree import ROOT


class Walk(Observer):
    """An independent note of what the engine does."""

    def __init__(self):
        self.steps = []

    def after_backward(self, function, gy, gradients):
        self.steps.append((function, gy.copy(), [None if g is None else np.array(g) for g in gradients]))


def network_loss(dtype=np.float64, width=0.05):
    rng = np.random.default_rng(3)
    model = models.googlenet_cifar(width=width, rng=rng).astype(dtype)
    image = Tensor(rng.normal(size=(1, 32, 32, 3)).astype(dtype), requires_grad=True)
    with composed():
        out = model(image)
        return model, image, models.total_loss(out, np.array([3]))


@pytest.fixture(scope="module")
def network():
    return network_loss()


@pytest.fixture(scope="module")
def recording(network):
    return record(network[2])


@pytest.fixture(scope="module")
def walk(network):
    watch = Walk()
    with observed_by(watch):
        network[2].backward(retain_graph=True)
    network[0].zero_grad()
    return watch.steps


@pytest.fixture(scope="module")
def described(recording):
    return describe(recording, Titles("A network"))


def small_loss():
    x = Tensor(np.array([[1.0, 2.0]]), requires_grad=True)
    w = Tensor(np.array([[0.5, -1.0], [1.0, 3.0]]), requires_grad=True)
    h = (x @ w).relu()
    return x, w, (h * h).sum()


# ---- what happened ----------------------------------------------------------------------------------


def test_small_graph():
    x, w, loss = small_loss()
    recording = record(loss)
    assert [op.function.name for op in recording.ops] == ["matmul", "relu", "multiply", "sum"]
    assert [op.function.name for op in (recording.ops[k] for k in recording.steps)] == [
        "sum", "multiply", "relu", "matmul",
    ]  # fmt: skip
    assert len(recording.edges) == 2 + 1 + 2 + 1
    assert len(recording.tensors) == 6  # x, w, and what each op made
    assert recording.loss.tensor is loss
    squares = [edge for edge in recording.edges if recording.ops[edge.op].function.name == "multiply"]
    assert [(edge.arrived, edge.of) for edge in squares] == [(1, 2), (2, 2)]


def test_gradients_are_left_alone():
    x, w, loss = small_loss()
    x.grad = np.ones((1, 2))
    before = x.grad
    record(loss)
    assert x.grad is before
    assert w.grad is None
    loss.backward()  # the graph is still there
    assert w.grad is not None


def test_nodes_and_edges_of_the_network_are_those_of_the_graph(recording, walk):
    functions = [function for function, _, _ in walk]
    assert [op.function for op in recording.ops] == functions[::-1]
    assert len(recording.edges) == sum(len(function.inputs) for function in functions)
    tensors = {t for function in functions for t in function.inputs} | {recording.loss.tensor}
    assert {node.tensor for node in recording.tensors} == tensors
    assert len(recording.tensors) == len(tensors)
    for edge in recording.edges:
        function = recording.ops[edge.op].function
        assert function.inputs[edge.place] is recording.tensors[edge.tensor].tensor


def test_steps_are_the_walk_of_the_engine(recording, walk):
    assert [recording.ops[step].function for step in recording.steps] == [step[0] for step in walk]


def test_gradients_are_those_of_the_engine_bit_by_bit(recording, walk):
    for step, (_, gy, gradients) in zip(recording.steps, walk, strict=True):
        op = recording.ops[step]
        assert np.array_equal(recording.tensors[op.output].gradient, gy)
        for number, gradient in zip(op.edges, gradients, strict=True):
            edge = recording.edges[number]
            wanted = op.function.needs_gradient[edge.place]
            assert np.array_equal(edge.gradient, gradient) if wanted else edge.gradient is None


def test_contributions_add_up_exactly(recording):
    fan_outs = 0
    for node in recording.tensors:
        parts = [recording.edges[use] for use in node.uses if recording.edges[use].gradient is not None]
        parts.sort(key=lambda edge: edge.arrived)
        if len(parts) < 2:
            continue
        fan_outs += 1
        assert [edge.arrived for edge in parts] == list(range(1, len(parts) + 1))
        assert {edge.of for edge in parts} == {len(parts)}
        sums = list(itertools.accumulate(edge.gradient for edge in parts))
        for edge, so_far in zip(parts, sums, strict=True):
            assert np.array_equal(edge.sum_so_far, so_far)
        assert np.array_equal(sums[-1], node.gradient)
    assert fan_outs == 9  # the inputs of nine modules; at two of them a head has its say, too


def test_heads(recording):
    assert [head.name for head in recording.heads] == ["main", "aux1", "aux2"]
    total = sum(head.times * head.term.item() for head in recording.heads)
    assert total == pytest.approx(recording.loss.tensor.item(), rel=1e-14)


def test_contributions_of_the_heads_sum_to_the_whole(recording):
    compared = 0
    for edge in recording.edges:
        if edge.gradient is None or not edge.of_heads:
            continue
        compared += 1
        total = sum(part for part in edge.of_heads if part is not None)
        scale = max(np.abs(part).max() for part in edge.of_heads if part is not None)
        assert np.abs(total - edge.gradient).max() <= 1e-12 * scale
    above = [edge for edge in recording.edges if edge.gradient is not None and not edge.of_heads]
    assert compared == sum(edge.gradient is not None for edge in recording.edges) - len(above)
    assert {recording.ops[edge.op].function.name for edge in above} == {"add"}


def test_contributions_of_the_heads_are_those_of_their_losses_alone():
    """Against another engine run: a network's loss without the heads, from the beginning."""
    model, image, loss = network_loss()
    recording = record(loss)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    by_name = {
        names[id(node.tensor)]: recording.edges[node.uses[0]].of_heads
        for node in recording.tensors
        if id(node.tensor) in names
    }
    recording.heads[0].term.backward()
    for name, parameter in model.named_parameters():
        of_main = by_name[name][0]
        if parameter.grad is None:
            assert of_main is None
            assert name.startswith("aux")
        else:
            assert np.allclose(of_main, parameter.grad, rtol=1e-12, atol=0)


def test_contributions_of_the_heads_are_those_of_attribute_gradients():
    model, image, _ = network_loss()
    for _, module in model.named_modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # it would draw another mask
    with composed():
        recording = record(models.total_loss(model(image), np.array([3])))
    parts = study.attribute_gradients(model, image.data, np.array([3]))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for node in recording.tensors:
        if id(node.tensor) in names:
            of_heads = recording.edges[node.uses[0]].of_heads
            for head, mine in zip(recording.heads, of_heads, strict=True):
                theirs = parts[names[id(node.tensor)]][head.name]
                scale = np.abs(node.gradient).max()
                assert np.abs((0 if mine is None else mine) - theirs).max() <= 1e-12 * scale


def test_heads_of_sums():
    a, b = (Tensor(np.array(value), requires_grad=True) for value in (2.0, 3.0))
    assert [head.name for head in heads_of(a * b)] == ["loss"]
    twice = a * b
    loss = twice + twice + a * a
    assert [(head.term.item(), head.times) for head in heads_of(loss)] == [(6.0, 2), (4.0, 1)]
    many = a * a + a * b + b * b + b
    assert [head.name for head in heads_of(many)] == ["loss"]
    recording = record(loss)
    (node,) = [node for node in recording.tensors if node.tensor is a]
    parts = np.sum(
        [[0 if p is None else p for p in recording.edges[use].of_heads] for use in node.uses], axis=0
    )
    assert parts.tolist() == [2 * 3.0, 2 * 2.0]


# ---- what is written --------------------------------------------------------------------------------


def test_the_description_has_the_numbers_of_the_recording(recording, described):
    assert described["steps"] == recording.steps
    assert [op["op"] for op in described["ops"]] == [op.function.name for op in recording.ops]
    assert len(described["edges"]) == len(recording.edges)
    for head, shown in zip(recording.heads, described["heads"], strict=True):
        assert recording.tensors[shown["tensor"]].tensor is head.term
    for node, tensor in zip(recording.tensors, described["tensors"], strict=True):
        assert tuple(tensor["shape"]) == node.data.shape
        assert tensor["values"]["norm"] == float(np.linalg.norm(node.data.astype(np.float64).ravel()))
        assert tensor["values"]["mean"] == float(node.data.mean())
        assert tensor["values"]["spread"] == float(node.data.std())
    for edge, shown in zip(recording.edges, described["edges"], strict=True):
        if edge.gradient is None:
            assert shown["gradient"] is None
            continue
        assert shown["gradient"]["min"] == float(edge.gradient.min())
        assert shown["gradient"]["max"] == float(edge.gradient.max())
        assert shown["gradient"]["norm"] == float(np.linalg.norm(edge.gradient.ravel()))
        if edge.of_heads:
            square = sum(sum(row) for row in shown["heads"])
            assert square == pytest.approx(float((edge.gradient**2).sum()), rel=1e-9, abs=1e-25)


def test_groups_are_the_outermost_modules(described):
    groups = {group["name"]: group["ops"] for group in described["groups"]}
    assert {len(ops) for name, ops in groups.items() if name.startswith("inception")} == {14}
    assert len(groups["aux1"]) == len(groups["aux2"]) == 8
    assert sorted(place for ops in groups.values() for place in ops) == [
        place for place, op in enumerate(described["ops"]) if op["group"]
    ]


def test_a_module_as_a_whole_sends_back_the_sum_of_its_branches(recording, described):
    bundles = [bundle for bundle in described["bundles"] if bundle["group"].startswith("inception")]
    assert len(bundles) == 9
    for bundle in bundles:
        node = recording.tensors[bundle["tensor"]]
        edges = [recording.edges[use] for use in node.uses]
        own = [e for e in edges if recording.ops[e.op].function.module_path.startswith(bundle["group"])]
        assert len(own) == 4
        total = sum(edge.gradient for edge in own)
        assert bundle["gradient"]["norm"] == pytest.approx(float(np.linalg.norm(total)), rel=1e-12)


def test_pictures_are_png(described):
    for uri in described["pictures"]:
        assert base64.b64decode(uri.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
    places = [t["picture"] for t in described["tensors"]] + [e.get("picture") for e in described["edges"]]
    assert {place for place in places if place is not None} <= set(range(len(described["pictures"])))


def test_what_json_cannot_hold():
    x = Tensor(np.array([1.0, 0.0]), requires_grad=True)
    with np.errstate(all="ignore"):
        loss = (x / 0.0).sum()
        shown = describe(record(loss), Titles())
    text = page.data_text(shown)
    assert json.loads(text)["tensors"][-1]["values"]["mean"] == "nan"
    assert "inf" in text


def test_page(tmp_path, network):
    file = study.explore(
        network[2], tmp_path / "network.html", title="</script><b>& more", module="inception4a"
    )
    text = file.read_text(encoding="utf-8")
    assert file.stat().st_size < 3_000_000
    assert "<title>&lt;/script&gt;&lt;b&gt;&amp; more</title>" in text
    assert "{{" not in text.split('id="recording"')[0].split("<script>")[0]
    found = re.search(r'<script type="application/json" id="recording">(.*?)</script>', text, re.DOTALL)
    shown = json.loads(found[1])
    assert shown["title"] == "</script><b>& more"
    assert shown["module"] == "inception4a"
    assert text.count("</script>") == 3


def test_page_needs_nothing_else(tmp_path):
    text = study.explore(small_loss()[2], tmp_path / "small.html").read_text(encoding="utf-8")
    assert not re.search(r"\b(?:https?|wss?|ftp):|[\"'(]//\w|@import|\burl\(", text)
    assert not re.search(r"<(?:script|img|iframe)[^>]*\bsrc=\"(?!\$)", text)
    for link in re.findall(r"<link[^>]*>", text):
        assert 'href="data:,"' in link
    assert "default-src 'none'" in text
    assert "Copyright (c) 2012-2014 Chris Pettitt" in text
    assert len(text) < 200_000


def test_the_layout_library_is_the_one_that_is_named():
    vendor = ROOT / "minicnn" / "study" / "explorer" / "vendor"
    version = page.LIBRARY.removeprefix("dagre ")
    assert f"dagre {version}" in (vendor / "README.md").read_text()
    assert f'"{version}"' in (vendor / "dagre.min.js").read_text(encoding="utf-8")
    assert (vendor / "dagre.LICENSE.txt").read_text().startswith("Copyright (c) 2012-2014 Chris Pettitt")


def test_all_programs_of_the_page_are_in_it():
    folder = ROOT / "minicnn" / "study" / "explorer" / "page"
    assert sorted(page.PROGRAMS) == sorted(path.name for path in folder.glob("*.js"))


# ---- formulas ---------------------------------------------------------------------------------------


def plain(text: str) -> str:
    """Text without marks of Markdown, and with single spaces."""
    return " ".join(re.sub(r"[`|]", " ", text).split())


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas_are_those_of_the_pages(name):
    """Word for word; or cells of a row of a table, which do not repeat "gx ="."""
    formula = FORMULAS[name]
    page_text = (ROOT / "docs" / "ops" / formula.page).read_text(encoding="utf-8")
    text = plain(page_text)
    for line in formula.forward + formula.backward:
        if plain(line) in text:
            continue
        rows = [
            row
            for row in page_text.splitlines()
            if row.startswith("|") and plain(formula.forward[0]) in plain(row)
        ]
        assert rows, f"{line!r} does not stand in {formula.page}"
        cells = [plain(cell) for cell in rows[0].split("|")]
        assert plain(line.partition(" = ")[2]) in cells


def functions_below(base):
    for subclass in base.__subclasses__():
        yield subclass
        yield from functions_below(subclass)


def test_every_op_has_a_formula():
    ops = {
        f.name
        for f in functions_below(Function)
        if f.__module__.startswith("minicnn.ops.") and hasattr(f, "name")
    }
    assert ops == set(FORMULAS)


def test_formula_of_an_op_of_ones_own():
    class Cube(Function):
        """Third power.

            y  = x ** 3
            gx = gy * 3 * x ** 2

        Element by element.
        """

        name = "cube"

        def forward(self, x):
            self.save(x)
            return x**3

        def backward(self, gy):
            return (gy * 3 * self.saved[0] ** 2,)

    x = Tensor(np.array([2.0]), requires_grad=True)
    shown = describe(record(Cube().apply(x).sum()), Titles())
    assert shown["formulas"]["cube"]["forward"] == ("y  = x ** 3",)
    assert shown["formulas"]["cube"]["backward"] == ("gx = gy * 3 * x ** 2",)


def test_formulas_with_real_shapes():
    x = Tensor(np.zeros((1, 8, 8, 3)), requires_grad=True)
    w = Tensor(np.zeros((3, 3, 3, 16)), requires_grad=True)
    creator = functional.conv2d(x, w, stride=2).creator
    lines = filled_in(formula_of(creator).backward, creator, {})
    assert any(line.endswith("(27, 9) @ (9, 16)") for line in lines)
    assert any("p*2 + i = h" in line for line in lines)
    joined = functional.concat([x, x]).creator
    assert filled_in(formula_of(joined).backward, joined, {}) == [
        "gx_1 = gy[:, :, :, 0 : 3]",
        "gx_2 = gy[:, :, :, 3 : 6]",
    ]


# ---- im2col -----------------------------------------------------------------------------------------


def decoded(encoded):
    return np.frombuffer(base64.b64decode(encoded["base64"]), encoded["kind"])


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "size"), [(3, 1, 1, 8), (5, 2, 2, 9), (3, 1, 0, 120)]
)
def test_patches(kernel, stride, padding, size):
    """Entries of gcols, added back where they were copied from, are the engine's gradient."""
    rng = np.random.default_rng(0)
    x = Tensor(rng.normal(size=(1, size, size, 4)), requires_grad=True)
    w = Tensor(rng.normal(size=(kernel, kernel, 4, 6)), requires_grad=True)
    y = functional.conv2d(x, w, stride=stride, padding=padding)
    gy = rng.normal(size=y.shape)
    y.backward(gy, retain_graph=True)
    shown = patches.patches_of(y.creator, x.data, w.data, gy, x.grad)
    channel, (height, width) = shown["channel"], shown["size"]
    OH, OW = shown["places"]
    values = decoded(shown["x"]).reshape(height, width)
    gcols = decoded(shown["gcols"]).reshape(OH, OW, kernel, kernel)
    gx = decoded(shown["gx"]).reshape(height, width)
    sums = np.zeros((height, width))
    for p, q, i, j in np.ndindex(gcols.shape):
        sums[p * stride + i, q * stride + j] += gcols[p, q, i, j]
    top, left = shown["origin"]
    whole = shown["places"] == shown["allPlaces"]
    assert whole == (size < 100)
    border = 0 if whole else kernel  # there, patches that are not shown have a share
    for h in range(border, height - border):
        for v in range(border, width - border):
            row, column = top + h, left + v
            if 0 <= row < size and 0 <= column < size:
                assert values[h, v] == x.data[0, row, column, channel]
                assert gx[h, v] == x.grad[0, row, column, channel]
                assert sums[h, v] == pytest.approx(gx[h, v], rel=1e-9, abs=1e-12)
            else:
                assert values[h, v] == 0


def test_pixels_have_no_patches():
    x = Tensor(np.zeros((1, 4, 4, 2)), requires_grad=True)
    y = functional.conv2d(x, Tensor(np.zeros((1, 1, 2, 3)), requires_grad=True))
    assert y.creator.window == window("conv2d", (4, 4), 1, 1, 0)
    assert patches.patches_of(y.creator, x.data, y.creator.inputs[1].data, y.data, None) is None


# ---- bad input --------------------------------------------------------------------------------------


def test_bad_losses(tmp_path):
    x = Tensor(np.ones(3), requires_grad=True)
    with pytest.raises(UsageError, match=r"explore: loss: expected a Tensor, got float"):
        study.explore(1.0, tmp_path / "no.html")
    with pytest.raises(UsageError, match=r"expected a tensor with one element, got shape \(3,\)"):
        study.explore(x * x, tmp_path / "no.html")
    with pytest.raises(UsageError, match="nothing was recorded"), no_grad():
        study.explore((x * x).sum(), tmp_path / "no.html")
    loss = (x * x).sum()
    loss.backward()
    with pytest.raises(UsageError, match="freed by an earlier backward"):
        study.explore(loss, tmp_path / "no.html")
    assert not (tmp_path / "no.html").exists()


def test_bad_module_and_path(tmp_path, network):
    with pytest.raises(UsageError, match=r"module: expected one of conv1, norm1, .*; got 'inception9z'"):
        study.explore(network[2], tmp_path / "no.html", module="inception9z")
    with pytest.raises(UsageError, match="cannot write"):
        study.explore(small_loss()[2], tmp_path / "nowhere" / "no.html")


def test_too_many_ops(tmp_path):
    x = Tensor(np.ones(2), requires_grad=True)
    y = x
    for _ in range(1500):
        y = y + 1.0
    with pytest.raises(UsageError, match=r"expected a graph of at most 1,500 ops, got one of 1,501;"):
        study.explore(y.sum(), tmp_path / "no.html")


def test_no_elements(tmp_path):
    x = Tensor(np.ones((0, 3)), requires_grad=True)
    with pytest.raises(UsageError, match=r"an input of multiply has shape \(0, 3\): there are no numbers"):
        study.explore((x * x).sum(), tmp_path / "no.html")


def test_bad_names(tmp_path):
    x, w, loss = small_loss()
    for names, words in (
        (["x"], "names: expected a mapping of names to tensors, got list"),
        ({"x": 1.0}, "names: 'x': expected a Tensor, got float"),
        ({"x": Tensor(1.0)}, "names: 'x' is not in this graph"),
        ({"x": x, "loss": loss}, "names: 'loss' was made by an op, which names it"),
    ):
        with pytest.raises(UsageError, match=re.escape(words)):
            study.explore(loss, tmp_path / "no.html", names=names)
    with pytest.raises(UsageError, match="module: this graph has no modules; got 'conv1'"):
        study.explore(loss, tmp_path / "no.html", module="conv1")


@pytest.mark.parametrize("signed", [False, True])
def test_what_is_not_finite_is_checked_and_leaves_the_scale_alone(signed):
    values = np.array([[-1.0, 0.5, np.nan], [1.0, np.inf, -np.inf]])
    plain_ones = np.where(np.isfinite(values), values, 0.0)
    levels = thumbnails.quantised(values, signed)
    finite = np.isfinite(values)
    assert np.array_equal(levels[finite], thumbnails.quantised(plain_ones, signed)[finite])
    assert set(levels[~finite]) == {thumbnails.NOT_FINITE}
    pictures = thumbnails.Pictures()
    pictures.add(thumbnails.matrix(values, signed), signed)
    pictures.add_colours(np.stack([values] * 3, axis=2))
    for uri in pictures.uris:
        image = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")
        assert {thumbnails.YELLOW, (0, 0, 0)} <= {colour for _, colour in image.getcolors()}
