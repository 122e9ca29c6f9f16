"""A folder for a run that was not given one."""

from __future__ import annotations

from pathlib import Path

from minicnn.errors import UsageError
from minicnn.training.config import Config


def claim_free_folder(config: Config, root: str | Path = "runs") -> Path:
    """Make a folder for a run that was not given one: ``runs/googlenet-cifar-shapes-3``.

    The number is one more than the highest there is, so that runs sort by age and no name is used again.

    Raises
    ------
    UsageError
        If no folder can be made there.
    """
    stem = f"{config.model}-{config.data}-"
    while True:
        taken = [path.name.removeprefix(stem) for path in Path(root).glob(stem + "*")]
        number = max((int(text) for text in taken if text.isdecimal()), default=0) + 1
        path = Path(root) / f"{stem}{number}"
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            if Path(root).is_dir():  # another run took this number a moment ago
                continue
            raise UsageError(f"--out: cannot make a folder in {root}: it is no folder") from None
        except OSError as error:
            raise UsageError(f"--out: cannot make a folder in {root}: {error.strerror}") from None
        return path
