"""Pooling written in the ways that learners write it, with what may go wrong, and how the hint reads."""

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
# Ways to cut the image out of the padded one that are wrong.
CROPS = [
    ("gx", "your gx is the gradient of the padded image"),
    ("gx[:, :H, :W]", "gx is shifted"),
    ("gx[:, top:-bottom, left:-right]", "gx is cut out as [top:-bottom, left:-right]"),
    ("gx[:, left : left + H, top : top + W]", "gx is cut out at row `left`"),
]
POOLS = [
    ("-np.inf", ALL.replace("+=", "="), CROP, "every one receives the gradient, and a window"),
    *(("-np.inf", FIRST, crop, likely) for crop, likely in CROPS),
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

# One loop for each index, the padding left out by asking where a pixel lies.
MAXIMUM = """\
import numpy as np


def backward(gy, x, kernel_size, stride, padding):
    (KH, KW), (SH, SW), ((top, bottom), (left, right)) = kernel_size, stride, padding
    (_, OH, OW, _), (_, H, W, _) = gy.shape, x.shape
    gx = np.zeros_like(x)
    for n, p, q, c in np.ndindex(len(gy), OH, OW, gy.shape[3]):
        largest, place = -np.inf, None
        for i in range(KH):
            for j in range(KW):
                row, column = p * SH + i - top, q * SW + j - left
                if 0 <= row < H and 0 <= column < W and x[n, row, column, c] > largest:
                    largest, place = x[n, row, column, c], (row, column)
        if place is not None:
            gx[n, place[0], place[1], c] += gy[n, p, q, c]
    return gx
"""
AVERAGE = """\
import numpy as np


def backward(gy, x_shape, count, kernel_size, stride, padding):
    (KH, KW), (SH, SW), ((top, bottom), (left, right)) = kernel_size, stride, padding
    (_, OH, OW, _), (N, H, W, C) = gy.shape, x_shape
    gx = np.zeros(x_shape, gy.dtype)
    for p, q, i, j in np.ndindex(OH, OW, KH, KW):
        row, column = p * SH + i - top, q * SW + j - left
        if 0 <= row < H and 0 <= column < W:
            gx[:, row, column] += gy[:, p, q] / count[p, q]
    return gx
"""
PLACE = "p * SH + i - top, q * SW + j - left"
INSIDE = "0 <= row < H and 0 <= column < W"
FLOOR = (
    "    gx = np.zeros",
    "    OH, OW = (top + H + bottom - KH) // SH + 1, (left + W + right - KW) // SW + 1\n    gx = np.zeros",
)
LIKELY = {
    "stride": "the stride is forgotten",
    "strides": "the two strides are exchanged",
    "elements": "the stride multiplies i and j",
    "window": "height and width of the window are exchanged",
    "sides": "the paddings at the top and the left are exchanged",
    "sign": "the padding moves the windows down and right",
    "end": "to NumPy, -1 is the last one",
    "floor": "the last windows are left out",
}
# Changes, and how the hint reads; the same for both.
BOTH = [
    ([(PLACE, "p + i - top, q + j - left")], LIKELY["stride"]),
    ([(PLACE, "p * SW + i - top, q * SH + j - left")], LIKELY["strides"]),
    ([(PLACE, "p + i * SH - top, q + j * SW - left")], LIKELY["elements"]),
    ([(PLACE, "p * SH + j - top, q * SW + i - left")], LIKELY["window"]),
    ([("(KH, KW), (SH", "(KW, KH), (SH")], LIKELY["window"]),
    ([(PLACE, "p * SH + i - left, q * SW + j - top")], LIKELY["sides"]),
    ([(PLACE, "p * SH + i + top, q * SW + j + left")], LIKELY["sign"]),
    ([(INSIDE, "-H <= row < H and -W <= column < W")], LIKELY["end"]),
    ([FLOOR], LIKELY["floor"]),
]
AVERAGES = [
    *BOTH,
    ([(PLACE, "p + i - top, q + j - left"), (" / count[p, q]", "")], "all of gy, and the stride is"),
    ([(PLACE, "p * SH + i, q * SW + j")], "gx is shifted"),
    ([("+= gy", "= gy")], "a pixel in several windows keeps the share of the last one"),
]
MAXIMA = [
    *BOTH,
    ([(PLACE, "p * SH + i, q * SW + j")], "as if it were not padded at the top and left"),
    ([("-np.inf", "0")], "windows without a positive pixel send nothing back"),
    ([("-np.inf", "np.inf"), ("> largest", "< largest")], "the gradient goes to the smallest pixel"),
    ([("gy[n, p, q, c]", "gy[n, p, q, c] * largest")], "your gx is multiplied by the maximum itself"),
    ([("> largest", ">= largest")], "of equal pixels the last receives the gradient"),
    ([("+= gy", "= gy")], "a pixel that won several windows keeps one gradient"),
]
