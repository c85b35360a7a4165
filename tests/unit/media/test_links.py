"""A signed URL leads to one object until its time is over, and no other URL does."""

from __future__ import annotations

import string
from urllib.parse import urlsplit

import pytest

from bytespike.accounts.secrets import SecretBox
from bytespike.media.objects.urls import PREFIX, PURPOSE, BadLink, ExpiredLink, Links

NOW = 1_800_000_000
ID = "obj_abcdefghijklmnopqrstuvwxyz234567"
OTHER = "obj_abcdefghijklmnopqrstuvwxyz234566"
BOX = SecretBox(bytes(range(32)))
LINKS = Links(BOX.derived(PURPOSE), "https://llm.example.com", "http://127.0.0.1:8080")
LINK = LINKS.sign(ID, "video/mp4", (NOW + 60) * 1_000_000)
TARGET = LINK.url.removeprefix("https://llm.example.com")


def checked(target: str, now: int = NOW, links: Links = LINKS) -> str:
    parts = target.partition("?")
    return links.check(parts[0], parts[2].encode(), now * 1_000_000)


def test_a_url_leads_to_its_object_until_its_time_is_over() -> None:
    assert LINK.expires_at == NOW + 60
    assert checked(TARGET) == ID
    assert checked(TARGET, NOW + 59) == ID
    for late in (60, 61, 10**9):
        with pytest.raises(ExpiredLink):
            checked(TARGET, NOW + late)


@pytest.mark.parametrize("position", range(len(PREFIX), len(TARGET)))
def test_a_url_that_is_altered_in_any_byte_leads_nowhere(position: int) -> None:
    for character in set(string.printable) - {TARGET[position]}:
        with pytest.raises(BadLink):
            checked(TARGET[:position] + character + TARGET[position + 1 :])


@pytest.mark.parametrize("position", range(len(TARGET) + 1))
def test_a_url_with_a_byte_more_or_less_leads_nowhere(position: int) -> None:
    with pytest.raises(BadLink):
        checked(TARGET[:position] + "a" + TARGET[position:])
    with pytest.raises(BadLink):
        checked(TARGET[:position] + TARGET[position + 1 :] if position < len(TARGET) else TARGET + "=")


def test_its_time_cannot_be_put_off_nor_its_object_exchanged() -> None:
    signature = TARGET.partition("&signature=")[2]
    later = f"{PREFIX}{ID}.mp4?expires={NOW + 10**6}&signature={signature}"
    other = TARGET.replace(ID, OTHER)
    named_otherwise = TARGET.replace(".mp4", ".html")
    for target in (later, other, named_otherwise):
        with pytest.raises(BadLink):
            checked(target)


@pytest.mark.parametrize(
    "extra",
    [
        "&expires=1900000000",
        "&x=1",
        "&",
        "&signature=" + "A" * 43,
        "#fragment",
    ],
)
def test_nothing_may_be_added_to_the_query(extra: str) -> None:
    with pytest.raises(BadLink):
        checked(TARGET + extra)


@pytest.mark.parametrize(
    "path",
    [PREFIX, PREFIX + "../objects.db", PREFIX + "ab/" + ID, PREFIX + ID + ".mp4/..", "/", "", "/files"],
)
def test_no_other_path_has_a_meaning(path: str) -> None:
    query = TARGET.partition("?")[2]
    with pytest.raises(BadLink):
        LINKS.check(path, query.encode(), NOW * 1_000_000)


def test_the_same_object_has_the_same_url_everywhere_and_each_time() -> None:
    again = Links(SecretBox(bytes(range(32))).derived(PURPOSE), "https://llm.example.com", "")
    assert again.sign(ID, "video/mp4", (NOW + 60) * 1_000_000 + 999_999) == LINK


def test_another_master_key_makes_old_urls_worthless() -> None:
    others = Links(SecretBox(bytes(32)).derived(PURPOSE), "", "")
    with pytest.raises(BadLink):
        checked(TARGET, links=others)


def test_a_purpose_has_a_secret_of_its_own() -> None:
    assert BOX.derived(PURPOSE) != BOX.derived("callbacks")
    assert BOX.derived(PURPOSE) == SecretBox(bytes(range(32))).derived(PURPOSE)
    assert bytes(range(32)) not in BOX.derived(PURPOSE)
    assert len(BOX.derived(PURPOSE)) == 32


def test_a_url_begins_where_its_caller_reaches_the_gateway() -> None:
    expires = (NOW + 60) * 1_000_000
    assert LINKS.sign(ID, "video/mp4", expires, "http://10.0.0.7:80").url.startswith(
        "http://10.0.0.7:80/files/"
    )
    nowhere = Links(b"secret", "", "http://127.0.0.1:8080")
    assert nowhere.sign(ID, "image/png", expires).url.startswith(f"http://127.0.0.1:8080/files/{ID}.png?")


def test_neither_repr_nor_url_shows_the_secret() -> None:
    assert "secret" not in repr(Links(b"secret", "", ""))
    assert urlsplit(LINK.url).scheme == "https"
