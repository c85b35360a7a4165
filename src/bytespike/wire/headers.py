"""Header lines as bytes, checked. What is rendered here can be sent as it is; nothing can be smuggled in."""

from __future__ import annotations

from collections.abc import Iterable

# RFC 9110: a field name is a token (5.6.2); a value has visible characters, spaces, tabs and bytes from 0x80 (5.5).
_TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUE = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
#: The transport writes these itself.
TRANSPORT_HEADERS = frozenset(
    {
        b"host",
        b"connection",
        b"content-length",
        b"transfer-encoding",
        b"accept-encoding",
        b"te",
        b"trailer",
        b"upgrade",
        b"expect",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authorization",
    }
)


def render_headers(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A block of header lines, ready to send; blocks can be joined.

    Raises ValueError, which names the header but not its value, for a name that is no token, a value with control
    characters (so that nothing can be smuggled in), and for names that the transport writes itself.
    """
    lines: list[bytes] = []
    for name, value in pairs:
        if not name or name.translate(None, _TOKEN):
            raise ValueError("a header name is no token")
        if name.lower() in TRANSPORT_HEADERS:
            raise ValueError(f"the header {name.decode()} is written by the transport")
        if value.translate(None, _VALUE):
            raise ValueError(f"the value of header {name.decode()} has control characters")
        lines.append(b"%b: %b\r\n" % (name, value))
    return b"".join(lines)
