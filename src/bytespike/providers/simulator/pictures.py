"""Pictures that the simulator draws, and what it sees of those that it is given.

A picture is drawn from its words and the seed alone: same words, same bytes. It is a gradient with a few shapes and the
word "simulator" on it, so that nobody takes it for a model's work. The bytes are real: any viewer opens them.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct
from PIL import Image, ImageDraw, UnidentifiedImageError

MediaType: TypeAlias = Literal["image/png", "image/jpeg", "image/webp"]
Colour: TypeAlias = tuple[int, int, int]

#: More pixels are not drawn: a 16K picture would take this process's memory and time.
PIXELS_MAX = 8192 * 8192
#: What is drawn before it is scaled up: detail costs bytes, and nobody looks for any.
_CANVAS_SIDE_MAX = 512
_SHAPES = 5
_QUALITY_DEFAULT = 80
_CAPTION = "simulator"

_FORMATS: Mapping[MediaType, str] = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
_MEDIA_TYPES: Mapping[str, MediaType] = {name: media_type for media_type, name in _FORMATS.items()}


class NotAPicture(ValueError):
    """The bytes are no picture that vendors take."""


class Picture(Struct, frozen=True):
    """What is to be drawn. `width`, `height` in pixels. `quality` 1 to 100, of JPEG and WebP. `clarity` from 0 (blurred) to
    1 (finished): partial images are the same picture, less clear. `transparent` leaves the ground out (PNG and WebP)."""

    words: str
    width: int
    height: int
    media_type: MediaType = "image/png"
    transparent: bool = False
    quality: int = _QUALITY_DEFAULT
    clarity: float = 1.0


class Seen(Struct, frozen=True):
    """What a picture's own bytes say of it; `transparent`: it has an alpha channel, as masks must."""

    media_type: MediaType
    width: int
    height: int
    transparent: bool


def draw(picture: Picture, seed: bytes) -> bytes:
    """The file's bytes. Raises ValueError for a size that is not drawn."""
    width, height = picture.width, picture.height
    if width < 1 or height < 1 or width * height > PIXELS_MAX:
        raise ValueError(f"a picture of {width}x{height} is not drawn")
    image = _scaled(_canvas(picture, seed), width, height)
    out = io.BytesIO()
    if picture.media_type == "image/png":
        # Only a transparent one has an alpha channel, as with the vendors.
        (image if picture.transparent else image.convert("RGB")).save(out, "PNG", compress_level=1)
    elif picture.media_type == "image/jpeg":
        image.convert("RGB").save(out, "JPEG", quality=picture.quality)
    else:
        image.save(out, "WEBP", quality=picture.quality, method=0)
    return out.getvalue()


def look(data: bytes) -> Seen:
    """What a given picture is. Raises `NotAPicture`."""
    try:
        with Image.open(io.BytesIO(data), formats=tuple(_MEDIA_TYPES)) as image:
            return Seen(
                _MEDIA_TYPES[image.format or ""], image.width, image.height, image.has_transparency_data
            )
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, KeyError) as error:
        raise NotAPicture("it is no PNG, JPEG or WebP image") from error


def _canvas(picture: Picture, seed: bytes) -> Image.Image:
    """The drawing at a size that is quick to draw, in RGBA."""
    side = max(picture.width, picture.height)
    # A partial picture is drawn coarser.
    bound = max(int(min(side, _CANVAS_SIDE_MAX) * max(min(picture.clarity, 1.0), 0.05)), 1)
    width = max(picture.width * bound // side, 1)
    height = max(picture.height * bound // side, 1)
    dice = hashlib.shake_256(seed + b"\0" + picture.words.encode("utf-8", "surrogatepass")).digest(64)
    if picture.transparent:
        image = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    else:
        ramp = _scaled(Image.linear_gradient("L"), width, height)
        image = Image.composite(
            Image.new("RGB", (width, height), _colour(dice, 0)),
            Image.new("RGB", (width, height), _colour(dice, 3)),
            ramp,
        ).convert("RGBA")
    pen = ImageDraw.Draw(image)
    for shape in range(_SHAPES):
        at = 6 + shape * 8
        left, top = dice[at] * width // 256, dice[at + 1] * height // 256
        right = left + 1 + dice[at + 2] * width // 768
        bottom = top + 1 + dice[at + 3] * height // 768
        plot = pen.ellipse if dice[at + 7] & 1 else pen.rectangle
        plot((left, top, right, bottom), fill=(*_colour(dice, at + 4), 255))
    pen.text((2, 2), _CAPTION, fill=(255, 255, 255, 255), stroke_fill=(0, 0, 0, 255), stroke_width=1)
    return image


def _scaled(image: Image.Image, width: int, height: int) -> Image.Image:
    whole = (0, 0, image.width, image.height)
    return image.transform((width, height), Image.Transform.EXTENT, whole, Image.Resampling.NEAREST)


def _colour(dice: bytes, at: int) -> Colour:
    return dice[at], dice[at + 1], dice[at + 2]
