"""The .cu files and the kernels in them, compiled when one is first used.

CuPy compiles with NVRTC, which takes a second for a file, and keeps the result on disk: a second program that
uses the file starts at once.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
HEADER = "common.cuh"

# The numbers of a thread: how many lie side by side (see `Pack` in common.cuh), and of which type.
PACKS = ("float, 4", "float, 1", "double, 2", "double, 1")
FLOATS = ("float", "double")
PLACES = ("unsigned char", "unsigned short")  # of a winner in its window


def _instances(kernels: Iterable[str], *parameters: Iterable[str]) -> list[str]:
    return [
        f"{kernel}<{', '.join(values)}>" for kernel in kernels for values in itertools.product(*parameters)
    ]


# The kernels of each file, with all the types they are compiled for.
KERNELS: dict[str, list[str]] = {
    "im2col.cu": _instances(["im2col", "col2im"], PACKS),
    "max_pool.cu": _instances(["max_pool_forward", "max_pool_backward"], PACKS, PLACES),
    "avg_pool.cu": _instances(["avg_pool_forward", "avg_pool_backward"], PACKS),
    "lrn.cu": _instances(["lrn_forward", "lrn_backward"], FLOATS, ("4", "1")),
    "bias_relu.cu": _instances(["add_bias", "mask_and_sum_rows"], PACKS),
    "dropout.cu": [*_instances(["dropout_mask"], FLOATS), "philox_numbers"],
    "cross_entropy.cu": _instances(["cross_entropy_forward", "cross_entropy_backward"], FLOATS),
    "optimizer.cu": _instances(["sgd_step", "move_average", "sums_of_squares", "clip"], FLOATS),
    "winograd.cu": _instances(
        [
            "input_transform",
            "output_transform_backward",
            "output_transform",
            "filter_transform",
            "filter_transform_backward",
        ],
        FLOATS,
    ),
    "augment.cu": _instances(["choose_crop_mirror_normalise"], FLOATS),
}

# Products and sums are not fused: rounded one by one, they give the same bits as on the CPU.
OPTIONS = ("-std=c++17", "--fmad=false")


def source(file: str) -> str:
    """Return the text of a .cu file, with the header in its place.

    CuPy finds a compiled file again by the text it was compiled from; what an #include brings in would not
    count.
    """
    header = (FOLDER / HEADER).read_text(encoding="utf-8")
    return (FOLDER / file).read_text(encoding="utf-8").replace(f'#include "{HEADER}"', header)


@functools.cache
def kernel(file: str, instance: str) -> Any:
    """Return a compiled kernel, to be called with (grid, block, arguments)."""
    return _module(sys.modules["cupy"], file).get_function(instance)


@functools.cache
def _module(cupy: Any, file: str) -> Any:
    return cupy.RawModule(code=source(file), options=OPTIONS, name_expressions=KERNELS[file])
