"""Exercise: the backward pass of concatenation, where the branches of an inception module meet.

    forward    y = x[0] next to x[1] next to ...  along one axis

    sizes      list of int   how long each input is along that axis
    axis       int           which axis, counted from 0
    gy                       the shape of y
    gx[k]                    the shape of input k

Every element of y is a copy of one element of one input. So which part of gy belongs to which input? For
images the axis is that of the channels, the last one, but your backward shall work for any axis.

docs/ops/concat.md has the derivation, if you are stuck.
When you think it is right:  minicnn exercise check concat
"""

import numpy as np


def backward(gy: np.ndarray, sizes: list[int], axis: int) -> list[np.ndarray]:
    """Return the list [gx[0], gx[1], ...], one for each input."""
    raise NotImplementedError("write the backward of concat here")
