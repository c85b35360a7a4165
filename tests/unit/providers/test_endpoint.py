"""From a channel's settings to bytes: the right place, the right credential, and nothing smuggled in."""

from __future__ import annotations

import pytest
from msgspec import Struct, structs

from bytespike.providers.choice import TRANSLATIONS, choose_dialect
from bytespike.providers.endpoint import ChannelUnusable, endpoint, endpoints
from bytespike.providers.platforms import DIALECTS
from bytespike.wire.address import Origin, Proxy

KEY = "sk-secret-123"


class Channel(Struct, frozen=True):
    platform: str
    base_urls: dict[str, str] = {}
    credential: str = KEY
    region: str = ""
    proxy: str | None = None
    headers: dict[str, str] = {}


def of(platform: str, dialect: str, **more: object):
    found = endpoint(Channel(platform, **more), dialect)
    assert found is not None
    return found


def test_an_anthropic_channel() -> None:
    found = of("anthropic", "anthropic_messages")
    assert found.origin == Origin("https", "api.anthropic.com", 443)
    assert found.target == b"/v1/messages"
    assert found.count_tokens_target == b"/v1/messages/count_tokens"
    assert found.head == b"content-type: application/json\r\nx-api-key: sk-secret-123\r\n"
    assert found.default_headers == ((b"anthropic-version", b"anthropic-version: 2023-06-01\r\n"),)
    assert found.dialect == "anthropic_messages"
    assert found.proxy is None


def test_an_openai_channel() -> None:
    found = of("openai", "openai_chat")
    assert found.target == b"/v1/chat/completions"
    assert found.count_tokens_target is None
    assert found.head == b"content-type: application/json\r\nauthorization: Bearer sk-secret-123\r\n"
    assert found.default_headers == ()


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        (
            "http://127.0.0.1:9000/openai/v1",
            Origin("http", "127.0.0.1", 9000),
            b"/openai/v1/chat/completions",
        ),
        ("http://[::1]:9000", Origin("http", "::1", 9000), b"/chat/completions"),
        ("https://EXAMPLE.com/v1/", Origin("https", "example.com", 443), b"/v1/chat/completions"),
    ],
)
def test_a_channels_own_base_url_comes_before_the_platforms(url: str, origin: Origin, target: bytes) -> None:
    for platform in ("openai", "openai_compatible", "simulator"):
        found = of(platform, "openai_chat", base_urls={"openai_chat": url})
        assert (found.origin, found.target) == (origin, target)


def test_one_credential_with_several_base_urls_speaks_several_dialects() -> None:
    found = endpoints(Channel("deepseek"))
    assert list(found) == ["anthropic_messages", "openai_responses", "openai_chat"]
    assert found["anthropic_messages"].target == b"/anthropic/v1/messages"
    assert found["openai_chat"].target == b"/chat/completions"
    assert b"x-api-key: sk-secret-123\r\n" in found["anthropic_messages"].head
    assert b"authorization: Bearer sk-secret-123\r\n" in found["openai_chat"].head


def test_an_empty_base_url_takes_a_dialect_away() -> None:
    assert list(endpoints(Channel("deepseek", base_urls={"anthropic_messages": ""}))) == [
        "openai_responses",
        "openai_chat",
    ]


def test_a_dialect_without_any_base_url_is_not_spoken() -> None:
    assert endpoints(Channel("openai_compatible")) == {}
    found = endpoints(Channel("anthropic_compatible", base_urls={"anthropic_messages": "http://localhost:1"}))
    assert list(found) == ["anthropic_messages"]


def test_a_dialect_that_the_platform_lacks_is_not_spoken_whatever_the_channel_says() -> None:
    urls = {"openai_chat": "https://x.example", "anthropic_messages": "https://x.example"}
    assert list(endpoints(Channel("anthropic", base_urls=urls))) == ["anthropic_messages"]


def test_a_channel_with_an_address_of_its_own_takes_none_of_the_vendors() -> None:
    own = endpoints(Channel("openai", base_urls={"openai_chat": "https://x.example/v1"}))
    assert [dialect for dialect in own if dialect in DIALECTS] == ["openai_chat"]
    assert {each.origin.host for each in own.values()} == {"x.example"}
    less = endpoints(Channel("openai", base_urls={"openai_responses": ""}))
    assert [dialect for dialect in less if dialect in DIALECTS] == ["openai_chat"]


@pytest.mark.parametrize(
    ("platform", "region", "hosts"),
    [
        ("zhipu", "", {"open.bigmodel.cn"}),
        ("zhipu", "intl", {"api.z.ai"}),
        ("moonshot", "cn", {"api.moonshot.cn"}),
        ("minimax", "cn", {"api.minimaxi.com"}),
        ("minimax", "eu-west-1", {"api.minimax.io"}),
        ("openai", "cn", {"api.openai.com"}),
    ],
)
def test_a_channels_region_chooses_the_host_for_all_its_dialects(
    platform: str, region: str, hosts: set[str]
) -> None:
    found = endpoints(Channel(platform, region=region))
    assert {each.origin.host for each in found.values()} == hosts


def test_extra_headers_are_sent_and_take_the_place_of_defaults() -> None:
    found = of("anthropic", "anthropic_messages", headers={"X-Team": "a", "Anthropic-Version": "2026-10-21"})
    assert found.head.endswith(b"x-team: a\r\nanthropic-version: 2026-10-21\r\n")
    assert found.default_headers == ()


def test_a_proxy_is_read_with_its_password() -> None:
    found = of("openai", "openai_chat", proxy="http://user:secret@10.0.0.1:3128")
    assert found.proxy == Proxy("10.0.0.1", 3128, b"Basic dXNlcjpzZWNyZXQ=")


SECRET = "s3cr3t-value"


@pytest.mark.parametrize(
    "bad",
    [
        {"credential": f"{SECRET}\r\nx-evil: 1"},
        {"credential": f"{SECRET}\n"},
        {"credential": f"{SECRET}\x00"},
        {"credential": f"{SECRET}é"},
        {"headers": {"x-a": f"{SECRET}\r\nx-evil: 1"}},
        {"headers": {"x-a\r\nx-evil": SECRET}},
        {"headers": {"": SECRET}},
        {"headers": {"x a": SECRET}},
        {"headers": {"Host": SECRET}},
        {"headers": {"Content-Length": "0"}},
        {"headers": {"Transfer-Encoding": "chunked"}},
        {"headers": {"x-a": f"{SECRET}ü"}},
        {"base_urls": {"openai_chat": f"https://user:{SECRET}@example.com"}},
        {"base_urls": {"openai_chat": f"https://example.com/{SECRET}\r\nx-evil: 1"}},
        {"base_urls": {"openai_chat": f"https://example.com/?key={SECRET}"}},
        {"base_urls": {"openai_chat": f"ftp://{SECRET}.example"}},
        {"base_urls": {"openai_chat": "https://example.com:99999"}},
        {"proxy": f"socks5://user:{SECRET}@localhost"},
        {"platform": "nobody"},
    ],
)
def test_settings_that_cannot_be_sent_are_refused_without_quoting_them(bad: dict[str, object]) -> None:
    with pytest.raises(ChannelUnusable) as caught:
        endpoints(structs.replace(Channel("openai"), **bad))
    assert SECRET not in str(caught.value)
    assert "evil" not in str(caught.value)


def test_no_repr_shows_the_credential() -> None:
    assert KEY not in repr(endpoints(Channel("deepseek")))


def test_rendering_the_same_channel_twice_gives_the_same_bytes() -> None:
    assert endpoints(Channel("deepseek")) == endpoints(Channel("deepseek"))


# --- which dialect --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "client", "chosen"),
    [
        ("deepseek", "anthropic_messages", "anthropic_messages"),
        ("deepseek", "openai_chat", "openai_chat"),
        ("anthropic", "openai_chat", "anthropic_messages"),
        ("openai", "anthropic_messages", "openai_responses"),
        ("moonshot", "openai_responses", "openai_chat"),
        ("deepseek", "gemini", "anthropic_messages"),
        ("deepseek", "openai_responses", "openai_responses"),
        ("gemini", "gemini", "gemini"),
        ("openai_compatible", "openai_chat", None),
        ("openai", "smtp", None),
    ],
)
def test_the_clients_own_dialect_is_taken_first(platform: str, client: str, chosen: str | None) -> None:
    assert choose_dialect(endpoints(Channel(platform)), client) == chosen


def test_without_translation_only_the_clients_own_dialect_will_do() -> None:
    spoken = endpoints(Channel("anthropic"))
    assert choose_dialect(spoken, "anthropic_messages", translate=False) == "anthropic_messages"
    assert choose_dialect(spoken, "openai_chat", translate=False) is None


def test_every_dialect_can_be_translated_to_every_other() -> None:
    assert set(TRANSLATIONS) == set(DIALECTS)
    for client, others in TRANSLATIONS.items():
        assert sorted(others) == sorted(set(DIALECTS) - {client})
