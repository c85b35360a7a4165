"""Forms are read as they come: fields, files, and nothing that is not one."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespike.errors import InvalidRequest
from bytespike.http.inbound.forms import (
    FIELD_BYTES_MAX,
    HEADERS_MAX,
    PARTS_MAX,
    Form,
    Upload,
    is_form,
    read_form,
)
from tests.support.object_house import pieces_of

TYPE = {b"content-type": b"multipart/form-data; boundary=frontier"}


def part(head: str, data: bytes) -> bytes:
    return b"--frontier\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n"


def field(name: str, value: str) -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"', value.encode())


def file(name: str, filename: str, content_type: str, data: bytes) -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"\r\nContent-Type: {content_type}'
    return part(head, data)


END = b"--frontier--\r\n"


def read(body: bytes, step: int = 65536, headers: dict[bytes, bytes] = TYPE) -> Form:
    return asyncio.run(read_form(pieces_of(body, step), headers))


@pytest.mark.parametrize("step", [1, 3, 17, 65536])
def test_fields_and_files_come_out_in_order_however_the_form_is_cut(step: int) -> None:
    data = bytes(range(256)) * 3 + b"\r\n--frontie\r\n--"
    form = read(
        field("prompt", "Ein Apfel, größer")
        + file("image", "a.png", "image/png", data)
        + field("n", "2")
        + END,
        step,
    )
    assert form.fields == (("prompt", "Ein Apfel, größer"), ("n", "2"))
    assert form.uploads == (Upload("image", "a.png", "image/png", data),)


def test_members_are_as_json_would_have_them() -> None:
    form = read(
        field("prompt", "x")
        + field("input_reference[image_url]", "https://example.com/a.png")
        + field("tags[]", "one")
        + field("tags[]", "two")
        + field("twice", "1")
        + field("twice", "2")
        + file("image[]", "a.png", "image/png; charset=binary", b"abc")
        + file("mask", "m", "", b"")
        + END
    )
    assert form.members() == {
        "prompt": "x",
        "input_reference": {"image_url": "https://example.com/a.png"},
        "tags": ["one", "two"],
        "twice": ["1", "2"],
        "image": ["data:image/png;base64," + base64.b64encode(b"abc").decode()],
        "mask": "data:application/octet-stream;base64,",
    }


@pytest.mark.parametrize(
    "body",
    [
        field("a", "1") + field("a[b]", "2") + END,
        field("a[b]", "2") + field("a", "1") + END,
    ],
)
def test_names_that_contradict_each_other_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as raised:
        read(body).members()
    assert raised.value.param == "a"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form at all",
        field("a", "1"),
        field("a", "1") + b"--frontier",
        b"--frontier\r\nContent-Disposition: form-data\r\n\r\nx\r\n" + END,
        b'--frontier\r\nContent-Disposition: attachment; name="a"\r\n\r\nx\r\n' + END,
        b"--frontier\r\n\r\nx\r\n" + END,
        part('Content-Disposition: form-data; name="' + "n" * 200 + '"', b"x") + END,
        part('Content-Disposition: form-data; name="a"', b"\xff\xfe") + END,
        part("X-Long: " + "x" * 5000 + '\r\nContent-Disposition: form-data; name="a"', b"x") + END,
        part(
            "".join(f"X-{n}: 1\r\n" for n in range(HEADERS_MAX)) + 'Content-Disposition: form-data; name="a"',
            b"x",
        )
        + END,
    ],
    ids=lambda body: repr(body[:40]),
)
def test_what_is_no_form_is_told_so(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read(body)


def test_a_form_has_so_many_parts_and_its_fields_are_so_long() -> None:
    assert len(read(field("a", "1") * PARTS_MAX + END).fields) == PARTS_MAX
    with pytest.raises(InvalidRequest, match="parts"):
        read(field("a", "1") * (PARTS_MAX + 1) + END)
    assert len(read(field("a", "x" * FIELD_BYTES_MAX) + END).fields[0][1]) == FIELD_BYTES_MAX
    with pytest.raises(InvalidRequest, match="filename"):
        read(field("a", "x" * (FIELD_BYTES_MAX + 1)) + END)
    assert (
        len(read(file("a", "f", "x/y", bytes(FIELD_BYTES_MAX * 2)) + END).uploads[0].data)
        == FIELD_BYTES_MAX * 2
    )


def test_a_form_that_is_refused_is_not_read_on() -> None:
    read_pieces = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read_pieces
        while True:
            read_pieces += 1
            yield field("a", "1") * PARTS_MAX

    with pytest.raises(InvalidRequest):
        asyncio.run(read_form(endless(), TYPE))
    assert read_pieces == 2


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (b"multipart/form-data; boundary=x", True),
        (b"Multipart/Form-Data;boundary=x", True),
        (b"application/json", False),
        (b"multipart/mixed; boundary=x", False),
        (b"", False),
    ],
)
def test_a_form_is_known_by_its_type(content_type: bytes, expected: bool) -> None:
    assert is_form({b"content-type": content_type}) is expected


def test_a_form_without_a_boundary_is_refused() -> None:
    for content_type in (
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b"multipart/form-data; boundary=" + b"x" * 600,
    ):
        with pytest.raises(InvalidRequest):
            read(END, headers={b"content-type": content_type})


@given(
    st.lists(
        st.sampled_from(
            [
                b"--frontier",
                b"\r\n",
                END,
                field("a", "1"),
                b"Content-Disposition: form-data",
                b": ",
                b'name="',
                b"\xff",
            ]
        ),
        max_size=30,
    ),
    st.integers(1, 40),
)
def test_no_bytes_make_it_fail_otherwise(parts: list[bytes], step: int) -> None:
    try:
        form = read(b"".join(parts), step)
    except InvalidRequest:
        return
    form.members()
