"""Runs of the `minicnn` command."""

from pathlib import Path

import pytest

from minicnn.cli import main
from minicnn.parallel import get_num_threads, set_num_threads
from tiny_run import QUICK, write_photos


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
    return write_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def quick(photos) -> list[str]:
    return ["train", "--data", "folder", "--data-dir", str(photos), *QUICK]


@pytest.fixture(scope="module")
def finished(quick, no_curves, tmp_path_factory) -> Path:
    """The folder of a finished run."""
    run = tmp_path_factory.mktemp("runs") / "run"
    assert main([*quick, "--epochs", "2", "--out", str(run)]) == 0
    return run
