"""Optimisation: stochastic gradient descent, learning rate schedules, clipping and averaging."""

from minicnn.optim.averaging import PolyakAverage
from minicnn.optim.clipping import clip_gradients, gradient_norm
from minicnn.optim.groups import ParameterGroup, weight_and_bias_groups
from minicnn.optim.schedules import Plateau, Schedule, constant, cosine, one_cycle, poly, step_decay
from minicnn.optim.sgd import SGD

__all__ = [
    "SGD",
    "ParameterGroup",
    "Plateau",
    "PolyakAverage",
    "Schedule",
    "clip_gradients",
    "constant",
    "cosine",
    "gradient_norm",
    "one_cycle",
    "poly",
    "step_decay",
    "weight_and_bias_groups",
]
