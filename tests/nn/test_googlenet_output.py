"""The output tuple, and the loss that adds the heads' losses to the main one."""

import numpy as np
import pytest

from minicnn import ShapeError, Tensor, models, nn
from minicnn import functional as F

LABELS = np.array([2, 0, 1])


def logits(rng):
    return Tensor(rng.standard_normal((3, 4)), requires_grad=True)


def test_losses_of_the_heads_are_weighted(rng):
    out = nn.GoogLeNetOutput(logits(rng), logits(rng), logits(rng))
    main, aux1, aux2 = (F.cross_entropy(head, LABELS).item() for head in out)
    assert nn.total_loss(out, LABELS).item() == pytest.approx(main + 0.3 * (aux1 + aux2), rel=1e-14)
    assert nn.total_loss(out, LABELS, aux_weight=0.5).item() == pytest.approx(
        main + 0.5 * (aux1 + aux2), rel=1e-14
    )
    assert nn.total_loss(out, LABELS, aux_weight=0).item() == pytest.approx(main, rel=1e-14)


def test_gradients_of_the_heads_are_weighted(rng):
    out = nn.GoogLeNetOutput(logits(rng), logits(rng), logits(rng))
    nn.total_loss(out, LABELS, aux_weight=0.25).backward()
    for head, weight in zip(out, (1, 0.25, 0.25), strict=True):
        alone = Tensor(head.data, requires_grad=True)
        F.cross_entropy(alone, LABELS).backward()
        np.testing.assert_allclose(head.grad, weight * alone.grad, rtol=1e-13)


def test_without_heads_the_main_loss_is_all(rng):
    out = nn.GoogLeNetOutput(logits(rng), None, None)
    assert nn.total_loss(out, LABELS).item() == F.cross_entropy(out.logits, LABELS).item()


def test_one_head_may_be_missing(rng):
    out = nn.GoogLeNetOutput(logits(rng), None, logits(rng))
    expected = F.cross_entropy(out.logits, LABELS).item() + 0.3 * F.cross_entropy(out.aux2, LABELS).item()
    assert nn.total_loss(out, LABELS).item() == pytest.approx(expected, rel=1e-14)


def test_models_re_export_both():
    assert models.total_loss is nn.total_loss
    assert models.GoogLeNetOutput is nn.GoogLeNetOutput
    assert nn.GoogLeNetOutput._fields == ("logits", "aux1", "aux2")


def test_labels_are_checked(rng):
    out = nn.GoogLeNetOutput(logits(rng), None, None)
    with pytest.raises(ShapeError, match=r"labels: expected classes from 0 to 3, got values from 0 to 4$"):
        nn.total_loss(out, np.array([0, 4, 1]))
