"""Channels: made, changed, removed. Credentials and proxy URLs go in here in the clear and are stored sealed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from msgspec import UNSET, Struct, UnsetType
from sqlalchemy.ext.asyncio import AsyncConnection

from bytespike.accounts import groups
from bytespike.accounts.control import Write
from bytespike.accounts.records import Channel
from bytespike.accounts.routes import channel_place, open_channel
from bytespike.accounts.rules import check_name
from bytespike.accounts.users import given
from bytespike.errors import InvalidRequest, NotFound
from bytespike.ids import ulid
from bytespike.providers.clouds import sample_credential, stored_credential
from bytespike.providers.endpoint import ChannelUnusable, endpoints
from bytespike.providers.platforms import PLATFORMS, SURFACES
from bytespike.store import channels, events
from bytespike.store.channels import ChannelRow, Sealed
from bytespike.store.events import NewEvent
from bytespike.wire.address import parse_proxy, parse_url

#: Google's service-account files are the longest credentials, about 2.4 KB.
CREDENTIAL_CHARS_MAX = 16_384
URL_CHARS_MAX = 2_048
HEADERS_MAX = 32
HEADER_CHARS_MAX = 4_096
MODELS_MAX = 1_000
PRIORITY_MAX = 1_000_000
WEIGHT_MAX = 1_000_000
TIMEOUT_S_MAX = 86_400.0
TIMEOUTS = ("connect", "first_byte", "idle", "total")
#: The kind of event that tells of a channel whose upstream refuses it.
REFUSED_EVENT = "channel.disabled"

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
#: The transport's own, and what carries the credential: never taken from a channel's settings.
_OWN_HEADERS = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "authorization",
        "x-api-key",
        "x-goog-api-key",
    }
)


class NewChannel(Struct, frozen=True):
    """`base_urls` by dialect; `models`: upstream names by catalog slug; `timeouts` in seconds. Its repr hides secrets."""

    name: str
    platform: str
    credential: str
    base_urls: Mapping[str, str]
    models: Mapping[str, str]
    group_ids: tuple[int, ...]
    priority: int = 0
    weight: int = 1
    region: str = ""
    rpm: int | None = None
    tpm: int | None = None
    enabled: bool = True
    proxy: str | None = None
    headers: Mapping[str, str] = {}
    timeouts: Mapping[str, float] = {}

    def __repr__(self) -> str:
        return f"NewChannel(name={self.name!r}, platform={self.platform!r})"


class ChannelChanges(Struct, frozen=True):
    """What is not UNSET is set. Enabling a channel clears the reason for which it was disabled."""

    name: str | UnsetType = UNSET
    credential: str | UnsetType = UNSET
    base_urls: Mapping[str, str] | UnsetType = UNSET
    models: Mapping[str, str] | UnsetType = UNSET
    group_ids: tuple[int, ...] | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    weight: int | UnsetType = UNSET
    region: str | UnsetType = UNSET
    rpm: int | UnsetType | None = UNSET
    tpm: int | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    proxy: str | UnsetType | None = UNSET
    headers: Mapping[str, str] | UnsetType = UNSET
    timeouts: Mapping[str, float] | UnsetType = UNSET

    def __repr__(self) -> str:
        return f"ChannelChanges({', '.join(sorted(given(self)))})"


class ChannelView(Struct, frozen=True):
    """A channel with its models and groups, without its secrets."""

    channel: ChannelRow
    models: Mapping[str, str]
    group_ids: tuple[int, ...]


async def create(write: Write, new: NewChannel) -> ChannelView:
    """Raises: InvalidRequest (a wrong field, or the name is taken), NotFound (a group)."""
    channel_id = "chn_" + ulid()
    row = ChannelRow(
        id=channel_id,
        name=check_name(new.name),
        platform=new.platform,
        base_urls=_base_urls(new.base_urls),
        priority=_between(new.priority, -PRIORITY_MAX, PRIORITY_MAX, "priority"),
        weight=_between(new.weight, 0, WEIGHT_MAX, "weight"),
        region=new.region.strip(),
        rpm=_ceiling(new.rpm, "rpm"),
        tpm=_ceiling(new.tpm, "tpm"),
        enabled=new.enabled,
        disabled_reason=None,
        headers=_headers(new.headers),
        timeouts=_timeouts(new.timeouts),
        created_at=write.now_us,
    )
    credential = _stored(new.platform, new.credential, new.region)
    sealed = Sealed(
        channel_id,
        _seal_credential(write, channel_id, credential),
        _seal_proxy(write, channel_id, new.proxy),
    )
    check_usable(row, credential)
    await _check_groups(write.connection, new.group_ids)
    await channels.add(write.connection, row, sealed, _models(new.models), new.group_ids)
    await write.note("channels.create", channel_id, "channel", name=row.name, platform=row.platform)
    return await get(write.connection, channel_id)


async def update(write: Write, channel_id: str, changed: ChannelChanges) -> ChannelView:
    """Raises: InvalidRequest, NotFound."""
    before = (await get(write.connection, channel_id)).channel
    values = _plain_values(changed)
    if changed.name is not UNSET:
        values["name"] = check_name(changed.name)
        other = await channels.by_name(write.connection, str(values["name"]))
        if other is not None and other.id != channel_id:
            raise InvalidRequest(f"there is a channel {changed.name!r} already", param="name")
    credential = None
    if changed.credential is not UNSET:
        region = str(values.get("region", before.region))
        credential = _stored(before.platform, changed.credential, region)
        values["credential"] = _seal_credential(write, channel_id, credential)
    if changed.proxy is not UNSET:
        values["proxy"] = _seal_proxy(write, channel_id, changed.proxy)
    if changed.enabled is True:
        values["disabled_reason"] = None
    if values:
        await channels.change(write.connection, channel_id, values)
    if changed.models is not UNSET:
        await channels.put_models(write.connection, channel_id, _models(changed.models))
    if changed.group_ids is not UNSET:
        await _check_groups(write.connection, changed.group_ids)
        await channels.put_groups(write.connection, channel_id, changed.group_ids)
    view = await get(write.connection, channel_id)
    check_usable(view.channel, credential)
    fields = ", ".join(sorted(given(changed)))
    if fields:
        await write.note("channels.update", channel_id, "channel", fields=fields)
    return view


async def disable(write: Write, channel_id: str, reason: str) -> None:
    """Take a channel out of routing, with a reason for the operator. Raises `NotFound`."""
    await get(write.connection, channel_id)
    await channels.change(write.connection, channel_id, {"enabled": False, "disabled_reason": reason[:500]})
    await write.note("channels.disable", channel_id, "channel", reason=reason[:500])


async def refused(write: Write, channel: Channel, status: int) -> bool:
    """The upstream refuses the channel's credential: take it out of routing until an operator has looked, and leave an
    event, once. `channel` as it was asked. False: it has got another credential since, and so may be asked again."""
    row = await channels.get(write.connection, channel.id)
    sealed = await channels.sealed(write.connection, channel.id)
    if row is None or sealed is None or not row.enabled:
        return True
    if open_channel(write.box, sealed)[0] != channel.credential:
        return False
    reason = f"the upstream refused its credential ({status})"
    await disable(write, channel.id, reason)
    told = {"name": row.name, "platform": row.platform, "status": str(status), "reason": reason}
    await events.add(write.connection, [NewEvent(REFUSED_EVENT, channel.id, write.now_us, told)])
    return True


async def remove(write: Write, channel_id: str) -> None:
    """Its own prices go with it; usage stays. Raises `NotFound`."""
    view = await get(write.connection, channel_id)
    await channels.remove(write.connection, channel_id)
    await write.note("channels.remove", channel_id, "channel", name=view.channel.name)


async def get(connection: AsyncConnection, channel_id: str) -> ChannelView:
    """Raises `NotFound`."""
    for view in await listing(connection):
        if view.channel.id == channel_id:
            return view
    raise NotFound(f"there is no channel {channel_id!r}")


async def find(connection: AsyncConnection, id_or_name: str) -> ChannelView:
    """Raises `NotFound`."""
    named = await channels.by_name(connection, id_or_name)
    if named is None and await channels.get(connection, id_or_name) is None:
        raise NotFound(f"there is no channel {id_or_name!r}")
    return await get(connection, id_or_name if named is None else named.id)


async def listing(connection: AsyncConnection) -> list[ChannelView]:
    """All channels, in the order in which routing tries them."""
    served = await channels.served(connection)
    memberships = await channels.memberships(connection)
    return [
        ChannelView(
            row,
            {each.model: each.upstream_model for each in served if each.channel_id == row.id},
            tuple(each.group_id for each in memberships if each.channel_id == row.id),
        )
        for row in await channels.listing(connection)
    ]


def _plain_values(changed: ChannelChanges) -> dict[str, object]:
    """The columns that need no sealing, checked."""
    values: dict[str, object] = {}
    if changed.base_urls is not UNSET:
        values["base_urls"] = _base_urls(changed.base_urls)
    if changed.priority is not UNSET:
        values["priority"] = _between(changed.priority, -PRIORITY_MAX, PRIORITY_MAX, "priority")
    if changed.weight is not UNSET:
        values["weight"] = _between(changed.weight, 0, WEIGHT_MAX, "weight")
    if changed.region is not UNSET:
        values["region"] = changed.region.strip()
    if changed.rpm is not UNSET:
        values["rpm"] = _ceiling(changed.rpm, "rpm")
    if changed.tpm is not UNSET:
        values["tpm"] = _ceiling(changed.tpm, "tpm")
    if changed.enabled is not UNSET:
        values["enabled"] = changed.enabled
    if changed.headers is not UNSET:
        values["headers"] = _headers(changed.headers)
    if changed.timeouts is not UNSET:
        values["timeouts"] = _timeouts(changed.timeouts)
    return values


async def _check_groups(connection: AsyncConnection, group_ids: tuple[int, ...]) -> None:
    for group_id in group_ids:
        await groups.get(connection, group_id)


def _stored(platform: str, credential: str, region: str) -> str:
    """The credential in the form in which its platform's channels keep it."""
    if platform not in PLATFORMS or len(credential) > CREDENTIAL_CHARS_MAX:
        return credential
    try:
        return stored_credential(PLATFORMS[platform], credential.strip(), region.strip())
    except ValueError as error:
        raise InvalidRequest(str(error), param="credential") from None


def _seal_credential(write: Write, channel_id: str, credential: str) -> bytes:
    credential = credential.strip()
    if not 1 <= len(credential) <= CREDENTIAL_CHARS_MAX:
        raise InvalidRequest(f"a credential has 1 to {CREDENTIAL_CHARS_MAX} characters", param="credential")
    if not credential.isascii() or not credential.isprintable():
        raise InvalidRequest("a credential is one line of printable ASCII", param="credential")
    return write.box.seal(credential, channel_place(channel_id, "credential"))


def _seal_proxy(write: Write, channel_id: str, proxy: str | None) -> bytes | None:
    if proxy is None:
        return None
    try:
        parse_proxy(proxy)
    except ValueError as error:
        raise InvalidRequest(f"the proxy cannot be used: {error}", param="proxy") from None
    return write.box.seal(proxy, channel_place(channel_id, "proxy"))


class _Account(Struct, frozen=True):
    """What `providers.endpoint` looks at."""

    platform: str
    base_urls: Mapping[str, str]
    region: str
    headers: Mapping[str, str]
    credential: str
    proxy: str | None = None


def check_usable(row: ChannelRow, credential: str | None = None) -> None:
    """Raises `InvalidRequest`: no request could be made with these settings. `credential`: None where it is not at hand, and
    was checked before."""
    for dialect in row.base_urls:
        if dialect not in SURFACES:
            raise InvalidRequest(
                f"{dialect[:60]!r} is not a dialect; there are {', '.join(SURFACES)}", param="base_urls"
            )
    platform = PLATFORMS.get(row.platform)
    if credential is None:
        credential = "" if platform is None else sample_credential(platform)
    account = _Account(row.platform, row.base_urls, row.region, row.headers, credential)
    try:
        spoken = endpoints(account)
    except ChannelUnusable as error:
        wrong_platform = row.platform not in PLATFORMS
        raise InvalidRequest(str(error), param="platform" if wrong_platform else "base_urls") from None
    if not spoken:
        raise InvalidRequest(
            f"a channel on {row.platform} needs a base URL for one of its dialects: "
            f"{', '.join(PLATFORMS[row.platform].surfaces)}",
            param="base_urls",
        )


def _base_urls(base_urls: Mapping[str, str]) -> dict[str, str]:
    return {dialect: _base_url(url) for dialect, url in base_urls.items()}


def _base_url(url: str) -> str:
    url = url.strip().rstrip("/")
    # Empty means that the channel does not speak the dialect, although its platform does.
    if url:
        try:
            parse_url(url)
        except ValueError as error:
            raise InvalidRequest(f"a base URL cannot be used: {error}", param="base_urls") from None
    if len(url) > URL_CHARS_MAX:
        raise InvalidRequest(f"a base URL has at most {URL_CHARS_MAX} characters", param="base_urls")
    return url


def _models(models: Mapping[str, str]) -> dict[str, str]:
    if len(models) > MODELS_MAX:
        raise InvalidRequest(f"a channel serves at most {MODELS_MAX} models", param="models")
    return {
        check_name(slug, param="models"): check_name(upstream, param="models")
        for slug, upstream in models.items()
    }


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    if len(headers) > HEADERS_MAX:
        raise InvalidRequest(f"a channel sets at most {HEADERS_MAX} headers", param="headers")
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
            raise InvalidRequest(f"the header {name[:60]!r} cannot be set", param="headers")
        if len(value) > HEADER_CHARS_MAX or not value.isascii() or not value.isprintable():
            raise InvalidRequest(f"the value of the header {name} is not printable ASCII", param="headers")
    return {name.lower(): value for name, value in headers.items()}


def _timeouts(timeouts: Mapping[str, float]) -> dict[str, float]:
    for name, seconds in timeouts.items():
        if name not in TIMEOUTS:
            raise InvalidRequest(f"timeouts are {', '.join(TIMEOUTS)}", param="timeouts")
        if not math.isfinite(seconds) or not 0 < seconds <= TIMEOUT_S_MAX:
            raise InvalidRequest(
                f"a timeout is more than 0 and at most {TIMEOUT_S_MAX:g} seconds", param="timeouts"
            )
    return {name: float(seconds) for name, seconds in timeouts.items()}


def _between(value: int, least: int, most: int, param: str) -> int:
    if not least <= value <= most:
        raise InvalidRequest(f"{param} is {least} to {most}", param=param)
    return value


def _ceiling(value: int | None, param: str) -> int | None:
    return None if value is None else _between(value, 1, 1_000_000_000, param)
