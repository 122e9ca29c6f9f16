"""Matrix products by cuBLAS: any layout, parts of larger matrices, and the precision that was chosen."""

import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minicnn
from minicnn.backend import to_device, to_numpy
from minicnn.cuda import cublas
from minicnn.cuda.products import product
from minicnn.errors import DeviceError, UsageError

layouts = st.sampled_from(["rows", "columns", "part of rows", "part of columns", "every second"])


def laid_out(matrix, layout, gpu):
    """Put a matrix on the GPU in a layout of its own."""
    rows, columns = matrix.shape
    if layout == "every second":
        larger = np.full((2 * rows, 2 * columns), np.nan, matrix.dtype)
        larger[::2, ::2] = matrix
        return to_device(larger, gpu)[::2, ::2]
    extra = 3 if layout.startswith("part") else 0
    stored = matrix.T if layout.endswith("columns") else matrix
    larger = np.full((stored.shape[0], stored.shape[1] + extra), np.nan, matrix.dtype)
    larger[:, extra // 2 : extra // 2 + stored.shape[1]] = stored
    part = to_device(larger, gpu)[:, extra // 2 : extra // 2 + stored.shape[1]]
    return part.T if layout.endswith("columns") else part


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)),
    layout_a=layouts,
    layout_b=layouts,
    extra=st.integers(0, 3),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_products(gpu, sizes, layout_a, layout_b, extra, dtype):
    M, K, N = sizes
    rng = np.random.default_rng(M + 10 * K + 100 * N)
    a, b = rng.normal(size=(M, K)).astype(dtype), rng.normal(size=(K, N)).astype(dtype)
    larger = to_device(np.full((M, N + extra), 7, dtype), gpu)
    product(laid_out(a, layout_a, gpu), laid_out(b, layout_b, gpu), larger[:, :N])
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(to_numpy(larger)[:, :N], a @ b, rtol=tolerance, atol=tolerance)
    assert (to_numpy(larger)[:, N:] == 7).all(), "it wrote beside its columns"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.tuples(*[st.integers(1, 4)] * 4),
    turned=st.tuples(*[st.permutations([0, 1, 2])] * 2),
    kinds=st.tuples(*[st.sampled_from(["as it is", "reversed", "one for all"])] * 2),
    interleaved=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_stacks_of_products(gpu, sizes, turned, kinds, interleaved, dtype):
    """Whatever order the axes have in memory; results one after the other, or row by row in turns."""
    G, M, K, N = sizes
    rng = np.random.default_rng(M + 10 * K + 100 * N)
    a, b = rng.normal(size=(G, M, K)).astype(dtype), rng.normal(size=(G, K, N)).astype(dtype)
    stacks = [
        to_device(np.ascontiguousarray(matrices.transpose(order)), gpu).transpose(*np.argsort(order))
        for matrices, order in zip((a, b), turned, strict=True)
    ]
    for place, kind in enumerate(kinds):
        if kind == "reversed":
            stacks[place] = stacks[place][::-1]
        elif kind == "one for all":
            stacks[place] = sys.modules["cupy"].broadcast_to(stacks[place][:1], stacks[place].shape)
    a, b = map(to_numpy, stacks)
    if interleaved:
        out = to_device(np.full((M, G, N), np.nan, dtype), gpu).transpose(1, 0, 2)
    else:
        out = to_device(np.full((G, M, N), np.nan, dtype), gpu)
    product(*stacks, out)
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(to_numpy(out), a @ b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("interleaved", [False, True])
def test_a_stack_is_a_single_call(stand_in, monkeypatch, interleaved):
    library, seen = cublas._library(), []
    for name in ("cublasGemmEx", "cublasGemmStridedBatchedEx"):
        original = getattr(library, name)
        monkeypatch.setattr(
            library, name, lambda *args, name=name, original=original: (seen.append(name), original(*args))[1]
        )
    a, b = to_device(np.ones((3, 2, 4)), stand_in), to_device(np.ones((3, 4, 5)), stand_in)
    out = to_device(np.empty((2, 3, 5)), stand_in).transpose(1, 0, 2) if interleaved else a @ b
    product(a, b, out)
    assert seen == ["cublasGemmStridedBatchedEx"]
    assert (to_numpy(out) == 4).all()


@pytest.fixture
def precision():
    yield minicnn.set_float32_matmul_precision
    minicnn.set_float32_matmul_precision("highest")


@pytest.mark.parametrize(
    ("chosen", "dtype", "expected"),
    [
        ("highest", np.float32, cublas.COMPUTE_32F),
        ("high", np.float32, cublas.COMPUTE_32F_FAST_TF32),
        ("high", np.float64, cublas.COMPUTE_64F),
    ],
)
def test_the_precision_that_was_chosen_is_asked_for(
    stand_in, precision, monkeypatch, chosen, dtype, expected
):
    asked = []
    library = cublas._library()
    original = library.cublasGemmEx

    def listen(*arguments):
        asked.append(arguments[-2])
        return original(*arguments)

    monkeypatch.setattr(library, "cublasGemmEx", listen)
    precision(chosen)
    assert minicnn.get_float32_matmul_precision() == chosen
    matrix = to_device(np.ones((2, 2), dtype), stand_in)
    product(matrix, matrix, to_device(np.empty((2, 2), dtype), stand_in))
    assert asked == [expected]


@pytest.mark.gpu
def test_tf32_is_less_exact_but_close(precision, rng):
    a, b = (to_device(rng.normal(size=(512, 512)).astype(np.float32), "cuda") for _ in range(2))
    exact = to_numpy(a).astype(np.float64) @ to_numpy(b).astype(np.float64)
    errors = {}
    for chosen in ("highest", "high"):
        precision(chosen)
        out = to_device(np.empty((512, 512), np.float32), "cuda")
        product(a, b, out)
        errors[chosen] = np.linalg.norm(to_numpy(out) - exact) / np.linalg.norm(exact)
    assert errors["highest"] < 1e-6
    assert errors["highest"] < errors["high"] < 2e-3


def test_an_unknown_precision_is_refused():
    with pytest.raises(UsageError, match=r'expected "highest" \(float32\) or "high" \(TF32\), got \'tf32\''):
        minicnn.set_float32_matmul_precision("tf32")


def test_a_failure_of_cublas_is_an_error(stand_in, monkeypatch):
    monkeypatch.setattr(cublas._library(), "cublasGemmEx", lambda *arguments: 13)
    matrix = to_device(np.ones((2, 2)), stand_in)
    with pytest.raises(
        DeviceError, match=r"cuBLAS failed with status 13 at a product of \(2, 2\) and \(2, 2\)"
    ):
        product(matrix, matrix, matrix.copy())
