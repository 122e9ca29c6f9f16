"""Thousands of damaged files of every format: refused or read, but never a traceback, a hang or a GiB."""

import gzip
import io
import json
import subprocess
import sys
import tarfile
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fake_cifar10 import FakeCifar10
from minicnn.data import Normalisation
from minicnn.training import Checkpoint, Config, DataFacts, save_checkpoint
from mutations import mutate

ALL = 2000
SOME = 60
SECONDS = 60  # for one file, on however busy a machine
READER = Path(__file__).parents[1] / "caged_reader.py"


def checkpoint(seed: int, path: Path) -> None:
    rng = np.random.default_rng(seed)
    arrays = [
        {"fc.weight": rng.standard_normal((40, 10)).astype(np.float32), "fc.bias": np.ones(10, np.float32)}
        for _ in range(3)
    ]
    facts = DataFacts(("cat", "dog"), 60, 12, Normalisation((100.0, 90.0, 80.0), (50.0, 51.0, 52.0)))
    config = Config(epochs=3, batch_size=16, lr=0.1, schedule="plateau", seed=seed)
    state = {"optimizer": {"lr_factor": 1 / 3}, "schedule": {"best": None}}
    save_checkpoint(Checkpoint(config, facts, 2, 6, *arrays, state), path)


def cifar_binary(seed: int, path: Path) -> None:
    path.write_bytes(FakeCifar10(4 + seed).binary("test_batch"))


def cifar_pickle(seed: int, path: Path) -> None:
    folder = FakeCifar10(4 + seed).write_python(path.with_suffix(".folder"), protocol=[4, 2][seed])
    (folder / "test_batch").rename(path)


def plain_archive(seed: int, path: Path) -> None:
    fake = FakeCifar10(1 + seed)
    with tarfile.open(path, "w") as tar:
        for name in fake.images:
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            info.size = len(fake.binary(name))
            tar.addfile(info, io.BytesIO(fake.binary(name)))


def archive(seed: int, path: Path) -> None:
    plain_archive(seed, path)
    path.write_bytes(
        gzip.compress(path.read_bytes(), mtime=0)
    )  # with the time in it no run would be like another


def image(kind: str):
    def write(seed: int, path: Path) -> None:
        corners = np.random.default_rng(seed).integers(0, 256, (3, 3, 3 + seed), dtype=np.uint8)
        picture = Image.fromarray(corners).resize((40 + seed, 30), Image.Resampling.BILINEAR)
        exif = Image.Exif()
        exif[0x0112] = 6
        options: dict[str, object] = {} if kind == "gif" else {"exif": exif}
        if kind == "jpeg":
            picture, options["progressive"] = picture.convert("RGB"), seed == 1
        elif kind == "gif":
            options = {"save_all": True, "append_images": [picture.rotate(90)]}
        elif kind == "tiff":
            options["compression"] = ["raw", "tiff_lzw"][seed]
        picture.save(path, kind, **options)

    return write


FORMATS = {
    "checkpoint": checkpoint,
    "cifar-binary": cifar_binary,
    "cifar-pickle": cifar_pickle,
    "archive": archive,
    "plain-archive": plain_archive,
    "checked-archive": archive,
    **{kind: image(kind) for kind in ("png", "jpeg", "gif", "tiff", "webp")},
}


def outcomes(kind: str, folder: Path, count: int) -> list[tuple[int, str, int]]:
    """Have mutants read in another process; one that hangs or dies on a file gives it away by its number."""
    FORMATS[kind](0, folder / "original")
    FORMATS[kind](1, folder / "other")
    found = []
    command = [sys.executable, str(READER), kind, str(folder), "0", str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for number in range(count):
            alarm = threading.Timer(SECONDS, process.kill)
            alarm.start()
            line = process.stdout.readline()
            alarm.cancel()
            assert line, f"mutant {number}: the process hung or died: {process.stderr.read()[-2000:]}"
            found.append(tuple(json.loads(line)))
        said = process.stderr.read()  # no warning of Pillow's; libtiff, a C library, cannot be kept quiet
        assert said == "" or (kind == "tiff" and "Traceback" not in said and "Warning" not in said), said
    return found


def check(kind: str, folder: Path, count: int) -> None:
    found = outcomes(kind, folder, count)
    counts = Counter(outcome for _, outcome, _ in found if outcome in ("same", "different", "refused"))
    peak = max(memory for _, _, memory in found)
    print(f"{kind}: {dict(counts)}, at most {peak / 2**20:.0f} MiB")
    assert sum(counts.values()) == count, next(entry for entry in found if entry[1] not in counts)
    assert counts["refused"] > 0
    assert peak < 2**30


@pytest.mark.parametrize("kind", FORMATS)
def test_some_mutants(tmp_path, kind):
    check(kind, tmp_path, SOME)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_all_mutants(tmp_path, kind):
    check(kind, tmp_path, ALL)


@pytest.mark.parametrize("kind", ["checkpoint", "checked-archive"])
@pytest.mark.parametrize("count", [SOME, pytest.param(ALL, marks=pytest.mark.slow)])
def test_never_loaded_with_another_content(tmp_path, kind, count):
    different = [number for number, outcome, _ in outcomes(kind, tmp_path, count) if outcome == "different"]
    # Spliced within what the two files have in common, the mutant is the other file, and that one is whole.
    original, other = ((tmp_path / name).read_bytes() for name in ("original", "other"))
    assert not [number for number in different if mutate(original, other, number) != other]


def test_mutants_are_mutants():
    """Every one differs from its original, is the same on every run, and they differ from each other."""
    original, other = bytes(range(256)) * 8, bytes(reversed(range(256))) * 8
    mutants = [mutate(original, other, number) for number in range(300)]
    assert original not in mutants
    assert mutants == [mutate(original, other, number) for number in range(300)]
    assert len(set(mutants)) >= 280
