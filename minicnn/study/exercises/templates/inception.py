"""Exercise: the backward pass of a whole inception module.

                              x (N, H, W, C)
          ┌───────────────┬───────┴───────┬───────────────┐
          │          1x1 w3_reduce   1x1 w5_reduce    max pool 3x3,
          │            reduced3        reduced5       stride 1, padding 1
          │               │               │             pooled
       1x1 w1      3x3 w3, padding 1  5x5 w5, padding 2   1x1 w_proj
         y1              y3              y5             y_proj
          └───────────────┴───────┬───────┴───────────────┘
                        y = concat over the channels

There is a ReLU after each of the six convolutions (reduced3 and reduced5 come out of ReLUs, too), and each
has a bias: b1, b3_reduce, b3, b5_reduce, b5, b_proj.

`saved` holds x, the weights and what forward computed on the way, under the names above: saved.x, saved.w1,
saved.reduced3, saved.pooled, saved.y3, ... Each y has as many channels as its w has filters: w.shape[3].

The backward passes of the ops are given; you put them together:

    gx, gw, gb = conv2d_backward(gy, x, w, padding=1)       x: what this convolution saw
    gx = relu_backward(gy, y)                               y: what came out of the ReLU
    gx = max_pool2d_backward(gy, x, 3, stride=1, padding=1)

Draw the diagram, and follow the gradient from below. Where a line forks on the way up, what comes back on its
arms is added.

docs/ops/inception.md tells how minicnn does it in one op.
When you think it is right:  minicnn exercise check inception
"""

from types import SimpleNamespace

import numpy as np

from minicnn.study.exercises.parts import conv2d_backward, max_pool2d_backward, relu_backward


def backward(gy: np.ndarray, saved: SimpleNamespace) -> dict[str, np.ndarray]:
    """Return a dict of gradients: gx, gw1, gb1, gw3_reduce, gb3_reduce, gw3, gb3, ... gw_proj, gb_proj."""
    raise NotImplementedError("write the backward of the inception module here")
