"""Random numbers made on a GPU."""

import numpy as np
import pytest

from minicnn import DeviceError, Tensor, UsageError
from minicnn import functional as F
from minicnn.backend import array_module, to_device, to_numpy
from minicnn.cuda.launch import launch
from minicnn.cuda.random import DeviceGenerator


def philox(gpu, first, key, counters):
    numbers = to_device(np.zeros((counters, 4), np.uint32), gpu)
    launch("dropout.cu", "philox_numbers", (1,), (256,), numbers, np.uint64(first), np.uint64(key), counters)
    return to_numpy(numbers)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [  # known answers of Random123, the authors' library, for counters whose upper half is zero
        (0, 0, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ],
)
def test_philox_gives_the_published_numbers(gpu, counter, key, expected):
    np.testing.assert_array_equal(philox(gpu, counter, key, 1)[0], expected)


def philox_in_python(counter: int, key: int) -> list[int]:
    """Philox4x32-10 written down from the paper, with Python's integers."""
    mask = 0xFFFFFFFF
    x = [counter & mask, counter >> 32, 0, 0]
    k0, k1 = key & mask, key >> 32
    for _ in range(10):
        first, second = 0xD2511F53 * x[0], 0xCD9E8D57 * x[2]
        x = [(second >> 32) ^ x[1] ^ k0, second & mask, (first >> 32) ^ x[3] ^ k1, first & mask]
        k0, k1 = (k0 + 0x9E3779B9) & mask, (k1 + 0xBB67AE85) & mask
    return x


def test_philox_of_large_counters_and_keys(gpu):
    first, key = 2**33 - 3, 0x299F31D0A4093822
    expected = [philox_in_python(first + i, key) for i in range(6)]
    np.testing.assert_array_equal(philox(gpu, first, key, 6), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [0.1, 0.4, 0.7])
def test_masks_drop_what_they_should(gpu, p, dtype):
    x = Tensor(to_device(np.ones((100, 203), dtype), gpu))
    y = F.dropout(x, p, rng=np.random.default_rng(1)).numpy()
    assert set(np.unique(y)) == {dtype(0), dtype(1) / dtype(1 - p)}
    spread = np.sqrt(p * (1 - p) / y.size)
    assert abs((y == 0).mean() - p) < 4 * spread
    for axis in (0, 1):  # no row or column is anything special
        share = (y == 0).mean(axis=axis)
        assert np.abs(share - p).max() < 5 * np.sqrt(p * (1 - p) / y.shape[axis])


def test_dropping_everything_and_nothing(gpu):
    x = Tensor(to_device(np.ones(7, np.float32), gpu))
    assert F.dropout(x, 1.0).numpy().tolist() == [0.0] * 7
    assert F.dropout(x, 0.0) is x
    assert F.dropout(x, 0.5, training=False) is x


def test_equal_keys_give_equal_masks_and_a_new_key_another(gpu):
    key = to_device(np.array(5, np.uint64), gpu)
    x = Tensor(to_device(np.ones(1000, np.float32), gpu))
    first, again = (F.dropout(x, rng=DeviceGenerator(key)).numpy() for _ in range(2))
    np.testing.assert_array_equal(first, again)
    key.set(np.array(6, np.uint64))
    assert (F.dropout(x, rng=DeviceGenerator(key)).numpy() != first).any()


def test_a_generator_draws_another_mask_each_time_until_it_begins_anew(gpu):
    generator = DeviceGenerator(to_device(np.array(5, np.uint64), gpu))
    x = Tensor(to_device(np.ones(1000, np.float32), gpu))
    first, second = F.dropout(x, rng=generator).numpy(), F.dropout(x, rng=generator).numpy()
    assert 400 < (first != second).sum() < 600
    generator.calls = 0
    np.testing.assert_array_equal(F.dropout(x, rng=generator).numpy(), first)


def test_a_mask_is_the_same_whatever_its_shape(gpu):
    generator = DeviceGenerator(to_device(np.array(9, np.uint64), gpu))
    long = to_numpy(generator.dropout_mask((4001,), 0.5, np.dtype(np.float32)))
    generator.calls = 0
    np.testing.assert_array_equal(
        to_numpy(generator.dropout_mask((7, 3), 0.5, np.dtype(np.float32))).ravel(), long[:21]
    )


def test_a_key_is_checked(gpu):
    with pytest.raises(UsageError, match=r"key: expected uint64 of shape \(\), got int64 of shape \(2,\)"):
        DeviceGenerator(to_device(np.zeros(2, np.int64), gpu))


def test_a_gpus_generator_is_for_a_gpu(gpu):
    generator = DeviceGenerator(to_device(np.array(9, np.uint64), gpu))
    with pytest.raises(DeviceError, match=r"^dropout: rng: expected a NumPy generator for a tensor on cpu"):
        F.dropout(Tensor([1.0]), rng=generator)


def test_masks_are_made_on_the_device_of_the_tensor(stand_in):
    x = Tensor(to_device(np.ones(3, np.float32), "cuda:1"))
    y = F.dropout(x)
    assert y.device == "cuda:1"
    assert array_module(y.data).__name__ == "cupy"
