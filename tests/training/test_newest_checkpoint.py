"""The newest checkpoint of a run that is whole: for going on, and for using the network."""

from pathlib import Path

import numpy as np
import pytest

from minicnn.errors import CheckpointError
from minicnn.training import Checkpoint, find_checkpoint, save_checkpoint
from minicnn.training.newest_checkpoint import CHECKPOINT, newest_whole_checkpoint


@pytest.fixture
def save(config, images):
    def of_epoch(epoch: int, path: Path) -> None:
        save_checkpoint(Checkpoint(config, images.facts, epoch, 3 * epoch, {"a": np.zeros(1000)}), path)

    return of_epoch


@pytest.fixture
def folder(tmp_path, save) -> Path:
    """Of a run that has two checkpoints."""
    for epoch in (1, 2):
        save(epoch, tmp_path / CHECKPOINT)
    return tmp_path


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_none_yet(tmp_path):
    assert newest_whole_checkpoint(tmp_path) is None
    with pytest.raises(
        CheckpointError, match="neither a checkpoint nor the folder of a run that has one yet"
    ):
        find_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="there is no such checkpoint or folder"):
        find_checkpoint(tmp_path / "nothing")


def test_the_newest(folder):
    found = find_checkpoint(folder)
    assert (found.checkpoint.epoch, found.file, found.notice) == (2, folder / CHECKPOINT, None)


@pytest.mark.parametrize(
    ("spoil", "why"), [(damage, "damaged: "), (Path.unlink, "there is no such checkpoint")]
)
def test_the_one_before_it(folder, spoil, why):
    spoil(folder / CHECKPOINT)
    found = find_checkpoint(folder)
    assert (found.checkpoint.epoch, found.file) == (1, folder / "checkpoint.previous.safetensors")
    assert found.notice.startswith(f"{folder / CHECKPOINT}: {why}")
    assert found.notice.endswith("going back to checkpoint.previous.safetensors, after epoch 1")


def test_one_that_is_just_being_replaced(folder, save, monkeypatch):
    """By a run that goes on: for a moment there is none of that name."""
    (folder / CHECKPOINT).rename(folder / "checkpoint.previous.safetensors")
    monkeypatch.setattr("time.sleep", lambda seconds: save(3, folder / CHECKPOINT))
    found = find_checkpoint(folder)
    assert (found.checkpoint.epoch, found.file, found.notice) == (3, folder / CHECKPOINT, None)


def test_none_is_whole(folder):
    damage(folder / CHECKPOINT)
    damage(folder / "checkpoint.previous.safetensors")
    with pytest.raises(
        CheckpointError,
        match=rf"{folder / CHECKPOINT}: damaged.*; of the one before it, "
        rf"{folder / 'checkpoint.previous.safetensors'}: damaged.*; there is no other$",
    ):
        find_checkpoint(folder)


def test_a_file_that_was_named_is_taken_at_its_word(folder):
    older = folder / "checkpoint.previous.safetensors"
    assert find_checkpoint(older).checkpoint.epoch == 1
    damage(folder / CHECKPOINT)
    with pytest.raises(CheckpointError, match="damaged"):
        find_checkpoint(folder / CHECKPOINT)
