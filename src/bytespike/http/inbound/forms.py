"""Bodies of `multipart/form-data`, read while they come: RFC 7578.

The parts of a form are fields, which are text, and files. A form is no larger than its endpoint's bodies may be, which whoever
hands out its pieces sees to; what is bounded here is what could make many things out of few bytes.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from typing import Final

from msgspec import Struct
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from bytespike.core.json_types import JSON, JSONObject
from bytespike.errors import InvalidRequest

MULTIPART: Final = b"multipart/form-data"
PARTS_MAX: Final = 64
#: Of a part's head, and of a name in it.
HEADER_BYTES_MAX: Final = 2048
HEADERS_MAX: Final = 8
NAME_CHARS_MAX: Final = 128
FIELD_BYTES_MAX: Final = 1024 * 1024


class Upload(Struct, frozen=True):
    """A file of a form. `name`: the field's; `content_type` and `filename` as its sender called it, "" if he did not."""

    name: str
    filename: str
    content_type: str
    data: bytes


class Form(Struct, frozen=True):
    """In the order in which they came; names may repeat."""

    fields: tuple[tuple[str, str], ...]
    uploads: tuple[Upload, ...]

    def members(self) -> JSONObject:
        """The form as a JSON body would have it: fields are text, files `data:` URLs. A name that repeats, or ends in `[]`,
        has a list; `a[b]` is the member b of the object a. Raises InvalidRequest where names contradict each other."""
        members: JSONObject = {}
        for name, value in self.fields:
            _put(members, name, value)
        for upload in self.uploads:
            data = base64.b64encode(upload.data).decode("ascii")
            media_type = upload.content_type.partition(";")[0].strip() or "application/octet-stream"
            _put(members, upload.name, f"data:{media_type};base64,{data}")
        return members


def is_form(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a body is one of these."""
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower() == MULTIPART


async def read_form(pieces: AsyncIterator[bytes], headers: Mapping[bytes, bytes]) -> Form:
    """A whole form. `pieces` of its body, bounded by whoever hands them out. Raises InvalidRequest."""
    _, options = parse_options_header(headers.get(b"content-type", b"").decode("latin-1"))
    boundary = options.get(b"boundary")
    if not boundary:
        raise InvalidRequest("the form's content-type names no boundary")
    parts = _Parts()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": parts.begin,
                "on_header_field": parts.header_name,
                "on_header_value": parts.header_value,
                "on_header_end": parts.header_end,
                "on_headers_finished": parts.head_end,
                "on_part_data": parts.data,
                "on_part_end": parts.end,
                "on_end": parts.finish,
            },
            max_header_count=HEADERS_MAX,
            max_header_size=HEADER_BYTES_MAX,
        )
        async for piece in pieces:
            parser.write(piece)
    except FormParserError as error:
        raise InvalidRequest(f"the form cannot be read: {str(error)[:200]}") from None
    if not parts.finished:
        raise InvalidRequest("the form breaks off: its last boundary is missing")
    return Form(tuple(parts.fields), tuple(parts.uploads))


class _Parts:
    """What the parser says, put together."""

    def __init__(self) -> None:
        self.fields: list[tuple[str, str]] = []
        self.uploads: list[Upload] = []
        self.finished = False
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._data = bytearray()
        self._field = ""
        self._filename: str | None = None
        self._content_type = ""

    def begin(self) -> None:
        if len(self.fields) + len(self.uploads) >= PARTS_MAX:
            raise InvalidRequest(f"a form has at most {PARTS_MAX} parts")
        self._headers = {}
        self._data = bytearray()

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def head_end(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b"").decode("latin-1"))
        name = options.get(b"name")
        if kind != b"form-data" or not name or len(name) > NAME_CHARS_MAX:
            raise InvalidRequest("a part of the form has no name, or one that is too long")
        self._field = name.decode("utf-8", "replace")
        filename = options.get(b"filename")
        self._filename = None if filename is None else filename.decode("utf-8", "replace")
        self._content_type = self._headers.get(b"content-type", b"").decode("latin-1")

    def data(self, data: bytes, start: int, end: int) -> None:
        self._data += memoryview(data)[start:end]
        if self._filename is None and len(self._data) > FIELD_BYTES_MAX:
            raise InvalidRequest(
                f"{self._field} has more than {FIELD_BYTES_MAX} bytes; send files with a filename",
                param=self._field,
            )

    def end(self) -> None:
        data, self._data = bytes(self._data), bytearray()
        if self._filename is not None:
            self.uploads.append(Upload(self._field, self._filename, self._content_type, data))
            return
        try:
            self.fields.append((self._field, data.decode()))
        except UnicodeDecodeError:
            raise InvalidRequest(f"{self._field} is not text in UTF-8", param=self._field) from None

    def finish(self) -> None:
        self.finished = True


def _put(members: JSONObject, name: str, value: JSON) -> None:
    outer, bracket, inner = name.partition("[")
    if bracket and inner.endswith("]") and inner != "]":
        within = members.setdefault(outer, {})
        if not isinstance(within, dict):
            raise InvalidRequest(f"{outer} is given both as a value and with members", param=outer)
        within[inner[:-1]] = value
        return
    name = outer if inner == "]" else name
    held = members.get(name)
    if isinstance(held, dict):
        raise InvalidRequest(f"{name} is given both as a value and with members", param=name)
    if isinstance(held, list):
        held.append(value)
    elif name in members:
        members[name] = [held, value]
    else:
        members[name] = [value] if inner == "]" else value
