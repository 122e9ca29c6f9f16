"""Runs of the `minicnn` command."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minicnn.cli import main
from minicnn.parallel import get_num_threads, set_num_threads
from tiny_run import COLOURS, QUICK


@pytest.fixture(autouse=True)
def undo_threads():
    before = get_num_threads()
    yield
    set_num_threads(before)


@pytest.fixture(scope="module")
def no_curves():
    """Drawing takes longer than training here; tests/training sees to it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("minicnn.training.loop.draw_curves", lambda *arguments: None)
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Three classes of twenty images each, in which one colour is stronger."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for place, name in enumerate(COLOURS):
        (root / name).mkdir()
        for number in range(20):
            image = rng.integers(0, 150, (32, 32, 3))
            image[:, :, 2 - place] += 105
            Image.fromarray(image.astype(np.uint8)).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def quick(photos) -> list[str]:
    return ["train", "--data", "folder", "--data-dir", str(photos), *QUICK]


@pytest.fixture(scope="module")
def finished(quick, no_curves, tmp_path_factory) -> Path:
    """The folder of a finished run."""
    run = tmp_path_factory.mktemp("runs") / "run"
    assert main([*quick, "--epochs", "2", "--out", str(run)]) == 0
    return run
