"""How requests travel where a platform's transport is not the dialect's own: a cloud that hosts somebody else's models.

The dialects write the same bodies as ever. A carriage stands between them and the wire: it packs a request as the cloud
wants it, says who is asking, and unpacks what comes back into the dialect's own bytes. An endpoint without one (nearly
every endpoint) pays nothing for this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from bytespike.core.notices import Notice
from bytespike.providers.access_tokens import AccessTokens


class Parcel(Struct, frozen=True):
    """A request under way. `path`: with its query, as it stands on the wire. `head`: header lines without the transport's
    own and without who is asking."""

    path: bytes
    head: bytes
    body: bytes
    notices: tuple[Notice, ...] = ()


class Told(Struct, frozen=True):
    """An error answer in the dialect's own form."""

    status: int
    body: bytes


class Unframing(Protocol):
    """Undoes a framing: `feed` what came, `take` what it says until that is nothing, `finish` at the end. All but `feed`
    raise ValueError for what is broken, after everything before it has been given."""

    def feed(self, data: bytes) -> None: ...
    def take(self, size: int) -> bytes: ...
    def finish(self) -> None: ...


class Carriage(Protocol):
    def packed(self, parcel: Parcel) -> Parcel:
        """A request in the dialect's own form, as the cloud takes it. Raises InvalidRequest for a body that is none."""
        ...

    async def signed(self, parcel: Parcel, now_us: int, tokens: AccessTokens) -> bytes:
        """The header lines that say who is asking. `now_us`: Unix microseconds. Raises `access_tokens.TokenRefused`,
        `access_tokens.TokenUnavailable`."""
        ...

    def refused(self, tokens: AccessTokens) -> None:
        """The cloud does not believe who is asking (401): what had been had for that is not used again."""
        ...

    def told(self, status: int, headers: Mapping[str, str], body: bytes) -> Told:
        """An answer that is no success. `headers`: lower-case names."""
        ...

    def unframing(self, content_type: bytes) -> Unframing | None:
        """For an answer of that type; None if it is in the dialect's form already."""
        ...
