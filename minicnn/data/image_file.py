"""Read an image file that may be anybody's.

Its pixels are counted before they are decoded: a file of a few kilobytes can describe gigabytes. Only what a
camera, a phone or a browser writes is tried. Pillow would also read formats for which it starts other
programs, such as PostScript.
"""

from __future__ import annotations

import io
import logging
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from minicnn.errors import DataError
from minicnn.shapes import Size, pair

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
MOST_PIXELS = 20_000_000  # decoded and converted, each takes 8 bytes
MOST_WEBP_PIXELS = MOST_PIXELS // 2  # whose decoder keeps two pictures besides
MOST_JPEG_PIXELS = 4 * MOST_PIXELS  # JPEG can be decoded at a half, a quarter or an eighth of its size
MOST_BYTES = 8 * MOST_PIXELS
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that exchange height and width
ORIENTATION = 0x0112


class _ClippedReader(io.BufferedReader):
    """Asks for no more than there is: a length may be given as 2 GiB, and memory is got before bytes are."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self.length = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        rest = max(0, self.length - self.tell())
        return super().read(rest if size is None or size < 0 else min(size, rest))


_warnings_lock = threading.Lock()  # catch_warnings changes what belongs to all threads


def read_image(path: str | Path, size: Size) -> npt.NDArray[np.uint8]:
    """Read one image file as a network wants it.

    The image is converted to RGB, laid on white where it is transparent, scaled bilinearly until its shorter
    side fits, cut to the size around its centre, and turned upright as its EXIF data say.

    Parameters
    ----------
    path : str or Path
        PNG, JPEG, GIF, WebP, TIFF, BMP or PPM, whatever its name; of an animation, the first picture. Up to
        20 million pixels; WebP 10 million, JPEG 80 million (from 20 on it is decoded at a smaller size).
    size : int or (height, width)
        Of the result, in pixels.

    Returns
    -------
    uint8 array of shape (height, width, 3)

    Raises
    ------
    DataError
        If the file is missing, no readable image, too large, or floating-point. Of a damaged JPEG
        whose end is there, Pillow decodes what it can and says nothing.
    """
    from PIL import Image, UnidentifiedImageError

    height, width = pair("read_image", "size", size, minimum=1)
    path = Path(path)
    if why := _why_no_file(path):
        raise DataError(f"{path}: expected an image file, but {why}")
    try:
        with _silence():
            return _read(path, height, width)
    except DataError:
        raise
    except UnidentifiedImageError:
        what = "not the beginning of" if path.stat().st_size else "an empty file, not one of"
        raise DataError(f"{path}: expected an image, cannot read it ({what} {', '.join(FORMATS)})") from None
    except Image.DecompressionBombError:  # Pillow refuses by itself what is far above our own limits
        raise DataError(
            f"{path}: expected an image of at most {MOST_PIXELS:,} pixels, got many times more"
        ) from None
    except Exception as error:  # noqa: BLE001 - Pillow's decoders raise many kinds on damaged files
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{path}: expected an image, cannot read it ({what})") from None


def _why_no_file(path: Path) -> str:
    """Say why a path cannot be that of an image; nothing if it is one of a file."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, ValueError):  # the latter: a name with a zero byte
        return "there is no such file"
    except OSError as error:
        return f"it cannot be looked at ({error.strerror})"
    if stat.S_ISREG(mode):
        return ""
    # Opening a pipe would wait for somebody who writes into it.
    return "it is a folder" if stat.S_ISDIR(mode) else "it is a pipe or a device"


@contextmanager
def _silence() -> Iterator[None]:
    """Keep Pillow from remarking on odd metadata and many pixels: what matters is an error."""
    logger, nowhere = logging.getLogger("PIL"), logging.NullHandler()
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.addHandler(nowhere)
        try:
            yield
        finally:
            logger.removeHandler(nowhere)


def _read(path: Path, height: int, width: int) -> npt.NDArray[np.uint8]:
    from PIL import Image, ImageOps

    if (bytes_in_file := path.stat().st_size) > MOST_BYTES:
        raise DataError(f"{path}: expected an image of at most {MOST_BYTES:,} bytes, got {bytes_in_file:,}")
    with _ClippedReader(path) as content, Image.open(content, formats=FORMATS) as file:
        _make_small_enough(file, path)
        orientation = file.getexif().get(ORIENTATION, 1)
        image = _to_rgb(file, path)
        if orientation in SIDEWAYS:
            height, width = width, height
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
        # Turned when it is small: a large image takes no second copy.
        turn = {
            2: Image.Transpose.FLIP_LEFT_RIGHT,
            3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_270,
            7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_90,
        }.get(orientation)
        return np.array(image if turn is None else image.transpose(turn))


def _make_small_enough(file: Image.Image, path: Path) -> None:
    """Refuse an image of too many pixels; let one of JPEG's be decoded at a fraction of its size instead."""
    columns, rows = file.size
    # MPO is Pillow's name for a JPEG with further pictures behind it, as some phones write them. Of a
    # progressive one the decoder keeps all coefficients, at whatever size it is decoded.
    in_fractions = file.format in ("JPEG", "MPO") and not file.info.get("progressive")
    most = MOST_JPEG_PIXELS if in_fractions else MOST_WEBP_PIXELS if file.format == "WEBP" else MOST_PIXELS
    if columns * rows > most:
        raise DataError(
            f"{path}: expected an image of at most {most:,} pixels, "
            f"got {columns} x {rows} = {columns * rows:,}; scale it down first"
        )
    if columns * rows > MOST_PIXELS:
        file.draft(None, (columns // 2, rows // 2))


def _to_rgb(image: Image.Image, path: Path) -> Image.Image:
    from PIL import Image

    if image.mode == "F":
        raise DataError(f"{path}: expected an image of 8 or 16 bits a channel, got floating-point")
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    columns, rows = image.size
    result = Image.new("RGB", image.size, "white")
    step = max(1, 2**20 // columns)
    for top in range(0, rows, step):  # in strips, because what lies between can take more than both ends
        strip = image.crop((0, top, columns, min(rows, top + step)))
        if strip.mode.startswith("I"):  # 16 bits: Pillow would cut off what is brighter than 255
            strip = _from_16_bits(strip, path)
        if strip.has_transparency_data:
            strip = strip.convert("RGBA")
            result.paste(strip, (0, top), mask=strip)
        else:
            result.paste(strip.convert("RGB"), (0, top))
    return result


def _from_16_bits(image: Image.Image, path: Path) -> Image.Image:
    from PIL import Image

    levels = np.asarray(image).astype(np.int64)
    if levels.min() < 0 or levels.max() > 65535:
        raise DataError(
            f"{path}: expected an image of 8 or 16 bits a channel, "
            f"got values from {levels.min()} to {levels.max()}"
        )
    return Image.fromarray((levels // 257).astype(np.uint8))
