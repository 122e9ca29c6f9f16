"""A folder for a run that was not given one."""

import pytest

from minicnn.errors import UsageError
from minicnn.training import claim_free_folder


def test_folders_are_numbered(tmp_path, config):
    root = tmp_path / "runs"
    assert claim_free_folder(config, root) == root / "googlenet-cifar-shapes-1"
    (root / "googlenet-cifar-shapes-7").mkdir()
    (root / "googlenet-cifar-shapes-x").mkdir()
    assert claim_free_folder(config, root).name == "googlenet-cifar-shapes-8"
    assert (root / "googlenet-cifar-shapes-8").is_dir(), "claimed, so that a run started now takes another"
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot make a folder"):
        claim_free_folder(config, tmp_path / "file")
