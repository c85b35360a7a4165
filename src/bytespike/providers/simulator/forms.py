"""multipart/form-data, as the vendors' SDKs send it: fields and files by name."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

#: More parts than this are no form of any API here.
PARTS_MAX = 64


class BadForm(ValueError):
    """The body is no form."""


class Part(Struct):
    """A field, or a file if it has a `filename`."""

    name: str
    filename: str | None
    media_type: str
    data: bytes


def read(content_type: str, body: bytes) -> Sequence[Part]:
    """The parts in their order. Raises `BadForm`."""
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise BadForm("the body is no multipart/form-data")
    reader = _Reader()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": reader.begin,
                "on_header_field": reader.header_name,
                "on_header_value": reader.header_value,
                "on_header_end": reader.header_end,
                "on_part_data": reader.data,
                "on_part_end": reader.end,
            },
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise BadForm(str(error)) from None
    return reader.parts


class _Reader:
    __slots__ = ("_chunks", "_headers", "_name", "_value", "parts")

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._headers: dict[bytes, bytes] = {}
        self._name = b""
        self._value = b""
        self._chunks: list[bytes] = []

    def begin(self) -> None:
        if len(self.parts) >= PARTS_MAX:
            raise BadForm("the form has too many parts")
        self._headers = {}
        self._chunks = []

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def data(self, data: bytes, start: int, end: int) -> None:
        self._chunks.append(data[start:end])

    def end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name")
        if name is None:
            raise BadForm("a part of the form has no name")
        filename = options.get(b"filename")
        self.parts.append(
            Part(
                name.decode("utf-8", "replace"),
                None if filename is None else filename.decode("utf-8", "replace"),
                self._headers.get(b"content-type", b"").decode("latin-1"),
                b"".join(self._chunks),
            )
        )
