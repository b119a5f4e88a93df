"""Uploaded pictures of seals: two formats, bounded, decoded and drawn anew; nothing else of the file stays.

What comes out is our own encoding of the pixels: no metadata, no second image, no profile, no trailing bytes.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageChops, ImageOps, UnidentifiedImageError

from ledger.core.errors import InputError, LimitError
from signing.seals import SIZES_MM, Picture, Shape

BYTES_MAX: Final = 2 * 1024 * 1024
"""A scan of a seal at 600 dpi has a quarter of this."""
SIDE_MAX: Final = 3000
SIDE_MIN: Final = 100
PIXELS_MAX: Final = 4_000_000
FORMATS: Final = ("PNG", "JPEG")
KEPT_SIDE: Final = 720
"""Longest side of what is kept: 60 mm at 300 dpi."""
WHITE_FROM: Final = 235
"""A pixel whose darkest channel is lighter than this is ground and becomes clear."""
INK_MIN_PERCENT: Final = 1
ASPECT_MAX: Final = 2


@dataclass(frozen=True, slots=True)
class Pixels:
    """A picture's pixels: three bytes of colour and one of thickness of the ink each, rows from the top."""

    width: int
    height: int
    rgb: bytes
    alpha: bytes


def pixels_of(picture: Picture) -> Pixels:
    """The pixels of a picture of ours.

    Raises:
        LimitError: `seal.picture_too_large`.
        InputError: `seal.picture_format`, `seal.picture_broken`.
    """
    image = _decode(picture.png, side_min=1)
    bands = image.split()
    return Pixels(image.width, image.height, image.convert("RGB").tobytes(), bands[-1].tobytes())


def clean_picture(data: bytes, *, shape: Shape, width_mm: int) -> Picture:
    """Decode an uploaded picture of a seal and encode its pixels anew, with the white made clear.

    Args:
        width_mm: its true width; the height follows from the picture.

    Raises:
        LimitError: `seal.picture_too_large`.
        InputError: `seal.picture_format`, `seal.picture_broken`, `seal.picture_small`,
            `seal.picture_empty`, `seal.picture_shape`, `seal.size`.
    """
    if len(data) > BYTES_MAX:
        raise LimitError(
            "this picture is too large", code="seal.picture_too_large", limit=BYTES_MAX
        )
    low, high = SIZES_MM[shape]
    if not low <= width_mm <= high:
        raise InputError(
            f"a seal of this shape is {low} to {high} mm wide", code="seal.size", low=low, high=high
        )
    image = _cut(_clear(_decode(data)))
    if max(image.width, image.height) > ASPECT_MAX * min(image.width, image.height):
        raise InputError("a seal is not so long and thin", code="seal.picture_shape")
    image.thumbnail((KEPT_SIDE, KEPT_SIDE), Image.Resampling.LANCZOS)
    # A copy of the pixels alone: Pillow carries profiles and notes from the opened file along.
    bare = Image.frombytes("RGBA", image.size, image.tobytes())
    buffer = io.BytesIO()
    bare.save(buffer, format="PNG", optimize=True)
    height_mm = max(1, (width_mm * image.height + image.width // 2) // image.width)
    return Picture(buffer.getvalue(), width_mm, height_mm)


def _decode(data: bytes, *, side_min: int = SIDE_MIN) -> Image.Image:
    """The first image as RGBA; its size is looked at before any pixel is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                width, height = opened.size
                if max(width, height) > SIDE_MAX or width * height > PIXELS_MAX:
                    raise LimitError(
                        "this picture has too many pixels",
                        code="seal.picture_too_large",
                        limit=PIXELS_MAX,
                    )
                if min(width, height) < side_min:
                    raise InputError(
                        f"a picture of a seal has at least {SIDE_MIN} pixels a side",
                        code="seal.picture_small",
                    )
                return ImageOps.exif_transpose(opened).convert("RGBA")
    except UnidentifiedImageError as exc:
        raise InputError("a picture is PNG or JPEG", code="seal.picture_format") from exc
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise LimitError(
            "this picture has too many pixels", code="seal.picture_too_large", limit=PIXELS_MAX
        ) from exc
    except (OSError, ValueError, SyntaxError) as exc:
        raise InputError("this picture cannot be read", code="seal.picture_broken") from exc


def _clear(image: Image.Image) -> Image.Image:
    """White ground becomes see-through, so that the seal does not hide what it stands on."""
    red, green, blue, alpha = image.split()
    darkest = ImageChops.darker(ImageChops.darker(red, green), blue)
    ink = darkest.point([255 if value < WHITE_FROM else 0 for value in range(256)])
    image.putalpha(ImageChops.darker(alpha, ink))
    return image


def _cut(image: Image.Image) -> Image.Image:
    """Without the empty margin.

    Raises:
        InputError: `seal.picture_empty`.
    """
    alpha = image.getchannel("A")
    box = alpha.getbbox()
    inked = sum(alpha.histogram()[128:])
    if box is None or inked * 100 < image.width * image.height * INK_MIN_PERCENT:
        raise InputError("there is next to nothing on this picture", code="seal.picture_empty")
    return image.crop(box)
