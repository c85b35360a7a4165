"""The connection without sockets: whatever way the bytes of an answer are cut, the answer is the same."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespike.testing.scripted_upstream import head
from bytespike.upstream.connection import Connection
from bytespike.upstream.exchange import Exchange
from bytespike.upstream.limits import Timeouts


class Wire(asyncio.Transport):
    """A transport that keeps what is written. `unsent` bytes are still in its buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False
        self.paused = False
        self.unsent = 0

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        assert not self.paused
        self.paused = True

    def resume_reading(self) -> None:
        assert self.paused
        self.paused = False


class Owner:
    def __init__(self) -> None:
        self.events: list[str] = []

    def release(self, connection: Connection) -> None:
        self.events.append("release")

    def forget(self, connection: Connection) -> None:
        self.events.append("forget")

    def gone(self, connection: Connection) -> None:
        self.events.append("gone")


class Clock:
    def time(self) -> float:
        return 0.0


def started(*, method: bytes = b"POST") -> tuple[Connection, Exchange, Wire, Owner]:
    owner = Owner()
    connection = Connection(owner, Clock())
    wire = Wire()
    connection.connection_made(wire)
    exchange = begin(connection, method)
    return connection, exchange, wire, owner


def begin(connection: Connection, method: bytes = b"POST") -> Exchange:
    exchange = Exchange(Timeouts(), 0.0, head_only=method == b"HEAD")
    connection.send(exchange, b"request", None, 0.0)
    return exchange


def feed(connection: Connection, data: bytes, cuts: list[int]) -> None:
    """As a transport would: no data once it is closed."""
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        if not connection.closed:
            connection.data_received(data[start:end])


TOKENS = st.from_regex(rb"x-[a-zA-Z0-9-]{1,12}", fullmatch=True)
VALUES = st.from_regex(rb"([!-~]([ -~]{0,20}[!-~])?)?", fullmatch=True)
CUTS = st.lists(st.integers(0, 5000), max_size=12)


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, int, dict[bytes, bytes], bytes, str]:
    """The bytes of a valid answer, and what they mean: status, headers, body, how it ends."""
    status = draw(st.integers(200, 599))
    pairs = draw(st.lists(st.tuples(TOKENS, VALUES), max_size=8, unique_by=lambda pair: pair[0].lower()))
    pieces = draw(st.lists(st.binary(min_size=1, max_size=200), max_size=6))
    body = b"".join(pieces)
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    if status in (204, 304):
        framing, pieces, body = "length", [], b""
    if framing == "length":
        data = head(status, [*pairs, (b"Content-Length", b"%d" % len(body))]) + body
    elif framing == "chunked":
        extension = draw(st.sampled_from([b"", b";a=b", b';name="quoted"']))
        trailers = draw(st.sampled_from([b"", b"x-sum: 1\r\n"]))
        chunks = b"".join(b"%X%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces)
        data = (
            head(status, [*pairs, (b"transfer-encoding", b"Chunked")])
            + chunks
            + b"0\r\n"
            + trailers
            + b"\r\n"
        )
    else:
        data = head(status, pairs) + body
    interim = draw(st.sampled_from([b"", head(100), head(103, [(b"x-interim", b"1")]) + head(100)]))
    expected = {name.lower(): value for name, value in pairs}
    return interim + data, status, expected, body, framing


@given(answers(), CUTS, CUTS)
def test_every_cut_of_a_valid_answer_gives_the_same_answer(answer, cuts, more_cuts):
    data, status, headers, body, framing = answer
    connection, exchange, wire, owner = started()
    for each in (cuts, more_cuts):
        feed(connection, data, each)
        if framing == "close":
            assert not exchange.complete
            connection.eof_received()
        assert exchange.complete
        assert exchange.failure is None
        assert exchange.status == status
        assert {name: value for name, value in exchange.headers.items() if name.startswith(b"x-")} == headers
        assert (exchange.take() if exchange.pieces else b"") == body
        if framing == "close":
            assert owner.events == ["forget"]
            assert wire.aborted
            return
        assert owner.events[-1] == "release"
        exchange = begin(connection)
    assert owner.events == ["release", "release"]
    assert connection.served == 2


@given(answers(), CUTS, st.integers(0, 5000))
def test_a_valid_answer_that_ends_too_early_is_a_reset(answer, cuts, cut):
    data, _, _, body, framing = answer
    cut %= len(data)
    if framing == "close" and cut >= data.rindex(b"\r\n\r\n", 0, len(data) - len(body)) + 4:
        return
    connection, exchange, wire, _ = started()
    feed(connection, data[:cut], cuts)
    connection.eof_received()
    connection.connection_lost(None)
    assert not exchange.complete
    assert exchange.failure is not None
    assert exchange.failure[0] == "reset"
    assert body.startswith(exchange.take() if exchange.pieces else b"")
    assert exchange.untouched == (cut == 0)
    assert wire.aborted


@given(answers(), CUTS, st.binary(min_size=1, max_size=50).filter(lambda rest: rest.strip(b"\r\n")))
def test_bytes_after_an_answer_never_become_part_of_the_next(answer, cuts, rest):
    data, _, _, body, framing = answer
    if framing == "close":
        return
    connection, exchange, wire, owner = started()
    feed(connection, data + rest, cuts)
    assert exchange.complete
    assert (exchange.take() if exchange.pieces else b"") == body
    if not connection.closed:
        # Only line ends came before the cut; the rest arrives at an idle connection.
        assert owner.events == ["release"]
    else:
        assert owner.events[-1] == "forget"
        assert wire.aborted


@given(st.binary(max_size=300), CUTS)
def test_garbage_is_an_error_or_waits_for_more_and_raises_nothing(data, cuts):
    connection, exchange, wire, _ = started()
    feed(connection, data, cuts)
    connection.connection_lost(None)
    assert wire.aborted
    assert exchange.complete != (exchange.failure is not None)
    assert exchange.line is None


@given(
    answers(), st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=3)), min_size=1, max_size=4), CUTS
)
def test_a_damaged_answer_is_an_answer_or_an_error_and_raises_nothing(answer, damages, cuts):
    data = answer[0]
    for at, bytes_there in damages:
        at %= len(data) + 1
        data = data[:at] + bytes_there + data[at + 2 :]
    connection, exchange, wire, _ = started()
    feed(connection, data, cuts)
    connection.connection_lost(None)
    assert wire.aborted
    assert exchange.complete != (exchange.failure is not None)
    assert exchange.unread == sum(map(len, exchange.pieces))


def test_a_shut_connection_is_deaf_and_tells_its_owner_once():
    connection, exchange, _, owner = started()
    connection.shut()
    connection.shut()
    connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    connection.eof_received()
    connection.connection_lost(OSError())
    assert owner.events == ["forget", "gone"]
    assert not exchange.complete


def test_reading_is_paused_once_and_resumed_when_the_bytes_are_taken():
    connection, exchange, wire, _ = started()
    connection.data_received(head(200, [(b"content-length", b"1000000")]))
    for _ in range(3):
        connection.data_received(b"x" * 300_000)
        assert wire.paused
    assert len(exchange.take()) == 900_000
    assert not wire.paused
    connection.data_received(b"x" * 100_000)
    assert exchange.complete
    assert len(exchange.take()) == 100_000


def test_a_large_body_stops_at_pause_and_goes_on_at_resume():
    connection = Connection(Owner(), Clock())
    wire = Wire()
    connection.connection_made(wire)
    connection.pause_writing()
    exchange = Exchange(Timeouts(), 0.0, head_only=False)
    connection.send(exchange, b"head", b"b" * 200_000, 0.0)
    assert wire.written == b"head"
    connection.resume_writing()
    assert wire.written == b"head" + b"b" * 200_000


@pytest.mark.parametrize("headers", [[(b"content-length", b"10")], [(b"transfer-encoding", b"chunked")], []])
def test_after_an_answer_to_head_the_next_answer_is_read_from_its_beginning(headers):
    connection, exchange, _, owner = started(method=b"HEAD")
    connection.data_received(head(200, headers))
    assert exchange.complete
    if owner.events == ["release"]:
        exchange = begin(connection)
        connection.data_received(head(200, [(b"content-length", b"2")]) + b"ok")
        assert exchange.take() == b"ok"
    else:
        assert headers == []


def test_an_answer_that_came_while_bytes_were_still_unsent_ends_the_connection():
    connection, exchange, wire, owner = started()
    wire.unsent = 1
    connection.data_received(head(200, [(b"content-length", b"0")]))
    assert exchange.complete
    assert owner.events == ["forget"]
    assert wire.aborted


@pytest.mark.parametrize(("status", "goes_on"), [(200, True), (413, False)])
def test_an_early_error_ends_the_sending_and_an_early_success_does_not(status, goes_on):
    owner = Owner()
    connection = Connection(owner, Clock())
    wire = Wire()
    connection.connection_made(wire)
    connection.pause_writing()
    exchange = Exchange(Timeouts(), 0.0, head_only=False)
    connection.send(exchange, b"head", b"b" * 200_000, 0.0)
    connection.data_received(head(status, [(b"content-length", b"2")]))
    connection.resume_writing()
    assert (wire.written == b"head" + b"b" * 200_000) == goes_on
    assert (wire.written == b"head") != goes_on
    connection.data_received(b"ok")
    assert exchange.complete
    assert owner.events == ["forget"]
