"""One table of op cases drives these tests: what is true of every op, on every sample."""

import importlib
import pkgutil
import re

import numpy as np
import pytest

from minicnn import Function, Tensor, functional, gradcheck, no_grad, ops
from minicnn.errors import MinicnnError
from minicnn.op_cases import CASES
from minicnn.tensor import observe
from op_runs import (
    assert_gradients_match,
    cotangent,
    derivative_along,
    run,
    run_sample,
    samples_of_all_cases,
    threads,
    tile_bytes,
)

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
every_sample = pytest.mark.parametrize(("case", "sample"), samples_of_all_cases())


# ---- the table is complete ----


def test_every_public_function_has_a_case():
    assert set(CASES) == set(functional.__all__)


def test_every_recorded_function_has_a_case():
    modules = [
        importlib.import_module(f"minicnn.ops.{found.name}") for found in pkgutil.iter_modules(ops.__path__)
    ]
    defined = {
        value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Function) and not name.startswith("_")
    } - {Function}
    assert defined == {function for case in CASES.values() for function in case.functions}


@every_sample
def test_records_the_functions_of_the_case(case, sample):
    seen = []
    with observe(lambda function, inputs, output: seen.append(type(function))):
        case.function(*(Tensor(x) for x in sample.inputs), **sample.settings)
    nothing_to_do = case.name == "dropout" and (sample.settings["p"] == 0 or not sample.settings["training"])
    assert seen == ([] if nothing_to_do else list(case.functions))


@every_case
def test_every_case_has_bad_input(case):
    assert len(case.errors) > 0
    assert all(pattern.startswith("^") for _, _, pattern in case.errors)


# ---- values and gradients ----


@every_sample
def test_forward_matches_reference(case, sample):
    y = run_sample(case, sample).y
    expected = case.reference(*sample.inputs, **sample.settings)
    assert y.dtype == np.float64
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)


@every_sample
def test_gradients_match_exact_derivatives_of_reference(case, sample, rng):
    run_ = run_sample(case, sample)
    gy = cotangent(run_.y)
    assert_gradients_match(
        case.reference, sample.inputs, sample.settings, gy, run_.gradients, rng, directions=2
    )


@every_case
def test_full_jacobian(case, rng):
    """Every derivative of the first sample by itself: dy_k/dx_i for all k and i."""
    sample = case.samples(rng)[0]
    tensors = [Tensor(x, requires_grad=True) for x in sample.inputs]
    y = case.function(*tensors, **sample.settings)
    rows = []
    for k in range(y.size):
        unit = np.zeros(y.size)
        unit[k] = 1
        y.backward(unit.reshape(y.shape), retain_graph=True)
        rows.append([t.grad.ravel() for t in tensors])
        for t in tensors:
            t.zero_grad()
    for which, x in enumerate(sample.inputs):
        jacobian = np.stack([row[which] for row in rows])  # (outputs, inputs)
        columns = []
        for i in range(x.size):
            unit = np.zeros(x.size)
            unit[i] = 1
            direction = unit.reshape(x.shape)
            columns.append(derivative_along(case.reference, sample.inputs, sample.settings, which, direction))
        expected = np.stack([column.ravel() for column in columns], axis=1)
        np.testing.assert_allclose(jacobian, expected, rtol=1e-11, atol=1e-13)


@every_sample
def test_gradcheck_passes(case, sample, rng):
    report = gradcheck(lambda *tensors: case.function(*tensors, **sample.settings), sample.inputs, rng=rng)
    assert report, str(report)
    if "ties" not in sample.label:
        assert not report.kinks


@every_sample
def test_float32_stays_float32(case, sample):
    inputs = [x.astype(np.float32) for x in sample.inputs]
    # An array among the settings has a dtype of its own, which may not be mixed with another.
    settings = {
        name: value.astype(np.float32) if getattr(value, "dtype", None) == np.float64 else value
        for name, value in sample.settings.items()
    }
    y, gradients = run(case.function, inputs, settings)
    exact = run(
        case.function, [x.astype(np.float64) for x in inputs], sample.settings, cotangent(y).astype(float)
    )
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, exact.y, rtol=2e-5, atol=2e-6)
    for gradient, expected in zip(gradients, exact.gradients, strict=True):
        assert gradient.dtype == np.float32
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)


# ---- what an op must not depend on, and must leave alone ----


@every_sample
def test_inputs_and_incoming_gradient_are_left_alone(case, sample):
    arrays = [*sample.inputs, *(v for v in sample.settings.values() if isinstance(v, np.ndarray))]
    before = [array.copy() for array in arrays]
    y = case.function(*(Tensor(x) for x in sample.inputs), **sample.settings).data
    gy = cotangent(y)
    gy_before = gy.copy()
    for array in (*arrays, gy):
        array.flags.writeable = False  # writing to it raises
    try:
        run(case.function, sample.inputs, sample.settings, gy)
    finally:
        for array in arrays:
            array.flags.writeable = True
    for array, expected in zip((*arrays, gy), (*before, gy_before), strict=True):
        np.testing.assert_array_equal(array, expected)


@every_sample
def test_second_backward_gives_the_same(case, sample):
    """A backward pass must not use up or overwrite what forward saved."""
    tensors = [Tensor(x, requires_grad=True) for x in sample.inputs]
    y = case.function(*tensors, **sample.settings)
    y.backward(cotangent(y.data), retain_graph=True)
    first = [t.grad for t in tensors]
    for t in tensors:
        t.zero_grad()
    y.backward(cotangent(y.data))
    for t, expected in zip(tensors, first, strict=True):
        np.testing.assert_array_equal(t.grad, expected)


def spread_out(x: np.ndarray) -> np.ndarray:
    """Copy x into every second place of a larger array."""
    larger = np.full(tuple(2 * size for size in x.shape), np.nan)
    view = larger[tuple(slice(1, None, 2) for _ in x.shape)]
    view[...] = x
    return view


def backwards(x: np.ndarray) -> np.ndarray:
    """Copy x into memory in which every axis runs backwards."""
    flip = tuple(slice(None, None, -1) for _ in x.shape)
    return np.ascontiguousarray(x[flip])[flip]


LAYOUTS = {"column-major": np.asfortranarray, "every second element": spread_out, "backwards": backwards}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@every_sample
def test_memory_layout_does_not_matter(case, sample, layout):
    expected = run_sample(case, sample)
    gy = layout(cotangent(expected.y)) if expected.y.ndim else cotangent(expected.y)
    inputs = [layout(x) if x.ndim else x for x in sample.inputs]
    y, gradients = run(case.function, inputs, sample.settings, gy)
    np.testing.assert_allclose(y, expected.y, rtol=1e-13, atol=1e-14)
    for gradient, other in zip(gradients, expected.gradients, strict=True):
        np.testing.assert_allclose(gradient, other, rtol=1e-12, atol=1e-13)


@every_sample
def test_threads_change_no_bit_and_tiles_only_rounding(case, sample):
    whole = run_sample(case, sample)
    with tile_bytes(16):  # every image is a tile
        results = []
        for count in (1, 2, 3):
            with threads(count):
                results.append(run_sample(case, sample))
    for y, gradients in results[1:]:
        np.testing.assert_array_equal(y, results[0].y)
        for gradient, expected in zip(gradients, results[0].gradients, strict=True):
            np.testing.assert_array_equal(gradient, expected)
    np.testing.assert_allclose(results[0].y, whole.y, rtol=1e-13, atol=1e-14)
    for gradient, expected in zip(results[0].gradients, whole.gradients, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-13)


@every_sample
def test_each_gradient_can_be_had_alone(case, sample):
    together = run_sample(case, sample)
    for which in range(len(sample.inputs)):
        wanted = [i == which for i in range(len(sample.inputs))]
        alone = run(case.function, sample.inputs, sample.settings, wanted=wanted)
        for i, gradient in enumerate(alone.gradients):
            if i == which:
                np.testing.assert_array_equal(gradient, together.gradients[i])
            else:
                assert gradient is None


@every_sample
def test_without_a_graph_the_same_comes_out_and_nothing_is_kept(case, sample):
    functions = []
    with no_grad(), observe(lambda function, inputs, output: functions.append(function)):
        y = case.function(*(Tensor(x, requires_grad=True) for x in sample.inputs), **sample.settings)
    np.testing.assert_array_equal(y.data, run_sample(case, sample).y)
    for function in functions:
        assert y.creator is None
        assert function.saved == ()
        assert function.inputs == ()


# ---- bad input ----


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(error, id=f"{case.name}: {error.description}")
        for case in CASES.values()
        for error in case.errors
    ],
)
def test_bad_input_is_explained(error):
    with pytest.raises(MinicnnError) as caught:
        error.call()
    assert re.search(error.match, str(caught.value))
    assert "\n" not in str(caught.value)
