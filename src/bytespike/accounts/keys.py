"""API keys: made, changed, rotated, revoked, revealed.

The plaintext leaves this module twice: from `create` and `rotate`, once, and from `reveal`, which is audited. A change
takes effect on every gateway when its change feed brings it, within a second.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.accounts import groups, users
from bytespike.accounts.control import Write
from bytespike.accounts.key_hash import hash_key
from bytespike.accounts.rules import (
    ALLOWED_MODELS_MAX,
    check_credits,
    check_custom_key,
    check_name,
    expiry,
    mask,
    parse_networks,
)
from bytespike.accounts.secrets import Place
from bytespike.errors import InvalidRequest, NotFound
from bytespike.ids import api_key, ulid
from bytespike.store import keys, members
from bytespike.store.keys import KeyRow

LIMITS = ("quota", "limit_5h", "limit_1d", "limit_7d")


class NewKey(Struct, frozen=True):
    """Money in micro-dollars, 0 unlimited. `allowed_models`: catalog slugs; None: all that the group serves."""

    name: str
    user_id: str
    group_id: int
    org_id: str | None = None
    quota: int = 0
    limit_5h: int = 0
    limit_1d: int = 0
    limit_7d: int = 0
    ip_whitelist: tuple[str, ...] = ()
    ip_blacklist: tuple[str, ...] = ()
    allowed_models: tuple[str, ...] | None = None
    expires_in_days: int | None = None
    custom_key: str | None = None


class KeyChanges(Struct, frozen=True):
    """What is not UNSET is set. `expires_in_days` counts from now; None: never. `status`: active | disabled."""

    name: str | UnsetType = UNSET
    group_id: int | UnsetType = UNSET
    quota: int | UnsetType = UNSET
    limit_5h: int | UnsetType = UNSET
    limit_1d: int | UnsetType = UNSET
    limit_7d: int | UnsetType = UNSET
    ip_whitelist: tuple[str, ...] | UnsetType = UNSET
    ip_blacklist: tuple[str, ...] | UnsetType = UNSET
    allowed_models: tuple[str, ...] | UnsetType | None = UNSET
    expires_in_days: int | UnsetType | None = UNSET
    status: str | UnsetType = UNSET


class MintedKey(Struct, frozen=True):
    """A key and its plaintext: shown now, and by `reveal` after. Its repr hides it."""

    row: KeyRow
    plaintext: str

    def __repr__(self) -> str:
        return f"MintedKey({self.row.masked})"


async def create(write: Write, new: NewKey) -> MintedKey:
    """Raises: InvalidRequest (a wrong field), NotFound (user, org or group), PermissionDenied (the group)."""
    await users.get(write.connection, new.user_id)
    if new.org_id is not None:
        await _be_member(write, (await users.find_org(write.connection, new.org_id)).id, new.user_id)
    await groups.check_open(write.connection, new.group_id, new.user_id)
    plaintext = api_key() if new.custom_key is None else check_custom_key(new.custom_key)
    row = KeyRow(
        id="key_" + ulid(),
        name=check_name(new.name),
        masked=mask(plaintext),
        user_id=new.user_id,
        org_id=new.org_id,
        group_id=new.group_id,
        quota=check_credits(new.quota, param="quota"),
        limit_5h=check_credits(new.limit_5h, param="limit_5h"),
        limit_1d=check_credits(new.limit_1d, param="limit_1d"),
        limit_7d=check_credits(new.limit_7d, param="limit_7d"),
        ip_whitelist=_networks(new.ip_whitelist, "ip_whitelist"),
        ip_blacklist=_networks(new.ip_blacklist, "ip_blacklist"),
        allowed_models=_models(new.allowed_models),
        status="active",
        expires_at=expiry(new.expires_in_days, write.now_us),
        spent=0,
        created_at=write.now_us,
    )
    await keys.add(
        write.connection, row, hash=hash_key(plaintext), secret=write.box.seal(plaintext, key_place(row.id))
    )
    await write.note("keys.create", row.id, "key", name=row.name, user_id=row.user_id, group_id=row.group_id)
    return MintedKey(row, plaintext)


async def update(write: Write, key_id: str, changed: KeyChanges, *, user_id: str | None = None) -> KeyRow:
    """`user_id`: only if the key is this user's. Raises: InvalidRequest, NotFound, PermissionDenied."""
    row = await _usable(write.connection, key_id, user_id)
    values: dict[str, object] = {}
    if changed.name is not UNSET:
        values["name"] = check_name(changed.name)
    if changed.group_id is not UNSET:
        await groups.check_open(write.connection, changed.group_id, row.user_id)
        values["group_id"] = changed.group_id
    for name in LIMITS:
        limit: int | UnsetType = getattr(changed, name)
        if limit is not UNSET:
            values[name] = check_credits(limit, param=name)
    if changed.ip_whitelist is not UNSET:
        values["ip_whitelist"] = list(_networks(changed.ip_whitelist, "ip_whitelist"))
    if changed.ip_blacklist is not UNSET:
        values["ip_blacklist"] = list(_networks(changed.ip_blacklist, "ip_blacklist"))
    if changed.allowed_models is not UNSET:
        models = _models(changed.allowed_models)
        values["allowed_models"] = None if models is None else list(models)
    if changed.expires_in_days is not UNSET:
        values["expires_at"] = expiry(changed.expires_in_days, write.now_us)
    if changed.status is not UNSET:
        if changed.status not in ("active", "disabled"):
            raise InvalidRequest("status is one of active, disabled", param="status")
        values["status"] = changed.status
    if values:
        await keys.change(write.connection, key_id, values)
        await write.note("keys.update", key_id, "key", fields=", ".join(sorted(values)))
    return await get(write.connection, key_id)


async def rotate(write: Write, key_id: str, *, user_id: str | None = None) -> MintedKey:
    """A new plaintext for a key; the old one stops at once. Raises: InvalidRequest (it is revoked), NotFound."""
    await _usable(write.connection, key_id, user_id)
    plaintext = api_key()
    values = {
        "hash": hash_key(plaintext),
        "secret": write.box.seal(plaintext, key_place(key_id)),
        "masked": mask(plaintext),
    }
    await keys.change(write.connection, key_id, values)
    await write.note("keys.rotate", key_id, "key")
    return MintedKey(await get(write.connection, key_id), plaintext)


async def revoke(write: Write, key_id: str, *, user_id: str | None = None) -> KeyRow:
    """End a key for good; its usage stays. Raises `NotFound`."""
    row = await get(write.connection, key_id, user_id=user_id)
    if row.status != "revoked":
        await keys.change(write.connection, key_id, {"status": "revoked"})
        await write.note("keys.revoke", key_id, "key")
    return await get(write.connection, key_id)


async def reveal(write: Write, key_id: str, *, user_id: str | None = None) -> MintedKey:
    """The plaintext of a key, leaving an audit row. Raises: InvalidRequest (it is revoked), NotFound."""
    row = await _usable(write.connection, key_id, user_id)
    sealed = await keys.sealed(write.connection, key_id)
    if sealed is None:
        raise NotFound(f"there is no key {key_id!r}")
    await write.note("keys.reveal", key_id, None)
    return MintedKey(row, write.box.open(sealed, key_place(key_id)))


async def get(connection: AsyncConnection, key_id: str, *, user_id: str | None = None) -> KeyRow:
    """Another user's key is as if it were not there. Raises `NotFound`."""
    row = await keys.get(connection, key_id)
    if row is None or (user_id is not None and row.user_id != user_id):
        raise NotFound(f"there is no key {key_id!r}")
    return row


async def _be_member(write: Write, org_id: str, user_id: str) -> None:
    """Whoever has a key of an org is a member of it."""
    id = members.member_id(org_id, user_id)
    row = await members.get(write.connection, id)
    if row is None:
        await members.add(write.connection, members.MemberRow(id, org_id, user_id, "member", write.now_us))
    elif row.role == members.FORMER:
        await members.change_role(write.connection, id, "member")


async def _usable(connection: AsyncConnection, key_id: str, user_id: str | None) -> KeyRow:
    row = await get(connection, key_id, user_id=user_id)
    if row.status == "revoked":
        raise InvalidRequest("this key has been revoked, which is for good; create another")
    return row


def key_place(key_id: str) -> Place:
    """Where a key's sealed plaintext lives."""
    return Place("keys", "secret", key_id)


def _networks(texts: tuple[str, ...], param: str) -> tuple[str, ...]:
    return tuple(str(network) for network in parse_networks(texts, param=param))


def _models(slugs: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if slugs is None:
        return None
    found = tuple(dict.fromkeys(check_name(slug, param="allowed_models") for slug in slugs))
    if len(found) > ALLOWED_MODELS_MAX:
        raise InvalidRequest(
            f"allowed_models has at most {ALLOWED_MODELS_MAX} entries", param="allowed_models"
        )
    return found
