"""Modules as trees: parameters in order, modes, and loading weights."""

import numpy as np
import pytest

from minicnn import CheckpointError, DTypeError, Tensor, UsageError, models, nn
from minicnn import functional as F
from minicnn.nn import Parameter


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.zebra = Parameter(np.full(2, 1.0, np.float32))
        self.apple = Parameter(np.full((1, 3), 2.0, np.float32))

    def forward(self, x):
        return x * self.zebra


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.last_by_name = Inner()
        self.scale = Parameter(np.full(1, 3.0, np.float32))
        self.dropout = nn.Dropout(0.5)
        self.first_by_name = Inner()

    def forward(self, x):
        return self.first_by_name(self.last_by_name(x)) * self.scale


# A module's own parameters come before those of the modules below it; each kind in order of definition.
NAMES = ["scale", "last_by_name.zebra", "last_by_name.apple", "first_by_name.zebra", "first_by_name.apple"]


def test_parameters_come_in_order_of_definition():
    model = Outer()
    assert [name for name, _ in model.named_parameters()] == NAMES
    assert list(model.state_dict()) == NAMES
    assert all(a is b for a, (_, b) in zip(model.parameters(), model.named_parameters(), strict=True))
    assert model.num_parameters() == 1 + 2 * (2 + 3)


def test_modules_come_parents_first():
    model = Outer()
    assert [path for path, _ in model.named_modules()] == ["", "last_by_name", "dropout", "first_by_name"]
    assert dict(model.named_modules())["first_by_name"] is model.first_by_name


def test_shared_parameter_is_listed_once():
    model = Outer()
    model.first_by_name.zebra = model.last_by_name.zebra
    assert [name for name, _ in model.named_parameters()] == [n for n in NAMES if n != "first_by_name.zebra"]
    model(Tensor(np.ones(2, np.float32))).sum().backward()
    np.testing.assert_array_equal(model.last_by_name.zebra.grad, [6, 6])  # d(3 * z^2)/dz


def test_training_mode_reaches_all_modules():
    model = Outer()
    assert all(module.training for _, module in model.named_modules())
    assert model.eval() is model
    assert not any(module.training for _, module in model.named_modules())
    assert model.train() is model
    assert all(module.training for _, module in model.named_modules())


def test_zero_grad_forgets_all_gradients():
    model = Outer()
    model(Tensor(np.ones(2, np.float32))).sum().backward()
    assert model.scale.grad is not None
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_astype_converts_all_parameters_and_drops_gradients_of_the_old_dtype():
    model = Outer()
    model(Tensor(np.ones(2, np.float32))).sum().backward()
    assert model.astype(np.float64) is model
    assert all(p.dtype == np.float64 and p.grad is None for p in model.parameters())
    assert model(Tensor(np.ones(2))).dtype == np.float64
    with pytest.raises(
        DTypeError, match=r"^Parameter: data: expected an array of floating-point numbers, got dtype int"
    ):
        model.astype(int)


def test_to_the_device_where_it_is_changes_nothing():
    model = Outer()
    before = model.scale.data
    assert model.to("cpu") is model
    assert model.scale.data is before


def test_changed_weights_take_effect_at_the_next_forward():
    """Replaced or written to in place: nothing is remembered from earlier calls, fused or not."""
    rng = np.random.default_rng(0)
    conv = nn.Conv2d(2, 3, 3, padding=1, activation="relu", rng=rng)
    model = nn.Sequential(conv, nn.Flatten(), nn.Linear(12, 2, rng=rng))
    x = Tensor(rng.standard_normal((1, 2, 2, 2)).astype(np.float32))
    y = model(x).data
    conv.weight.data = 2 * conv.weight.data
    np.testing.assert_allclose(model(x).data, 2 * y, rtol=1e-5)
    conv.weight.data *= 2
    np.testing.assert_allclose(model(x).data, 4 * y, rtol=1e-5)
    conv.bias.data += 1
    assert (model(x).data != 4 * y).all()


# ---- saving and loading ----


def test_state_is_a_copy():
    model = Outer()
    state = model.state_dict()
    model.scale.data += 1
    assert state["scale"] == 3
    state["scale"][...] = 9
    assert model.scale.data == 4
    assert all(type(array) is np.ndarray for array in state.values())


def test_loading_copies_and_casts():
    model, other = Outer(), Outer().astype(np.float64)
    state = {
        name: np.full(array.shape, i + 0.25) for i, (name, array) in enumerate(model.state_dict().items())
    }
    report = model.load_state_dict(state)
    assert (report.missing, report.left_over) == ((), ())
    assert str(report) == "everything was loaded"
    for i, p in enumerate(model.parameters()):
        assert p.dtype == np.float32
        assert (p.data == i + 0.25).all()
    state["scale"][...] = 100
    assert model.scale.data == 0.25
    state = model.state_dict()
    model.load_state_dict(state)  # of the same dtype now
    state["scale"][...] = 100
    assert model.scale.data == 0.25
    other.load_state_dict(model.state_dict())
    assert all(p.dtype == np.float64 for p in other.parameters())


def test_loading_keeps_the_parameters_themselves():
    """An optimizer holds on to them."""
    model = Outer()
    before = model.parameters()
    model.load_state_dict(Outer().state_dict())
    assert all(a is b for a, b in zip(before, model.parameters(), strict=True))


def test_strict_loading_names_what_does_not_match():
    model = Outer()
    state = model.state_dict()
    state["extra"] = state.pop("first_by_name.apple")
    words = (
        r"^load_state_dict: the names do not match \(not in the state, left as they were: "
        r"first_by_name\.apple; in the state, but not in the module: extra\); strict=False loads what fits$"
    )
    with pytest.raises(CheckpointError, match=words):
        model.load_state_dict(state)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.pop("scale"), r"\(not in the state, left as they were: scale\)"),
        (lambda state: state.update(extra=np.zeros(1)), r"\(in the state, but not in the module: extra\)"),
    ],
    ids=["missing", "left over"],
)
def test_strict_loading_minds_either_kind_alone(change, words):
    model = Outer()
    state = model.state_dict()
    change(state)
    with pytest.raises(CheckpointError, match=r"^load_state_dict: the names do not match " + words):
        model.load_state_dict(state)


def test_loading_what_fits_gives_an_account():
    model = Outer()
    report = model.load_state_dict({"scale": np.array([7.0]), "extra": np.zeros(3)}, strict=False)
    assert model.scale.data == 7
    assert report.missing == tuple(NAMES[1:])
    assert report.left_over == ("extra",)
    assert str(report) == (
        "not in the state, left as they were: last_by_name.zebra, last_by_name.apple, first_by_name.zebra, "
        "first_by_name.apple\nin the state, but not in the module: extra"
    )


@pytest.mark.parametrize("strict", [True, False])
def test_nothing_is_loaded_if_a_shape_differs(strict):
    model = Outer()
    state = {name: np.zeros_like(array) for name, array in model.state_dict().items()}
    state["first_by_name.apple"] = np.zeros((3, 1))
    words = r"^load_state_dict: first_by_name\.apple: expected shape \(1, 3\), got \(3, 1\)$"
    with pytest.raises(CheckpointError, match=words):
        model.load_state_dict(state, strict=strict)
    assert all((p.data != 0).all() for p in model.parameters())


# ---- sequences, and looking at modules ----


def test_sequential_applies_its_modules_in_order():
    model = nn.Sequential(nn.ReLU(), Inner(), nn.Flatten())
    assert [path for path, _ in model.named_modules()] == ["", "0", "1", "2"]
    assert [name for name, _ in model.named_parameters()] == ["1.zebra", "1.apple"]
    assert model(Tensor(np.array([[-1.0, 2.0]], np.float32))).data.tolist() == [[0, 2]]


def test_forward_has_to_be_written():
    with pytest.raises(NotImplementedError, match=r"^Module has no forward$"):
        nn.Module()(Tensor(1.0))


def test_forward_takes_any_arguments():
    class Choosy(nn.Module):
        def forward(self, x, y, *, twice=False):
            return F.add(x, y) * (2 if twice else 1)

    assert Choosy()(Tensor(1.0), Tensor(2.0), twice=True).item() == 6


def test_repr_shows_the_tree():
    model = nn.Sequential(
        nn.Conv2d(3, 8, (3, 5), stride=2, padding=1, activation="relu"),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Outer(),
    )
    assert repr(model) == (
        "Sequential()\n"
        "  0: Conv2d(3 -> 8, 3x5, stride=2, padding=1, relu)\n"
        "  1: MaxPool2d(3, stride=2, padding=0, ceil)\n"
        "  2: Outer()\n"
        "    last_by_name: Inner()\n"
        "    dropout: Dropout(p=0.5)\n"
        "    first_by_name: Inner()"
    )


@pytest.mark.parametrize("wrap", [list, tuple, lambda layers: {"first": layers[0]}])
def test_layers_that_would_not_be_found_are_refused(wrap):
    model = nn.Module()
    with pytest.raises(UsageError, match=r"Module\.layers: modules and parameters in a "):
        model.layers = wrap([nn.Linear(2, 2)])
    with pytest.raises(UsageError, match="Sequential: expected modules, got list at 0"):
        nn.Sequential([nn.Linear(2, 2)])


@pytest.mark.parametrize("rng", [0, 1, np.random.RandomState(0)])
def test_a_seed_is_no_generator(rng):
    with pytest.raises(UsageError, match=r"rng: expected a numpy\.random\.Generator, such as"):
        nn.Linear(2, 2, rng=rng)
    with pytest.raises(UsageError, match=r"rng: expected a numpy\.random\.Generator"):
        models.googlenet_cifar(width=0.02, rng=rng)


@pytest.mark.parametrize("value", [None, [1.0], np.array(["a"]), np.array([1j])])
def test_states_of_anything_but_numbers_are_refused(value):
    layer = nn.Linear(1, 1)
    before = layer.state_dict()
    with pytest.raises(CheckpointError, match="load_state_dict: bias: expected an array of numbers, got"):
        layer.load_state_dict({"weight": np.full((1, 1), 7.0), "bias": value})
    np.testing.assert_array_equal(layer.weight.data, before["weight"])
