import pytest

from bytespike.accounts.records import KeyRecord
from bytespike.accounts.rules import (
    NETWORKS_MAX,
    check_custom_key,
    check_email,
    check_key,
    check_name,
    expiry,
    mask,
    parse_network,
    parse_networks,
)
from bytespike.errors import GatewayError, InvalidKey, InvalidRequest, PermissionDenied

NOW = 1_800_000_000_000_000


def key(**fields: object) -> KeyRecord:
    lists = {
        name: parse_networks(fields.pop(name, ()), param=name) for name in ("ip_whitelist", "ip_blacklist")
    }
    return KeyRecord(
        **{"id": "key_1", "name": "n", "user_id": "u", "org_id": None, "account_id": "w", "group_id": 1},
        **lists,
        **fields,
    )


def test_an_active_key_passes_from_anywhere() -> None:
    check_key(key(), NOW, "not even an address")


@pytest.mark.parametrize(
    ("fields", "error", "word"),
    [
        ({"status": "revoked"}, InvalidKey, "revoked"),
        ({"status": "disabled"}, InvalidKey, "disabled"),
        ({"expires_at": NOW}, InvalidKey, "expired"),
        ({"expires_at": NOW - 1}, InvalidKey, "expired"),
        ({"owner_status": "disabled"}, InvalidKey, "account"),
        ({"org_status": "paused"}, PermissionDenied, "paused"),
        ({"ip_blacklist": ("1.2.3.0/24",)}, PermissionDenied, "IP address"),
        ({"ip_whitelist": ("10.0.0.0/8",)}, PermissionDenied, "IP address"),
        ({"ip_whitelist": ("1.2.3.4",), "ip_blacklist": ("1.2.0.0/16",)}, PermissionDenied, "IP address"),
        ({"ip_whitelist": ("2001:db8::/32",)}, PermissionDenied, "IP address"),
    ],
)
def test_a_refusal_names_its_reason(fields: dict[str, object], error: type[GatewayError], word: str) -> None:
    with pytest.raises(error, match=word):
        check_key(key(**fields), NOW, "1.2.3.4")


def test_a_key_lives_until_the_microsecond_of_its_expiry() -> None:
    check_key(key(expires_at=NOW + 1), NOW, "")


@pytest.mark.parametrize(
    ("lists", "client"),
    [
        ({"ip_whitelist": ("1.2.3.0/24",)}, "1.2.3.200"),
        ({"ip_whitelist": ("1.2.3.0/24",)}, "::ffff:1.2.3.200"),
        ({"ip_whitelist": ("::ffff:1.2.3.0/120",)}, "1.2.3.200"),
        ({"ip_whitelist": ("2001:db8::/32", "10.0.0.0/8")}, "2001:db8:1::7"),
        ({"ip_whitelist": ("fe80::/10",)}, "fe80::1%eth0"),
        ({"ip_blacklist": ("1.2.3.0/24",)}, "1.2.4.1"),
        ({"ip_blacklist": ("0.0.0.0/0",)}, "2001:db8::1"),
    ],
)
def test_an_address_that_the_lists_allow_passes(lists: dict[str, object], client: str) -> None:
    check_key(key(**lists), NOW, client)


@pytest.mark.parametrize(
    ("lists", "client"),
    [
        ({"ip_blacklist": ("1.2.3.0/24",)}, "::ffff:1.2.3.4"),
        ({"ip_blacklist": ("::ffff:1.2.3.4",)}, "1.2.3.4"),
        ({"ip_blacklist": ("1.2.3.0/24",)}, "unknown"),
        ({"ip_whitelist": ("0.0.0.0/0",)}, "2001:db8::1"),
        ({"ip_whitelist": ("0.0.0.0/0",)}, ""),
    ],
)
def test_an_address_that_the_lists_forbid_or_that_cannot_be_read_is_denied(
    lists: dict[str, object], client: str
) -> None:
    with pytest.raises(PermissionDenied) as caught:
        check_key(key(**lists), NOW, client)
    assert "1.2.3" not in caught.value.message


@pytest.mark.parametrize(
    "text", ["", "1.2.3", "1.2.3.4/33", "2001:db8::/129", "localhost", "1.2.3.4/255.0.255.0"]
)
def test_a_wrong_network_is_refused_with_the_field(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_network(text, param="ip_whitelist")
    assert caught.value.param == "ip_whitelist"


def test_networks_are_kept_once_and_bounded() -> None:
    assert [str(each) for each in parse_networks(["10.1.2.3/8", "10.0.0.0/8", " ::1 "], param="x")] == [
        "10.0.0.0/8",
        "::1/128",
    ]
    with pytest.raises(InvalidRequest):
        parse_networks([f"10.0.{n // 256}.{n % 256}" for n in range(NETWORKS_MAX + 1)], param="x")


def test_a_masked_key_shows_the_prefix_and_four_characters() -> None:
    assert mask("sk-byts-" + "a" * 36 + "1234") == "sk-byts-…****1234"


@pytest.mark.parametrize(
    "text",
    [
        "sk-byts-" + "abcdefgh" * 3,
        "sk-other-" + "abcdefgh" * 5,
        "sk-byts-" + "abcdefgh" * 4 + " x",
        "sk-byts-" + "abcdefgh" * 4 + "\n",
        "sk-byts-" + "a" * 40,
        "sk-byts-" + "abcdefgh" * 50,
        "sk-byts-" + "äbcdefgh" * 5,
    ],
)
def test_a_custom_key_that_is_short_guessable_or_unsendable_is_refused_without_repeating_it(
    text: str,
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_custom_key(text)
    assert text[8:24] not in caught.value.message


def test_a_good_custom_key_is_taken_as_it_is() -> None:
    text = "sk-byts-Abcdefgh_jklmnop-rstuvwx01234567"
    assert check_custom_key(text) == text


@pytest.mark.parametrize("name", ["", "  ", "a" * 101, "a\nb", "a\x00b", "a\u202eb"])
def test_names_are_printable_and_bounded(name: str) -> None:
    with pytest.raises(InvalidRequest):
        check_name(name)


def test_names_lose_the_space_around_them() -> None:
    assert check_name("  Ada's laptop ") == "Ada's laptop"


@pytest.mark.parametrize("email", ["", "ada", "ada@", "@x", "a b@x", "a@b@c"])
def test_an_email_has_one_at_sign_and_no_space(email: str) -> None:
    with pytest.raises(InvalidRequest):
        check_email(email)


def test_emails_are_the_same_in_any_case() -> None:
    assert check_email(" Ada@Example.COM ") == "ada@example.com"


def test_expiry_counts_whole_days_and_is_bounded() -> None:
    assert expiry(None, NOW) is None
    assert expiry(1, NOW) == NOW + 86_400_000_000
    for days in (0, -1, 3651):
        with pytest.raises(InvalidRequest):
            expiry(days, NOW)
