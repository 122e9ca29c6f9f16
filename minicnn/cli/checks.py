"""What commands that look into a network check before they compute anything."""

from __future__ import annotations

import os
from pathlib import Path

from minicnn.cli.values import model_name
from minicnn.errors import CheckpointError, UsageError
from minicnn.training.config import MODELS


def is_untrained_model(text: str) -> bool:
    """Say whether "RUN|MODEL" means a network of ours; a file or folder of that name is a run.

    Raises
    ------
    CheckpointError
        If it is neither.
    """
    if Path(text).exists():
        return False
    if model_name(text) not in MODELS:
        raise CheckpointError(
            f"{text}: no such file or folder, so no such checkpoint or run, and no such model "
            f"({' or '.join(MODELS)}, or file.py:NAME for one of your own)"
        )
    return True


def check_output_file(flag: str, path: str | Path, suffix: str | None = None) -> None:
    """Raise UsageError if no file can be written there, before time is spent on what goes into it.

    Parameters
    ----------
    flag : str
        Which flag gave the path, for the error.
    path : str or Path
    suffix : str, default=None
        What the name has to end in, in small or capital letters.
    """
    file = Path(path)
    if not str(path):
        raise UsageError(f"{flag}: expected a file to write, got an empty name")
    if file.is_dir():
        raise UsageError(f"{flag}: expected a file to write, got the folder {file}")
    if suffix is not None and file.suffix.lower() != suffix:
        raise UsageError(f"{flag}: expected a name that ends in {suffix}, got {file}")
    if not file.absolute().parent.is_dir():
        raise UsageError(f"{flag}: there is no folder {file.absolute().parent}")
    if not os.access(file if file.exists() else file.absolute().parent, os.W_OK):
        raise UsageError(f"{flag}: {file} cannot be written: permission denied")
