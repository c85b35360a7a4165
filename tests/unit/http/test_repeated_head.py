"""A head that comes again is taken for what it is, and nothing else is taken for it."""

from __future__ import annotations

import pytest

from bytespike.http.repeated_head import RepeatedHead, remembered

LINES = [
    b"POST /v1/messages?beta=true HTTP/1.1",
    b"host: spike",
    b"Content-Length: 5",
    b"x-api-key: sk-byts-1",
]
HEADERS = {b"host": b"spike", b"content-length": b"5", b"x-api-key": b"sk-byts-1"}


def request(body: bytes, lines: list[bytes] = LINES, length: bytes | None = None) -> bytes:
    told = b"%d" % len(body) if length is None else length
    return (
        b"\r\n".join(line.replace(b"5", told, 1) if b"ength" in line else line for line in lines)
        + b"\r\n\r\n"
        + body
    )


def known(lines: list[bytes] = LINES, headers: dict[bytes, bytes] = HEADERS) -> RepeatedHead | None:
    return remembered(request(b"12345", lines), "POST", "/v1/messages", b"beta=true", headers)


@pytest.mark.parametrize("body", [b"", b"{}", b"12345", b"x" * 70_000])
def test_the_same_head_with_another_length_is_known(body: bytes) -> None:
    head = known()
    assert head is not None
    data = request(body)
    at = head.body_at(data)
    assert data[at:] == body
    assert head.length_in(data) == b"%d" % len(body)


@pytest.mark.parametrize(
    "data",
    [
        request(b"1234", length=b"5"),  # more is to come
        request(b"123456", length=b"5"),  # something follows
        request(b"12345") + request(b"12345"),
        request(b"12345").replace(b"sk-byts-1", b"sk-byts-2"),
        request(b"12345").replace(b"POST", b"PUT"),
        request(b"12345").replace(b"Content-Length", b"content-length"),
        request(b"12345", length=b"+5"),
        request(b"12345", length=b" 5"),
        request(b"12345", length=b"5 "),
        request(b"12345", length=b"0x5"),
        request(b"12345", length=b""),
        request(b"12345", length=b"5\r\ntransfer-encoding: chunked"),
        request(b"12345", length=b"0000000000005"),
        request(b"12345", length="٥".encode()),
        request(b"12345")[:40],
        b"",
    ],
)
def test_anything_else_is_the_parsers(data: bytes) -> None:
    head = known()
    assert head is not None
    assert head.body_at(data) == -1


def test_spaces_before_the_length_are_a_part_of_the_head() -> None:
    lines = [line.replace(b"Length: ", b"Length:  \t") for line in LINES]
    head = known(lines)
    assert head is not None
    assert head.body_at(request(b"123", lines)) > 0
    assert head.body_at(request(b"123")) == -1


@pytest.mark.parametrize("name", [b"transfer-encoding", b"expect", b"upgrade", b"trailer"])
def test_a_head_whose_length_is_not_all_that_counts_is_not_remembered(name: bytes) -> None:
    assert known(headers={**HEADERS, name: b"something"}) is None


def test_a_head_without_a_length_or_with_two_is_not_remembered() -> None:
    assert known(headers={b"host": b"spike"}) is None
    assert known([*LINES, b"content-length: 5"]) is None
    assert known(LINES[:2]) is None


def test_half_a_head_is_not_remembered() -> None:
    half = request(b"12345")[:60]
    assert remembered(half, "POST", "/v1/messages", b"", HEADERS) is None
