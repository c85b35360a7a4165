"""The rules of keys. Pure: given a record, the time and an address, they say yes or raise.

A refusal names its reason: only someone who holds the key's plaintext gets this far, so nothing is told to strangers.
The IP lists themselves are not shown: they are the owner's, and a leaked key must not tell from where to use it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from bytespike.accounts.records import KeyRecord, Network
from bytespike.errors import InvalidKey, InvalidRequest, PermissionDenied
from bytespike.ids import KEY_PREFIX

#: Characters of a key's, user's, group's or channel's name.
NAME_CHARS_MAX = 100
#: Entries in one IP list.
NETWORKS_MAX = 200
#: Characters of a key that its owner chose; the minimum counts what follows the prefix.
CUSTOM_KEY_CHARS_MIN = 32
CUSTOM_KEY_CHARS_MAX = 200
#: Models that one key may be limited to.
ALLOWED_MODELS_MAX = 200
#: No rule of money or count goes beyond: $1,000,000,000 in micro-dollars.
CREDITS_MAX = 10**15
#: Ten years.
EXPIRES_IN_DAYS_MAX = 3650

DAY_US = 86_400 * 1_000_000
_MASK = "…****"
_SHOWN_CHARS = 4

Address: TypeAlias = IPv4Address | IPv6Address

_CUSTOM_KEY = re.compile(re.escape(KEY_PREFIX) + r"[0-9A-Za-z_-]+")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")


def check_key(key: KeyRecord, now_us: int, client_ip: str) -> None:
    """Whether a key may be used now, from this address. `client_ip` is only read when the key has IP lists.

    Raises: InvalidKey (revoked, disabled, expired, its owner disabled), PermissionDenied (its org paused, the address
    not allowed).
    """
    if key.status != "active":
        raise InvalidKey(f"this API key has been {'revoked' if key.status == 'revoked' else 'disabled'}")
    if key.expires_at is not None and key.expires_at <= now_us:
        raise InvalidKey("this API key has expired")
    if key.owner_status != "active":
        raise InvalidKey("the account that this API key belongs to is disabled")
    if key.org_status != "active":
        raise PermissionDenied("the organisation that this API key belongs to is paused")
    if key.ip_blacklist or key.ip_whitelist:
        _check_address(key, client_ip)


def _check_address(key: KeyRecord, client_ip: str) -> None:
    address = parse_address(client_ip)
    # An address that cannot be read is on no whitelist, and cannot be shown to be off the blacklist.
    allowed = address is not None and not _contains(key.ip_blacklist, address)
    if allowed and address is not None and key.ip_whitelist:
        allowed = _contains(key.ip_whitelist, address)
    if not allowed:
        raise PermissionDenied("this API key may not be used from your IP address")


def _contains(networks: Iterable[Network], address: Address) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def parse_address(text: str) -> Address | None:
    """An address in its plain form: IPv4 where it came as IPv6-mapped IPv4, without a zone. None if it is none."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def parse_network(text: str, *, param: str) -> Network:
    """A CIDR or a single address; host bits are cleared, IPv6-mapped IPv4 becomes IPv4. Raises `InvalidRequest`."""
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError:
        raise InvalidRequest(
            f"{text[:60]!r} is not an IP address or CIDR, such as 203.0.113.0/24 or 2001:db8::/32",
            param=param,
        ) from None
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ip_network(f"{mapped}/{network.prefixlen - 96}")
    return network


def parse_networks(texts: Iterable[str], *, param: str) -> tuple[Network, ...]:
    """A list of CIDRs, each once. Raises `InvalidRequest`: one of them is wrong, or there are over `NETWORKS_MAX`."""
    networks = tuple(dict.fromkeys(parse_network(text, param=param) for text in texts))
    if len(networks) > NETWORKS_MAX:
        raise InvalidRequest(f"an IP list has at most {NETWORKS_MAX} entries", param=param)
    return networks


def mask(plaintext: str) -> str:
    """What lists show of a key: the prefix and the last four characters."""
    return KEY_PREFIX + _MASK + plaintext[-_SHOWN_CHARS:]


def check_custom_key(plaintext: str) -> str:
    """A key that its owner chose. Raises `InvalidRequest`, without repeating it."""
    length = len(plaintext) - len(KEY_PREFIX)
    if not _CUSTOM_KEY.fullmatch(plaintext) or not CUSTOM_KEY_CHARS_MIN <= length <= CUSTOM_KEY_CHARS_MAX:
        raise InvalidRequest(
            f"a custom key is {KEY_PREFIX!r} and {CUSTOM_KEY_CHARS_MIN} to {CUSTOM_KEY_CHARS_MAX} letters, digits, "
            "dashes or underscores",
            param="custom_key",
        )
    if len(set(plaintext[len(KEY_PREFIX) :])) < _SHOWN_CHARS * 2:
        raise InvalidRequest(
            "this custom key is too easy to guess: use more different characters", param="custom_key"
        )
    return plaintext


def check_name(name: str, *, param: str = "name") -> str:
    """A name without surrounding space. Raises `InvalidRequest`: empty, too long, or with control characters."""
    name = name.strip()
    if not name or len(name) > NAME_CHARS_MAX or not name.isprintable():
        raise InvalidRequest(f"a name has 1 to {NAME_CHARS_MAX} printable characters", param=param)
    return name


def check_email(email: str) -> str:
    """An address in lower case. Raises `InvalidRequest`."""
    email = email.strip().lower()
    if not _EMAIL.fullmatch(email) or not email.isprintable():
        raise InvalidRequest("not an email address", param="email")
    return email


def check_credits(amount: int, *, param: str) -> int:
    """A limit in micro-dollars, 0 for unlimited. Raises `InvalidRequest`."""
    if not 0 <= amount <= CREDITS_MAX:
        raise InvalidRequest("a limit is 0 (unlimited) to 1000000000 USD", param=param)
    return amount


def expiry(expires_in_days: int | None, now_us: int) -> int | None:
    """When a key that lives this many days ends; None: never. Raises `InvalidRequest`."""
    if expires_in_days is None:
        return None
    if not 1 <= expires_in_days <= EXPIRES_IN_DAYS_MAX:
        raise InvalidRequest(f"expires_in_days is 1 to {EXPIRES_IN_DAYS_MAX}", param="expires_in_days")
    return now_us + expires_in_days * DAY_US
