"""local_response_norm, concat and dropout give PyTorch's outputs and gradients."""

import numpy as np
import pytest

pytest.importorskip("torch", reason='needs PyTorch: the extra "parity"')

import torch

from minicnn import Tensor
from minicnn import functional as F
from parity.against_torch import check_op, nchw, nhwc
from parity.comparison import assert_agree
from parity.replayed_mask import ReplayedMask

pytestmark = pytest.mark.parity


# alpha is about one, so that the sum over the neighbours is no small correction.
@pytest.mark.parametrize(
    ("alpha", "beta", "k"), [(1.0, 0.75, 1.0), (0.7, 0.5, 2.0), (1.5, 2.0, 1.0), (1e-4, 0.75, 1.0)]
)
@pytest.mark.parametrize("size", range(1, 9))
def test_local_response_norm(size, alpha, beta, k, rng):
    for channels in (1, 2, 5, 12):
        check_op(
            "local_response_norm",
            f"size {size}, {channels} channels, alpha {alpha}, beta {beta}, k {k}",
            lambda x: F.local_response_norm(x, size, alpha, beta, k),
            lambda x: nhwc(torch.nn.functional.local_response_norm(nchw(x), size, alpha, beta, k)),
            [2 * rng.standard_normal((2, 3, 4, channels))],
            rng,
        )


def test_local_response_norm_many_tiles(rng):
    check_op(
        "local_response_norm",
        "many tiles",
        lambda x: F.local_response_norm(x, 5, 0.9, 0.75, 1.0),
        lambda x: nhwc(torch.nn.functional.local_response_norm(nchw(x), 5, 0.9, 0.75, 1.0)),
        [rng.standard_normal((7, 28, 28, 64))],
        rng,
    )


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -2, -4])
@pytest.mark.parametrize("sizes", [(3,), (1, 2), (4, 1, 3, 2)], ids=str)
def test_concat(sizes, axis, rng):
    shape = [2, 3, 4, 5]
    arrays = []
    for size in sizes:
        shape[axis] = size
        arrays.append(rng.standard_normal(shape))
    check_op(
        "concat",
        f"{sizes} along {axis}",
        lambda *t: F.concat(t, axis),
        lambda *t: torch.cat(t, axis),
        arrays,
        rng,
    )


def test_concat_of_a_tensor_with_itself(rng):
    check_op(
        "concat",
        "twice the same",
        lambda x: F.concat([x, x * x, x]),
        lambda x: torch.cat([x, x * x, x], -1),
        [rng.standard_normal((2, 3, 4))],
        rng,
    )


@pytest.mark.parametrize("p", [0.1, 0.5, 0.7, 1.0])
def test_dropout(p, rng):
    """With the mask that PyTorch drew."""
    torch.manual_seed(7)
    values, gy = rng.standard_normal((2, 4, 30))
    reference = torch.tensor(values, requires_grad=True)
    expected = torch.nn.functional.dropout(reference, p)
    expected.backward(torch.tensor(gy))
    kept = expected.detach().numpy() != 0
    assert not kept.all()

    x = Tensor(values, requires_grad=True)
    y = F.dropout(x, p, rng=ReplayedMask(kept))
    y.backward(gy)
    assert_agree("dropout", f"p {p}, output", y.data, expected)
    assert_agree("dropout", f"p {p}, gradient", x.grad, reference.grad)


@pytest.mark.parametrize(("p", "training"), [(0.0, True), (0.5, False)])
def test_dropout_that_drops_nothing(p, training, rng):
    check_op(
        "dropout",
        f"p {p}, training {training}",
        lambda x: F.dropout(x, p, training),
        lambda x: torch.nn.functional.dropout(x, p, training) * 1,
        [rng.standard_normal((3, 5))],
        rng,
    )


def test_dropout_keeps_the_share_it_is_told():
    """What minicnn draws itself has the same two values, and the share of zeros that PyTorch's has."""
    y = F.dropout(Tensor(np.ones(100_000)), 0.7, rng=np.random.default_rng(0)).data
    torch.manual_seed(0)
    expected = torch.nn.functional.dropout(torch.ones(100_000, dtype=torch.float64), 0.7).numpy()
    np.testing.assert_allclose(np.unique(y), np.unique(expected), rtol=1e-15)
    assert abs(y.mean() - 1) < 0.02
    assert abs(expected.mean() - 1) < 0.02
