"""What the resources share, and who is calling: the holder of an API key, or of a console session.

A browser sends its cookie with requests that other sites made it send. So a write that is authenticated by the cookie
must come with an `Origin` that is ours; SameSite=Lax keeps most of the rest away. Keys need no such check: no other
site can make a browser send them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, TypeAlias, cast
from urllib.parse import urlsplit

from fastapi import Depends, Query, Request

from bytespike.accounts import sessions
from bytespike.accounts.control import Control
from bytespike.accounts.records import KeyRecord
from bytespike.errors import InvalidKey, PermissionDenied
from bytespike.http.inbound.head import Addresses, secret_of
from bytespike.http.management.throttle import DialTurns, LoginThrottle
from bytespike.pipeline.authenticate import authenticate
from bytespike.pipeline.parts import Parts
from bytespike.settings import Settings
from bytespike.store import users
from bytespike.store.users import UserRow

COOKIE = "bytespike_session"
PAGE_SIZE = 50
PAGE_SIZE_MAX = 200
#: Further pages are asked for with a filter instead.
PAGE_MAX = 100_000
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Deps:
    """Put together once, by `app`. `hashing` bounds how many passwords are hashed at once: each takes 64 MiB."""

    parts: Parts
    control: Control
    settings: Settings
    addresses: Addresses
    throttle: LoginThrottle
    dials: DialTurns
    hashing: asyncio.Semaphore

    @property
    def secure(self) -> bool:
        """Users reach the gateway over TLS."""
        return (self.settings.public_base_url or "").startswith("https://")


@dataclass(frozen=True, slots=True)
class Caller:
    """`key`: the API key that was sent, None for a session."""

    user: UserRow
    key: KeyRecord | None

    @property
    def actor(self) -> str:
        """Who the audit log says it was."""
        return f"user:{self.user.id}" if self.key is None else f"key:{self.key.id}"


@dataclass(frozen=True, slots=True)
class Paging:
    page: int
    page_size: int

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.page_size


def deps_of(request: Request) -> Deps:
    return cast("Deps", request.app.state.deps)


DepsParam: TypeAlias = Annotated[Deps, Depends(deps_of)]


def client_ip(deps: Deps, request: Request) -> str:
    """The caller's address, as the data plane sees it."""
    peer = "" if request.client is None else request.client.host
    return deps.addresses.client_ip(peer, dict(request.scope["headers"]))


async def caller_of(request: Request, deps: DepsParam) -> Caller:
    """Raises: InvalidKey (neither a key nor a session), PermissionDenied (the key may not be used from here; a write
    from another site)."""
    headers = dict(request.scope["headers"])
    secret = secret_of(headers, b"")
    if secret:
        key, _ = await authenticate(deps.parts, secret, client_ip(deps, request))
        async with deps.control.reading() as connection:
            user = await users.get(connection, key.user_id)
        if user is None:
            raise InvalidKey("unknown API key")
        return Caller(user, key)
    token = request.cookies.get(COOKIE)
    user = None if token is None else await sessions.user_of(deps.control, token)
    if user is None:
        raise InvalidKey("sign in, or send an API key as `x-api-key` or `Authorization: Bearer`")
    if request.method not in _SAFE_METHODS:
        check_origin(deps, request, required=True)
    return Caller(user, None)


CallerParam: TypeAlias = Annotated[Caller, Depends(caller_of)]


def check_origin(deps: Deps, request: Request, *, required: bool) -> None:
    """Raises `PermissionDenied` for a request that another site made the browser send. `required`: also when nothing
    says where it comes from."""
    origin = request.headers.get("origin")
    if origin is None and not required:
        return
    ours = {request.headers.get("host", "").lower()}
    if deps.settings.public_base_url is not None:
        ours.add(urlsplit(deps.settings.public_base_url).netloc.lower())
    if urlsplit(origin or "").netloc.lower() not in ours - {""}:
        raise PermissionDenied(
            "this request does not come from this site; send an API key instead of the cookie"
        )


def paging_of(
    page: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 1,
    page_size: Annotated[int, Query(ge=1, le=PAGE_SIZE_MAX)] = PAGE_SIZE,
) -> Paging:
    return Paging(page, page_size)


PagingParam: TypeAlias = Annotated[Paging, Depends(paging_of)]
