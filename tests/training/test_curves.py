"""The picture of a run: everything it names is on it."""

import itertools

import numpy as np
import pytest
from PIL import Image

from minicnn.training.curves import draw_curves, spread


def rows(epochs: int, aux: bool = True) -> list[dict]:
    made = []
    for epoch in range(1, epochs + 1):
        row = {"epoch": epoch, "lr": 0.1 / epoch}
        for place, head in enumerate(("", "_aux1", "_aux2")):
            for split in ("train", "val"):
                present = aux or not head
                row[f"{split}{head}_loss"] = 2.0 / epoch + 0.1 * place if present else None
                row[f"{split}{head}_accuracy"] = 0.8 - 0.5 / epoch if present else None
        made.append(row)
    return made


@pytest.mark.parametrize(("epochs", "aux", "fine"), [(1, True, False), (6, False, True)])
def test_png(tmp_path, epochs, aux, fine):
    rates = (np.linspace(0, epochs, 50), np.linspace(0.1, 0.0, 50)) if fine else None
    draw_curves(rows(epochs, aux), tmp_path / "curves.png", "a network on some data", 10, rates)
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (1650, 780)
        pixels = np.asarray(picture.convert("RGB"))
    colours = {tuple(colour) for colour in np.unique(pixels.reshape(-1, 3), axis=0)}
    assert (0x0B, 0x4F, 0x8A) in colours, "the main head's"
    assert ((0xD5, 0x5E, 0x00) in colours) is ((0x00, 0x9E, 0x73) in colours) is aux
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_rates_are_drawn_as_finely_as_they_are_known(tmp_path):
    pictures = []
    for rates in (None, (np.linspace(0, 6, 50), np.linspace(0.1, 0.0, 50))):
        draw_curves(rows(6), tmp_path / "curves.png", "a network on some data", 10, rates)
        pictures.append((tmp_path / "curves.png").read_bytes())
    assert pictures[0] != pictures[1]


@pytest.mark.parametrize(
    "heights", [[0.5], [0.5, 0.5, 0.5], [0.0, 0.0], [1.0, 0.99, 0.2], [0.9, 0.1, 0.5], [1.2, -0.3, 0.4]]
)
def test_names_do_not_overlap(heights):
    moved = spread(heights, gap=0.1)
    assert all(-1e-9 <= height <= 1 + 1e-9 for height in moved)
    ordered = sorted(moved)
    assert all(b - a >= 0.1 - 1e-9 for a, b in itertools.pairwise(ordered))
    by_height = sorted(range(len(heights)), key=lambda i: heights[i])
    assert [moved[i] for i in by_height] == ordered


def test_names_stay_where_there_is_room():
    assert spread([0.2, 0.5, 0.8], gap=0.1) == pytest.approx([0.2, 0.5, 0.8])
