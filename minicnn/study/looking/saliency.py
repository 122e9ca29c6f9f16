"""Saliency: which pixels the score of a class reacts to, to first order.

Near an image I0 the score S_c of class c is about linear in the pixels,

    S_c(I) ≈ S_c(I0) + Σ_hwk g_hwk (I - I0)_hwk,        g = ∂S_c/∂I at I0,

so |g_hwk| says how much a small change of one colour of one pixel changes the score. The map shows, for
each pixel, the colour that matters most:

    M_hw = max_k |g_hwk|.

One forward and one backward pass. What it shows is sensitivity, not evidence: a pixel that could change the
score if it were different.

Simonyan, Vedaldi, Zisserman, "Deep inside convolutional networks: visualising image classification models
and saliency maps", 2013, section 3.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from minicnn.backend import Array, to_numpy
from minicnn.nn import Module
from minicnn.study.looking.class_score import Label, run, walk_back
from minicnn.tensor import Tensor


def input_gradient(model: Module, x: Tensor | Array, label: Label = None) -> npt.NDArray[np.floating]:
    """Return the gradient of the score (the logit) of a class with respect to the images.

    Parameters
    ----------
    model : Module
        Returns logits (N, classes), or something that has them as `.logits`. It runs in evaluation mode and
        is left as it was: its modes, its gradients.
    x : Tensor or array of shape (N, H, W, C)
        Images as the model takes them, floating-point.
    label : int or N integers, default=None
        The class, for all images or for each; None: the one the model finds most probable.

    Returns
    -------
    array of shape (N, H, W, C)
        With its sign, in logits per unit of x. If x is (pixels - mean) / std, divided by std it is in logits
        per grey level.

    Examples
    --------
    A linear model has the same gradient everywhere, the weights of the class:

    >>> import numpy as np
    >>> from minicnn import functional as F, nn
    >>> class Linear(nn.Linear):
    ...     def forward(self, x):
    ...         return super().forward(F.flatten(x))
    >>> model = Linear(2 * 2 * 1, 2)
    >>> model.weight.data = np.array([[0, 1], [0, 2], [0, 3], [0, -4]], np.float32)
    >>> input_gradient(model, np.ones((1, 2, 2, 1), np.float32), label=1)[0, :, :, 0]
    array([[ 1.,  2.],
           [ 3., -4.]], dtype=float32)
    """
    images, logits = run("input_gradient", model, x)
    walk_back("input_gradient", logits, label)
    assert images.grad is not None  # logits depend on the images: run has checked it
    return to_numpy(images.grad)


def saliency(model: Module, x: Tensor | Array, label: Label = None) -> npt.NDArray[np.floating]:
    """Return how strongly the score of a class reacts to each pixel: max over the colours of |∂logit/∂x|.

    Parameters
    ----------
    model, x, label
        As for `input_gradient`.

    Returns
    -------
    array of shape (N, H, W)
        At least 0, in logits per unit of x.

    References
    ----------
    Simonyan, Vedaldi, Zisserman, "Deep inside convolutional networks", 2013, section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from minicnn import models
    >>> model = models.googlenet_cifar(width=0.1, rng=np.random.default_rng(0))
    >>> x = np.random.default_rng(1).normal(size=(2, 32, 32, 3)).astype(np.float32)
    >>> saliency(model, x).shape, model.training
    ((2, 32, 32), True)
    """
    return np.abs(input_gradient(model, x, label)).max(axis=3)
