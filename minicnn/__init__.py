"""minicnn: convolutional networks from scratch, small enough to read and fast enough to use.

    from minicnn import Tensor, functional as F, nn, optim, data, models

A batch of images is a NumPy array (N, H, W, C) in a `Tensor`; every op has a hand-written backward pass;
`loss.backward()` fills in the gradients. See README.md and docs/.
"""

import importlib
from typing import TYPE_CHECKING, Any

from minicnn import data, functional, nn, optim
from minicnn.anomaly import detect_anomaly
from minicnn.cuda.products import get_float32_matmul_precision, set_float32_matmul_precision
from minicnn.cuda.switch import no_kernels
from minicnn.errors import (
    AnomalyError,
    CheckpointError,
    DataError,
    DeviceError,
    DeviceMemoryError,
    DTypeError,
    MinicnnError,
    ShapeError,
    UsageError,
)
from minicnn.gradient_check import GradcheckReport, gradcheck
from minicnn.parallel import get_num_threads, pinned_blas, set_num_threads
from minicnn.profiling import profile
from minicnn.tensor import Function, Tensor, composed, no_grad, no_winograd

if TYPE_CHECKING:
    from minicnn import models, study

__version__ = "0.1.0"

__all__ = [
    "AnomalyError",
    "CheckpointError",
    "DTypeError",
    "DataError",
    "DeviceError",
    "DeviceMemoryError",
    "Function",
    "GradcheckReport",
    "MinicnnError",
    "ShapeError",
    "Tensor",
    "UsageError",
    "composed",
    "data",
    "detect_anomaly",
    "functional",
    "get_float32_matmul_precision",
    "get_num_threads",
    "gradcheck",
    "models",
    "nn",
    "no_grad",
    "no_kernels",
    "no_winograd",
    "optim",
    "pinned_blas",
    "profile",
    "set_float32_matmul_precision",
    "set_num_threads",
    "study",
]


def __getattr__(name: str) -> Any:
    """Load `models` and `study` when they are first used."""
    if name in ("models", "study"):
        return importlib.import_module(f"minicnn.{name}")
    raise AttributeError(f"module 'minicnn' has no attribute {name!r}")
