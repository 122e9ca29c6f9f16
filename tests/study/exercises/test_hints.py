"""What hints say about where a gradient is wrong; that nothing is named that does not give all numbers."""

import pytest

from exercise_solutions import attempt, changed, found, lost, mask, solution
from minicnn.study.exercises import EXERCISES, hints
from minicnn.study.exercises.report import grade_text

SPLIT = "np.split(gy, np.cumsum(sizes)[:-1], axis)"


UNEXPLAINED = [
    ("relu", [("gy * (x > 0)", "gy * (x > 0.2)")], "gx"),
    ("linear", [("gy @ w.T", "gy @ w.T + 1")], "gx"),
    ("linear", [("gy @ w.T", "gy @ np.abs(w.T)"), ("def backward", "import numpy as np\n\n\ndef backward")],
     "gx"),
    ("avg_pool2d", [(" / count[p, q]", ""), ("p * SH - top, 0", "p * SW - top, 0")], "gx"),
    ("lrn", [("2 * alpha", "alpha"), ("max(d - (size - 1) // 2, 0)", "d")], "gx"),
    ("conv2d", [(".reshape(w.shape)", ".reshape(w.shape)[::-1]")], "gw"),
    ("inception", [lost("5x5"), mask("g3", "reduced3")], "gx"),
    ("auxiliary-head", [("trunk + head", "trunk + head * head")], "gx"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "gradient"), UNEXPLAINED)
def test_nothing_is_named_that_was_not_done(name, changes, gradient):
    graded = attempt(name, changed(name, *changes), with_gradcheck=False)
    assert {h.gradient: h.mistake for h in hints(EXERCISES[name], graded.trials)}[gradient] is None
    assert "no known mistake" in grade_text(graded)


def test_where_it_is_wrong():
    hint = found("linear", changed("linear", ("gy.sum(axis=0)", "gy.mean(axis=0)")))["gb"]
    assert "wrong in 3 of 4 samples" in hint.summary
    assert hint.where == ("wrong wherever, and only where, the batch has more than one sample",)
    assert hint.values[0].startswith("at o=0: you have ")

    hint = found("avg_pool2d", changed("avg_pool2d", ("count[p, q]", "(KH * KW)")))["gx"]
    assert hint.where[0].startswith("wrong wherever, and only where, a window counts fewer places")

    first_row = ("return gx\n", "gx[:, 0] *= 2\n    return gx\n")
    hint = found("avg_pool2d", changed("avg_pool2d", first_row))["gx"]
    assert "only at h = 0 (of 0 to 3)" in hint.where
    assert "only at pixels on the border of the image: that is what padding touches" in hint.where

    window = "d - (size - 1) // 2, 0), min(d + size // 2", "d - size // 2, 0), min(d + (size - 1) // 2"
    hint = found("lrn", changed("lrn", window))["gx"]
    assert hint.where[0] == "wrong wherever, and only where, the size is even"

    no_offset = (SPLIT, "[gy.take(range(s), axis) for s in sizes]")
    hint = found("concat", changed("concat", no_offset))["gx[2]"]
    assert hint.label == "channels"
    assert hint.values[0].startswith("at n=0, h=0, w=0, c=")

    one_channel = ("return gx\n", "gx[..., 1:] *= 2\n    return gx\n")
    hint = found("max_pool2d", changed("max_pool2d", one_channel))["gx"]
    assert "only at c = 1 (of 0 to 1)" in hint.where


def test_zeros_are_written_without_a_sign():
    """Where gy is negative, gy * False is -0.0."""
    for change in (("x > 0", "x >= 0"), ("gy * (x > 0)", "gy")):
        values = found("relu", changed("relu", change))["gx"].values
        assert any(value.endswith("right is 0") for value in values)
        assert not any(value.endswith("is -0") for value in values)


def test_wrong_shapes_are_shown():
    hint = found("linear", changed("linear", ("x.T @ gy", "gy.T @ x")))["gw"]
    assert hint.summary == "has the wrong shape in 5 of 5 samples"
    assert hint.values == ("yours has shape (2, 4), right is (4, 2)",)


def test_text_in_short_and_at_length():
    graded = attempt(
        "linear", changed("linear", ("x.T @ gy", "gy.T @ x"), ("gy.sum(axis=0)", "gy.mean(axis=0)"))
    )
    short, long = grade_text(graded), grade_text(graded, more=True)
    assert "likely: missing transpose: your array is the right one transposed" in short
    assert "to do:" not in short
    assert "add --more" in short
    assert "to do: exchange the two factors of the product" in long
    assert len(long.splitlines()) > len(short.splitlines())
    assert max(map(len, short.splitlines())) <= 120


def test_what_is_explained_comes_first():
    two_mistakes = changed("inception", lost("5x5"), mask("g3", "reduced3"))
    text = grade_text(attempt("inception", two_mistakes, with_gradcheck=False))
    assert text.index("missing ReLU mask") < text.index("no known mistake")


def test_a_right_solution_needs_no_hints():
    graded = attempt("conv2d", solution("conv2d"), with_gradcheck=False)
    assert hints(EXERCISES["conv2d"], graded.trials) == []


def test_one_mistake_is_named_for_all_the_gradients_that_it_spoils():
    """The slice of gx[1] alone would be the same with an end at `size`: every first size is 1."""
    short = "[gy.take(range(a, a + s - 1), axis) for a, s in zip([0, *np.cumsum(sizes)], sizes)]"
    named = {hint.mistake.likely for hint in found("concat", changed("concat", (SPLIT, short))).values()}
    assert named == {"your slices lack their last element: the end of a slice is not part of it"}


def test_exchanged_gradients_are_named():
    hints = found("linear", changed("linear", ("x.T @ gy, gy.sum(axis=0)", "gy.sum(axis=0), x.T @ gy")))
    assert hints["gb"].mistake.likely == "this is gw, the gradient of another input"
    assert hints["gb"].mistake.more == "return each gradient in its place: gx, gw, gb"
    assert hints["gw"].mistake is None  # gb is not known where there is no bias


def test_what_is_not_finite_is_pointed_out():
    hint = found("cross-entropy", changed("cross-entropy", ("-= 1", "-= np.inf")))["gx"]
    assert "not finite (inf or nan) in 4 of them: what is divided by 0, or overflows?" in hint.where
