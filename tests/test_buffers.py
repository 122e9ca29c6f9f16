"""Memory is used again when nobody looks at it any more, and not before."""

import copy
import gc
import pickle
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

from minicnn import Tensor, buffers, nn
from minicnn import functional as F
from minicnn.buffers import CACHE_LINE, SMALLEST, empty, owns_its_memory, release_memory

FLOAT = np.zeros(1, np.float32)
LARGE = (SMALLEST, 3)


@pytest.fixture
def store(monkeypatch):
    store = buffers._Store()
    monkeypatch.setattr(buffers, "_store", store)
    return store


def address(array):
    return array.__array_interface__["data"][0]


def test_shape_dtype_and_alignment(store):
    for like, dtype, expected in (
        (FLOAT, None, np.float32),
        (np.zeros(1), None, np.float64),
        (FLOAT, np.uint8, np.uint8),
    ):
        array = empty(LARGE, like, dtype)
        assert (array.shape, array.dtype) == (LARGE, expected)
        assert address(array) % CACHE_LINE == 0
        array[...] = 1  # writable
    assert empty((), FLOAT).shape == ()


def test_memory_is_used_again(store):
    array = empty(LARGE, FLOAT)
    before = address(array)
    del array
    assert address(empty(LARGE, FLOAT)) == before


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[10:20],
        lambda a: a.reshape(-1),
        lambda a: a.T[1:],
        lambda a: a.reshape(-1)[5:].view(np.uint8)[::3],
        lambda a: memoryview(a),
        lambda a: Tensor(a),
    ],
    ids=["slice", "reshaped", "transposed", "view of a view", "memoryview", "tensor"],
)
def test_memory_is_not_used_while_anything_looks_at_it(store, view):
    array = empty(LARGE, FLOAT)
    array[...] = 7
    before = address(array)
    look = view(array)
    del array
    gc.collect()
    other = empty(LARGE, FLOAT)
    other[...] = 8
    assert address(other) != before
    del look
    gc.collect()
    assert address(empty(LARGE, FLOAT)) == before


def test_a_block_may_serve_what_is_a_little_smaller(store):
    before = address(empty((1200, 100), FLOAT))
    assert address(empty((1000, 100), FLOAT)) == before
    assert address(empty((700, 100), FLOAT)) != before


def test_small_arrays_are_numpys_own(store):
    assert empty((10,), FLOAT).base is None
    assert store.most_lent == 0


def test_no_more_is_held_than_promised(store, monkeypatch, rng):
    monkeypatch.setattr(buffers, "ALWAYS_KEPT", 0)
    kept = []
    for _ in range(300):
        kept.append(empty((int(rng.integers(1, 40)) * SMALLEST,), FLOAT, np.uint8))
        if len(kept) > rng.integers(1, 12):
            del kept[int(rng.integers(len(kept)))]
        store.take_back()
        assert store.bytes_lent >= sum(array.nbytes for array in kept)
        assert store.bytes_free == sum(block.nbytes for blocks in store.free.values() for block in blocks)
        assert store.bytes_lent + store.bytes_free <= buffers.SLACK * store.most_lent
    kept.clear()
    store.take_back()
    assert store.bytes_lent == 0
    assert store.loans == {}


def test_release_memory(store):
    kept, dropped = empty(LARGE, FLOAT), empty(LARGE, FLOAT)
    del dropped
    store.take_back()
    assert store.bytes_free > 0
    release_memory()
    assert store.bytes_free == 0
    assert store.free == {}
    kept[...] = 1


def test_many_threads(store):
    wrong = []

    def work(number):
        rng = np.random.default_rng(number)
        mine = []
        for _ in range(200):
            array = empty((int(rng.integers(SMALLEST, 3 * SMALLEST)),), FLOAT, np.uint8)
            array[...] = number
            mine.append(array)
            if len(mine) > 3 and not (mine.pop(0) == number).all():
                wrong.append(number)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(1, 7)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
    store.take_back()
    assert store.bytes_lent == 0


def test_arrays_that_wait_for_the_garbage_collector(store):
    class Holder:
        pass

    holder = Holder()
    holder.itself, holder.array = holder, empty(LARGE, FLOAT)
    gone = weakref.ref(holder)
    del holder
    store.take_back()
    assert store.bytes_lent > 0
    with store.lock:  # the collector may come while the store is at work
        gc.collect()
    assert gone() is None
    store.take_back()
    assert store.bytes_lent == 0


def test_owns_its_memory(store):
    array = empty(LARGE, FLOAT)
    assert owns_its_memory(array)
    assert owns_its_memory(np.zeros(3))
    assert not owns_its_memory(array[1:])
    assert not owns_its_memory(array[:, :2])
    assert not owns_its_memory(array.T)
    assert not owns_its_memory(np.zeros((3, 3))[1])
    assert not owns_its_memory(np.broadcast_to(np.zeros(1), (3,)))


def test_a_view_of_everything_owns_it_as_well(store):
    array = empty(LARGE, FLOAT)
    assert owns_its_memory(array.reshape(-1))
    assert owns_its_memory(array[:])
    assert not owns_its_memory(array.reshape(-1)[:-1])
    smaller = (LARGE[0] - 1, LARGE[1])
    before = address(array)
    del array
    smaller = empty(smaller, FLOAT)
    assert address(smaller) == before
    assert owns_its_memory(smaller)  # the rest of the block is nobody's


def test_users_arrays_are_told_apart(store):
    """However they came by their memory: it may be held elsewhere."""
    memory = bytearray(800)
    assert not owns_its_memory(np.frombuffer(memory, np.float32))
    assert not owns_its_memory(np.ndarray((100, 2), np.float32, memory))
    assert not owns_its_memory(np.asarray(memoryview(np.zeros(3))))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))])
def test_copies_have_memory_of_their_own(store, duplicate):
    array = empty(LARGE, FLOAT)
    array[...] = 7
    other = duplicate(array)
    assert not np.shares_memory(array, other)
    assert (other == 7).all()


def test_least_recently_used_sizes_are_let_go_first(store, monkeypatch):
    monkeypatch.setattr(buffers, "ALWAYS_KEPT", 0)
    sizes = [size * SMALLEST for size in (10, 20, 40)]
    together = [empty((size,), FLOAT, np.uint8) for size in sizes]
    del together
    for size in (sizes[0], sizes[2], sizes[1]):
        empty((size,), FLOAT, np.uint8)  # and gone
    array = empty((sizes[2] * 7 // 5,), FLOAT, np.uint8)  # 56 of at most 105, where 70 are free
    assert list(store.free) == [sizes[1]]
    assert array.nbytes + store.bytes_free <= 1.5 * sum(sizes)


def test_an_interpreter_that_ends_says_nothing():
    program = """
import numpy as np
from minicnn import buffers
kept = [buffers.empty((1 << 20,), np.zeros(1)) for _ in range(3)]
kept.append(kept)
"""
    result = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_gradients_of_an_earlier_step_stay_as_they_are(store, rng):
    """Memory is used again within a step and in the next; what the user holds is not touched."""
    network = nn.Sequential(nn.Inception(16, 8, 8, 8, 8, 8, 8, rng=rng), nn.LocalResponseNorm())
    x = Tensor(rng.standard_normal((8, 16, 16, 16)).astype(np.float32), requires_grad=True)
    held = []
    for step in range(4):
        network.zero_grad()
        x.zero_grad()
        y = network(x)
        hidden = F.concat([y, y])
        hidden.retain_grad()
        (hidden * hidden).sum().backward()
        arrays = [y.data, x.grad, hidden.grad, *(p.grad for p in network.parameters())]
        held.append((arrays, [array.copy() for array in arrays]))
        x.data = x.data * (step + 2)
    for arrays, copies in held:
        for array, expected in zip(arrays, copies, strict=True):
            np.testing.assert_array_equal(array, expected)
