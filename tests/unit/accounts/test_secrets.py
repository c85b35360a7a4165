import asyncio
import hashlib

import pytest
from argon2 import PasswordHasher

from bytespike.accounts.key_hash import hash_key
from bytespike.accounts.passwords import (
    NOBODY,
    PASSWORD_CHARS_MAX,
    check_password_rules,
    generate_password,
    hash_password,
    verify_password,
)
from bytespike.accounts.secrets import Place, SecretBox, SecretUnreadable
from bytespike.errors import InvalidRequest

BOX = SecretBox(bytes(32))
PLACE = Place("keys", "secret", "key_1")


def test_a_sealed_secret_opens_where_it_was_sealed_and_differs_each_time() -> None:
    first, second = BOX.seal("s3cret ü", PLACE), BOX.seal("s3cret ü", PLACE)
    assert first != second
    assert BOX.open(first, PLACE) == BOX.open(second, PLACE) == "s3cret ü"
    assert b"s3cret" not in first


@pytest.mark.parametrize(
    "place",
    [Place("channels", "secret", "key_1"), Place("keys", "proxy", "key_1"), Place("keys", "secret", "key_2")],
)
def test_a_sealed_secret_does_not_open_elsewhere(place: Place) -> None:
    with pytest.raises(SecretUnreadable, match=str(place)):
        BOX.open(BOX.seal("s3cret", PLACE), place)


def test_a_sealed_secret_does_not_open_with_another_key_or_when_any_byte_changed() -> None:
    sealed = BOX.seal("s3cret", PLACE)
    with pytest.raises(SecretUnreadable):
        SecretBox(bytes([1]) * 32).open(sealed, PLACE)
    for position in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[position] ^= 1
        with pytest.raises(SecretUnreadable):
            BOX.open(bytes(damaged), PLACE)
    for length in range(len(sealed)):
        with pytest.raises(SecretUnreadable):
            BOX.open(sealed[:length], PLACE)


def test_a_box_does_not_show_its_key() -> None:
    assert repr(SecretBox(b"k" * 32)) == "SecretBox()"
    with pytest.raises(ValueError) as caught:
        SecretBox(b"short-key")
    assert "short" not in str(caught.value)


def test_keys_are_found_by_their_sha256() -> None:
    assert hash_key("sk-byts-x") == hashlib.sha256(b"sk-byts-x").hexdigest()
    assert len(hash_key("\ud800")) == 64


def test_a_password_is_verified_and_nobody_has_none() -> None:
    async def run() -> None:
        stored = await hash_password("correct horse")
        assert stored.startswith("$argon2id$")
        assert await verify_password(stored, "correct horse")
        assert not await verify_password(stored, "correct hors")
        assert not await verify_password(None, "correct horse")
        assert not await verify_password("not a hash", "x")
        assert not await verify_password(stored, "x" * (PASSWORD_CHARS_MAX + 1))

    asyncio.run(run())


def test_an_unknown_user_costs_as_much_as_a_known_one() -> None:
    """The stand-in hash has the parameters of new hashes: otherwise the time would tell who exists."""
    assert not PasswordHasher().check_needs_rehash(NOBODY)


def test_generated_passwords_are_long_and_differ() -> None:
    first, second = generate_password(), generate_password()
    assert first != second
    assert len(first) == 20
    check_password_rules(first)
    with pytest.raises(InvalidRequest):
        check_password_rules("too short")
