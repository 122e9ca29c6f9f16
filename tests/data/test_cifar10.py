import os
import pickle

import numpy as np
import pytest

from fake_cifar10 import FakeCifar10
from minicnn.data import CIFAR10_CLASS_NAMES, cifar10, load_cifar10
from minicnn.errors import DataError


def assert_read_as(got, expected):
    for array, other, dtype in zip(got, expected, (np.uint8, np.int64), strict=True):
        assert array.dtype == dtype
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(array, other)


def test_class_names_are_the_official_ones():
    assert CIFAR10_CLASS_NAMES[0] == "airplane"
    assert CIFAR10_CLASS_NAMES[9] == "truck"
    assert len(set(CIFAR10_CLASS_NAMES)) == 10


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("layout", ["binary", "python"])
def test_both_layouts_from_the_folder_and_from_its_parent(tmp_path, fake, split, layout):
    if layout == "binary":
        folder = fake.write_binary(tmp_path / "cifar-10-batches-bin")
    else:
        folder = fake.write_python(tmp_path / "cifar-10-batches-py")
    for root in (folder, tmp_path, str(tmp_path)):
        assert_read_as(load_cifar10(root, split), fake.expected(split))


@pytest.mark.parametrize("protocol", [0, 4, 5])
def test_python_version_written_again_by_newer_python(tmp_path, fake, protocol):
    assert_read_as(load_cifar10(fake.write_python(tmp_path, protocol)), fake.expected("train"))


@pytest.mark.parametrize("below", [True, False])
def test_binary_version_wins(tmp_path, fake, below):
    fake.write_binary(tmp_path / "cifar-10-batches-bin" if below else tmp_path)
    python = fake.write_python(tmp_path / "cifar-10-batches-py" if below else tmp_path)
    (python / "data_batch_1").write_bytes(b"would not be readable")
    assert_read_as(load_cifar10(tmp_path), fake.expected("train"))


def test_missing_folder_and_folder_of_something_else(tmp_path):
    with pytest.raises(
        DataError, match="nowhere: expected the folder of CIFAR-10, but there is no such folder"
    ):
        load_cifar10(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"expected CIFAR-10 \(data_batch_1\.bin .* found neither"):
        load_cifar10(tmp_path)


def test_unknown_split(tmp_path):
    with pytest.raises(DataError, match="split: expected 'train' or 'test', got 'val'"):
        load_cifar10(tmp_path, "val")


@pytest.mark.parametrize("suffix", [".bin", ""])
def test_missing_batch_file(tmp_path, fake, suffix):
    (fake.write_binary if suffix else fake.write_python)(tmp_path)
    (tmp_path / f"data_batch_3{suffix}").unlink()
    with pytest.raises(DataError, match=rf"of CIFAR-10, missing: data_batch_3{suffix}$"):
        load_cifar10(tmp_path)
    assert_read_as(load_cifar10(tmp_path, "test"), fake.expected("test"))


def test_truncated_record_is_named_with_its_offset(tmp_path, fake):
    fake.write_binary(tmp_path)
    (tmp_path / "data_batch_2.bin").write_bytes(fake.binary("data_batch_2")[:-100])
    words = r"data_batch_2\.bin: expected whole records of 3073 bytes, got 12192 bytes: .* at offset 9219"
    with pytest.raises(DataError, match=words):
        load_cifar10(tmp_path)


def test_empty_batch_file(tmp_path, fake):
    fake.write_binary(tmp_path)
    (tmp_path / "test_batch.bin").write_bytes(b"")
    with pytest.raises(
        DataError, match=r"test_batch\.bin: expected whole records of 3073 bytes, got 0 bytes"
    ):
        load_cifar10(tmp_path, "test")


def test_official_files_cut_off_between_two_records(tmp_path, fake, monkeypatch):
    monkeypatch.setattr(cifar10, "OFFICIAL_RECORDS", 4)
    fake.write_binary(tmp_path)
    load_cifar10(tmp_path)
    (tmp_path / "data_batch_5.bin").write_bytes(fake.binary("data_batch_5")[:6146])
    words = r"data_batch_5\.bin: expected 12292 bytes \(4 records of 3073\), got 6146: cut off at offset 6146"
    with pytest.raises(DataError, match=words):
        load_cifar10(tmp_path)


def test_label_out_of_range_in_a_binary_file(tmp_path, fake):
    fake.write_binary(tmp_path)
    content = bytearray(fake.binary("data_batch_4"))
    content[2 * 3073] = 10
    (tmp_path / "data_batch_4.bin").write_bytes(content)
    words = r"data_batch_4\.bin: expected labels 0 to 9, got 10 in record 2, at offset 6146"
    with pytest.raises(DataError, match=words):
        load_cifar10(tmp_path)


def test_oversized(tmp_path, fake, monkeypatch):
    monkeypatch.setattr(cifar10, "OFFICIAL_RECORDS", 3)
    fake.write_binary(tmp_path)
    words = r"batch_1\.bin: expected 9219 bytes \(3 .*\), got 12292: too many from offset 9219 on$"
    with pytest.raises(DataError, match=words):
        load_cifar10(tmp_path)


def test_a_byte_more_or_less(tmp_path, fake):
    fake.write_binary(tmp_path)
    path, content = tmp_path / "test_batch.bin", fake.binary("test_batch")
    for changed in (content[:100] + content[101:], content[:100] + b"x" + content[100:]):
        path.write_bytes(changed)
        with pytest.raises(DataError, match=r"test_batch\.bin: expected whole records of 3073 bytes"):
            load_cifar10(tmp_path, "test")


@pytest.mark.parametrize("shift", [1, -1])
def test_shifted_by_a_byte_at_the_same_size(tmp_path, shift):
    """Labels are pixels then; photographs have some above 9, these have most."""
    shifted = FakeCifar10(count=1000)
    shifted.write_binary(tmp_path)
    content = shifted.binary("test_batch")
    (tmp_path / "test_batch.bin").write_bytes(content[shift:] + content[:shift])
    words = r"test_batch\.bin: .* in record \d+, at offset \d+ \(9\d\d of 1,000 records .*looks shifted$"
    with pytest.raises(DataError, match=words):
        load_cifar10(tmp_path, "test")


DATA = np.zeros((4, 3072), np.uint8)


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ({"data": DATA}, r"expected a dictionary with data and labels, got \['data'\]"),
        ({"data": [1, 2], "labels": [0]}, r"data: expected a uint8 array of shape \(N, 3072\), got a list"),
        (
            {"data": DATA.astype(float), "labels": [0] * 4},
            r"data: expected .*, got float64 of shape \(4, 3072\)",
        ),
        ({"data": DATA[:, :1024], "labels": [0] * 4}, r"data: expected .*, got uint8 of shape \(4, 1024\)"),
        ({"data": DATA[:0], "labels": []}, r"data: expected .*, got uint8 of shape \(0, 3072\)"),
        ({"data": DATA, "labels": [0] * 3}, "labels: expected a list of 4 labels, got 3 of them"),
        ({"data": DATA, "labels": 7}, "labels: expected a list of 4 labels, got int"),
        ({"data": DATA, "labels": [0, 1, -1, 3]}, "expected labels 0 to 9, got -1 for image 2"),
        ({"data": DATA, "labels": [0, 1, 10, 3]}, "expected labels 0 to 9, got 10 for image 2"),
        ({"data": DATA, "labels": [0, 1.5, 2, 3]}, r"expected labels 0 to 9, got 1\.5 for image 1"),
        ({"data": DATA, "labels": np.array([0, 11, 2, 3])}, "expected labels 0 to 9, got 11 for image 1"),
        ({"data": DATA, "labels": [0, 1 << 20_000, 2, 3]}, r".* got something else \(int\) for image 1"),
        ({"data": DATA, "labels": [0, "1" * 10_000, 2, 3]}, r".* got something else \(str\) for image 1"),
    ],
)
def test_damaged_batches_of_the_python_version(tmp_path, fake, batch, words):
    fake.write_python(tmp_path)
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(batch))
    with pytest.raises(DataError, match=f"data_batch_1: {words}"):
        load_cifar10(tmp_path)


def test_labels_may_be_an_array(tmp_path, fake):
    fake.write_python(tmp_path)
    batch = {"data": DATA, "labels": np.array([3, 2, 1, 0])}
    (tmp_path / "test_batch").write_bytes(pickle.dumps(batch))
    assert load_cifar10(tmp_path, "test")[1].tolist() == [3, 2, 1, 0]


def test_unreadable_file(tmp_path, fake, monkeypatch):
    fake.write_binary(tmp_path)

    def denied(path, *_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(np, "fromfile", denied)
    with pytest.raises(DataError, match=r"data_batch_1\.bin: cannot read CIFAR-10 \(Permission denied\)"):
        load_cifar10(tmp_path)


def test_real_files():
    folder = os.environ.get("MINICNN_CIFAR10")
    if not folder:
        pytest.skip("MINICNN_CIFAR10 names no folder with the real CIFAR-10")
    images, labels = load_cifar10(folder, "test")
    assert images.shape == (10_000, 32, 32, 3)
    assert np.bincount(labels).tolist() == [1000] * 10
    assert 100 < images.mean() < 140
