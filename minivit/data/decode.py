"""Read an image file as people see it: whatever Pillow opens becomes 8-bit RGB, or is refused with a reason.

In this order:

- Only the first picture is read: the first frame of an animation, the first page of a TIFF.
- 16-bit grey is divided by 257 and rounded; other depths are scaled so that their largest value becomes 255; 16-bit
  colours keep their upper 8 bits. Floats from 0 to 1 run from black to white. Pixels without a stated range are
  refused: other floats, 32-bit integers, signed integers.
- An embedded colour profile (ICC) is applied, so that colours are sRGB. Profiles that are sRGB already, damaged, or
  made for other channels are ignored, and so is PNG's gamma. CMYK without a profile is converted naively.
- Transparent pixels show the background. It is filled in before an image is scaled, so that hidden colours do not bleed
  into visible ones.
- The image is rotated as its EXIF orientation says; damaged EXIF data are ignored.
"""

import io
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from minivit.data.crops import View
from minivit.data.dataset import BrokenImageError

if TYPE_CHECKING:
    from PIL.Image import Image

# Web pages, paper and most viewers are white, and drawings with a transparent background are made for that.
WHITE = (255, 255, 255)
ORIENTATION = 0x0112                                    # EXIF tag
TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}      # its values, and those of PIL.Image.Transpose
SIDEWAYS = (2, 4, 5, 6)                                 # of these, those that swap height and width
BITS, PHOTOMETRIC, COLOUR_MAP, EXTRA_SAMPLES, SAMPLE_FORMAT = 258, 262, 320, 338, 339   # TIFF tags
WHITE_IS_ZERO, SIGNED = 0, 2
GREY_STEP = {"L;2": 85, "L;4": 17}                      # Pillow multiplies 2- and 4-bit grey by these
SPACES = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK"}   # what a profile calls the channels of a mode


class _Refused(Exception):
    """Pillow can read the pixels, but nothing says how they should look."""


def ignore_warnings() -> None:
    """Don't show what Pillow warns of, up to two lines for each image: it's read anyway, or else an error says so."""
    warnings.filterwarnings("ignore", module=r"PIL\.")


def decode(source: str | os.PathLike | bytes, background: Sequence[int] = WHITE, *, name: str | None = None) -> "Image":
    """Read an image as people see it.

    Parameters
    ----------
    source
        A file, or its bytes; its format is read from the content, not the suffix.
    background
        Red, green and blue, 0 ... 255, shown where pixels are transparent.
    name
        Name of the image in error messages; its path by default.

    Returns
    -------
    PIL.Image.Image
        Mode RGB, upright.

    Raises
    ------
    BrokenImageError
        Naming the file and what to do, if it is not an image, damaged, too large, or has pixels without a stated range.
    """
    with _opened(source, name) as image:
        return _see(image, background)


def decode_part(source: str | os.PathLike | bytes, view: View, background: Sequence[int] = WHITE, *,
                name: str | None = None) -> Tensor:
    """Read a view of an image as people see it: uint8 (3, H, W).

    For the other parameters and the errors, see :func:`decode`.
    """
    with _opened(source, name) as image:
        if image.format != "JPEG":   # in the file, the orientation may follow the pixels
            whole = _see(image, background)
            return view.scale(whole, view.box(whole.height, whole.width))
        turn = _turn(image)
        box = view.box(*(image.size if turn in SIDEWAYS else image.size[::-1]))
        reduction = view.reduction(box)
        if turn is not None:   # a side that isn't divisible would have its remainder on the wrong end
            reduction = math.gcd(reduction, *image.size)
        if reduction > 1:
            image.draft(None, (image.width // reduction, image.height // reduction))
        return view.scale(_see(image, background), tuple(side / reduction for side in box))


@contextmanager
def _opened(source: str | os.PathLike | bytes, name: str | None) -> Iterator["Image"]:
    """Open an image; turn whatever fails then, or inside the ``with`` block, into a BrokenImageError."""
    from PIL import Image

    name = name or ("the image" if isinstance(source, bytes) else os.fspath(source))
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            yield image
    except MemoryError:
        raise
    except _Refused as refused:
        raise BrokenImageError(f"{name} {refused}") from None
    except Image.DecompressionBombError as error:
        raise BrokenImageError(f"{name} has more pixels than Pillow reads ({error}): make it smaller, or raise "
                               "PIL.Image.MAX_IMAGE_PIXELS if you trust it") from None
    # Broken bytes make Pillow's decoders fail with nearly anything.
    except Exception as error:
        if getattr(error, "filename", None):   # the file could not even be opened
            raise BrokenImageError(f"{name} cannot be read: {error.strerror}") from None
        raise BrokenImageError(f"{name} cannot be read as an image ({_reason(error, source)}): replace it or delete it"
                               ) from None


def _see(image: "Image", background: Sequence[int]) -> "Image":
    """Return the whole image, in mode RGB and upright."""
    from PIL import Image

    raw = _raw_mode(image)
    image.load()
    colours, alpha = _colours_and_alpha(image, raw)
    seen = _to_srgb(colours, image.info.get("icc_profile"))
    if alpha is not None:
        seen = Image.composite(seen, Image.new("RGB", seen.size, tuple(background)), alpha)
    turn = _turn(image)
    return seen if turn is None else seen.transpose(turn)


def _raw_mode(image: "Image") -> str:
    """Return Pillow's name for the pixel format in the file, which it forgets once the pixels are read."""
    arguments = image.tile[0][3] if getattr(image, "tile", None) else ""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _colours_and_alpha(image: "Image", raw: str) -> tuple["Image", "Image | None"]:
    """Split an image into its colours, in mode L, RGB, CMYK or LAB, and its opacity (L), if anything is transparent."""
    from PIL import Image

    tags = getattr(image, "tag_v2", {})
    if SIGNED in _values(tags.get(SAMPLE_FORMAT)):
        raise _refuse(image, "signed integers")
    if image.mode == "I" and image.format not in ("PNG", "PPM"):   # in these, mode I has 16 bits
        raise _refuse(image, "32-bit integers")

    if image.mode in ("P", "PA") and 0 < max(tags.get(COLOUR_MAP, (0,))) < 256:
        # Some programs write 8 bits where TIFF wants 16; read literally, such a palette would be all black.
        image.putpalette(bytes(tags[COLOUR_MAP]), "RGB;L")

    clear = image.info.get("transparency")
    if image.mode in ("1", "L", "F") or image.mode.startswith("I"):
        values = np.asarray(image.convert("L") if image.mode == "1" else image)
        alpha = None if clear is None else _opaque(values != int(clear) * GREY_STEP.get(raw, 1))
        if image.mode not in ("1", "L"):
            values = _to_8_bits(image, values, min(_values(tags.get(BITS)) or (16,)))
            if WHITE_IS_ZERO in _values(tags.get(PHOTOMETRIC)) and not raw.endswith("I"):   # else Pillow did it
                values = 255 - values
        return Image.fromarray(values.astype(np.uint8)), alpha
    if image.mode == "RGB" and clear is not None:
        if raw.startswith("RGB;16"):
            raise _refuse(image, "16-bit colours of which one is transparent, which Pillow cannot tell from similar "
                          "ones", "save it with an alpha channel or with 8 bits")
        return image, _opaque((np.asarray(image) != clear).any(axis=-1))
    if image.has_transparency_data:
        if image.mode in ("La", "LA"):
            image = image.convert("LA")
            return image.getchannel("L"), image.getchannel("A")
        rgba = image.convert("RGBA")
        alpha = rgba.getchannel("A")
        # In these formats an unnamed fourth channel may be left empty; then it does not mean opacity.
        unnamed = image.format == "TGA" or (image.format == "TIFF" and EXTRA_SAMPLES not in tags)
        return rgba.convert("RGB"), None if unnamed and alpha.getextrema() == (0, 0) else alpha
    if image.mode in ("RGB", "CMYK", "LAB"):
        return image, None
    if image.mode in ("P", "RGBX", "YCbCr", "HSV"):
        return image.convert("RGB"), None
    raise _refuse(image, "pixels of an unknown kind")


def _to_8_bits(image: "Image", values: np.ndarray, bits: int) -> np.ndarray:
    if image.mode != "F":
        most = 2**bits - 1
        return (values.astype(np.int64) * 255 + most // 2) // most
    low, high = values.min(), values.max()
    if not 0 <= low <= high <= 1:   # also false for NaN
        raise _refuse(image, f"floating-point numbers from {low:g} to {high:g}")
    return np.rint(values * 255)


def _values(tag: Any) -> tuple:
    return tag if isinstance(tag, tuple) else () if tag is None else (tag,)


def _refuse(image: "Image", what: str, way_out: str = "") -> _Refused:
    way_out = way_out or ("nothing says which value is black and which is white; scale them yourself and save them "
                          "with 8 bits, or with 16 as PNG")
    return _Refused(f"holds {what} (mode {image.mode}, {image.format}): {way_out}")


def _opaque(where: np.ndarray) -> "Image":
    from PIL import Image

    return Image.fromarray(np.where(where, 255, 0).astype(np.uint8))


def _to_srgb(image: "Image", profile: bytes | None) -> "Image":
    transform = _transform(profile, image.mode) if profile and image.mode in SPACES else None
    return image.convert("RGB") if transform is None else transform.apply(image)


@lru_cache(maxsize=16)   # photographs from one camera share a profile
def _transform(profile: bytes, mode: str) -> Any:
    """Return the transform from a profile to sRGB, or None if none is needed or the profile is unusable."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space != SPACES[mode] or "srgb" in (source.profile.profile_description or "").lower():
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _turn(image: "Image") -> int | None:
    """Return Pillow's number of the transposition that makes an image upright, or None if it is."""
    try:
        return TURNS.get(image.getexif().get(ORIENTATION))
    except Exception:   # damaged EXIF fails with nearly anything, but the pixels are fine
        return None


def _reason(error: Exception, source: str | os.PathLike | bytes) -> str:
    from PIL import UnidentifiedImageError

    if not isinstance(error, UnidentifiedImageError):
        return str(error) or type(error).__name__
    if isinstance(source, bytes):
        first = source[:16]
    else:
        with open(source, "rb") as file:
            first = file.read(16)
    return f"not in a format that Pillow reads; it begins with {first!r}" if first else "it is empty"
