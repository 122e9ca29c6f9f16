"""Learning one batch by heart: the first thing to try when a network does not train.

A handful of images, no augmentation, no dropout, no weight decay: a network whose forward and backward
passes are right drives this loss to zero. If it cannot, more data and more epochs will not help.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from minicnn import optim
from minicnn.backend import Array
from minicnn.nn import Dropout, Module, total_loss
from minicnn.parallel import pinned_blas
from minicnn.tensor import Tensor
from minicnn.training.metrics import Figures, count_batch
from minicnn.training.watch import News, examine

LEARNED = 0.02  # main head's loss: the right class has 98% on (geometric) average
GENTLE_RATE = 1e-3
REPORT_EVERY = 20


def overfit_one_batch(
    model: Module,
    images: Array,
    labels: Array,
    num_classes: int,
    lr: float = GENTLE_RATE,
    aux_weight: float = 0.3,
    max_steps: int = 400,
    advice: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> bool:
    """Train a network on one batch until it knows it, and say what came of it.

    The rate rises over the first 20 steps and then stays. Without dropout and augmentation, a loss that
    does not fall to zero is a fault of the network, its start or the rate.

    Parameters
    ----------
    model : Module
        Is trained; its dropouts are switched off.
    images : float array of shape (N, H, W, C)
    labels : integer array of shape (N,)
    num_classes : int
    lr : float, default=0.001
        Far below what training uses: with the same images in every step, momentum builds up unopposed.
    aux_weight : float, default=0.3
    max_steps : int, default=400
        When to give up.
    advice : sequence of str, default=()
        What else to try, besides another rate, if it has not learned them.
    say : function, default=print
        Takes each line of the account.

    Returns
    -------
    bool
        Whether the loss came down to 0.02 with all images recognised.
    """
    for _, module in model.named_modules():
        if isinstance(module, Dropout):
            module.p = 0.0
    model.train()
    optimizer = optim.SGD(model.parameters(), lr)
    start, figures = math.inf, {"main": Figures()}
    for step in range(max_steps):
        optimizer.lr_factor = min(1.0, (step + 1) / 20)
        with pinned_blas():
            out = model(Tensor(images))
            loss = total_loss(out, labels, aux_weight)
            figures = {}
            count_batch(figures, out, labels)
            main = figures["main"]
            start = main.loss if step == 0 else start
            if not math.isfinite(loss.item()):
                say(
                    _verdict_no(
                        f"the loss became {loss.item()} at step {step + 1}",
                        f"It diverges: an --lr below {lr:g}.",
                    )
                )
                return False
            learned = main.loss <= LEARNED and main.hits == main.images
            if step % REPORT_EVERY == 0 or learned:
                heads = ", ".join(f"{head} {figures[head].loss:.4f}" for head in figures)
                say(f"step {step:4d}  loss {heads}  accuracy {main.accuracy:.1%}")
            if learned:
                say(
                    f"Yes: it learned {main.images} images by heart in {step} steps. Forward pass, backward "
                    "pass and update work together; what is wrong, if anything, is the data, the rate or the "
                    "regularisation."
                )
                return True
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    main = figures["main"]
    guessing = math.log(num_classes)
    if main.loss > 0.9 * guessing:
        found = examine(model, images, labels, optimizer, aux_weight, heads="aux1" in figures)
        for finding in News().of(found, max_steps):
            say(str(finding))
        to_try = "; ".join([*advice, f"try an --lr higher or lower than {lr:g}"])
        meaning = (
            f"It is still guessing (ln({num_classes}) = {guessing:.2f}): the signal or the gradient dies on "
            f"the way: {to_try}, then minicnn gradcheck."
        )
    else:
        to_try = "; ".join([*advice, "try a higher --lr or a smaller --batch-size"])
        meaning = f"It learns, but slowly: {to_try}. Equal images with different labels also do this."
    say(_verdict_no(f"after {max_steps} steps the loss is {main.loss:.3f}, it began at {start:.3f}", meaning))
    return False


def _verdict_no(what: str, meaning: str) -> str:
    return f"No: {what}. {meaning}"
