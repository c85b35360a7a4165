"""Images that a client gives: to be changed, to be looked at, or as a video's first frame.

Clients put them in many places and shapes: a `data:` URL, a URL, an object around either (OpenAI's `images: [{"image_url"}]`,
chat's `{"url"}`), bare base64, one or a list. Whatever is inline is known by its own first bytes, not by what it is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bytespike.core.content import Base64Source
from bytespike.core.json_types import JSON
from bytespike.errors import InvalidRequest, UnsupportedFeature
from bytespike.media.order import Picture, Role
from bytespike.protocols.inline_media import data_url, image_type
from bytespike.wire import fields as f

#: Where pictures stand in a request, by what they are for.
MEMBERS: Final[Mapping[str, Role]] = {
    "image": "reference",
    "image[]": "reference",
    "images": "reference",
    "image_url": "reference",
    "image_urls": "reference",
    "source_image": "reference",
    "reference_image": "reference",
    "reference_images": "reference",
    "mask": "mask",
    "image_init": "first_frame",
    "input_reference": "first_frame",
    "first_frame": "first_frame",
    "first_frame_image": "first_frame",
    "image_end": "last_frame",
    "last_frame": "last_frame",
    "last_frame_image": "last_frame",
}
#: More are not looked at, whatever a model takes.
PICTURES_MAX: Final = 64
URL_CHARS_MAX: Final = 8_192
_INSIDE: Final = ("image_url", "url", "b64_json", "data")
#: Shorter text is no picture.
_BASE64_CHARS_MIN: Final = 64


def read_pictures(params: Mapping[str, JSON], kind: str) -> tuple[Picture, ...]:
    """Every picture of a request, in the order of `MEMBERS`. An image that is to be made from a "first frame" has a reference.

    Raises InvalidRequest, UnsupportedFeature, which name the member.
    """
    found: list[Picture] = []
    for name, role in MEMBERS.items():
        value = params.get(name)
        if value is None or value == "":
            continue
        if kind == "image" and role in ("first_frame", "last_frame"):
            role = "reference"
        several = value if isinstance(value, list) else [value]
        if len(several) > PICTURES_MAX:
            raise InvalidRequest(
                f"{name} has {len(several)} images; at most {PICTURES_MAX} are taken", param=name
            )
        for index, each in enumerate(several):
            where = f"{name}[{index}]" if isinstance(value, list) else name
            found.append(_picture(each, role, where))
    return tuple(found)


def inline_picture(data: str, role: Role, where: str) -> Picture:
    """A picture from its base64. Raises InvalidRequest for bytes that are no image."""
    media_type = image_type(data)
    if media_type is None:
        raise InvalidRequest(f"{where} is not an image (PNG, JPEG, WebP, GIF)", param=where)
    return Picture(role, media_type, data)


def _picture(value: JSON, role: Role, where: str) -> Picture:
    if isinstance(value, dict):
        if value.get("file_id"):
            raise UnsupportedFeature(
                f"{where}: there are no files here; send a URL or the image as base64", param=where
            )
        inner = next((value[name] for name in _INSIDE if value.get(name)), None)
        if isinstance(inner, dict):
            inner = inner.get("url")
        if inner is None:
            raise InvalidRequest(f"{where} has none of {', '.join(_INSIDE)}", param=where)
        value = inner
    if not isinstance(value, str):
        raise InvalidRequest(f"{where} is a URL, a data: URL or base64, not {f.kind_of(value)}", param=where)
    return _located(value.strip(), role, where)


def _located(text: str, role: Role, where: str) -> Picture:
    try:
        source = data_url(text, where)
    except f.Wrong as wrong:
        raise InvalidRequest(wrong.sentence, param=where) from None
    if isinstance(source, Base64Source):
        return inline_picture(source.data, role, where)
    if text[:8].lower().startswith(("http://", "https://")):
        if len(text) > URL_CHARS_MAX:
            raise InvalidRequest(f"{where}: a URL has at most {URL_CHARS_MAX} characters", param=where)
        return Picture(role, url=text)
    if len(text) >= _BASE64_CHARS_MIN and image_type(text) is not None:
        return inline_picture(text, role, where)
    raise InvalidRequest(
        f"{where} is neither an http(s) URL, nor a data: URL, nor base64 of an image", param=where
    )
