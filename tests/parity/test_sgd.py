"""A few steps of optim.SGD take the weights where torch.optim.SGD takes them."""

import numpy as np
import pytest

pytest.importorskip("torch", reason='needs PyTorch: the extra "parity"')

import torch

from minicnn import Tensor, models, nn, optim
from parity.against_torch import nchw
from parity.comparison import assert_agree
from parity.torch_googlenet import TorchGoogLeNet, load_weights, to_minicnn_layout

pytestmark = pytest.mark.parity

SETTINGS = [
    {"lr": 0.02, "momentum": 0.0},
    {"lr": 0.02, "momentum": 0.0, "weight_decay": 0.1},
    {"lr": 0.01, "momentum": 0.9},
    {"lr": 0.01, "momentum": 0.9, "weight_decay": 2e-4},
    {"lr": 0.01, "momentum": 0.9, "nesterov": True},
    {"lr": 0.01, "momentum": 0.8, "weight_decay": 0.05, "nesterov": True},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_given_gradients(settings, rng):
    """Forty steps: groups with settings of their own, a falling rate, gradients that are missing at times."""
    shapes = [(3, 4), (4,), (2, 2, 1, 3)]
    ours = [nn.Parameter(rng.standard_normal(shape)) for shape in shapes]
    theirs = [torch.nn.Parameter(torch.tensor(p.data)) for p in ours]

    def groups(parameters):
        return [
            {"params": parameters[:2]},
            {"params": parameters[2:], "lr": 3 * settings["lr"], "weight_decay": 0.3},
        ]

    sgd, reference = optim.SGD(groups(ours), **settings), torch.optim.SGD(groups(theirs), **settings)
    rates = [group["lr"] for group in reference.param_groups]
    for step in range(40):
        sgd.lr_factor = 0.95**step
        for group, rate in zip(reference.param_groups, rates, strict=True):
            group["lr"] = rate * 0.95**step
        for index, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            missing = (step + index) % 5 == 0
            p.grad = None if missing else rng.standard_normal(p.shape)
            q.grad = None if missing else torch.tensor(p.grad)
        sgd.step()
        reference.step()
        for index, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            assert_agree("SGD, given gradients", f"{settings}, step {step}, parameter {index}", p.data, q)


@pytest.mark.parametrize("settings", SETTINGS[2:], ids=str)
def test_training_a_small_googlenet(settings, rng):
    model = models.googlenet_cifar(10, width=0.125, rng=rng).astype(np.float64)
    network = TorchGoogLeNet(small=True, classes=10, width=0.125)
    load_weights(network, model.state_dict())
    for _, module in [*model.named_modules(), *network.named_modules()]:
        if isinstance(module, nn.Dropout | torch.nn.Dropout):
            module.p = 0.0
    sgd = optim.SGD(model.parameters(), **settings)
    reference = torch.optim.SGD(network.parameters(), **settings)
    start = model.state_dict()
    for step in range(5):
        images, labels = rng.standard_normal((4, 32, 32, 3)), rng.integers(0, 10, 4)
        sgd.zero_grad()
        loss = models.total_loss(model(Tensor(images)), labels)
        loss.backward()
        sgd.step()

        reference.zero_grad()
        heads = network(nchw(torch.tensor(images)))
        main, aux1, aux2 = (torch.nn.functional.cross_entropy(head, torch.tensor(labels)) for head in heads)
        expected_loss = main + 0.3 * (aux1 + aux2)
        expected_loss.backward()
        reference.step()

        where = f"{settings}, step {step}"
        assert_agree("SGD, training", f"{where}, loss", loss.data, expected_loss)
        for name, parameter in model.named_parameters():
            expected = to_minicnn_layout(network.get_parameter(name))
            assert not np.array_equal(parameter.data, start[name]), f"{name} has not moved"
            assert_agree("SGD, training", f"{where}, {name}", parameter.data, expected)
            # What has been learned, without the much larger weights it started from.
            assert_agree(
                "SGD, training",
                f"{where}, change of {name}",
                parameter.data - start[name],
                expected - start[name],
            )
