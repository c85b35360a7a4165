"""The request's head, as bytes. The header block of a channel is rendered once and sent many times."""

from __future__ import annotations

from bytespike.upstream.limits import WRITE_BYTES_MAX
from bytespike.wire.address import Origin, Proxy

_TARGET = bytes(range(0x21, 0x7F))
#: Methods whose requests say nothing of a body that they have not (RFC 9110 8.6).
_WITHOUT_BODY = frozenset({b"GET", b"HEAD", b"DELETE"})


def request_bytes(
    method: bytes, prefix: bytes, target: bytes, tail: bytes, block: bytes, body: bytes
) -> tuple[bytes, bytes | None]:
    """A request as it is sent: its head, with the body behind it if that is small, and else the body apart.

    `prefix` and `tail` are from `line_parts`, `block` from `render_headers`. Raises ValueError, without quoting
    anything, for a method that is no word and a target that is no visible ASCII or does not begin with a slash.
    """
    if target.translate(None, _TARGET) or not target.startswith(b"/"):
        raise ValueError("a request target begins with a slash and has visible ASCII characters only")
    if not method.isalpha():
        raise ValueError("a request method consists of letters")
    if body or method not in _WITHOUT_BODY:
        end = b"content-length: %d\r\n\r\n" % len(body)
    else:
        end = b"\r\n"
    if len(body) <= WRITE_BYTES_MAX:
        return b"".join((method, b" ", prefix, target, tail, block, end, body)), None
    return b"".join((method, b" ", prefix, target, tail, block, end)), body


def line_parts(origin: Origin, proxy: Proxy | None) -> tuple[bytes, bytes]:
    """What stands around the target: before it ("" or the origin, for plain HTTP through a proxy, RFC 9112 3.2.2),
    and after it: the version and the headers that every request to this origin has."""
    authority = origin.authority.encode("ascii")
    tail = b" HTTP/1.1\r\nhost: %b\r\naccept-encoding: identity\r\n" % authority
    if proxy is None or origin.scheme == "https":
        return b"", tail
    if proxy.authorization is not None:
        tail += b"proxy-authorization: %b\r\n" % proxy.authorization
    return b"http://" + authority, tail


def tunnel_request(authority: str, proxy: Proxy) -> bytes:
    """CONNECT (RFC 9110 9.3.6). `authority` is host and port, the port always."""
    name = authority.encode("ascii")
    head = b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n" % (name, name)
    if proxy.authorization is not None:
        head += b"proxy-authorization: %b\r\n" % proxy.authorization
    return head + b"\r\n"
