"""The text form of an envelope: opaque data of other providers inside of a dialect's own opaque string.

    bytespike.v1.<origin>.<base64url of JSON, without padding>

`origin` is the dialect that issued what is inside, or "none" where there is no proof. What the JSON holds is each
dialect's own business.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final, TypeVar

import msgspec

T = TypeVar("T")

PREFIX: Final = "bytespike.v1."
NO_ORIGIN: Final = "none"
_FORM: Final = re.compile(r"bytespike\.v1\.([a-z0-9_.-]{1,60})\.([A-Za-z0-9_-]*)")


def seal_text(origin: str, content: bytes) -> str:
    """`content` is JSON. An empty origin is none."""
    text = base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
    return f"{PREFIX}{origin or NO_ORIGIN}.{text}"


def open_text(text: str, decoder: msgspec.json.Decoder[T]) -> tuple[str, T] | None:
    """The origin and the content; None for a damaged envelope, or for no envelope at all."""
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    origin, data = form.groups()
    try:
        return origin, decoder.decode(base64.b64decode(data + "=" * (-len(data) % 4), b"-_", validate=True))
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def is_sealed(text: str) -> bool:
    return text.startswith(PREFIX)
