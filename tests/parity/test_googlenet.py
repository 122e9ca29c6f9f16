"""Both GoogLeNets give PyTorch's logits, losses and gradients, weight for weight."""

from typing import Any, NamedTuple

import numpy as np
import pytest

pytest.importorskip("torch", reason='needs PyTorch: the extra "parity"')

import torch

from minicnn import Tensor, composed, models, nn, no_grad
from parity.against_torch import nchw, nhwc
from parity.comparison import assert_agree
from parity.replayed_mask import ReplayedMask
from parity.torch_googlenet import TorchGoogLeNet, load_weights, to_minicnn_layout

pytestmark = pytest.mark.parity

AUX_WEIGHT = 0.3
ACTIVATIONS = {"relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh}


class Pair(NamedTuple):
    """The same network twice, in float64, with something to look at."""

    ours: models.GoogLeNet
    theirs: TorchGoogLeNet
    images: np.ndarray  # (N, H, W, 3)
    labels: np.ndarray  # (N,)


def make_pair(
    rng: np.random.Generator,
    batch: int,
    small: bool,
    classes: int,
    width: float = 1.0,
    activation: str = "relu",
    initialisation: str = "he",
) -> Pair:
    settings: Any = {"activation": activation, "initialisation": initialisation, "rng": rng}
    if small:
        ours = models.googlenet_cifar(classes, width, **settings)
    else:
        ours = models.googlenet(classes, **settings)
    ours.astype(np.float64)
    for name, parameter in ours.named_parameters():
        if name.endswith(".bias"):  # zeros would hide a bias that lands on the wrong channel
            parameter.data = parameter.data + 0.1 * rng.standard_normal(parameter.shape)
    theirs = TorchGoogLeNet(small, classes, width, ACTIVATIONS[activation])
    load_weights(theirs, ours.state_dict())
    return Pair(ours, theirs, rng.standard_normal((batch, *ours.input_size)), rng.integers(0, classes, batch))


def without_dropout(pair: Pair) -> Pair:
    for network in (pair.ours.named_modules(), pair.theirs.named_modules()):
        dropouts = [module for _, module in network if isinstance(module, nn.Dropout | torch.nn.Dropout)]
        assert len(dropouts) == 3
        for dropout in dropouts:
            dropout.p = 0.0
    return pair


def torch_loss(heads: tuple[Any, ...], labels: np.ndarray) -> Any:
    losses = [torch.nn.functional.cross_entropy(head, torch.tensor(labels)) for head in heads]
    return losses[0] + AUX_WEIGHT * losses[1] + AUX_WEIGHT * losses[2]


def compare_training_step(group: str, pair: Pair) -> None:
    """Compare logits, losses, the gradients of all parameters and of the images."""
    pixels = torch.tensor(pair.images, requires_grad=True)
    expected = pair.theirs(nchw(pixels))
    expected_loss = torch_loss(expected, pair.labels)
    expected_loss.backward()

    images = Tensor(pair.images, requires_grad=True)
    out = pair.ours(images)
    loss = models.total_loss(out, pair.labels, AUX_WEIGHT)
    loss.backward()

    for name, logits, expected_logits in zip(out._fields, out, expected, strict=True):
        assert_agree(group, name, logits.data, expected_logits)
    assert_agree(group, "total loss", loss.data, expected_loss)
    assert_agree(group, "gradient of the images", images.grad, pixels.grad)
    gradients = {name: to_minicnn_layout(p.grad) for name, p in pair.theirs.named_parameters()}
    parameters = dict(pair.ours.named_parameters())
    assert parameters.keys() == gradients.keys()
    for name, parameter in parameters.items():
        assert np.any(parameter.grad), f"{name}: no gradient arrives, nothing is compared"
        assert_agree(group, f"gradient of {name}", parameter.grad, gradients[name])


@pytest.mark.parametrize(
    ("batch", "width", "initialisation"),
    [(4, 0.25, "he"), (2, 1.0, "he"), (3, 0.5, "glorot"), (3, 0.3, "caffe")],
)
def test_googlenet_cifar(batch, width, initialisation, rng):
    pair = make_pair(rng, batch, small=True, classes=10, width=width, initialisation=initialisation)
    compare_training_step(f"GoogLeNet 32, width {width}", without_dropout(pair))


@pytest.mark.parametrize(("batch", "classes"), [(1, 1000), (2, 10)])
def test_googlenet(batch, classes, rng):
    pair = make_pair(rng, batch, small=False, classes=classes)
    assert (classes == 1000) == (pair.ours.num_parameters() == 13_378_280)
    compare_training_step(f"GoogLeNet 224, {classes} classes", without_dropout(pair))


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_other_activations(activation, rng):
    pair = make_pair(
        rng, 3, small=True, classes=10, width=0.125, activation=activation, initialisation="glorot"
    )
    compare_training_step(f"GoogLeNet 32, {activation}", without_dropout(pair))


def test_composed_ops(rng):
    """Every op a node of its own: what gradcheck and the study tools run."""
    pair = make_pair(rng, 3, small=True, classes=7, width=0.25)
    with composed():
        compare_training_step("GoogLeNet 32, composed", without_dropout(pair))


def test_dropout_in_place(rng):
    """In training as it is meant, at 40% and 70%, with the masks that PyTorch drew."""
    pair = make_pair(rng, 4, small=True, classes=10, width=0.25)
    probabilities = {"dropout": 0.4, "aux1.dropout": 0.7, "aux2.dropout": 0.7}
    ours = dict(pair.ours.named_modules())

    def replay(name):
        # A unit that was zero before counts as dropped. It makes no difference: its ReLU is off.
        def hook(module, inputs, output):
            ours[name].rng = ReplayedMask(output.detach().numpy() != 0)

        return hook

    for name, p in probabilities.items():
        theirs = pair.theirs.get_submodule(name)
        assert ours[name].p == theirs.p == p
        theirs.register_forward_hook(replay(name))
    torch.manual_seed(3)
    compare_training_step("GoogLeNet 32, dropout", pair)


@pytest.mark.parametrize("small", [True, False])
def test_evaluation(small, rng):
    """No dropout, heads only when asked for."""
    pair = make_pair(rng, 2, small=small, classes=10)
    group = f"GoogLeNet {32 if small else 224}, evaluation"
    pair.ours.eval()
    pair.theirs.eval()
    with no_grad(), torch.no_grad():
        pixels = nchw(torch.tensor(pair.images))
        for heads in (None, True):
            out, expected = pair.ours(Tensor(pair.images), heads=heads), pair.theirs(pixels, heads=heads)
            assert (
                [head is None for head in out]
                == [head is None for head in expected]
                == [False, not heads, not heads]
            )
            for name, logits, expected_logits in zip(out._fields, out, expected, strict=True):
                if logits is not None:
                    assert_agree(group, name, logits.data, expected_logits)


@pytest.mark.parametrize("small", [True, False])
def test_same_parameters_in_the_same_order(small, rng):
    ours = models.googlenet_cifar(rng=rng) if small else models.googlenet(rng=rng)
    theirs = TorchGoogLeNet(small, 10 if small else 1000)
    shapes = {name: to_minicnn_layout(p).shape for name, p in theirs.named_parameters()}
    assert {name: p.shape for name, p in ours.named_parameters()} == shapes
    assert [n for n, _ in ours.named_parameters() if "aux" not in n] == [n for n in shapes if "aux" not in n]


def test_inception_alone(rng):
    """With an input gradient from all four branches, and nothing after it that might hide an error."""
    block = nn.Inception(5, 3, 4, 6, 2, 5, 7, rng=rng).astype(np.float64)
    reference = torch_inception(block)
    x, gy = rng.standard_normal((2, 9, 8, 5)), rng.standard_normal((2, 9, 8, 21))
    ours, theirs = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, expected = block(ours), nhwc(reference(nchw(theirs)))
    y.backward(gy)
    expected.backward(torch.tensor(gy))
    assert_agree("inception", "output", y.data, expected)
    assert_agree("inception", "gradient of the input", ours.grad, theirs.grad)
    for name, parameter in block.named_parameters():
        gradient = to_minicnn_layout(reference.get_parameter(name).grad)
        assert_agree("inception", f"gradient of {name}", parameter.grad, gradient)


def torch_inception(block: nn.Inception) -> Any:
    from parity.torch_googlenet import InceptionModule

    reference = InceptionModule(5, [[3], [4, 6], [2, 5], [7]], torch.relu)
    load_weights(reference, block.state_dict())
    return reference
