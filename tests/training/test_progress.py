"""What a run says: a bar on a terminal, plain lines elsewhere."""

import errno
import io
import os

import pytest

from minicnn.training import Figures
from minicnn.training.progress import Progress, epoch_line

FIGURES = {"main": Figures(10, 20.0, 3, 5), "aux1": Figures(10, 21.0, 2, 4), "aux2": Figures(10, 22.0, 1, 4)}
ROW = {
    "epoch": 1, "lr": 0.01, "train_loss": 2.0, "train_accuracy": 0.3, "val_loss": 2.1, "val_accuracy": 0.25,
    "val_aux1_accuracy": 0.2, "val_aux2_accuracy": 0.1, "val_top5": 0.6, "seconds": 3.2,
    "images_per_second": 99.9,
}  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")


class Refusing(io.StringIO):
    """A terminal that is closed, a pipe nobody reads, a log on a full disk: until `refuses` is False."""

    refuses = True

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> int:
        if self.refuses:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().write(text)


@pytest.mark.parametrize("terminal", [False, True])
def test_a_stream_that_takes_nothing_does_not_end_the_run(terminal, capsys, wide):
    stream = Refusing(terminal)
    with Progress(2, 100, stream=stream) as progress:
        progress.after_step(0, 100, FIGURES)
        progress.after_epoch(ROW)
        progress.say("something else")
        stream.refuses = False
        progress.say("and it goes on")
    assert "something else" not in stream.getvalue()
    assert "and it goes on\n" in stream.getvalue()
    said = "progress cannot be shown any more (Input/output error); training goes on\n"
    assert capsys.readouterr().err == said


def test_no_stream_at_all(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout", None)
    with Progress(2, 100) as progress:
        progress.after_step(0, 10, FIGURES)
        progress.after_epoch(ROW)
    assert capsys.readouterr().err == ""


def test_no_terminal_one_line_an_epoch():
    stream = io.StringIO()
    with Progress(2, 100, stream=stream) as progress:
        progress.after_step(0, 10, FIGURES)
        progress.after_epoch(ROW)
    assert stream.getvalue() == epoch_line(ROW, 2) + "\n"
    assert "val loss 2.100 accuracy 25.0% aux1 20.0% aux2 10.0% top-5 60.0%" in stream.getvalue()


def test_a_bar_on_a_terminal(wide):
    stream = Terminal()
    with Progress(2, 100, epochs_done=1, stream=stream) as progress:
        for _ in range(100):
            progress.after_step(1, 1, FIGURES)
        progress._bar.refresh()
        progress.after_epoch({**ROW, "epoch": 2})
    shown = stream.getvalue()
    last = shown.split("\r")
    assert any("epoch 2/2 100%" in text and "loss 2.000, accuracy 30.0% 20.0% 10.0%" in text for text in last)
    assert "images/s" in shown
    assert "left" in shown
    assert "\repoch 2/2  train loss 2.000" in shown


def test_a_resumed_run_begins_where_it_was(wide):
    stream = Terminal()
    with Progress(4, 100, epochs_done=3, stream=stream):
        pass
    assert "75%" in stream.getvalue()
