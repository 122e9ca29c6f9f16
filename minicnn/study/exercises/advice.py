"""What errors of Python and NumPy mostly mean when they come out of a backward pass."""

from __future__ import annotations

import re

ADVICE = (
    (
        r"ValueError: (matmul|shapes .* not aligned)",
        "likely: missing transpose. In a @ b the last size of a is the first of b; compare the shapes above.",
    ),
    (
        r"ValueError: (operands could not be broadcast|could not broadcast|non-broadcastable)",
        "likely: an axis that is missing (gy[:, None]; keepdims=True; gy[:, p:p+1] instead of gy[:, p]), "
        "a missing sum, or a slice of the wrong size; compare the shapes above.",
    ),
    (
        r"ValueError: (assignment destination|output array) is read-only",
        "likely: an in-place operation on an array that is not yours; make a new array instead.",
    ),
    (
        r"ValueError: The truth value of an array",
        "likely: an `if`, a `while` or max() that is given a whole array. Multiply by a mask (gy * (x > 0)), "
        "or use np.where or np.maximum, which go element by element.",
    ),
    (
        r"ValueError: cannot reshape array",
        "likely: an axis that is forgotten in the new shape: it has to hold as many values as the old one.",
    ),
    (
        r"ValueError: array split does not result in an equal division",
        "likely: parts of equal size where the sizes differ. np.split also takes the positions of the cuts.",
    ),
    (
        r"gx\[0\], .*; it returns a list of",
        "likely: np.split cuts at the positions it is given: n parts have n - 1 cuts between them, and the "
        "cuts are sums of sizes.",
    ),
    (
        r"ValueError: (attempt to get argmax of an empty|zero-size array)",
        "likely: an empty slice. A start below 0 counts from the end: use max(start, 0).",
    ),
    (
        r"IndexError: index .* is out of bounds",
        "likely: a row or column beyond the image. Padding and ceil mode lead there (0 <= row < H has to be "
        "checked, or the array has to be large enough); so do exchanged heights and widths.",
    ),
    (
        r"IndexError: too many indices for array",
        "likely: an array with fewer axes than you think; print its shape. np.zeros_like(x_shape) is an "
        "array of four numbers; np.zeros(x_shape, gy.dtype) is one of that shape.",
    ),
    (
        r"TypeError: cannot unpack non-iterable numpy",
        "likely: argmax gives one number, the place in the flattened array; np.unravel_index makes row and "
        "column of it.",
    ),
    (
        r"TypeError: 'NoneType' object",
        "likely: a variable that is still None, because nothing was found in that window: begin with "
        "-np.inf, and mind where the window begins in the image.",
    ),
    (
        r"UFuncTypeError: Cannot cast|is u?int\d+, its input is",
        "likely: an array of whole numbers, which cannot hold fractions: np.zeros(shape, gy.dtype).",
    ),
    (
        r"is (bool|float\d+), its input is",
        "use arrays of the dtype of gy: np.zeros_like(x), np.zeros(shape, gy.dtype), mask * gy",
    ),
    (
        r"^\w+ is None",
        "every gradient is graded; return an array for each.",
    ),
)  # fmt: skip


def advice_on(problem: str) -> list[str]:
    """Return what is likely behind a problem; empty if it speaks for itself.

    Examples
    --------
    >>> advice_on("relu.py:3: ValueError: assignment destination is read-only")
    ['likely: an in-place operation on an array that is not yours; make a new array instead.']
    >>> advice_on("relu.py:3: NameError: name 'y' is not defined")
    []
    """
    return [advice for pattern, advice in ADVICE if re.search(pattern, problem)]
