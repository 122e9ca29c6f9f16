"""Device memory: guarded blocks, pools that hand them out again, and a device that may be full.

Before and after each allocation lie guard zones with a pattern. A kernel that writes next to its arrays
spoils it, and `check_guards` says next to which. Uninitialised memory is poisoned: NaN where the array holds
floating-point numbers, 0xA5 in every byte otherwise, so that whoever forgets to write an element sees it.

A block whose array is gone is poisoned, and handed out again by its pool for the next array of its size. So
it is during a capture, too; but then nothing is poisoned, for the device does nothing: whoever recorded
something for the block before will find there what the replay puts there. Where the array ends in the
block, and the guard zone begins, is recorded with the graph.
"""

import contextlib
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from emulated_cupy.session import DEVICES, CUDARuntimeError, session

ALIGNMENT = 512  # bytes, as CuPy's pool
GUARD = 2048  # bytes on each side
PATTERN = bytes(range(1, 256, 2)) * (GUARD // 128)
POISON = 0xA5
_PATTERN_ARRAY = np.frombuffer(PATTERN, np.uint8)


class OutOfMemoryError(MemoryError):
    """As `cupy.cuda.memory.OutOfMemoryError`, with its words."""

    def __init__(self, size: int, total: int, limit: int = 0) -> None:
        self._size, self._total, self._limit = size, total, limit
        of_limit = f", limit set to: {limit:,} bytes" if limit else ""
        super().__init__(
            f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes{of_limit})."
        )


OutOfMemoryError.__module__ = "cupy.cuda.memory"


class GuardError(Exception):
    """Something wrote next to an array."""


class Use:
    """What a block was handed out for."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.shape: tuple[int, ...] = ()  # of the array it was made for
        self.dtype: np.dtype | None = None

    def described(self) -> str:
        if self.dtype is None:
            return f"an allocation of {self.size} bytes"
        return f"an array of shape {self.shape} and dtype {self.dtype}"


class Block:
    """A piece of device memory between two guard zones; in use, or kept by a pool for the next use."""

    def __init__(self, size: int) -> None:
        raw = np.empty(size + 2 * GUARD + ALIGNMENT, np.uint8)
        start = GUARD + -(raw.ctypes.data + GUARD) % ALIGNMENT
        self.size = size
        self.body = raw[start : start + size]
        self.ptr: int = raw.ctypes.data + start
        self._raw = raw[start - GUARD : start + size + GUARD]
        self._raw[:GUARD] = _PATTERN_ARRAY
        self.body.fill(POISON)
        self.begin(Use(size))

    def begin(self, use: Use) -> None:
        """Lay the guard zones around an array of the size that is to be used."""
        self.use = use
        after = self._raw[GUARD + use.size :]
        after[:] = np.resize(_PATTERN_ARRAY, after.size)
        self._guards = memoryview(self._raw[:GUARD]), memoryview(after)
        self._patterns = PATTERN, bytes(after)

    def damage(self) -> str | None:
        """Say which guard zone was written to, if one was."""
        for guard, pattern, side in zip(self._guards, self._patterns, ("before", "after"), strict=True):
            if bytes(guard) != pattern:
                places = np.flatnonzero(np.frombuffer(guard, np.uint8) != np.frombuffer(pattern, np.uint8))
                distance = GUARD - places[-1] if side == "before" else places[0] + 1
                return f"{distance} bytes {side} its {'start' if side == 'before' else 'end'}"
        return None

    def mend(self) -> None:
        for guard, pattern in zip(self._guards, self._patterns, strict=True):
            guard[:] = pattern


class Allocation:
    """A block in use, by one array and its views; it is given back when nobody refers to it."""

    def __init__(self, block: Block, size: int, device: int, is_stale: bool) -> None:
        self.block = block
        self.use = Use(size)
        self.size = size
        self.device_id = device
        self.is_stale = is_stale  # not to be poisoned: somebody else's until the graph is launched
        self.body = block.body[:size]
        self.ptr = block.ptr

    @property
    def device(self) -> Any:
        from emulated_cupy.devices import Device

        return Device(self.device_id)


def check_guards(culprit: str) -> None:
    """Raise GuardError if memory next to any array was written to; mend it, so that it is told once."""
    for block in list(session.blocks):
        damage = block.damage()
        if damage is not None:
            block.mend()
            raise GuardError(f"{culprit} wrote outside of {block.use.described()}: {damage}")


def live_allocations(device: int | None = None) -> Iterator[Allocation]:
    """Yield the memory in use, of one device or of all; not what only a graph refers to."""
    for number in range(DEVICES) if device is None else [device]:
        for reference in list(session.live[number].values()):
            allocation = reference()
            if allocation is not None:
                yield allocation


def allocation_at(pointer: int, size: int, what: str) -> Allocation:
    """Find the memory of the current device that holds `size` bytes at an address, or raise as CUDA would."""
    for allocation in live_allocations():
        if allocation.ptr <= pointer and pointer + size <= allocation.ptr + allocation.size:
            if allocation.device_id != session.thread.device:
                raise CUDARuntimeError(700, f"{what} is on device {allocation.device_id}")
            return allocation
    raise CUDARuntimeError(700, f"{what}: {size} bytes at {pointer:#x} are not all in one allocation")


class MemoryPointer:
    """As `cupy.cuda.MemoryPointer`: a place in an allocation."""

    def __init__(self, mem: Allocation, offset: int) -> None:
        self.mem = mem
        self.ptr = mem.ptr + offset

    @property
    def device_id(self) -> int:
        return self.mem.device_id

    @property
    def device(self) -> Any:
        return self.mem.device

    def __int__(self) -> int:
        return self.ptr

    def __add__(self, offset: int) -> "MemoryPointer":
        return MemoryPointer(self.mem, self.ptr - self.mem.ptr + offset)

    def __sub__(self, offset: int) -> "MemoryPointer":
        return self + -offset

    def bytes(self, size: int) -> np.ndarray:
        """Return the bytes there; CuPy has no such thing."""
        start = self.ptr - self.mem.ptr
        if start < 0 or start + size > self.mem.size:
            raise CUDARuntimeError(1, f"{size} bytes at {start} of an allocation of {self.mem.size}")
        return self.mem.body[start : start + size]

    def memset_async(self, value: int, size: int, stream: Any = None) -> None:
        from emulated_cupy.capture import execute

        target = self.bytes(size)
        execute(lambda: target.fill(value), stream, keep=self.mem)

    def memset(self, value: int, size: int) -> None:
        from emulated_cupy.capture import refuse_during_capture

        refuse_during_capture("memset")
        self.memset_async(value, size)

    def copy_from_device_async(self, src: "MemoryPointer", size: int, stream: Any = None) -> None:
        from emulated_cupy.capture import execute

        target, source = self.bytes(size), src.bytes(size)
        execute(lambda: np.copyto(target, source), stream, keep=(self.mem, src.mem))

    def copy_from_device(self, src: "MemoryPointer", size: int) -> None:
        from emulated_cupy.capture import refuse_during_capture

        refuse_during_capture("copy_from_device")
        self.copy_from_device_async(src, size)


MemoryPointer.__module__ = "cupy.cuda.memory"


class MemoryPool:
    """As `cupy.cuda.MemoryPool`: it keeps what was given back, so `total_bytes` does not fall by itself.

    What is kept is handed out again for requests of the same size, rounded up; the last one given back is
    the first. CuPy's also splits larger blocks, and has others for each stream.
    """

    def __init__(self, allocator: Any = None) -> None:
        if allocator is not None:
            raise TypeError("the stand-in has no allocators below a MemoryPool")
        self._used = [0] * DEVICES
        self._total = [0] * DEVICES
        self._limit = [0] * DEVICES
        self._free: list[dict[int, list[Block]]] = [{} for _ in range(DEVICES)]  # by size
        session.pools.append(weakref.ref(self))

    def malloc(self, size: int) -> MemoryPointer:
        from emulated_cupy.capture import is_capturing, record_memory

        device = session.thread.device
        rounded = -(-size // ALIGNMENT) * ALIGNMENT
        with session.lock:
            same_size = self._free[device].get(rounded)
            is_stale = bool(same_size) and is_capturing()
            if same_size:
                block = same_size.pop()
            else:
                self._make_room(rounded, device)
                block = Block(rounded)
                session.blocks.add(block)
            allocation = Allocation(block, size, device, is_stale)
            self._used[device] += rounded
            self._give_back_when_gone(allocation)
        block.begin(allocation.use)
        if not record_memory(lambda use=allocation.use: block.begin(use), block):
            poison(allocation.body)
        return MemoryPointer(allocation, 0)

    def _give_back_when_gone(self, allocation: Allocation) -> None:
        key, block, use, device = id(allocation), allocation.block, allocation.use, allocation.device_id
        live, used, free = session.live[device], self._used, self._free[device]

        def give_back(reference: Any) -> None:
            from emulated_cupy.capture import is_capturing

            live.pop(key, None)
            if not is_capturing():
                block.begin(use)  # where the array ends, if another one of the graph came after it
                poison(block.body[: use.size], use.dtype)
            used[device] -= block.size
            free.setdefault(block.size, []).append(block)

        live[key] = weakref.ref(allocation, give_back)

    def _make_room(self, size: int, device: int) -> None:
        """Count a new block, as CuPy does: if the device is full, what is free is given back to it first."""
        before, limit = self._total[device], self._limit[device]
        if limit and before + size > limit:
            raise OutOfMemoryError(size, before, limit)
        for last_resort in (lambda: None, self.free_all_blocks, self._collect_garbage):
            last_resort()
            if reserved_bytes(device) + size <= session.limits[device]:
                self._total[device] += size
                return
        raise OutOfMemoryError(size, before, limit)

    def _collect_garbage(self) -> None:
        gc.collect()
        self.free_all_blocks()

    def used_bytes(self) -> int:
        return self._used[session.thread.device]

    def total_bytes(self) -> int:
        return self._total[session.thread.device]

    def free_bytes(self) -> int:
        return self.total_bytes() - self.used_bytes()

    def free_all_blocks(self, stream: Any = None) -> None:
        """Give back what is free. A graph that was recorded with it keeps it, though it no longer counts."""
        device = session.thread.device
        with session.lock:
            self._free[device].clear()
            self._total[device] = self._used[device]

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        device = session.thread.device
        if fraction is not None:
            size = int(fraction * session.limits[device])
        self._limit[device] = size or 0

    def get_limit(self) -> int:
        return self._limit[session.thread.device]


MemoryPool.__module__ = "cupy.cuda.memory"


def reserved_bytes(device: int) -> int:
    """Count what all pools took from a device."""
    pools = [reference() for reference in session.pools]
    return sum(pool._total[device] for pool in pools if pool is not None)


def get_default_memory_pool() -> MemoryPool:
    if session.default_pool is None:
        session.default_pool = MemoryPool()
    return session.default_pool


def alloc(size: int) -> MemoryPointer:
    """Allocate with the allocator that is current."""
    return get_allocator()(size)


def get_allocator() -> Callable[[int], MemoryPointer]:
    return session.thread.allocator or session.allocator or get_default_memory_pool().malloc


def set_allocator(allocator: Callable[[int], MemoryPointer] | None = None) -> None:
    if session.thread.allocator is not None:
        raise ValueError("Can't change the global allocator inside `using_allocator` context manager")
    session.allocator = allocator


@contextlib.contextmanager
def using_allocator(allocator: Callable[[int], MemoryPointer] | None = None) -> Iterator[None]:
    before = session.thread.allocator
    session.thread.allocator = allocator
    try:
        yield
    finally:
        session.thread.allocator = before


@contextlib.contextmanager
def limit_memory(size: int) -> Iterator[None]:
    """Let every device have so many bytes of memory inside the block."""
    before = list(session.limits)
    session.limits[:] = [size] * DEVICES
    try:
        yield
    finally:
        session.limits[:] = before


def poison(array: np.ndarray, dtype: np.dtype | None = None) -> None:
    """Overwrite an array with what nobody would take for a result; or bytes, as if they were of a dtype."""
    if dtype is not None and array.size:
        array = array[: array.size // dtype.itemsize * dtype.itemsize].view(dtype)
    if array.dtype.kind in "fc":
        array.fill(np.nan)
    elif array.size:
        array.fill(np.frombuffer(bytes([POISON]) * array.itemsize, array.dtype)[0])


def poison_new(memory: Allocation, array: np.ndarray) -> None:
    """Poison an array in memory that was just allocated, if that may be done now."""
    if not memory.is_stale:
        poison(array)
