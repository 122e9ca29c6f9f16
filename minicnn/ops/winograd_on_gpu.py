"""Winograd's algorithm F(4x4, 3x3) on a GPU: the transforms are kernels, one launch each for all of a tile.

    V[a, b] = B^T d B         (36, P, CI)      a matrix for each number (a, b) of a patch d of x
    U[a, b] = G w G^T         (36, CI, CO)
    M[a, b] = V[a, b] @ U[a, b]                36 products in one call of cuBLAS
    y       = A^T M A                          BH x BW blocks of 4x4 pixels; P = n*BH*BW

    gM       = A gy A^T
    gU[a, b] = V[a, b]^T @ gM[a, b]            gw = G^T gU G

The gradient of x is made as im2col makes it (conv.py): as a convolution of gy with the filters turned by 180
degrees, by the same algorithm. The transposed steps that winograd.py takes on the CPU would save a transform
of gy, but patches overlap, and each pixel of gx would have to be gathered from up to four of them.

Derivation: docs/ops/winograd.md.
"""

from __future__ import annotations

from minicnn.backend import Array, array_module
from minicnn.buffers import empty
from minicnn.cuda.launch import C_TYPES, THREADS, evenly_spaced, launch
from minicnn.ops.matrix_product import multiply_into
from minicnn.ops.winograd import count_blocks
from minicnn.parallel import scratch
from minicnn.shapes import Window

PATCH = 36  # numbers of a 6x6 patch
CHANNELS_OF_A_BLOCK = 32  # of threads: a warp reads as many numbers that lie side by side

# How many times a GPU multiplies and adds in float32 while it moves a number to or from its memory (an H200
# 26 times, a small GPU 70 times), and while it starts a kernel.
MOVE = 32
START = 50_000_000


def pays(window: Window, CI: int, CO: int, images: int) -> bool:
    """Tell whether a batch of `images` is done sooner this way than by im2col, given that the algorithm fits.

    Both are reckoned in multiplications: those of the products, and those that there would have been time for
    while numbers are moved. Not measured; `python -m benchmarks.gpu reckon` reckons more exactly.
    """
    BH, BW = count_blocks(window)
    pixels, computed = images * window.OH * window.OW, images * 16 * BH * BW
    by_im2col = 9 * CI * CO * pixels + MOVE * pixels * (19 * CI + CO)
    products = 2.25 * CI * CO * computed
    transforms = 4.5 * (CI + CO) * computed + (CI + CO) * pixels + 81 * CI * CO  # the last: of the filters
    return products + MOVE * transforms + START < by_im2col


class GpuWinogradKernel:
    """A bank of 3x3 filters on a GPU, ready to be convolved with one tile of images after the other.

    The counterpart of `Im2colKernel` in conv.py, with the same attributes and methods. `window` has to have a
    window of its input gradient, so there is no more padding than the filters reach.
    """

    def __init__(self, w: Array, window: Window) -> None:
        self.w = w
        self.window = window
        self.U = filter_transform(w)  # (36, CI, CO)
        self.turned_window = window.of_input_gradient()
        self.turned_U: Array | None = None
        self.gradient_shape = w.shape
        BH, BW = count_blocks(window)
        self.bytes_per_image = PATCH * BH * BW * (w.shape[2] + w.shape[3]) * w.dtype.itemsize  # V and M

    def convolve(self, x: Array, out: Array, window: Window | None = None) -> None:
        """Write the convolution of x (n, H, W, CI) into out (n, OH, OW, CO), by `window` or its own.

        The pixels of `out` are evenly spaced in memory.
        """
        convolve(x, self.U, window or self.window, out)

    def prepare_input_gradient(self) -> None:
        """Transform the filters turned by 180 degrees, with exchanged channels."""
        self.turned_U = filter_transform(self.w[::-1, ::-1].swapaxes(2, 3))

    def gradients(self, x: Array, gy: Array, gx: Array | None, gw: Array | None) -> None:
        """Write the gradients, given x (n, H, W, CI) and gy (n, OH, OW, CO), into gx and gw where wanted."""
        if gw is not None:
            V = input_transform(x, self.window)  # (36, P, CI)
            gM = output_transform_backward(gy, self.window)  # (36, P, CO)
            gU = scratch("winograd gU", self.U.shape, x)
            multiply_into(V.transpose(0, 2, 1), gM, out=gU)
            filter_transform_backward(gU, out=gw)
        if gx is not None:
            assert self.turned_window is not None
            assert self.turned_U is not None
            convolve(gy, self.turned_U, self.turned_window, out=gx)

    def weight_gradient(self, gw: Array) -> Array:
        """Return the sum of all tiles' gw as it is: it has the shape of w."""
        return gw


def convolve(x: Array, U: Array, window: Window, out: Array) -> None:
    """Write the convolution of x (n, H, W, CI) with U (36, CI, CO) into out (n, OH, OW, CO)."""
    V = input_transform(x, window)  # (36, P, CI)
    M = scratch("winograd M", (PATCH, V.shape[1], U.shape[2]), x)
    multiply_into(V, U, out=M)
    output_transform(M, window, out)


# ---- the transforms ---------------------------------------------------------------------------------


def input_transform(x: Array, window: Window) -> Array:
    """Compute V = B^T d B of the patches of x (n, H, W, CI): (36, P, CI)."""
    n, H, W, CI = x.shape
    BH, BW = count_blocks(window)
    V = scratch("winograd V", (PATCH, n * BH * BW, CI), x)
    pixels, step = evenly_spaced(x)
    _launch("input_transform", pixels, V, V.shape[1], CI, BH, BW, H, W, step, window.top, window.left)
    return V


def filter_transform(w: Array) -> Array:
    """Compute U = G w G^T: w (3, 3, CI, CO) becomes (36, CI, CO)."""
    _, _, CI, CO = w.shape
    U = empty((PATCH, CI, CO), w)
    _launch("filter_transform", array_module(w).ascontiguousarray(w), U, CI, CO)
    return U


def output_transform(M: Array, window: Window, out: Array) -> None:
    """Write y = A^T M A, from M (36, P, CO), into out (n, OH, OW, CO)."""
    _, patches, CO = M.shape
    step = out.strides[2] // out.itemsize
    _launch("output_transform", M, out, patches, CO, *count_blocks(window), window.OH, window.OW, step)


def output_transform_backward(gy: Array, window: Window) -> Array:
    """Compute gM = A gy A^T of the blocks of gy (n, OH, OW, CO): (36, P, CO)."""
    n, OH, OW, CO = gy.shape
    BH, BW = count_blocks(window)
    gM = scratch("winograd M", (PATCH, n * BH * BW, CO), gy)
    pixels, step = evenly_spaced(gy)
    _launch("output_transform_backward", pixels, gM, gM.shape[1], CO, BH, BW, OH, OW, step)
    return gM


def filter_transform_backward(gU: Array, out: Array) -> None:
    """Write gw = G^T gU G, from gU (36, CI, CO), into out (3, 3, CI, CO)."""
    _, CI, CO = gU.shape
    _launch("filter_transform_backward", gU, out, CI, CO)


def _launch(kernel: str, source: Array, target: Array, rows: int, channels: int, *geometry: int) -> None:
    """Start a kernel with a thread for each channel of each patch, or each output and input channel."""
    across, down = CHANNELS_OF_A_BLOCK, THREADS // CHANNELS_OF_A_BLOCK
    launch(
        "winograd.cu", f"{kernel}<{C_TYPES[target.dtype]}>",
        (-(-rows // down), -(-channels // across)), (across, down),
        source, target, rows, channels, *geometry,
    )  # fmt: skip
