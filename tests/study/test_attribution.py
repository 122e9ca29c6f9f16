"""Gradients split by head: the parts sum to the whole, and each is what its head alone would give."""

import numpy as np
import pytest

from minicnn import Tensor, composed, models, nn, no_grad, study
from minicnn import functional as F
from minicnn.errors import UsageError
from minicnn.nn import total_loss
from minicnn.tensor import inside_module

HEADS = ("main", "aux1", "aux2")
WEIGHT = 0.3


def network(width=0.05, aux=True, activation="relu", seed=0):
    model = models.googlenet_cifar(
        width=width, aux=aux, activation=activation, rng=np.random.default_rng(seed)
    ).astype(np.float64)
    seed_dropouts(model)
    return model


def seed_dropouts(model):
    for place, (_, module) in enumerate(model.named_modules()):
        if isinstance(module, nn.Dropout):
            module.rng = np.random.default_rng(place)


def batch(n=2, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 32, 32, 3)), rng.integers(0, 10, n)


def close(a, b, tolerance=1e-12):
    scale = np.abs(b).max()
    return a.shape == b.shape and a.dtype == b.dtype and np.abs(a - b).max() <= tolerance * scale


def gradients_of(loss_of, model, x, labels):
    """Gradients of one loss, by an ordinary backward pass; a parameter without one has None."""
    model.zero_grad()
    seed_dropouts(model)
    with composed():
        loss_of(model(Tensor(x)), labels).backward()
    found = {name: p.grad for name, p in model.named_parameters()}
    model.zero_grad()
    seed_dropouts(model)
    return found


@pytest.mark.parametrize("width", [0.05, 0.25])
@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
@pytest.mark.parametrize("aux", [True, False])
def test_the_parts_of_a_parameter_sum_to_the_whole(width, activation, aux):
    model, (x, labels) = network(width, aux, activation), batch()
    whole = gradients_of(total_loss, model, x, labels)
    parts = study.attribute_gradients(model, Tensor(x), labels)
    assert list(parts) == [name for name, _ in model.named_parameters()]
    for name, of_heads in parts.items():
        assert tuple(of_heads) == HEADS
        assert close(sum(of_heads.values()), whole[name]), name
        if not aux:
            assert not of_heads["aux1"].any(), name
            assert not of_heads["aux2"].any(), name


def test_each_part_is_the_gradient_of_its_own_loss():
    """... for which the other two heads are not even asked: three losses, three forward passes."""
    model, (x, labels) = network(), batch()
    losses = {
        "main": lambda out, y: F.cross_entropy(out.logits, y),
        "aux1": lambda out, y: WEIGHT * F.cross_entropy(out.aux1, y),
        "aux2": lambda out, y: WEIGHT * F.cross_entropy(out.aux2, y),
    }
    parts = study.attribute_gradients(model, x, labels, WEIGHT)
    seed_dropouts(model)
    arrives = {head: set() for head in HEADS}
    for head, loss_of in losses.items():
        for name, alone in gradients_of(loss_of, model, x, labels).items():
            part = parts[name][head]
            assert close(part, np.zeros_like(part) if alone is None else alone), (head, name)
            if part.any():
                arrives[head].add(name.partition(".")[0])
    below_4a = {"conv1", "conv2_reduce", "conv2", "inception3a", "inception3b", "inception4a"}
    below_4d = below_4a | {"inception4b", "inception4c", "inception4d"}
    assert arrives["aux1"] == below_4a | {"aux1"}
    assert arrives["aux2"] == below_4d | {"aux2"}
    assert arrives["main"] == below_4d | {"inception4e", "inception5a", "inception5b", "fc"}


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_parts_are_weighted(weight):
    model, (x, labels) = network(), batch()
    whole = gradients_of(lambda out, y: total_loss(out, y, weight), model, x, labels)
    parts = study.attribute_gradients(model, x, labels, weight)
    assert all(close(sum(parts[name].values()), whole[name]) for name in ("conv1.weight", "fc.bias"))
    assert parts["conv1.weight"]["aux1"].any() == (weight > 0)


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
@pytest.mark.parametrize("aux", [True, False])
def test_the_parts_of_an_activation_sum_to_the_whole(activation, aux, monkeypatch):
    model, (x, labels) = network(0.05, aux, activation), batch()
    returned = {}

    def keep(module, *arguments, **keywords):  # what the modules return, noted in another way
        with inside_module(module._name):
            y = module.forward(*arguments, **keywords)
        if isinstance(y, Tensor):
            y.retain_grad()
            returned[module] = y
        return y

    images = Tensor(x, requires_grad=True)
    with monkeypatch.context() as patch, composed():
        patch.setattr(nn.Module, "__call__", keep)
        total_loss(model(images), labels).backward()
    seed_dropouts(model)
    parts = study.attribute_gradients(model, x, labels, activations=True)

    paths = {path: returned[module] for path, module in model.named_modules() if module in returned}
    assert set(parts) == set(paths)
    assert {"conv1", "inception3a", "inception3a.pool", "inception5b.conv5x5", "fc"} <= set(parts)
    for path, tensor in paths.items():
        assert close(sum(parts[path].values()), tensor.grad), path
    assert parts["inception4a"]["main"].shape == paths["inception4a"].shape
    assert parts["inception4a"]["aux1"].any() == aux
    assert not parts["inception4b"]["aux1"].any()
    assert not parts["inception4e"]["aux2"].any()


@pytest.mark.slow
@pytest.mark.parametrize(("activation", "step"), [("relu", 1e-8), ("sigmoid", 1e-6)])
def test_parts_agree_with_difference_quotients(activation, step):
    """A few elements of several layers, each head by itself; a small step meets few kinks of ReLUs."""
    model, (x, labels) = network(0.05, activation=activation), batch()
    parts = study.attribute_gradients(model, x, labels, WEIGHT)
    rng = np.random.default_rng(0)

    def losses():
        seed_dropouts(model)
        with no_grad(), composed():
            out = model(Tensor(x))
        values = [F.cross_entropy(logits, labels).item() for logits in out]
        return np.array(values) * [1.0, WEIGHT, WEIGHT]

    for name in ("conv1.weight", "inception3a.conv5x5.bias", "inception4c.conv3x3.weight", "aux1.fc1.weight"):
        parameter = dict(model.named_parameters())[name]
        for flat in rng.integers(0, parameter.size, 3):
            place = np.unravel_index(flat, parameter.shape)
            before = parameter.data[place]
            sides = []
            for moved in (step, -step):
                parameter.data[place] = before + moved
                sides.append(losses())
            parameter.data[place] = before
            quotients = (sides[0] - sides[1]) / (2 * step)
            found = [parts[name][head][place] for head in HEADS]
            np.testing.assert_allclose(found, quotients, rtol=1e-4, atol=2e-7)


def test_frozen_heads_pass_gradient_on_but_receive_none():
    model, (x, labels) = network(), batch()
    before = study.attribute_gradients(model, x, labels)
    seed_dropouts(model)
    for parameter in [*model.aux1.parameters(), *model.aux2.parameters()]:
        parameter.requires_grad = False
    after = study.attribute_gradients(model, x, labels)
    for name, of_heads in after.items():
        for head, part in of_heads.items():
            if name.startswith("aux"):
                assert not part.any()
            else:
                assert np.array_equal(part, before[name][head])


def test_below_frozen_layers_activations_have_their_gradient_all_the_same():
    model, (x, labels) = network(), batch()
    before = study.attribute_gradients(model, x, labels, activations=True)
    seed_dropouts(model)
    for layer in (model.conv1, model.conv2_reduce):
        layer.weight.requires_grad = layer.bias.requires_grad = False
    after = study.attribute_gradients(model, x, labels, activations=True)
    assert after["conv1"]["aux2"].any()
    assert all(np.array_equal(after[path][head], before[path][head]) for path in before for head in HEADS)


def test_nothing_else_changes():
    model, (x, labels) = network(), batch()
    model.eval()
    model.inception4a.train()
    modes = [module.training for _, module in model.named_modules()]
    weights = model.state_dict()
    grads = {}
    for place, (name, parameter) in enumerate(model.named_parameters()):
        parameter.grad = np.full(parameter.shape, 7.0) if place % 2 else None
        grads[name] = parameter.grad
    images = Tensor(x, requires_grad=True)
    parts = study.attribute_gradients(model, images, labels)
    assert parts["conv1.weight"]["aux1"].any(), "in training mode, all the same"
    assert images.grad is None
    assert [module.training for _, module in model.named_modules()] == modes
    for name, parameter in model.named_parameters():
        assert parameter.grad is grads[name]
        assert np.array_equal(parameter.data, weights[name])
        assert grads[name] is None or (grads[name] == 7.0).all()


def test_grads_survive_an_error():
    model, (x, _) = network(), batch()
    model.conv1.weight.grad = kept = np.ones(model.conv1.weight.shape)
    model.eval()
    with pytest.raises(ValueError, match="labels"):
        study.attribute_gradients(model, x, np.array([3]))
    assert model.conv1.weight.grad is kept
    assert not model.training


class Twice(nn.Module):
    """Uses one module at two places, and is itself used as a part of another one."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        self.first, self.second = nn.Linear(3, 4, rng=rng), nn.Linear(4, 4, rng=rng)
        self.relu = nn.ReLU()
        self.aux2 = nn.Linear(4, 2, rng=rng)
        self.fc = nn.Linear(4, 2, rng=rng)

    def forward(self, x):
        x = self.relu(self.first(x))
        aux2 = self.aux2(x)
        return nn.GoogLeNetOutput(self.fc(self.relu(self.second(x))), None, aux2)


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Twice()


def test_a_module_of_ones_own():
    model = Outer().inner
    x, labels = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32), np.array([0, 1, 0, 1, 1])
    parts = study.attribute_gradients(model, x, labels, activations=True)
    assert list(parts) == ["first", "relu", "aux2", "second", "relu:2", "fc"]
    assert parts["relu"]["aux2"].any()
    assert not parts["relu:2"]["aux2"].any()
    assert parts["relu:2"]["main"].any()
    assert parts["relu"]["main"].dtype == np.float32
    weights = study.attribute_gradients(model, x, labels)
    assert not weights["second.weight"]["aux2"].any()
    assert not any(of_heads["aux1"].any() for of_heads in weights.values())


def test_logits_alone_are_those_of_the_only_head():
    model = nn.Linear(3, 2, rng=np.random.default_rng(0))
    x, labels = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32), np.array([0, 1, 0, 1, 1])
    parts = study.attribute_gradients(model, x, labels)["weight"]
    F.cross_entropy(model(Tensor(x)), labels).backward()
    np.testing.assert_allclose(parts["main"], model.weight.grad, rtol=1e-6)
    assert not parts["aux1"].any()
    assert not parts["aux2"].any()


@pytest.mark.parametrize(
    ("returned", "named"),
    [
        (lambda x: [x], "a list"),
        (lambda x: x.reshape(1, 3, 1), r"a Tensor of shape \(1, 3, 1\)"),
        (lambda x: nn.GoogLeNetOutput(x.sum(), None, None), r"a GoogLeNetOutput of a Tensor of shape \(\)"),
    ],
)
def test_a_model_that_returns_something_else(returned, named):
    model = nn.ReLU()
    model.forward = returned
    expected = (
        rf"expected one that returns logits \(N, classes\) or a GoogLeNetOutput, but ReLU returned {named}"
    )
    with pytest.raises(UsageError, match=expected):
        study.attribute_gradients(model, np.zeros((1, 3), np.float32), np.array([0]))


def test_no_graph():
    model, (x, labels) = network(), batch()
    with no_grad(), pytest.raises(UsageError, match="no graph was recorded"):
        study.attribute_gradients(model, x, labels)


@pytest.mark.parametrize("weight", [None, float("nan"), "a"])
def test_the_weight_of_the_heads_is_a_number(weight):
    model, (x, labels) = network(), batch()
    with pytest.raises(UsageError, match=r"^attribute_gradients: aux_weight: expected a finite number, got"):
        study.attribute_gradients(model, x, labels, aux_weight=weight)


def test_a_model_is_a_module():
    with pytest.raises(UsageError, match=r"^attribute_gradients: model: expected a Module, got int$"):
        study.attribute_gradients(3, np.zeros((1, 3), np.float32), np.array([0]))


def test_parameters_are_not_asked_to_retain_anything():
    model, (x, labels) = network(), batch()
    study.attribute_gradients(model, x, labels)
    assert not any(p.retains_grad for p in model.parameters())
