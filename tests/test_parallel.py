"""Tiles, the thread pool, BLAS pinned inside it, and training in two threads at once."""

import itertools
import multiprocessing
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

import minicnn
from minicnn import Tensor, UsageError, models, nn, optim, parallel
from minicnn import functional as F
from minicnn.parallel import batch_tiles, pinned_blas, run_tiles, scratch, wrapped_tiles
from op_runs import threads, tile_bytes


def blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture
def two_blas_threads():
    """BLAS as users may have it: with two threads of its own."""
    with threadpool_limits(limits=2, user_api="blas"):
        if blas_threads() != {2}:
            pytest.skip("this BLAS cannot be told to use two threads")
        yield


def visited(tiles: list[slice]) -> list[int]:
    """Run tiles that only note their index."""
    done: list[int] = []
    run_tiles(lambda index, tile: done.append(index), tiles)
    return sorted(done)


# ---- the number of threads ----


def test_number_of_threads_is_at_first_that_of_the_cores():
    assert minicnn.get_num_threads() >= 1
    with threads(5):
        assert minicnn.get_num_threads() == 5
        minicnn.set_num_threads(np.int64(2))
        assert minicnn.get_num_threads() == 2


@pytest.mark.parametrize("count", [0, -1, 1.5, "2", True, None])
def test_impossible_number_of_threads(count):
    before = minicnn.get_num_threads()
    with pytest.raises(UsageError, match=r"^set_num_threads: expected a whole number of at least 1, got "):
        minicnn.set_num_threads(count)
    assert minicnn.get_num_threads() == before


# ---- tiles ----


@given(count=st.integers(1, 300), size=st.integers(1, 1 << 22), limit=st.sampled_from([16, 1 << 12, 1 << 20]))
def test_tiles_cover_the_batch_once_and_in_order(count, size, limit):
    with tile_bytes(limit):
        tiles = batch_tiles(count, size)
    assert [i for tile in tiles for i in range(count)[tile]] == list(range(count))
    lengths = [tile.stop - tile.start for tile in tiles]
    assert min(lengths) >= 1
    assert max(lengths) - min(lengths) <= 1
    if max(lengths) > 1:
        assert max(lengths) * size <= limit + size  # as small as asked for, rounded to whole images
    if count > 1 and count * size >= limit:
        assert len(tiles) >= 2  # work for two


def test_tiles_do_not_depend_on_the_number_of_threads():
    found = []
    for count in (1, 2, 7):
        with threads(count):
            found.append(batch_tiles(100, 1 << 16))
    assert found[0] == found[1] == found[2]


def test_little_work_is_one_tile():
    assert batch_tiles(8, 100) == [slice(0, 8)]


# ---- running them ----


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("tiles", [1, 2, 5, 40])
def test_every_tile_runs_once(count, tiles):
    done = []
    with threads(count):
        run_tiles(lambda index, tile: done.append((index, tile)), [slice(i, i + 1) for i in range(tiles)])
    assert sorted(done, key=lambda pair: pair[0]) == [(i, slice(i, i + 1)) for i in range(tiles)]


def test_tiles_run_at_the_same_time():
    """Each tile waits for the other: one thread alone would wait for ever."""
    meeting = threading.Barrier(2, timeout=20)
    with threads(2):
        run_tiles(lambda index, tile: meeting.wait(), [slice(0, 1), slice(1, 2)])


def test_one_thread_means_the_calling_one():
    seen = set()
    with threads(1):
        run_tiles(lambda index, tile: seen.add(threading.current_thread()), [slice(0, 1)] * 4)
    assert seen == {threading.current_thread()}


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("broken", [0, 3, 7])
def test_error_in_a_tile_reaches_the_caller_and_the_pool_goes_on(count, broken):
    tiles = [slice(i, i + 1) for i in range(8)]

    def work(index, tile):
        if index == broken:
            raise ZeroDivisionError(f"tile {index}")

    with threads(count):
        for _ in range(3):
            with pytest.raises(ZeroDivisionError, match=f"tile {broken}"):
                run_tiles(work, tiles)
            assert visited(tiles) == list(range(8))


@pytest.mark.parametrize("count", [1, 2])
def test_who_looks_on_sees_every_tile_of_this_thread(count):
    seen, done = [], []

    def wrap(name):
        def wrapped(function):
            def tile_function(index, tile):
                seen.append((name, index, tile))
                function(index, tile)

            return tile_function

        return wrapped

    def work(index, tile):
        done.append(index)

    tiles = [slice(i, i + 1) for i in range(4)]
    with threads(count):
        with wrapped_tiles(wrap("outer")):
            with pytest.raises(ZeroDivisionError), wrapped_tiles(wrap("inner")):
                raise ZeroDivisionError
            run_tiles(work, tiles)
            thread = threading.Thread(target=run_tiles, args=(work, tiles))  # of no concern
            thread.start()
            thread.join()
        run_tiles(work, tiles)
    assert sorted(seen, key=lambda entry: entry[1]) == [("outer", i, tile) for i, tile in enumerate(tiles)]
    assert sorted(done) == sorted([*range(4)] * 3)


def test_all_tiles_may_fail_at_once():
    """Both threads raise; the caller hears of one, and nobody waits for ever."""
    meeting = threading.Barrier(2, timeout=20)

    def work(index, tile):
        meeting.wait()
        raise ZeroDivisionError(f"tile {index}")

    with threads(2), pytest.raises(ZeroDivisionError, match="tile"):
        run_tiles(work, [slice(0, 1), slice(1, 2)])


def test_tile_may_run_tiles_itself(monkeypatch):
    monkeypatch.setattr(parallel, "_pool", parallel._Pool())  # one that has no threads to spare
    done = []
    meeting = threading.Barrier(2, timeout=20)

    def outer(index, tile):
        meeting.wait()  # so that the pool's thread has a tile too
        run_tiles(lambda i, _: done.append((index, i)), [slice(i, i + 1) for i in range(3)])

    with threads(2):  # in a thread of its own, so that a deadlock would show and not hang
        user = threading.Thread(target=run_tiles, args=(outer, [slice(0, 1), slice(1, 2)]), daemon=True)
        user.start()
        user.join(20)
    assert not user.is_alive()
    assert sorted(done) == list(itertools.product(range(2), range(3)))


def test_two_threads_may_use_the_pool_at_once():
    def work(results):
        for _ in range(50):
            results.append(visited([slice(i, i + 1) for i in range(6)]) == list(range(6)))

    results = []
    with threads(3):
        users = [threading.Thread(target=work, args=(results,)) for _ in range(3)]
        for user in users:
            user.start()
        for user in users:
            user.join(30)
    assert results == [True] * 150


def _work_in_child(connection):
    x = Tensor(np.ones((4, 8, 8, 3), np.float32))
    with threads(2), tile_bytes(16):
        connection.send(float(F.max_pool2d(x, 2).data.sum()))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # that is the point here
def test_pool_works_after_a_fork():
    with threads(2), tile_bytes(16):
        F.max_pool2d(Tensor(np.ones((4, 8, 8, 3), np.float32)), 2)  # the parent's pool has threads now
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_work_in_child, args=(there,))
    child.start()
    try:
        assert here.poll(20), "the forked process hangs"
        assert here.recv() == 4 * 4 * 4 * 3
    finally:
        child.kill()
        child.join()


# ---- BLAS ----


def test_blas_is_pinned_inside_tiles_and_restored_after(two_blas_threads):
    for count in (1, 2):
        inside = []
        with threads(count):
            run_tiles(lambda index, tile: inside.append(blas_threads()), [slice(0, 1), slice(1, 2)])  # noqa: B023
        assert inside == [{1}, {1}]
        assert blas_threads() == {2}


def test_blas_is_restored_after_an_error(two_blas_threads):
    with pytest.raises(ZeroDivisionError), pinned_blas():
        raise ZeroDivisionError
    assert blas_threads() == {2}


def test_blas_stays_pinned_until_the_last_of_two_overlapping_users_leaves(two_blas_threads):
    """First in, first out: what each saved and restored on its own would leave BLAS at one thread."""
    entered, leave = threading.Event(), threading.Event()

    def other():
        with pinned_blas():
            entered.set()
            leave.wait(20)

    thread = threading.Thread(target=other)
    with pinned_blas(), pinned_blas():
        thread.start()
        entered.wait(20)
        assert blas_threads() == {1}
    assert blas_threads() == {1}  # the other one is still inside
    leave.set()
    thread.join()
    assert blas_threads() == {2}


def test_blas_is_pinned_for_any_thread_after_another_has_used_it(two_blas_threads):
    """threadpoolctl lets the first thread that sets OpenBLAS keep it for itself."""
    inside = []

    def other():
        with pinned_blas():
            inside.append(blas_threads())

    with pinned_blas():
        pass
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert inside == [{1}]
    assert blas_threads() == {2}


def test_matrix_products_have_the_same_bits_whatever_blas_was_set_to(rng):
    """Sums cut among several threads of BLAS would be rounded differently."""
    a, b = (rng.standard_normal((300, 300)).astype(np.float32) for _ in range(2))
    results = []
    for blas, count in ((1, 1), (2, 1), (2, 3)):
        with threadpool_limits(limits=blas, user_api="blas"), threads(count):
            x, w = Tensor(a, requires_grad=True), Tensor(b, requires_grad=True)
            y = F.linear(x, w) + x @ w
            y.backward(a)
            results.append((y.data, x.grad, w.grad))
    for result in results[1:]:
        for array, expected in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(array, expected)


# ---- scratch arrays ----


def test_scratch_arrays_are_reused_by_name_and_have_the_dtype_asked_for():
    like = np.zeros(1, np.float32)
    first = scratch("test", (4, 5), like)
    assert (first.shape, first.dtype) == ((4, 5), np.float32)
    assert np.shares_memory(first, scratch("test", (2, 2), like))
    assert not np.shares_memory(first, scratch("another test", (4, 5), like))
    assert scratch("test", (3,), like, np.bool_).dtype == np.bool_
    assert scratch("test", (100,), like.astype(np.float64)).dtype == np.float64


def test_scratch_arrays_belong_to_one_thread():
    like = np.zeros(1)
    mine = scratch("test", (10,), like)
    others = []
    thread = threading.Thread(target=lambda: others.append(scratch("test", (10,), like)))
    thread.start()
    thread.join()
    assert not np.shares_memory(mine, others[0])


# ---- whole networks ----


def train(seed: int, steps: int) -> list[np.ndarray]:
    """Train a small GoogLeNet on random images; return its weights."""
    rng = np.random.default_rng(seed)
    model = models.googlenet_cifar(width=0.06, rng=rng)
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    for _ in range(steps):
        x = Tensor(rng.standard_normal((4, 32, 32, 3)).astype(np.float32))
        optimizer.zero_grad()
        models.total_loss(model(x), rng.integers(0, 10, 4)).backward()
        optimizer.step()
    return [p.data for p in model.parameters()]


def test_training_has_the_same_bits_for_every_number_of_threads():
    results = []
    for count in (1, 2, 3):
        with threads(count):
            results.append(train(1, steps=2))
    for result in results[1:]:
        for weights, expected in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(weights, expected)


def test_two_threads_train_two_models_as_each_would_alone(two_blas_threads):
    alone = [train(seed, steps=3) for seed in (1, 2)]
    together = {}
    with threads(2):
        trainers = [
            threading.Thread(target=lambda s=seed: together.update({s: train(s, 3)})) for seed in (1, 2)
        ]
        for trainer in trainers:
            trainer.start()
        for trainer in trainers:
            trainer.join(60)
    for seed in (1, 2):
        for weights, expected in zip(together[seed], alone[seed - 1], strict=True):
            np.testing.assert_array_equal(weights, expected)
    assert blas_threads() == {2}
    assert parallel._blas_holders == 0


def test_error_in_an_op_leaves_everything_in_order(two_blas_threads):
    class Broken(nn.Module):
        def forward(self, x):
            raise ZeroDivisionError

    with threads(2), pytest.raises(ZeroDivisionError):
        nn.Sequential(nn.Conv2d(3, 2, 1), Broken())(Tensor(np.zeros((2, 4, 4, 3), np.float32)))
    assert blas_threads() == {2}


@pytest.mark.parametrize("count", [1, 3])
def test_numpy_reacts_to_overflow_in_every_thread_as_the_caller_asked(count):
    """NumPy keeps this setting for each thread, and a tile may run in any."""
    meeting = threading.Barrier(count, timeout=20)
    settings = []

    def overflow(index, tile):
        meeting.wait()
        settings.append(np.geterr()["over"])
        np.exp(np.full(1, 1e3))

    tiles = [slice(i, i + 1) for i in range(count)]
    with threads(count):
        with np.errstate(over="ignore"):
            run_tiles(overflow, tiles)
        with np.errstate(over="raise"), pytest.raises(FloatingPointError):
            run_tiles(overflow, tiles)
    assert settings == ["ignore"] * count + ["raise"] * count
