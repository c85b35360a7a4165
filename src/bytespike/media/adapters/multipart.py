"""multipart/form-data bodies (RFC 7578), for providers that take files no other way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from msgspec import Struct

_BOUNDARY_BYTES = 16
_SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}


class FilePart(Struct, frozen=True):
    """A file of a form. `name`: the field's."""

    name: str
    filename: str
    media_type: str
    data: bytes


def filename_of(stem: str, media_type: str) -> str:
    """A name that tells the type too: some servers look at nothing else."""
    return f"{stem}.{_SUFFIXES.get(media_type, 'bin')}"


def form(fields: Iterable[tuple[str, str]], files: Iterable[FilePart] = ()) -> tuple[bytes, bytes]:
    """The `content-type` and the body. Field order is kept. Same parts, same bytes: the boundary is a digest of them, so
    that nobody can write a part that holds it. Raises ValueError for a name that would break out of its quotes."""
    parts = [(_disposition(name), value.encode("utf-8", "surrogatepass")) for name, value in fields]
    parts.extend(
        (
            _disposition(file.name, file.filename)
            + b"\r\nContent-Type: %b" % _plain(file.media_type).encode("ascii"),
            file.data,
        )
        for file in files
    )
    digest = hashlib.blake2b(digest_size=_BOUNDARY_BYTES)
    for head, data in parts:
        digest.update(head)
        digest.update(data)
    boundary = digest.hexdigest().encode()
    chunks: list[bytes] = []
    for head, data in parts:
        chunks += [b"--", boundary, b"\r\n", head, b"\r\n\r\n", data, b"\r\n"]
    chunks += [b"--", boundary, b"--\r\n"]
    return b"multipart/form-data; boundary=" + boundary, b"".join(chunks)


def _disposition(name: str, filename: str = "") -> bytes:
    head = f'Content-Disposition: form-data; name="{_plain(name)}"'
    return (head + (f'; filename="{_plain(filename)}"' if filename else "")).encode("utf-8")


def _plain(text: str) -> str:
    if any(character in text for character in '"\r\n\0'):
        raise ValueError("a form's name has a quote or a line break in it")
    return text
