import numpy as np
import pytest

from minicnn.data.augmentation import cut_windows, draw_windows


def numbered(N, PH, PW):
    """Images whose every number is its own index, so that a window says where it comes from."""
    return np.arange(N * PH * PW * 3, dtype=np.float64).reshape(N, PH, PW, 3)


@pytest.mark.parametrize("mirror", [True, False])
def test_every_result_is_a_window_of_its_own_image(rng, mirror):
    padded = numbered(200, 9, 8)
    windows = cut_windows(padded, (5, 6), draw_windows(200, (5, 3), mirror, rng))
    assert windows.shape == (200, 5, 6, 3)
    places, mirrored = set(), 0
    for image, window in zip(padded, windows, strict=True):
        flipped = window[0, 0, 0] > window[0, 1, 0]
        mirrored += flipped
        if flipped:
            window = window[:, ::-1]
        row, column = (int(start[0]) for start in np.nonzero(image[..., 0] == window[0, 0, 0]))
        np.testing.assert_array_equal(window, image[row : row + 5, column : column + 6])
        places.add((row, column))
    assert places == {(row, column) for row in range(5) for column in range(3)}
    assert (70 < mirrored < 130) if mirror else mirrored == 0


def test_without_a_margin_only_mirrors(rng):
    padded = numbered(50, 4, 4)
    windows = cut_windows(padded, (4, 4), draw_windows(50, (1, 1), True, rng))
    for image, window in zip(padded, windows, strict=True):
        assert (window == image).all() or (window == image[:, ::-1]).all()
