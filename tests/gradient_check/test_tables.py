"""The tables behind `minicnn gradcheck`."""

import io
import sys
from dataclasses import replace

import numpy as np
import pytest

from minicnn import UsageError, nn
from minicnn import functional as F
from minicnn.gradient_check import cli_report
from minicnn.gradient_check.tables import Row
from minicnn.op_cases import CASES
from minicnn.ops.max_pool import MaxPool2d
from minicnn.ops.sigmoid import Sigmoid


class Small(nn.Module):
    input_size = (6, 6, 3)
    num_classes = 4

    def __init__(self, rng):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, activation="relu", rng=rng)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Sequential(nn.Linear(4, 6, activation="sigmoid", rng=rng), nn.Linear(6, 4, rng=rng))
        self.astype(np.float64)

    def forward(self, x):
        return self.head(F.global_avg_pool2d(self.pool(self.conv(x))))


def rows(text):
    return {line.split()[0]: line for line in text.splitlines() if line}


def test_every_op_is_right():
    text, right = cli_report()
    assert right, text
    lines = rows(text)
    assert lines.keys() >= CASES.keys()
    for name in CASES:
        assert lines[name].endswith(("right", "only kinks"))
    kinks = {name: int(lines[name].split()[2]) for name in CASES}
    assert kinks["max_pool2d"] > 0
    assert kinks["relu"] > 0
    assert kinks["conv2d"] == 0
    assert max(map(len, text.splitlines())) <= 110


def test_one_op():
    text, right = cli_report(op="sigmoid")
    assert right
    assert len(text.splitlines()) == 3
    with pytest.raises(UsageError, match=r"an op among add, avg_pool2d, .*; got 'convolution'$"):
        cli_report(op="convolution")


def test_a_wrong_op_is_shown_with_details(monkeypatch):
    monkeypatch.setattr(Sigmoid, "backward", lambda self, gy: (gy * self.saved[0],))
    text, right = cli_report(op="sigmoid")
    assert not right
    assert rows(text)["sigmoid"].endswith("WRONG")
    assert f"sigmoid, {CASES['sigmoid'].samples(np.random.default_rng(0))[0].label}" in text
    assert "sigmoid, input 0 at [" in text


def test_an_op_that_cannot_be_checked_is_not_called_right(rng, monkeypatch):
    noisy = replace(CASES["relu"], function=lambda x: x + rng.standard_normal(x.shape))
    monkeypatch.setitem(CASES, "relu", noisy)
    text, right = cli_report(op="relu")
    assert not right
    assert rows(text)["relu"].endswith("not checked")
    assert "different results for the same input" in text


def test_a_network(rng, monkeypatch):
    model = Small(rng)
    text, right = cli_report(model=model)
    assert right, text
    assert text.startswith("part  ")
    lines = rows(text)
    assert list(lines)[2:] == ["conv", "head"]
    assert int(lines["conv"].split()[1]) == 20 + 4
    assert int(lines["head"].split()[1]) == 20 + 6 + 20 + 4

    monkeypatch.setattr(MaxPool2d, "backward", lambda self, gy: (np.zeros((len(gy), 4, 4, 4)),))
    text, right = cli_report(model=model)
    assert not right
    assert rows(text)["conv"].endswith("WRONG")
    assert rows(text)["head"].endswith("right")
    assert "max_pool2d in pool, input 0 at [" in text


def test_a_random_network_is_not_called_right(rng):
    class Noise(nn.Module):
        def forward(self, x):
            return x + rng.standard_normal(x.shape)

    model = Small(rng)
    model.pool = Noise()
    text, right = cli_report(model=model)
    assert not right
    assert "different results for the same input" in text


def test_progress_is_shown_on_a_terminal_only(rng, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    cli_report(op="relu")
    cli_report(model=Small(rng))
    assert "ops" in sys.stderr.getvalue()
    assert "coordinates" in sys.stderr.getvalue()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    cli_report(op="relu")
    assert sys.stderr.getvalue() == ""


def test_a_row_in_which_nothing_could_be_checked():
    assert "0.0e+00" in str(Row("nothing", []))
