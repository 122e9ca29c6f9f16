"""The ONNX project's vectors for the ops of minicnn: each of them passes or is listed with a reason."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason='needs ONNX: the extra "parity"')

from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from minicnn import MinicnnError
from parity.comparison import count_vector
from parity.onnx_exclusions import NOT_APPLICABLE
from parity.onnx_node import NotExpressible
from parity.onnx_translation import TRANSLATIONS, run_model
from parity.onnx_vectors import HELPERS, OPS, collect

pytestmark = pytest.mark.parity

EXCLUDED = [name for names in NOT_APPLICABLE.values() for name in names]
APPLICABLE = [name for name in collect() if name not in EXCLUDED]

# The ONNX project allows an error of 1e-3; minicnn stays well below that.
RTOL, ATOL = 1e-5, 1e-6
FOUR_DIGITS = {"test_averagepool_2d_ceil_last_window_starts_on_pad"}  # its outputs are written down so


@pytest.mark.parametrize("name", APPLICABLE)
def test_vector(name):
    vector = collect()[name]
    assert vector.data_sets
    for inputs, expected in vector.data_sets:
        # Some vectors expect the infinities and nans that these warnings announce.
        unusual = any(not np.isfinite(array).all() for array in expected)
        with np.errstate(divide="ignore" if unusual else "raise", invalid="ignore" if unusual else "raise"):
            outputs = run_model(vector.model, inputs, expected)
        for ours, theirs in zip(outputs, expected, strict=True):
            assert ours.dtype == theirs.dtype
            assert ours.shape == theirs.shape
            rtol = 1e-3 if name in FOUR_DIGITS else RTOL
            np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=ATOL)
    count_vector(vector.op_types[0] if len(vector.op_types) == 1 else "several ops")


@pytest.mark.parametrize("name", EXCLUDED)
def test_what_does_not_apply_is_refused(name):
    """So the list cannot hide a vector that would fail, or one that would pass."""
    for inputs, expected in collect()[name].data_sets:
        with pytest.raises((NotExpressible, MinicnnError)):
            run_model(collect()[name].model, inputs, expected)


def test_every_vector_is_run_or_listed():
    assert len(EXCLUDED) == len(set(EXCLUDED)), "listed twice"
    assert set(EXCLUDED) <= collect().keys(), "listed, but there is no such vector"
    assert {*APPLICABLE, *EXCLUDED} == collect().keys()
    assert all(NOT_APPLICABLE), "a reason is missing"
    assert {*TRANSLATIONS, "Gradient"} == OPS | HELPERS
    run = {op for name in APPLICABLE for op in collect()[name].op_types}
    assert run == OPS, "of these ops no vector is run"
    print(f"{len(APPLICABLE)} ONNX vectors are run, {len(EXCLUDED)} do not apply")


def evaluate_both(op: str, inputs: dict[str, np.ndarray], **attributes) -> tuple[np.ndarray, np.ndarray]:
    """Compute an op that no stored vector covers with minicnn and with the ONNX project's reference."""
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, a.shape) for n, a in inputs.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node(op, list(inputs), ["y"], **attributes)], op, infos, [output])
    model = helper.make_model(graph)
    (expected,) = ReferenceEvaluator(model).run(None, inputs)
    (ours,) = run_model(model, list(inputs.values()), [expected])
    return ours, expected


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6])
def test_lrn_windows_of_even_size_are_mirrored(size, rng):
    # As many images as channels: the reference counts the one where it means the other.
    x = rng.standard_normal((7, 7, 3, 2)).astype(np.float32)
    ours, expected = evaluate_both("LRN", {"x": x}, size=size, alpha=1.0, beta=0.75, bias=1.0)
    np.testing.assert_allclose(ours, expected, rtol=RTOL, atol=ATOL)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [2, 3, 4])
@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER"])
def test_same_padding(auto_pad, kernel, stride, rng):
    # Without MaxPool: for SAME_LOWER the reference rounds its output size down, against the standard.
    x = rng.standard_normal((2, 3, 7, 8)).astype(np.float32)
    w = rng.standard_normal((2, 3, kernel, kernel)).astype(np.float32)
    settings = {"auto_pad": auto_pad, "kernel_shape": [kernel, kernel], "strides": [stride, stride]}
    for op, inputs in [("Conv", {"x": x, "w": w}), ("AveragePool", {"x": x})]:
        ours, expected = evaluate_both(op, inputs, **settings)
        np.testing.assert_allclose(ours, expected, rtol=RTOL, atol=ATOL, err_msg=op)
