"""The page of `study.explore`, clicked and typed at in Chromium; it shows what the engine computed."""

import itertools

import numpy as np
import pytest

from minicnn import Tensor, composed, models, study
from minicnn.study.explorer.record import record

pytestmark = pytest.mark.browser

MODULE = "inception4a"


@pytest.fixture(scope="module")
def network_loss():
    rng = np.random.default_rng(5)
    model = models.googlenet_cifar(width=0.1, rng=rng)
    image = Tensor(rng.normal(size=(1, 32, 32, 3)).astype(np.float32), requires_grad=True)
    with composed():
        return models.total_loss(model(image), np.array([1]))


@pytest.fixture(scope="module")
def recording(network_loss):
    return record(network_loss)


@pytest.fixture(scope="module")
def file(network_loss, tmp_path_factory):
    return study.explore(network_loss, tmp_path_factory.mktemp("page") / "network.html", title="A network")


@pytest.fixture
def page(open_page, file):
    return open_page(file)


def norm(array):
    return float(np.linalg.norm(array.astype(np.float64).ravel()))


def step_of(recording, name):
    titles = [recording.ops[op].function.title for op in recording.steps]
    return titles.index(name)


def test_opens(page, recording):
    assert page.ask("document.documentElement.dataset.ready") == "yes"
    assert page.text("#title") == "A network"
    assert page.text("#counter") == "forward pass"
    assert page.numbers("#panel")["loss"] == recording.loss.data
    assert page.ask("performance.getEntriesByType('resource').length") == 0
    assert page.complaints() == []


def test_full_width(open_page, tmp_path):
    model = models.googlenet_cifar(width=1.0, rng=np.random.default_rng(0))
    with composed():
        out = model(Tensor(np.ones((1, 32, 32, 3), np.float32), requires_grad=True))
        loss = models.total_loss(out, np.array([1]))
    page = open_page(study.explore(loss, tmp_path / "full.html"))
    assert page.ask("document.documentElement.dataset.ready") == "yes"
    assert page.complaints() == []
    print(f"opened in {page.ask('performance.now()'):.0f} ms at most")


def test_steps_by_key_and_by_button(page, recording):
    page.press("ARROW_RIGHT")
    assert page.text("#counter") == f"step 1 of {len(recording.steps)}"
    page.find("#forward").click()
    assert page.text("#counter").startswith("step 2 of")
    assert page.count(".box.now") == 1
    page.press("ARROW_LEFT")
    page.find("#back").click()
    assert page.text("#counter") == "forward pass"
    assert page.count(".box.now") == 0
    page.press("END")
    assert page.text("#counter") == f"step {len(recording.steps)} of {len(recording.steps)}"
    assert page.count(".box.todo") == 0
    page.press("HOME")
    assert page.count(".box.done") == 0


def test_every_step_shows_the_values_of_the_engine(page, recording):
    for step in range(len(recording.steps)):
        op = recording.ops[recording.steps[step]]
        page.driver.execute_script("goTo(arguments[0])", step)
        assert op.function.name in page.text("#panel h2")
        gradient = recording.tensors[op.output].gradient
        shown = page.ask(
            """[...document.querySelectorAll('.incoming > .pair > .statistics .number')]
            .map((n) => [n.dataset.what, Number(n.dataset.value)])"""
        )
        expected = {
            "norm": norm(gradient),
            "min": float(gradient.min()),
            "max": float(gradient.max()),
            "mean": float(gradient.astype(np.float64).mean()),
        }
        assert dict(shown) == (expected if gradient.size > 1 else {})
        sent = page.ask(
            """[...document.querySelectorAll('.out[data-edge]')].map((o) => [Number(o.dataset.edge),
            Number((o.querySelector('.statistics .number') ?? o.querySelector('.number')).dataset.value)])"""
        )
        gradients = {edge: recording.edges[edge].gradient for edge in op.edges}
        assert dict(sent) == {
            edge: gradient.item() if gradient.size == 1 else norm(gradient)
            for edge, gradient in gradients.items()
            if gradient is not None
        }


def test_the_split_at_concat(page, recording):
    page.go_to(f"concat in {MODULE}")
    assert page.count(".split .piece") == 4
    assert page.count(".out[data-edge]") == 4
    assert page.count("path.line.now") == 4
    assert "Split 4 ways" in page.text("#panel")


def test_contributions_add_up_as_they_arrive(page, recording):
    sources = [
        f"max_pool2d in {MODULE}.pool",
        f"conv2d in {MODULE}.conv5x5_reduce",
        f"conv2d in {MODULE}.conv3x3_reduce",
        f"conv2d in {MODULE}.conv1x1",
    ]
    (node,) = [
        n
        for n in recording.tensors
        if len(n.uses) == 4 and recording.ops[n.creator].function.module_path == "pool3"
    ]
    parts = sorted((recording.edges[use] for use in node.uses), key=lambda edge: edge.arrived)
    assert [recording.ops[edge.op].function.title for edge in parts] == sources
    sums = itertools.accumulate(edge.gradient for edge in parts)
    for arrived, (source, total) in enumerate(zip(sources, sums, strict=True), start=1):
        page.go_to(source)
        assert page.numbers(".sum tr.total")["sum norm"] == norm(total)
        assert page.count(".sum tr.awaited") == 4 - arrived
        assert page.ask(
            f"scene.boxes.get('op {node.creator}').element.querySelector('.badge').textContent"
        ) == (f"Σ {arrived} of 4")


def test_opens_and_closes_a_module(page):
    closed = page.count(".box")
    page.find(f"[data-toggle={MODULE}]").click()
    assert page.count(".box") == closed + 13  # fourteen ops in the place of one box
    assert page.count(".frame") == 1
    page.find(f".frame-title[data-toggle={MODULE}]").click()
    assert page.count(".box") == closed
    page.find(f"[data-box='group {MODULE}'] .meta").click()
    assert page.text("#panel h2") == MODULE
    page.press("o")
    assert page.count(".frame") == 1
    page.driver.execute_script("goTo(-1)")
    page.go_to(f"relu in {MODULE}.conv3x3")
    page.press("o")
    assert page.count(".frame") == 0
    assert page.count(f"[data-box='group {MODULE}'].now") == 1


def test_modules_open_on_the_way_unless_told_not_to(page):
    page.go_to(f"concat in {MODULE}")
    assert page.count(".frame") == 1
    page.press("f")
    page.go_to("concat in inception3b")
    assert page.count(".frame") == 0
    assert page.count(".box.group.now") == 1


def test_jumps_from_module_to_module(page, recording):
    page.go_to(f"concat in {MODULE}")
    page.press("ARROW_RIGHT", shift=True)
    assert "pool3" in page.text("#panel h2")
    page.press("ARROW_LEFT", shift=True)
    assert page.ask("state.step") == step_of(recording, f"concat in {MODULE}")


@pytest.mark.parametrize("way", ["key", "click"])
def test_switches_of_the_heads(page, recording, way):
    def switch(head):
        if way == "key":
            page.press(str(head + 1))
        else:
            page.find(f".head-switch.head-{head}").click()

    name = f"conv2d in {MODULE}.conv3x3"
    page.go_to(name)
    assert page.count("path.head") == 0
    for head in range(3):
        switch(head)
    op = recording.ops[recording.steps[step_of(recording, name)]]
    edge = recording.edges[op.edges[0]]
    norms = [norm(part) if part is not None else 0.0 for part in edge.of_heads]
    shown = page.numbers(".heads-card tr:nth-child(2)")
    for head, name_of_head in enumerate(["main", "aux1", "aux2"]):
        assert shown[f"norm of {name_of_head}"] == pytest.approx(norms[head], rel=1e-12)
    assert shown["norm of the heads shown"] == pytest.approx(norm(edge.gradient), rel=1e-5)
    line = page.ask("scene.lines.find((l) => l.edges.includes(edges[arguments[0]])).id", op.edges[0])
    drawn = page.ask(
        """[...document.querySelectorAll('path.head')].filter((p) => p.dataset.line === arguments[0])
        .map((p) => [Number(p.dataset.head), Number(p.dataset.share)])""",
        line,
    )
    expected = {head: value / sum(norms) for head, value in enumerate(norms) if value > 0}
    assert {int(head): share for head, share in drawn} == pytest.approx(expected, rel=1e-9)
    switch(0)
    assert page.count("path.head-0") == 0
    assert page.count("path.head-1") > 0
    assert page.ask("getComputedStyle(document.querySelector('path.head-1')).strokeDasharray") != "none"


def test_only_the_main_head_reaches_the_upper_modules(page):
    page.press("1", "2", "3")
    page.go_to("concat in inception5b")
    assert page.count(".head-bar.head-0") == 4
    assert page.count(".head-bar.head-1") == page.count(".head-bar.head-2") == 0


def test_help(page):
    page.press("?")
    assert page.find("#help").is_displayed()
    page.press("ARROW_RIGHT")
    assert page.text("#counter") == "forward pass"  # the page behind it stands still
    page.press("ESCAPE")
    assert not page.find("#help").is_displayed()


def test_patches(page, recording):
    name = f"conv2d in {MODULE}.conv3x3"
    page.go_to(name)
    page.press("p")
    assert page.find("#patches").is_displayed()
    assert page.count("[data-grid=x] .in-patch") == 9
    assert page.count("[data-row=g] td") == 9
    op = recording.ops[recording.steps[step_of(recording, name)]]
    channel = page.ask("state.patches.channel")
    gx = recording.edges[op.edges[0]].gradient[0, :, :, channel]
    p, q = page.ask("[state.patches.p, state.patches.q]")
    page.press("ARROW_UP", "ARROW_LEFT")
    assert page.ask("[state.patches.p, state.patches.q]") == [p - 1, q - 1]
    shown = page.numbers(".overlap")
    assert shown["engine gx"] == gx[p - 1, q - 1]
    assert shown["overlap sum"] == pytest.approx(shown["engine gx"], rel=1e-4, abs=1e-9)
    page.press("a")
    assert page.ask("state.patches.added.size") == 1
    page.press("A")
    rows, columns = gx.shape
    sums = page.ask(
        """Array.from({length: arguments[0]}, (_, h) => Array.from({length: arguments[1]},
        (_, w) => state.patches.sumAt(h + 1, w + 1)))""",
        rows,
        columns,
    )
    assert np.allclose(sums, gx, rtol=1e-4, atol=1e-8)
    page.press("ESCAPE")
    assert not page.find("#patches").is_displayed()


def test_patches_that_are_not_there(page):
    page.go_to(f"concat in {MODULE}")
    for _ in range(2):
        page.press("p")
        assert not page.find("#patches").is_displayed()
        assert "a convolution whose window is larger than 1×1" in page.text("#panel .notice")
        assert page.count(".notice") == 1
    page.press("ARROW_RIGHT")
    assert page.count(".notice") == 0


def test_nothing_overlaps(page):
    """Boxes, with one module open after the other."""
    groups = page.ask("groups.map((group) => group.name)")
    for group in groups:
        page.driver.execute_script("state.open = new Set([arguments[0]]); drawGraph(state.open);", group)
        boxes = page.ask("[...scene.boxes.values()].map(({x, y, width, height}) => [x, y, width, height])")
        for (x, y, w, h), (u, v, s, t) in itertools.combinations(boxes, 2):
            assert x + w <= u or u + s <= x or y + h <= v or v + t <= y


def test_text_is_legible(page):
    page.go_to(f"concat in {MODULE}")
    sizes = page.ask(
        """[...document.querySelectorAll('body *')].filter((e) => e.offsetParent && e.childNodes.length
        && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()))
        .map((e) => parseFloat(getComputedStyle(e).fontSize))"""
    )
    assert min(sizes) >= 11


def test_begins_at_a_module(open_page, network_loss, tmp_path):
    page = open_page(study.explore(network_loss, tmp_path / "page.html", module=MODULE))
    assert page.text("#panel h2").endswith(f"concat {MODULE}")
    assert page.count(".frame") == 1


def test_a_small_graph(open_page, tmp_path):
    x = Tensor([[1.0, 2.0]], requires_grad=True)
    w = Tensor([[0.5, -1.0], [1.0, 3.0]], requires_grad=True)
    loss = (x @ w).relu().sum()
    page = open_page(study.explore(loss, tmp_path / "small.html", names={"x": x, "w": w}))
    assert page.count(".box") == 5
    assert not page.find("#heads").is_displayed()
    page.press("END")
    assert "matmul" in page.text("#panel h2")
    values = page.ask(
        "[...document.querySelectorAll('.out .few .number')].map((n) => Number(n.dataset.value))"
    )
    assert values == [*(-0.5, 4.0), *(1.0, 1.0, 2.0, 2.0)]
    assert {page.text(f"[data-box='leaf {leaf}'] .name") for leaf in page.ask("leaves")} == {"x", "w"}
    assert page.complaints() == []


def test_a_graph_of_numbers(open_page, tmp_path):
    """The letters of a formula may be names of tensors, too; and a number has no spread."""
    a, b = Tensor(2.0, requires_grad=True), Tensor(-5.0, requires_grad=True)
    page = open_page(study.explore(a * b + a, tmp_path / "numbers.html", names={"a": a, "b": b}))

    def lines():
        return {box: page.text(f"[data-box='{box}'] .numbers") for box in ("leaf 0", "leaf 1", "op 1")}

    assert lines() == {"leaf 0": "2", "leaf 1": "-5", "op 1": "-8"}
    assert "term 1 -10 the result of multiply" in page.text(".terms").replace("\n", " ")
    assert "term 2 2 the tensor called a" in page.text(".terms").replace("\n", " ")
    page.press("ARROW_RIGHT")
    assert page.text(".letters") == (
        "In this formula a stands for the result of multiply, b stands for the tensor called a."
    )
    page.press("ARROW_RIGHT")
    assert page.text(".letters").endswith(
        "a stands for the tensor called a, b stands for the tensor called b."
    )
    assert lines() == {"leaf 0": "g = -4", "leaf 1": "g = 2", "op 1": "g = 1"}
    assert page.numbers(".sum tr.total") == {"sum norm": -4.0}
    badge, name = (
        page.ask(f"document.querySelector(\"[data-box='leaf 0'] {part}\").getBoundingClientRect().toJSON()")
        for part in (".badge", ".name")
    )
    assert badge["bottom"] <= name["top"] + 2
    assert badge["top"] >= page.ask("document.getElementById('graph').getBoundingClientRect().top")
    assert page.complaints() == []


def test_a_sum_is_in_view_as_it_happens(page):
    """The op, the box that receives, and the panel that adds up."""
    page.press("1", "2", "3")
    seen = page.ask(
        """(() => {
        const rectangle = (element) => element.getBoundingClientRect();
        const inside = (a, b) => a.left >= b.left - 1 && a.right <= b.right + 1
          && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
        const found = [];
        steps.forEach((op, step) => {
          const sums = ops[op].edges.map((e) => edges[e]).filter((e) => e.gradient && e.of > 1);
          if (!sums.length) return;
          goTo(step);
          const view = rectangle(element("graph"));
          const shown = [boxOfOp(op, state.open), ...sums.map((e) => boxOfTensor(e.tensor, state.open))]
            .map((id) => inside(rectangle(scene.boxes.get(id).element), view));
          found.push([...shown, inside(rectangle(document.querySelector(".card.sum")), rectangle(panel))]);
        });
        return found;
        })()"""
    )
    assert len(seen) == 4 * 9 + 2
    assert all(all(shown) for shown in seen)


def test_branches_stand_in_the_order_of_the_forward_pass(page):
    modules = page.ask("groups.map((g) => g.name).filter((name) => name.startsWith('inception'))")
    assert len(modules) == 9
    for opened in [[name] for name in modules] + [modules]:
        page.driver.execute_script("state.open = new Set(arguments[0]); drawGraph(state.open);", opened)
        for module in opened:
            columns = page.ask(
                """['conv1x1', 'conv3x3', 'conv5x5', 'pool_proj'].map((name) => scene.boxes.get('op ' +
                ops.findIndex((op) => op.op === 'conv2d' && op.path === `${arguments[0]}.${name}`)).x)""",
                module,
            )
            assert columns == sorted(columns)
            assert len(set(columns)) == 4


def test_as_many_ops_as_it_takes(open_page, tmp_path):
    y = Tensor(np.ones(2), requires_grad=True)
    for _ in range(1499):
        y = y + 1.0
    page = open_page(study.explore(y.sum(), tmp_path / "long.html"))
    assert page.ask("document.documentElement.dataset.ready") == "yes"
    assert page.ask("ops.length") == 1500
    assert page.complaints() == []


def test_not_a_number(open_page, tmp_path):
    x = Tensor(np.array([1.0, 0.0]), requires_grad=True)
    with np.errstate(all="ignore"):
        page = open_page(study.explore((x / 0.0).sum(), tmp_path / "nan.html"))
    page.press("END")
    assert "inf" in page.text("#panel")
    assert page.complaints() == []
