"""The backward walk: sums over fan-outs, ownership of gradients, freed graphs, deep graphs."""

import gc
import subprocess
import sys
import weakref

import numpy as np
import pytest

from minicnn import Function, ShapeError, Tensor, buffers, no_grad
from minicnn import functional as F
from minicnn.tensor import inside_module, observe


@pytest.fixture(autouse=True, params=["new memory", "used again"])
def memory(request, monkeypatch):
    """Large arrays live in memory that is used again; here small ones do too, so that it shows."""
    if request.param == "used again":
        monkeypatch.setattr(buffers, "SMALLEST", 1)


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values, np.float64), requires_grad=True)


# ---- fan-out ----


def test_tensor_used_twice_by_one_op():
    x = leaf(1, 2)
    (x + x).backward([1, 10])
    np.testing.assert_array_equal(x.grad, [2, 20])
    x.zero_grad()
    (x * x).backward([1, 10])
    np.testing.assert_array_equal(x.grad, [2, 40])
    x.zero_grad()
    F.concat([x, x]).backward([1, 2, 30, 40])
    np.testing.assert_array_equal(x.grad, [31, 42])
    x.zero_grad()
    (x - x).backward([1, 10])
    np.testing.assert_array_equal(x.grad, [0, 0])


@pytest.mark.parametrize("consumers", [2, 3, 4])
@pytest.mark.parametrize("inner", [False, True], ids=["leaf", "inner tensor"])
def test_tensor_used_by_several_ops(consumers, inner):
    """Some of these ops hand on the very array they are given, some a view of it, some a fresh one."""
    ops = [
        lambda t: t + 0.0,
        lambda t: t.reshape(2, 1).reshape(2),
        lambda t: 3 * t,
        lambda t: F.concat([t, t])[2:],
    ]
    x = leaf(1, 2)
    h = x * 1.0 if inner else x
    y = ops[0](h)
    for op in ops[1:consumers]:
        y = y + op(h)
    y.backward([1, 10])
    factor = [0, 1, 2, 5, 6][consumers]
    np.testing.assert_array_equal(x.grad, [factor, 10 * factor])


def test_gradient_shared_by_both_sides_of_a_sum_is_not_added_into():
    """a + b hands one array to both; what is added to a's share must not turn up in b's."""
    a, b = leaf(1, 1), leaf(2, 2)
    h = a * 1.0
    y = (h + b) + h * 5.0 + h.reshape(2)
    y.backward([1, 10])
    np.testing.assert_array_equal(b.grad, [1, 10])
    np.testing.assert_array_equal(a.grad, [7, 70])


def test_gradient_handed_through_is_not_added_into():
    """a + 0 hands on what it is given, which b has been given too."""
    a, b = leaf(1, 1), leaf(2, 2)
    other = a * 5.0
    y = ((a + 0.0) + b) + other
    seed = np.array([1.0, 10.0])
    y.backward(seed)
    np.testing.assert_array_equal(b.grad, [1, 10])
    np.testing.assert_array_equal(a.grad, [6, 60])
    np.testing.assert_array_equal(seed, [1, 10])


def test_one_array_may_be_the_gradient_of_several_inputs():
    """An op that computes its gradient once and returns it for both inputs: each gets one of its own."""

    class Twin(Function):
        name = "twin"

        def forward(self, a, b):
            return a + b

        def backward(self, gy):
            g = gy * 1
            return g, g

    a, b = leaf(1, 1), leaf(2, 2)
    other = a * 5.0
    (Twin().apply(a, b) + other).backward([1, 10])
    np.testing.assert_array_equal(a.grad, [6, 60])
    np.testing.assert_array_equal(b.grad, [1, 10])
    a.zero_grad()
    b.zero_grad()
    Twin().apply(a, b).backward([1, 10])
    assert not np.shares_memory(a.grad, b.grad)


def test_views_of_one_array_may_be_the_gradients_of_several_inputs():
    """Whole views: each by itself looks like all there is in its memory."""

    class Twin(Function):
        name = "twin"

        def forward(self, a, b):
            return a + b

        def backward(self, gy):
            g = buffers.empty(gy.shape, gy)
            g[...] = gy
            return g.reshape(1, 2).reshape(2), g.reshape(2, 1).reshape(2)

    a, b = leaf(1, 1), leaf(2, 2)
    other = a * 5.0
    (Twin().apply(a, b) + other).backward([1, 10])
    np.testing.assert_array_equal(a.grad, [6, 60])
    np.testing.assert_array_equal(b.grad, [1, 10])
    a.zero_grad()
    b.zero_grad()
    Twin().apply(a, b).backward([1, 10])
    assert not np.shares_memory(a.grad, b.grad)


def test_whole_view_of_what_was_given_is_not_added_into():
    a = leaf(1, 1)
    given = buffers.empty((2,), a.data)
    given[...] = [1, 10]
    (a.reshape(2, 1).reshape(2)).backward(given)
    assert not np.shares_memory(a.grad, given)
    a.zero_grad()
    b = leaf(2, 2)
    h = a * 1.0
    (h.reshape(2, 1).reshape(2) + b + h * 5.0).backward(given)
    np.testing.assert_array_equal(given, [1, 10])
    np.testing.assert_array_equal(b.grad, [1, 10])
    np.testing.assert_array_equal(a.grad, [6, 60])


def test_diamonds_are_walked_once_per_op():
    """20 diamonds one after another: 2^20 paths, but only 60 ops."""
    calls = 0

    class Counted(Function):
        name = "counted"

        def forward(self, x):
            return x * 1

        def backward(self, gy):
            nonlocal calls
            calls += 1
            return (gy,)

    x = leaf(1.0)
    y = x
    for _ in range(20):
        y = Counted().apply(y) + Counted().apply(y)
    y.backward()
    assert calls == 40
    assert x.grad == 2**20


def test_branches_that_lead_nowhere_are_not_walked():
    x = leaf(1.0, 2.0)
    h = x * 2
    h.exp()
    (h * h).log()
    h.sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 2])


def test_frozen_inputs_get_no_gradient():
    x, w = Tensor(np.ones((2, 3))), leaf(1, 2, 3)
    (x * w).sum().backward()
    assert x.grad is None
    np.testing.assert_array_equal(w.grad, [2, 2, 2])


# ---- who owns what ----


def test_gradients_are_nobody_elses_arrays():
    alone, seed = leaf(1, 2), np.array([1.0, 1.0])
    (alone + 0.0).backward(seed)
    assert not np.shares_memory(alone.grad, seed)
    a, b, c = leaf(1, 2), leaf(3, 4), leaf(5, 6)
    (a + b + c.reshape(2)).backward(seed)
    gradients = [a.grad, b.grad, c.grad, seed]
    for i, first in enumerate(gradients):
        for second in gradients[i + 1 :]:
            assert not np.shares_memory(first, second)
    a.grad[...] = 7  # whoever holds it may write to it
    np.testing.assert_array_equal(b.grad, [1, 1])
    np.testing.assert_array_equal(seed, [1, 1])


@pytest.mark.parametrize(
    "op",
    [
        lambda t: t.sum(),
        lambda t: t.mean(axis=0),
        lambda t: t.transpose(),
        lambda t: t[0],
        lambda t: F.concat([t, t], axis=0),
        lambda t: t + t,
        lambda t: F.global_avg_pool2d(t.reshape(1, 2, 2, 1)),
        F.relu,
    ],
)
def test_gradients_can_be_written_to(op):
    x = Tensor(np.ones((2, 2)), requires_grad=True)
    y = op(x)
    y.backward(np.ones(y.shape))
    assert x.grad.flags.writeable
    assert not np.shares_memory(x.grad, x.data)
    x.grad *= 2


def test_gradients_add_up_over_backwards_and_taken_ones_stay():
    x = leaf(1, 2)
    (3 * x).sum().backward()
    taken = x.grad
    (4 * x).sum().backward()
    np.testing.assert_array_equal(taken, [3, 3])
    np.testing.assert_array_equal(x.grad, [7, 7])
    x.zero_grad()
    assert x.grad is None


def test_gradient_of_a_leaf_is_a_copy_of_what_was_given():
    x = leaf(1, 2)
    given = np.array([5.0, 6.0])
    x.backward(given)
    given[...] = 0
    np.testing.assert_array_equal(x.grad, [5, 6])


def test_inner_gradients_are_kept_on_request():
    x = leaf(1, 2)
    h = x * 2
    h.retain_grad()
    other = x * 3
    y = h * h + h
    y.backward([1, 1])
    np.testing.assert_array_equal(h.grad, [5, 9])
    np.testing.assert_array_equal(x.grad, [10, 18])
    assert y.grad is None
    assert other.grad is None
    h.grad[...] = 0
    np.testing.assert_array_equal(x.grad, [10, 18])


def test_gradient_of_the_starting_tensor_is_kept_on_request():
    x = leaf(1, 2)
    y = x * 2
    y.retain_grad()
    given = np.array([1.0, 10.0])
    y.backward(given)
    np.testing.assert_array_equal(y.grad, given)
    assert not np.shares_memory(y.grad, given)


def test_gradients_have_the_dtype_and_shape_of_their_tensor():
    for dtype in (np.float32, np.float64):
        x = Tensor(np.ones((2, 1), dtype), requires_grad=True)
        scalar = Tensor(dtype(2), requires_grad=True)
        ((x * np.ones((1, 3), dtype)) * scalar).mean().backward()
        assert (x.grad.dtype, x.grad.shape) == (dtype, (2, 1))
        assert (scalar.grad.dtype, scalar.grad.shape) == (dtype, ())
        assert isinstance(scalar.grad, np.ndarray)
        for op in (F.exp, F.negate, F.sum, lambda t: t * 2, lambda t: t + t, lambda t: t * t + t):
            scalar.zero_grad()
            op(scalar).backward()
            assert isinstance(scalar.grad, np.ndarray)  # NumPy likes to turn these into scalars
            assert (scalar.grad.dtype, scalar.grad.shape) == (dtype, ())


@pytest.mark.parametrize(
    ("wrong", "got"),
    [(None, "None"), (np.zeros(3), "(3,) float64"), (np.zeros(2, np.float32), "(2,) float32")],
    ids=["None", "shape", "dtype"],
)
def test_wrong_gradient_of_an_op_is_named(wrong, got):
    class Wrong(Function):
        name = "wrong"

        def forward(self, x):
            return x * 1

        def backward(self, gy):
            return (wrong,)

    with pytest.raises(RuntimeError) as error:
        Wrong().apply(leaf(1, 2)).backward([1, 1])
    assert (
        str(error.value) == f"backward of <wrong>: the gradient of input 0 must be (2,) float64, it is {got}"
    )


@pytest.mark.parametrize(
    ("failing", "named"), [("forward", "large in part"), ("backward", "the gradient of large in part")]
)
def test_what_ran_out_of_memory_is_named(failing, named, monkeypatch):
    class Large(Function):
        name = "large"

        def forward(self, x):
            if failing == "forward":
                raise MemoryError
            return x * 1

        def backward(self, gy):
            raise MemoryError

    monkeypatch.setattr("minicnn.tensor.explained", lambda error, what: RuntimeError(what))

    def step():
        with inside_module("part"):
            y = Large().apply(leaf(1, 2))
        y.backward([1, 1])

    with pytest.raises(RuntimeError, match=f"^{named}$"):
        step()


def test_an_op_without_forward_or_backward_is_named():
    class Half(Function):
        name = "half"

    with pytest.raises(NotImplementedError, match=r"^Half has no forward$"):
        Half().apply(leaf(1, 2))
    with pytest.raises(NotImplementedError, match=r"^Half has no backward$"):
        Half().backward(np.ones(2))


# ---- the gradient that is given ----


@pytest.mark.parametrize("number", [2, 2.0, np.float32(2), np.float64(2), np.int64(2)])
def test_number_fits_any_shape(number):
    x = leaf(1, 2)
    (x * 3).backward(number)
    np.testing.assert_array_equal(x.grad, [6, 6])


def test_tensor_array_and_list_as_gradient():
    for gradient in (Tensor([1.0, 2.0]), np.array([1, 2]), [1, 2]):
        x = leaf(1, 2)
        (x * 3).backward(gradient)
        np.testing.assert_array_equal(x.grad, [3, 6])


def test_gradient_may_be_left_out_for_one_element_only():
    x = leaf(1)
    (x * 3).backward()
    np.testing.assert_array_equal(x.grad, [3])
    with pytest.raises(
        ShapeError, match=r"^backward: gradient: a tensor of shape \(2,\) needs one of its shape;"
    ):
        (leaf(1, 2) * 3).backward()


def test_gradient_of_another_shape():
    with pytest.raises(ShapeError, match=r"^backward: gradient: expected shape \(2,\), got \(1,\)$"):
        (leaf(1, 2) * 3).backward([1.0])


def test_backward_of_what_requires_no_gradient():
    words = (
        r"^backward: this tensor does not depend on anything that requires a gradient \(was it computed under"
    )
    with pytest.raises(RuntimeError, match=words):
        Tensor([1.0]).backward()
    with no_grad():
        y = leaf(1) * 2
    with pytest.raises(RuntimeError, match=words):
        y.backward()
    with pytest.raises(RuntimeError, match=r"^retain_grad: this tensor does not require a gradient$"):
        y.retain_grad()


# ---- freed graphs ----


def test_second_backward_is_explained():
    x = leaf(1, 2)
    h = x.exp()
    y = h.sum()
    y.backward()
    words = (
        r"^backward: a second time through <sum>, whose saved arrays were freed by the first; call the first "
    )
    with pytest.raises(
        RuntimeError, match=words + r"backward with retain_graph=True, or run the forward pass again$"
    ):
        y.backward()
    with pytest.raises(RuntimeError, match=r"a second time through <exp>"):
        (h * 2).sum().backward()  # shares a part that was freed
    np.testing.assert_array_equal(x.grad, np.exp([1, 2]))  # nothing was added before the error


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda op, x: op()(x), r"^Double: an op is applied, not called: Double\(\)\.apply\(x\)$"),
        (
            lambda op, x: op.apply(x),
            r"^apply: expected an object of the op's class, .*: MyOp\(\)\.apply\(x\)$",
        ),
        (lambda op, x: op().apply(x), r'^Double: an op needs a name; in its class: name = "my_op"$'),
    ],
)
def test_an_op_of_ones_own_that_is_used_wrongly_says_what_to_type(use, words):
    class Double(Function):
        def forward(self, x):
            return 2 * x

        def backward(self, gy):
            return (2 * gy,)

    with pytest.raises(TypeError, match=words):
        use(Double, leaf(1, 2))


def test_retained_graph_can_be_walked_again():
    x = leaf(1, 2)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_array_equal(x.grad, [6, 12])
    with pytest.raises(RuntimeError, match="a second time through"):
        y.backward()


def test_walk_frees_as_it_passes():
    """When a function's backward runs, those after it have let go of what they held."""
    alive_when_passed = {}
    watched: dict[str, weakref.ref] = {}

    class Watched(Function):
        def __init__(self, name):
            self.name = name

        def forward(self, x):
            y = x * 1
            self.save(y)
            watched[self.name] = weakref.ref(y)
            return y

        def backward(self, gy):
            alive_when_passed[self.name] = [name for name, ref in watched.items() if ref() is not None]
            return (gy * 1,)

    def forward(x):
        for name in ("first", "second", "third"):
            x = Watched(name).apply(x)
        return x.sum()

    x = leaf(1, 2)
    gc.disable()  # freed at once, without waiting for the collector
    try:
        loss = forward(x)
        assert all(ref() is not None for ref in watched.values())
        loss.backward()
        assert alive_when_passed == {
            "third": ["first", "second", "third"],
            "second": ["first", "second"],
            "first": ["first"],
        }
        assert all(ref() is None for ref in watched.values())
    finally:
        gc.enable()


def test_output_that_is_kept_does_not_keep_what_its_op_saved():
    """Logits are often kept after the step, to compute the accuracy."""

    class Saving(Function):
        name = "saving"

        def forward(self, x):
            self.save(np.array([3.0, 4.0]))
            return x * 1

        def backward(self, gy):
            return (gy * self.saved[0],)

    y = Saving().apply(leaf(1, 2))
    saved = weakref.ref(y.creator.saved[0])
    y.sum().backward()
    assert saved() is None
    assert y.creator.inputs == ()


def test_gradients_in_flight_are_dropped_when_used():
    """At any time a chain holds the gradients of one or two tensors, not of all."""
    alive: list[weakref.ref] = []
    most = 0

    class Watched(Function):
        name = "watched"

        def forward(self, x):
            return x * 1

        def backward(self, gy):
            nonlocal most
            gx = gy * 1
            alive.append(weakref.ref(gx))
            most = max(most, sum(ref() is not None for ref in alive))
            return (gx,)

    y = leaf(1, 2)
    for _ in range(20):
        y = Watched().apply(y)
    y.sum().backward()
    assert most <= 2


def test_nothing_is_saved_where_no_graph_is_recorded():
    functions = []
    x = Tensor(np.ones((1, 4, 4, 1)))
    with observe(lambda function, inputs, output: functions.append(function)):
        F.relu(F.max_pool2d(x, 2))
    assert [function.saved for function in functions] == [(), ()]
    assert [function.inputs for function in functions] == [(), ()]


def test_error_in_a_backward_reaches_the_caller():
    class Broken(Function):
        name = "broken"

        def forward(self, x):
            return x * 1

        def backward(self, gy):
            raise ZeroDivisionError("in backward")

    with pytest.raises(ZeroDivisionError, match="in backward"):
        Broken().apply(leaf(1)).backward()


# ---- deep graphs ----


def test_long_chain_backpropagates():
    x = leaf(1.0)
    y = x
    for _ in range(50_000):
        y = y + 1.0
    y.backward()
    assert x.grad == 1


def test_long_chain_can_be_dropped_without_a_backward():
    """Taking apart 50,000 nested objects must not overflow the stack (a process of its own: it might)."""
    program = """
import numpy as np
from minicnn import Tensor
x = Tensor(np.ones(1), requires_grad=True)
y = x
for _ in range(50_000):
    y = -y
del y
y = x
for _ in range(50_000):
    y = -y
y.backward(retain_graph=True)
del y
print(x.grad)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[1.]\n", "")
