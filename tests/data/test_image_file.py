"""Images from strangers: every kind of pixel as it should come out, and what is refused."""

import os
import re
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from minicnn.data import image_file, read_image
from minicnn.errors import DataError


@pytest.fixture
def rgb(rng) -> np.ndarray:
    """Different in every corner, smooth enough for JPEG."""
    corners = rng.integers(0, 256, (2, 2, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(corners).resize((16, 8), Image.Resampling.BILINEAR))


def read(path, image: Image.Image, size=(8, 16), **options) -> np.ndarray:
    image.save(path, **options)
    return read_image(path, size).astype(int)


# How an image stored with this orientation is turned upright, on the pixels themselves (EXIF 2.3, table 6).
UPRIGHT = {
    1: lambda pixels: pixels,
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels.swapaxes(0, 1), 2),
    8: lambda pixels: np.rot90(pixels, 1),
    9: lambda pixels: pixels,  # there is no such orientation
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_orientations(tmp_path, rgb, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    expected = UPRIGHT[orientation](rgb)
    options = {"lossless": True} if suffix == "webp" else {"quality": 100, "subsampling": 0}
    pixels = read(tmp_path / f"a.{suffix}", Image.fromarray(rgb), expected.shape[:2], exif=exif, **options)
    assert np.abs(pixels - expected).max() <= (6 if suffix == "jpg" else 0)


def test_greyscale_with_transparency(tmp_path):
    pixels = read(tmp_path / "a.png", Image.fromarray(np.array([[[100, 255], [100, 0]]], np.uint8)), (1, 2))
    assert pixels.tolist() == [[[100] * 3, [255] * 3]]
    grey = Image.fromarray(np.array([[7, 8]], np.uint8))
    assert read(tmp_path / "b.png", grey, (1, 2), transparency=8)[0, :, 0].tolist() == [7, 255]


def test_half_transparent_is_mixed_with_white(tmp_path):
    pixels = read(tmp_path / "a.png", Image.new("RGBA", (4, 4), (0, 100, 200, 51)), 4)
    assert np.abs(pixels - [204, 224, 244]).max() <= 1  # 255 - 0.2 * (255 - x)


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_palette_with_transparency(tmp_path, suffix):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    pixels = read(tmp_path / f"a.{suffix}", image, (1, 2), transparency=0)
    assert pixels.tolist() == [[[255] * 3, [40, 50, 60]]]


def test_palette_with_an_alpha_for_each_colour(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 40, 50, 60])
    image.putdata([0, 1])
    pixels = read(tmp_path / "a.png", image, (1, 2), transparency=b"\x33\xff")
    assert np.abs(pixels - [[[204] * 3, [40, 50, 60]]]).max() <= 1


def test_one_bit(tmp_path):
    pixels = read(tmp_path / "a.png", Image.fromarray(np.array([[True, False]])), (1, 2))
    assert pixels.tolist() == [[[255] * 3, [0] * 3]]


def png(width: int, height: int, depth: int, colour: int, pixels: bytes) -> bytes:
    """Write what Pillow cannot: 16 bits a channel, and sizes that are not there."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("colour", "levels", "expected"),
    [
        (0, [[[128 * 257]], [[65535]]], [[128] * 3, [255] * 3]),
        (2, [[[0, 100 * 257, 65535]], [[1, 2, 3]]], [[0, 100, 255], [0, 0, 0]]),
        (4, [[[128 * 257, 65535]], [[0, 0]]], [[128] * 3, [255] * 3]),
        (6, [[[257, 514, 771, 65535]], [[0, 0, 0, 0]]], [[1, 2, 3], [255] * 3]),
    ],
    ids=["grey", "RGB", "grey and alpha", "RGB and alpha"],
)
def test_sixteen_bits_a_channel(tmp_path, colour, levels, expected):
    rows = b"".join(b"\0" + np.array(row, ">u2").tobytes() for row in levels)
    (tmp_path / "a.png").write_bytes(png(1, 2, 16, colour, rows))
    assert read_image(tmp_path / "a.png", (2, 1))[:, 0].tolist() == expected


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_sixteen_bits_in_tiff(tmp_path, dtype):
    levels = np.array([[0, 128 * 257], [200 * 257, 65535]], dtype)
    image = Image.frombytes("I;16B" if dtype == ">u2" else "I;16", (2, 2), levels.tobytes())
    assert read(tmp_path / "a.tif", image, 2)[..., 0].tolist() == [[0, 128], [200, 255]]


@pytest.mark.parametrize("value", [65536, -1])
def test_more_than_sixteen_bits_are_refused(tmp_path, value):
    with pytest.raises(
        DataError, match=rf"a\.tif: expected an image of 8 or 16 bits .* values from .*{value}"
    ):
        read(tmp_path / "a.tif", Image.fromarray(np.array([[5, value]], np.int32)), 2)


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk(tmp_path, suffix):
    """JPEG files of Adobe's have the inks inverted, and Pillow writes them like that too."""
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[:, :8] = [0, 255, 255, 0]  # red
    inks[:, 8:] = [255, 0, 255, 100]  # dark green
    pixels = read(tmp_path / f"a.{suffix}", Image.fromarray(inks, "CMYK"), 16)
    if suffix == "jpg":
        assert b"Adobe" in (tmp_path / "a.jpg").read_bytes()
    assert np.abs(pixels[:, 2] - [255, 0, 0]).max() < 16
    assert np.abs(pixels[:, -2] - [0, 155, 0]).max() < 16


def test_ycbcr(tmp_path, rgb):
    pixels = read(tmp_path / "a.tif", Image.fromarray(rgb).convert("YCbCr"))
    assert np.abs(pixels - rgb).max() <= 3


@pytest.mark.parametrize(("mode", "colour"), [("LAB", (200, 128, 128)), ("HSV", (0, 0, 196))])
def test_colours_that_are_no_mixtures_of_lights(tmp_path, monkeypatch, mode, colour):
    """A light grey; HSV is in no file format, so it is handed over."""
    image = Image.new(mode, (4, 4), colour)
    if mode == "LAB":
        pixels = read(tmp_path / "a.tif", image, 4)
        assert pixels.std() < 2
    else:
        pixels = np.asarray(image_file._to_rgb(image, tmp_path)).astype(int)
    assert np.abs(pixels - 196).max() < 3


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_the_first_picture_of_an_animation(tmp_path, suffix):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    first, *more = [Image.new("RGB", (8, 8), colour) for colour in colours]
    options = {"lossless": True} if suffix == "webp" else {}
    pixels = read(tmp_path / f"a.{suffix}", first, 8, save_all=True, append_images=more, **options)
    assert (pixels == [255, 0, 0]).all()


@pytest.mark.parametrize("shape", [(1, 100_000), (100_000, 1), (1, 1)])
def test_elongated(tmp_path, shape):
    pixels = np.full((*shape, 3), 9, np.uint8)
    pixels[shape[0] // 2, shape[1] // 2] = 200
    assert read(tmp_path / "a.png", Image.fromarray(pixels), 32).max() > 190  # what is in the middle


@pytest.mark.parametrize("name", ["ünïcode 图.png", "with\nnewline.png", os.fsdecode(b"\xff.png")])
def test_names(tmp_path, rgb, name):
    image = Image.fromarray(rgb)
    with (tmp_path / name).open("wb") as file:
        image.save(file, "PNG")
    np.testing.assert_array_equal(read_image(tmp_path / name, (8, 16)), rgb)


def test_names_do_not_decide_the_format(tmp_path, rgb):
    Image.fromarray(rgb).save(tmp_path / "a.jpg", "PNG")
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg", (8, 16)), rgb)


def test_what_is_no_file(tmp_path):
    with pytest.raises(DataError, match=r"expected an image file, but it is a folder$"):
        read_image(tmp_path, 8)
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero"):
        with pytest.raises(DataError, match=f"{path}: expected an image file, but it is a pipe or a device$"):
            read_image(path, 8)


def test_paths_that_cannot_even_be_looked_at(tmp_path):
    (tmp_path / "loop.png").symlink_to("loop.png")
    for path, why in (
        (tmp_path / "nothing.png", "there is no such file"),
        ("zero\0byte.png", "there is no such file"),
        ("a" * 300 + ".png", "it cannot be looked at \\(File name too long\\)"),
        (tmp_path / "loop.png", "it cannot be looked at \\(Too many levels of symbolic links\\)"),
    ):
        with pytest.raises(DataError, match=f"expected an image file, but {why}$"):
            read_image(path, 8)


def test_formats_that_start_other_programs_are_not_tried(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", "EPS")
    with pytest.raises(DataError, match=r"cannot read it \(not the beginning of BMP, GIF, JPEG, PNG"):
        read_image(tmp_path / "a.png", 8)


def test_enormous_images_are_refused_before_they_are_decoded(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(60_000, 60_000, 8, 2, bytes(1000)))
    words = r"at most 20,000,000 pixels, got many times more$"
    with pytest.raises(DataError, match=words):
        read_image(path, 8)
    path.write_bytes(png(4001, 5000, 8, 2, bytes(1000)))
    with pytest.raises(DataError, match=r"at most 20,000,000 pixels, got 4001 x 5000 = 20,005,000"):
        read_image(path, 8)
    with path.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(DataError, match=r"at most 160,000,000 bytes, got 1,000,000,000,000"):
        read_image(path, 8)


def test_large_jpeg_images_are_decoded_at_a_fraction(tmp_path, rgb, monkeypatch):
    monkeypatch.setattr(image_file, "MOST_PIXELS", 400)
    monkeypatch.setattr(image_file, "MOST_JPEG_PIXELS", 1600)
    large = Image.fromarray(rgb).resize((48, 32))
    pixels = read(tmp_path / "a.jpg", large, (8, 12), quality=95, subsampling=0)
    expected = np.asarray(large.resize((12, 8), Image.Resampling.BOX)).astype(int)
    assert np.abs(pixels - expected).mean() < 4
    with pytest.raises(DataError, match="at most 400 pixels, got 48 x 32"):
        read(tmp_path / "b.jpg", large, 8, progressive=True)
    with pytest.raises(DataError, match="at most 1,600 pixels, got 96 x 64"):
        read(tmp_path / "c.jpg", large.resize((96, 64)), 8)


def test_pillows_warnings_do_not_come_through(tmp_path):
    """A damaged directory of metadata is worth a warning to Pillow; here warnings are errors."""
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\0")
    assert read_image(tmp_path / "a.jpg", 8).shape == (8, 8, 3)


MEASURE = """
import re, sys
from PIL import Image
from minicnn.data import read_image

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])

read_image(sys.argv[1], 8)
before = peak()
read_image(sys.argv[2], 224)
print((peak() - before) / 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "suffix", "size"),
    [
        ("RGB", "png", (5000, 4000)),
        ("RGBA", "png", (5000, 4000)),
        ("LA", "png", (5000, 4000)),
        ("P", "png", (5000, 4000)),
        ("1", "png", (5000, 4000)),
        ("I;16", "png", (5000, 4000)),
        ("CMYK", "tif", (5000, 4000)),
        ("RGB", "gif", (5000, 4000)),
        ("RGB", "webp", (5000, 2000)),
        ("RGB", "jpg", (10_000, 8000)),
        ("CMYK", "jpg", (10_000, 8000)),
        ("RGB", "progressive.jpg", (5000, 4000)),
        ("RGB", "png", (20_000_000, 1)),
    ],
)
def test_memory(tmp_path, mode, suffix, size):
    """The largest images of each kind take at most 200 MiB on top of what the program has."""
    Image.new("RGB", (8, 8)).save(tmp_path / "small.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {
        "jpg": {"exif": exif}, "progressive.jpg": {"progressive": True}, "webp": {"lossless": True},
        "tif": {"compression": "tiff_lzw"},
    }.get(suffix, {"transparency": 0} if mode == "P" else {})  # fmt: skip
    Image.new(mode, size).save(tmp_path / f"a.{suffix}", **options)
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "small.png"), str(tmp_path / f"a.{suffix}")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"[\d.]+\n", done.stdout), done.stderr
    print(f"{mode} {suffix}: {float(done.stdout):.0f} MiB")
    assert float(done.stdout) < 200
