"""API keys of the caller: list, get, create, update, delete (which revokes), rotate, reveal."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, TypeAlias, TypeVar

from fastapi import APIRouter, Query
from msgspec import UNSET, UnsetType
from pydantic import BaseModel, ConfigDict, Field

from bytespike.accounts import keys as service
from bytespike.accounts.keys import KeyChanges, NewKey
from bytespike.accounts.rules import ALLOWED_MODELS_MAX, NETWORKS_MAX, check_credits
from bytespike.errors import InvalidRequest
from bytespike.http.management.deps import CallerParam, Deps, DepsParam, PagingParam
from bytespike.http.management.views import KeyView, NewKeyView, Page
from bytespike.ledger.amounts import parse_usd
from bytespike.store import keys as stored

T = TypeVar("T")

router = APIRouter(prefix="/keys", tags=["keys"])

#: USD: "12.50", 12, or 12.5. A number's digits are taken as they are written; it is not calculated with.
USD: TypeAlias = Annotated[str, Field(max_length=40)] | int | float
Networks: TypeAlias = Annotated[list[str], Field(max_length=NETWORKS_MAX)]
Models: TypeAlias = Annotated[list[str], Field(max_length=ALLOWED_MODELS_MAX)]
Days: TypeAlias = Annotated[int, Field(ge=1)]


class Body(BaseModel):
    # A custom key that is refused is not repeated in the answer.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class NewKeyBody(Body):
    """Money in USD, 0 for no limit."""

    name: str
    group_id: int
    quota: USD = 0
    rate_limit_5h: USD = 0
    rate_limit_1d: USD = 0
    rate_limit_7d: USD = 0
    ip_whitelist: Networks = []
    ip_blacklist: Networks = []
    allowed_models: Models | None = None
    expires_in_days: Days | None = None
    custom_key: str | None = None


class KeyChangesBody(Body):
    """What is left out stays as it is. `expires_in_days` counts from now; null: never."""

    name: str | None = None
    group_id: int | None = None
    quota: USD | None = None
    rate_limit_5h: USD | None = None
    rate_limit_1d: USD | None = None
    rate_limit_7d: USD | None = None
    ip_whitelist: Networks | None = None
    ip_blacklist: Networks | None = None
    allowed_models: Models | None = None
    expires_in_days: Days | None = None
    status: Literal["active", "disabled"] | None = None


@router.get("")
async def list_keys(
    caller: CallerParam,
    deps: DepsParam,
    paging: PagingParam,
    status: Annotated[Literal["active", "disabled", "revoked"] | None, Query()] = None,
) -> Page[KeyView]:
    """The newest first; revoked ones only when they are asked for."""
    async with deps.control.reading() as connection:
        rows, total = await stored.listing(
            connection,
            user_id=caller.user.id,
            status=status,
            revoked=False,
            limit=paging.page_size,
            offset=paging.offset,
        )
    return Page(
        items=[KeyView.of(row) for row in rows], total=total, page=paging.page, page_size=paging.page_size
    )


@router.post("", status_code=201)
async def create(body: NewKeyBody, caller: CallerParam, deps: DepsParam) -> NewKeyView:
    """The answer holds the plaintext: it is shown now, and by reveal."""
    new = NewKey(
        name=body.name,
        user_id=caller.user.id,
        group_id=body.group_id,
        quota=_micros(body.quota, "quota"),
        limit_5h=_micros(body.rate_limit_5h, "rate_limit_5h"),
        limit_1d=_micros(body.rate_limit_1d, "rate_limit_1d"),
        limit_7d=_micros(body.rate_limit_7d, "rate_limit_7d"),
        ip_whitelist=tuple(body.ip_whitelist),
        ip_blacklist=tuple(body.ip_blacklist),
        allowed_models=_slugs(deps, body.allowed_models),
        expires_in_days=body.expires_in_days,
        custom_key=body.custom_key,
    )
    async with deps.control.writing(caller.actor) as write:
        return NewKeyView.minted(await service.create(write, new))


@router.get("/{key_id}")
async def get(key_id: str, caller: CallerParam, deps: DepsParam) -> KeyView:
    async with deps.control.reading() as connection:
        return KeyView.of(await service.get(connection, key_id, user_id=caller.user.id))


@router.patch("/{key_id}")
async def update(key_id: str, body: KeyChangesBody, caller: CallerParam, deps: DepsParam) -> KeyView:
    given = body.model_fields_set
    changes = KeyChanges(
        name=_required(body.name),
        group_id=_required(body.group_id),
        quota=_money(body.quota, "quota"),
        limit_5h=_money(body.rate_limit_5h, "rate_limit_5h"),
        limit_1d=_money(body.rate_limit_1d, "rate_limit_1d"),
        limit_7d=_money(body.rate_limit_7d, "rate_limit_7d"),
        ip_whitelist=UNSET if body.ip_whitelist is None else tuple(body.ip_whitelist),
        ip_blacklist=UNSET if body.ip_blacklist is None else tuple(body.ip_blacklist),
        # null means something for these two: every model, no end.
        allowed_models=_slugs(deps, body.allowed_models) if "allowed_models" in given else UNSET,
        expires_in_days=body.expires_in_days if "expires_in_days" in given else UNSET,
        status=_required(body.status),
    )
    async with deps.control.writing(caller.actor) as write:
        return KeyView.of(await service.update(write, key_id, changes, user_id=caller.user.id))


@router.delete("/{key_id}")
async def delete(key_id: str, caller: CallerParam, deps: DepsParam) -> KeyView:
    """Revokes the key, for good. Its usage stays."""
    async with deps.control.writing(caller.actor) as write:
        return KeyView.of(await service.revoke(write, key_id, user_id=caller.user.id))


@router.post("/{key_id}/rotate")
async def rotate(key_id: str, caller: CallerParam, deps: DepsParam) -> NewKeyView:
    """A new plaintext at once; the old one stops within a second."""
    async with deps.control.writing(caller.actor) as write:
        return NewKeyView.minted(await service.rotate(write, key_id, user_id=caller.user.id))


@router.post("/{key_id}/reveal")
async def reveal(key_id: str, caller: CallerParam, deps: DepsParam) -> NewKeyView:
    """The plaintext. The audit log keeps who asked."""
    async with deps.control.writing(caller.actor) as write:
        return NewKeyView.minted(await service.reveal(write, key_id, user_id=caller.user.id))


def _micros(value: USD, param: str) -> int:
    text = f"{Decimal(repr(value)):f}" if isinstance(value, float) else str(value)
    try:
        micros = parse_usd(text)
    except InvalidRequest as error:
        raise InvalidRequest(error.message, param=param) from None
    return check_credits(micros, param=param)


def _money(value: USD | None, param: str) -> int | UnsetType:
    return UNSET if value is None else _micros(value, param)


def _required(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value


def _slugs(deps: Deps, names: list[str] | None) -> tuple[str, ...] | None:
    """The catalog's slugs of any names. Raises `ModelNotFound`."""
    catalog = deps.parts.catalog.current
    return None if names is None else tuple(catalog.resolve(name).model.slug for name in names)
