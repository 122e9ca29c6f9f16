"""Batches made on a GPU have the bits of those made on the CPU."""

import numpy as np
import pytest

from minicnn.backend import device_of, to_numpy
from minicnn.data import Loader, Normalisation


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (23, 16, 24, 3), dtype=np.uint8)


def batches(images, device, **options):
    loader = Loader(
        images, np.arange(len(images)), 5, seed=3, normalisation=Normalisation.from_images(images),
        device=device, **options,
    )  # fmt: skip
    return [(x, labels) for epoch in range(2) for x, labels in loader.epoch(epoch)]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"augment": True, "shuffle": True, "drop_last": True},
        {"augment": True, "mirror": False},
        {"augment": True, "dtype": np.float64},
        {"size": 12, "augment": True},
    ],
    ids=str,
)
def test_the_same_bits(gpu, images, options):
    ours, expected = batches(images, gpu, **options), batches(images, "cpu", **options)
    assert len(ours) == len(expected)
    for (x, labels), (expected_x, expected_labels) in zip(ours, expected, strict=True):
        assert device_of(x) == device_of(labels) == "cuda:0"
        assert x.dtype == expected_x.dtype
        np.testing.assert_array_equal(to_numpy(x), expected_x)
        np.testing.assert_array_equal(to_numpy(labels), expected_labels)


def test_a_data_set_that_is_too_large_stays_on_the_cpu(gpu, images, monkeypatch):
    expected = batches(images, "cpu", augment=True)
    monkeypatch.setattr("minicnn.data.on_gpu.MOST_OF_MEMORY", 0.0)
    for (x, _), (expected_x, _) in zip(batches(images, gpu, augment=True), expected, strict=True):
        np.testing.assert_array_equal(to_numpy(x), expected_x)


def test_an_epoch_can_begin_in_the_middle(gpu, images):
    loader = Loader(
        images, np.arange(23), 5, seed=3, normalisation=Normalisation.from_images(images), device=gpu,
        augment=True, shuffle=True,
    )  # fmt: skip
    whole, rest = list(loader.epoch(1)), list(loader.epoch(1, start_step=2))
    for (x, _), (expected, _) in zip(rest, whole[2:], strict=True):
        np.testing.assert_array_equal(to_numpy(x), to_numpy(expected))
