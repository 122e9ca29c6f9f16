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

import numpy as np


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


def zeros(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return float32 weights that are all zero, to see that a network which starts so learns nothing.

    No unit differs from its neighbours, so none ever will; and behind a weight of zero there is no gradient.
    """
    return np.zeros(shape, np.float32)
