"""The bytes of a request's head, and what must never get into them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespike.upstream.head import line_parts, request_bytes, tunnel_request
from bytespike.wire.address import Origin, Proxy
from bytespike.wire.headers import render_headers


def test_blocks_are_lines_and_can_be_joined():
    block = render_headers([(b"X-Api-Key", b"k"), (b"empty", b"")]) + render_headers(
        [(b"a", b"\xc3\xa4 b\tc")]
    )
    assert block == b"X-Api-Key: k\r\nempty: \r\na: \xc3\xa4 b\tc\r\n"
    assert render_headers([]) == b""


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\nb", b"\xc3\xa4", b"a\x00", b"(a)"])
def test_a_name_that_is_no_token_is_refused(name):
    with pytest.raises(ValueError):
        render_headers([(name, b"v")])


@pytest.mark.parametrize(
    "name",
    [
        b"Host",
        b"content-length",
        b"Transfer-Encoding",
        b"connection",
        b"accept-encoding",
        b"upgrade",
        b"Expect",
    ],
)
def test_what_the_transport_writes_itself_is_refused(name):
    with pytest.raises(ValueError):
        render_headers([(name, b"v")])


@given(st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")), st.binary(max_size=30))
def test_no_name_and_value_can_smuggle_a_line(name, value):
    try:
        block = render_headers([(name, value)])
    except ValueError:
        return
    assert block.count(b"\r") == block.count(b"\n") == 1
    assert b"\0" not in block


def test_a_refusal_names_the_header_and_not_its_value():
    with pytest.raises(ValueError, match="x-api-key") as caught:
        render_headers([(b"x-api-key", b"sesame\n")])
    assert "sesame" not in str(caught.value)


@given(st.binary(max_size=30))
def test_no_target_can_smuggle_a_line_or_a_version(target):
    try:
        data, _ = request_bytes(b"POST", b"", target, b" HTTP/1.1\r\n", b"", b"")
    except ValueError:
        return
    assert data == b"POST " + target + b" HTTP/1.1\r\ncontent-length: 0\r\n\r\n"
    assert target.startswith(b"/")
    assert len(target.split()) == 1
    assert target.isascii()


def test_the_line_and_the_hosts_header_depend_on_the_way():
    plain = Origin("http", "h", 8080)
    secure = Origin("https", "::1", 443)
    proxy = Proxy("p", 1, b"Basic abc")
    same = b" HTTP/1.1\r\nhost: h:8080\r\naccept-encoding: identity\r\n"
    assert line_parts(plain, None) == (b"", same)
    assert line_parts(plain, proxy) == (b"http://h:8080", same + b"proxy-authorization: Basic abc\r\n")
    assert line_parts(secure, proxy) == (b"", b" HTTP/1.1\r\nhost: [::1]\r\naccept-encoding: identity\r\n")


def test_a_tunnel_names_its_port_always_and_carries_the_credentials():
    assert tunnel_request("h:443", Proxy("p", 1)) == b"CONNECT h:443 HTTP/1.1\r\nhost: h:443\r\n\r\n"
    assert b"proxy-authorization: Basic abc\r\n\r\n" in tunnel_request("h:443", Proxy("p", 1, b"Basic abc"))
