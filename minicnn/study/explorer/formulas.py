"""What an op computes and what its gradient is, in the words of its page in docs/ops, and with real shapes.

Every line below stands on the page it names, which a test compares; `FORMULAS` only chooses. For an op that
is not in the table, such as one of the reader's own, the indented equations of its docstring are taken.
"""

from __future__ import annotations

import inspect
import math
import re
import sys
from dataclasses import dataclass

from minicnn.ops.concat import Concat
from minicnn.shapes import Window
from minicnn.tensor import Function


@dataclass(frozen=True)
class Formula:
    """Lines of a page.

    Attributes
    ----------
    page : str
        Where they stand; empty for what comes from a docstring.
    forward, backward : tuple of str
        What is computed, and the gradients.
    """

    page: str
    forward: tuple[str, ...]
    backward: tuple[str, ...]


_CONVOLUTION_GRADIENTS = (
    "gb[o] = sum over n, p, q of  gy[n, p, q, o]",
    "gw    = cols^T @ gy           (KH*KW*CI, N*OH*OW) @ (N*OH*OW, CO)",
    "gcols = gy @ w^T              (N*OH*OW, CO) @ (CO, KH*KW*CI)",
    "gx_pad[n, h, w, c] = sum over o, and over all p, q, i, j with p*SH + i = h and q*SW + j = w,\n"
    "                     of  gy[n, p, q, o] * w[i, j, c, o]",
)
_MOVING = (("y[b] = x[a(b)] for some rule a",), ("gx[a] = sum over all b with a(b) = a of  gy[b]",))

FORMULAS = {
    "conv2d": Formula(
        "conv2d.md",
        (
            "y[n, p, q, o] = b[o] + sum over i, j, c of  x_pad[n, p*SH + i, q*SW + j, c] * w[i, j, c, o]",
            "cols[(n, p, q), (i, j, c)] = x_pad[n, p*SH + i, q*SW + j, c]       (N*OH*OW, KH*KW*CI)",
            "y = cols @ w + b         with w read as a matrix (KH*KW*CI, CO)",
        ),
        _CONVOLUTION_GRADIENTS,
    ),
    "conv2d_relu": Formula(
        "conv2d.md", ("`conv2d_relu` gives the numbers of `relu(conv2d(...))`",), _CONVOLUTION_GRADIENTS
    ),
    "inception": Formula(
        "inception.md",
        (
            "reduced3 = relu(x * w3_reduce + b3_reduce)            * is a convolution",
            "reduced5 = relu(x * w5_reduce + b5_reduce)",
            "pooled   = max_pool2d(x, 3x3, stride 1, padding 1)",
            "y        = relu([x * w1 + b1,  reduced3 * w3 + b3,  reduced5 * w5 + b5,  "
            "pooled * w_proj + b_proj])",
        ),
        ("There is nothing new to derive for the module: its gradient is theirs",),
    ),
    "concat": Formula(
        "concat.md",
        ("y  (N, H, W, C1 + C2 + C3 + C4)",),
        ("gx_k = gy[..., start_k : end_k]            start_k = C1 + ... + C(k-1),  end_k = start_k + Ck",),
    ),
    "relu": Formula("relu.md", ("y = max(x, 0)",), ("gx = gy * (y > 0)",)),
    "sigmoid": Formula("sigmoid.md", ("y = 1 / (1 + exp(-x))",), ("gx = gy * y * (1 - y)",)),
    "tanh": Formula(
        "tanh.md",
        ("y = tanh(x) = (exp(x) - exp(-x)) / (exp(x) + exp(-x))",),
        ("gx = gy * (1 - y^2)",),
    ),
    "max_pool2d": Formula(
        "max_pool2d.md",
        ("y[n, p, q, c] = max over i, j of  x_pad[n, p*SH + i, q*SW + j, c]",),
        ("gx[n, h, w, c] = sum of gy[n, p, q, c] over the windows (p, q) that (h, w) won",),
    ),
    "avg_pool2d": Formula(
        "avg_pool2d.md",
        ("y[n, p, q, c] = 1 / count[p, q] * sum over i, j of  x_pad[n, p*SH + i, q*SW + j, c]",),
        (
            "gx[n, h, w, c] = sum of  gy[n, p, q, c] / count[p, q]  "
            "over the windows (p, q) that contain (h, w)",
        ),
    ),
    "global_avg_pool2d": Formula(
        "global_avg_pool2d.md",
        ("y[n, c] = 1 / (H*W) * sum over h, w of  x[n, h, w, c]",),
        ("gx[n, h, w, c] = gy[n, c] / (H*W)",),
    ),
    "local_response_norm": Formula(
        "local_response_norm.md",
        (
            "s[..., c] = sum of  x[..., d]^2  over the window of c",
            "u         = k + alpha/size * s",
            "y         = x * u^-beta",
        ),
        ("gx = gy * f  -  2 * alpha*beta/size * x * ((gy * f * x / u) @ B^T)", "with f = u^-beta"),
    ),
    "dropout": Formula(
        "dropout.md",
        (
            "y = x * mask             mask = 0             with probability p\n"
            "                         mask = 1 / (1 - p)   otherwise",
        ),
        ("gx = gy * mask",),
    ),
    "linear": Formula(
        "linear.md",
        ("y[n, o] = b[o] + sum over i of  x[n, i] * w[i, o]            y = x @ w + b",),
        ("gx = gy @ w^T", "gw = x^T @ gy", "gb[o]    = sum over n of  gy[n, o]"),
    ),
    "matmul": Formula(
        "matmul.md",
        ("y[..., m, n] = sum over k of  a[..., m, k] * b[..., k, n]",),
        ("ga = gy @ b^T", "gb = a^T @ gy"),
    ),
    "cross_entropy": Formula(
        "cross_entropy.md",
        (
            "p[n, :] = softmax(x[n, :])",
            "y[n]    = -log p[n, label[n]]",
            "loss    = mean of y, or sum of y, or y itself",
        ),
        ("gx[n, :] = (p[n, :] - onehot(label[n])) * gy[n]",),
    ),
    "softmax": Formula(
        "softmax.md",
        ("y_i = exp(x_i) / sum over j of exp(x_j)",),
        ("y_i * (gy_i - sum over j of gy_j * y_j)",),
    ),
    "log_softmax": Formula(
        "log_softmax.md",
        ("y_i = log(softmax(x)_i) = x_i - log sum over j of exp(x_j)",),
        ("gx_i = gy_i - p_i * sum over j of gy_j",),
    ),
    "add": Formula("arithmetic.md", ("y = a + b",), ("ga = gy", "gb = gy")),
    "subtract": Formula("arithmetic.md", ("y = a - b",), ("ga = gy", "gb = -gy")),
    "multiply": Formula("arithmetic.md", ("y = a * b",), ("ga = gy * b", "gb = gy * a")),
    "divide": Formula("arithmetic.md", ("y = a / b",), ("ga = gy / b", "gb = -gy * a / b**2 = -ga * y")),
    "power": Formula(
        "arithmetic.md", ("y = a ** b",), ("ga = gy * b * a ** (b - 1)", "gb = gy * y * log(a)")
    ),
    "negate": Formula("arithmetic.md", ("y = -a",), ("ga = -gy",)),
    "exp": Formula("elementwise.md", ("y = exp(x)",), ("gx = gy * y",)),
    "log": Formula("elementwise.md", ("y = log(x)",), ("gx = gy / x",)),
    "sqrt": Formula("elementwise.md", ("y = sqrt(x)",), ("gx = gy / (2 * y)",)),
    "sum": Formula("reductions.md", ("y[n] = sum over k of x[n, k]",), ("gx[n, k] = gy[n] for all k",)),
    "mean": Formula("reductions.md", ("y[n] = 1/K * sum over k of x[n, k]",), ("gx[n, k] = gy[n] / K",)),
    "max": Formula(
        "reductions.md",
        ("y[n] = max over k of x[n, k]",),
        ("the winner receives gy[n], the others 0",),
    ),
    "reshape": Formula("shaping.md", *_MOVING),
    "transpose": Formula("shaping.md", *_MOVING),
    "getitem": Formula("shaping.md", *_MOVING),
}


def formula_of(function: Function) -> Formula:
    """Return the formula of an op: of the table, or from its docstring.

    Examples
    --------
    >>> from minicnn import Tensor, functional as F
    >>> formula_of(F.relu(Tensor([1.0], requires_grad=True)).creator).backward
    ('gx = gy * (y > 0)',)
    """
    return FORMULAS.get(function.name) or _from_docstring(function)


def _from_docstring(function: Function) -> Formula:
    described = inspect.getdoc(type(function)) or ""
    if "    " not in described:
        described = inspect.getdoc(sys.modules[type(function).__module__]) or ""
    lines = [line.strip() for line in described.splitlines() if line.startswith("    ") and "=" in line]
    backward = tuple(line for line in lines if line.startswith("g"))
    return Formula("", tuple(line for line in lines if line not in backward), backward)


# ---- with real shapes -------------------------------------------------------------------------------


def sizes_of(function: Function) -> dict[str, int]:
    """Give the letters of an op's formula their values in one application of it.

    Examples
    --------
    >>> import numpy as np
    >>> from minicnn import Tensor, functional as F
    >>> y = F.conv2d(Tensor(np.zeros((1, 8, 8, 3)), requires_grad=True), Tensor(np.zeros((3, 3, 3, 16))))
    >>> sizes = sizes_of(y.creator)
    >>> sizes["OH"], sizes["CI"], sizes["CO"]
    (6, 3, 16)
    """
    shapes = [t.shape for t in function.inputs]
    first = shapes[0] if shapes else ()
    sizes: dict[str, int] = {}
    window = getattr(function, "window", None)
    if isinstance(window, Window) and len(first) == 4:
        names = ("H", "W", "KH", "KW", "SH", "SW", "OH", "OW")
        sizes = {"N": first[0], **{name: getattr(window, name) for name in names}}
    elif function.name in ("global_avg_pool2d", "local_response_norm") and len(first) == 4:
        sizes = dict(zip(("N", "H", "W", "C"), first, strict=True))
    if function.name in ("conv2d", "conv2d_relu"):
        sizes |= {"CI": first[3], "CO": shapes[1][3]}
    elif len(first) == 4 and "pool" in function.name:
        sizes["C"] = first[3]
    elif function.name == "linear":
        sizes = dict(zip(("N", "I", "O"), (*first, shapes[1][1]), strict=True))
    elif function.name == "cross_entropy":
        sizes = dict(zip(("N", "K"), first, strict=True))
    return sizes


def filled_in(lines: tuple[str, ...], function: Function, shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """Return the lines of a formula that say more with numbers in them, with the numbers.

    Parameters
    ----------
    lines : tuple of str
        Forward or backward.
    function : Function
    shapes : dict of str to shape
        Of x, w, gy, ...: what the arrays of the formula are in this application.

    Examples
    --------
    >>> import numpy as np
    >>> from minicnn import Tensor, functional as F
    >>> y = F.linear(Tensor(np.zeros((1, 8))), Tensor(np.zeros((8, 10)), requires_grad=True))
    >>> filled_in(("gw = x^T @ gy",), y.creator, {"x": (1, 8), "gy": (1, 10), "gw": (8, 10)})
    ['gw (8, 10) = x^T (8, 1) @ gy (1, 10)']
    """
    if isinstance(function, Concat):
        return _slices(lines, function)
    sizes = sizes_of(function)
    filled = []
    for line in lines:
        text = _matrix_product(line, shapes)
        if text is None and not sizes:
            continue
        if text is None:
            text = re.sub(r"\b[A-Z]{1,2}\b", lambda m: str(sizes.get(m[0], m[0])), line)
            text = re.sub(r"\d+(?:\*\d+)+", lambda m: str(math.prod(map(int, m[0].split("*")))), text)
            text = re.sub(r"\b1 \* |\b1\*(?=\w)|(?<=\w)\*1\b", "", text)
        if re.findall(r"\d+", text) != re.findall(r"\d+", line):  # strides of 1 alone tell nothing new
            filled.append(text)
    return filled


def _matrix_product(line: str, shapes: dict[str, tuple[int, ...]]) -> str | None:
    """Fill in "gw = x^T @ gy"."""
    match = re.fullmatch(r"(\w+) = (\w+)(\^T)? @ (\w+)(\^T)?", line)
    if match is None or not all(len(shapes.get(match[group], ())) >= 2 for group in (2, 4)):
        return None

    def operand(name: str, turned: str | None) -> str:
        shape = shapes[name]
        shape = (*shape[:-2], shape[-1], shape[-2]) if turned else shape
        return f"{name}{turned or ''} {shape}"

    result = f"{match[1]} {shapes[match[1]]}" if match[1] in shapes else match[1]
    return f"{result} = {operand(match[2], match[3])} @ {operand(match[4], match[5])}"


def _slices(lines: tuple[str, ...], function: Concat) -> list[str]:
    """Fill in what concat joins, or cuts apart."""
    bounds = function.bounds
    if not lines or not lines[0].startswith("gx"):
        return [" + ".join(str(stop - start) for start, stop in bounds) + f" = {bounds[-1][1]} channels"]
    before = ":, " * function.axis
    return [f"gx_{k} = gy[{before}{start} : {stop}]" for k, (start, stop) in enumerate(bounds, start=1)]
