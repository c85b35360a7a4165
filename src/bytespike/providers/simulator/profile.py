"""How an answer is delivered: when its first byte comes, how its bytes are cut, and where it breaks."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Literal, Protocol, TypeAlias

from bytespike.providers.simulator.directives import SECONDS_MAX, Directives
from bytespike.providers.simulator.exchange import Fault, Reply, World

#: A stream without pauses lets other connections have their turn after so many writes.
WRITES_PER_TURN = 16
#: The event, counted from 1, that is spoilt when broken JSON is asked for.
MALFORMED_EVENT = 3

Send: TypeAlias = "Callable[[bytes, bool], Awaitable[None]]"
Start: TypeAlias = "Callable[[int | None], Awaitable[None]]"
Ending: TypeAlias = Literal["finished", "broken", "aborted"]
Note: TypeAlias = "Callable[[Ending, int], None]"


def fail_if_asked(sim: Directives, world: World, ordinal: int) -> None:
    """Raises the `Fault` that a directive asks for, for the share of requests that it asks for."""
    if sim.error is None:
        return
    if sim.error_rate < 1.0:
        drawn = hashlib.blake2b(ordinal.to_bytes(8, "big"), key=world.seed[:64], digest_size=8).digest()
        if int.from_bytes(drawn, "big") / 2**64 >= sim.error_rate:
            return
    message = sim.error_text or f"The simulator was asked for an error {sim.error}."
    raise Fault(sim.error, message, retry_after=sim.retry_after, delivery=sim)


class Line(Protocol):
    """The connection to the client, once the headers' turn has come."""

    @property
    def gone(self) -> bool:
        """The client has hung up."""
        ...

    async def pause(self, seconds: float) -> bool:
        """Wait, but no longer than the client stays. True if it has gone."""
        ...

    async def reset(self) -> None:
        """Cut the connection with a reset, after what was written has left."""
        ...

    async def close(self) -> None:
        """Close the connection in order, in the middle of whatever it was saying."""
        ...


class _Cut(Exception):
    """The answer ends here, as was asked for."""


class _Gone(Exception):
    """The answer ends here, because its client has gone."""


class Delivery:
    """One answer on its way. `note` is told how it ends, and after how many events, just before the client can tell."""

    __slots__ = ("_buffer", "_events", "_line", "_note", "_send", "_sim", "_writes")

    def __init__(self, sim: Directives, line: Line, send: Send, note: Note) -> None:
        self._sim = sim
        self._line = line
        self._send = send
        self._note = note
        self._buffer = b""
        self._writes = 0
        self._events = 0

    async def run(self, reply: Reply, start: Start) -> None:
        """Deliver. `start` sends status and headers; it is given the body's length, None where it is not known before."""
        sim = self._sim
        try:
            if sim.delay and await self._line.pause(sim.delay):
                raise _Gone
            if reply.frames is None:
                await self._whole(reply.body, start)
            else:
                await start(reply.length)
                await self._stream(reply.frames, reply.error_frames)
        except _Cut:
            pass
        except _Gone:
            self._note("aborted", self._events)

    async def _whole(self, body: bytes, start: Start) -> None:
        sim = self._sim
        if sim.malformed:
            body = body[: len(body) // 2]
        points = [point for point in (sim.break_after, sim.cut_after, sim.stall_after) if point is not None]
        if points:
            if min(points) > 0:
                await start(len(body))
                await self._write(body[: len(body) // 2])
            await self._break(min(points))
        await start(len(body))
        if sim.chunk is None:
            self._buffer = body
        else:
            await self._write(body)
        await self._finish()

    async def _stream(self, frames: Iterator[bytes], error_frames: bytes) -> None:
        sim = self._sim
        error_at = sim.error_event_after
        steady = not (sim.breaks or sim.pace or sim.malformed or error_at is not None)
        for frame in frames:
            if not steady:
                if await self._interrupted(error_frames):
                    return
                frame = self._spoilt(frame)
            await self._write(frame)
            self._events += 1
            if self._line.gone:
                raise _Gone
        await self._break(self._events)
        await self._finish()

    async def _interrupted(self, error_frames: bytes) -> bool:
        """What is due before the next event. True if the stream has ended with the dialect's error."""
        sim, done = self._sim, self._events
        await self._break(done)
        if sim.error_event_after is not None and done >= sim.error_event_after:
            await self._write(error_frames)
            await self._finish()
            return True
        if sim.pace and done:
            await self._flush()
            if await self._line.pause(sim.pace):
                raise _Gone
        return False

    async def _break(self, done: int) -> None:
        """End the connection if the moment for it has come. Raises `_Cut`, `_Gone`."""
        sim = self._sim
        if sim.break_after is not None and done >= sim.break_after:
            await self._flush()
            self._note("broken", done)
            await self._line.reset()
            raise _Cut
        if sim.cut_after is not None and done >= sim.cut_after:
            await self._flush()
            self._note("broken", done)
            await self._line.close()
            raise _Cut
        if sim.stall_after is not None and done >= sim.stall_after:
            await self._flush()
            if await self._line.pause(SECONDS_MAX):
                raise _Gone
            self._note("broken", done)
            await self._line.close()
            raise _Cut

    def _spoilt(self, frame: bytes) -> bytes:
        if not self._sim.malformed or self._events + 1 != MALFORMED_EVENT:
            return frame
        body = frame.rstrip(b"\n")
        return body[: -len(body) // 4] + b"\n\n"

    async def _write(self, data: bytes) -> None:
        chunk = self._sim.chunk
        if chunk is None:
            await self._send(data, True)
            await self._breathe()
            return
        data = self._buffer + data
        whole = len(data) - len(data) % chunk
        self._buffer = data[whole:]
        for at in range(0, whole, chunk):
            await self._send(data[at : at + chunk], True)
            # Each piece leaves on its own, or the socket would join them again.
            await asyncio.sleep(0)
            if self._line.gone:
                raise _Gone

    async def _breathe(self) -> None:
        self._writes += 1
        if self._writes % WRITES_PER_TURN == 0:
            await asyncio.sleep(0)

    async def _flush(self) -> None:
        rest, self._buffer = self._buffer, b""
        if rest:
            await self._send(rest, True)

    async def _finish(self) -> None:
        """Send what is left, and the end of the response."""
        if self._line.gone:
            raise _Gone
        self._note("finished", self._events)
        await self._send(self._buffer, False)
