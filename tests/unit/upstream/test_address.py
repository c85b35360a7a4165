"""URLs to origins and proxies."""

from __future__ import annotations

import pytest

from bytespike.wire.address import Origin, Proxy, parse_proxy, parse_url, split_url


@pytest.mark.parametrize(
    ("url", "origin", "prefix", "authority"),
    [
        ("https://api.openai.com/v1", Origin("https", "api.openai.com", 443), "/v1", "api.openai.com"),
        ("https://API.OpenAI.com/v1/", Origin("https", "api.openai.com", 443), "/v1", "api.openai.com"),
        ("http://localhost:8080", Origin("http", "localhost", 8080), "", "localhost:8080"),
        ("http://localhost:80/", Origin("http", "localhost", 80), "", "localhost"),
        ("https://h:80/a/b//", Origin("https", "h", 80), "/a/b", "h:80"),
        ("http://[::1]:99/x", Origin("http", "::1", 99), "/x", "[::1]:99"),
        ("http://[2001:DB8:0::1]/", Origin("http", "2001:db8::1", 80), "", "[2001:db8::1]"),
        (
            "http://bücher.example/ü",
            Origin("http", "xn--bcher-kva.example", 80),
            "/%C3%BC",
            "xn--bcher-kva.example",
        ),
        ("http://my_service:1/a%20b", Origin("http", "my_service", 1), "/a%20b", "my_service:1"),
    ],
)
def test_a_base_url_is_an_origin_and_a_path(url, origin, prefix, authority):
    assert parse_url(url) == (origin, prefix)
    assert origin.authority == authority


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.openai.com/v1",
        "ftp://host/",
        "file:///etc/passwd",
        "https://",
        "https:///v1",
        "https://user:sesame@host/",
        "https://sesame@host/",
        "https://host:99999/",
        "https://host:0/",
        "https://host:x/",
        "https://host/?key=sesame",
        "https://host/?",
        "https://host/#sesame",
        "https://ho st/",
        "https://host/a b",
        "https://host/\r\nx: y",
        "https://host\\@other/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[not:an:address]/",
        "https://[v1.future]/",
        "https://" + "ü" * 100 + "/",
        "https://ho!st/",
        "https://.host/",
        "https://-host/",
        "http://" + "a" * 300 + "/",
    ],
)
def test_what_is_no_base_url_is_refused_without_being_quoted(url):
    with pytest.raises(ValueError) as caught:
        parse_url(url)
    assert "sesame" not in str(caught.value)


def test_a_whole_url_keeps_its_query_and_leaves_its_fragment():
    origin = Origin("https", "cdn.example", 443)
    assert split_url("https://cdn.example/a/b.png?sig=a%2Bb&x=ü#top") == (
        origin,
        b"/a/b.png?sig=a%2Bb&x=%C3%BC",
    )
    assert split_url("https://cdn.example") == (origin, b"/")
    assert split_url("https://cdn.example?x=1") == (origin, b"/?x=1")
    for url in ("https://u:p@cdn.example/", "javascript:alert(1)", "https://cdn.example/ x"):
        with pytest.raises(ValueError):
            split_url(url)


def test_a_proxy_url_may_have_credentials_and_never_shows_them():
    assert parse_proxy("http://proxy:3128") == Proxy("proxy", 3128)
    assert parse_proxy("http://proxy/") == Proxy("proxy", 80)
    proxy = parse_proxy("http://user:s%C3%A9same%40@proxy:3128")
    assert proxy.authorization == b"Basic dXNlcjpzw6lzYW1lQA=="
    for shown in (repr(proxy), str(proxy), str(proxy.__rich_repr__())):
        assert "dXNlcj" not in shown
        assert "proxy" in shown


@pytest.mark.parametrize(
    "url",
    [
        "https://proxy:1",
        "socks5://proxy:1",
        "proxy:1",
        "http://proxy:1/path",
        "http://proxy:1?q",
        "http://a%3Ab:c@proxy:1",
    ],
)
def test_what_is_no_http_proxy_is_refused(url):
    with pytest.raises(ValueError):
        parse_proxy(url)
