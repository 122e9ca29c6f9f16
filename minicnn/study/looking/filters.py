"""The first layer's filters as colour images: what the network has learned to look for in raw pixels.

A filter of the first convolution has a weight for every pixel and colour of its window, so it is a small
picture: of what it answers to most strongly, among all windows of equal size (the scalar product of two
vectors of given length is largest when they are parallel). One scale for all filters,

    colour = 1/2 + w / (2 max |w|),                 the maximum over all filters,

shows a weight of zero as grey, positive ones as light, negative ones as dark, and lets filters be
compared: one that has learned little is flat grey. Deeper filters have no such picture, since their inputs
are no colours.

Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", 2012,
figure 3. Zeiler, Fergus, "Visualizing and understanding convolutional networks", 2013, on choosing an
architecture by such pictures: filters that dominate, are dead, or leave out the middle frequencies.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from minicnn.backend import to_numpy
from minicnn.errors import ShapeError, UsageError
from minicnn.nn import Module


def first_filters(model: Module) -> npt.NDArray[np.floating]:
    """Return the weights of the first convolution, filter by filter.

    Parameters
    ----------
    model : Module
        Its first parameter of shape (KH, KW, CI, CO), in order of definition, is the one.

    Returns
    -------
    array of shape (CO, KH, KW, CI)
        A copy; in units of output per unit of input.

    Raises
    ------
    UsageError
        If the model has no convolution.

    Examples
    --------
    >>> from minicnn import models
    >>> first_filters(models.googlenet_cifar(width=0.25)).shape
    (16, 3, 3, 3)
    """
    for parameter in model.parameters():
        if parameter.ndim == 4:
            return to_numpy(parameter.data).transpose(3, 0, 1, 2).copy()
    raise UsageError("first_filters: expected a model with a convolution, found no weight (KH, KW, CI, CO)")


def filter_grid(filters: npt.NDArray[np.floating], columns: int | None = None) -> npt.NDArray[np.floating]:
    """Lay filters out side by side, as one colour image.

    Parameters
    ----------
    filters : array of shape (CO, KH, KW, 3) or (CO, KH, KW, 1)
        As `first_filters` gives them.
    columns : int, default=None
        How many to a row; None makes the grid about square.

    Returns
    -------
    array of shape (rows * (KH + 1) + 1, columns * (KW + 1) + 1, 3)
        From 0 to 1, zero weights at 1/2, with white lines of one pixel around every filter.

    Examples
    --------
    >>> import numpy as np
    >>> grid = filter_grid(np.array([-2.0, 0.0, 1.0]).reshape(3, 1, 1, 1), columns=3)
    >>> grid[:, :, 0]
    array([[1.  , 1.  , 1.  , 1.  , 1.  , 1.  , 1.  ],
           [1.  , 0.  , 1.  , 0.5 , 1.  , 0.75, 1.  ],
           [1.  , 1.  , 1.  , 1.  , 1.  , 1.  , 1.  ]])
    """
    if filters.ndim != 4 or filters.shape[3] not in (1, 3) or filters.size == 0:
        raise ShapeError(
            f"filter_grid: filters: expected shape (CO, KH, KW, 3) or (CO, KH, KW, 1), got {filters.shape}"
        )
    CO, KH, KW, _ = filters.shape
    columns = columns or math.ceil(math.sqrt(CO))
    rows = math.ceil(CO / columns)
    colours = 0.5 + filters / (2 * (np.abs(filters).max() or 1))
    grid = np.ones((rows * (KH + 1) + 1, columns * (KW + 1) + 1, 3), colours.dtype)
    for place, colour in enumerate(colours):
        row, column = divmod(place, columns)
        top, left = row * (KH + 1) + 1, column * (KW + 1) + 1
        grid[top : top + KH, left : left + KW] = colour
    return grid
