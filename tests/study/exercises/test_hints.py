"""A mistake is named when it was made, and only then: a solution that is wrong that way shows each hint."""

import itertools

import pytest

from exercise_solutions import attempt, changed, solution
from minicnn.study.exercises import EXERCISES, hints
from minicnn.study.exercises.hints import GENERAL
from minicnn.study.exercises.report import grade_text
from minicnn.study.exercises.tasks.composite import listed
from minicnn.study.exercises.tasks.inception import BRANCHES

SHARES = {"1x1": "gx1", "3x3": "gx3", "5x5": "gx5", "pooling": "gx_proj"}
ALL_SHARES = "gx1 + gx3 + gx5 + gx_proj"


# Passages of the solutions that are changed.
SPLIT = "np.split(gy, np.cumsum(sizes)[:-1], axis)"
FIND = "i, j = np.unravel_index(patch.argmax(), patch.shape)"
DIVISOR = '(len(p) if reduction == "mean" else 1)'
CROPPED_COLUMNS = "padded[:, top : top + H, left : left + W]"
Y_MASKS = [("g1", "y1"), ("g3", "y3"), ("g5", "y5"), ("g_proj", "y_proj")]


def lost(*branches):
    kept = " + ".join(share for name, share in SHARES.items() if name not in branches)
    return (ALL_SHARES, kept)


LOST = [branches for k in (1, 2, 3) for branches in itertools.combinations(BRANCHES, k)]


def mask(g, y):
    return (f"    {g} = relu_backward({g}, saved.{y})\n", "")


# Exercise, changes to its solution, the gradient that is wrong, and how the mistake reads.
WRONG = [
    ("relu", [("gy * (x > 0)", "gy")], "gx", "your gx is gy, unchanged"),
    ("relu", [("(x > 0)", "(gy > 0)")], "gx", "you let pass where gy is positive"),
    ("relu", [("x > 0", "x <= 0")], "gx", "gradient passes where the unit was off"),
    ("relu", [("x > 0", "x >= 0")], "gx", "where x is exactly 0 you let gy pass"),
    ("relu", [("(x > 0)", "x * (x > 0)")], "gx", "your gx is gy times y"),
    ("relu", [("gy * (x > 0)", "(x > 0).astype(gy.dtype)")], "gx", "your gx is the mask alone"),
    ("relu", [("gy * (x", "-gy * (x")], "gx", "every value has the wrong sign"),
    ("relu", [("gy * (x", "0 * gy * (x")], "gx", "all values are zero"),
    ("relu", [("gy * (x", "gy * 3 * (x")], "gx", "every value is 3 times the right one"),
    ("linear", [("x.T @ gy", "gy.T @ x")], "gw", "your array is the right one transposed"),
    ("linear", [("x.T @ gy", "(gy.T @ x).reshape(w.shape)")], "gw", "the right numbers in the wrong order"),
    ("linear", [("gy.sum(axis=0)", "gy")], "gb", "your gb has one row for each sample"),
    ("linear", [("gy.sum(axis=0)", "gy.sum(axis=1)")], "gb", "your gb is summed over the outputs"),
    ("linear", [("gy.sum(axis=0)", "gy.mean(axis=0)")], "gb", "your gb is N times too small"),
    ("linear", [("x.T @ gy", "x.T @ gy / len(x)")], "gw", "N times too small"),
    ("linear", [("x.T @ gy", "x.T @ gy * len(x)")], "gw", "N times too large"),
    ("linear", [("x.T @ gy", "x[:1].T @ gy[:1]")], "gw", "only the first sample of the batch counts"),
    ("linear", [("gy @ w.T, x.T @ gy", "x.T @ gy, gy @ w.T")], "gx", "this is the gradient of another input"),
    ("linear", [("gy @ w.T", "gy @ w.T * 0 + w.sum(axis=1)")], "gx", "your gradient is the one for gy = 1"),
    ("linear", [("gy @ w.T", "-2 * gy @ w.T")], "gx", "every value is -2 times the right one"),
    ("cross-entropy", [(DIVISOR, "1")], "gx", "N times too large where the loss"),
    ("cross-entropy", [(DIVISOR, "len(p)"), ("gy[:, None]", "gy[:, None] / len(p)")],
     "gx", "N times too small where the loss is no mean"),
    ("cross-entropy", [("return gx * gy / ", "return gx * gy / p.shape[1] / "),
                       ("gy[:, None]", "gy[:, None] / p.shape[1]")], "gx", "K times too small"),
    ("cross-entropy", [("gx[np.arange(len(p)), labels] -= 1", "pass")],
     "gx", "1 is not subtracted at the label"),
    ("cross-entropy", [("gx = p.copy()", "gx = -p"), ("-= 1", "+= 1")],
     "gx", "every value has the wrong sign"),
    ("concat", [(SPLIT, "[gy.take(range(s), axis) for s in sizes]")],
     "gx[1]", "every slice begins at 0"),
    ("concat", [(SPLIT, "np.split(gy, np.cumsum(sizes[::-1])[:-1], axis)[::-1]")],
     "gx[0]", "the opposite order"),
    ("concat", [(SPLIT, "[gy for _ in sizes]")], "gx[0]",
     "you return all of gy"),
    ("avg_pool2d", [(" / count[p, q]", "")], "gx", "every pixel receives all of gy"),
    ("avg_pool2d", [("count[p, q]", "(KH * KW)")], "gx", "you divide by KH*KW everywhere"),
    ("avg_pool2d", [("+= gy", "= gy")], "gx", "a pixel in several windows keeps the share of the last"),
    ("avg_pool2d", [("p * SH - top, 0", "p * SH, 0"), ("p * SH - top + KH", "p * SH + KH"),
                    ("q * SW - left, 0", "q * SW, 0"), ("q * SW - left + KW", "q * SW + KW")],
     "gx", "gx is shifted"),
    ("max_pool2d", [(FIND, "i, j = np.argwhere(patch == patch.max())[-1]")],
     "gx", "of equal pixels the last receives"),
    ("max_pool2d", [(FIND, "i, j = np.nonzero(patch == patch.max())")],
     "gx", "of equal pixels every one receives"),
    ("max_pool2d", [(FIND, "i, j = np.nonzero(patch == patch.max())"),
                    ("gy[n, p, q, c]", "gy[n, p, q, c] / len(i)")],
     "gx", "equal pixels share the gradient"),
    ("max_pool2d", [("+= gy", "= gy")], "gx", "a pixel that won several windows keeps one gradient"),
    ("lrn", [("gx[..., d] -=", "gx[..., d] += 0 *")], "gx", "only the direct path is there"),
    ("lrn", [("gx[..., d] -=", "gx[..., d] +=")], "gx", "through the windows has the wrong sign"),
    ("lrn", [("2 * alpha", "alpha")], "gx", "through the windows is half of what it should be"),
    ("lrn", [("* beta / size", "/ size")], "gx", "through the windows lacks beta"),
    ("lrn", [("beta / size", "beta")], "gx", "`size` times too large"),
    ("lrn", [("d - (size - 1) // 2, 0), min(d + size // 2", "d - size // 2, 0), min(d + (size - 1) // 2")],
     "gx", "the window is not turned round"),
    ("lrn", [("through[..., windows].sum(axis=-1)", "through[..., d]")],
     "gx", "only the own channel is there"),
    ("conv2d", [(CROPPED_COLUMNS, "padded")], "gx", "gradient of the padded image"),
    ("conv2d", [(CROPPED_COLUMNS, "padded[:, :H, :W]")], "gx", "its first corner"),
    ("conv2d", [("p, q, i, j in np.ndindex(OH, OW, KH, KW)", "i, j, p, q in np.ndindex(KH, KW, OH, OW)"),
                ("+= gcols", "= gcols")],
     "gx", "a pixel keeps the gradient of the last patch"),
    ("conv2d", [("+= gcols", "= gcols")], "gx", "a pixel keeps the gradient of the last patch"),
    ("conv2d", [("gy_rows @ w.reshape", "gy_rows @ w[::-1, ::-1].reshape")], "gx", "a kernel turned by 180"),
    ("conv2d", [(".reshape(w.shape)", ".reshape(w.shape)[::-1, ::-1]")], "gw", "your gw is turned by 180"),
    ("conv2d", [("(cols.T @ gy_rows)", "(gy_rows.T @ cols)")], "gw", "the right numbers in the wrong order"),
    ("conv2d", [("im2col(x, w.shape[:2], stride, padding,",
                 "im2col(np.pad(x, ((0, 0), (0, padding[0][0] + padding[0][1]), "
                 "(0, padding[1][0] + padding[1][1]), (0, 0))), w.shape[:2], stride, ((0, 0), (0, 0)),")],
     "gw", "as if it were padded at the bottom"),
    ("conv2d", [("gy_rows.sum(axis=0)", "gy.sum(axis=0)")], "gb", "your gb is not summed over all places"),
    ("conv2d", [("gy_rows.sum(axis=0)", "gy.sum(axis=(0, 1))")], "gb", "your array has axes too many"),
    ("conv2d", [("gy_rows.sum(axis=0)", "gy_rows.mean(axis=0)")], "gb", "your gb is a mean over images"),
    ("inception", [mask("g1", "y1")], "gw1", "the ReLU after the 1x1 convolution"),
    ("inception", [mask("g3", "y3")], "gw3", "the ReLU after the 3x3 convolution"),
    ("inception", [mask("g3", "y3")], "gx", "the ReLU after the 3x3 convolution"),
    ("inception", [mask("g3", "reduced3")], "gb3_reduce", "the ReLU after the 3x3 reduction"),
    ("inception", [mask("g3", "reduced3")], "gx", "the ReLU after the 3x3 reduction"),
    ("inception", [mask("g5", "y5")], "gw5", "the ReLU after the 5x5 convolution"),
    ("inception", [mask("g5", "reduced5")], "gw5_reduce", "the ReLU after the 5x5 reduction"),
    ("inception", [mask("g_proj", "y_proj")], "gw_proj", "the ReLU after the projection"),
    ("inception", [mask("g3", "reduced3"), mask("g5", "reduced5")],
     "gx", "the ReLUs after the reductions have"),
    ("inception", [*(mask(*m) for m in Y_MASKS)], "gx",
     "the four ReLUs before the concatenation"),
    ("inception", [*(mask(*m) for m in Y_MASKS),
                   mask("g3", "reduced3"), mask("g5", "reduced5")], "gx", "no ReLU of the module"),
    ("inception", [("saved.pooled", "saved.x")], "gw_proj", "your gw_proj is computed from x"),
    ("auxiliary-head", [("saved.dropped", "saved.hidden")], "gw_fc2", "your gw_fc2 is computed from hidden"),
    ("auxiliary-head", [("trunk + head", "head")], "gx", "comes back through the trunk"),
    ("auxiliary-head", [("trunk + head", "trunk")], "gx", "comes back through the head"),
    ("auxiliary-head", [("gy.dtype.type(0.3) * gy", "gy")], "gw_fc2", "the head's gradient is not weighted"),
    ("auxiliary-head", [("gy.dtype.type(0.3) * gy", "gy")], "gx", "the head's gradient is not weighted"),
    ("auxiliary-head", [("gy.dtype.type(0.3) * gy", "gy.dtype.type(0.09) * gy")], "gx", "weighted twice"),
    ("auxiliary-head", [("    head = head * saved.mask\n", "")],
     "gw_fc1", "passes the dropout without its mask"),
    ("auxiliary-head", [("* saved.mask", "* (saved.mask > 0)")], "gw_fc1", "you drop the right units"),
    ("auxiliary-head", [mask("head", "hidden")], "gw_fc1", "the ReLU after fc1"),
    ("auxiliary-head", [mask("head", "conv")], "gw_conv", "the ReLU after the 1x1 convolution"),
    ("auxiliary-head", [mask("head", "hidden"), mask("head", "conv")], "gx", "neither ReLU of the head"),
]  # fmt: skip

# Solutions of another shape than the one that tests/.../solutions has.
PADDED_POOL = """\
import numpy as np


def backward(gy, x, kernel_size, stride, padding):
    (KH, KW), (SH, SW), ((top, bottom), (left, right)) = kernel_size, stride, padding
    (_, OH, OW, _), (_, H, W, _) = gy.shape, x.shape
    bottom = max(bottom, (OH - 1) * SH + KH - H - top)
    right = max(right, (OW - 1) * SW + KW - W - left)
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=OUTSIDE)
    gx = np.zeros_like(padded)
    for n, p, q, c in np.ndindex(gy.shape):
        window = np.s_[n, p * SH : p * SH + KH, q * SW : q * SW + KW, c]
        pixels = padded[window]
        WINNERS
    return CROPPED
"""
FIRST = (
    "i, j = np.unravel_index(pixels.argmax(), pixels.shape)\n"
    "        gx[n, p * SH + i, q * SW + j, c] += gy[n, p, q, c]"
)
LAST = FIRST.replace(
    "np.unravel_index(pixels.argmax(), pixels.shape)", "np.argwhere(pixels == pixels.max())[-1]"
)
ALL = "gx[window] += gy[n, p, q, c] * (pixels == pixels.max())"
SHARED = "won = pixels == pixels.max()\n        gx[window] += gy[n, p, q, c] * won / won.sum()"
CROP = "gx[:, top : top + H, left : left + W]"
POOLS = [
    ("-np.inf", FIRST, "gx", "your gx is the gradient of the padded image"),
    ("-np.inf", FIRST, "gx[:, :H, :W]", "gx is shifted"),
    ("0", FIRST, CROP, "your padding of 0 wins"),
    ("0", ALL, CROP, "of equal pixels every one receives the gradient; and"),
    ("0", LAST, CROP, "of equal pixels the last receives the gradient; and"),
    ("0", SHARED, CROP, "of equal pixels each receives a share"),
]
PADDED_AVERAGE = (
    PADDED_POOL.replace("gy, x, kernel_size", "gy, x_shape, count, kernel_size")
    .replace("x.shape = gy.shape, x.shape", "")
    .replace(
        "(_, OH, OW, _), (_, H, W, _) = gy.shape, x.shape", "(_, OH, OW, _), (N, H, W, C) = gy.shape, x_shape"
    )
    .replace(
        "    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=OUTSIDE)\n"
        "    gx = np.zeros_like(padded)\n",
        "    gx = np.zeros((N, top + H + bottom, left + W + right, C), gy.dtype)\n",
    )
    .replace(
        "        pixels = padded[window]\n        WINNERS\n",
        "        gx[window] += gy[n, p, q, c] / count[p, q]\n",
    )
)


def found(name, text):
    graded = attempt(name, text, with_gradcheck=False)
    assert not graded.passed
    return {hint.gradient: hint for hint in hints(EXERCISES[name], graded.trials)}


def read(hint):
    return hint.mistake.likely if hint.mistake else "nothing"


@pytest.mark.parametrize(
    ("name", "changes", "gradient", "likely"), WRONG, ids=[f"{w[0]}: {w[3]}, {w[2]}" for w in WRONG]
)
def test_the_mistake_is_named(name, changes, gradient, likely):
    assert likely in read(found(name, changed(name, *changes))[gradient])


@pytest.mark.parametrize(("outside", "winners", "crop", "likely"), POOLS, ids=[pool[3] for pool in POOLS])
def test_the_mistake_in_max_pooling_is_named(outside, winners, crop, likely):
    text = PADDED_POOL.replace("OUTSIDE", outside).replace("WINNERS", winners).replace("CROPPED", crop)
    assert likely in read(found("max_pool2d", text)["gx"])


def test_the_mistake_in_average_pooling_is_named():
    text = PADDED_AVERAGE.replace("CROPPED", "gx")
    assert "your gx is the gradient of the padded image" in read(found("avg_pool2d", text)["gx"])


def test_the_order_of_overwriting_does_not_matter():
    by_element = """\
import numpy as np


def backward(gy, x_shape, count, kernel_size, stride, padding):
    (KH, KW), (SH, SW), ((top, bottom), (left, right)) = kernel_size, stride, padding
    (N, H, W, C), (OH, OW) = x_shape, count.shape
    padded = np.zeros((N, top + H + bottom + KH, left + W + right + KW, C), gy.dtype)
    for i in range(KH):
        for j in range(KW):
            taps = np.s_[:, i : i + SH * (OH - 1) + 1 : SH, j : j + SW * (OW - 1) + 1 : SW]
            padded[taps] += gy / count[:, :, None]
    return padded[:, top : top + H, left : left + W]
"""
    assert attempt("avg_pool2d", by_element).passed
    likely = read(found("avg_pool2d", by_element.replace("+=", "="))["gx"])
    assert likely == "a pixel in several windows keeps the share of the last one"


def test_padded_pools_are_right_without_the_mistakes():
    text = PADDED_POOL.replace("OUTSIDE", "-np.inf").replace("WINNERS", FIRST).replace("CROPPED", CROP)
    assert attempt("max_pool2d", text).passed
    assert attempt("avg_pool2d", PADDED_AVERAGE.replace("CROPPED", CROP)).passed


def test_every_hint_is_shown():
    shown = {(name, likely) for name, _, _, likely in WRONG}
    shown |= {("max_pool2d", likely) for *_, likely in POOLS}
    shown |= {("inception", f"through {listed(branches)} branch") for branches in LOST}
    shown.add(("avg_pool2d", "your gx is the gradient of the padded image"))
    for name, exercise in EXERCISES.items():
        for mistake in exercise.mistakes:
            assert any(of == name and likely in mistake.likely for of, likely in shown), mistake.likely
    for mistake in GENERAL:
        assert any(likely in mistake.likely for _, likely in shown), mistake.likely


def test_the_lost_branches_are_named_exactly():
    for branches in LOST:
        likely = read(found("inception", changed("inception", lost(*branches)))["gx"])
        assert f"through {listed(branches)} branch" in likely


UNEXPLAINED = [
    ("relu", [("gy * (x > 0)", "gy * (x > 0.2)")], "gx"),
    ("linear", [("gy @ w.T", "gy @ w.T + 1")], "gx"),
    ("linear", [("gy @ w.T", "gy @ np.abs(w.T)"), ("def backward", "import numpy as np\n\n\ndef backward")],
     "gx"),
    ("avg_pool2d", [(" / count[p, q]", ""), ("+= gy", "= gy")], "gx"),
    ("lrn", [("2 * alpha", "alpha"), ("u ** (-beta - 1)", "u ** (-beta)")], "gx"),
    ("conv2d", [(".reshape(w.shape)", ".reshape(w.shape)[::-1]")], "gw"),
    ("inception", [lost("5x5"), mask("g3", "reduced3")], "gx"),
    ("auxiliary-head", [("trunk + head", "trunk - head")], "gx"),
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
