"""Latency, chunking and failures, seen from a plain socket; and what the simulator notes about them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest

from bytespike.providers.simulator.server import Simulator

CLAUDE = ("/anthropic/v1/messages", b"event: message_start")
GPT = ("/openai/v1/chat/completions", b'data: {"id":')
RESPONSES = ("/openai/v1/responses", b"event: response.created")
GEMINI = ("/gemini/v1beta/models/m:", b'data: {"candidates"')
EACH = pytest.mark.parametrize(
    ("path", "first"),
    [CLAUDE, GPT, RESPONSES, GEMINI],
    ids=["anthropic", "openai", "responses", "gemini"],
)
#: The events that tell of an error: Responses tell it twice.
ERROR_EVENTS = {RESPONSES[0]: 2}
PATIENCE_S = 5.0


def request(path: str, text: str, stream: bool = True, **headers: str) -> bytes:
    body: dict[str, Any] = {"model": "m", "stream": stream}
    if path == GEMINI[0]:
        body = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
        path += "streamGenerateContent?alt=sse" if stream else "generateContent"
    elif path == RESPONSES[0]:
        body["input"] = text
    else:
        body["messages"] = [{"role": "user", "content": text}]
    if path == CLAUDE[0]:
        body["max_tokens"] = 2_000_000
    raw = json.dumps(body).encode()
    fields = {
        "host": "sim",
        "authorization": "Bearer any",
        "anthropic-version": "2023-06-01",
        "x-goog-api-key": "any",
        "content-length": str(len(raw)),
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + raw


class Ended(tuple[bytes, str]):
    """What arrived, and how it ended: "reset", "closed" (the connection) or "whole" (the response)."""

    __slots__ = ()

    @property
    def data(self) -> bytes:
        return self[0]

    @property
    def how(self) -> str:
        return self[1]


async def read_all(reader: asyncio.StreamReader, whole: Callable[[bytes], bool]) -> Ended:
    data = b""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not whole(data):
                more = await reader.read(65536)
                if not more:
                    return Ended((data, "closed"))
                data += more
    except ConnectionResetError:
        return Ended((data, "reset"))
    return Ended((data, "whole"))


def chunked_to_its_end(data: bytes) -> bool:
    return data.endswith(b"0\r\n\r\n")


def unary_to_its_end(data: bytes) -> bool:
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"content-length: ")), None
    )
    return length is not None and len(body) >= length


@asynccontextmanager
async def connected(sim: Simulator) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*sim.base_url.removeprefix("http://").split(":"))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


def exchange(path: str, text: str, stream: bool = True, **headers: str) -> tuple[Ended, Any]:
    """One request to a simulator of its own: what came back, and what it noted."""

    async def main() -> tuple[Ended, Any]:
        async with Simulator(observe=True) as sim, connected(sim) as (reader, writer):
            writer.write(request(path, text, stream, **headers))
            ended = await read_all(reader, chunked_to_its_end if stream else unary_to_its_end)
            for _ in range(100):
                if sim.requests[-1].state != "open":
                    break
                await asyncio.sleep(0.01)
            return ended, sim.requests[-1]

    return asyncio.run(main())


def events_in(data: bytes) -> int:
    return sum(line.startswith(b"data: ") for line in data.replace(b"\r\n", b"\n").split(b"\n"))


# --- breaks ----------------------------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize(("option", "how"), [("break_after", "reset"), ("cut_after", "closed")])
@pytest.mark.parametrize("count", [0, 1, 3, 6])
def test_a_stream_breaks_after_just_so_many_events(
    path: str, first: bytes, option: str, how: str, count: int
) -> None:
    ended, noted = exchange(path, f"[[sim: tokens=100 {option}={count}]]")
    assert ended.how == how
    assert events_in(ended.data) == count
    assert ended.data.startswith(b"HTTP/1.1 200")
    assert (first in ended.data) == (count > 0)
    assert (noted.state, noted.events) == ("broken", count)


@EACH
@pytest.mark.parametrize(("option", "how"), [("break_after", "reset"), ("cut_after", "closed")])
def test_an_answer_that_is_not_streamed_breaks_in_its_middle_or_before_it(
    path: str, first: bytes, option: str, how: str
) -> None:
    ended, noted = exchange(path, f"[[sim: {option}=1]]", stream=False)
    assert ended.how == how
    assert b"content-length" in ended.data
    assert ended.data.count(b"{") > 0
    assert noted.state == "broken"
    ended, _ = exchange(path, f"[[sim: {option}=0]]", stream=False)
    assert (ended.data, ended.how) == (b"", how)


@EACH
def test_the_end_of_a_stream_can_be_missing_though_its_last_event_came(path: str, first: bytes) -> None:
    whole, _ = exchange(path, "Hello")
    assert whole.how == "whole"
    count = events_in(whole.data)
    ended, _ = exchange(path, "Hello", **{"x-simulator": f"cut_after={count}"})
    assert (ended.how, events_in(ended.data)) == ("closed", count)


@EACH
@pytest.mark.parametrize("count", [0, 3])
def test_an_error_event_ends_the_stream(path: str, first: bytes, count: int) -> None:
    ended, noted = exchange(path, f"[[sim: tokens=100 error_event_after={count}]]")
    assert ended.how == "whole"
    assert events_in(ended.data) == count + ERROR_EVENTS.get(path, 1)
    last = ended.data.replace(b"\r\n", b"\n").rstrip(b"0\n").split(b"data: ")[-1]
    assert json.loads(last)
    assert b'"error":{' in last
    assert b"[DONE]" not in ended.data
    assert b"message_stop" not in ended.data
    assert noted.state == "finished"


@EACH
def test_an_error_event_of_an_answer_that_is_not_streamed_is_its_status(path: str, first: bytes) -> None:
    ended, _ = exchange(path, "[[sim: error_event_after=3]]", stream=False)
    assert ended.data.split()[1] in (b"529", b"500")


@EACH
def test_malformed_json_spoils_one_event_only(path: str, first: bytes) -> None:
    ended, _ = exchange(path, "[[sim: tokens=100 malformed]]")
    assert ended.how == "whole"
    bad = 0
    for line in ended.data.replace(b"\r\n", b"\n").split(b"\n"):
        if line.startswith(b"data: ") and line != b"data: [DONE]":
            try:
                json.loads(line[6:])
            except ValueError:
                bad += 1
    assert bad == 1


@EACH
def test_malformed_json_in_an_answer_that_is_not_streamed(path: str, first: bytes) -> None:
    ended, _ = exchange(path, "[[sim: malformed]]", stream=False)
    assert ended.how == "whole"
    with pytest.raises(ValueError, match=r".*"):
        json.loads(ended.data.partition(b"\r\n\r\n")[2])


# --- time ------------------------------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("stream", [False, True])
def test_the_first_byte_waits(path: str, first: bytes, stream: bool) -> None:
    began = time.monotonic()
    ended, noted = exchange(path, "[[sim: delay=0.15]]", stream=stream)
    assert ended.how == "whole"
    assert time.monotonic() - began >= 0.14
    assert noted.took_ms >= 140


@EACH
def test_an_error_waits_too(path: str, first: bytes) -> None:
    ended, noted = exchange(path, "[[sim: error=500 delay=0.1]]", stream=False)
    assert b" 500 " in ended.data
    assert noted.took_ms >= 90


@EACH
def test_events_are_paced(path: str, first: bytes) -> None:
    ended, noted = exchange(path, "[[sim: pace=0.02]]")
    assert ended.how == "whole"
    assert noted.took_ms >= 18 * (noted.events - 1)


@EACH
@pytest.mark.parametrize(("stream", "count"), [(True, 3), (False, 1), (False, 0)])
def test_a_stalled_answer_stays_silent_until_its_client_goes(
    path: str, first: bytes, stream: bool, count: int
) -> None:
    async def main() -> None:
        async with Simulator(observe=True) as sim, connected(sim) as (reader, writer):
            writer.write(request(path, f"[[sim: tokens=100 stall_after={count}]]", stream))
            await asyncio.sleep(0.1)
            got = b""
            try:
                async with asyncio.timeout(0.2):
                    while more := await reader.read(65536):
                        got += more
            except TimeoutError:
                pass
            assert events_in(got) == (count if stream else 0)
            assert bool(got) == (count > 0)
            assert sim.requests[0].state == "open"
            writer.transport.abort()
            await noted(sim, "aborted")

    asyncio.run(main())


async def noted(sim: Simulator, state: str) -> None:
    """Wait, but not long, until the last request's state is that."""
    async with asyncio.timeout(1):
        while sim.requests[-1].state != state:
            await asyncio.sleep(0.005)


@EACH
@pytest.mark.parametrize("option", ["pace=0.05", "chunk=1", "delay=30", "tokens=200000"])
def test_a_client_that_hangs_up_is_noticed_at_once(path: str, first: bytes, option: str) -> None:
    text = f"[[sim: {option}]]" if "tokens" in option else f"[[sim: tokens=20000 {option}]]"

    async def main() -> None:
        async with Simulator(observe=True) as sim, connected(sim) as (_, writer):
            writer.write(request(path, text))
            await asyncio.sleep(0.1)
            assert sim.requests[-1].state == "open"
            writer.transport.abort()
            await noted(sim, "aborted")
            assert sim.requests[-1].events < 50_000

    asyncio.run(main())


def test_a_client_that_goes_before_its_body_has_come_is_noticed() -> None:
    async def main() -> None:
        async with Simulator(observe=True) as sim, connected(sim) as (_, writer):
            writer.write(request(CLAUDE[0], "Hello")[:-5])
            await asyncio.sleep(0.05)
            writer.transport.abort()
            await noted(sim, "aborted")

    asyncio.run(main())


def test_leaving_the_simulator_ends_a_stalled_stream() -> None:
    async def main() -> bytes:
        async with AsyncExitStack() as stack:
            async with Simulator() as sim:
                reader, writer = await stack.enter_async_context(connected(sim))
                writer.write(request(GPT[0], "[[sim: stall_after=1]]"))
                await reader.readuntil(b"data: ")
            with suppress(ConnectionResetError):
                return await reader.read()
            return b""

    began = time.monotonic()
    assert b"[DONE]" not in asyncio.run(main())
    assert time.monotonic() - began < 2


# --- chunking --------------------------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_the_stream_is_cut_to_the_size_asked_for_and_is_otherwise_the_same(
    path: str, first: bytes, size: int
) -> None:
    plain, _ = exchange(path, "Hello")
    cut, noted = exchange(path, "Hello", **{"x-simulator": f"chunk={size}"})
    pieces, together = dechunked(cut.data)
    assert together == dechunked(plain.data)[1]
    assert all(len(piece) == size for piece in pieces[:-1])
    assert len(pieces[-1]) <= size
    assert noted.state == "finished"


def dechunked(data: bytes) -> tuple[list[bytes], bytes]:
    rest = data.partition(b"\r\n\r\n")[2]
    pieces: list[bytes] = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if length:
            pieces.append(rest[:length])
        rest = rest[length + 2 :]
    return pieces, b"".join(pieces)


@EACH
def test_an_answer_that_is_not_streamed_can_be_written_byte_by_byte(path: str, first: bytes) -> None:
    plain, _ = exchange(path, "Hello", stream=False)
    cut, _ = exchange(path, "Hello", stream=False, **{"x-simulator": "chunk=1"})
    assert cut.data.partition(b"\r\n\r\n")[2] == plain.data.partition(b"\r\n\r\n")[2]


def test_a_break_counts_events_whatever_the_chunks() -> None:
    ended, _ = exchange(GPT[0], "[[sim: tokens=100 chunk=5000 break_after=4]]")
    assert (ended.how, events_in(dechunked_loosely(ended.data))) == ("reset", 4)


def dechunked_loosely(data: bytes) -> bytes:
    return data.partition(b"\r\n\r\n")[2]


# --- how often -------------------------------------------------------------------------------------------------


def test_an_error_rate_hits_its_share_of_requests_and_the_same_ones_each_time() -> None:
    async def statuses() -> list[bytes]:
        async with Simulator(profile="error=503 error_rate=0.3") as sim, connected(sim) as (reader, writer):
            found: list[bytes] = []
            for _ in range(100):
                writer.write(request(GPT[0], "Hello", stream=False))
                ended = await read_all(reader, unary_to_its_end)
                found.append(ended.data.split()[1])
            return found

    first = asyncio.run(statuses())
    assert 15 <= first.count(b"503") <= 45
    assert first.count(b"200") + first.count(b"503") == 100
    assert asyncio.run(statuses()) == first
