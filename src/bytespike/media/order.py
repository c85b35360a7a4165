"""What is to be made: one vocabulary for every provider of images and video.

Whoever reads a request (`http/` and `media/rules.py`) fills an `Order` with what the client asked for, checked against the
model's own limits (`catalog.models.MediaLimits`) and completed with their defaults. Adapters turn it into a provider's body.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

#: What a reference image is for.
Role: TypeAlias = Literal["reference", "first_frame", "last_frame", "mask"]


class Picture(Struct, frozen=True):
    """An image that the client gives: inline (`data` base64 text of the bytes, `media_type`) or by URL, never both."""

    role: Role = "reference"
    media_type: str = ""
    data: str = ""
    url: str = ""


class Order(Struct, frozen=True):
    """`width` and `height` in pixels, 0: not said in pixels; `size` as the client wrote it ("1024x1024", "2K"), "": not
    said. `seconds` of video. `resolution` "720p" and the like, of an image its class ("2K"), `aspect_ratio` "16:9" and the like, "": not said.
    `stream` and `partial_images`: images as they become clearer. `extras`: what the client said besides that the model's
    provider knows, as JSON values by name. `notices`: what of it the model does not take or takes otherwise, as
    `X-ByteSpike-Notices` tells it.
    """

    kind: Literal["image", "video"]
    prompt: str
    n: int = 1
    size: str = ""
    width: int = 0
    height: int = 0
    aspect_ratio: str = ""
    resolution: str = ""
    seconds: int = 0
    quality: str = ""
    style: str = ""
    background: str = ""
    output_format: str = ""
    output_compression: int | None = None
    negative_prompt: str = ""
    seed: int | None = None
    watermark: bool | None = None
    audio: bool | None = None
    stream: bool = False
    partial_images: int = 0
    pictures: tuple[Picture, ...] = ()
    user: str = ""
    extras: dict[str, object] = {}
    notices: tuple[str, ...] = ()
