"""Batch tiles on a small thread pool, with BLAS kept to one thread inside a tile.

An op on the CPU cuts its batch into tiles whose temporary arrays stay in the cache, and lets a few
threads take the tiles from a common counter (NumPy releases the interpreter lock inside its loops and
inside BLAS):

    tiles = batch_tiles(len(x), bytes_per_item)
    run_tiles(lambda index, tile: work_on(x[tile], out=y[tile]), tiles)

Results do not depend on the number of threads, bit for bit: tiles are cut by geometry alone, each
writes a slice of its own, and sums over tiles are added afterwards in the order of the tiles.
"""

from __future__ import annotations

import itertools
import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from threadpoolctl import ThreadpoolController

from minicnn.backend import Array, array_module
from minicnn.buffers import aligned_bytes, empty
from minicnn.errors import UsageError

# What one tile's temporary arrays may take. Small tiles stay in the cache; large ones make long matrix
# products, and their threads wait less often for the interpreter lock. A training step of a quarter-width
# googlenet_cifar on two threads: 1.33 times as long with 512 KiB as with 2 or 4 MiB, 1.11 times with 16 MiB.
TILE_BYTES = 4 << 20

# The same on a GPU, whose cores work on a tile together: there has to be work for all of them. Reckoned, not
# measured (python -m benchmarks.gpu reckon): with 16 MiB a network's convolutions would take 1.3 to 1.4 times
# as long as with the whole batch at once, with 64 MiB 1.05 to 1.1 times.
GPU_TILE_BYTES = 64 << 20

# NumPy gathers rows of a strided array in a buffer if they are short in comparison to it. For rows of some
# hundred numbers that takes three times as long as working on them where they are; the default is 8192.
UFUNC_BUFFER = 2048  # elements

Tile = slice
TileFunction = Callable[[int, Tile], None]


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_num_threads: int | None = None  # None: not set, use the available cores


def get_num_threads() -> int:
    """Return how many threads ops use; at the start, the number of cores this process may use."""
    return _available_cores() if _num_threads is None else _num_threads


def set_num_threads(count: int) -> None:
    """Set how many threads ops use. Results do not depend on it, only speed does.

    Parameters
    ----------
    count : int
        At least 1.

    Examples
    --------
    >>> import minicnn
    >>> before = minicnn.get_num_threads()
    >>> minicnn.set_num_threads(1)
    >>> minicnn.get_num_threads()
    1
    >>> minicnn.set_num_threads(before)
    """
    global _num_threads
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1:
        raise UsageError(f"set_num_threads: expected a whole number of at least 1, got {count!r}")
    _num_threads = int(count)


# ---- BLAS: one thread inside a tile ----------------------------------------------------------------

_blas_lock = threading.Lock()
_blas_holders = 0
_blas_controller: ThreadpoolController | None = None
_blas_limit: Any = None


@contextmanager
def pinned_blas() -> Iterator[None]:
    """Keep BLAS to one thread while any thread of this process is inside such a block.

    The setting belongs to the whole process, so two threads that each saved and restored it could
    leave it wrong. Here they share one counter: the first to enter sets it, the last to leave restores
    it. Nested use costs next to nothing; the training loop holds it for a whole step.
    """
    global _blas_holders, _blas_controller, _blas_limit
    with _blas_lock:
        if _blas_holders == 0:
            if _blas_controller is None:
                _blas_controller = ThreadpoolController()
            _let_any_thread_set_blas(_blas_controller)
            _blas_limit = _blas_controller.limit(limits=1, user_api="blas")
        _blas_holders += 1
    try:
        yield
    finally:
        with _blas_lock:
            _blas_holders -= 1
            if _blas_holders == 0:
                _let_any_thread_set_blas(_blas_controller)
                _blas_limit.restore_original_limits()
                _let_any_thread_set_blas(_blas_controller)


def _let_any_thread_set_blas(controller: ThreadpoolController) -> None:
    """Give up the claim that the first thread to set OpenBLAS has on it.

    Newer versions of threadpoolctl let only that thread change the setting, and ignore all others without
    a word. Here a lock keeps threads from changing it at the same time, and any may be first or last.
    """
    for library in controller.lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)


# ---- tiles -----------------------------------------------------------------------------------------


def batch_tiles(count: int, bytes_per_item: int, array: Array | None = None) -> list[Tile]:
    """Cut `count` items into tiles of at most about TILE_BYTES, at least two where there is enough work.

    Parameters
    ----------
    count : int
        Number of items (images of a batch, mostly).
    bytes_per_item : int
        Bytes of temporary arrays that one item needs.
    array : array, optional
        An operand; on a GPU tiles are larger, and there may be one only.

    Returns
    -------
    list of slice
        Consecutive slices that cover range(count). They depend on the arguments only, never on the
        number of threads.

    Examples
    --------
    >>> batch_tiles(6, 2 << 20)  # three would do, but four keep two threads busy to the end
    [slice(0, 1, None), slice(1, 3, None), slice(3, 4, None), slice(4, 6, None)]
    """
    total = count * bytes_per_item
    if array is not None and array_module(array) is not np:
        pieces = -(-total // GPU_TILE_BYTES)
    else:
        pieces = -(-total // TILE_BYTES)
        if total >= TILE_BYTES // 16:  # worth waking a second thread for
            pieces = max(pieces, 2)
        if pieces > 1:
            pieces += pieces % 2
    pieces = max(1, min(pieces, count))
    bounds = [count * i // pieces for i in range(pieces + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(bounds)]


class _Job:
    """One op's tiles, being worked off by the calling thread and some helpers."""

    def __init__(self, function: TileFunction, tiles: Sequence[Tile]) -> None:
        self.function = function
        self.tiles = tiles
        # How to react to overflow and the like, which NumPy keeps for each thread.
        self.reactions: dict[str, Any] = {"call": np.geterrcall(), **np.geterr()}
        self.counter = itertools.count()  # next() on it is atomic: no two threads get the same tile
        self.finished: SimpleQueue[BaseException | None] = SimpleQueue()

    def work(self) -> None:
        error: BaseException | None = None
        try:
            with np.errstate(**self.reactions):
                while (index := next(self.counter)) < len(self.tiles):
                    self.function(index, self.tiles[index])
        except BaseException as caught:  # noqa: BLE001 - handed to the calling thread, which raises it
            error = caught
        self.finished.put(error)


class _Pool:
    """Daemon threads that wait for jobs; grown when more threads are asked for."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.queue: SimpleQueue[_Job] = SimpleQueue()
        self.lock = threading.Lock()
        self.threads = 0

    def help_with(self, job: _Job, helpers: int) -> None:
        with self.lock:
            while self.threads < helpers:
                threading.Thread(target=self._serve, name="minicnn-tiles", daemon=True).start()
                self.threads += 1
        for _ in range(helpers):
            self.queue.put(job)

    def _serve(self) -> None:
        _thread.inside_tile = True
        np.setbufsize(UFUNC_BUFFER)
        while True:
            self.queue.get().work()


class _ThreadState(threading.local):
    def __init__(self) -> None:
        self.inside_tile = False  # True in the threads of the pool, and while a thread works for a GPU
        self.wrappers: tuple[Callable[[TileFunction], TileFunction], ...] = ()
        self.buffers: dict[str, np.ndarray] = {}  # memory of `scratch`, by name
        self.views: dict[Any, np.ndarray] = {}  # arrays in it, by name, shape and dtype


_pool = _Pool()
_thread = _ThreadState()


@contextmanager
def wrapped_tiles(wrap: Callable[[TileFunction], TileFunction]) -> Iterator[None]:
    """Let `wrap` replace each function that this thread hands to `run_tiles` inside the block.

    So a profiler sees which thread works on which tile, and for how long.
    """
    before = _thread.wrappers
    _thread.wrappers = (*before, wrap)
    try:
        yield
    finally:
        _thread.wrappers = before


@contextmanager
def _working_for(device: AbstractContextManager[Any]) -> Iterator[None]:
    before, _thread.inside_tile = _thread.inside_tile, True
    try:
        with device:
            yield
    finally:
        _thread.inside_tile = before


def on_device_of(array: Array) -> AbstractContextManager[None]:
    """Let this thread work on the GPU that holds `array`; for a NumPy array, do nothing.

    CuPy works on the current device of each thread, and on its current stream. So a thread that works for a
    GPU starts all of an op's tiles itself: the GPU runs them side by side where it can.
    """
    return nullcontext() if array_module(array) is np else _working_for(array.device)


def run_tiles(function: TileFunction, tiles: Sequence[Tile]) -> None:
    """Call `function(index, tile)` for every tile, on up to `get_num_threads()` threads.

    The calling thread works too. An exception in any tile is raised here, after all threads are done.
    """
    global _pool
    for wrap in _thread.wrappers:
        function = wrap(function)
    helpers = min(get_num_threads(), len(tiles)) - 1
    if _thread.inside_tile:
        helpers = 0
    if _pool.process != os.getpid():  # after a fork the parent's threads are gone
        _pool = _Pool()
    job = _Job(function, tiles)
    buffer_before = np.setbufsize(UFUNC_BUFFER)
    try:
        with pinned_blas():
            _pool.help_with(job, helpers)
            job.work()
            errors = [job.finished.get() for _ in range(helpers + 1)]
    finally:
        np.setbufsize(buffer_before)
    for error in errors:
        if error is not None:
            raise error


def sum_of_tiles(parts: Array) -> Array:
    """Add up what the tiles contribute, in their order: parts (tiles, ...) become (...)."""
    if len(parts) == 1:
        return parts[0]
    total = empty(parts.shape[1:], parts)
    parts.sum(axis=0, out=total)
    return total


def scratch(name: str, shape: tuple[int, ...], like: Array, dtype: DTypeLike | None = None) -> Array:
    """Return an uninitialised array from this thread's store, of the kind and (unless given) dtype of `like`.

    Freshly allocated memory has to be mapped page by page on first touch; the column buffers of a
    convolution would pay for that in every tile. The array stays valid until the same thread asks for
    the same `name` again.
    """
    dtype = like.dtype if dtype is None else dtype
    views: dict[Any, np.ndarray] = _thread.views
    view = views.get((name, shape, dtype))
    if view is not None and isinstance(like, np.ndarray):
        return view
    xp = array_module(like)
    if xp is not np:
        return xp.empty(shape, dtype)
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if name not in _thread.buffers or _thread.buffers[name].nbytes < size:
        _thread.buffers[name] = aligned_bytes(size)
        for key in [key for key in views if key[0] == name]:
            del views[key]  # of the old buffer
    view = views[name, shape, dtype] = _thread.buffers[name][:size].view(dtype).reshape(shape)
    return view
