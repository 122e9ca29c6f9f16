"""How large everything is: as it is measured, and as toys, which show in seconds that all of it runs."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.workloads import Workload

MIB = 1 << 20
LEAST_SIDE = 7  # for the largest window


@dataclass(frozen=True)
class Sizes:
    """What the parts work on.

    Attributes
    ----------
    small, large : (batch, width)
        Of googlenet_cifar; and of googlenet, whose width is 1.
    with_large : bool
        Whether whole steps of googlenet are measured.
    precisions : tuple of str
        "float32" and "TF32".
    rounds : int
        Turns of every contender.
    turn_seconds : float
        How long a turn lasts, about.
    copied_bytes, rotating_bytes : int
        What the copy rate is measured with; and how much memory a kernel walks through before it sees the
        same array again, which has to be more than the GPU's cache.
    product : int
        N of the N x N x N product that is the ceiling.
    calls, repeats : int
        Of a kernel, in one recording, and of the recording.
    shrink : int
        By how much the images are smaller that kernels are measured on.
    convolutions : int
        How many are measured, at most.
    tiles, batches : tuple of int
        The sweep's: GPU_TILE_BYTES, and batch sizes of googlenet_cifar.
    sweep_steps : int
        Of which the mean is taken.
    command_width, command_images, command_batch : float, int, int
        Of the network, the data and the steps that the command line trains with.
    too_large : (batch, width)
        What shall not fit when only `ballast_leaves` bytes of the GPU's memory are free.
    """

    small: tuple[int, float]
    large: tuple[int, float]
    with_large: bool
    precisions: tuple[str, ...]
    rounds: int
    turn_seconds: float
    copied_bytes: int
    rotating_bytes: int
    product: int
    calls: int
    repeats: int
    shrink: int
    convolutions: int
    tiles: tuple[int, ...]
    batches: tuple[int, ...]
    sweep_steps: int
    command_width: float
    command_images: int
    command_batch: int
    too_large: tuple[int, float]
    ballast_leaves: int

    def side(self, pixels: int) -> int:
        """Return height and width of the images that a kernel is measured on."""
        return max(LEAST_SIDE, pixels // self.shrink)

    def workloads(self) -> list[Workload]:
        """List what measurement 1 compares."""
        batch, width = self.small
        workloads = []
        for training in (True, False):
            workloads.append(Workload(f"W1-{batch}", True, width, batch, 10, training))
            if self.with_large:
                large_batch, large_width = self.large
                workloads.append(
                    Workload(f"W3-{large_batch}", False, large_width, large_batch, 1000, training)
                )
        return workloads


FULL = Sizes(
    small=(256, 1.0), large=(64, 1.0), with_large=True, precisions=("float32", "TF32"),
    rounds=9, turn_seconds=0.12,
    copied_bytes=1 << 30, rotating_bytes=256 * MIB, product=8192,
    calls=40, repeats=5, shrink=1, convolutions=1000,
    tiles=tuple(size * MIB for size in (8, 16, 32, 64, 128, 256, 512)), batches=(64, 128, 256, 512, 1024),
    sweep_steps=8,
    command_width=0.5, command_images=2048, command_batch=64, too_large=(1500, 1.0), ballast_leaves=6 << 30,
)  # fmt: skip

TOY = Sizes(
    small=(2, 0.02), large=(2, 0.02), with_large=False, precisions=("float32",),
    rounds=1, turn_seconds=0.0,
    copied_bytes=1 << 16, rotating_bytes=1, product=16, calls=2, repeats=1, shrink=8, convolutions=2,
    tiles=(MIB,), batches=(2,), sweep_steps=1,
    command_width=0.02, command_images=10, command_batch=4, too_large=(8, 0.02), ballast_leaves=60 * MIB,
)  # fmt: skip
