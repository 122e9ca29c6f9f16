"""The injection experiment's summary: its numbers, and that it says what they say."""

import json
import math

import numpy as np
import pytest
from PIL import Image

from minicnn import study
from minicnn.errors import UsageError
from minicnn.study.experiments.injection import Case, Spread
from minicnn.study.flow import GradientFlow
from minicnn.study.flow_row import FlowRow

BLOCKS = ("conv1", "inception3a", "inception4c", "inception5b")


def row(layer, main, aux1=0.0, aux2=0.0, size=100):
    """A layer whose parts are at right angles."""
    products = np.diag([main**2, aux1**2, aux2**2])
    return FlowRow(layer, size, 1.0, math.sqrt(products.sum()), products)


def measurement(activation, heads, seed, conv1, last=1.0, trained=False, accuracy=0.25):
    rows = (
        row("conv1", *conv1),
        row("inception3a", *conv1),
        row("inception4c", 0.5),
        row("inception5b", last),
    )
    flow = GradientFlow("GoogLeNet", 8, 0.3, rows)
    return study.Measurement(activation, heads, trained, seed, flow, accuracy)


@pytest.fixture
def found():
    return study.Injection(
        (
            measurement("relu", True, 0, (3.0, 0.0, 1.5)),
            measurement("relu", False, 0, (2.0,)),
            measurement("sigmoid", True, 0, (1e-8, 3e-5, 4e-5)),
            measurement("sigmoid", True, 1, (1e-6, 3e-3, 4e-3)),
            measurement("sigmoid", False, 0, (1e-8,)),
            measurement("sigmoid", False, 1, (1e-6,)),
            measurement("tanh", True, 0, (1e-3, 3e-2, 4e-2)),
        ),
        10,
    )


def test_numbers(found):
    sigmoid = Case("sigmoid", True, False)
    assert found.heads_over_main(sigmoid).mean == pytest.approx(5000)
    assert found.heads_over_main(sigmoid).factor == pytest.approx(1)
    assert found.size(sigmoid, "conv1", "main").mean == pytest.approx(1e-7 / 10), "norm over sqrt(100)"
    assert found.size(sigmoid, "conv1", "main").factor == pytest.approx(10)
    assert found.first_over_last(Case("sigmoid", False, False)).mean == pytest.approx(1e-7)
    assert found.shares(Case("relu", True, False), "conv1") == pytest.approx(
        {"main": 2 / 3, "aux1": 0, "aux2": 1 / 3}
    )


def test_what_it_says(found):
    said = [" ".join(line.split()) for line in found.verdict()]
    assert "1e-07" in said[0]
    assert "10,000 times" in said[0]
    by_case = {line[2:].split(":")[0].split(", conv")[0]: line for line in said[1:]}
    assert len(by_case) == len(found.cases) == 5
    relu, sigmoid, tanh = (by_case[f"{name}, at start, with heads"] for name in ("relu", "sigmoid", "tanh"))
    assert "conv1 gets 0.5 times as much from the heads" in relu
    assert "contradicts the lecture, the end brings more" in relu
    assert "5e+03 times" in sigmoid or "5,000 times" in sigmoid
    assert "this agrees with the lecture" in sigmoid
    assert (
        "in all 5e+03 times what it gets in a network without heads" in sigmoid or "in all 5,000" in sigmoid
    )
    assert "50 times as much" in tanh
    assert "by a smaller factor" in tanh
    assert "without heads" not in tanh.replace("with heads", "")
    assert "1.0e-7 times that in 5b: gradient vanishes" in by_case["sigmoid, at start, without heads"]
    assert "gradient does not vanish" in by_case["relu, at start, without heads"]


def test_the_table(found):
    text = str(found)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 116
    assert "geometric mean over 2 seeds" in lines[0]
    (line,) = [line for line in lines if line.startswith("sigmoid  without")]
    assert line.split()[2:] == [
        "at", "start", "25", "1.0e-8", "×/÷10", "5.0e-2", "1.0e-1", "1.0e-7", "100/0/0", "100/0/0",
    ]  # fmt: skip


def test_json_and_picture(found, tmp_path):
    numbers = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert numbers["lecture"] == {"from_the_end": 1e-7, "from_a_head": 1e-3}
    assert [case["seeds"] for case in numbers["cases"]] == [[0], [0], [0, 1], [0, 1], [0]]
    assert numbers["cases"][2]["heads_over_main_at_first"]["mean"] == pytest.approx(5000)
    assert len(numbers["cases"][2]["flows"]) == 2
    found.draw(tmp_path / "injection.png")
    with Image.open(tmp_path / "injection.png") as picture:
        assert picture.format == "PNG"


def test_what_cannot_be_told():
    assert math.isnan(Spread.of([1.0, 0.0]).mean)
    assert math.isnan(Spread.of([1.0, math.nan]).mean)
    found = study.Injection((measurement("relu", True, 0, (math.nan, 1.0, 1.0)),), 10)
    assert "nothing can be said" in str(found)
    json.dumps(found.to_json(), allow_nan=False)


def test_another_network():
    flow = GradientFlow("Small", 8, 0.3, (row("body", 1.0),))
    with pytest.raises(UsageError, match="expected a network with a module conv1, got Small"):
        str(study.Injection((study.Measurement("relu", True, False, 0, flow, 0.5),), 10))


def test_networks_that_guess():
    """Before training they may; after it, it is said."""
    found = study.Injection(
        (
            measurement("relu", True, 0, (1.0, 0.5, 0.5), accuracy=0.1),
            measurement("relu", True, 0, (1.0, 0.5, 0.5), trained=True, accuracy=0.6),
            measurement("sigmoid", False, 0, (1.0,), trained=True, accuracy=0.1),
            measurement("sigmoid", False, 1, (1.0,), trained=True, accuracy=0.3),
        ),
        10,
    )
    line = " ".join(found.verdict()[-1].split())
    assert line.startswith(
        "After training still guessing, so not learnt: sigmoid without heads 1 of 2; raise --epochs"
    )
