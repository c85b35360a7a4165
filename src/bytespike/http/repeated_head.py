"""The head that a client sends again and again.

A client on a connection that stays open sends the same head with every request, but for the length of its body. So a
connection remembers the last head that its parser has taken, and a request that begins with the same bytes, around other digits,
and whose body is all there, needs no parser: what it would say is known. Anything else is the parser's.

Only heads of which a length and nothing else tells where the body ends, on connections that go on, are remembered.
"""

from __future__ import annotations

#: More digits than a body's length can have here.
_DIGITS_MAX = 12
_LENGTH = b"\r\ncontent-length:"
_HEAD_END = b"\r\n\r\n"
#: With one of these the length is not all that counts.
_OTHERWISE = (b"transfer-encoding", b"expect", b"upgrade", b"trailer")


class RepeatedHead:
    """`method`, `path`, `query` and `headers` as the parser gave them; the content-length among the headers is another."""

    __slots__ = ("_after", "_before", "headers", "method", "path", "query")

    def __init__(
        self, before: bytes, after: bytes, method: str, path: str, query: bytes, headers: dict[bytes, bytes]
    ) -> None:
        self._before = before
        self._after = after
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers

    def body_at(self, data: bytes) -> int:
        """Where the body begins in `data`, if that is this head and a whole body; else -1."""
        before = self._before
        if not data.startswith(before):
            return -1
        start = len(before)
        end = data.find(b"\r", start, start + _DIGITS_MAX)
        if end < 0:
            return -1
        digits = data[start:end]
        after = self._after
        if not digits.isdigit() or not data.startswith(after, end):
            return -1
        at = end + len(after)
        return at if len(data) - at == int(digits) else -1

    def length_in(self, data: bytes) -> bytes:
        """The digits of the length in what `body_at` has found to be this head."""
        start = len(self._before)
        return data[start : data.find(b"\r", start)]


def remembered(
    data: bytes, method: str, path: str, query: bytes, headers: dict[bytes, bytes]
) -> RepeatedHead | None:
    """What is to be remembered of a request at whose first byte `data` begins; None if it must be parsed each time."""
    if b"content-length" not in headers:
        return None
    for name in _OTHERWISE:
        if name in headers:
            return None
    head_end = data.find(_HEAD_END)
    lowered = data[: head_end + len(_HEAD_END)].lower()
    line = lowered.find(_LENGTH)
    if head_end < 0 or line < 0 or lowered.find(_LENGTH, line + 1) >= 0:
        return None
    start = line + len(_LENGTH)
    end = data.find(b"\r", start)
    value = data[start:end]
    digits = value.strip(b" \t")
    if not digits.isdigit():
        return None
    start += value.find(digits)
    return RepeatedHead(
        data[:start], data[start + len(digits) : head_end + len(_HEAD_END)], method, path, query, headers
    )
