"""A mistake is named when it was made, and only then: a solution that is wrong that way shows each hint.

Those about windows, which are made in loops of another shape, are in test_window_mistakes.py.
"""

import itertools

import numpy as np
import pytest

from exercise_solutions import attempt, changed, found, lost, mask, read, solution
from minicnn.study.exercises import EXERCISES, Mistake
from minicnn.study.exercises.exercise import matches
from minicnn.study.exercises.general_mistakes import GENERAL
from minicnn.study.exercises.tasks.composite import listed
from minicnn.study.exercises.tasks.conv2d import AXES, OTHER_ORDERS
from minicnn.study.exercises.tasks.cross_entropy import REDUCTIONS
from minicnn.study.exercises.tasks.inception import BRANCHES
from wrong_windows import AVERAGES, CROPS, MAXIMA, POOLS

# Passages of the solutions that are changed.
SPLIT = "np.split(gy, np.cumsum(sizes)[:-1], axis)"
FIND = "i, j = np.unravel_index(patch.argmax(), patch.shape)"
DIVISOR = '(len(p) if reduction == "mean" else 1)'
CROPPED_COLUMNS = "padded[:, top : top + H, left : left + W]"
Y_MASKS = [("g1", "y1"), ("g3", "y3"), ("g5", "y5"), ("g_proj", "y_proj")]


NUMPY = "__import__('numpy')"
LABEL = ("    gx[np.arange(len(p)), labels] -= 1\n", "")
AT = "np.arange(len(p)), labels"
ZEROS = "np.zeros_like(p)\n"
STARTS = "[0, *np.cumsum(sizes)]"
PIXEL = "p * SH + i, q * SW + j"
GCOLS = "gcols.reshape(N, OH, OW, KH, KW, CI)"
# Pixels that lie beyond the padded image are lost, instead of raising an IndexError.
BIG_ENOUGH = ("(N, top + H + bottom, left + W + right, CI)", "(N, 99, 99, CI)")
AROUND = (BIG_ENOUGH, (CROPPED_COLUMNS, "padded[:, 40 : 40 + H, 40 : 40 + W]"))


FORGETFUL = [some for k in (1, 2) for some in itertools.combinations(REDUCTIONS, k)]
LOST = [branches for k in (1, 2, 3) for branches in itertools.combinations(BRANCHES, k)]


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
    ("linear", [("gy @ w.T, x.T @ gy", "x.T @ gy, gy @ w.T")],
     "gx", "this is gw, the gradient of another input"),
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
    ("cross-entropy", [("gy[:, None]", "1"), (f"gx * gy / {DIVISOR}", "gx")],
     "gx", "gy is missing and, where the loss is a mean, 1/N"),
    ("cross-entropy", [("gy[:, None]", "1 / len(p)"), (f"gx * gy / {DIVISOR}", "gx / len(p)")],
     "gx", "gy has no part in gx, and you divide by N always"),
    ("linear", [("x.T @ gy", "gy.T @ x / len(x)")], "gw", "transposed, and N times too small"),
    ("concat", [(SPLIT, "[gy.take(range(s), axis) for s in sizes]")],
     "gx[1]", "every slice begins at 0: each"),
    ("concat", [(SPLIT, "[gy[..., :s] for s in sizes]")],
     "gx[1]", "every slice begins at 0, and you cut along the last axis"),
    ("avg_pool2d", [(" / count[p, q]", ""), ("+= gy", "= gy")],
     "gx", "every pixel receives all of gy, and one in several windows"),
    ("lrn", [("2 * alpha", "alpha"), ("u ** (-beta - 1)", "u**-beta")],
     "gx", "lacks 2, and u has the exponent -beta"),
    ("lrn", [("alpha * beta", "alpha"), ("u ** (-beta - 1)", "u**-beta")],
     "gx", "lacks beta, and u has the exponent -beta"),
    ("lrn", [("2 * alpha", "alpha"), ("* x[..., d] *", "*")], "gx", "lacks 2 and x of its own channel"),
    ("lrn", [("2 * alpha", "alpha"), (" / size", "")], "gx", "lacks 2 and the division by `size`"),
    ("conv2d", [(PIXEL, "p + i, q + j"), ("] += gcols", "] = gcols")],
     "gx", "the stride is forgotten, and a pixel keeps the gradient of its last patch"),
    ("conv2d", [("p, q, i, j in np.ndindex(OH, OW, KH, KW)", "p, q in np.ndindex(OH, OW)"),
                (f"padded[:, {PIXEL}] += gcols[:, p, q, i, j]",
                 "padded[:, p : p + KH, q : q + KW] += gcols[:, p, q]")],
     "gx", "one pixel apart: the stride is forgotten"),
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
    ("conv2d", [(CROPPED_COLUMNS, "padded[:, :H, :W]")], "gx", "gx is shifted"),
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
    ("relu", [("gy * (x > 0)", "gy * (x < 0)")], "gx", "gradient passes where x < 0"),
    ("relu", [("gy * (x > 0)", NUMPY + ".where(x > 0, 0, gy)")],
     "gx", "gradient passes where the unit was off"),
    ("relu", [("gy * (x > 0)", "gy * " + NUMPY + ".heaviside(x, 0.5)")], "gx", "you let half of gy pass"),
    ("relu", [("gy * (x > 0)", "gy * " + NUMPY + ".sign(x)")], "gx", "that is the slope of |x|"),
    ("relu", [("gy * (x > 0)", NUMPY + ".maximum(x, 0)")], "gx", "your gx is y"),
    ("relu", [("gy * (x > 0)", "gy[x > 0]")], "gx", "your gx holds only the elements that pass"),
    ("relu", [("gy * (x > 0)", "(gy * (x > 0)).sum(axis=0)")], "gx", "your array lacks axes"),
    ("linear", [("gy.sum(axis=0)", "gy.sum(axis=0, keepdims=True)")],
     "gb", "the right numbers, in an array of"),
    ("linear", [("gy.sum(axis=0)", "gy.sum()")], "gb", "your array lacks axes"),
    ("linear", [("gy.sum(axis=0)", "gy.sum(axis=0) * 0 + 1")], "gb", "your gb is 1 everywhere"),
    ("linear", [("gy.sum(axis=0)", "x.sum(axis=0)")], "gb", "your gb is the sum of x over the samples"),
    ("linear", [("gy @ w.T", "w.T")], "gx", "your gx is w transposed"),
    ("linear", [("x.T @ gy", "x.T")], "gw", "your gw is x transposed"),
    ("linear", [("x.T @ gy", "x[-1:].T @ gy[-1:]")], "gw", "only the last sample of the batch counts"),
    ("linear", [("gy.sum(axis=0)", "gy[-1]")], "gb", "only the last sample of the batch counts"),
    ("cross-entropy", [("(len(p) if", "(p.size if")], "gx", "K times too small where the loss is a mean"),
    ("cross-entropy", [(DIVISOR, "p.size"), ("gy[:, None]", "gy[:, None] / p.size")],
     "gx", "you divide by p.size, N * K, always"),
    ("cross-entropy", [("(len(p) if", "(p.shape[1] if")], "gx", "you divide by K, the classes"),
    ("cross-entropy", [LABEL, ("p.copy()", "p.copy()\n    gx[:, labels] -= 1")],
     "gx", "1 is subtracted in the column"),
    ("cross-entropy", [LABEL, ("p.copy()", "p - labels[:, None]")],
     "gx", "you subtract the number of the class"),
    ("cross-entropy", [("-= 1", "+= 1")], "gx", "1 is added at the label"),
    ("cross-entropy", [LABEL, ("p.copy()", ZEROS + "    with np.errstate(divide='ignore'):\n"
                                           f"        gx[{AT}] = -1 / p[{AT}]")],
     "gx", "your gx is -1 / p at the label"),
    ("cross-entropy", [LABEL, ("p.copy()", ZEROS + f"    gx[{AT}] = p[{AT}] - 1")],
     "gx", "right at the label and 0"),
    ("cross-entropy", [LABEL, ("p.copy()", ZEROS + f"    gx[{AT}] = -1")],
     "gx", "-1 at the label and 0 elsewhere"),
    ("cross-entropy", [LABEL, ("p.copy()", "p * (1 - p)")], "gx", "your gx is p * (1 - p)"),
    ("cross-entropy", [("p.copy()", f"p / {DIVISOR}"), ("gx * gy / " + DIVISOR, "gx * gy")],
     "gx", "1 is subtracted after the division by N"),
    ("cross-entropy", [("p.copy()", 'p * (gy[:, None] if reduction == "none" else gy)'),
                       ("return gx * gy[:, None]", "return gx"), ("gx * gy /", "gx /")],
     "gx", "1 is subtracted after the multiplication by gy"),
    ("concat", [(SPLIT, "[gy.take(range(a, a + s), axis) for a, s in zip([0, *sizes], sizes)]")],
     "gx[2]", "each slice begins at the size of the one before"),
    ("concat", [(SPLIT, f"[gy.take(range(a, s), axis) for a, s in zip({STARTS}, sizes)]")],
     "gx[2]", "your slices are gy[start:size]"),
    ("concat", [(SPLIT, f"[gy.take(range(a, a + s - 1), axis) for a, s in zip({STARTS}, sizes)]")],
     "gx[1]", "your slices lack their last element"),
    ("concat", [("[:-1], axis", "[:-1], -1")], "gx[0]", "you cut along the last axis always"),
    ("concat", [("[:-1], axis", "[:-1], 0")], "gx[0]", "you cut along the first axis always"),
    ("concat", [(SPLIT, "np.array_split(gy, len(sizes), axis)")],
     "gx[1]", "gy is cut into parts of equal size"),
    ("lrn", [("gx = gy * u**-beta", "gx = gy * u**beta")], "gx", "in the direct term you multiply by u^beta"),
    ("lrn", [("gx = gy * u**-beta", "gx = gy * u ** (-beta - 1)")],
     "gx", "in the direct term u has the exponent"),
    ("lrn", [("gx = gy * u**-beta", "gx = gy.copy()")], "gx", "your direct term is gy itself"),
    ("lrn", [("gx = gy * u**-beta", "gx = 0 * gy")], "gx", "the direct term is missing"),
    ("lrn", [("u ** (-beta - 1)", "u**-beta")], "gx", "the exponent -beta, not"),
    ("lrn", [("u ** (-beta - 1)", "u ** (1 - beta)")], "gx", "the exponent 1 - beta, not"),
    ("lrn", [("u ** (-beta - 1)", "u ** (beta + 1)")], "gx", "the exponent beta + 1, not"),
    ("lrn", [("u ** (-beta - 1)", "u ** (beta - 1)")], "gx", "the exponent beta - 1, not"),
    ("lrn", [("2 * alpha *", "2 *")], "gx", "through the windows lacks alpha"),
    ("lrn", [("gy * x * u", "gy * u")], "gx", "x of the neighbour is missing"),
    ("lrn", [("gy * x * u", "x * u")], "gx", "through the windows lacks gy"),
    ("lrn", [("* x[..., d] *", "*")], "gx", "through the windows lacks x of its own channel"),
    ("lrn", [("* x[..., d] *", "*"), ("gy * x * u", "gy * x**2 * u")], "gx", "x of the neighbour is squared"),
    ("lrn", [("* x[..., d] *", "* x[..., d] * u[..., d] ** (-beta - 1) *"), (" * u ** (-beta - 1)", "")],
     "gx", "u is that of the own channel"),
    ("lrn", [("* x[..., d] *", "* x[..., d] * gy[..., d] *"), ("gy * x * u", "x * u")],
     "gx", "gy is that of the own channel"),
    ("lrn", [("d - (size - 1) // 2", "d - (size - 1) // 2 + 1")],
     "gx", "the windows lack their last channel"),
    ("lrn", [("d + size // 2 + 1", "d + size // 2")], "gx", "lacks the last of them"),
    ("lrn", [("d - (size - 1) // 2", "d - size // 2")], "gx", "one channel too many where size is even"),
    ("lrn", [("[..., windows]", "")], "gx", "the sum is over all channels"),
    ("lrn", [("max(d - (size - 1) // 2, 0)", "d - (size - 1) // 2")], "gx", "near the first one get nothing"),
    ("avg_pool2d", [("max(p * SH - top, 0)", "p * SH - top"), ("max(q * SW - left, 0)", "q * SW - left")],
     "gx", "windows that begin in the padding are lost"),
    ("max_pool2d", [("first_row + i, first_column + j", "i, j")],
     "gx", "the place of the maximum within its window"),
    ("max_pool2d", [("first_row + i, first_column + j", "p * SH - top + i, q * SW - left + j")],
     "gx", "a window that begins in the padding is counted"),
    ("conv2d", [(PIXEL, "p + i, q + j")], "gx", "the stride is forgotten"),
    ("conv2d", [(PIXEL, "p + i * SH, q + j * SW"), BIG_ENOUGH], "gx", "the stride multiplies i and j"),
    ("conv2d", [(PIXEL, "p * SH + j, q * SW + i"), BIG_ENOUGH], "gx", "height and width of the window are"),
    ("conv2d", [("gcols[:, p, q, i, j]", "gcols[:, p, q, j, i]")],
     "gx", "height and width of the window are"),
    ("conv2d", [(PIXEL, "p * SW + i, q * SH + j"), BIG_ENOUGH], "gx", "the two strides are exchanged"),
    ("conv2d", [(PIXEL, "40 + p * SH + i - left, 40 + q * SW + j - top"), *AROUND], "gx",
     "the paddings at the top and the left are exchanged"),
    ("conv2d", [(PIXEL, "40 + p * SH + i + top, 40 + q * SW + j + left"), *AROUND], "gx",
     "the padding moves the windows down and right"),
    ("conv2d", [("        padded[:, p * SH + i, q * SW + j]",
                 "        row, column = p * SH + i - top, q * SW + j - left\n"
                 "        if row >= H or column >= W:\n            continue\n        padded[:, row, column]"),
                ("(N, top + H + bottom, left + W + right, CI)", "x_shape"), (CROPPED_COLUMNS, "padded")],
     "gx", "to NumPy, -1 is the last one"),
    ("conv2d", [(CROPPED_COLUMNS, "padded[:, left : left + H, top : top + W]")],
     "gx", "gx is cut out at row `left`"),
    ("conv2d", [(CROPPED_COLUMNS, "padded[:, top:-bottom, left:-right]")],
     "gx", "gx is cut out as [top:-bottom"),
    *(("conv2d", [(GCOLS, f"gcols.reshape({', '.join(axes)}).transpose({[axes.index(a) for a in AXES]})")],
       "gx", f"gcols is read as ({', '.join(axes)})") for axes in OTHER_ORDERS),
    ("conv2d", [("w.reshape(-1, CO).T", "w.reshape(CO, -1)")],
     "gx", "your gcols is gy times w read as (CO, KH*KW*CI)"),
    ("conv2d", [(".reshape(w.shape)", "")], "gw", "the right numbers, in an array of another shape"),
    ("conv2d", [(".reshape(w.shape)", ".reshape(w.shape[2], *w.shape[:2], CO).transpose(1, 2, 0, 3)")],
     "gw", "your gw is read as (CI, KH, KW, CO)"),
    ("conv2d", [("gy_rows.sum(axis=0)", "gy.sum(axis=-1)")], "gb", "your gb is summed over the channels"),
    ("inception", [("(g_proj, saved.x, 3", "(g_proj, saved.pooled, 3")],
     "gx", "is given what the pooling gave"),
    ("auxiliary-head", [("cross_entropy_backward(gy,", "cross_entropy_backward(gy.dtype.type(0.3) * gy,")],
     "gx", "both losses are weighted with 0.3"),
    ("auxiliary-head", [("cross_entropy_backward(gy,", "cross_entropy_backward(0.3 * gy,"),
                        ("head = gy.dtype.type(0.3) * gy", "head = gy")],
     "gx", "the trunk's loss is weighted with 0.3"),
    ("auxiliary-head", [("trunk + head", "trunk - head")], "gx", "the head's gradient has the wrong sign"),
    ("auxiliary-head", [("saved.aux_logits", "saved.logits")], "gw_fc1", "the head's cross-entropy is given"),
    ("auxiliary-head", [("gy, saved.logits", "gy, saved.aux_logits")],
     "gw_fc", "the trunk's cross-entropy is given"),
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
    *(("auxiliary-head", [("gy.dtype.type(0.3) * gy", "gy"), ("    head = head * saved.mask\n", "")],
       gradient, "lacks 0.3, and passes dropout") for gradient in ("gw_fc2", "gw_fc1", "gx")),
    ("auxiliary-head", [mask("head", "hidden"), mask("head", "conv"), ("    head = head * saved.mask\n", "")],
     "gw_conv", "the head has no mask at all"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "changes", "gradient", "likely"), WRONG, ids=[f"{w[0]}: {w[3]}, {w[2]}" for w in WRONG]
)
def test_the_mistake_is_named(name, changes, gradient, likely):
    assert likely in read(found(name, changed(name, *changes))[gradient])


@pytest.mark.parametrize("forgetful", FORGETFUL)
def test_the_reductions_that_forget_gy_are_named(forgetful):
    once = f"    gy = np.ones_like(gy) if reduction in {forgetful} else gy\n    gx = p.copy()"
    likely = read(found("cross-entropy", changed("cross-entropy", ("    gx = p.copy()", once)))["gx"])
    assert likely == f"gy has no part in gx where the reduction is {' or '.join(forgetful)}"


def test_every_hint_is_shown():
    shown = {(name, likely) for name, _, _, likely in WRONG}
    shown |= {("max_pool2d", likely) for *_, likely in (*POOLS, *MAXIMA)}
    shown |= {("avg_pool2d", likely) for _, likely in AVERAGES}
    shown.add(("avg_pool2d", "gy[:, p, q] is (N, C)"))
    shown |= {("cross-entropy", f"the reduction is {' or '.join(some)}") for some in FORGETFUL}
    shown |= {("inception", f"through {listed(branches)} branch") for branches in LOST}
    shown |= {("avg_pool2d", likely) for _, likely in CROPS}
    for name, exercise in EXERCISES.items():
        for mistake in exercise.mistakes:
            assert any(of == name and likely in mistake.likely for of, likely in shown), mistake.likely
    for mistake in GENERAL:
        assert any(likely in mistake.likely for _, likely in shown), mistake.likely


def test_the_lost_branches_are_named_exactly():
    for branches in LOST:
        likely = read(found("inception", changed("inception", lost(*branches)))["gx"])
        assert f"through {listed(branches)} branch" in likely


@pytest.mark.parametrize("name", EXERCISES)
def test_no_two_mistakes_give_the_same_numbers(name):
    """... and none gives the right ones: whoever has made one is told of it and of no other."""
    trials = [trial for trial in attempt(name, solution(name), with_gradcheck=False).trials if trial.right]

    def predictions(mistake):
        return [
            mistake.predict(trial, gradient) if not mistake.of or gradient in mistake.of else right
            for trial in trials
            for gradient, right in trial.right.items()
        ]

    none = Mistake("", "nothing is wrong", "", lambda trial, gradient: trial.right[gradient])
    predicted = [(mistake.likely, predictions(mistake)) for mistake in (none, *EXERCISES[name].mistakes)]
    for (one, ours), (other, theirs) in itertools.combinations(predicted, 2):
        told_apart = any(
            a is not None and b is not None and not matches(np.asarray(a), np.asarray(b))
            for a, b in zip(ours, theirs, strict=True)
        )
        assert told_apart or one == other, f"{one} = {other}"
