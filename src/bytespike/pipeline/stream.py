"""A streamed answer: relay it event by event, and settle before its last event leaves.

Until the first event is ready the client has seen nothing, so a failure up to then can move on to another channel.
After it, an upstream's failure ends the stream in the client's own dialect and costs nothing; a client that hangs up
cuts the upstream and pays for what had been produced. Where that comes to more than is held, and no more can be, the
stream ends as at its token limit (`allowance`).

A long silence is bridged with the client dialect's own keep-alive, between two events: proxies and clients take a connection
that says nothing for dead. Once an upstream has answered at all, that begins the client's answer, and so another channel
cannot be tried any more; before, nothing is bridged. Nothing of it is billed, kept or measured.
"""

from __future__ import annotations

import asyncio

from msgspec import structs

from bytespike.core import fold as folding
from bytespike.core.dialect import StreamWriter, Tap
from bytespike.core.fold import StreamOutOfOrder
from bytespike.core.notices import Notice
from bytespike.core.renaming import restored_response
from bytespike.core.usage import Usage
from bytespike.errors import GatewayError, UpstreamError
from bytespike.pipeline.allowance import Allowance
from bytespike.pipeline.attempt import AttemptFailed, Requests, failed_answer, failed_transport
from bytespike.pipeline.call import Call, Client
from bytespike.pipeline.parts import Parts
from bytespike.pipeline.settle import usage_of_answer, usage_of_unreported, usage_so_far
from bytespike.pipeline.settlement import Settlement
from bytespike.pipeline.threads import Continued, Keeping
from bytespike.pipeline.threads import keeping as keeping_of
from bytespike.pipeline.translation import Translation
from bytespike.pipeline.unary import reply_of
from bytespike.pipeline.values import Plan, Prepared
from bytespike.pricing.cost import nothing
from bytespike.upstream.answer import Answer
from bytespike.upstream.errors import TransportError

#: How long the end of an upstream's answer may take after its closing frame.
TAIL_SECONDS = 1.0
#: On the receipt of a stream that was ended because nothing more could be held for it.
OUT_OF_FUNDS = "out_of_funds"
_REST_DROPPED = Notice("rest of the answer", "dropped", "out of funds")


async def relay_stream(
    parts: Parts,
    call: Call,
    client: Client,
    plan: Plan,
    settlement: Settlement,
    requests: Requests,
    prepared: Prepared,
    answer: Answer,
) -> None:
    """Raises AttemptFailed while the client has seen nothing.

    Long, because every way in which a stream ends is one arm of one `try`: each settles once, and none may be missed."""
    reply = reply_of(parts, call, plan, prepared)
    # In passthrough it only ever writes an error, behind bytes that it has not seen.
    writer = call.dialect.stream_writer(structs.replace(reply, begun=True) if prepared.same else reply)
    if not is_event_stream(answer) and not (prepared.same and plan.peek.array):
        await _whole_as_stream(parts, call, client, plan, settlement, requests, prepared, answer)
        return
    relay: Tap
    if prepared.same:
        relay = prepared.dialect.tap(plan.peek, plan.requested)
        if call.thread is not None and call.thread.previous_id is not None:
            relay = Continued(relay, call)
    else:
        relay = Translation(prepared.dialect.stream_reader(), writer, prepared.renamed)
    notices = prepared.notices
    keeping = keeping_of(parts, call, settlement.candidate, native=prepared.same)
    allowance = Allowance(plan, settlement, requests)
    quiet = _Quiet(parts.limits.stream_ping_s)
    opening = _Opening(client, notices, array=plan.peek.array)
    begun = False
    cut = False
    try:
        while True:
            data = await _next_chunk(answer, relay, quiet.seconds_left)
            if data is None:
                quiet.broken()
                await opening.bridge(writer)
                continue
            out = relay.feed(data) if data else relay.end()
            if keeping is not None:
                keeping.feed(out)
            if out and not begun and relay.failure is None:
                begun = True
                settlement.first_byte()
                opening.begin()
                allowance.begun(relay)
            if relay.failure is not None:
                raise _Broken(relay.failure, out)
            if relay.ended or not data:
                break
            settlement.alive()
            if (
                relay.produced_chars > allowance.chars_max
                and not relay.complete
                and not await allowance.goes_on(relay)
            ):
                cut = True
                break
            if out:
                quiet.broken()
                await client.send(out)
            elif quiet.too_long():
                await opening.bridge(writer)
    except TransportError as error:
        failed = failed_transport(error, answer.status)
        if not opening.begun:
            raise failed from None
        if error.kind == "timeout_total" and client.stalled_seconds > 0:
            # The client did not keep up, and so the time ran out: that is its hang-up, not the upstream's failure.
            client.abort()
            settlement.posted(usage_so_far(relay, requests), notices, "client_gone")
            return
        _fail(client, settlement, failed, writer.fail(failed.error))
    except _Broken as broken:
        answer.abort()
        failed = failed_answer(broken.error, prepared, answer.status)
        if not opening.begun:
            raise failed from None
        _fail(client, settlement, failed, broken.before + writer.fail(failed.error))
    except (asyncio.CancelledError, ConnectionError):
        answer.abort()
        if begun and client.gone:
            settlement.posted(usage_so_far(relay, requests), notices, "client_gone")
        elif opening.begun and not client.gone:
            # The gateway stops. The client is told, and an answer that ends in an error costs nothing.
            stopped = AttemptFailed(UpstreamError("the gateway is shutting down"), "request", answer.status)
            _fail(client, settlement, stopped, writer.fail(stopped.error))
        raise
    except BaseException:
        answer.abort()
        raise
    else:
        if cut:
            answer.abort()
        ending = _Ending.cut(relay, requests) if cut else _Ending.whole(relay, requests)
        if keeping is not None:
            try:
                await ending.keep(keeping)
            except asyncio.CancelledError:
                if client.gone:
                    settlement.posted(ending.usage, notices, "client_gone")
                raise
        opening.begin()
        # What the answer lost on its way is known only now: the receipt has it, the headers cannot.
        settlement.posted(ending.usage, (*notices, *writer.notices, *ending.notices), ending.reason)
        client.finish(out + ending.frames)
        await _let_go(answer)


class _Ending:
    """How a stream ends that does not fail. `reason`: the receipt's. `frames`: what its client gets behind all else."""

    __slots__ = ("frames", "notices", "reason", "usage")

    def __init__(
        self,
        usage: Usage,
        reason: str = "completed",
        notices: tuple[Notice, ...] = (),
        frames: bytes = b"",
    ) -> None:
        self.usage = usage
        self.reason = reason
        self.notices = notices
        self.frames = frames

    @staticmethod
    def whole(relay: Tap, requests: Requests) -> _Ending:
        usage = relay.usage
        if usage is None or nothing(usage):
            usage = usage_of_unreported(relay.produced_chars, requests)
        return _Ending(usage)

    @staticmethod
    def cut(relay: Tap, requests: Requests) -> _Ending:
        """Nothing more can be held for it."""
        usage = usage_so_far(relay, requests)
        return _Ending(usage, OUT_OF_FUNDS, (_REST_DROPPED,), relay.cut(usage))

    async def keep(self, keeping: Keeping) -> None:
        if self.frames:
            keeping.cut()
            keeping.feed(self.frames)
        await keeping.streamed()


async def _let_go(answer: Answer) -> None:
    """Nothing that matters follows. Read to the end if that comes at once, so that the connection can be used again."""
    try:
        while await answer.next_chunk_within(TAIL_SECONDS):
            pass
    except TransportError:
        pass
    finally:
        answer.abort()


class _Opening:
    """The head of the client's answer, which goes out once: with its first event, or with what bridges a silence."""

    __slots__ = ("_array", "_client", "_notices", "begun")

    def __init__(self, client: Client, notices: tuple[Notice, ...], *, array: bool) -> None:
        self._client = client
        self._notices = notices
        self._array = array
        self.begun = False

    def begin(self) -> None:
        if not self.begun:
            self.begun = True
            self._client.begin(self._notices, array=self._array)

    async def bridge(self, writer: StreamWriter) -> None:
        self.begin()
        await self._client.send(writer.keep_alive())


class _Quiet:
    """How long the client has heard nothing. What goes to it costs an assignment: the clock is read only where there was
    something that says nothing to it."""

    __slots__ = ("_seconds", "_until")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = 0.0

    @property
    def seconds_left(self) -> float:
        """Until it is to hear something."""
        if not self._until:
            return self._seconds
        return max(0.0, self._until - asyncio.get_running_loop().time())

    def broken(self) -> None:
        self._until = 0.0

    def too_long(self) -> bool:
        """It goes on: whether for too long, in which case it is about to be broken."""
        now = asyncio.get_running_loop().time()
        if not self._until:
            self._until = now + self._seconds
            return False
        if now < self._until:
            return False
        self._until = 0.0
        return True


async def _next_chunk(answer: Answer, relay: Tap, seconds: float) -> bytes | None:
    """What has come, b"" at the end, None if that is nothing within `seconds`. A connection that breaks after the answer
    was whole is an end like any other."""
    try:
        return await answer.next_chunk_within(seconds)
    except TransportError:
        if not relay.complete:
            raise
        return b""


class _Broken(Exception):
    """The stream's content failed. `before`: what still goes out ahead of the error."""

    def __init__(self, error: GatewayError, before: bytes) -> None:
        super().__init__(error.message)
        self.error = error
        self.before = before


def _fail(client: Client, settlement: Settlement, failed: AttemptFailed, frames: bytes) -> None:
    settlement.failed(failed)
    settlement.close()
    client.finish(frames)


def is_event_stream(answer: Answer) -> bool:
    """Some vendors answer a streamed request with one JSON body."""
    content_type = answer.headers.get(b"content-type", b"text/event-stream")
    return not content_type.lower().startswith(b"application/json")


async def _whole_as_stream(
    parts: Parts,
    call: Call,
    client: Client,
    plan: Plan,
    settlement: Settlement,
    requests: Requests,
    prepared: Prepared,
    answer: Answer,
) -> None:
    """A stream was asked for and a whole answer came: tell it as a stream."""
    try:
        body = await answer.read(parts.limits.answer_bytes_max)
    except TransportError as error:
        raise failed_transport(error, answer.status) from None
    settlement.first_byte()
    writer = call.dialect.stream_writer(reply_of(parts, call, plan, prepared))
    try:
        response = restored_response(prepared.dialect.read_response(body), prepared.renamed)
        frames = writer.write(list(folding.unfold(response)))
    except (GatewayError, StreamOutOfOrder) as error:
        wrong = (
            error if isinstance(error, GatewayError) else UpstreamError("the upstream's answer is malformed")
        )
        raise failed_answer(wrong, prepared, answer.status) from None
    notices: tuple[Notice, ...] = (*prepared.notices, *writer.notices)
    usage = response.usage
    if nothing(usage):
        usage = usage_of_answer(response, requests)
    keeping = keeping_of(parts, call, settlement.candidate, native=prepared.same)
    if keeping is not None:
        keeping.feed(frames)
        await keeping.streamed()
    client.begin(notices, array=plan.peek.array)
    settlement.posted(usage, notices)
    client.finish(frames)
