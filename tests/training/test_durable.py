"""Checkpoints on a disk that fails at every operation, is full at every byte, or loses its power.

Which operations there are is recorded from a real write, so none is forgotten.
"""

import contextlib
import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from disk import Disk, after_power_cut, fail_at
from minicnn.errors import CheckpointError
from minicnn.training import Checkpoint, RunFolder, load_checkpoint, save_checkpoint
from minicnn.training import durable as durable_module
from minicnn.training.checkpoint import predecessor
from minicnn.training.durable import append_durably, write_durably
from minicnn.training.newest_checkpoint import CHECKPOINT


@pytest.fixture
def checkpoint(config, images) -> Checkpoint:
    weights = {"fc.weight": np.arange(24, dtype=np.float32).reshape(8, 3), "fc.bias": np.ones(3, np.float32)}
    return Checkpoint(config, images.facts, 2, 6, weights, weights, {}, {"optimizer": {}}, 0, [])


@pytest.fixture
def path(tmp_path, checkpoint) -> Path:
    """A folder with two checkpoints, of epochs 1 and 2."""
    path = tmp_path / "run" / CHECKPOINT
    path.parent.mkdir()
    save_checkpoint(replace(checkpoint, epoch=1), path)
    save_checkpoint(checkpoint, path)
    return path


@contextlib.contextmanager
def on(disk: Disk) -> Iterator[Disk]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(durable_module, "os", disk)
        yield disk


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def fill(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def recorded(checkpoint: Checkpoint, path: Path, most: int = 1 << 30) -> Disk:
    before = files_in(path.parent)
    with on(Disk(most=most)) as disk:
        save_checkpoint(replace(checkpoint, epoch=3), path)
    assert load_checkpoint(path).epoch == 3
    fill(path.parent, before)
    return disk


def newest_epoch(folder: Path) -> int:
    """The epoch a run would go on from; the other checkpoint, if it has its name, is whole as well."""
    found, _ = RunFolder(folder).load_checkpoint()
    assert found is not None
    return found.epoch


def test_the_order_of_a_write(checkpoint, path):
    """Data before the name, the name before the folder; what the stand-in saw is all there was."""
    disk = recorded(checkpoint, path, most=200)
    names = [name for name, _, _ in disk.log]
    writes = names.count("write")
    assert writes > 3
    assert names == [
        "open", *["write"] * writes, "fsync", "close", "replace", "replace", "open", "fsync", "close",
    ]  # fmt: skip
    written = b"".join(arguments[1] for name, arguments, _ in disk.log if name == "write")
    save_checkpoint(replace(checkpoint, epoch=3), path)
    assert written == path.read_bytes()
    moves = [tuple(Path(p).name for p in arguments) for name, arguments, _ in disk.log if name == "replace"]
    assert moves == [(CHECKPOINT, predecessor(path).name), (CHECKPOINT + ".tmp", CHECKPOINT)]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
def test_every_operation_that_fails_leaves_the_earlier_checkpoint(checkpoint, path, code):
    before = files_in(path.parent)
    operations = recorded(checkpoint, path, most=200).log
    last_close = len(operations) - 1
    for number, (name, _, _) in enumerate(operations):
        fill(path.parent, before)
        with (
            on(Disk(fail_at(number, code, name), most=200)) as disk,
            pytest.raises(OSError, match=r"\[Errno"),
        ):
            save_checkpoint(replace(checkpoint, epoch=3), path)
        assert disk.asked > number
        left = files_in(path.parent)
        assert CHECKPOINT + ".tmp" not in left, name
        renamed = number > [entry[0] for entry in operations].index("replace") + 1
        assert newest_epoch(path.parent) == (3 if renamed else 2), (number, name)
        if name != "replace" and not renamed:
            assert left == before
        save_checkpoint(replace(checkpoint, epoch=4), path)  # and the next attempt works
        assert newest_epoch(path.parent) == 4
        assert load_checkpoint(predecessor(path)).epoch in (2, 3)
    assert number == last_close


def test_a_disk_that_fails_for_good_from_any_operation_on(checkpoint, path):
    """Then the temporary file cannot be removed either, and still nothing is lost."""
    before = files_in(path.parent)
    operations = recorded(checkpoint, path, most=200).log
    for place in range(len(operations)):
        fill(path.parent, before)

        def broken(number: int, name: str, place: int = place) -> None:
            if number >= place and name != "close":
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        with on(Disk(broken, most=200)), contextlib.suppress(OSError):
            save_checkpoint(replace(checkpoint, epoch=3), path)
        assert newest_epoch(path.parent) in (2, 3)
        save_checkpoint(replace(checkpoint, epoch=4), path)
        assert newest_epoch(path.parent) == 4


@contextlib.contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """The system itself takes no more bytes in a file; Python ignores the signal that comes with it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_fails_at_any_byte(checkpoint, path):
    """At every single one, by the system's own limit, not by a stand-in."""
    before = files_in(path.parent)
    size = len(before[CHECKPOINT])
    for limit in range(size):
        with file_size_limit(limit), pytest.raises(OSError, match="File too large"):
            save_checkpoint(replace(checkpoint, epoch=3), path)
        assert files_in(path.parent) == before
    with file_size_limit(size):
        save_checkpoint(replace(checkpoint, epoch=3), path)
    assert newest_epoch(path.parent) == 3


def test_a_power_cut_after_any_operation_leaves_a_whole_checkpoint(checkpoint, path, tmp_path):
    before = files_in(path.parent)
    log = recorded(checkpoint, path, most=200).log
    states = 0
    for cut in range(len(log) + 1):
        for left in after_power_cut(log[:cut], before, path.parent):
            fill(tmp_path / "cut", left)
            epoch = newest_epoch(tmp_path / "cut")
            assert epoch == 3 if cut == len(log) else epoch in (2, 3), (cut, left.keys())
            states += 1
    print(f"{states} states after {len(log) + 1} cuts")
    assert states > 50


def test_a_power_cut_at_the_very_first_checkpoint(checkpoint, tmp_path):
    """None or a whole one: a run without a checkpoint starts over."""
    folder = tmp_path / "run"
    folder.mkdir()
    with on(Disk()) as disk:
        save_checkpoint(checkpoint, folder / CHECKPOINT)
    for cut in range(len(disk.log) + 1):
        for left in after_power_cut(disk.log[:cut], {}, folder):
            fill(tmp_path / "cut", left)
            found, _ = RunFolder(tmp_path / "cut").load_checkpoint()
            assert found is None or found.epoch == 2
            assert cut < len(disk.log) or found is not None


@pytest.mark.parametrize("sinner", ["no fsync", "name first"])
def test_the_simulation_notices_a_careless_order(checkpoint, path, tmp_path, sinner):
    """Else the tests above could not fail."""
    before = files_in(path.parent)
    log = recorded(checkpoint, path).log
    if sinner == "no fsync":
        log = [entry for entry in log if entry[0] != "fsync"]
    else:
        fsync = next(entry for entry in log if entry[0] == "fsync")
        log.remove(fsync)
        log.insert([entry[0] for entry in log].index("close") + 3, fsync)
    broken = 0
    for cut in range(len(log) + 1):
        for left in after_power_cut(log[:cut], before, path.parent):
            fill(tmp_path / "cut", left)
            try:
                load_checkpoint(tmp_path / "cut" / CHECKPOINT)
            except CheckpointError:
                broken += (tmp_path / "cut" / CHECKPOINT).exists()
    assert broken


def test_a_damaged_newest_does_not_push_out_the_one_before(checkpoint, path):
    """A run that went back to the predecessor must not overwrite it by the damaged file."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    run = RunFolder(path.parent)
    found, notice = run.load_checkpoint()
    assert found.epoch == 1
    assert "going back to checkpoint.previous.safetensors, after epoch 1" in notice
    with on(Disk()) as disk:
        assert run.save_checkpoint(replace(checkpoint, epoch=2))
    assert sum(name == "replace" for name, _, _ in disk.log) == 1
    assert (load_checkpoint(path).epoch, load_checkpoint(predecessor(path)).epoch) == (2, 1)
    assert run.save_checkpoint(replace(checkpoint, epoch=3))
    assert (load_checkpoint(path).epoch, load_checkpoint(predecessor(path)).epoch) == (3, 2)


def test_lines_added_to_a_file_that_somebody_has_removed_follow_no_zeros(tmp_path):
    path = tmp_path / "lines"
    length = append_durably(path, b"one\n", None)
    path.unlink()
    assert append_durably(path, b"two\n", length) == 4
    assert path.read_bytes() == b"two\n"


def test_lines_that_fail_at_any_byte_leave_no_half_line(tmp_path):
    path = tmp_path / "lines"
    length = append_durably(path, b"one\n", None)
    for limit in range(4, 8):
        with file_size_limit(limit), pytest.raises(OSError, match="File too large"):
            append_durably(path, b"two\n", length)
        assert path.read_bytes() == b"one\n"
    assert append_durably(path, b"two\n", length) == 8
    with on(Disk()) as disk:
        append_durably(path, b"three\n", 8)
    for number in range(len(disk.log)):
        path.write_bytes(b"one\ntwo\n")

        def broken(place: int, name: str, number: int = number) -> None:
            if place >= number and name != "close":
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        with on(Disk(broken)), contextlib.suppress(OSError):
            append_durably(path, b"three\n", 8)
        append_durably(path, b"three\n", 8)  # what could not be cut off then is cut off now
        assert path.read_bytes() == b"one\ntwo\nthree\n"


def test_the_error_names_the_file(tmp_path):
    with file_size_limit(3), pytest.raises(OSError, match=r"a\.json"):
        write_durably(tmp_path / "a.json", b"four")


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of one megabyte."""
    place = tmp_path / "small"
    place.mkdir()
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, text=True
        )
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_disk_that_is_really_full(checkpoint, small_disk):
    said = []
    run = RunFolder(small_disk)
    run.say = said.append
    assert run.save_checkpoint(checkpoint)
    free = os.statvfs(small_disk)
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError):
        ballast.write_bytes(bytes(2 * free.f_bavail * free.f_frsize))
    before = {path.name: path.read_bytes() for path in small_disk.iterdir() if path != ballast}
    run.append_metrics({"epoch": 1})
    assert not run.save_checkpoint(replace(checkpoint, epoch=3))
    assert {
        p.name: p.read_bytes() for p in small_disk.iterdir() if p != ballast and p.stat().st_size
    } == before
    assert len(said) == 2
    assert said[1] == (
        f"{run.checkpoint_path}: cannot be written: No space left on device (0.0 MB free); training goes on, "
        "and it is tried again at the next occasion"
    )
    ballast.unlink()
    assert run.save_checkpoint(replace(checkpoint, epoch=3))
    assert run.read_metrics() == [{"epoch": 1}]
    assert run.trouble == {}
    assert said[2:] == [
        f"{run.path / 'metrics.jsonl'}: is written again",
        f"{run.checkpoint_path}: is written again",
    ]
    assert newest_epoch(small_disk) == 3


def test_the_lock_of_a_run(path, config, images):
    run = RunFolder(path.parent)
    with run.locked(), run.locked():  # the same process may nest it
        with (
            pytest.raises(
                CheckpointError, match=rf"another process \(number {os.getpid()}\) is training this run"
            ),
            RunFolder(path.parent).locked(),
        ):
            pass
        program = (
            f"from minicnn.training import RunFolder\nwith RunFolder({str(path.parent)!r}).locked(): pass"
        )
        other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert "another process" in other.stderr
    with RunFolder(path.parent).locked():
        pass
