"""A Hypothesis strategy for every op: arguments of any shape that fits it, with values that suit it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minicnn.op_cases.case import Sample
from strategies import generators, geometries

few = st.integers(1, 3)
sizes = st.integers(1, 4)
shapes = st.lists(sizes, min_size=0, max_size=4).map(tuple)
shapes_with_axes = st.lists(sizes, min_size=1, max_size=4).map(tuple)

Values = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(rng.standard_normal(shape))


def positive(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(rng.uniform(0.3, 3, shape))


def away_from_zero(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return positive(rng, shape) * rng.choice([-1, 1], shape)


@st.composite
def convolutions(draw: st.DrawFn) -> Sample:
    geometry, rng, groups = draw(geometries(pooling=False)), draw(generators), draw(few)
    N, CIG, COG = draw(few), draw(few), draw(few)
    inputs = [
        normal(rng, (N, *geometry.image, groups * CIG)),
        normal(rng, (*geometry.kernel_size, CIG, groups * COG)),
        normal(rng, (groups * COG,)),
    ]
    settings = {"stride": geometry.stride, "padding": geometry.padding, "groups": groups}
    return Sample("", tuple(inputs[: draw(st.sampled_from([2, 3]))]), settings)


@st.composite
def inceptions(draw: st.DrawFn) -> Sample:
    rng = draw(generators)
    C, C1, R3, C3, R5, C5, CP = (draw(few) for _ in range(7))
    kernels = ((1, C, C1), (1, C, R3), (3, R3, C3), (1, C, R5), (5, R5, C5), (1, C, CP))
    weights = [normal(rng, s) for K, CI, CO in kernels for s in ((K, K, CI, CO), (CO,))]
    return Sample("", (normal(rng, (draw(few), draw(few), draw(few), C)), *weights))


@st.composite
def poolings(draw: st.DrawFn, average: bool) -> Sample:
    """Draw small whole numbers for the maximum, so that ties abound, mostly negative: padding would show."""
    geometry, rng = draw(geometries(pooling=True)), draw(generators)
    shape = (draw(few), *geometry.image, draw(few))
    settings = {name: value for name, value in geometry._asdict().items() if name != "image"}
    if average:
        return Sample("", (normal(rng, shape),), settings | {"count_include_pad": draw(st.booleans())})
    spread = draw(st.sampled_from([0, 1, 3, 1000]))
    return Sample("", (rng.integers(-spread - 1, max(spread // 2, 0), shape).astype(np.float64),), settings)


@st.composite
def images(draw: st.DrawFn) -> Sample:
    return Sample("", (normal(draw(generators), (draw(few), draw(sizes), draw(sizes), draw(sizes))),))


@st.composite
def normalisations(draw: st.DrawFn) -> Sample:
    shape = (*draw(st.lists(few, min_size=1, max_size=3)), draw(st.integers(1, 9)))
    settings = {
        "size": draw(st.integers(1, 10)), "alpha": draw(st.floats(0.1, 3)),
        "beta": draw(st.sampled_from([0.75, 0.5, 1.0, 1.3])), "k": draw(st.floats(0.5, 2)),
    }  # fmt: skip
    return Sample("", (normal(draw(generators), shape),), settings)


@st.composite
def along_an_axis(draw: st.DrawFn) -> Sample:
    shape = draw(shapes_with_axes)
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    return Sample("", (normal(draw(generators), shape),), {"axis": axis})


@st.composite
def reductions(draw: st.DrawFn) -> Sample:
    shape = draw(shapes_with_axes)
    axes = st.integers(-len(shape), len(shape) - 1)
    several = st.lists(axes, unique_by=lambda a: a % len(shape), max_size=len(shape), min_size=1).map(tuple)
    settings = {"axis": draw(st.none() | axes | several), "keepdims": draw(st.booleans())}
    return Sample("", (normal(draw(generators), shape),), settings)


@st.composite
def classifications(draw: st.DrawFn) -> Sample:
    rng, N, K = draw(generators), draw(sizes), draw(st.integers(1, 6))
    settings = {"labels": rng.integers(0, K, N), "reduction": draw(st.sampled_from(["mean", "sum", "none"]))}
    return Sample("", (normal(rng, (N, K)),), settings)


@st.composite
def stretched(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Draw a shape that broadcasts to `shape`: fewer axes, or 1 in place of some sizes."""
    kept = shape[draw(st.integers(0, len(shape))) :]
    return tuple(1 if draw(st.booleans()) else size for size in kept)


@st.composite
def pairs(draw: st.DrawFn, first: Values = normal, second: Values = normal) -> Sample:
    shape, rng = draw(shapes), draw(generators)
    return Sample("", (first(rng, draw(stretched(shape))), second(rng, draw(stretched(shape)))))


@st.composite
def products(draw: st.DrawFn) -> Sample:
    stack, rng = draw(st.lists(sizes, max_size=2).map(tuple)), draw(generators)
    M, K, N = draw(sizes), draw(sizes), draw(sizes)
    return Sample(
        "", (normal(rng, (*draw(stretched(stack)), M, K)), normal(rng, (*draw(stretched(stack)), K, N)))
    )


@st.composite
def layers(draw: st.DrawFn) -> Sample:
    rng, N, CI, CO = draw(generators), draw(sizes), draw(st.integers(1, 9)), draw(st.integers(1, 9))
    inputs = (normal(rng, (N, CI)), normal(rng, (CI, CO)), normal(rng, (CO,)))
    return Sample("", inputs[: draw(st.sampled_from([2, 3]))])


@st.composite
def elements(draw: st.DrawFn, values: Values = normal) -> Sample:
    return Sample("", (values(draw(generators), draw(shapes)),))


@st.composite
def droppings(draw: st.DrawFn) -> Sample:
    settings = {"p": draw(st.floats(0, 0.9)), "training": draw(st.booleans()), "seed": draw(few)}
    return Sample("", (normal(draw(generators), draw(shapes_with_axes)),), settings)


@st.composite
def reshapings(draw: st.DrawFn) -> Sample:
    """Draw a new order of the prime factors of the size, and leave one size to be worked out at times."""
    shape, new = draw(shapes), [1]
    factors = [f for size in shape for f in ([2, 2] if size == 4 else [size])]
    for factor in draw(st.permutations(factors)):
        if draw(st.booleans()):
            new.append(1)
        new[-1] *= factor
    if draw(st.booleans()):
        new[draw(st.integers(0, len(new) - 1))] = -1
    return Sample("", (normal(draw(generators), shape),), {"shape": tuple(new)})


@st.composite
def transpositions(draw: st.DrawFn) -> Sample:
    shape = draw(shapes_with_axes)
    axes = draw(st.just(()) | st.permutations(range(len(shape))).map(tuple))
    return Sample("", (normal(draw(generators), shape),), {"axes": axes})


@st.composite
def flattenings(draw: st.DrawFn) -> Sample:
    return Sample("", (normal(draw(generators), draw(shapes_with_axes)),))


@st.composite
def pickings(draw: st.DrawFn) -> Sample:
    shape, rng = draw(shapes_with_axes), draw(generators)
    index: list[Any] = []
    for size in shape[: draw(st.integers(1, len(shape)))]:
        numbers, slices = st.integers(-size, size - 1), st.slices(size)
        index.append(draw(numbers | slices | st.just(slice(None))))
    picked = tuple(index) if len(index) > 1 or draw(st.booleans()) else index[0]
    return Sample("", (normal(rng, shape),), {"index": picked})


@st.composite
def joinings(draw: st.DrawFn) -> Sample:
    shape, rng = list(draw(shapes_with_axes)), draw(generators)
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    parts = []
    for _ in range(draw(few)):
        shape[axis] = draw(sizes)
        parts.append(normal(rng, tuple(shape)))
    return Sample("", tuple(parts), {"axis": axis})


GEOMETRIES: dict[str, st.SearchStrategy[Sample]] = {
    **dict.fromkeys(("conv2d", "conv2d_relu"), convolutions()),
    "inception": inceptions(),
    "max_pool2d": poolings(average=False),
    "avg_pool2d": poolings(average=True),
    "global_avg_pool2d": images(),
    "local_response_norm": normalisations(),
    **dict.fromkeys(("softmax", "log_softmax"), along_an_axis()),
    "cross_entropy": classifications(),
    "matmul": products(),
    "linear": layers(),
    **dict.fromkeys(("add", "subtract", "multiply"), pairs()),
    "divide": pairs(second=away_from_zero),
    "power": pairs(first=positive),
    **dict.fromkeys(("negate", "relu", "sigmoid", "tanh", "exp"), elements()),
    **dict.fromkeys(("log", "sqrt"), elements(positive)),
    "dropout": droppings(),
    **dict.fromkeys(("sum", "mean", "max"), reductions()),
    "reshape": reshapings(),
    "transpose": transpositions(),
    "flatten": flattenings(),
    "getitem": pickings(),
    "concat": joinings(),
}
