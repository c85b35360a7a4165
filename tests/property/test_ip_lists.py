"""IP lists, against a model that knows addresses as plain integers."""

from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from bytespike.accounts.records import KeyRecord
from bytespike.accounts.rules import check_key, parse_networks
from bytespike.errors import PermissionDenied

_MAPPED = 0xFFFF << 32


@st.composite
def addresses(draw: st.DrawFn) -> tuple[int, int]:
    """(version, value). Few high bits vary, so that networks are hit often."""
    version = draw(st.sampled_from([4, 6]))
    if version == 4:
        return 4, 10 << 24 | draw(st.integers(0, 0x3FF))
    return 6, 0x2001_0DB8 << 96 | draw(st.integers(0, 0x3FF))


@st.composite
def networks(draw: st.DrawFn) -> tuple[int, int, int]:
    """(version, value, prefix length)."""
    version, value = draw(addresses())
    return version, value, draw(st.integers(20, 32) if version == 4 else st.integers(116, 128))


def text(version: int, value: int, mapped: bool) -> str:
    if version == 4:
        return str(IPv6Address(_MAPPED | value)) if mapped else str(IPv4Address(value))
    return str(IPv6Address(value))


def holds(network: tuple[int, int, int], address: tuple[int, int]) -> bool:
    version, value, length = network
    shift = (32 if version == 4 else 128) - length
    return version == address[0] and value >> shift == address[1] >> shift


@given(
    white=st.lists(networks(), max_size=4),
    black=st.lists(networks(), max_size=4),
    client=addresses(),
    mapped=st.booleans(),
    mapped_lists=st.booleans(),
)
def test_blacklist_wins_then_a_whitelist_must_match(
    white: list[tuple[int, int, int]],
    black: list[tuple[int, int, int]],
    client: tuple[int, int],
    mapped: bool,
    mapped_lists: bool,
) -> None:
    def cidr(network: tuple[int, int, int]) -> str:
        version, value, length = network
        longer = 96 if version == 4 and mapped_lists else 0
        return f"{text(version, value, mapped_lists)}/{length + longer}"

    key = KeyRecord(
        id="k",
        name="n",
        user_id="u",
        org_id=None,
        account_id="w",
        group_id=1,
        ip_whitelist=parse_networks(map(cidr, white), param="ip_whitelist"),
        ip_blacklist=parse_networks(map(cidr, black), param="ip_blacklist"),
    )
    allowed = not any(holds(each, client) for each in black)
    if white:
        allowed = allowed and any(holds(each, client) for each in white)
    try:
        check_key(key, 0, text(*client, mapped))
    except PermissionDenied:
        assert not allowed
    else:
        assert allowed
