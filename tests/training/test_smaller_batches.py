"""Batches cut until they fit; on a stand-in for a GPU see tests/cuda/test_training.py."""

import pytest

from minicnn import DeviceMemoryError
from minicnn.training import SmallerBatches


def with_room_for(most, seen):
    def function(part):
        if part.stop - part.start > most:
            raise DeviceMemoryError("full")
        seen.append(part)
        return list(range(100))[part]

    return function


@pytest.mark.parametrize("most", [1, 2, 3, 6, 7, 12, 13, 20])
@pytest.mark.parametrize("images", [1, 2, 12, 13])
def test_all_images_come_once_and_in_order(images, most):
    seen, said = [], []
    smaller = SmallerBatches(said.append)
    for _ in range(2):
        results = smaller.run(with_room_for(most, seen), images)
        assert [number for part in results for number in part] == list(range(images))
    assert len(said) == (images > most)
    if images <= most:
        assert seen == [slice(0, images)] * 2


def test_a_larger_batch_than_the_first_is_cut_to_what_fits():
    said = []
    smaller = SmallerBatches(said.append)
    for images in (5, 16, 3):
        assert len([n for part in smaller.run(with_room_for(4, []), images) for n in part]) == images
    assert said == ["full, when evaluating 5 images at once; going on with 2 at once: "
                    "the same results, but slower"]  # fmt: skip


def test_not_one_image():
    with pytest.raises(
        DeviceMemoryError, match=r"^full, when evaluating 5 images at once; not even one image"
    ):
        list(SmallerBatches().run(with_room_for(0, []), 5))


@pytest.mark.parametrize("error", [MemoryError("Unable to allocate 3 GiB"), ValueError("a bug")])
def test_other_errors_come_as_themselves(error):
    def function(part):
        raise error

    with pytest.raises(type(error)) as caught:
        list(SmallerBatches().run(function, 5))
    assert caught.value is error
