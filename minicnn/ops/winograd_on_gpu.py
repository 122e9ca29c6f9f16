"""Winograd's algorithm F(4x4, 3x3) on a GPU: the transforms are kernels, all of a tile in one launch each.

    V[a, b] = B^T d B         (36, P, CI)      a matrix for each place (a, b) of a patch d of x
    U[a, b] = G w G^T         (36, CI, CO)
    M[a, b] = V[a, b] @ U[a, b]                36 products in one call of cuBLAS
    y       = A^T M A                          BH x BW blocks of 4x4 pixels; P = N*BH*BW

    gM       = A gy A^T
    gU[a, b] = V[a, b]^T @ gM[a, b]            gw = G^T gU G

The gradient of x is made as im2col makes it (conv.py): as a convolution of gy with the filters turned by 180
degrees, by the same algorithm. The transposed steps that winograd.py takes on the CPU would save a transform
of gy, but patches overlap, and each pixel of gx would have to be gathered from up to four of them.

A GPU has more arithmetic than memory, so what counts besides the products is what the transforms move:
2.25 numbers for each number of x and y, twice, where im2col moves nine for each of x.

Derivation: docs/ops/winograd.md.
"""

from __future__ import annotations

from minicnn.backend import Array, array_module
from minicnn.buffers import empty
from minicnn.cuda.launch import C_TYPES, THREADS, evenly_spaced, launch
from minicnn.cuda.products import get_float32_matmul_precision
from minicnn.cuda.switch import uses_kernels
from minicnn.ops.matrix_product import multiply_into
from minicnn.ops.winograd import count_blocks
from minicnn.parallel import scratch
from minicnn.shapes import Window

PLACES = 36  # of a 6x6 patch
CHANNELS_OF_A_BLOCK = 32  # of threads: a warp reads as many numbers that lie side by side
LEAST_CHANNELS = 32
LEAST_PATCHES = 64


def pays(w: Array, window: Window, images: int) -> bool:
    """Tell whether a batch of `images` is done sooner this way than by im2col, given that the algorithm fits.

    In TF32 it never is: tensor cores leave little to save but memory, and TF32's rounding errors would grow.
    In float32 the rule is reckoned, not measured (docs/ops/winograd.md): with few channels the transforms
    move more than the products save, for few patches the filters are not worth transforming, and of images
    much smaller than their blocks most is thrown away.
    """
    BH, BW = count_blocks(window)
    return (
        uses_kernels(w)
        and get_float32_matmul_precision() == "highest"
        and window.of_input_gradient() is not None
        and w.shape[2] >= LEAST_CHANNELS
        and images * BH * BW >= LEAST_PATCHES
        and 16 * BH * BW <= 2 * window.OH * window.OW
    )


class GpuWinogradKernel:
    """A bank of 3x3 filters on a GPU, ready to be convolved with one tile of images after the other.

    The counterpart of `Im2colKernel` in conv.py, with the same attributes and methods.
    """

    def __init__(self, w: Array, window: Window) -> None:
        self.w = w
        self.window = window
        self.U = transform_filters(w)
        self.turned_U: Array | None = None
        self.gradient_shape = w.shape
        BH, BW = count_blocks(window)
        self.bytes_per_image = PLACES * BH * BW * (w.shape[2] + w.shape[3]) * w.dtype.itemsize

    def convolve(self, x: Array, out: Array, window: Window | None = None) -> None:
        """Write the convolution of x (n, H, W, CI) into out (n, OH, OW, CO), by `window` or its own."""
        convolve(x, self.U, window or self.window, out)

    def prepare_input_gradient(self) -> None:
        """Transform the filters turned by 180 degrees, with exchanged channels."""
        self.turned_U = transform_filters(self.w[::-1, ::-1].swapaxes(2, 3))

    def gradients(self, x: Array, gy: Array, gx: Array | None, gw: Array | None) -> None:
        """Write the gradients, given x (n, H, W, CI) and gy (n, OH, OW, CO), into gx and gw where wanted."""
        turned_window = self.window.of_input_gradient()
        if gw is not None:
            differentiate_filters(x, gy, self.window, gw)
        if gx is not None and self.turned_U is not None and turned_window is not None:
            convolve(gy, self.turned_U, turned_window, out=gx)

    def weight_gradient(self, gw: Array) -> Array:
        """Return the sum of all tiles' gw as it is: it has the shape of w."""
        return gw


# ---- on one tile of n images ------------------------------------------------------------------------


def convolve(x: Array, U: Array, window: Window, out: Array) -> None:
    """Write the convolution of x (n, H, W, CI) with U (36, CI, CO) into out (n, OH, OW, CO)."""
    V = transform_patches(x, window)  # (36, P, CI)
    M = scratch("winograd M", (PLACES, V.shape[1], U.shape[2]), x)
    multiply_into(V, U, out=M)
    pixels, step = evenly_spaced(out)
    launch_transform(
        "transform_products", V.shape[1], M, pixels, *count_blocks(window), window.OH, window.OW, step
    )
    if pixels is not out:
        out[...] = pixels


def differentiate_filters(x: Array, gy: Array, window: Window, gw: Array) -> None:
    """Write what n images contribute to the gradient of the filters, gw (3, 3, CI, CO).

    x (n, H, W, CI), gy (n, OH, OW, CO).
    """
    CI, CO = gw.shape[2:]
    V = transform_patches(x, window)  # (36, P, CI)
    gM = scratch("winograd M", (PLACES, V.shape[1], CO), x)
    pixels, step = evenly_spaced(gy)
    launch_transform(
        "transform_gradients", V.shape[1], pixels, gM, *count_blocks(window), window.OH, window.OW, step
    )
    gU = scratch("winograd gU", (PLACES, CI, CO), x)
    multiply_into(V.transpose(0, 2, 1), gM, out=gU)
    launch_transform("transform_filter_gradients", CI, gU, gw)


# ---- the transforms ---------------------------------------------------------------------------------


def transform_filters(w: Array) -> Array:
    """Compute U = G w G^T: w (3, 3, CI, CO) becomes (36, CI, CO)."""
    _, _, CI, CO = w.shape
    U = empty((PLACES, CI, CO), w)
    launch_transform("transform_filters", CI, array_module(w).ascontiguousarray(w), U)
    return U


def transform_patches(x: Array, window: Window) -> Array:
    """Compute V = B^T d B of the patches of x (n, H, W, CI): (36, P, CI)."""
    n, H, W, CI = x.shape
    BH, BW = count_blocks(window)
    V = scratch("winograd V", (PLACES, n * BH * BW, CI), x)
    pixels, step = evenly_spaced(x)
    launch_transform("transform_patches", V.shape[1], pixels, V, BH, BW, H, W, step, window.top, window.left)
    return V


def launch_transform(kernel: str, rows: int, source: Array, target: Array, *geometry: int) -> None:
    """Start a kernel with a thread for each channel of `rows` patches, or input channels of filters."""
    channels = target.shape[-1]
    across, down = CHANNELS_OF_A_BLOCK, THREADS // CHANNELS_OF_A_BLOCK
    launch(
        "winograd.cu", f"{kernel}<{C_TYPES[target.dtype]}>",
        (-(-rows // down), -(-channels // across)), (across, down),
        source, target, rows, channels, *geometry,
    )  # fmt: skip
