"""Errors a user can cause, and therefore reads.

Every one of them is one clear line: what was expected, and what came. The command line prints that
line and exits with status 2; any other exception is a bug of ours and keeps its traceback.
"""

from __future__ import annotations


class MinicnnError(ValueError):
    """Base of all errors that bad input can cause."""


class ShapeError(MinicnnError):
    """An argument does not fit the operation; names the op, the argument, expected and got.

    `module_path` is filled in by the innermost module that was being called ("inception3a.conv1x1").
    """

    module_path: str = ""

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} (in {self.module_path})" if self.module_path else message


class DTypeError(ShapeError, TypeError):
    """An argument has the wrong dtype, or dtypes are mixed where nothing may be promoted."""


class DeviceError(MinicnnError):
    """A device was asked for that cannot be used here, or tensors live on different devices."""


class DeviceMemoryError(DeviceError):
    """The memory of a GPU is full."""


class DataError(MinicnnError):
    """A data set, an image or a download is missing, damaged or not what it should be."""


class CheckpointError(MinicnnError):
    """A run folder or checkpoint is missing, damaged or does not fit the model."""


class UsageError(MinicnnError):
    """Options that are wrong on their own or do not go together."""


class AnomalyError(MinicnnError):
    """A number became infinite or undefined inside `detect_anomaly`.

    Attributes
    ----------
    origin : str
        The op that made it, or whose gradient it is: "log in head", "the gradient of x in sqrt in head".
    """

    def __init__(self, message: str, origin: str) -> None:
        super().__init__(message)
        self.origin = origin
