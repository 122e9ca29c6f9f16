"""Checkpoints: what goes in comes out, and what is damaged is noticed."""

import json
import zlib
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from minicnn.errors import CheckpointError
from minicnn.training import Checkpoint, load_checkpoint, save_checkpoint
from minicnn.training.checkpoint import predecessor
from minicnn.training.checkpoint_file import encode


@pytest.fixture
def checkpoint(config, images, rng) -> Checkpoint:
    def arrays() -> dict[str, np.ndarray]:
        return {
            "fc.weight": rng.standard_normal((8, 3)).astype(np.float32),
            "fc.bias": np.ones(3, np.float32),
        }

    state = {"optimizer": {"lr_factor": 1 / 3}, "schedule": {"best": None}}
    rows = [{"epoch": 1, "val_loss": 0.1 + 0.2}, {"epoch": 2, "val_loss": None}]
    return Checkpoint(config, images.facts, 2, 7, arrays(), arrays(), arrays(), state, 1, rows)


@pytest.fixture
def path(tmp_path, checkpoint):
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(checkpoint, path)
    return path


def test_round_trip(checkpoint, path):
    read = load_checkpoint(path)
    for group in ("weights", "velocity", "averages"):
        before, after = getattr(checkpoint, group), getattr(read, group)
        assert before.keys() == after.keys()
        assert all(before[name].tobytes() == after[name].tobytes() for name in before)
    for name in ("config", "data", "epoch", "step", "state", "step_of_epoch", "metrics"):
        assert getattr(read, name) == getattr(checkpoint, name)


def test_arrays_have_plain_names(path):
    assert set(load_file(path)) == {
        f"{kind}.{name}" for kind in ("model", "velocity", "average") for name in ("fc.weight", "fc.bias")
    }


def test_final_weights_are_averages_if_there_are_any(checkpoint):
    assert checkpoint.final_weights is checkpoint.averages
    assert replace(checkpoint, averages={}).final_weights is checkpoint.weights


def test_the_one_before_is_kept(checkpoint, path):
    assert not predecessor(path).exists()
    save_checkpoint(replace(checkpoint, epoch=3), path)
    save_checkpoint(replace(checkpoint, epoch=4), path)
    assert (load_checkpoint(path).epoch, load_checkpoint(predecessor(path)).epoch) == (4, 3)
    assert len(list(path.parent.iterdir())) == 2


def test_truncated(path):
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"checkpoint.safetensors: damaged, or not a safetensors file"):
        load_checkpoint(path)


def test_a_flipped_bit(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"damaged: it does not have the checksum it was written with"):
        load_checkpoint(path)


def test_every_single_byte_counts(path):
    """Of arrays, names, shapes, settings and epoch alike, down to the spaces between them."""
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(CheckpointError):
            load_checkpoint(path)
    path.write_bytes(whole)
    assert load_checkpoint(path).epoch == 2


def test_not_safetensors(tmp_path):
    (tmp_path / "x").write_text("hello")
    with pytest.raises(CheckpointError, match="x: damaged, or not a safetensors file"):
        load_checkpoint(tmp_path / "x")
    with pytest.raises(CheckpointError, match="y: there is no such checkpoint"):
        load_checkpoint(tmp_path / "y")


def rewrite(path, change) -> None:
    """Put the header through `change`, and sign it again as a forger would."""
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["minicnn"])
    del header["checksum"]
    change(header)
    path.write_bytes(encode(header, load_file(path)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda header: header.pop("epoch"), "its run header is damaged"),
        (lambda header: header.update(format=99), "written in format 99, this version reads 1 and 2"),
        (
            lambda header: header["config"].pop("lr"),
            "its settings are not those of this version of minicnn: lr",
        ),
        (
            lambda header: header["config"].update(lr=-1),
            "a setting is not what it should be: --lr: expected a number",
        ),
        (lambda header: header["config"].update(lr="x"), "a setting is not what it should be"),
        (lambda header: header["data"].pop("class_names"), "its run header is damaged"),
        (lambda header: header["data"]["normalisation"].update(std=[0.0, 1.0, 1.0]), "positive std"),
    ],
)
def test_damaged_headers(path, change, words):
    rewrite(path, change)
    with pytest.raises(CheckpointError, match=words) as caught:
        load_checkpoint(path)
    assert str(caught.value).count(str(path)) == 1


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[]", "1", "null", '"x"', "{}", "{"])
def test_headers_that_are_something_else(path, text):
    save_file(load_file(path), path, {"minicnn": text})
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors: its run header is damaged"):
        load_checkpoint(path)


@pytest.mark.parametrize("value", [10**400, "x" * 10**6, None, [], {}])
@pytest.mark.parametrize("setting", ["lr", "weight_decay", "model", "device"])
def test_settings_of_any_kind_give_one_line(path, setting, value):
    rewrite(path, lambda header: header["config"].update({setting: value}))
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert len(str(caught.value)) < 600 + len(str(path))
    assert "\n" not in str(caught.value)


def test_somebody_elses_safetensors(tmp_path):
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="but not a checkpoint of minicnn's"):
        load_checkpoint(tmp_path / "a.safetensors")


@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3"])
@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({}, "but not a checkpoint of minicnn's"),
        ({"minicnn": '{"format": 1, "checksum": 0}'}, "an array has a dtype that NumPy does not have"),
    ],
)
def test_dtypes_that_numpy_does_not_have(tmp_path, dtype, metadata, words):
    """NumPy cannot write such a file: by hand, the length of the header, the header and the array."""
    size = 2 if dtype == "BF16" else 1
    array = {"dtype": dtype, "shape": [1], "data_offsets": [0, size]}
    header = json.dumps({"__metadata__": metadata, "model.a": array}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    with pytest.raises(CheckpointError, match=f"a.safetensors: .*{words}"):
        load_checkpoint(path)


def in_format_1(path) -> None:
    """Rewrite a checkpoint as earlier versions did: a CRC-32 of the arrays, nothing of epochs under way."""
    arrays = load_file(path)
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["minicnn"])
    for name in ("step_of_epoch", "metrics"):
        del header[name]
    checksum = 0
    for name in sorted(arrays):
        checksum = zlib.crc32(arrays[name].tobytes(), zlib.crc32(name.encode(), checksum))
    header.update(format=1, checksum=checksum)
    save_file(arrays, path, {"minicnn": json.dumps(header)})


def test_checkpoints_of_earlier_versions_are_read(checkpoint, path):
    save_checkpoint(replace(checkpoint, step=6, step_of_epoch=0), path)
    in_format_1(path)
    read = load_checkpoint(path)
    assert (read.epoch, read.step, read.step_of_epoch, read.metrics) == (2, 6, 0, None)
    assert read.state == checkpoint.state
    assert (read.velocity["fc.weight"] == checkpoint.velocity["fc.weight"]).all()
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="its arrays do not have the checksum"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "ends after 0 bytes"),
        (b"\x05\0\0\0\0\0\0\0{}", "within its header"),
        ((1 << 40).to_bytes(8, "little") + bytes(100), "within its header"),
        ((2).to_bytes(8, "little") + b"[]", "not that of one"),
        ((2).to_bytes(8, "little") + b"{}" + bytes(9), "not a checkpoint of minicnn's"),
        ((20000).to_bytes(8, "little") + b"[" * 20000, "not that of one"),
        ((26).to_bytes(8, "little") + b'{"__metadata__": [1, 2, 3]}', "not that of one"),
    ],
)
def test_headers_that_are_none(tmp_path, content, words):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(tmp_path / "x")


def test_a_file_that_is_longer_than_its_header_says(path):
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(CheckpointError, match=r"it has [\d,]+ bytes, and its header tells of [\d,]+"):
        load_checkpoint(path)
