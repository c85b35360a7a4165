"""What was made is served to whoever has its signed URL: whole, in parts, and to nobody else."""

from __future__ import annotations

import http.client
import resource
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bytespike.media.objects.store import Stored
from tests.support.gateway import RunningGateway
from tests.support.object_house import pieces_of
from tests.support.raw_http import Answer, parse_answer
from tests.support.video_files import mp4

VIDEO = mp4(1280, 720, 8.0, pictures=2_500_000)


def put(gateway: RunningGateway, data: bytes, *, lifetime_s: float | None = None) -> tuple[Stored, str]:
    """The object, and the path and query of its URL."""
    media = gateway.application.media

    async def run() -> Stored:
        expires = None if lifetime_s is None else time.time_ns() // 1000 + int(lifetime_s * 1_000_000)
        return await media.store.put(pieces_of(data), key_id="key_1", expires_at=expires)

    stored = gateway.run(run())
    link = urlsplit(media.links.sign(stored.id, stored.content_type, stored.expires_at).url)
    return stored, f"{link.path}?{link.query}"


@pytest.fixture(scope="module")
def video(gateway: RunningGateway) -> tuple[Stored, str]:
    return put(gateway, VIDEO)


def get(gateway: RunningGateway, target: str, **headers: str) -> Answer:
    return gateway.request(
        "GET", target, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def test_a_signed_url_needs_no_key_and_says_what_it_is(
    gateway: RunningGateway, video: tuple[Stored, str]
) -> None:
    stored, target = video
    answer = get(gateway, target)
    assert (answer.status, answer.body) == (200, VIDEO)
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-length"] == str(len(VIDEO))
    assert "transfer-encoding" not in answer.headers
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == f'inline; filename="{stored.id}.mp4"'
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"].startswith("private, max-age=8")


def test_head_tells_the_same_without_the_bytes(gateway: RunningGateway, video: tuple[Stored, str]) -> None:
    _, target = video
    whole = get(gateway, target)
    head = gateway.request("HEAD", target)
    assert (head.status, head.body) == (200, b"")
    volatile = {"date", "request-id", "x-request-id", "cache-control"}
    assert {name: value for name, value in head.headers.items() if name not in volatile} == {
        name: value for name, value in whole.headers.items() if name not in volatile
    }


def test_a_connection_is_good_for_the_next_request_after_a_file(
    gateway: RunningGateway, video: tuple[Stored, str]
) -> None:
    _, target = video
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=30)
    try:
        for method in ("GET", "HEAD", "GET"):
            connection.request(method, target, headers={"range": "bytes=5-9"})
            answer = connection.getresponse()
            assert answer.status == 206
            assert answer.read() == (VIDEO[5:10] if method == "GET" else b"")
    finally:
        connection.close()


def test_http_1_0_gets_the_length_too(gateway: RunningGateway, video: tuple[Stored, str]) -> None:
    with socket.create_connection((gateway.host, gateway.port), timeout=30) as connection:
        connection.sendall(f"GET {video[1]} HTTP/1.0\r\n\r\n".encode())
        received = b""
        while block := connection.recv(65536):
            received += block
    answer = parse_answer(received)
    assert answer.headers["content-length"] == str(len(VIDEO))
    assert answer.body == VIDEO


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-", 0, len(VIDEO) - 1),
        ("bytes=1048570-1048580", 1048570, 1048580),
        ("bytes=2000000-99999999999", 2_000_000, len(VIDEO) - 1),
        ("bytes=-7", len(VIDEO) - 7, len(VIDEO) - 1),
        ("bytes=-99999999999", 0, len(VIDEO) - 1),
    ],
)
def test_a_part_is_what_was_asked_for(
    gateway: RunningGateway, video: tuple[Stored, str], asked: str, first: int, last: int
) -> None:
    answer = get(gateway, video[1], range=asked)
    assert answer.status == 206
    assert answer.body == VIDEO[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(VIDEO)}"
    assert answer.headers["content-length"] == str(last - first + 1)


@pytest.mark.parametrize("asked", [f"bytes={len(VIDEO)}-", "bytes=99999999999-", "bytes=-0"])
def test_a_part_that_there_is_not_is_told_with_the_size(
    gateway: RunningGateway, video: tuple[Stored, str], asked: str
) -> None:
    answer = get(gateway, video[1], range=asked)
    assert (answer.status, answer.body) == (416, b"")
    assert answer.headers["content-range"] == f"bytes */{len(VIDEO)}"


@pytest.mark.parametrize("asked", ["bytes=9-5", "bytes=0-1,5-6", "lines=1-2", "bytes=-", "bytes=a-b", ""])
def test_what_is_no_range_gets_the_whole(
    gateway: RunningGateway, video: tuple[Stored, str], asked: str
) -> None:
    answer = get(gateway, video[1], range=asked)
    assert (answer.status, len(answer.body)) == (200, len(VIDEO))


def test_conditions_hold(gateway: RunningGateway, video: tuple[Stored, str]) -> None:
    _, target = video
    etag = get(gateway, target, range="bytes=0-0").headers["etag"]
    for tags in (etag, f'"other", {etag}', "*", f"W/{etag}"):
        assert get(gateway, target, if_none_match=tags).status == 304
    assert get(gateway, target, if_none_match='"other"', range="bytes=0-0").status == 206
    assert get(gateway, target, if_range=etag, range="bytes=0-0").status == 206
    assert get(gateway, target, if_range='"other"', range="bytes=0-0").status == 200


def test_a_url_that_is_altered_in_any_byte_gets_403(gateway: RunningGateway) -> None:
    _, target = put(gateway, b"\x89PNG\r\n\x1a\n" + bytes(100))
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=30)
    try:
        for position in range(1, len(target)):
            for character in "aZ0":
                if character == target[position]:
                    continue
                connection.request("GET", target[:position] + character + target[position + 1 :])
                answer = connection.getresponse()
                body = answer.read()
                assert answer.status == 403, (position, character)
                assert b'"permission_denied"' in body
    finally:
        connection.close()


@pytest.mark.parametrize(
    "target",
    [
        "/files/",
        "/files",
        "/files/?list",
        "/files/..%2f..%2fmaster.key",
        "/files/../../master.key",
        "/files/%2e%2e/bytespike.db",
        "/files//etc/passwd",
        "/files/obj_" + "a" * 32,
        "/files/obj_" + "a" * 32 + ".mp4?expires=9999999999&signature=" + "A" * 43,
    ],
)
def test_nothing_is_listed_and_no_path_leads_out(gateway: RunningGateway, target: str) -> None:
    answer = get(gateway, target)
    assert answer.status in (403, 404)
    assert answer.headers["content-type"] == "application/json"


def test_other_methods_are_refused(gateway: RunningGateway, video: tuple[Stored, str]) -> None:
    for method in ("PUT", "POST", "DELETE"):
        assert gateway.request(method, video[1]).status == 405
    assert get(gateway, video[1], range="bytes=0-0").status == 206


def test_a_url_whose_time_is_over_gets_403(gateway: RunningGateway) -> None:
    _, target = put(gateway, b"x", lifetime_s=-1)
    answer = get(gateway, target)
    assert answer.status == 403
    assert b"expired" in answer.body


def test_what_was_deleted_before_its_time_gets_404(gateway: RunningGateway) -> None:
    stored, target = put(gateway, b"x")
    assert get(gateway, target).status == 200
    gateway.run(gateway.application.media.store.delete([stored.id]))
    assert get(gateway, target).status == 404


def test_a_page_that_was_stored_is_a_download_of_bytes(gateway: RunningGateway) -> None:
    """Whatever a provider gives out as a picture: only what is one is shown in place."""
    stored, target = put(gateway, b"<html><script>alert(document.cookie)</script></html>")
    answer = get(gateway, target)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == f'attachment; filename="{stored.id}.bin"'


def resident_mb() -> float:
    """What this process holds now: the gateway runs in it."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 1024 / 1024


def test_a_file_of_60_mb_goes_in_and_out_with_flat_memory(gateway: RunningGateway) -> None:
    """In: from an upstream's chunks to the store. Out: to a client. Neither ever holds half of it."""
    size = 60 * 1024 * 1024
    piece = bytes(range(256)) * 256
    held: list[float] = []

    async def upstream() -> AsyncIterator[bytes]:
        for _ in range(size // len(piece)):
            yield piece
            held.append(resident_mb())

    async def keep() -> Stored:
        return await gateway.application.media.store.put(upstream(), key_id="key_1")

    # What is made once is made before.
    get(gateway, put(gateway, VIDEO)[1])
    before = resident_mb()
    stored = gateway.run(keep())
    target = gateway.application.media.links.sign(stored.id, stored.content_type, stored.expires_at).url
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=60)
    connection.request("GET", target.removeprefix(gateway.url))
    answer = connection.getresponse()
    received = 0
    while block := answer.read(65536):
        received += len(block)
        held.append(resident_mb())
    connection.close()
    assert (stored.bytes, received) == (size, size)
    # Parts of 5 MiB fill and go out, small pieces come in; the rest is what the allocators keep.
    assert max(held) - before < 30
