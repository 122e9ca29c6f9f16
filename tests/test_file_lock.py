"""Locks between processes: who holds one, and systems that have none."""

import sys

import pytest

from minicnn.data.download import _alone_in
from minicnn.file_lock import CannotLock, acquire
from minicnn.training.run_lock import LOCK, lock_folder


def test_one_holder_at_a_time(tmp_path):
    with (tmp_path / "lock").open("wb") as first, (tmp_path / "lock").open("wb") as second:
        assert acquire(first.fileno(), wait=False)
        assert not acquire(second.fileno(), wait=False)
        first.close()
        assert acquire(second.fileno(), wait=True)


def test_where_there_is_no_flock(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with (tmp_path / "lock").open("wb") as file, pytest.raises(CannotLock, match="has no flock"):
        acquire(file.fileno(), wait=False)
    said = []
    with lock_folder(tmp_path, said.append):
        assert (tmp_path / LOCK).exists()
    assert len(said) == 1
    assert said[0].startswith(f"{tmp_path}: this system cannot lock files")
    with _alone_in(tmp_path, progress=False):
        pass
    assert "do not fetch CIFAR-10 twice at once" in capsys.readouterr().err
