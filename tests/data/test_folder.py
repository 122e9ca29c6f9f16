import io

import numpy as np
import pytest
from PIL import Image

from minicnn.data import load_folder, read_image
from minicnn.errors import DataError, ShapeError


def photograph(rng, height=24, width=36):
    """A smooth picture that looks different in every corner."""
    corners = rng.integers(0, 256, (2, 2, 3), dtype=np.uint8)
    return Image.fromarray(corners).resize((width, height), Image.Resampling.BILINEAR)


def saved(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def test_own_size_is_read_as_it_is(tmp_path, rng):
    image = photograph(rng)
    path = saved(tmp_path / "a.png", image)
    pixels = read_image(path, (24, 36))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, np.asarray(image))
    np.testing.assert_array_equal(read_image(str(path), (24, 36)), pixels)


@pytest.mark.parametrize("suffix", ["jpg", "bmp", "gif", "webp", "tif"])
def test_other_formats(tmp_path, rng, suffix):
    image = photograph(rng)
    pixels = read_image(saved(tmp_path / f"a.{suffix}", image), (24, 36))
    assert np.abs(pixels.astype(int) - np.asarray(image)).mean() < 12  # GIF has 256 colours only


@pytest.mark.parametrize(("height", "width"), [(20, 60), (60, 20), (30, 30)])
def test_scales_the_shorter_side_and_cuts_around_the_centre(tmp_path, rng, height, width):
    image = photograph(rng, height, width)
    scale = 10 / min(height, width)
    scaled = image.resize((round(width * scale), round(height * scale)), Image.Resampling.BILINEAR)
    top, left = (scaled.height - 10) // 2, (scaled.width - 10) // 2
    expected = np.asarray(scaled)[top : top + 10, left : left + 10].astype(int)
    pixels = read_image(saved(tmp_path / "a.png", image), 10)
    assert pixels.shape == (10, 10, 3)
    assert np.abs(pixels - expected).max() <= 1


@pytest.mark.parametrize("size", [8, 64, (40, 12)])
def test_any_size(tmp_path, rng, size):
    pixels = read_image(saved(tmp_path / "a.png", photograph(rng)), size)
    assert pixels.shape == ((size, size, 3) if isinstance(size, int) else (*size, 3))


def test_turned_upright_as_exif_says(tmp_path, rng):
    image = photograph(rng)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: to be turned clockwise
    path = saved(tmp_path / "a.png", image, exif=exif)
    np.testing.assert_array_equal(read_image(path, (36, 24)), np.rot90(np.asarray(image), -1))


def test_greyscale_and_palette(tmp_path, rng):
    grey = photograph(rng).convert("L")
    pixels = read_image(saved(tmp_path / "grey.png", grey), (24, 36))
    np.testing.assert_array_equal(pixels, np.asarray(grey)[..., None].repeat(3, axis=2))
    palette = photograph(rng).quantize(16)
    pixels = read_image(saved(tmp_path / "palette.png", palette), (24, 36))
    np.testing.assert_array_equal(pixels, np.asarray(palette.convert("RGB")))


def test_sixteen_bits_a_pixel(tmp_path):
    levels = np.array([[0, 128 * 257], [200 * 257, 65535]], np.uint16)
    pixels = read_image(saved(tmp_path / "a.png", Image.fromarray(levels)), 2)
    np.testing.assert_array_equal(pixels[..., 0], [[0, 128], [200, 255]])


def test_floating_point_images_are_refused(tmp_path):
    path = saved(tmp_path / "a.tif", Image.fromarray(np.zeros((4, 4), np.float32)))
    with pytest.raises(
        DataError, match=r"a\.tif: expected an image of 8 or 16 bits a channel, got floating-point"
    ):
        read_image(path, 4)


def test_transparent_parts_become_white(tmp_path):
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[:2] = [10, 20, 30, 255]
    pixels = read_image(saved(tmp_path / "a.png", Image.fromarray(rgba)), 4)
    assert (pixels[:2] == [10, 20, 30]).all()
    assert (pixels[2:] == 255).all()


def unreadable(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(
        buffer, "PNG"
    )
    content = buffer.getvalue()
    return {"text": b"this is no image", "empty": b"", "cut": content[: len(content) // 2]}[kind]


@pytest.mark.parametrize("kind", ["text", "empty", "cut"])
def test_unreadable_image(tmp_path, kind):
    path = tmp_path / "broken.png"
    path.write_bytes(unreadable(kind))
    with pytest.raises(DataError, match=r"broken\.png: expected an image, cannot read it \("):
        read_image(path, 8)


def test_missing_image_and_wrong_size(tmp_path):
    with pytest.raises(DataError, match=r"none\.png: expected an image file, but there is no such file"):
        read_image(tmp_path / "none.png", 8)
    with pytest.raises(ShapeError, match="read_image: size: expected at least 1, got 0"):
        read_image(tmp_path / "none.png", 0)


@pytest.fixture
def pets(tmp_path, rng):
    """Two classes, written in an order that is not the alphabetical one."""
    for name, colour, count in (("dog", 200, 2), ("cat", 100, 3)):
        for k in reversed(range(count)):
            saved(tmp_path / name / f"{k}.PNG", Image.new("RGB", (9, 7), (colour + k, 0, 0)))
    (tmp_path / "cat" / "notes.txt").write_text("no image, and not meant to be one")
    (tmp_path / "cat" / "._0.png").write_text("what some systems leave beside a file")
    (tmp_path / ".thumbnails").mkdir()
    (tmp_path / "readme.txt").write_text("no class")
    return tmp_path


def test_one_subfolder_a_class(pets, capsys):
    images, labels, names = load_folder(pets, (5, 6), progress=True)
    assert names == ("cat", "dog")
    assert labels.tolist() == [0, 0, 0, 1, 1]
    assert labels.dtype == np.int64
    assert images.shape == (5, 5, 6, 3)
    assert images.dtype == np.uint8
    assert images[:, 2, 2, 0].tolist() == [100, 101, 102, 200, 201]
    assert capsys.readouterr().err == ""


def test_unreadable_image_in_a_folder_is_named(pets):
    (pets / "dog" / "broken.jpeg").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"dog.broken\.jpeg: expected an image, cannot read it"):
        load_folder(pets, 8)


def test_class_without_images(pets):
    (pets / "fish").mkdir()
    with pytest.raises(DataError, match=r"fish: expected images of a class, found no file ending in \.bmp"):
        load_folder(pets, 8)


def test_folders_that_hold_no_classes(tmp_path, rng):
    expected = "expected a folder with one subfolder of images a class"
    with pytest.raises(DataError, match=f"nowhere: {expected}, but there is no such folder"):
        load_folder(tmp_path / "nowhere", 8)
    saved(tmp_path / "flat" / "a.png", photograph(rng))
    with pytest.raises(DataError, match=f"flat: {expected} and at least two of them, found 0"):
        load_folder(tmp_path / "flat", 8)
    saved(tmp_path / "one" / "cat" / "a.png", photograph(rng))
    with pytest.raises(DataError, match=f"one: {expected} and at least two of them, found 1"):
        load_folder(tmp_path / "one", 8)


def test_more_than_fits_into_memory(pets):
    with pytest.raises(DataError, match=r"5 images of 10000000x10000000 need 1,500,000\.0 GB of memory"):
        load_folder(pets, 10_000_000)
