"""How weights start.

A layer that multiplies the variance of what passes through it by a factor f turns into f^depth over the
whole network. So the variance of the weights is chosen from the number of inputs to a unit, fan_in:

    He       Var[w] = 2 / fan_in               keeps the variance forward through ReLUs, which halve it
    Glorot   Var[w] = 2 / (fan_in + fan_out)   a compromise of forward and backward, for linear units
    Caffe    Var[w] = 1 / fan_in               what Caffe calls "xavier" (LeCun's rule in fact)

For a convolution fan_in is KH*KW*CI, and fan_out KH*KW*CO.

Classifiers (linear layers that no activation follows) are drawn small in every scheme: all classes start
out equally likely and the loss at ln K. By He's rule the logits of an untrained network would be in the
tens, and the first steps would go into forgetting them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from minicnn.errors import UsageError
from minicnn.nn.layers import Conv2d, Linear
from minicnn.nn.module import Module
from minicnn.random import checked_generator

Scheme = Literal["he", "glorot", "caffe"]


def he_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw float32 weights from a normal distribution of variance 2 / fan_in.

    References
    ----------
    He et al., "Delving deep into rectifiers", 2015, equation 10.
    """
    fan_in, _ = fans(shape)
    return (rng.standard_normal(shape) * math.sqrt(2 / fan_in)).astype(np.float32)


def glorot_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw float32 weights from a uniform distribution of variance 2 / (fan_in + fan_out).

    References
    ----------
    Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010,
    equation 16.
    """
    bound = math.sqrt(6 / sum(fans(shape)))
    return rng.uniform(-bound, bound, shape).astype(np.float32)


def caffe_xavier(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw float32 weights from a uniform distribution of variance 1 / fan_in.

    References
    ----------
    Caffe, include/caffe/filler.hpp, XavierFiller.
    """
    bound = math.sqrt(3 / fans(shape)[0])
    return rng.uniform(-bound, bound, shape).astype(np.float32)


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (fan_in, fan_out) of weights (KH, KW, CI, CO) or (in, out).

    Examples
    --------
    >>> fans((3, 3, 64, 192))
    (576, 1728)
    """
    *kernel, inputs, outputs = shape
    return math.prod(kernel) * inputs, math.prod(kernel) * outputs


def classifier_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw float32 weights from a normal distribution of standard deviation 0.01.

    References
    ----------
    Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks",
    2012, section 5.
    """
    return (0.01 * rng.standard_normal(shape)).astype(np.float32)


# For each scheme: how weights are drawn, and what biases start at (except those of the classifiers,
# which start at zero). 0.2 is Caffe's for GoogLeNet and the blog post's: it starts every ReLU switched on.
_SCHEMES: dict[str, tuple[Callable[[tuple[int, ...], np.random.Generator], np.ndarray], float]] = {
    "he": (he_normal, 0.0),
    "glorot": (glorot_uniform, 0.2),
    "caffe": (caffe_xavier, 0.2),
}


def initialise(model: Module, scheme: Scheme = "he", rng: np.random.Generator | None = None) -> None:
    """Draw all weights of `model` anew, in the order in which its layers are defined.

    Parameters
    ----------
    model : Module
        Its `Conv2d` and `Linear` layers are initialised.
    scheme : "he", "glorot" or "caffe", default="he"
        He: normal, biases 0. Glorot and Caffe: uniform, biases 0.2. Classifiers (`Linear` layers whose
        output is not activated): small in each, biases 0.
    rng : numpy.random.Generator, optional
        Left out, a fresh generator.

    Raises
    ------
    UsageError
        If there is no such scheme.
    """
    if scheme not in _SCHEMES:
        raise UsageError(f"initialisation: expected one of {', '.join(_SCHEMES)}, got {scheme!r}")
    draw, bias = _SCHEMES[scheme]
    rng = checked_generator(rng)
    for _, layer in model.named_modules():
        if isinstance(layer, (Conv2d, Linear)):
            is_classifier = isinstance(layer, Linear) and layer.activation is None
            dtype, shape = layer.weight.dtype, layer.weight.shape
            weights = classifier_normal(shape, rng) if is_classifier else draw(shape, rng)
            layer.weight.data = weights.astype(dtype, copy=False)
            if layer.bias is not None:
                layer.bias.data = np.full(layer.bias.shape, 0.0 if is_classifier else bias, dtype)
