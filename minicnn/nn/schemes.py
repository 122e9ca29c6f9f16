"""All weights of a network drawn anew, by one of the schemes in `initialisers`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from minicnn.errors import UsageError
from minicnn.nn.initialisers import caffe_xavier, classifier_normal, glorot_uniform, he_normal, zeros
from minicnn.nn.layers import Conv2d, Linear
from minicnn.nn.module import Module
from minicnn.random import checked_generator

Scheme = Literal["he", "glorot", "caffe", "zero"]

# For each scheme: how weights are drawn, and what biases start at (except those of the classifiers,
# which start at zero). 0.2 is Caffe's for GoogLeNet and the blog post's: it starts every ReLU switched on.
_SCHEMES: dict[str, tuple[Callable[[tuple[int, ...], np.random.Generator], np.ndarray], float]] = {
    "he": (he_normal, 0.0),
    "glorot": (glorot_uniform, 0.2),
    "caffe": (caffe_xavier, 0.2),
    "zero": (zeros, 0.0),
}


def initialise(model: Module, scheme: Scheme = "he", rng: np.random.Generator | None = None) -> None:
    """Draw all weights of `model` anew, in the order in which its layers are defined.

    Parameters
    ----------
    model : Module
        Its `Conv2d` and `Linear` layers are initialised.
    scheme : "he", "glorot", "caffe" or "zero", default="he"
        He: normal, biases 0. Glorot and Caffe: uniform, biases 0.2. Classifiers (`Linear` layers whose
        output is not activated): small in each of these, biases 0. Zero: all weights and biases 0, to see
        that a network which starts so learns nothing.
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
            small = is_classifier and scheme != "zero"
            weights = classifier_normal(shape, rng) if small else draw(shape, rng)
            layer.weight.data = weights.astype(dtype, copy=False)
            if layer.bias is not None:
                layer.bias.data = np.full(layer.bias.shape, 0.0 if is_classifier else bias, dtype)
