"""gradcheck_model: every parameter of a network with heads and dropout."""

import numpy as np
import pytest

from minicnn import DTypeError, Tensor, UsageError, models, nn
from minicnn import functional as F
from minicnn.gradient_check import gradcheck_model
from minicnn.ops.dropout import Dropout


class TwoHeads(nn.Module):
    """A small network with an auxiliary head and dropout, for images of 10x10x2."""

    def __init__(self, rng):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, stride=2, padding=1, activation="relu", rng=rng)
        self.inception = nn.Inception(4, 1, 2, 2, 2, 1, 1, rng=rng)
        self.aux = nn.AuxiliaryHead(5, 1, 3, 2, 10, activation="sigmoid", rng=rng)
        self.dropout = nn.Dropout(0.4, rng=rng)
        self.fc = nn.Linear(5, 3, rng=rng)
        self.astype(np.float64)

    def forward(self, x):
        x = self.inception(self.conv(x))
        aux = self.aux(x) if self.training else None
        return nn.GoogLeNetOutput(self.fc(self.dropout(F.global_avg_pool2d(x))), aux, None)


@pytest.fixture
def batch(rng):
    return rng.standard_normal((3, 10, 10, 2)), np.array([0, 1, 1])


def test_all_parameters_of_a_network_are_right(rng, batch):
    model = TwoHeads(rng)
    report = gradcheck_model(model, *batch, rng=rng)
    assert report, str(report)
    assert [i.name for i in report.inputs] == [name for name, _ in model.named_parameters()]
    assert [i.checked for i in report.inputs] == [min(20, p.size) for p in model.parameters()]
    assert min(i.largest_gradient for i in report.inputs if i.name.startswith("aux")) > 1e-3


def test_samples_none_means_all(rng, batch):
    model = nn.Sequential(nn.Flatten(), nn.Linear(200, 3)).astype(np.float64)
    assert gradcheck_model(model, *batch, samples=None).checked == 603


def test_everything_is_as_before(rng, batch):
    model = TwoHeads(rng).eval()
    model.conv.train()
    generators = [model.dropout.rng, model.aux.dropout.rng]
    state = model.state_dict()
    model.fc.weight.grad = kept = np.ones((5, 3))
    report = gradcheck_model(model, *batch, samples=2, rng=rng)
    assert report
    assert max(i.largest_gradient for i in report.inputs if i.name.startswith("aux")) > 0, "the heads ran"
    assert [module.training for _, module in model.named_modules()] == [
        name == "conv" for name, _ in model.named_modules()
    ]
    assert [model.dropout.rng, model.aux.dropout.rng] == generators
    assert model.fc.weight.grad is kept
    assert model.conv.weight.grad is None
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, state[name])


def test_the_heads_and_their_weight_count(rng, batch):
    model = TwoHeads(rng)

    def largest(aux_weight):
        report = gradcheck_model(
            model, *batch, samples=3, aux_weight=aux_weight, rng=np.random.default_rng(0)
        )
        assert report
        return next(i.largest_gradient for i in report.inputs if i.name == "aux.fc2.bias")

    assert largest(0.0) == 0
    assert largest(0.6) == pytest.approx(2 * largest(0.3))
    assert largest(0.6) > 1e-3


def test_a_wrong_dropout_is_found_in_both_places(rng, batch, monkeypatch):
    monkeypatch.setattr(Dropout, "backward", lambda self, gy: (gy,))
    report = gradcheck_model(TwoHeads(rng), *batch, rng=rng)
    culprits = {
        report.inputs[f.input].name: (f.first_wrong_op.op, f.first_wrong_op.module_path)
        for f in report.failures
    }
    assert culprits["aux.fc1.weight"] == ("dropout", "aux.dropout")
    assert culprits["conv.weight"] == ("dropout", "dropout"), "the dropout before fc ran last"
    assert "fc.weight" not in culprits
    assert "dropout in aux.dropout, input 0 at [" in str(report)


def test_other_randomness_is_reported(rng, batch):
    class Noise(nn.Module):
        def forward(self, x):
            return x + rng.standard_normal(x.shape)

    model = nn.Sequential(nn.Flatten(), nn.Linear(200, 3), Noise()).astype(np.float64)
    assert "different results for the same input" in gradcheck_model(model, *batch).problem


def test_bad_arguments(rng, batch):
    x, labels = batch
    model = nn.Sequential(nn.Flatten(), nn.Linear(200, 3))
    with pytest.raises(
        DTypeError, match=r"1\.weight: expected float64, got float32; .*model\.astype\(np\.float64\)"
    ):
        gradcheck_model(model, x, labels)
    with pytest.raises(DTypeError, match="x: expected float64, got float32"):
        gradcheck_model(model.astype(np.float64), Tensor(x.astype(np.float32)), labels)
    with pytest.raises(UsageError, match="expected one with parameters, got none"):
        gradcheck_model(nn.Flatten(), x, labels)


def test_googlenet_with_both_heads(rng):
    """One coordinate of each parameter; `minicnn gradcheck` takes twenty and a minute."""
    model = models.googlenet_cifar(width=0.02, rng=rng).astype(np.float64)
    report = gradcheck_model(model, rng.standard_normal((1, 32, 32, 3)), np.array([3]), samples=1, rng=rng)
    assert report, str(report)
    assert len(report.inputs) == 128
    assert len(report.kinks) < 20
