import itertools
import time

import numpy as np
import pytest

from minicnn.data import Loader, Normalisation, resize_bilinear
from minicnn.errors import DataError, ShapeError

IDENTITY = Normalisation((0, 0, 0), (1, 1, 1))


@pytest.fixture
def images(rng):
    return rng.integers(1, 256, (50, 16, 16, 3), dtype=np.uint8)


@pytest.fixture
def labels(rng):
    return rng.integers(0, 10, 50).astype(np.int32)


def loader(images, labels, batch_size=8, **options):
    return Loader(images, labels, batch_size, **{"seed": 3, "normalisation": IDENTITY, **options})


def assert_same(batches, others):
    for (x, t), (other_x, other_t) in itertools.zip_longest(batches, others, fillvalue=(None, None)):
        np.testing.assert_array_equal(x, other_x)
        np.testing.assert_array_equal(t, other_t)


def test_plain_batches_are_the_normalised_images_in_order(images, labels):
    normalisation = Normalisation.from_images(images)
    batches = list(loader(images, labels, normalisation=normalisation).epoch(0))
    assert [len(x) for x, _ in batches] == [8, 8, 8, 8, 8, 8, 2]
    assert {(x.dtype, t.dtype) for x, t in batches} == {(np.dtype(np.float32), np.dtype(np.int64))}
    np.testing.assert_allclose(
        np.concatenate([x for x, _ in batches]),
        (images - np.array(normalisation.mean)) / np.array(normalisation.std),
        atol=1e-6,
    )
    np.testing.assert_array_equal(np.concatenate([t for _, t in batches]), labels)


def test_drop_last_and_length(images, labels):
    assert len(loader(images, labels)) == 7
    dropping = loader(images, labels, drop_last=True)
    assert len(dropping) == 6
    assert [len(x) for x, _ in dropping.epoch(0)] == [8] * 6


def test_shuffling_shows_every_image_once_with_its_label_in_another_order_each_epoch(images, labels):
    images[:, 0, 0, 0] = np.arange(50)
    orders = []
    for epoch in range(2):
        batches = list(loader(images, labels, shuffle=True).epoch(epoch))
        order = np.concatenate([x[:, 0, 0, 0] for x, _ in batches]).astype(int)
        assert sorted(order) == list(range(50))
        np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), images[order])
        np.testing.assert_array_equal(np.concatenate([t for _, t in batches]), labels[order])
        orders.append(order.tolist())
    assert orders[0] != orders[1]
    assert orders[0] != list(range(50))


TRAINING = {"augment": True, "shuffle": True}


def test_batches_depend_on_seed_and_epoch_alone(images, labels):
    first = list(loader(images, labels, **TRAINING).epoch(1))
    again = loader(images, labels, **TRAINING)
    list(again.epoch(0))
    assert_same(again.epoch(1), first)
    for other in (
        loader(images, labels, **TRAINING).epoch(2),
        loader(images, labels, **TRAINING, seed=4).epoch(1),
    ):
        assert not np.array_equal(next(other)[0], first[0][0])
        other.close()


def test_resuming_in_the_middle_gives_the_rest(images, labels):
    whole = list(loader(images, labels, **TRAINING).epoch(5))
    assert_same(loader(images, labels, **TRAINING).epoch(5, start_step=3), whole[3:])
    assert list(loader(images, labels, **TRAINING).epoch(5, start_step=7)) == []


def test_every_step_is_augmented_differently(labels):
    same = np.random.default_rng(0).integers(1, 256, (1, 16, 16, 3), dtype=np.uint8).repeat(50, axis=0)
    batches = [x for x, _ in loader(same, labels, augment=True, drop_last=True).epoch(0)]
    assert not any(np.array_equal(a, b) for a, b in itertools.combinations(batches, 2))


def test_every_epoch_is_augmented_differently(images, labels):
    batches = loader(images, labels, augment=True)
    assert not np.array_equal(next(batches.epoch(0))[0], next(batches.epoch(1))[0])


def test_augmentation_moves_by_an_eighth_and_fills_with_the_mean(labels):
    images = np.full((50, 16, 24, 3), 200, np.uint8)
    normalisation = Normalisation((100, 100, 100), (50, 50, 50))
    x = np.concatenate(
        [x for x, _ in loader(images, labels, normalisation=normalisation, augment=True).epoch(0)]
    )
    assert set(np.unique(x)) == {0.0, 2.0}  # the mean, and the image
    inside = x[..., 0] == 2
    rows, columns = inside.any(axis=2).sum(axis=1), inside.any(axis=1).sum(axis=1)
    assert set(rows) == {14, 15, 16}
    assert set(columns) == {21, 22, 23, 24}


def test_augmentation_keeps_the_margin_clean_between_batches(images, labels):
    """The buffer is reused: nothing of an earlier batch may show in a later one."""
    images[:40] = 255
    images[40:] = 1
    x = np.concatenate([x for x, _ in loader(images, labels, augment=True).epoch(0)])
    assert set(np.unique(x[40:])) <= {0.0, 1.0}


def test_mirroring_can_be_switched_off(labels):
    images = np.zeros((50, 16, 16, 3), np.uint8)
    images[:, :, :8] = 255  # bright on the left
    for mirror, expected in ((True, {True, False}), (False, {True})):
        batches = loader(images, labels, augment=True, mirror=mirror).epoch(0)
        x = np.concatenate([x for x, _ in batches])
        left, right = x[:, :, 4:8].mean(axis=(1, 2, 3)), x[:, :, 8:12].mean(axis=(1, 2, 3))
        assert set(left > right) == expected


@pytest.mark.parametrize("augment", [False, True])
def test_resizes_on_the_fly(images, labels, augment):
    x, _ = next(loader(images, labels, size=(24, 40), augment=augment).epoch(0))
    assert x.shape == (8, 24, 40, 3)
    if not augment:
        np.testing.assert_array_equal(x, resize_bilinear(images[:8].astype(np.float32), (24, 40)))


def test_batches_belong_to_the_consumer(images, labels):
    batches = list(loader(images, labels, **TRAINING).epoch(0))
    copies = [(x.copy(), t.copy()) for x, t in batches]
    for x, t in loader(images, labels, **TRAINING).epoch(0):
        x[:] = -1
        t[:] = -1
    assert_same(batches, copies)
    before = labels.copy()
    for _, t in loader(images, labels).epoch(0):
        t[:] = -1
    np.testing.assert_array_equal(labels, before)


def test_float64(images, labels):
    x, _ = next(loader(images, labels, dtype=np.float64, size=20, augment=True).epoch(0))
    assert x.dtype == np.float64


def test_a_batch_of_64_small_images_takes_under_3_ms_of_one_core(rng):
    images = rng.integers(0, 256, (1280, 32, 32, 3), dtype=np.uint8)
    batches = loader(
        images, np.zeros(1280, int), 64, normalisation=Normalisation.from_images(images), **TRAINING
    )
    list(batches.epoch(0))
    start = time.process_time()
    list(batches.epoch(1))
    assert (time.process_time() - start) / 20 < 3e-3


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"images": np.zeros((5, 4, 4, 3))}, DataError, "Loader: images: expected uint8.*got float64"),
        (
            {"images": np.zeros((5, 4, 4), np.uint8)},
            DataError,
            r"\(N, H, W, C\), got uint8 of shape \(5, 4, 4\)",
        ),
        ({"images": np.zeros((0, 4, 4, 3), np.uint8)}, DataError, r"got uint8 of shape \(0, 4, 4, 3\)"),
        (
            {"labels": np.zeros(4, int)},
            DataError,
            r"labels: expected whole numbers of shape \(5,\).*shape \(4,\)",
        ),
        ({"labels": np.zeros(5)}, DataError, "labels: expected whole numbers.*got float64"),
        ({"batch_size": 0}, ShapeError, "Loader: batch_size: expected at least 1, got 0"),
        ({"size": -1}, ShapeError, "Loader: size: expected at least 1, got -1"),
        ({"batch_size": 6, "drop_last": True}, DataError, "at least one full batch of 6 images, got 5"),
    ],
)
def test_bad_input(change, error, words):
    arguments = {"images": np.zeros((5, 4, 4, 3), np.uint8), "labels": np.zeros(5, int), "batch_size": 2}
    with pytest.raises(error, match=words):
        loader(**{**arguments, **change})


def test_bad_step(images, labels):
    with pytest.raises(ShapeError, match="start_step: expected at least 0, got -1"):
        loader(images, labels).epoch(0, start_step=-1)
