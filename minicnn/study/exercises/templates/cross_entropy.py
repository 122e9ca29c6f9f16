"""Exercise: the backward pass of softmax and cross-entropy, taken together.

    forward    p[n, k] = exp(x[n, k]) / sum over j of exp(x[n, j])          softmax
               l[n]    = -log p[n, labels[n]]                               cross-entropy
               y       = mean of l,  sum of l,  or l itself                 the reduction

    x, p       (N, K)     logits and probabilities of N samples and K classes
    labels     (N,)       the right classes, from 0 to K - 1
    reduction             "mean", "sum" or "none"
    y, gy      ()         a single number for "mean" and "sum"
               (N,)       one for each sample for "none"
    gx         (N, K)

Write l[n] in terms of x: the logarithm undoes the exponential above the fraction line, and what is left has a
simple derivative. Forward has saved p. Mind what gy is for each reduction.

docs/ops/cross_entropy.md has the derivation, if you are stuck.
When you think it is right:  minicnn exercise check cross-entropy
"""

import numpy as np


def backward(gy: np.ndarray, p: np.ndarray, labels: np.ndarray, reduction: str) -> np.ndarray:
    """Return gx. Do not write into p: make a new array."""
    raise NotImplementedError("write the backward of softmax with cross-entropy here")
