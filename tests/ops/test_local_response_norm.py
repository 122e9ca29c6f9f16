"""Local response normalisation with many channels, which it takes in blocks, and with constants at zero."""

import numpy as np
import pytest

from minicnn import Tensor
from minicnn import functional as F
from minicnn.ops.lrn import BLOCK
from op_runs import run


@pytest.mark.parametrize("channels", [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 2])
@pytest.mark.parametrize("size", [1, 2, 5, 8, 2 * BLOCK + 7])
def test_blocks_of_channels_in_local_response_norm(channels, size, rng):
    """The window sum is made block by block; windows reach across the borders of blocks."""
    x = Tensor(rng.standard_normal((2, 3, channels)), requires_grad=True)
    y = F.local_response_norm(x, size, alpha=1.5, beta=0.6, k=0.8)
    energy = np.zeros_like(x.data)
    for c in range(channels):
        first, last = max(0, c - size // 2), min(channels - 1, c + (size - 1) // 2)
        energy[..., c] = (x.data[..., first : last + 1] ** 2).sum(axis=-1)
    np.testing.assert_allclose(y.data, x.data * (0.8 + 1.5 / size * energy) ** -0.6, rtol=1e-12)
    direction, gy = rng.standard_normal(x.shape), rng.standard_normal(x.shape)
    y.backward(gy)
    step = 1e-6
    plus, minus = (
        F.local_response_norm(Tensor(x.data + sign * step * direction), size, 1.5, 0.6, 0.8).data
        for sign in (1, -1)
    )
    slope = ((plus - minus) * gy).sum() / (2 * step)
    np.testing.assert_allclose((x.grad * direction).sum(), slope, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("constants", [{"alpha": 0.0, "beta": 0.75}, {"alpha": 1.0, "beta": 0.0}], ids=str)
def test_without_energy_or_exponent_each_value_is_scaled_alike(constants, rng):
    x, gy = rng.standard_normal((2, 2, 3, 4, 6))
    y, (gx,) = run(F.local_response_norm, [x], {"k": 2.0, **constants}, gy)
    scale = 2.0 ** -constants["beta"] if constants["beta"] else 1.0
    np.testing.assert_allclose(y, x * scale, rtol=1e-14)
    np.testing.assert_allclose(gx, gy * scale, rtol=1e-14)
