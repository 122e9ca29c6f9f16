"""The stand-in for CuPy: what it refuses, its memory, devices, graphs and cuBLAS."""

import contextlib
import ctypes
import importlib
import inspect
import sys
import threading

import numpy as np
import pytest

import emulated_cupy
import minicnn.backend

CAPTURING = "cudaErrorStreamCaptureUnsupported"


@pytest.fixture
def cupy():
    with emulated_cupy.installed() as module:
        yield module


@pytest.fixture
def cublas(cupy):
    return importlib.import_module("cupy_backends.cuda.libs.cublas")


# ---- being there, and being gone ----


def test_is_imported_inside_the_block_only():
    before = sys.modules.get("cupy")
    with emulated_cupy.installed() as cupy:
        assert importlib.import_module("cupy") is cupy
        assert importlib.import_module("cupy.cuda") is cupy.cuda
        assert minicnn.backend.is_array(cupy.empty(3))
        assert minicnn.backend.array_module(cupy.empty(3)) is cupy
    assert sys.modules.get("cupy") is before


def test_each_use_starts_fresh():
    with emulated_cupy.installed() as cupy:
        kept = cupy.empty(1000)
        cupy.cuda.Device(1).use()
        assert cupy.get_default_memory_pool().total_bytes() == 0
    with emulated_cupy.installed() as cupy:
        assert cupy.cuda.Device().id == 0
        assert cupy.get_default_memory_pool().used_bytes() == 0
    assert kept.shape == (1000,)


@pytest.mark.parametrize("name", ["random", "fuse", "fft", "linalg", "ElementwiseKernel"])
def test_what_is_not_there_says_so(cupy, name):
    with pytest.raises(AttributeError, match="not part of the stand-in"):
        getattr(cupy, name)
    with pytest.raises(AttributeError, match="not part of the stand-in"):
        _ = cupy.empty(3).ptp
    with pytest.raises(ImportError):
        importlib.import_module("cupy.random")
    with pytest.raises(ImportError):
        importlib.import_module("cupyx")


def test_offers_nothing_that_cupy_lacks():
    pytest.importorskip("cupy")
    real = {}
    for name in emulated_cupy.modules.make_modules():
        with contextlib.suppress(ImportError):  # there may be no cuBLAS
            real[name] = importlib.import_module(name)
    with emulated_cupy.installed():
        for name, module in real.items():
            compare_with_cupy(importlib.import_module(name), module, name)


def compare_with_cupy(ours, theirs, name):
    for attribute, value in vars(ours).items():
        if attribute.startswith("__"):
            continue
        assert hasattr(theirs, attribute), f"{name}.{attribute}"
        counterpart = getattr(theirs, attribute)
        if isinstance(value, int):
            assert value == counterpart, f"{name}.{attribute}"
        if inspect.isfunction(value):
            compare_parameters(value, counterpart, f"{name}.{attribute}")
        if inspect.isclass(value) and value.__module__.startswith("cupy"):
            compare_methods(value, counterpart, f"{name}.{attribute}")


def compare_methods(ours, theirs, name):
    for attribute, value in vars(ours).items():
        if attribute.startswith("_") or (name, attribute) in OUR_OWN:
            continue
        assert hasattr(theirs, attribute), f"{name}.{attribute}"
        if inspect.isfunction(value):
            compare_parameters(value, getattr(theirs, attribute), f"{name}.{attribute}", bound=1)


OUR_OWN = {("cupy.cuda.MemoryPointer", "bytes"), ("cupy.cuda.memory.MemoryPointer", "bytes")}


def compare_parameters(ours, theirs, name, bound=0):
    try:
        known = set(inspect.signature(theirs).parameters)
    except ValueError:  # compiled; its documentation begins with its signature
        first = (theirs.__doc__ or "").partition("\n")[0].partition("(")[2].rpartition(")")[0]
        known = {part.partition("=")[0].split()[-1].strip("*") for part in first.split(",") if part}
    if not known or "args" in known:
        return
    for parameter in list(inspect.signature(ours).parameters.values())[bound:]:
        assert parameter.kind is parameter.VAR_KEYWORD or parameter.name in known, f"{name}: {parameter}"


# ---- strictness ----


def test_no_way_to_numpy_but_get(cupy):
    x = cupy.asarray(np.arange(3.0))
    for convert in (np.asarray, np.array, np.float64):
        with pytest.raises(TypeError, match="Implicit conversion to a NumPy array is not allowed"):
            convert(x)
    np.testing.assert_array_equal(x.get(), [0.0, 1.0, 2.0])
    assert type(x.get()) is np.ndarray


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.exp(x),
        lambda x: np.sum(x),
        lambda x: np.zeros_like(x),
        lambda x: np.concatenate([x, x]),
        lambda x: np.multiply(x, 2, out=x),
        lambda x: np.ones(3, like=x),
    ],
)
def test_numpy_functions_refuse(cupy, call):
    with pytest.raises(TypeError):
        call(cupy.ones(3))


@pytest.mark.parametrize(
    "call",
    [
        lambda cp, x, n: x + n,
        lambda cp, x, n: n + x,
        lambda cp, x, n: x @ n,
        lambda cp, x, n: x == n,
        lambda cp, x, n: x.__iadd__(n),
        lambda cp, x, n: n.__iadd__(x) if n.__iadd__(x) is not NotImplemented else n + x,
        lambda cp, x, n: cp.add(x, n),
        lambda cp, x, n: cp.add(x, x, out=n),
        lambda cp, x, n: cp.exp(n),
        lambda cp, x, n: cp.sum(n),
        lambda cp, x, n: cp.reshape(n, (3, 1)),
        lambda cp, x, n: cp.where(x > 0, n, 0),
        lambda cp, x, n: cp.concatenate([x, n]),
        lambda cp, x, n: cp.matmul(x, n),
        lambda cp, x, n: cp.maximum(x, [1, 2, 3]),
        lambda cp, x, n: cp.zeros_like(n),
        lambda cp, x, n: cp.add.at(x, 0, n),
        lambda cp, x, n: x.__setitem__(cp.asarray([0, 1]), n[:2]),
        lambda cp, x, n: cp.add(x, x, foo=1),
        lambda cp, x, n: cp.sum(x, initial=0),
        lambda cp, x, n: x.sum(where=True),
    ],
)
def test_numpy_arrays_and_foreign_keywords_refuse(cupy, call):
    with pytest.raises(TypeError):
        call(cupy, cupy.ones(3), np.ones(3))


def test_cannot_be_filled_from_a_numpy_array(cupy):
    x = cupy.ones(3)
    for value in (np.ones(3), [1.0, 2.0, 3.0]):
        with pytest.raises(ValueError, match=r"non-scalar numpy[.]ndarray cannot be used for fill"):
            x[...] = value
    x.set(np.array([1.0, 2.0, 3.0]))
    assert x.tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(TypeError, match="float32 array cannot be set"):
        x.set(np.ones(3, np.float32))


def test_numbers_of_python_and_numpy_are_fine(cupy):
    x = cupy.ones(3, np.float32)
    for number in (2, 2.0, np.float32(2), np.array(2, np.float32)):
        for y in (x * number, number * x):
            assert y.dtype == np.float32
            assert y.tolist() == [2, 2, 2]
    assert (x * np.float64(2)).dtype == np.float64  # not weak, as in NumPy 2
    x *= 3
    x[0] = np.float64(7)
    assert x.tolist() == [7, 3, 3]


def test_reductions_and_elements_are_arrays(cupy):
    x = cupy.arange(6.0).reshape(2, 3)
    for y in (x.sum(), x.max(), x[1, 2], cupy.add.reduce(x[0]), x.argmax(), x.any(), x.mean(dtype=x.dtype)):
        assert type(y) is cupy.ndarray
        assert y.shape == ()
    assert float(x.sum()) == 15.0
    assert int(x.argmax()) == 5
    assert bool((x >= 0).all())
    assert x[1, 2].item() == 5.0
    with pytest.raises(ValueError, match="ambiguous"):
        bool(x)


def test_casting_is_refused_as_in_numpy(cupy):
    x = cupy.arange(3)
    with pytest.raises(TypeError):
        x += 0.5
    with pytest.raises(TypeError):
        cupy.exp(cupy.ones(3), out=x)
    with pytest.raises(ValueError, match="Out shape is mismatched"):
        cupy.add(cupy.ones(3), 1, out=cupy.ones((2, 3)))


def test_views_have_the_root_as_base(cupy):
    x = cupy.empty((4, 6))
    assert x.base is None
    assert x.flags.owndata
    for view in (
        x[1:],
        x[1:][1:],
        x.T,
        x.reshape(24),
        x[:, None],
        x.ravel(),
        cupy.broadcast_to(x, (2, 4, 6)),
    ):
        assert view.base is x
        assert not view.flags.owndata
    assert x.T.reshape(24).base is None  # a copy
    assert x[1:].data.ptr - x.data.ptr == 48
    assert not x.T.flags.c_contiguous
    strided = cupy.lib.stride_tricks.as_strided(x, (2, 2), (8, 8))
    assert strided.base is None  # CuPy's has none either


def test_indices_wrap_round(cupy):
    x = cupy.arange(5)
    assert x[cupy.asarray([1, 6, -1])].tolist() == [1, 1, 4]
    assert cupy.take(x, cupy.asarray([7])).tolist() == [2]
    x[cupy.asarray([5])] = 9
    assert x.tolist() == [9, 1, 2, 3, 4]
    with pytest.raises(IndexError):
        x[5]


def test_indexing_gives_what_numpy_gives(cupy, rng):
    a = rng.standard_normal((4, 5, 6))
    x = cupy.asarray(a)
    rows, columns, mask = np.array([0, 2, 2]), np.array([1, 1, 4]), a > 0
    for index, ours in (
        ((rows, columns), (cupy.asarray(rows), cupy.asarray(columns))),
        ((slice(None), rows), (slice(None), [0, 2, 2])),
        ((..., rows), (..., cupy.asarray(rows))),
        ((rows[:, None], None, columns), (cupy.asarray(rows)[:, None], None, cupy.asarray(columns))),
        (mask, cupy.asarray(mask)),
    ):
        np.testing.assert_array_equal(x[ours].get(), a[index])
        y, b = x.copy(), a.copy()
        y[ours] = 3
        b[index] = 3
        np.testing.assert_array_equal(y.get(), b)
    cupy.add.at(x, cupy.asarray(rows), 1.0)
    np.add.at(a, rows, 1.0)
    np.testing.assert_array_equal(x.get(), a)
    with pytest.raises(TypeError, match="only supports"):
        cupy.add.at(x > 0, 0, True)


# ---- memory ----


def test_memory_is_poisoned_and_aligned(cupy):
    for dtype in (np.float32, np.float64):
        assert np.isnan(cupy.empty((3, 2), dtype).get()).all()
    assert cupy.empty(2, np.uint8).tolist() == [0xA5, 0xA5]
    assert cupy.empty((), np.int32).item() == np.uint32(0xA5A5A5A5).astype(np.int32)
    assert all(cupy.empty(n).data.ptr % 512 == 0 for n in (1, 3, 1000))


@pytest.mark.parametrize(
    ("place", "where"), [(-8, "8 bytes before its start"), (24, "1 bytes after its end")]
)
def test_writing_outside_of_an_array_is_found(cupy, place, where):
    x = cupy.zeros(3)
    emulated_cupy.check_guards("nobody")
    ctypes.c_ubyte.from_address(x.data.ptr + place).value ^= 1
    with pytest.raises(emulated_cupy.GuardError, match=rf"kernel wrote .*shape \(3,\).*: {where}"):
        emulated_cupy.check_guards("kernel")
    emulated_cupy.check_guards("nobody")  # told once


def test_pools_count(cupy):
    default, pool = cupy.get_default_memory_pool(), cupy.cuda.MemoryPool()
    before = default.used_bytes()
    with cupy.cuda.using_allocator(pool.malloc):
        x = cupy.empty(1000, np.uint8)
        view = x[10:]
    assert (pool.used_bytes(), pool.total_bytes()) == (1024, 1024)
    assert default.used_bytes() == before
    del x
    assert pool.used_bytes() == 1024
    del view
    assert (pool.used_bytes(), pool.total_bytes()) == (0, 1024)
    pool.free_all_blocks()
    assert pool.total_bytes() == 0


def test_memory_of_arrays_that_are_gone_is_used_again(cupy):
    pool = cupy.cuda.MemoryPool()
    for pool_of_arrays in (pool, cupy.get_default_memory_pool()):
        with cupy.cuda.using_allocator(pool_of_arrays.malloc):
            x = cupy.ones(100)
            view, place = x[50:], x.data.ptr
            del x
            assert cupy.empty(100).data.ptr != place, "there still is a view"
            del view
            assert cupy.empty(200).data.ptr != place
            other_size = cupy.empty((33, 3), np.float32)  # 396 bytes: rounded, half the size
            assert other_size.data.ptr != place
            same_size = cupy.empty((3, 66), np.float32)  # 792 bytes: rounded, as many
            assert same_size.data.ptr == place
            assert np.isnan(same_size.get()).all(), "poisoned again"
    with cupy.cuda.using_allocator(pool.malloc):
        assert cupy.empty(100).data.ptr != place, "another pool's"


def test_memory_that_is_used_again_is_guarded_where_the_new_array_ends(cupy):
    x = cupy.ones(60)
    place = x.data.ptr
    del x
    y = cupy.ones(3)
    assert y.data.ptr == place
    emulated_cupy.check_guards("nobody")
    ctypes.c_ubyte.from_address(place + 100).value ^= 1
    with pytest.raises(emulated_cupy.GuardError, match=r"shape \(3,\) .*: 77 bytes after its end"):
        emulated_cupy.check_guards("kernel")
    del y
    assert cupy.ones(60).data.ptr == place
    emulated_cupy.check_guards("nobody")


def test_memory_may_run_out(cupy):
    with emulated_cupy.limit_memory(4096):
        assert cupy.cuda.runtime.memGetInfo() == (4096, 4096)
        x = cupy.empty(2048, np.uint8)
        with pytest.raises(cupy.cuda.memory.OutOfMemoryError) as caught:
            cupy.empty(3000, np.uint8)
        assert "Out of memory allocating 3,072 bytes (allocated so far: 2,048 bytes)." in str(caught.value)
        assert isinstance(caught.value, MemoryError)
        assert cupy.cuda.Device().mem_info == (2048, 4096)
        del x
        assert cupy.get_default_memory_pool().total_bytes() == 2048
        cupy.empty(3000, np.uint8)
        assert cupy.get_default_memory_pool().total_bytes() == 3072, "what was free has been given back"
    cupy.empty(3000, np.uint8)


def test_what_one_pool_keeps_is_missing_in_another(cupy):
    pool = cupy.cuda.MemoryPool()
    with emulated_cupy.limit_memory(4096):
        with cupy.cuda.using_allocator(pool.malloc):
            cupy.empty(2048, np.uint8)
        with pytest.raises(cupy.cuda.memory.OutOfMemoryError):
            cupy.empty(3000, np.uint8)
        pool.free_all_blocks()
        cupy.empty(3000, np.uint8)


def test_a_pool_with_a_limit(cupy):
    pool = cupy.cuda.MemoryPool()
    pool.set_limit(2048)
    with cupy.cuda.using_allocator(pool.malloc):
        x = cupy.empty(1024, np.uint8)
        with pytest.raises(cupy.cuda.memory.OutOfMemoryError, match="limit set to: 2,048 bytes"):
            cupy.empty(1025, np.uint8)
        cupy.empty(1024, np.uint8)
        assert pool.total_bytes() == 2048
        assert pool.free_bytes() == 1024
        assert x.size == 1024


def test_arrays_at_a_place_of_ones_own(cupy):
    arena = cupy.zeros(100, np.uint8)
    x = cupy.ndarray((2, 3), np.float32, memptr=arena.data + 16)
    x[...] = 1
    assert arena.get()[16:40].view(np.float32).tolist() == [1] * 6
    assert x.data.ptr == arena.data.ptr + 16


# ---- devices ----


def test_devices_do_not_mix(cupy):
    x = cupy.ones(3)
    with cupy.cuda.Device(1):
        y = cupy.ones(3)
        assert y.device.id == 1
        for call in (lambda: x + y, lambda: x.sum(), lambda: cupy.exp(x), lambda: y.__setitem__(..., x)):
            with pytest.raises(ValueError, match="different from the current device"):
                call()
        assert cupy.asarray(x).device.id == 1  # a copy
        assert cupy.asarray(y) is y
    assert cupy.cuda.Device().id == 0
    assert y.get().tolist() == [1, 1, 1]


def test_there_is_no_third_device(cupy):
    assert cupy.cuda.runtime.getDeviceCount() == 2
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="cudaErrorInvalidDevice: invalid device"):
        cupy.cuda.Device(2).use()
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="cudaErrorInvalidDevice"):
        cupy.cuda.runtime.getDeviceProperties(2)


def test_other_threads_start_on_the_first_device_and_the_null_stream(cupy):
    seen = []
    with cupy.cuda.Device(1), cupy.cuda.Stream(non_blocking=True):
        thread = threading.Thread(
            target=lambda: seen.append((cupy.cuda.Device().id, cupy.cuda.get_current_stream().ptr))
        )
        thread.start()
        thread.join()
    assert seen == [(0, 0)]


# ---- capture ----


def test_nothing_happens_until_the_graph_is_launched(cupy):
    x, w = cupy.ones(3), cupy.zeros(3)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        y = cupy.exp(x * 2)
        y += 1
        w += x
        total = y.sum()
        z = cupy.zeros(2)
        z[:1] = 5
        places = cupy.argmax(x)
        picked = y[places]
        assert stream.is_capturing()
        graph = stream.end_capture()
    assert np.isnan(y.get()).all()
    assert np.isnan(total.get())
    assert np.isnan(z.get()).all()
    assert w.tolist() == [0, 0, 0]
    for launches, values in enumerate(([1.0, 1, 1], [0.0, 2, 3]), start=1):
        x.set(np.array(values))
        graph.launch()
        expected = np.exp(2 * np.array(values)) + 1
        np.testing.assert_array_equal(y.get(), expected)
        assert float(total) == expected.sum()
        assert float(picked) == expected[np.argmax(values)]
        assert launches == 1 or w.tolist() == [1, 3, 4]
    assert z.tolist() == [5, 0]


def test_a_graph_keeps_the_memory_that_it_touches_but_no_arrays(cupy):
    pool = cupy.cuda.MemoryPool()
    stream = cupy.cuda.Stream(non_blocking=True)
    x = cupy.ones(3)
    with stream, cupy.cuda.using_allocator(pool.malloc):
        stream.begin_capture()
        y = (x + 1) * 2
        graph = stream.end_capture()
    assert (pool.used_bytes(), pool.total_bytes()) == (512, 1024)  # the sum is gone
    pool.free_all_blocks()
    assert (pool.used_bytes(), pool.total_bytes()) == (512, 512)
    graph.launch()
    assert y.tolist() == [4, 4, 4]
    del graph, y
    assert (pool.used_bytes(), pool.total_bytes()) == (0, 512)


def test_memory_is_used_again_within_a_graph_and_after_it(cupy):
    pool = cupy.cuda.MemoryPool()
    stream = cupy.cuda.Stream(non_blocking=True)
    x = cupy.ones(3)
    with stream, cupy.cuda.using_allocator(pool.malloc):
        stream.begin_capture()
        y = x + 1
        place = y.data.ptr
        z = y * 2
        del y
        w = z + 1
        assert w.data.ptr == place
        v = w * z
        del w
        graph = stream.end_capture()
        later = cupy.zeros(3)
    assert later.data.ptr == place
    for value in (1.0, 2.0):
        x.set(np.full(3, value))
        graph.launch()
        assert z.tolist() == [2 * value + 2] * 3
        assert v.tolist() == [(2 * value + 3) * (2 * value + 2)] * 3
        assert later.tolist() == [2 * value + 3] * 3, "written to by the replay"
        later[...] = 0


def test_nothing_happens_to_memory_that_is_used_again_until_the_graph_is_launched(cupy):
    stream = cupy.cuda.Stream(non_blocking=True)
    kept = cupy.arange(3.0)
    with stream:
        stream.begin_capture()
        y = kept + 1
        place = kept.data.ptr
        del kept  # a mistake, which the first replay does not show
        z = y * 10
        assert z.data.ptr == place
        graph = stream.end_capture()
    assert z.tolist() == [0, 1, 2]
    graph.launch()
    assert z.tolist() == [10, 20, 30]
    graph.launch()
    assert z.tolist() == [110, 210, 310]


def test_guard_zones_are_where_arrays_ended_when_the_graph_was_recorded(cupy, kernels):
    """The block holds 60 numbers first and three then, in each replay."""
    saxpy = kernels.get_function("saxpy<double>")
    x = cupy.ones(60)
    stream = cupy.cuda.Stream(non_blocking=True)
    written = 4
    with stream:
        for _ in range(2):
            stream.begin_capture()
            y = cupy.zeros(60)
            saxpy((1,), (60,), (np.float64(1), x, y, np.int32(60)))
            total, place = y.sum(), y.data.ptr
            del y
            z = cupy.zeros(3)
            assert z.data.ptr == place
            saxpy((1,), (8,), (np.float64(1), x, z, np.int32(written - 1)))
            graph = stream.end_capture()
            if written == 4:
                for _ in range(2):
                    graph.launch()
                    assert float(total) == 60
                    assert z.tolist() == [1, 1, 1]
            else:
                with pytest.raises(emulated_cupy.GuardError, match=r"saxpy<double> .*shape \(3,\)"):
                    graph.launch()
            written += 1
            del z, total


@pytest.mark.parametrize(
    "call",
    [
        lambda cp, x: x.get(),
        lambda cp, x: float(x[0]),
        lambda cp, x: bool(x[0]),
        lambda cp, x: x[0].item(),
        lambda cp, x: x.set(np.ones(3)),
        lambda cp, x: cp.asarray(np.ones(3)),
        lambda cp, x: cp.asarray([1.0, 2.0]),
        lambda cp, x: x[[0, 1]],
        lambda cp, x: x[np.array([0, 1])],
        lambda cp, x: x[x > 0],
        lambda cp, x: x.__setitem__(x > 0, 1),
        lambda cp, x: x.__setitem__(cp.argsort(x), 1),
        lambda cp, x: cp.add.at(x, cp.argsort(x), 1.0),
        lambda cp, x: x.scatter_add(cp.argsort(x), 1.0),
        lambda cp, x: cp.put_along_axis(x, cp.argsort(x), 1.0, 0),
        lambda cp, x: cp.concatenate([x] * 9),
        lambda cp, x: cp.stack([x] * 9),
        lambda cp, x: cp.hstack([x] * 9, dtype=np.float64),
        lambda cp, x: cp.concatenate([x] * 9, out=cp.empty(27)),
        lambda cp, x: cp.nan_to_num(x),
        lambda cp, x: cp.isclose(x, 1.0),
        lambda cp, x: cp.array_equal(x, x[1:]),
        lambda cp, x: cp.array_equal(x, x, equal_nan=True),
        lambda cp, x: cp.arange(2, dtype=bool),
        lambda cp, x: cp.nonzero(x),
        lambda cp, x: str(x),
        lambda cp, x: cp.cuda.get_current_stream().synchronize(),
        lambda cp, x: cp.cuda.Device().synchronize(),
        lambda cp, x: cp.cuda.runtime.deviceSynchronize(),
    ],
)
def test_what_the_host_has_to_see_cannot_be_captured(cupy, call):
    x = cupy.ones(3)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match=CAPTURING):
            call(cupy, x)
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="cudaErrorStreamCaptureInvalidated"):
            stream.end_capture()
        assert not stream.is_capturing()
        assert (x + 1).tolist() == [2, 2, 2]


def test_what_joins_arrays_without_a_table_is_captured(cupy):
    x, large = cupy.ones(3), cupy.ones(300 << 10)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        few, mixed = cupy.concatenate([x] * 8), cupy.concatenate([x] * 9 + [cupy.ones(1, np.float32)])
        many = cupy.concatenate([large] * 9)
        stream.end_capture().launch()
    assert few.tolist() == [1] * 24
    assert mixed.tolist() == [1] * 28
    assert float(many.sum()) == 9 * large.size
    assert float(cupy.concatenate([x] * 9).sum()) == 27


def test_mistakes_are_found_while_capturing(cupy):
    x = cupy.ones(3)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        with pytest.raises(ValueError, match="broadcast"):
            x += cupy.zeros(4)
        with pytest.raises(ValueError, match="broadcast"):
            x[...] = cupy.zeros(4)
        with pytest.raises(TypeError):
            cupy.exp(x, out=cupy.zeros(3, np.int32))
        stream.end_capture()


def test_another_stream_joins_a_capture_by_an_event(cupy):
    x = cupy.ones(3)
    first, second = cupy.cuda.Stream(non_blocking=True), cupy.cuda.Stream(non_blocking=True)
    with first:
        first.begin_capture()
        second.wait_event(first.record())
        with second:
            y = x + 1
            done = second.record()
        first.wait_event(done)
        y += 1
        graph = first.end_capture()
    assert np.isnan(y.get()).all()
    graph.launch()
    assert y.tolist() == [3, 3, 3]
    assert not second.is_capturing()


def test_streams_have_to_be_joined(cupy):
    first, second = cupy.cuda.Stream(non_blocking=True), cupy.cuda.Stream(non_blocking=True)
    with first:
        first.begin_capture()
        second.wait_event(first.record())
        with second:
            cupy.zeros(3)
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="cudaErrorStreamCaptureUnjoined"):
            first.end_capture()
        first.begin_capture()
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="cudaErrorStreamCaptureIsolation"):
            first.wait_event(second.record())
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="cudaErrorStreamCaptureInvalidated"):
            first.end_capture()


def test_the_null_stream_cannot_capture_and_waits_for_blocking_streams(cupy):
    with pytest.raises(RuntimeError, match="cannot capture on the default"):
        cupy.cuda.Stream.null.begin_capture()
    blocking, other = cupy.cuda.Stream(), cupy.cuda.Stream(non_blocking=True)
    blocking.begin_capture()
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="cudaErrorStreamCaptureImplicit"):
        cupy.zeros(3)
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError):
        blocking.end_capture()
    other.begin_capture()
    assert cupy.zeros(3).tolist() == [0, 0, 0]
    other.end_capture()


def test_events_measure_time(cupy):
    start, end = cupy.cuda.Event(), cupy.cuda.Event()
    start.record()
    end.record()
    end.synchronize()
    assert cupy.cuda.get_elapsed_time(start, end) >= 0


# ---- cuBLAS ----


def column_major(cupy, a, spare):
    """Lay a matrix out column by column, with some spare numbers at the end of each."""
    rows, columns = a.shape
    memory = np.full((columns, rows + spare), np.nan, a.dtype)
    memory[:, :rows] = a.T
    return cupy.asarray(memory), rows + spare


@pytest.mark.parametrize("beta", [0.0, 0.5])
@pytest.mark.parametrize("transb", [0, 1])
@pytest.mark.parametrize("transa", [0, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gemm(cupy, cublas, rng, dtype, transa, transb, beta):
    m, n, k = 3, 4, 5
    a, b, c = (rng.standard_normal(shape).astype(dtype) for shape in ((m, k), (k, n), (m, n)))
    if beta == 0:
        c[...] = np.nan  # is not read
    A, lda = column_major(cupy, a.T if transa else a, 2)
    B, ldb = column_major(cupy, b.T if transb else b, 0)
    C, ldc = column_major(cupy, c, 1)
    scale, share = np.array(1.5, dtype), np.array(beta, dtype)
    kind = {np.float32: 0, np.float64: 1}[dtype]
    compute = cublas.CUBLAS_COMPUTE_64F if kind else cublas.CUBLAS_COMPUTE_32F
    cublas.gemmEx(
        cupy.cuda.device.get_cublas_handle(), transa, transb, m, n, k,
        scale.ctypes.data, A.data.ptr, kind, lda, B.data.ptr, kind, ldb,
        share.ctypes.data, C.data.ptr, kind, ldc, compute, cublas.CUBLAS_GEMM_DEFAULT,
    )  # fmt: skip
    expected = 1.5 * (a @ b) + (beta * c if beta else 0)
    np.testing.assert_allclose(C.get()[:, :m].T, expected, rtol=1e-5 if kind == 0 else 1e-13)
    assert np.isnan(C.get()[:, m:]).all()  # what lies between the columns is left alone


def test_strided_batched_gemm(cupy, cublas, rng):
    a, b = rng.standard_normal((6, 2, 3)), rng.standard_normal((6, 3, 4))
    A, B, C = cupy.asarray(a), cupy.asarray(b), cupy.empty((6, 2, 4))
    one, zero = np.ones(()), np.zeros(())
    # Row-major: the transposed product, column-major.
    cublas.gemmStridedBatchedEx(
        cupy.cuda.device.get_cublas_handle(), 0, 0, 4, 2, 3,
        one.ctypes.data, B.data.ptr, 1, 4, 12, A.data.ptr, 1, 3, 6,
        zero.ctypes.data, C.data.ptr, 1, 4, 8, 6, cublas.CUBLAS_COMPUTE_64F, cublas.CUBLAS_GEMM_DEFAULT,
    )  # fmt: skip
    np.testing.assert_allclose(C.get(), a @ b)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"lda": 1}, "INVALID_VALUE.*lda is 1"),
        ({"ldc": 1}, "INVALID_VALUE.*ldc is 1"),
        ({"m": -1}, "INVALID_VALUE"),
        ({"Ctype": 0}, "NOT_SUPPORTED"),
        ({"computeType": 68}, "NOT_SUPPORTED"),
        ({"k": 300}, "cudaErrorIllegalAddress"),
        ({"A": 16}, "cudaErrorIllegalAddress"),
        ({"handle": 1}, "INVALID_VALUE"),
    ],
)
def test_gemm_checks_its_arguments(cupy, cublas, change, match):
    A, one = cupy.ones((2, 2)), np.ones(())
    arguments = {
        "handle": cupy.cuda.device.get_cublas_handle(), "transa": 0, "transb": 0, "m": 2, "n": 2, "k": 2,
        "alpha": one.ctypes.data, "A": A.data.ptr, "Atype": 1, "lda": 2,
        "B": A.data.ptr, "Btype": 1, "ldb": 2,
        "beta": one.ctypes.data, "C": A.data.ptr, "Ctype": 1, "ldc": 2, "computeType": 70, "algo": -1,
    }  # fmt: skip
    if "k" in change:
        change = change | {"ldb": 300}
    with pytest.raises(RuntimeError, match=match):
        cublas.gemmEx(**arguments | change)


def test_cupy_does_not_capture_cublas_but_the_library_does(cupy, cublas):
    a, b, c = cupy.ones((2, 2)), cupy.ones((2, 2)), cupy.zeros((2, 2))
    one, zero = np.ones(()), np.zeros(())
    arguments = (
        cupy.cuda.device.get_cublas_handle(), 0, 0, 2, 2, 2,
        one.ctypes.data, a.data.ptr, 1, 2, b.data.ptr, 1, 2,
        zero.ctypes.data, c.data.ptr, 1, 2, 70, -1,
    )  # fmt: skip
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        for call in (lambda: a @ b, lambda: cupy.matmul(a, b, out=c), lambda: cublas.gemmEx(*arguments)):
            with pytest.raises(NotImplementedError, match="calling cuBLAS API during stream capture"):
                call()
        assert emulated_cupy.cublas_library().cublasGemmEx(*arguments) == 0
        graph = stream.end_capture()
    assert c.tolist() == [[0, 0], [0, 0]]
    graph.launch()
    assert c.tolist() == [[2, 2], [2, 2]]
    assert emulated_cupy.cublas_library().cublasGemmEx(1, *arguments[1:]) == 7


def test_math_mode(cupy, cublas):
    handle = cupy.cuda.device.get_cublas_handle()
    assert cublas.getMathMode(handle) == cublas.CUBLAS_DEFAULT_MATH
    cublas.setMathMode(handle, cublas.CUBLAS_TENSOR_OP_MATH)
    assert cublas.getMathMode(handle) == cublas.CUBLAS_TENSOR_OP_MATH


# ---- kernels ----

SAXPY = """
template <typename T>
__global__ void saxpy(T a, const T* x, T* y, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) y[i] += a * x[i];
}
extern "C" __global__ void doubles(double a, long long b, double* y) { y[0] = a + b; }
"""


@pytest.fixture
def kernels(cupy):
    host_cuda = pytest.importorskip("host_cuda")
    if host_cuda.compiler() is None:
        pytest.skip("no C++ compiler")
    return cupy.RawModule(
        code=SAXPY, options=("-std=c++17",), name_expressions=["saxpy<float>", "saxpy<double>", "doubles"]
    )


def test_kernel_runs(cupy, kernels):
    x, y = cupy.arange(10, dtype=np.float32), cupy.ones(10, np.float32)
    saxpy = kernels.get_function("saxpy<float>")
    saxpy((2,), (8,), (np.float32(2), x, y, np.int32(10)))
    np.testing.assert_array_equal(y.get(), 2 * np.arange(10) + 1)
    kernels.get_function("doubles")((1,), (1,), (1.5, 2, cupy.zeros(1)))  # Python's numbers have 64 bits


def test_kernel_is_captured(cupy, kernels):
    x, y = cupy.ones(4), cupy.zeros(4)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        kernels.get_function("saxpy<double>")((1,), (4,), (np.float64(3), x, y, np.int32(4)))
        graph = stream.end_capture()
    assert y.tolist() == [0, 0, 0, 0]
    graph.launch()
    graph.launch()
    assert y.tolist() == [6, 6, 6, 6]


def test_kernel_that_writes_outside_is_found(cupy, kernels):
    x, y = cupy.ones(8), cupy.zeros(4)
    with pytest.raises(emulated_cupy.GuardError, match=r"kernel saxpy<double> .*shape \(4,\)"):
        kernels.get_function("saxpy<double>")((1,), (8,), (np.float64(3), x, y, np.int32(8)))
    emulated_cupy.check_guards("nobody")


def test_launches_are_checked(cupy, kernels):
    x = cupy.ones(4)
    saxpy, arguments = kernels.get_function("saxpy<double>"), (np.float64(1), x, x, np.int32(4))
    for grid, block, arguments_, error, match in (
        ([1], (4,), arguments, TypeError, "'grid' has incorrect type"),
        ((1,), (2048,), arguments, RuntimeError, "CUDA_ERROR_INVALID_VALUE"),
        ((1, 70000), (4,), arguments, RuntimeError, "CUDA_ERROR_INVALID_VALUE"),
        ((1,), (4,), (np.float64(1), x, np.ones(4), np.int32(4)), TypeError, "cupy.ndarray instead"),
        ((1,), (4,), (np.float64(1), x, "x", np.int32(4)), TypeError, "Unsupported type"),
        ((1,), (4,), (np.float64(1), x, None, np.int32(4)), TypeError, "null pointer"),
    ):
        with pytest.raises(error, match=match):
            saxpy(grid, block, arguments_)
    with pytest.raises(RuntimeError, match=r"CUDA_ERROR_INVALID_VALUE.*shared memory"):
        saxpy((1,), (4,), arguments, shared_mem=49 << 10)
    with cupy.cuda.Device(1), pytest.raises(ValueError, match="different from the current device"):
        saxpy((1,), (4,), arguments)
    with pytest.raises(RuntimeError, match="CUDA_ERROR_NOT_FOUND"):
        kernels.get_function("saxpy<int>")
    with pytest.raises(TypeError, match="'options' has incorrect type"):
        cupy.RawModule(code=SAXPY, options=["-std=c++17"])
