"""profile(): times by an injected clock, costs by hand, and no hook left behind."""

import threading
import weakref

import numpy as np
import pytest

import minicnn
from minicnn import DeviceError, ShapeError, Tensor, UsageError, nn, no_grad, parallel, tensor
from minicnn import functional as F


@pytest.fixture
def x() -> Tensor:
    return Tensor(np.ones((2, 3)), requires_grad=True)


def row(record, name, **arguments):
    (found,) = [row for row in record.rows(**arguments) if row.name == name]
    return found


def images(*shape) -> Tensor:
    return Tensor(np.ones(shape, np.float32))


# ---- time ----


def test_forward_and_backward_are_told_apart(clock, slow, x):
    with minicnn.profile() as record:
        y = slow(x, 5, 70)
        y = slow(y, 6, 80, name="slower")
        y = slow(y, 7, 90)
        clock.time += 1000
        y.backward(1.0)
    first, second = record.rows()
    assert (first.name, first.calls) == ("slow", 2)
    assert (first.forward_seconds, first.backward_seconds) == pytest.approx((12e-9, 160e-9))
    assert (second.name, second.calls) == ("slower", 1)
    assert (second.forward_seconds, second.backward_seconds) == pytest.approx((6e-9, 80e-9))
    assert record.seconds == pytest.approx(1258e-9)
    assert record.outside_seconds == pytest.approx(1000e-9)
    assert record.summing_seconds == 0


def test_everything_adds_up_to_the_time_of_the_block(clock, rng):
    clock.tick = 3
    block = nn.Inception(8, 2, 3, 4, 2, 3, 2, rng=rng)
    with minicnn.profile() as record:
        (block(images(2, 6, 6, 8)) * 2.0).sum().backward()
    parts = sum(row.seconds for row in record.rows()), record.summing_seconds, record.outside_seconds
    assert min(parts) > 0
    assert sum(parts) == pytest.approx(record.seconds, rel=1e-12)
    by_layer = sum(row.seconds for row in record.rows(by="layer"))
    assert by_layer == pytest.approx(parts[0], rel=1e-12)


def test_time_of_an_op_inside_an_op_counts_once(clock, slow, x):
    with minicnn.profile() as record:
        y = slow(x, 10, 3000, inside=lambda: slow(x, 200, 0, name="inner"), name="outer")
        y.backward(1.0)  # here it runs the inner op once more
    assert row(record, "outer").forward_seconds == pytest.approx(10e-9)
    assert row(record, "outer").backward_seconds == pytest.approx(3000e-9)
    assert row(record, "inner").forward_seconds == pytest.approx(400e-9)
    assert record.outside_seconds == pytest.approx(0, abs=1e-15)


def test_an_op_that_fails_is_forgotten(clock, slow, x):
    def fail():
        raise ZeroDivisionError

    class Block(nn.Module):
        def forward(self, x):
            slow(x, 10, 0, inside=fail, name="broken")

    with minicnn.profile() as record:
        with pytest.raises(ZeroDivisionError):
            nn.Sequential(Block())(x)
        slow(x, 5, 0)
    assert [row.name for row in record.rows()] == ["slow"]
    assert record.outside_seconds == pytest.approx(10e-9)
    assert [(span.phase, span.name) for span in record.spans] == [("module", "0"), ("forward", "slow")]


def test_a_walk_that_fails_is_forgotten(clock, slow, x):
    class Broken(minicnn.Function):
        name = "broken"

        def forward(self, x):
            return x + 1

        def backward(self, gy):
            raise ZeroDivisionError

    with minicnn.profile() as record:
        with pytest.raises(ZeroDivisionError):
            Broken().apply(x).backward(1.0)
        slow(x, 5, 7).backward(1.0)
    assert row(record, "slow").backward_seconds == pytest.approx(7e-9)
    assert record.outside_seconds == pytest.approx(0, abs=1e-15)


def test_a_block_may_begin_inside_a_module_and_end_outside(clock, slow, x):
    block = minicnn.profile()

    class Begins(nn.Module):
        def forward(self, x):
            self.record = block.__enter__()
            return slow(x, 5, 0)

    begins = Begins()
    slow(nn.Sequential(begins)(x), 6, 0)
    block.__exit__(None, None, None)
    assert row(begins.record, "slow").forward_seconds == pytest.approx(11e-9)
    assert {span.phase for span in begins.record.spans} == {"forward"}


# ---- names ----


def test_layers(clock, slow, x, rng):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 3, rng=rng).astype(np.float64)

        def forward(self, x):
            return slow(self.fc(x), 5, 7)

    network = nn.Sequential(Block(), Block())
    with minicnn.profile() as record:
        slow(network(x), 1, 2, name="loss").backward(1.0)
    assert [row.name for row in record.rows(by="layer")] == ["0.fc", "0", "1.fc", "1", "loss"]
    assert row(record, "1", by="layer").seconds == pytest.approx(12e-9)
    assert [(row.name, row.calls) for row in record.rows(by="layer", depth=1)] == [
        ("0", 2),
        ("1", 2),
        ("loss", 1),
    ]


def test_fused_by_default_and_composed_on_request(rng):
    block = nn.Inception(8, 2, 3, 4, 2, 3, 2, rng=rng)
    with minicnn.profile() as fused:
        block(images(2, 6, 6, 8))
    with minicnn.profile(composed=True) as composed:
        block(images(2, 6, 6, 8))
    block(images(2, 6, 6, 8))  # neither sees what comes after
    assert {row.name: row.calls for row in fused.rows()} == {"inception": 1}
    assert {row.name: row.calls for row in composed.rows()} == {
        "conv2d": 6, "relu": 6, "max_pool2d": 1, "concat": 1,
    }  # fmt: skip


# ---- cost ----


def test_an_inception_module_costs_what_its_convolutions_cost(rng):
    block = nn.Inception(8, 2, 3, 4, 2, 3, 2, rng=rng)
    flops = []
    for composed in (False, True):
        x = Tensor(rng.standard_normal((2, 6, 6, 8)).astype(np.float32), requires_grad=True)
        with minicnn.profile(composed=composed) as record:
            block(x).sum().backward()
        flops.append(
            [sum(getattr(row, f"{way}_flops") for row in record.rows()) for way in ("forward", "backward")]
        )
    assert flops[0] == flops[1]
    assert flops[0][0] == 2 * 2 * 36 * (8 * 2 + 8 * 3 + 9 * 3 * 4 + 8 * 2 + 25 * 2 * 3 + 8 * 2)


def test_operations_by_hand():
    rng = np.random.default_rng(0)
    first = nn.Conv2d(
        3, 8, (3, 5), stride=2, padding=(1, 2), rng=rng
    )  # of an image, whose gradient nobody wants
    second = nn.Conv2d(8, 6, 1, groups=2, activation="relu", rng=rng)
    fc = nn.Linear(6, 10, rng=rng)
    with minicnn.profile() as record:
        F.exp(fc(F.global_avg_pool2d(second(first(images(2, 8, 12, 3)))))).sum().backward()
    conv2d = 2 * 2 * 4 * 6 * 8 * (3 * 5 * 3)  # two for each multiplication; (N, OH, OW, CO), then KH, KW, CI
    assert row(record, "conv2d").forward_flops == conv2d
    assert row(record, "conv2d").backward_flops == conv2d
    conv2d_relu = 2 * 2 * 4 * 6 * 6 * (8 // 2)
    assert row(record, "conv2d_relu").forward_flops == conv2d_relu
    assert row(record, "conv2d_relu").backward_flops == 2 * conv2d_relu
    assert row(record, "linear").forward_flops == 2 * 2 * 6 * 10
    assert row(record, "linear").backward_flops == 2 * (2 * 2 * 6 * 10)
    assert row(record, "exp").forward_flops == row(record, "exp").backward_flops == 0
    assert row(record, "exp").gflops_per_second is None


def test_operations_of_matrix_products():
    a, b = Tensor(np.ones((5, 2, 3)), requires_grad=True), Tensor(np.ones((3, 4)))
    with minicnn.profile() as record:
        (a @ b).sum().backward()
    assert row(record, "matmul").forward_flops == row(record, "matmul").backward_flops == 2 * 5 * 2 * 4 * 3


def test_rate(clock, slow, x):
    with minicnn.profile() as record:
        clock.tick = 50  # between the two looks that every op takes
        (Tensor(np.ones((4, 5)), requires_grad=True) @ Tensor(np.ones((5, 6)))).sum().backward()
    products = row(record, "matmul")
    assert products.seconds == pytest.approx(100e-9)
    assert products.gflops_per_second == pytest.approx(2 * (2 * 4 * 5 * 6) / 100)


# ---- memory ----


def test_kept_bytes_by_hand(rng):
    conv = nn.Conv2d(3, 4, 3, padding=1, activation="relu", rng=rng)
    with minicnn.profile() as record:
        y = F.reshape(F.max_pool2d(conv(images(2, 8, 8, 3)), 2), 2, -1)
    assert (
        row(record, "conv2d_relu").kept_bytes == 2 * 8 * 8 * 4 * 4
    )  # y, which is saved as well, once; no x, no w
    pooled = 2 * 4 * 4 * 4 * 4
    winners = 2 * 8 * 4 * 4 + 2 * 4 * 4 * 4  # a byte each, of both passes
    assert row(record, "max_pool2d").kept_bytes == pooled + winners
    assert row(record, "reshape").kept_bytes == 0  # the same memory
    assert record.peak_bytes == 2 * 8 * 8 * 4 * 4 + pooled + winners
    assert y.shape == (2, 64)


def test_nothing_is_kept_without_a_graph(rng):
    conv = nn.Conv2d(3, 4, 3, padding=1, activation="relu", rng=rng)
    with minicnn.profile() as record, no_grad():
        y = conv(images(2, 8, 8, 3))
        y = conv(images(2, 8, 8, 3))
    assert row(record, "conv2d_relu").calls == 2
    assert row(record, "conv2d_relu").kept_bytes == 0
    one = 2 * 8 * 8 * 4 * 4
    assert record.peak_bytes == 2 * one  # the old y is let go when the new one is there
    assert record.levels[-1].activations == one == y.data.nbytes


def test_after_backward_only_the_gradients_of_the_parameters_are_left(rng):
    block = nn.Inception(8, 2, 3, 4, 2, 3, 2, rng=rng)
    shared = nn.Linear(11, 11, rng=rng)
    parameters = 4 * (block.num_parameters() + shared.num_parameters())

    def step():
        x = Tensor(np.ones((2, 6, 6, 8), np.float32), requires_grad=True)
        y = F.global_avg_pool2d(block(x))
        shared(shared(y)).sum().backward()  # the walk adds up two gradients of its weights

    with minicnn.profile() as record:
        step()
    assert record.levels[-1].activations == 0
    assert record.levels[-1].gradients == parameters
    assert max(level.activations for level in record.levels) == sum(row.kept_bytes for row in record.rows())
    assert record.peak_bytes > max(level.activations for level in record.levels)
    with minicnn.profile() as record:
        step()  # adds to the gradients: new arrays in the place of the old ones
    assert record.levels[-1].gradients == parameters


def test_gradients_in_flight_by_hand(slow):
    a, b = Tensor(np.ones((2, 3)), requires_grad=True), Tensor(np.ones((3, 4)), requires_grad=True)
    with minicnn.profile() as record:
        y = slow(a @ b, 0, 0)
        y.backward(1.0)
    of_output, of_product, of_a, of_b = 8 * 2 * 4, 8 * 2 * 4, 8 * 2 * 3, 8 * 3 * 4
    assert max(level.gradients for level in record.levels) == of_output + of_product + of_a + of_b
    assert record.levels[-1].gradients == of_a + of_b
    assert record.levels[-1].activations == y.data.nbytes


def test_a_record_keeps_no_array_alive_and_forgets_them_after_the_block():
    x = Tensor(np.ones(1000), requires_grad=True)
    with minicnn.profile() as record:
        y = x.exp()
        data = weakref.ref(y.data)
        z = x.exp()
        del y
        assert data() is None
    levels = list(record.levels)
    del z
    assert record.levels == levels
    assert [level.activations for level in levels] == [8000, 16000, 8000]


# ---- hooks ----


def test_an_error_in_the_block_leaves_no_hook_behind(x):
    with pytest.raises(ZeroDivisionError), minicnn.profile(composed=True) as record:
        x.exp().item(1 / 0)
    assert tensor._state.observers == []
    assert parallel._thread.wrappers == ()
    assert tensor.fusion_enabled()
    x.exp()
    assert [row.calls for row in record.rows()] == [1]


def test_blocks_nest(x, rng):
    conv = nn.Conv2d(3, 4, 3, rng=rng)
    with minicnn.profile() as outer:
        conv(images(8, 5, 5, 3))
        with minicnn.profile() as inner:
            conv(images(8, 5, 5, 3))
    assert row(outer, "conv2d").calls == 2
    assert row(inner, "conv2d").calls == 1
    assert 0 < len(inner.tiles) < len(outer.tiles)


def test_other_threads_are_not_looked_at(x, rng):
    conv = nn.Conv2d(3, 4, 3, rng=rng)
    with minicnn.profile() as record:
        thread = threading.Thread(target=lambda: conv(images(8, 5, 5, 3)))
        thread.start()
        thread.join()
    assert record.rows() == []
    assert record.tiles == []


def test_results_are_the_same_bits(rng):
    block = nn.Inception(8, 2, 3, 4, 2, 3, 2, rng=rng)
    x = Tensor(rng.standard_normal((4, 6, 6, 8)).astype(np.float32), requires_grad=True)

    def gradient():
        x.zero_grad()
        block(x).sum().backward()
        return x.grad.tobytes()

    plain = gradient()
    with minicnn.profile():
        assert gradient() == plain


# ---- errors ----


def test_refuses_a_gpu(x, monkeypatch):
    monkeypatch.setattr(Tensor, "device", "cuda:0")
    with pytest.raises(DeviceError, match="expected ops on the CPU, got exp on cuda:0"), minicnn.profile():
        x.exp()


def test_a_record_is_for_after_the_block(tmp_path):
    with minicnn.profile() as record:
        for look in (
            record.rows,
            record.table,
            lambda: record.seconds,
            lambda: record.save_trace(tmp_path / "x"),
        ):
            with pytest.raises(UsageError, match="after the block, not inside it"):
                look()


def test_wrong_arguments():
    with minicnn.profile() as record:
        pass
    with pytest.raises(UsageError, match='by: expected "op" or "layer", got \'module\''):
        record.rows(by="module")
    with pytest.raises(UsageError, match='it needs by="layer"'):
        record.rows(depth=1)
    with pytest.raises(ShapeError, match="profile: depth: expected at least 1, got 0"):
        record.rows(by="layer", depth=0)
    with pytest.raises(ShapeError, match="profile: steps: expected at least 1, got 0"):
        record.table(steps=0)


def test_an_empty_block(clock):
    with minicnn.profile() as record:
        pass
    assert record.rows() == []
    assert (record.seconds, record.outside_seconds, record.peak_bytes) == (0, 0, 0)
    assert "total" in str(record)
