"""The members at the top of a large JSON object, seen in one pass, with a proof of where they stand.

To replace one member of a body, the rest has to be searched: its name may stand there twice, or be spelt with escapes, and
half a megabyte is searched several times for it. Here the pass that a body takes anyway, for what routing needs to know of
it, says as much. Each member is decoded to its name and to its value as bytes. The names in quotes, the values, and the
punctuation between them are the least that such an object takes. Every space, every escape in a name, every member that
stands there twice (of which the decoder keeps one) would make it longer. So an object that is exactly that long has
nothing of that, and where each member stands is a sum of lengths.

Bodies that are not written like that (with spaces, by a person) are read and searched in the general way, which gives the
same: tests hold both together.
"""

from __future__ import annotations

import msgspec

from bytespike.core.dialect import Layout, Peek
from bytespike.wire.jsonedit import replace_string_member

#: Smaller bodies are searched faster than this is set up.
LAID_OUT_BYTES_MIN = 16 * 1024
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
#: The first member's name and colon stand within so many bytes; what follows tells a body with spaces.
_FIRST_NAME_BYTES = 64


def laid_out(body: bytes, wanted: frozenset[str], model: str = "model") -> tuple[bytes, Layout | None]:
    """A text that has the members `wanted` of the object `body`, as they are and in their order, to be decoded in its
    place; and where the member `model` stands. The body itself, and None, where it is small, or nothing is proved."""
    if len(body) < LAID_OUT_BYTES_MIN or not _tight(body):
        return body, None
    try:
        members = _decode(body)
    except _UNREADABLE:
        # Whoever decodes the body finds the same, and has words for it.
        return body, None
    at = 1
    start = end = 0
    for name, raw in members.items():
        size = memoryview(raw).nbytes
        at += len(name.encode("utf-8", "surrogatepass")) + 3
        if name == model:
            start, end = at, at + size
        at += size + 1
    if at != len(body) or not start:
        return body, None
    layout = Layout(body, members, start, end)
    return excerpt(body, layout, wanted), layout


def excerpt(body: bytes, layout: Layout | None, wanted: frozenset[str]) -> bytes:
    """A text that has the members `wanted` of `body`, as they are and in their order, to be decoded in its place: the body
    itself where the layout is not its own."""
    if layout is None or layout.body is not body:
        return body
    return b"{%b}" % b",".join(
        [b'"%b":%b' % (name.encode(), raw) for name, raw in layout.members.items() if name in wanted]
    )


def _tight(body: bytes) -> bool:
    """Whether it may be without spaces, by its beginning: most bodies that are not, are not from there on."""
    colon = body.find(b'":', 0, _FIRST_NAME_BYTES)
    return (
        body.startswith(b'{"')
        and colon > 0
        and body[colon + 2 : colon + 3] not in (b" ", b"\n", b"\t", b"\r")
    )


def replace_model(body: bytes, seen: Peek, value: bytes) -> bytes:
    """`body` with the string member "model" set to `value` (JSON text, with its quotes): at once where the body's layout is
    known, else by search."""
    layout = seen.layout
    if layout is None or layout.body is not body:
        return replace_string_member(body, "model", value)
    view = memoryview(body)
    return b"".join((view[: layout.start], value, view[layout.end :]))
