"""no_grad, observe, composed, and the path of the module that called an op."""

import threading

import numpy as np
import pytest

from minicnn import ShapeError, Tensor, composed, nn, no_grad
from minicnn import functional as F
from minicnn.tensor import Observer, fusion_enabled, observe, observed_by


def in_another_thread(function):
    """Run `function` in a thread of its own and return its result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


# ---- no_grad ----


def test_no_grad_ends_with_the_block_even_after_an_error():
    x = Tensor([1.0], requires_grad=True)
    with no_grad(), no_grad():
        assert not (x * 2).requires_grad
    with pytest.raises(ZeroDivisionError), no_grad():
        raise ZeroDivisionError
    assert (x * 2).requires_grad


def test_no_grad_nests():
    x = Tensor([1.0], requires_grad=True)
    with no_grad():
        with no_grad():
            pass
        assert not (x * 2).requires_grad


def test_no_grad_is_of_one_thread():
    x = Tensor([1.0], requires_grad=True)
    with no_grad():
        assert in_another_thread(lambda: (x * 2).requires_grad)
    entered, left = threading.Event(), threading.Event()

    def stay_inside():
        with no_grad():
            entered.set()
            left.wait(10)

    thread = threading.Thread(target=stay_inside)
    thread.start()
    entered.wait(10)
    assert (x * 2).requires_grad
    left.set()
    thread.join()


# ---- observe ----


def test_observer_sees_every_op_with_its_arrays():
    x, w = Tensor(np.ones((2, 3)), requires_grad=True), Tensor(np.ones((3, 4)))
    seen = []
    with observe(lambda function, inputs, output: seen.append((function.name, inputs, output))):
        y = F.linear(x, w)
        z = y.sum()
    y.exp()  # after the block
    assert [name for name, _, _ in seen] == ["linear", "sum"]
    assert seen[0][1] == (x, w)
    assert seen[0][2] is y
    assert seen[1][2] is z


def test_observer_may_look_at_branches_without_a_graph():
    seen = []
    x = Tensor(np.array([-1.0, 2.0]))
    with observe(lambda function, inputs, output: seen.append(function.branches())):
        F.relu(x)
        F.exp(x)
    assert seen[0].tolist() == [False, True]
    assert seen[1] is None


def test_observers_nest_and_belong_to_one_thread():
    outer, inner = [], []
    x = Tensor([1.0])
    with observe(lambda *op: outer.append(op)):
        with observe(lambda *op: inner.append(op)):
            x.exp()
        x.exp()
        in_another_thread(x.exp)
    assert (len(outer), len(inner)) == (2, 1)


class Notebook(Observer):
    """Writes down everything it is told."""

    def __init__(self):
        self.notes = []

    def enter_module(self, path):
        self.notes.append(f"enter {path}")

    def leave_module(self, path):
        self.notes.append(f"leave {path}")

    def before_forward(self, function, inputs):
        self.notes.append(f"before {function.name} of {inputs[0].shape}, recorded: {function.is_recorded}")

    def after_forward(self, function, inputs, output):
        self.notes.append(f"after {function.name} of {inputs[0].shape}: {output.shape}")

    def before_walk(self):
        self.notes.append("before walk")

    def after_walk(self):
        self.notes.append("after walk")

    def before_backward(self, function, gy):
        self.notes.append(f"before {function.name} backward: {gy.shape}")

    def after_backward(self, function, gy, gradients):
        shapes = [gradient.shape for gradient in gradients]
        self.notes.append(f"after {function.name} backward: {gy.shape}, {shapes}, freed: {function.freed}")


def test_observer_is_told_what_begins_and_ends(rng):
    notebook = Notebook()
    network = nn.Sequential(nn.Sequential(nn.Linear(3, 4, bias=False, rng=rng)))
    x = Tensor(np.ones((2, 3), np.float32), requires_grad=True)
    with observed_by(notebook):
        network(x).sum().backward()
    network(x).sum().backward()
    assert notebook.notes == [
        "enter 0", "enter 0.0",
        "before linear of (2, 3), recorded: True", "after linear of (2, 3): (2, 4)",
        "leave 0.0", "leave 0",
        "before sum of (2, 4), recorded: True", "after sum of (2, 4): ()",
        "before walk",
        "before sum backward: ()", "after sum backward: (), [(2, 4)], freed: False",
        "before linear backward: (2, 4)", "after linear backward: (2, 4), [(2, 3), (3, 4)], freed: False",
        "after walk",
    ]  # fmt: skip


def test_observer_is_told_that_a_module_failed(rng):
    notebook = Notebook()
    with pytest.raises(ShapeError), observed_by(notebook):
        nn.Sequential(nn.Linear(3, 4, rng=rng))(Tensor(np.ones((2, 5), np.float32)))
    assert notebook.notes == ["enter 0", "leave 0"]


def test_an_observer_need_not_care_about_everything(rng):
    x = Tensor([1.0, 2.0], requires_grad=True)
    with observed_by(Observer()):
        nn.Sequential(nn.ReLU())(x).sum().backward()
    assert x.grad.tolist() == [1, 1]


# ---- branches: which way an element went ----


def test_branches_of_max_pooling_number_the_places_of_the_winners(rng):
    x = Tensor(rng.standard_normal((2, 7, 9, 3)), requires_grad=True)
    y = F.max_pool2d(x, (2, 3), (2, 1), padding=((1, 0), (2, 1)), ceil_mode=True)
    padded = np.full((2, 9, 12, 3), -np.inf)
    padded[:, 1:8, 2:11] = x.data
    branches = y.creator.branches()
    assert branches.shape == y.shape
    for n, p, q, c in np.ndindex(y.shape):
        window = padded[n, 2 * p : 2 * p + 2, q : q + 3, c]
        assert branches[n, p, q, c] == window.argmax()


def test_branches_of_relu_and_its_fused_form(rng):
    x, w = (
        Tensor(rng.standard_normal((1, 4, 4, 2)), requires_grad=True),
        Tensor(rng.standard_normal((3, 3, 2, 2))),
    )
    fused, plain = F.conv2d_relu(x, w), F.conv2d(x, w)
    np.testing.assert_array_equal(F.relu(plain).creator.branches(), plain.data > 0)
    np.testing.assert_array_equal(fused.creator.branches(), plain.data > 0)


def test_branches_of_max_tell_the_first_winner():
    x = Tensor(np.array([[1.0, 3.0, 3.0], [5.0, 4.0, 5.0]]), requires_grad=True)
    assert x.max(axis=1).creator.branches().tolist() == [1, 0]
    assert x.max().creator.branches() == 3


# ---- composed ----


def small_network(rng):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, activation="relu", rng=rng), nn.Conv2d(4, 2, 1, rng=rng)
    )


def test_composed_runs_the_single_ops(rng):
    network = small_network(rng)
    names = []
    x = Tensor(np.zeros((1, 4, 4, 3), np.float32))
    with observe(lambda function, inputs, output: names.append(function.name)):
        network(x)
        with composed():
            network(x)
        network(x)
    assert names == ["conv2d_relu", "conv2d", "conv2d", "relu", "conv2d", "conv2d_relu", "conv2d"]


def test_composed_is_of_one_thread():
    with composed():
        assert not fusion_enabled()
        assert in_another_thread(fusion_enabled)
    assert fusion_enabled()


# ---- module paths ----


class Block(nn.Module):
    def __init__(self, rng):
        super().__init__()
        self.inner = small_network(rng)
        self.fc = nn.Linear(2, 3, rng=rng)

    def forward(self, x):
        return self.fc(F.global_avg_pool2d(self.inner(x)))


def test_ops_know_the_module_that_called_them(rng):
    root = nn.Sequential(Block(rng))
    x = Tensor(np.zeros((1, 4, 4, 3), np.float32))
    paths = []
    with observe(lambda function, inputs, output: paths.append((function.name, function.module_path))):
        loss = root(x).sum()
    assert paths == [
        ("conv2d_relu", "0.inner.0"),
        ("conv2d", "0.inner.1"),
        ("global_avg_pool2d", "0"),
        ("linear", "0.fc"),
        ("sum", ""),
    ]
    function = loss.creator.inputs[0].creator
    assert repr(function) == "<linear in 0.fc>"
    assert {path for _, path in paths[:-1]} <= {path for path, _ in root.named_modules()}


def test_shape_errors_know_the_module_too(rng):
    root = nn.Sequential(Block(rng))
    with pytest.raises(
        ShapeError, match=r"^conv2d: x: expected 3 channels .* got 5 channels .* \(in 0\.inner\.0\)$"
    ):
        root(Tensor(np.zeros((1, 4, 4, 5), np.float32)))
    paths = []
    with observe(lambda function, inputs, output: paths.append(function.module_path)):
        Tensor([1.0]).exp()
    assert paths == [""]  # the error has not left anything behind


def test_paths_are_of_one_thread(rng):
    paths = []

    class Asks(nn.Module):
        def forward(self, x):
            def work():
                with observe(lambda function, inputs, output: paths.append(function.module_path)):
                    x.exp()

            in_another_thread(work)
            work()
            return x

    nn.Sequential(Asks())(Tensor([1.0]))
    assert paths == ["", "0"]


def test_module_named_after_construction_is_known_by_its_place(rng):
    """A module is named by where it is put; before that, ops in it have no path."""
    layer = nn.Linear(2, 2, rng=rng)
    x = Tensor(np.zeros((1, 2), np.float32))
    functions = []
    with observe(lambda function, inputs, output: functions.append(function)):
        layer(x)
        nn.Sequential(layer)(x)
    assert [function.module_path for function in functions] == ["", "0"]


def test_an_observer_that_fails_leaves_no_module_name_behind():
    class Failing(Observer):
        def leave_module(self, path):
            raise MemoryError

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.ReLU()

        def forward(self, x):
            return self.inner(x)

    paths = []
    with pytest.raises(MemoryError), observed_by(Failing()):
        Outer()(Tensor([1.0]))
    with observe(lambda function, inputs, output: paths.append(function.module_path)):
        Tensor([1.0]).relu()
    assert paths == [""]
