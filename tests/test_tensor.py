"""What a tensor is made of, its operators, and what may not be mixed."""

import operator
import re

import numpy as np
import pytest

from minicnn import DeviceError, DTypeError, ShapeError, Tensor, nn
from minicnn import functional as F
from minicnn.nn import Parameter

# ---- making tensors ----


@pytest.mark.parametrize(
    ("data", "dtype", "shape"),
    [
        (1.5, np.float32, ()),
        ([1.0, 2.0], np.float32, (2,)),
        ([[1, 2.5], [3, 4]], np.float32, (2, 2)),
        ([], np.float32, (0,)),
        (3, np.int64, ()),
        ([1, 2], np.int64, (2,)),
        (True, np.bool_, ()),
        (np.float64(1.5), np.float64, ()),
        (np.arange(3.0), np.float64, (3,)),
        (np.zeros((2, 1), np.uint8), np.uint8, (2, 1)),
        ([np.zeros(2), np.ones(2)], np.float64, (2, 2)),
    ],
)
def test_arrays_keep_their_dtype_and_python_floats_become_float32(data, dtype, shape):
    t = Tensor(data)
    assert t.dtype == dtype
    assert t.shape == shape
    assert t.ndim == len(shape)
    assert t.size == np.prod(shape)


def test_arrays_are_not_copied():
    x = np.zeros(3, np.float32)
    assert Tensor(x).data is x
    assert Tensor(x).numpy() is x
    assert Tensor(x).detach().data is x


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (
            [[1.0], [1.0, 2.0]],
            ShapeError,
            r"^Tensor: expected nested lists of equal lengths, got ragged ones$",
        ),
        (None, DTypeError, r"^Tensor: expected numbers, got NoneType of dtype object$"),
        ("three", DTypeError, r"^Tensor: expected numbers, got str of dtype <U5$"),
        ([1j], DTypeError, r"^Tensor: expected numbers, got list of dtype complex128$"),
        (Tensor(1.0), TypeError, r"^Tensor: expected an array, .* got a Tensor; use \.detach\(\)$"),
    ],
)
def test_what_is_no_tensor(data, error, match):
    with pytest.raises(error, match=match):
        Tensor(data)


def test_only_floating_point_numbers_have_gradients():
    with pytest.raises(
        DTypeError, match=r"^Tensor: requires_grad needs floating-point data, got dtype int64$"
    ):
        Tensor([1, 2], requires_grad=True)


def test_item():
    assert Tensor([[2.5]]).item() == 2.5
    assert isinstance(Tensor(np.float32(2.5)).item(), float)
    with pytest.raises(ShapeError, match=r"^item: expected a tensor with one element, got shape \(2,\)$"):
        Tensor([1.0, 2.0]).item()


def test_detach_cuts_the_history():
    x = Tensor([1.0, 2.0], requires_grad=True)
    d = (x * 2).detach()
    assert not d.requires_grad
    assert d.creator is None


def test_iterating_gives_the_rows_and_stops():
    x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    first, second = x
    (first * second).sum().backward()
    np.testing.assert_array_equal(x.grad, [[3, 4], [1, 2]])
    with pytest.raises(TypeError):
        iter(Tensor(1.0))


def test_repr_tells_values_dtype_and_origin():
    x = Tensor([1.0, 2.0], requires_grad=True)
    assert repr(x) == "Tensor([1., 2.], dtype=float32, requires_grad=True)"
    assert repr(x + 1) == "Tensor([2., 3.], dtype=float32, from add)"
    assert len(repr(Tensor(np.zeros(10_000)))) < 200


# ---- operators ----

OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}


@pytest.mark.parametrize("op", OPERATORS.values(), ids=OPERATORS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "other",
    [2, 2.5, np.float64(2.5), np.float32(2.5), np.int64(3), np.array([1, 2, 3]), [1.5, 2.5, 3.5], True],
    ids=lambda other: f"{type(other).__name__}",
)
def test_numbers_and_arrays_on_either_side(op, dtype, other):
    values = np.array([[0.5, 1.5, 2.5], [3.5, 4.5, 5.5]], dtype)
    x = Tensor(values, requires_grad=True)
    plain = np.asarray(other, dtype=dtype)
    for y, expected in ((op(x, other), op(values, plain)), (op(other, x), op(plain, values))):
        assert isinstance(y, Tensor)
        assert y.dtype == dtype
        assert y.requires_grad
        np.testing.assert_allclose(y.data, expected, rtol=1e-6)


def test_gradients_of_reflected_operators():
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    for y, expected in (
        (3 - x, -1),
        (3 / x, -3 / x.data**2),
        (3**x, np.log(3) * 3**x.data),
        (3 + x, 1),
        (3 * x, 3),
    ):
        x.zero_grad()
        y.backward([1.0, 1.0])
        np.testing.assert_allclose(x.grad, np.broadcast_to(expected, 2), rtol=1e-12)


def test_arrays_of_the_same_dtype_on_either_side_of_matmul():
    a, x = np.array([[1.0, 2.0]]), Tensor(np.array([[3.0], [4.0]]), requires_grad=True)
    y = a @ x
    assert isinstance(y, Tensor)
    y.backward()
    np.testing.assert_array_equal(x.grad, a.T)
    np.testing.assert_array_equal((x @ a).data, x.data @ a)


def test_methods_are_the_functions():
    x = Tensor(np.array([[1.0, 4.0], [9.0, 2.0]]))
    np.testing.assert_array_equal((-x).data, -x.data)
    np.testing.assert_array_equal(x.sum(axis=0, keepdims=True).data, x.data.sum(axis=0, keepdims=True))
    np.testing.assert_array_equal(x.mean(axis=1).data, x.data.mean(axis=1))
    np.testing.assert_array_equal(x.max(1, True).data, x.data.max(axis=1, keepdims=True))
    np.testing.assert_array_equal(x.reshape(4).data, x.reshape((4,)).data)
    np.testing.assert_array_equal(x.reshape(1, -1).data, x.data.reshape(1, 4))
    np.testing.assert_array_equal(x.transpose().data, x.data.T)
    np.testing.assert_array_equal(x.transpose((1, 0)).data, x.transpose(1, 0).data)
    np.testing.assert_allclose(x.log().exp().data, x.data)
    np.testing.assert_array_equal(x.sqrt().data, np.sqrt(x.data))
    np.testing.assert_array_equal((x - 3).relu().data, np.maximum(x.data - 3, 0))
    assert x[1, 0].item() == 9


def test_whole_numbers_can_be_counted_with_but_not_averaged():
    x = Tensor([1, 2, 4])
    assert (x + 1).dtype == x.dtype
    assert (x * x).sum().item() == 21
    with pytest.raises(
        DTypeError, match=r"^mean: expected floating-point numbers, got int64; use Tensor\(x\.data"
    ):
        x.mean()
    with pytest.raises(
        DTypeError, match=r"^add: expected whole numbers for a tensor of dtype int64, got float$"
    ):
        x + 0.5


def test_number_methods_need_no_tensor_on_the_other_side_only_a_number():
    with pytest.raises(
        DTypeError, match=r"^multiply: expected a tensor, a number or an array .* got NoneType$"
    ):
        Tensor(1.0) * None


# ---- dtypes and devices ----


@pytest.mark.parametrize("op", [*OPERATORS.values(), operator.matmul], ids=[*OPERATORS, "@"])
def test_float32_and_float64_do_not_mix(op):
    x, y = np.ones((2, 2), np.float32), np.ones((2, 2), np.float64)
    words = r"expected tensors of one dtype, got float(32|64) and float(32|64); nothing is converted silently"
    for a, b in ((Tensor(x), Tensor(y)), (Tensor(y), Tensor(x)), (Tensor(x), y), (y, Tensor(x))):
        with pytest.raises(DTypeError, match=words):
            op(a, b)


def test_parts_of_a_convolution_must_have_one_dtype():
    x, w, b = (Tensor(np.zeros(shape, np.float32)) for shape in ((1, 2, 2, 1), (1, 1, 1, 1), (1,)))
    double = Tensor(np.zeros(1))
    with pytest.raises(DTypeError, match=r"^conv2d: expected tensors of one dtype, got float32 and float64;"):
        F.conv2d(x, w, double)
    with pytest.raises(DTypeError, match=r"got uint8 and float32"):
        F.conv2d(Tensor(np.zeros((1, 2, 2, 1), np.uint8)), w, b)


def test_arrays_have_to_be_wrapped():
    with pytest.raises(DTypeError, match=r"^relu: expected tensors, got ndarray; wrap it: Tensor\(\.\.\.\)$"):
        F.relu(np.zeros(3))
    with pytest.raises(DTypeError, match=r"^concat: tensors: expected a Tensor, got ndarray"):
        F.concat([Tensor(np.zeros(3)), np.zeros(3)])


def test_memory_mapped_arrays_are_arrays(tmp_path):
    """Data sets are often mapped into memory; they are on the CPU like any other array."""
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=(2, 3))
    mapped[...] = 2
    assert (Tensor(mapped) * Tensor(np.ones((2, 3), np.float32))).data.sum() == 12


def test_cpu_is_where_tensors_are():
    t = Tensor([1.0])
    assert t.device == "cpu"
    assert t.to("cpu") is t


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cpu:1", "cuda:-1", ""])
def test_unknown_device(device):
    words = f'device: expected "cpu", "cuda" or "cuda:<number>", got "{device}"'
    with pytest.raises(DeviceError, match=re.escape(words)):
        Tensor([1.0]).to(device)


def test_cuda_without_a_gpu_says_what_the_doctor_finds(monkeypatch):
    monkeypatch.setattr("minicnn.doctor.gpu_problem", lambda index: f"there is no GPU {index}; buy one")
    with pytest.raises(DeviceError) as caught:
        Tensor([1.0]).to("cuda:99")
    assert str(caught.value) == 'device "cuda:99": there is no GPU 99; buy one'


@pytest.mark.gpu
def test_tensors_on_different_devices_do_not_mix():
    x = Tensor([1.0]).to("cuda")
    with pytest.raises(
        DeviceError, match=r"^add: expected tensors on one device, got cuda:0 and cpu; use \.to"
    ):
        x + Tensor([1.0])


# ---- parameters ----


def test_parameter_takes_new_values_of_its_shape():
    p = Parameter(np.zeros(2, np.float32))
    p.data = np.array([1.0, 2.0])
    assert p.dtype == np.float64
    (p * Tensor(np.array([3.0, 4.0]))).sum().backward()
    np.testing.assert_array_equal(p.grad, [3, 4])


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        (np.zeros(3, np.float32), ShapeError, r"^Parameter: data: expected shape \(2,\), got \(3,\)$"),
        (np.zeros((1, 2)), ShapeError, r"^Parameter: data: expected shape \(2,\), got \(1, 2\)$"),
        (np.zeros(2, int), DTypeError, r"^Parameter: data: .* floating-point numbers, got dtype int64$"),
        ([1.0, 2.0], DTypeError, r"^Parameter: data: .* floating-point numbers, got list$"),
    ],
)
def test_parameter_refuses_other_values(value, error, match):
    p = Parameter(np.zeros(2, np.float32))
    with pytest.raises(error, match=match):
        p.data = value
    np.testing.assert_array_equal(p.data, [0, 0])


@pytest.mark.parametrize(
    ("size", "shape"), [(6, (4,)), (6, (4, -1)), (6, (-1, -1)), (1, (-1, -1)), (0, (-1, 0)), (6, (-2, -3))]
)
def test_reshape_refuses_what_does_not_fit(size, shape):
    with pytest.raises(ShapeError, match=r"^reshape: shape: expected "):
        F.reshape(Tensor(np.zeros(size)), *shape)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("conv2d: x", lambda v, t: F.conv2d(v, t)),
        ("conv2d: weight", lambda v, t: F.conv2d(t, v)),
        ("conv2d: bias", lambda v, t: F.conv2d(t, t, v)),
        ("linear: weight", lambda v, t: F.linear(t, v)),
        ("max_pool2d: x", lambda v, t: F.max_pool2d(v, 2)),
        ("avg_pool2d: x", lambda v, t: F.avg_pool2d(v, 2)),
        ("global_avg_pool2d: x", lambda v, t: F.global_avg_pool2d(v)),
        ("local_response_norm: x", lambda v, t: F.local_response_norm(v)),
        ("concat: tensors", lambda v, t: F.concat([t, v])),
        ("dropout: x", lambda v, t: F.dropout(v, training=False)),
        ("softmax: x", lambda v, t: F.softmax(v)),
        ("log_softmax: x", lambda v, t: F.log_softmax(v)),
        ("cross_entropy: logits", lambda v, t: F.cross_entropy(v, np.array([0]))),
        ("flatten: x", lambda v, t: F.flatten(v)),
        ("reshape: x", lambda v, t: F.reshape(v, 1)),
        ("transpose: x", lambda v, t: F.transpose(v)),
        ("sum: x", lambda v, t: F.sum(v)),
    ],
)
@pytest.mark.parametrize("value", [np.ones((1, 2, 2, 1), np.float32), [[1.0]], None])
def test_what_is_no_tensor_is_named(name, call, value):
    if name.endswith("bias") and value is None:
        pytest.skip("a bias may be None")
    tensor = Tensor(np.ones((1, 1, 1, 1), np.float32))
    with pytest.raises(DTypeError, match=rf"^{name}: expected a Tensor, got {type(value).__name__}; wrap"):
        call(value, tensor)


def test_numpy_functions_see_the_values():
    t = Tensor([[1.0, 3.0], [4.0, 2.0]], requires_grad=True)
    np.testing.assert_array_equal(np.argmax(t, axis=1), [1, 0])
    assert np.asarray(t).dtype == np.float32
    with pytest.raises(TypeError, match=r"got tensors; use functional\.concat"):
        Tensor([t, t])


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([1j]), np.array([None])])
def test_arrays_of_anything_but_numbers_are_refused(array):
    with pytest.raises(DTypeError, match="expected numbers, got ndarray"):
        Tensor(array)
    with pytest.raises(DTypeError, match="gradient: expected real numbers"):
        (Tensor([1.0], requires_grad=True) * 1).backward(array)


def test_a_gradient_never_has_another_dtype_than_its_parameter():
    p = nn.Parameter(np.ones(2))
    (p * 2).sum().backward()
    p.data = p.data.astype(np.float32)
    assert p.grad is None
    (p * 2).sum().backward()
    assert p.grad.dtype == np.float32


def test_a_branch_that_wants_no_gradient_is_not_walked():
    x, w = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0, 4.0], requires_grad=True)
    hidden = x * 2
    hidden.requires_grad = False
    (hidden * w).sum().backward()
    np.testing.assert_array_equal(w.grad, [2, 4])
    assert x.grad is None
