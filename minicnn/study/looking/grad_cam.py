"""Grad-CAM: where in the image a layer sees what speaks for a class.

A layer gives K maps A^k of h x w activations. How much a map matters for the score y^c of class c is the
mean of its gradient over the map (equation 1 of the paper, Z = h w), and the picture is the sum of the maps,
weighted so, of which only what speaks for the class is kept (equation 2):

    α_k^c = 1/Z Σ_ij ∂y^c/∂A^k_ij                                                                         (1)
    L^c_ij = ReLU( Σ_k α_k^c A^k_ij )                                                                     (2)

Where the maps are averaged and one linear layer follows, as in GoogLeNet after inception5b,

    y^c = Σ_k w_k^c 1/Z Σ_ij A^k_ij + b^c,       ∂y^c/∂A^k_ij = w_k^c / Z = α_k^c,

so that Σ_k α_k^c A^k is the class activation map of Zhou et al. (2016), Σ_k w_k^c A^k, divided by Z: before
the ReLU, the numbers on the map add up to the logit (less its bias). There Grad-CAM is a way to read the
network's own sum. In earlier layers it is a summary: the mean over a map forgets where its gradient was
positive and where negative.

Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization", 2017.
Zhou et al., "Learning deep features for discriminative localization", 2016.
"""

from __future__ import annotations

import difflib

import numpy as np
import numpy.typing as npt

from minicnn.backend import Array, to_numpy
from minicnn.errors import ShapeError, UsageError
from minicnn.nn import Module
from minicnn.study.looking.class_score import Label, run, walk_back
from minicnn.tensor import Function, Observer, Tensor


def grad_cam(
    model: Module, x: Tensor | Array, label: Label = None, layer: str | None = None
) -> npt.NDArray[np.floating]:
    """Return where the maps of a layer speak for a class.

    Parameters
    ----------
    model : Module
        Returns logits (N, classes), or something that has them as `.logits`. It runs in evaluation mode,
        every op by itself, and is left as it was: its modes, its gradients.
    x : Tensor or array of shape (N, H, W, C)
        Images as the model takes them, floating-point.
    label : int or N integers, default=None
        The class, for all images or for each; None: the one the model finds most probable.
    layer : str, default=None
        Path of a module, e.g. "inception5b" or "inception4a.conv3x3"; its output is what the last op it runs
        returns (of its last call, if there are several). None: the last maps of more than one pixel that the
        model computes, e.g. those before global average pooling.

    Returns
    -------
    array of shape (N, h, w)
        At least 0, of the size of the layer's maps; in logits: at a linear classifier on averaged maps, what
        a place adds to the logit. `data.resize_bilinear(cam[..., None], (H, W))` enlarges it to the image.

    Raises
    ------
    UsageError
        If there is no such layer, it does not run in evaluation mode, or the score does not depend on it.
    ShapeError
        If the layer's output is no batch of maps.

    References
    ----------
    Selvaraju et al., "Grad-CAM", 2017, equations (1) and (2).

    Examples
    --------
    The 1x1 convolution sees a bright pixel; the linear layer counts it for class 1 and against class 0:

    >>> import numpy as np
    >>> from minicnn import nn
    >>> model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.GlobalAvgPool2d(), nn.Linear(1, 2))
    >>> for parameter, value in zip(model.parameters(), ([[[[1]]]], [0], [[-4, 4]], [0, 0])):
    ...     parameter.data = np.array(value, np.float32)
    >>> x = np.zeros((1, 2, 2, 1), np.float32)
    >>> x[0, 1, 0] = 3
    >>> grad_cam(model, x, label=1)[0]
    array([[0., 0.],
           [3., 0.]], dtype=float32)
    >>> grad_cam(model, x, label=0)[0].max()
    np.float32(0.0)
    """
    if layer is not None:
        _check_layer(model, layer)
    watch = _LastOutput(layer if layer is None else ".".join(filter(None, (model._name, layer))))
    _, logits = run("grad_cam", model, x, watch)
    maps, where = _maps(watch.output, layer)
    maps.retain_grad()
    walk_back("grad_cam", logits, label)
    if maps.grad is None:
        raise UsageError(f"grad_cam: layer: the logits do not depend on {where}")
    importance = maps.grad.mean(axis=(1, 2), keepdims=True)  # (N, 1, 1, K)
    weighted = (importance * maps.data).sum(axis=3)  # (N, h, w)
    return np.maximum(to_numpy(weighted), 0)


class _LastOutput(Observer):
    """Keeps the last result of the module at `path`; without a path, the last maps of several pixels."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.calls_inside = 0
        self.output: Tensor | None = None

    def enter_module(self, path: str) -> None:
        self.calls_inside += path == self.path

    def leave_module(self, path: str) -> None:
        self.calls_inside -= path == self.path

    def after_forward(self, function: Function, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        is_map = output.ndim == 4 and output.shape[1] * output.shape[2] > 1
        if self.calls_inside or (self.path is None and is_map):
            self.output = output


def _check_layer(model: Module, layer: str) -> None:
    paths = [path for path, _ in model.named_modules() if path]
    if layer not in paths:
        near = difflib.get_close_matches(str(layer), paths, n=5, cutoff=0.4) or paths[-5:]
        raise UsageError(f"grad_cam: layer: there is no '{layer}' in the network; near it: {', '.join(near)}")


def _maps(output: Tensor | None, layer: str | None) -> tuple[Tensor, str]:
    if output is None:
        what = f"'{layer}' runs no op" if layer else "no op of the network gives maps of several pixels"
        raise UsageError(f"grad_cam: layer: {what} in evaluation mode")
    where = f"the output of '{layer}'" if layer else f"the output of {output.creator!r}"
    if output.ndim != 4:
        raise ShapeError(
            f"grad_cam: layer: expected one whose output are maps (N, h, w, K), got {output.shape} "
            f"from '{layer}'"
        )
    if not output.requires_grad:
        raise UsageError(f"grad_cam: layer: {where} does not depend on the images")
    return output, where
