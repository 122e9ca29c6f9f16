"""SGD, schedules and averaging against numbers worked out by hand and against plain loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn import Tensor, UsageError, nn, optim
from minicnn.errors import CheckpointError
from op_runs import threads


def parameter(*values: float) -> nn.Parameter:
    return nn.Parameter(np.array(values))


def take_steps(sgd: optim.SGD, gradients: list[np.ndarray]) -> None:
    """Every parameter gets the same gradient in each step."""
    for gradient in gradients:
        for p in sgd.parameters:
            p.grad = gradient.copy()
        sgd.step()


# ---- SGD --------------------------------------------------------------------------------------------


def test_two_steps_by_hand():
    w = parameter(1.0)
    sgd = optim.SGD([w], lr=0.1, momentum=0.9, weight_decay=0.1)
    take_steps(sgd, [np.array([0.5])])
    assert w.data == pytest.approx([0.94])  # v = 0.5 + 0.1 * 1 = 0.6
    take_steps(sgd, [np.array([0.5])])
    assert w.data == pytest.approx([0.8266])  # v = 0.9 * 0.6 + 0.5 + 0.1 * 0.94 = 1.134


def test_two_nesterov_steps_by_hand():
    w = parameter(1.0)
    sgd = optim.SGD([w], lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True)
    take_steps(sgd, [np.array([0.5])])
    assert w.data == pytest.approx([0.886])  # d = v = 0.6; 1 - 0.1 * (0.6 + 0.9 * 0.6)
    take_steps(sgd, [np.array([0.5])])
    assert w.data == pytest.approx([0.725566])  # d = 0.5886, v = 1.1286; 0.886 - 0.1 * (d + 0.9 * v)


def test_rate_belongs_outside_the_velocity():
    """When the rate drops, the whole movement drops at once; Caffe's form would coast on."""
    w = parameter(0.0)
    sgd = optim.SGD([w], lr=1.0, momentum=0.5)
    take_steps(sgd, [np.array([1.0])])
    sgd.lr_factor = 0.1
    take_steps(sgd, [np.array([1.0])])
    assert w.data == pytest.approx([-1.0 - 0.1 * 1.5])


@given(
    st.floats(1e-3, 1.0), st.floats(0.0, 0.99), st.floats(0.0, 0.5), st.booleans(), st.integers(0, 2**32 - 1)
)
def test_equals_a_plain_loop(lr, momentum, weight_decay, nesterov, seed):
    rng = np.random.default_rng(seed)
    nesterov = nesterov and momentum > 0
    start, gradients = rng.standard_normal((2, 3)), list(rng.standard_normal((5, 2, 3)))
    p = nn.Parameter(start.copy())
    take_steps(optim.SGD([p], lr, momentum, weight_decay, nesterov), gradients)
    for index in np.ndindex(2, 3):
        w, v = start[index], 0.0
        for gradient in gradients:
            d = gradient[index] + weight_decay * w
            v = momentum * v + d
            w -= lr * (d + momentum * v if nesterov else v)
        assert p.data[index] == pytest.approx(w, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_works_in_place_and_keeps_dtype(dtype, rng):
    p = nn.Parameter(rng.standard_normal((3, 4)).astype(dtype))
    array, gradient = p.data, rng.standard_normal((3, 4)).astype(dtype)
    before, given_gradient = array.copy(), gradient.copy()
    sgd = optim.SGD([p], 0.1, weight_decay=0.01, nesterov=True)
    p.grad = gradient
    sgd.step()
    assert p.data is array
    assert array.dtype == dtype
    assert (array != before).all()
    assert (gradient == given_gradient).all(), "a gradient may be somebody else's"
    assert sgd.state_dict()["velocity"][0].dtype == dtype


def test_parameters_without_gradient_are_left_alone():
    moved, left = parameter(1.0), parameter(1.0)
    sgd = optim.SGD([left, moved], lr=0.1, weight_decay=0.5)
    moved.grad = np.array([1.0])
    sgd.step()
    assert moved.data != 1.0
    assert left.data == 1.0
    assert list(sgd.state_dict()["velocity"]) == [1]
    sgd.zero_grad()
    assert moved.grad is None
    sgd.step()
    assert moved.data == pytest.approx([0.85])


def test_groups_have_rates_and_decays_of_their_own():
    plain, slow, decayed = parameter(1.0), parameter(1.0), parameter(1.0)
    groups = [{"params": [plain]}, {"params": [slow], "lr": 0.01}, {"params": [decayed], "weight_decay": 1.0}]
    sgd = optim.SGD(groups, lr=0.1, momentum=0.0)
    sgd.lr_factor = 0.5
    take_steps(sgd, [np.array([1.0])])
    assert plain.data == pytest.approx([0.95])
    assert slow.data == pytest.approx([0.995])
    assert decayed.data == pytest.approx([0.9])


def test_biases_are_not_decayed_and_may_be_faster(rng):
    model = nn.Sequential(nn.Conv2d(3, 4, 3, rng=rng), nn.Linear(4, 2, rng=rng))
    groups = optim.weight_and_bias_groups(model, lr=0.1, weight_decay=0.2, bias_lr_factor=2.0)
    first, second = model.children()
    assert groups[0]["params"] == [first[1].weight, second[1].weight]
    assert groups[1]["params"] == [first[1].bias, second[1].bias]
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(0.1, 0.2), (0.2, 0.0)]


def test_layers_with_rates_of_their_own():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 1))
    groups = optim.weight_and_bias_groups(model, 0.1, 0.2, bias_lr_factor=2.0, layer_factors={"1": 5.0})
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {names[id(p)]: (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    assert found == {
        "0.weight": (0.1, 0.2), "0.bias": (0.2, 0.0), "1.weight": (0.5, 0.2), "1.bias": (1.0, 0.0),
        "2.weight": (0.1, 0.2), "2.bias": (0.2, 0.0),
    }  # fmt: skip
    with pytest.raises(UsageError, match=r"^layer_factors: 7: the model has no child of this name"):
        optim.weight_and_bias_groups(model, 0.1, 0.2, layer_factors={"1": 5.0, "7": 2.0})


def test_state_dict_continues_exactly(rng):
    gradients = list(rng.standard_normal((6, 4)))
    whole, first = nn.Parameter(np.ones(4)), nn.Parameter(np.ones(4))
    take_steps(optim.SGD([whole], 0.1, weight_decay=0.1), gradients)
    sgd = optim.SGD([first], 0.1, weight_decay=0.1)
    take_steps(sgd, gradients[:3])
    state, values = sgd.state_dict(), first.data.copy()
    take_steps(sgd, gradients[3:])  # the state must not move along

    second = nn.Parameter(values)
    continued = optim.SGD([second], 123.0, momentum=0.0)
    continued.load_state_dict(state)
    take_steps(continued, gradients[3:])
    assert (second.data == whole.data).all()


def test_state_of_another_optimizer_is_refused():
    sgd = optim.SGD([parameter(1.0, 2.0)], 0.1)
    take_steps(sgd, [np.ones(2)])
    state = sgd.state_dict()
    with pytest.raises(CheckpointError, match=r"velocity of parameter 0 has shape \(2,\).*\(1,\)"):
        optim.SGD([parameter(1.0)], 0.1).load_state_dict(state)
    with pytest.raises(CheckpointError, match="state of 2 groups, got 1"):
        optim.SGD([{"params": [parameter(1.0)]}, {"params": [parameter(1.0)]}], 0.1).load_state_dict(state)
    state["velocity"][1] = np.ones(2)
    with pytest.raises(CheckpointError, match="state of 1 parameters, got number 1"):
        optim.SGD([parameter(1.0, 2.0)], 0.1).load_state_dict(state)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lr": 0.0}, "lr must be a number above 0, got 0.0"),
        ({"lr": -1.0}, "lr must be a number above 0, got -1.0"),
        ({"lr": math.nan}, "lr must be a number above 0, got nan"),
        ({"lr": 0.1, "momentum": 1.0}, "momentum must be at least 0 and below 1, got 1.0"),
        ({"lr": 0.1, "momentum": -0.1}, "momentum must be at least 0"),
        ({"lr": 0.1, "weight_decay": -1.0}, "weight_decay must be a number of at least 0, got -1.0"),
        ({"lr": 0.1, "momentum": 0.0, "nesterov": True}, "needs a momentum above 0"),
    ],
)
def test_wrong_settings(settings, words):
    with pytest.raises(UsageError, match=words):
        optim.SGD([parameter(1.0)], **settings)


def test_wrong_parameters():
    w = parameter(1.0)
    with pytest.raises(UsageError, match="at least one parameter"):
        optim.SGD([], 0.1)
    with pytest.raises(UsageError, match="given twice"):
        optim.SGD([w, w], 0.1)
    with pytest.raises(UsageError, match="mixture"):
        optim.SGD([{"params": [w]}, w], 0.1)
    with pytest.raises(UsageError, match="unknown 'rate'"):
        optim.SGD([{"params": [w], "rate": 1.0}], 0.1)
    with pytest.raises(UsageError, match="no 'params'"):
        optim.SGD([{"lr": 1.0}], 0.1)


# ---- schedules --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "points"),
    [
        (optim.constant, {0: 1.0, 99: 1.0}),
        (optim.cosine, {0: 1.0, 25: 0.5 + math.sqrt(0.5) / 2, 50: 0.5, 75: 0.5 - math.sqrt(0.5) / 2}),
        (optim.poly, {0: 1.0, 75: 0.5, 99: 0.1}),
        (lambda step, total: optim.poly(step, total, power=2.0), {50: 0.25}),
        (lambda step, total: optim.step_decay(step, total, every=8), {7: 1.0, 8: 0.96, 16: 0.96**2}),
        (optim.one_cycle, {0: 0.04, 25: 1.0, 40: 0.8, 99: 1 / 75}),
        (
            lambda step, total: optim.one_cycle(step, total, warm_up=0.5, start=0.2),
            {0: 0.2, 25: 0.6, 75: 0.5},
        ),
        (lambda step, total: optim.one_cycle(step, total, warm_up=0.0), {0: 1.0, 50: 0.5}),
    ],
)
def test_schedules_at_known_points(schedule, points):
    assert {step: schedule(step, 100) for step in points} == pytest.approx(points)


@given(st.integers(1, 10_000), st.floats(0.0, 0.99), st.data())
def test_rates_are_never_zero_or_above_the_highest(total, warm_up, data):
    """A step at rate 0 would be computed for nothing."""
    step = data.draw(st.integers(0, total - 1))
    for factor in (
        optim.cosine(step, total),
        optim.poly(step, total),
        optim.step_decay(step, total, every=3),
        optim.one_cycle(step, total, warm_up=warm_up),
    ):
        assert 0.0 < factor <= 1.0


def observe(schedule: optim.Plateau, *losses: float) -> list[float]:
    factors = []
    for loss in losses:
        schedule.observe(loss)
        factors.append(schedule(0, 1))
    return factors


def test_plateau_divides_by_ten_after_patience():
    schedule = optim.Plateau(patience=2)
    assert observe(schedule, 2.0, 1.0, 1.1, 0.9, 0.9, 0.9) == pytest.approx([1, 1, 1, 1, 1, 0.1])
    assert observe(schedule, 0.9, 0.9, 0.5, 0.6) == pytest.approx([0.1, 0.01, 0.01, 0.01])


def test_plateau_is_not_fooled_by_a_creeping_loss():
    schedule = optim.Plateau(patience=3)
    assert observe(schedule, 2.303, 2.3029, 2.3028, 2.3027)[-1] == pytest.approx(0.1)


def test_plateau_continues_from_its_state():
    schedule, other = optim.Plateau(patience=3), optim.Plateau(patience=3)
    observe(schedule, 1.0, 1.0, 1.0)
    other.load_state_dict(schedule.state_dict())
    assert observe(other, 1.0) == observe(schedule, 1.0) == pytest.approx([0.1])
    fresh = optim.Plateau()
    fresh.load_state_dict(optim.Plateau().state_dict())
    assert fresh.best == math.inf


@pytest.mark.parametrize("settings", [{"patience": 0}, {"factor": 0.0}, {"factor": 1.0}])
def test_wrong_plateaus(settings):
    with pytest.raises(UsageError, match=r"Plateau: \w+ must"):
        optim.Plateau(**settings)


# ---- averaging --------------------------------------------------------------------------------------


def test_average_is_plain_first_and_exponential_then(rng):
    values = rng.standard_normal((10, 3))
    p = nn.Parameter(np.zeros(3))
    average = optim.PolyakAverage([p], window=4)
    for value in values[:4]:
        p.data[...] = value
        average.update()
    np.testing.assert_allclose(average.averages[0], values[:4].mean(axis=0))
    expected = values[:4].mean(axis=0)
    for value in values[4:]:
        p.data[...] = value
        average.update()
        expected = 0.75 * expected + 0.25 * value
    np.testing.assert_allclose(average.averages[0], expected)


def test_averages_are_applied_and_taken_back():
    p = parameter(0.0)
    average = optim.PolyakAverage([p], window=10)
    for value in (1.0, 3.0):
        p.data[...] = value
        average.update()
    own = p.data

    def use() -> None:
        with average.applied():
            assert p.data == 2.0
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    assert p.data is own
    assert p.data == 3.0


def test_average_continues_from_its_state(rng):
    values = rng.standard_normal((6, 2))
    whole = optim.PolyakAverage([p := parameter(0.0, 0.0)], window=3)
    state = {}
    for i, value in enumerate(values):
        p.data[...] = value
        whole.update()
        if i == 2:
            state = whole.state_dict()
    other = optim.PolyakAverage([p], window=3)
    other.load_state_dict(state)
    for value in values[3:]:
        p.data[...] = value
        other.update()
    assert (other.averages[0] == whole.averages[0]).all()
    with pytest.raises(CheckpointError, match="averages of 1 parameters"):
        optim.PolyakAverage([parameter(1.0)], window=3).load_state_dict(state)


def test_wrong_window():
    with pytest.raises(UsageError, match="window must be at least 1"):
        optim.PolyakAverage([parameter(1.0)], window=0)


def test_clipping_scales_all_gradients_together(rng):
    parameters = [nn.Parameter(np.zeros(shape)) for shape in ((3, 4), (5,), ())]
    without = nn.Parameter(np.zeros(2))
    before = [rng.standard_normal(p.shape) for p in parameters]
    for p, g in zip(parameters, before, strict=True):
        p.grad = g
    norm = np.sqrt(sum((g**2).sum() for g in before))
    kept = [g.copy() for g in before]
    assert optim.clip_gradients([*parameters, without], max_norm=norm / 4) == pytest.approx(norm, rel=1e-12)
    for p, g, untouched in zip(parameters, before, kept, strict=True):
        np.testing.assert_allclose(p.grad, untouched / 4, rtol=1e-12)
        np.testing.assert_array_equal(g, untouched)  # somebody may hold the array
    assert without.grad is None


def test_clipping_leaves_small_gradients_alone():
    p = nn.Parameter(np.zeros(2, np.float32))
    p.grad = np.array([0.3, 0.4], np.float32)
    before = p.grad
    assert optim.clip_gradients([p], max_norm=0.51) == pytest.approx(0.5)
    assert p.grad is before
    optim.clip_gradients([p], max_norm=0.25)
    assert p.grad.dtype == np.float32
    with pytest.raises(UsageError, match=r"max_norm: expected a number above 0, got 0"):
        optim.clip_gradients([p], 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_norm_is_finite_if_all_gradients_are(dtype, bad, rng):
    """Even where their squares are not: clipping such gradients must not make zeros of them."""
    parameters = [nn.Parameter(np.zeros(3, dtype)) for _ in range(3)]
    large = 0.1 * float(np.finfo(dtype).max)
    with np.errstate(over="ignore"):
        for scale in (1.0, large):
            for p in parameters[:2]:
                p.grad = np.array([3, 0, 4], dtype) * dtype(scale / 5)
            assert optim.gradient_norm(parameters) == pytest.approx(math.sqrt(2) * scale, rel=1e-6)
        optim.clip_gradients(parameters, 1.0)
        for p in parameters[:2]:
            np.testing.assert_allclose(p.grad, np.array([3, 0, 4]) / 5 / math.sqrt(2), rtol=1e-6)
        parameters[0].grad = np.array([1, bad, 1], dtype)
        assert not math.isfinite(optim.gradient_norm(parameters))
    assert optim.gradient_norm(parameters[2:]) == 0.0


def test_a_lone_parameter_is_one_parameter():
    w = parameter(1.0, 2.0)
    for spelling in (w, [w], [{"params": w}]):
        sgd = optim.SGD(spelling, lr=0.5, momentum=0.0)
        assert len(sgd.parameters) == 1
        assert sgd.parameters[0] is w


@pytest.mark.parametrize("other", [[np.ones(2)], [Tensor([1.0])], [{"params": [np.ones(2)]}]])
def test_what_cannot_be_trained_is_refused(other):
    with pytest.raises(UsageError, match=r"SGD: expected parameters to train, got (ndarray|Tensor)"):
        optim.SGD(other, lr=0.1)


@pytest.mark.parametrize("nesterov", [False, True])
def test_pieces_of_parameters_give_the_same_bits(nesterov, rng):
    """Large ones are moved piece by piece, on several threads; the arithmetic is that of the formula."""
    shapes = [(3, 3, 70, 300), (1, 1, 5, 7), (1_100_000,), ()]
    starts = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    starts.append(np.asfortranarray(rng.standard_normal((900, 800)).astype(np.float32)))  # cannot be cut
    gradients = [[rng.standard_normal(w.shape).astype(np.float32) for w in starts] for _ in range(3)]
    results = []
    for count in (1, 2, 3):
        with threads(count):
            parameters = [nn.Parameter(w.copy(order="K")) for w in starts]
            sgd = optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=nesterov)
            for step in gradients:
                for parameter, g in zip(parameters, step, strict=True):
                    parameter.grad = g
                sgd.step()
            results.append([parameter.data for parameter in parameters])
    for place, start in enumerate(starts):
        w, v = start.copy(), np.zeros_like(start)
        for step in gradients:
            d = np.float32(0.01) * w + step[place]
            v = np.float32(0.9) * v + d
            w = w - np.float32(0.1) * (d + np.float32(0.9) * v if nesterov else v)
        np.testing.assert_allclose(results[0][place], w, rtol=1e-5, atol=1e-6)
        for other in results[1:]:
            np.testing.assert_array_equal(other[place], results[0][place])
