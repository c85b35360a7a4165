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

from bytespike.core.notices import Notice

T = TypeVar("T")

PREFIX: Final = "bytespike.v1."
NO_ORIGIN: Final = "none"
#: What carries an envelope is longer.
SEALED_BYTES_MIN: Final = 32
#: Where a dialect's opaque data is base64 (Gemini's signatures), so that an envelope is too.
_PREFIXES: Final = (PREFIX.encode(), base64.b64encode(PREFIX.encode()[:12]))
_SEALED_CITATION: Final = re.compile(rb'"encrypted_index"\s*:\s*"bytespike\.v1\.')
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


def removed(before: bytes, after: bytes) -> tuple[Notice, ...]:
    """What the caller is told of the envelopes that `before`, a body of some dialect, has and `after` has no more: a body
    that goes on in its own dialect is sent without what only another provider can read."""
    gone = sum(before.count(prefix) - after.count(prefix) for prefix in _PREFIXES)
    if gone <= 0:
        return ()
    citations = len(_SEALED_CITATION.findall(before)) - len(_SEALED_CITATION.findall(after))
    notices: list[Notice] = []
    if gone > citations:
        notices.append(Notice("reasoning", "dropped", "not made by this provider"))
    if citations > 0:
        notices.append(Notice("citations", "dropped", "not made by this provider"))
    return tuple(notices)
