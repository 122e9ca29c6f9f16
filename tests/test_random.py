"""Counter-based generators: equal places give equal numbers, different places different ones."""

import numpy as np
import pytest

from minicnn.data import load_shapes
from minicnn.errors import UsageError
from minicnn.random import Stream, counter_generator

HERE = {"seed": 7, "stream": Stream.ORDER, "epoch": 3, "step": 17, "place": 2}


def test_equal_places_give_equal_numbers_whatever_was_drawn_before():
    expected = counter_generator(**HERE).random(10)
    counter_generator(**HERE).random(1_000_000)
    np.testing.assert_array_equal(counter_generator(**HERE).random(10), expected)


@pytest.mark.parametrize("name", HERE)
def test_every_part_of_the_place_matters(name):
    other = {**HERE, name: Stream.DROPOUT if name == "stream" else HERE[name] + 1}
    assert (counter_generator(**HERE).random(10) != counter_generator(**other).random(10)).all()


def test_parts_are_not_mixed_up():
    """Epoch 1 step 2 is not epoch 2 step 1, and so on for all pairs."""
    places = [
        {"epoch": 1, "step": 2}, {"epoch": 2, "step": 1}, {"step": 1, "place": 2}, {"step": 2, "place": 1},
        {"epoch": 1, "place": 2}, {"epoch": 2, "place": 1},
    ]  # fmt: skip
    first = [counter_generator(0, Stream.ORDER, **place).random() for place in places]
    assert len(set(first)) == len(places)


def test_neighbouring_places_do_not_run_into_each_other():
    """Many numbers drawn at one place do not reach those of the next."""
    here, there = (counter_generator(0, Stream.DROPOUT, place=place).random(100_000) for place in (0, 1))
    assert not np.isin(there[:100], here).any()


def test_largest_seed():
    assert counter_generator(2**64 - 1, Stream.ORDER).random() != counter_generator(0, Stream.ORDER).random()


def test_seeds_of_numpy():
    assert (
        counter_generator(np.int64(7), Stream.ORDER).random() == counter_generator(7, Stream.ORDER).random()
    )


@pytest.mark.parametrize("seed", [-1, 2**64, None, 2.5, "7", True])
def test_what_is_no_seed(seed):
    words = rf"^seed: expected a whole number from 0 to 2\*\*64 - 1, got {seed!r}$"
    with pytest.raises(UsageError, match=words):
        counter_generator(seed, Stream.ORDER)
    with pytest.raises(UsageError, match=words):
        load_shapes(1, seed=seed)
