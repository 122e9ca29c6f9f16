"""What a run says while it is under way: a bar on a terminal, one line an epoch otherwise."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TextIO

from minicnn.training.metrics import HEADS, Figures
from minicnn.training.smaller_batches import say_aside


class Progress:
    """Shows the progress of a run; a context manager, which takes the bar away at its end.

    A stream that takes nothing any more (the terminal is closed, the reader of a pipe has gone, a log is on a
    full disk) does not end the run: that is said once on standard error.

    Parameters
    ----------
    epochs : int
        Length of the run.
    images_per_epoch : int
        Training images in an epoch.
    epochs_done : float, default=0
        Epochs of an earlier session, and the part of one.
    stream : text file, default=None
        Where to; None means standard output. The bar appears only if it is a terminal.
    """

    def __init__(
        self, epochs: int, images_per_epoch: int, epochs_done: float = 0, stream: TextIO | None = None
    ) -> None:
        self.stream = stream or sys.stdout  # None in a process that was started without one
        self.epochs = epochs
        self._bar: Any = None
        self._said_to_be_gone = False
        if self.stream is not None and self.stream.isatty():
            self._show(lambda: self._make_bar(epochs * images_per_epoch, epochs_done * images_per_epoch))

    def _make_bar(self, images: int, images_done: float) -> None:
        from tqdm import tqdm

        self._bar = tqdm(
            total=images,
            initial=round(images_done),
            unit=" images",
            file=self.stream,
            # Measured here, because tqdm shows nothing on a terminal that does not tell its height.
            ncols=shutil.get_terminal_size(fallback=(100, 24)).columns - 1,
            nrows=24,
            leave=False,
            smoothing=0.05,
            bar_format="{desc} {percentage:3.0f}% |{bar}| {rate_fmt}, {remaining} left{postfix}",
        )

    def _show(self, show: Callable[[], object]) -> None:
        try:
            show()
        except OSError as error:
            if not self._said_to_be_gone:
                self._said_to_be_gone = True
                with suppress(OSError):
                    say_aside(f"progress cannot be shown any more ({error.strerror}); training goes on")

    def after_step(self, epoch: int, images: int, figures: Mapping[str, Figures]) -> None:
        """Move on by one step of `images` images; `figures` are the epoch's so far."""
        if self._bar is not None:
            self._bar.set_description_str(f"epoch {epoch + 1}/{self.epochs}", refresh=False)
            accuracies = " ".join(f"{figures[head].accuracy:.1%}" for head in HEADS if head in figures)
            text = f"loss {figures['main'].loss:.3f}, accuracy {accuracies}"
            self._bar.set_postfix_str(text, refresh=False)
            self._show(lambda: self._bar.update(images))

    def after_epoch(self, row: Mapping[str, Any]) -> None:
        """Print the line of one epoch, from its row of metrics."""
        self.say(epoch_line(row, self.epochs))

    def say(self, text: str) -> None:
        """Print a line without tearing the bar apart."""
        if self._bar is not None:
            self._show(lambda: self._bar.write(text, file=self.stream))
        else:
            self._show(lambda: print(text, file=self.stream, flush=True))

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._show(self._bar.close)


def epoch_line(row: Mapping[str, Any], epochs: int) -> str:
    """Put the figures of an epoch in one line.

    Examples
    --------
    >>> row = {"epoch": 2, "lr": 0.05, "train_loss": 1.5, "train_accuracy": 0.45, "val_loss": 1.4,
    ...        "val_accuracy": 0.5, "val_aux1_accuracy": 0.4, "val_aux2_accuracy": None, "val_top5": 0.9,
    ...        "seconds": 61.2, "images_per_second": 800.0}
    >>> for part in epoch_line(row, epochs=9).split("  "):
    ...     print(part)
    epoch 2/9
    train loss 1.500 accuracy 45.0%
    val loss 1.400 accuracy 50.0% aux1 40.0% top-5 90.0%
    lr 0.05
    61 s, 800 images/s
    """
    heads = "".join(
        f" {head} {row[f'val_{head}_accuracy']:.1%}"
        for head in HEADS[1:]
        if row[f"val_{head}_accuracy"] is not None
    )
    return (
        f"epoch {row['epoch']}/{epochs}"
        f"  train loss {row['train_loss']:.3f} accuracy {row['train_accuracy']:.1%}"
        f"  val loss {row['val_loss']:.3f} accuracy {row['val_accuracy']:.1%}{heads}"
        f" top-5 {row['val_top5']:.1%}"
        f"  lr {row['lr']:.3g}  {row['seconds']:.0f} s, {row['images_per_second']:.0f} images/s"
    )
