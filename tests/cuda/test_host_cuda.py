"""The harness that runs CUDA kernels on the CPU: does it do what a GPU does, and does it notice errors?"""

from pathlib import Path

import numpy as np
import pytest

import host_cuda
from host_cuda import CompilationError, HostModule, KernelError, thread_order

pytestmark = pytest.mark.skipif(host_cuda.compiler() is None, reason="needs Linux and a C++ compiler")

HERE = Path(__file__).parent

KERNELS = r"""
struct Line { float slope; int steps; double start; };

template <typename T, int V>
__global__ void multiply(const T* __restrict__ x, T* __restrict__ y, T factor, int n) {
    const int first = (blockIdx.x * blockDim.x + threadIdx.x) * V;
#pragma unroll
    for (int k = 0; k < V; ++k) {
        if (first + k < n) y[first + k] = x[first + k] * factor;
    }
}

__global__ void follow(double* y, Line line) {
    if (threadIdx.x < line.steps) y[threadIdx.x] = line.start + line.slope * threadIdx.x;
}

__global__ void count_threads(int* seen) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, X = gridDim.x * blockDim.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y, Y = gridDim.y * blockDim.y;
    const int z = blockIdx.z * blockDim.z + threadIdx.z;
    atomicAdd(&seen[(z * Y + y) * X + x], 1 + int(threadIdx.x + 10 * threadIdx.y + 100 * threadIdx.z));
}

__global__ void copy_pairs(const float* x, float* y) {
    *reinterpret_cast<float2*>(y) = *reinterpret_cast<const float2*>(x);
}

// ---- shared memory

template <typename T>
__global__ void sums(const T* x, T* y, int n) {
    __shared__ T parts[256];
    T sum = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) sum += x[i];
    parts[threadIdx.x] = sum;
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) parts[threadIdx.x] += parts[threadIdx.x + half];
    }
    if (threadIdx.x == 0) y[blockIdx.x] = parts[0];
}

extern __shared__ unsigned char shared_memory[];

template <typename T>
__global__ void turn(const T* x, T* y) {
    T* row = reinterpret_cast<T*>(shared_memory);
    row[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = row[blockDim.x - 1 - threadIdx.x];
}

template <typename T>
__global__ void read_before_writing(T* first, T* second, int* third) {
    __shared__ T one[32];
    T* two = reinterpret_cast<T*>(shared_memory);
    __shared__ int three;
    first[blockIdx.x * 32 + threadIdx.x] = one[threadIdx.x];
    second[blockIdx.x * 32 + threadIdx.x] = two[threadIdx.x];
    third[blockIdx.x * 32 + threadIdx.x] = three;
    __syncthreads();
    one[threadIdx.x] = two[threadIdx.x] = 1;
    three = 1;
}

// Moves a row by one. Without the second barrier (`hurry`) one may write what another has yet to read.
__global__ void shift(float* x, int rounds, int hurry) {
    __shared__ float row[64];
    row[threadIdx.x] = x[threadIdx.x];
    for (int n = 0; n < rounds; ++n) {
        __syncthreads();
        const float next = row[(threadIdx.x + 1) % blockDim.x];
        if (!hurry) __syncthreads();
        row[threadIdx.x] = next;
    }
    x[threadIdx.x] = row[threadIdx.x];
}

__global__ void write_at(int* y, int i) {
    __shared__ int row[8];
    row[i] = 1;
    __syncthreads();
    y[0] = row[i];
}

// ---- barriers that not everybody reaches

__global__ void some_return(float* x, int stay) {
    __shared__ float row[96];
    row[threadIdx.x] = x[threadIdx.x];
    if (threadIdx.x >= stay) return;
    __syncthreads();
    x[threadIdx.x] = row[stay - 1 - threadIdx.x];
}

__global__ void two_barriers(int n) {
    if (threadIdx.x < n) __syncthreads();
    else
        __syncthreads();
}

__global__ void barrier_and_warp(int n) {
    if (threadIdx.x < n) __syncthreads();
    else __syncwarp();
}

__global__ void wrong_mask() { __syncwarp(1); }

// ---- warps

template <typename T>
__global__ void warp_sums(const T* x, T* down, T* across) {
    T a = x[threadIdx.x], b = a;
    for (int step = 16; step > 0; step /= 2) a += __shfl_down_sync(0xffffffff, a, step);
    for (int bit = 1; bit < 32; bit *= 2) b += __shfl_xor_sync(0xffffffff, b, bit);
    across[threadIdx.x] = b;
    if (threadIdx.x % 32 == 0) down[threadIdx.x / 32] = a;
}

__global__ void shuffles(int* y) {
    const unsigned all = 0xffffffff;
    int lane = threadIdx.x;
    int* row = y + 8 * lane;
    row[0] = __shfl_sync(all, lane, 5);
    row[1] = __shfl_sync(all, lane, 5, 4);
    row[2] = __shfl_up_sync(all, lane, 3);
    row[3] = __shfl_up_sync(all, lane, 3, 8);
    row[4] = __shfl_down_sync(all, lane, 3);
    row[5] = __shfl_down_sync(all, lane, 3, 8);
    row[6] = __ballot_sync(all, lane % 3 == 0);
    if (lane < 16) row[7] = __shfl_xor_sync(0xffff, lane, 1) + 100 * __any_sync(0xffff, lane == 15);
    else row[7] = __all_sync(0xffff0000, lane > 15);
}
"""

NAMES = [
    *("multiply<float, 1>", "multiply<float, 4>", "multiply<double, 2>", "follow", "count_threads"),
    *("copy_pairs", "sums<float>", "sums<double>", "turn<float>", "turn<double>"),
    *("read_before_writing<float>", "read_before_writing<double>", "shift", "write_at", "some_return"),
    *("two_barriers", "barrier_and_warp", "wrong_mask", "warp_sums<float>", "warp_sums<double>", "shuffles"),
]


@pytest.fixture(scope="module")
def kernels() -> HostModule:
    return HostModule(KERNELS, NAMES, HERE)


@pytest.fixture(params=["forward", "reverse"])
def both_orders(request):
    with thread_order(request.param):
        yield


def address(array: np.ndarray) -> int:
    return array.ctypes.data


def line_of(text: str) -> int:
    """Find the line of KERNELS, counted from 1, that has the text."""
    return next(number for number, line in enumerate(KERNELS.splitlines(), 1) if text in line)


# ---- threads and arguments --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "name", "width"), [("f4", "float", 1), ("f4", "float", 4), ("f8", "double", 2)]
)
def test_instances_of_a_template(kernels, dtype, name, width):
    x = np.arange(1000, dtype=dtype)
    y = np.zeros_like(x)
    arguments = [address(x), address(y), x.dtype.type(0.5), np.int32(990)]
    kernels.launch(f"multiply<{name}, {width}>", (1000 // 64 + 1,), (64,), arguments)
    np.testing.assert_array_equal(y[:990], x[:990] / 2)
    assert not y[990:].any()


@pytest.mark.usefixtures("both_orders")
def test_three_dimensions(kernels):
    seen = np.zeros((5 * 2, 3 * 4, 2 * 8), np.int32)
    kernels.launch("count_threads", (2, 3, 5), (8, 4, 2), [address(seen)])
    z, y, x = np.indices(seen.shape)
    np.testing.assert_array_equal(seen, 1 + x % 8 + 10 * (y % 4) + 100 * (z % 2))


def test_struct_by_value(kernels):
    line = np.zeros((), np.dtype([("slope", "f4"), ("steps", "i4"), ("start", "f8")]))[()]
    line["slope"], line["steps"], line["start"] = 0.5, 3, 10
    y = np.zeros(5)
    kernels.launch("follow", (1,), (5,), [address(y), line])
    np.testing.assert_array_equal(y, [10, 10.5, 11, 0, 0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([0, 0, np.float32(1)], "expected 4 arguments, got 3"),
        ([0, 0, np.float32(1), np.int64(1)], "argument 3: expected an integer of 4 bytes, got .* of 8"),
        ([0, 0, np.int32(1), np.int32(1)], "argument 2: expected a floating-point number of 4 bytes"),
        ([0, 0, 1, np.int32(1)], "argument 2: expected a floating-point number of 4 bytes, got 1 of 8"),
        ([0, np.uint64(0), np.float32(1), np.int32(1)], "argument 1: expected an address"),
        ([0, 0, 0.5, np.int32(1)], "argument 2: expected a NumPy scalar or an address, got 0.5"),
    ],
)
def test_wrong_arguments(kernels, arguments, message):
    with pytest.raises(TypeError, match=rf"multiply<float, 1>: {message}"):
        kernels.launch("multiply<float, 1>", (1,), (1,), arguments)


@pytest.mark.parametrize(
    ("grid", "block", "shared_bytes", "message"),
    [
        ((1,), (1025,), 0, "block: expected sizes"),
        ((1,), (32, 33), 0, "block: expected at most 1024 threads"),
        ((1,), (1, 1, 65), 0, "block: expected sizes"),
        ((1, 65536), (1,), 0, "grid: expected sizes"),
        ((0,), (1,), 0, "grid: expected sizes"),
        ((1,), (4, 0), 0, "block: expected sizes"),
        ((1, 1, 1, 1), (1,), 0, "grid: expected one to three sizes"),
        ((1,), (1,), 49153, "shared_bytes: expected 0 to 49152"),
    ],
)
def test_limits_of_a_launch(kernels, grid, block, shared_bytes, message):
    with pytest.raises(ValueError, match=message):
        kernels.launch("two_barriers", grid, block, [np.int32(0)], shared_bytes)


def test_compiler_messages():
    with pytest.raises(CompilationError, match=r"kernels:2:.*nowhere"):
        HostModule("\n__global__ void broken() { nowhere = 1; }", ["broken"], HERE)
    with pytest.raises(CompilationError, match="name expressions"):
        HostModule("__global__ void fine() {}", ["missing<float>"], HERE)


def test_no_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert host_cuda.compiler() is None
    with pytest.raises(CompilationError, match="no C\\+\\+ compiler: install"):
        HostModule("__global__ void fine() {}", ["fine"], HERE)


def test_compiled_again_when_a_header_changes(tmp_path):
    y = np.zeros(1, np.int32)
    for number in (1, 2, 1):
        (tmp_path / "number.cuh").write_text(f"constexpr int number = {number};")
        source = '#include "number.cuh"\n__global__ void tell(int* y) { *y = number; }'
        HostModule(source, ["tell"], tmp_path).launch("tell", (1,), (1,), [address(y)])
        assert y[0] == number


# ---- barriers and shared memory ---------------------------------------------------------------------


@pytest.mark.usefixtures("both_orders")
@pytest.mark.parametrize(("dtype", "name"), [("f4", "float"), ("f8", "double")])
def test_sums_in_shared_memory(kernels, dtype, name):
    x = np.random.default_rng(0).integers(0, 100, 5000).astype(dtype)
    y = np.zeros(7, dtype)
    kernels.launch(f"sums<{name}>", (7,), (256,), [address(x), address(y), np.int32(len(x))])
    padded = np.append(x, np.zeros(-len(x) % (7 * 256), dtype)).reshape(-1, 7, 256)
    np.testing.assert_array_equal(y, padded.sum((0, 2)))


@pytest.mark.usefixtures("both_orders")
@pytest.mark.parametrize(("dtype", "name"), [("f4", "float"), ("f8", "double")])
def test_dynamic_shared_memory(kernels, dtype, name):
    x = np.arange(1024, dtype=dtype)
    y = np.zeros_like(x)
    kernels.launch(f"turn<{name}>", (1,), (1024,), [address(x), address(y)], x.nbytes)
    np.testing.assert_array_equal(y, x[::-1])


def test_too_little_dynamic_shared_memory(kernels):
    x = np.ones(64, np.float32)
    with pytest.raises(KernelError, match=r"byte 252 of dynamic shared memory was written, .* asked for 252"):
        kernels.launch("turn<float>", (1,), (64,), [address(x), address(x)], 252)


@pytest.mark.parametrize(("dtype", "name"), [("f4", "float"), ("f8", "double")])
def test_unwritten_shared_memory_shows_in_every_block(kernels, dtype, name):
    one, two, three = np.zeros((3, 32), dtype), np.zeros((3, 32), dtype), np.zeros((3, 32), np.int32)
    arguments = [address(one), address(two), address(three)]
    kernels.launch(f"read_before_writing<{name}>", (3,), (32,), arguments, 32 * one.itemsize)
    assert np.isnan(one).all()
    assert np.isnan(two).all()
    assert (three == -1).all()


def test_missing_barrier_shows_in_one_order(kernels):
    found = []
    for hurry in (0, 1):
        for order in ("forward", "reverse"):
            x = np.arange(64, dtype=np.float32)
            with thread_order(order):
                kernels.launch("shift", (1,), (64,), [address(x), np.int32(3), np.int32(hurry)])
            found.append(np.array_equal(x, np.roll(np.arange(64), -3)))
    assert found[:2] == [True, True]
    assert not all(found[2:])


@pytest.mark.usefixtures("both_orders")
def test_returned_threads_are_not_waited_for(kernels):
    x = np.arange(96, dtype=np.float32)
    kernels.launch("some_return", (1,), (96,), [address(x), np.int32(50)])
    np.testing.assert_array_equal(x, [*range(49, -1, -1), *range(50, 96)])


@pytest.mark.usefixtures("both_orders")
def test_threads_at_different_barriers(kernels):
    kernels.launch("two_barriers", (1,), (64,), [np.int32(64)])
    with pytest.raises(
        KernelError, match=r"two_barriers: block \(0, 0, 0\), thread 0 waits at __syncthreads"
    ):
        kernels.launch("two_barriers", (1,), (64,), [np.int32(40)])
    with pytest.raises(KernelError, match=r"waits at a warp operation in line .* never come"):
        kernels.launch("barrier_and_warp", (1,), (64,), [np.int32(40)])
    kernels.launch("barrier_and_warp", (1,), (64,), [np.int32(32)])  # whole warps may go different ways


# ---- warps ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("both_orders")
@pytest.mark.parametrize(("dtype", "name"), [("f4", "float"), ("f8", "double")])
def test_sums_in_warps(kernels, dtype, name):
    x = np.random.default_rng(0).integers(0, 100, 96).astype(dtype)
    down, across = np.zeros(3, dtype), np.zeros(96, dtype)
    kernels.launch(f"warp_sums<{name}>", (1,), (96,), [address(x), address(down), address(across)])
    np.testing.assert_array_equal(down, x.reshape(3, 32).sum(1))
    np.testing.assert_array_equal(across, np.repeat(down, 32))


def test_half_a_warp_reads_from_lanes_that_are_not_there(kernels):
    x, down, across = np.ones(48, np.float32), np.zeros(2, np.float32), np.zeros(48, np.float32)
    kernels.launch("warp_sums<float>", (1,), (48,), [address(x), address(down), address(across)])
    assert down[0] == 32
    assert np.isnan(down[1])


@pytest.mark.usefixtures("both_orders")
def test_shuffles(kernels):
    y = np.zeros((32, 8), np.int32)
    kernels.launch("shuffles", (1,), (32,), [address(y)])
    lane = np.arange(32)
    part = lane % 8
    expected = [
        np.full(32, 5),
        lane // 4 * 4 + 1,
        np.where(lane >= 3, lane - 3, lane),
        np.where(part >= 3, lane - 3, lane),
        np.where(lane < 29, lane + 3, lane),
        np.where(part < 5, lane + 3, lane),
        np.full(32, np.uint32(0x49249249)).astype(np.int32),
        np.where(lane < 16, (lane ^ 1) + 100, 1),
    ]
    np.testing.assert_array_equal(y.T, expected)


def test_thread_outside_its_mask(kernels):
    with pytest.raises(KernelError, match="thread 1 is not in the mask"):
        kernels.launch("wrong_mask", (1,), (2,), [])


# ---- accesses to memory -----------------------------------------------------------------------------


def test_misaligned_vector(kernels):
    x, y = np.arange(4, dtype=np.float32), np.zeros(4, np.float32)
    kernels.launch("copy_pairs", (1,), (1,), [address(x) + 8, address(y)])
    np.testing.assert_array_equal(y, [2, 3, 0, 0])
    line = line_of("*reinterpret_cast<float2*>(y)")
    with pytest.raises(KernelError, match=rf"thread 0: misaligned address in line {line} of kernels"):
        kernels.launch("copy_pairs", (1,), (1,), [address(x) + 4, address(y)])
    with pytest.raises(KernelError, match="null pointer"):
        kernels.launch("copy_pairs", (1,), (1,), [0, address(y)])


def test_index_out_of_bounds(kernels):
    y = np.zeros(1, np.int32)
    kernels.launch("write_at", (1,), (1,), [address(y), np.int32(7)])
    assert y[0] == 1
    with pytest.raises(KernelError, match=f"index out of bounds in line {line_of('row[i] = 1')}"):
        kernels.launch("write_at", (1,), (1,), [address(y), np.int32(8)])


def test_launch_after_an_error_starts_afresh(kernels):
    with pytest.raises(KernelError):
        kernels.launch("two_barriers", (1,), (64,), [np.int32(40)])
    kernels.launch("two_barriers", (1,), (64,), [np.int32(64)])
