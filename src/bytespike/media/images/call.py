"""What goes into a request's life, and the caller at its other end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from bytespike.accounts.records import KeyRecord
from bytespike.core.json_types import JSON
from bytespike.core.notices import Notice
from bytespike.ledger.account import KeyAccount


class ImageCall(Struct, frozen=True):
    """A request of a caller that is known. `params`: its body's members, from JSON or from a form. `edit`: it is for
    /v1/images/edits. `base_url`: where the caller reaches the gateway. `started_ns`: monotonic, when its head had been read."""

    request_id: str
    key: KeyRecord
    account: KeyAccount
    params: Mapping[str, JSON]
    edit: bool
    dry_run: bool
    started_ns: int
    base_url: str = ""
    protocol: Literal["images", "openai_chat"] = "images"


class Client(Protocol):
    """The caller, as `pipeline.call.Client` has it; http/ knows how to reach it."""

    @property
    def gone(self) -> bool: ...

    def held(self, credits: int) -> None: ...

    def respond(self, body: bytes, notices: Sequence[Notice | str]) -> None: ...

    def begin(self, notices: Sequence[Notice | str], *, array: bool = False) -> None: ...

    async def send(self, data: bytes) -> None: ...

    def finish(self, data: bytes = b"") -> None: ...
