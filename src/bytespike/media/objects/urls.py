"""Signed URLs of objects: whoever has one may read that object until it expires, and nothing else.

    /files/obj_<32 characters>.mp4?expires=<Unix seconds>&signature=<43 characters>

The signature is HMAC-SHA256 over everything in front of it, the path and the query's first part, in base64url without padding. It
is compared as text, in constant time, with the one and only spelling of the right one; and the whole of path and query
has to be spelt as `sign` spells it. So there is no second URL for an object, no part of one can be changed, and a time
cannot be put off. The ids themselves have 160 random bits.

The secret is derived from the master key (`accounts.secrets.SecretBox.derived`): every process of an installation has
the same, and a new master key makes old URLs worthless.
"""

from __future__ import annotations

import base64
import hmac
import re
from typing import Final

from msgspec import Struct

#: What the secret is derived for.
PURPOSE: Final = "signed URLs of objects"
#: What a URL's path begins with, and the route that serves it.
PREFIX: Final = "/files/"
_MICROSECONDS: Final = 1_000_000
_NAME: Final = re.compile(r"(obj_[0-9a-z]{32})(\.[0-9a-z]{1,8})")
_QUERY: Final = re.compile(rb"(expires=([0-9]{1,12}))&signature=([0-9A-Za-z_-]{43})")

#: File name extensions by content type: what programs go by that do not look at a type.
EXTENSIONS: Final = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
}
OTHER_EXTENSION: Final = ".bin"


class Link(Struct, frozen=True):
    """`expires_at`: Unix seconds."""

    url: str
    expires_at: int


class BadLink(Exception):
    """A URL that was not signed here, or was changed."""


class ExpiredLink(Exception):
    """A URL that was signed here, whose time is over."""


class Links:
    """Signs URLs and checks them. `base_url`: where users reach the gateway, "" if its operator did not say; `listening`: where
    it listens, which is all that is known then of a URL that nobody asked for (a callback's)."""

    __slots__ = ("_secret", "base_url", "listening")

    def __init__(self, secret: bytes, base_url: str, listening: str) -> None:
        self._secret = secret
        self.base_url = base_url
        self.listening = listening

    def __repr__(self) -> str:
        return f"Links({self.base_url!r})"

    def sign(self, id: str, content_type: str, expires_at_us: int, base_url: str = "") -> Link:
        """The URL of an object, the same each time for the same object. `expires_at_us`: Unix microseconds, the object's own
        end. `base_url`: where this caller reaches the gateway, "" where that is not known."""
        expires = expires_at_us // _MICROSECONDS
        target = f"{PREFIX}{id}{EXTENSIONS.get(content_type, OTHER_EXTENSION)}?expires={expires}"
        url = f"{base_url or self.base_url or self.listening}{target}&signature={self._signature(target.encode())}"
        return Link(url, expires)

    def check(self, path: str, query: bytes, now_us: int) -> str:
        """The id of the object that a URL leads to. `path` and `query` as they came, `path` from its first slash.

        Raises: BadLink, ExpiredLink.
        """
        name = _NAME.fullmatch(path.removeprefix(PREFIX))
        asked = _QUERY.fullmatch(query)
        if name is None or asked is None:
            raise BadLink
        signed = f"{path}?".encode() + asked[1]
        if not hmac.compare_digest(self._signature(signed).encode(), asked[3]):
            raise BadLink
        if int(asked[2]) * _MICROSECONDS <= now_us:
            raise ExpiredLink
        return name[1]

    def _signature(self, target: bytes) -> str:
        digest = hmac.digest(self._secret, target, "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
