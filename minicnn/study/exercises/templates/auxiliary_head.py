"""Exercise: the backward pass of a loss with an auxiliary head.

    x ──┬── global average ── fc ───────────────────────────────────────── cross-entropy ─────────┐
        │       mean        logits                                                                │
        └── average pool ── 1x1 conv, ReLU ── flatten ── fc1, ReLU ── dropout ── fc2            y = sum
             3x3, stride 2        conv          flat      hidden      dropped  aux_logits          │
                pooled                                                     └── cross-entropy ── * 0.3

x is what an inception module in the middle of the network gives. It is seen by the trunk (here only a global
average and the classifier fc) and by the auxiliary head. y is the total loss, a single number; gy = dL/dy.

`saved` holds x, the weights and what forward computed on the way, under the names above: saved.x, saved.mean,
saved.logits, saved.pooled, saved.conv (after its ReLU), saved.flat, saved.hidden (after its ReLU),
saved.dropped, saved.aux_logits; saved.mask, which dropout multiplied by; saved.labels; the weights
saved.w_conv (1, 1, C, filters), saved.w_fc1, saved.w_fc2 and saved.w_fc. Each has a bias: b_conv, b_fc1,
b_fc2, b_fc.

The backward passes of most ops are given; you put them together:

    gx = cross_entropy_backward(gy, logits, labels)
    gx, gw, gb = linear_backward(gy, x, w)
    gx, gw, gb = conv2d_backward(gy, x, w)
    gx = relu_backward(gy, y)                              y: what came out of the ReLU
    gx = avg_pool2d_backward(gy, x, 3, stride=2)
    gx = global_avg_pool2d_backward(gy, x)

Dropout, flatten and the weighted sum are yours. docs/googlenet.md says what the heads are for.
When you think it is right:  minicnn exercise check auxiliary-head
"""

from types import SimpleNamespace

import numpy as np

from minicnn.study.exercises.parts import (
    avg_pool2d_backward,
    conv2d_backward,
    cross_entropy_backward,
    global_avg_pool2d_backward,
    linear_backward,
    relu_backward,
)


def backward(gy: np.ndarray, saved: SimpleNamespace) -> dict[str, np.ndarray]:
    """Return a dict of gradients: gx, gw_conv, gb_conv, gw_fc1, gb_fc1, gw_fc2, gb_fc2, gw_fc, gb_fc."""
    raise NotImplementedError("write the backward of the total loss here")
