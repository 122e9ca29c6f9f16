"""The wrong ops of `minicnn exercise bugs`: with what each is checked, what is wrong with it, and why."""

from __future__ import annotations

import numpy as np

from minicnn.errors import UsageError
from minicnn.study.exercises.bugs import Bug

BUGS: dict[str, Bug] = {
    bug.name: bug
    for bug in (
        Bug(
            "two_branches", "two products side by side: the smallest inception module", 1,
            (("two branches", ((2, 3), (3, 2), (3, 4)), {}),),
            "        gw = []\n"
            "        for w, g in ((w1, gy[:, :C1]), (w2, gy[:, C1:])):\n"
            "            gx = g @ w.T\n",
            "        gx, gw = np.zeros_like(x), []\n"
            "        for w, g in ((w1, gy[:, :C1]), (w2, gy[:, C1:])):\n"
            "            gx += g @ w.T\n",
            "x is seen by both branches, so gx is the sum of what comes back through each: gx += ... The "
            "assignment in the loop keeps that of the last branch only. gw1 and gw2 are right, which is "
            "why the network still learns something.",
        ),
        Bug(
            "shortcut", "a residual block: x + relu(x @ w)", 1,
            (("a block", ((2, 3), (3, 3)), {}),),
            "    identity = Tensor(x.data)\n    return identity + branch",
            "    return x + branch",
            "Tensor(x.data) makes a new leaf without history, like detach(): the shortcut's gradient ends "
            "there. No op is wrong by itself, and the checker says so: look for .data, .numpy() and "
            ".detach().",
        ),
        Bug(
            "surprise", "softmax and cross-entropy, the mean over the batch", 1,
            (("one sample", ((1, 4),), {"labels": np.array([2])}),
             ("three samples", ((3, 4),), {"labels": np.array([2, 0, 3])})),
            "        gx = gy * (p - truth)\n",
            "        gx = gy * (p - truth) / len(p)\n",
            "forward takes the mean over the batch, so each sample counts 1/N. Without it the gradient is "
            "N times too large: right for a batch of one. A check needs a batch of more.",
        ),
        Bug(
            "window_mean", "average pooling", 1,
            (("windows side by side", ((2, 4, 6, 3),), {"kernel": 2, "stride": 2}),
             ("overlapping windows", ((2, 5, 7, 2),), {"kernel": 3, "stride": 2}),
             ("gaps between windows", ((1, 5, 5, 1),), {"kernel": 1, "stride": 2})),
            "            gx[:, p * S : p * S + K, q * S : q * S + K] = share\n",
            "            gx[:, p * S : p * S + K, q * S : q * S + K] += share\n",
            "A pixel in several windows receives a share from each: += instead of =. It shows where "
            "windows overlap, that is, where the stride is less than the kernel, as in GoogLeNet's 3x3/2 "
            "pools.",
        ),
        Bug(
            "outer", "a gain for each sample times a gain for each channel", 2,
            (("3 samples, 4 channels", ((3, 1), (4,)), {}), ("one channel", ((3, 1), (1,)), {})),
            "        ga = gy.sum(axis=1, keepdims=True) * b.mean()\n",
            "        ga = (gy * b).sum(axis=1, keepdims=True)\n",
            "a was broadcast along the channels, so ga is the sum of gy * b over them. A product of a sum "
            "and a mean is that only if all gy are equal: with gy = 1 nothing shows. Cotangents have to "
            "be random.",
        ),
        Bug(
            "clipped_mean", "a moving average that is clipped at the ends", 2,
            (("reach 1", ((2, 8),), {"reach": 1}), ("reach 2", ((2, 5),), {"reach": 2})),
            "            gx[:, max(t - R, 0) : t + R + 1] += gy[:, t : t + 1] / (2 * R + 1)\n",
            "            window = slice(max(t - R, 0), min(t + R + 1, gy.shape[1]))\n"
            "            gx[:, window] += gy[:, t : t + 1] / (window.stop - window.start)\n",
            "At the ends a window holds fewer values, and forward divides by how many there are. backward "
            "divides by 2R + 1 everywhere. It shows at the border only: the checker's wrong coordinates "
            "are all there.",
        ),
        Bug(
            "frame", "zero padding", 2,
            (("alike on all sides", ((2, 3, 3, 1),), {"vertical": (1, 1), "horizontal": (1, 1)}),
             ("more at the right", ((2, 3, 3, 1),), {"vertical": (1, 1), "horizontal": (0, 1)}),
             ("more at the top", ((2, 3, 4, 2),), {"vertical": (2, 0), "horizontal": (1, 1)})),
            "        return (gy[:, top : PH - bottom, right : PW - left],)\n",
            "        return (gy[:, top : PH - bottom, left : PW - right],)\n",
            "Left and right are exchanged, so the gradient is cut out of the wrong columns. With the same "
            "padding on both sides it makes no difference. Checks need a geometry in which all numbers "
            "differ.",
        ),
        Bug(
            "correlate", "a filter that slides over grey images", 2,
            (("square kernel", ((2, 5, 5), (3, 3)), {"stride": 1}),
             ("stride 2", ((2, 5, 6), (2, 2)), {"stride": 2}),
             ("low and wide kernel", ((2, 4, 5), (2, 3)), {"stride": 1}),
             ("high and narrow kernel", ((2, 5, 4), (3, 2)), {"stride": 1})),
            "            for j in range(KH):\n",
            "            for j in range(KW):\n",
            "The inner loop runs over KH columns instead of KW: the last columns of a kernel that is "
            "wider than high are forgotten, in gx and in gw. With square kernels nothing shows.",
        ),
        Bug(
            "peaks", "max pooling in one dimension, in ceil mode", 2,
            (("everything fits", ((2, 9),), {"kernel": 3, "stride": 2}),
             ("the last window reaches beyond", ((2, 8),), {"kernel": 3, "stride": 2})),
            "        for p in range((x.shape[1] - self.kernel) // self.stride + 1):\n",
            "        for p in range(gy.shape[1]):\n",
            "backward works out the number of windows anew, and rounds down: the gradient of the last "
            "window is lost where it reaches beyond the end. Take the number from gy.",
        ),
        Bug(
            "neighbours", "the energy of a window of channels, as in LRN", 3,
            (("odd size", ((2, 8),), {"size": 5}), ("even size", ((2, 8),), {"size": 4}),
             ("size 2", ((1, 3),), {"size": 2})),
            "        gx = 2 * x * (gy @ self.band(x))\n",
            "        gx = 2 * x * (gy @ self.band(x).T)\n",
            "The gradient of a product with B is a product with the transposed B. The window of an odd "
            "size is symmetric, so B = B^T and nothing shows; that of an even size is not.",
        ),
        Bug(
            "gate", "x + relu(x), with a ReLU that saves memory", 3,
            (("a few values", ((2, 5),), {}),),
            "        gy *= on\n        return (gy,)",
            "        return (gy * on,)",
            "gy *= on writes into an array that the engine has handed to the other consumer of x, too: "
            "the addition gives the same gy to both. What Gate returns is right, and what x gets from the "
            "addition is spoiled. The checker reports a backward that changes its argument.",
        ),
        Bug(
            "thinned", "dropout", 2,
            (("half is dropped", ((3, 4),), {"p": 0.5, "seed": 1}),
             ("nothing is dropped", ((3, 4),), {"p": 0.0, "seed": 1})),
            "        mask = rng.random(x.shape) >= self.p\n        self.rng = rng\n"
            "        return x * mask / (1 - self.p)\n\n"
            "    def backward(self, gy: np.ndarray) -> tuple[np.ndarray]:\n"
            '        """Return gx."""\n'
            "        mask = self.rng.random(gy.shape) >= self.p\n",
            "        mask = rng.random(x.shape) >= self.p\n        self.save(mask)\n"
            "        return x * mask / (1 - self.p)\n\n"
            "    def backward(self, gy: np.ndarray) -> tuple[np.ndarray]:\n"
            '        """Return gx."""\n'
            "        (mask,) = self.saved\n",
            "backward draws a new mask. It has to use the one that forward drew: save it. On average over "
            "many steps the gradient looks plausible, so that a loss curve does not tell.",
        ),
        Bug(
            "variance", "the variance of each row, with half of the memory", 3,
            (("around 0", ((3, 6),), {}), ("around 10,000", ((3, 7),), {})),
            "        self.save(x.astype(np.float32))\n",
            "        self.save(x)\n",
            "float32 knows a number around 10,000 to a thousandth. backward subtracts the mean from such "
            "numbers: the leading digits cancel, and the rounding errors stay. Around 0 nothing is lost. "
            "Keep the dtype; or save the distances, whose digits are all of use.",
            draw=lambda rng, shape: rng.standard_normal(shape) + (10_000 if shape == (3, 7) else 0),
        ),
        Bug(
            "zoom", "enlarge by repeating values, and shrink again by a maximum", 3,
            (("two rows", ((2, 3),), {}),),
            "        won = pairs == y[:, :, None]\n",
            "        won = np.arange(2) == pairs.argmax(axis=2)[:, :, None]\n",
            "Where both neighbours are equal, both receive the whole gradient: twice too much. After "
            "Repeat they are always equal. Each op by itself meets a tie with probability zero on random "
            "numbers; here y = x is smooth, so the checker can judge the whole, though no op by itself. "
            "The first of equals wins.",
        ),
        Bug(
            "distance", "the absolute value (is anything wrong at all?)", 3,
            (("with a zero", ((3,),), {}),),
            "        return (np.where(x >= 0, gy, -gy),)\n",
            "        return (np.where(x >= 0, gy, -gy),)\n\n"
            "    def branches(self) -> np.ndarray:\n"
            '        """Tell on which side of the kink each value lies."""\n'
            "        return self.saved[0] >= 0\n",
            "No gradient is wrong. At x = 0 there is a kink: the slope is -1 on one side and 1 on the "
            "other, the difference quotient is their mean, 0, whatever eps is, and backward returns 1 by "
            "convention. An op with kinks has to say so: branches() tells which way each element went, "
            "and the checker leaves alone those that went another way at x + eps than at x - eps.",
            draw=lambda rng, shape: np.array([1.5, 0.0, -0.5]),
        ),
    )
}  # fmt: skip


def bug_named(name: str) -> Bug:
    """Return the bug of that name, written with - or _.

    Raises
    ------
    UsageError
        If there is none.
    """
    wanted = name.replace("-", "_")
    if wanted not in BUGS:
        raise UsageError(f"exercise bugs: expected one of {', '.join(BUGS)}; got {name!r}")
    return BUGS[wanted]
