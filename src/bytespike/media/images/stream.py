"""Pictures as they come: relayed event by event, and settled before the last event leaves.

Until the first event is ready the client has seen nothing, so a failure up to then moves on to another channel. After it,
an upstream's failure ends the stream with an error event and costs nothing. A caller that hangs up cuts the upstream and
pays for what it was shown.

A picture's event leaves when the next one is there, or the end: so the last one goes out behind the receipt.
"""

from __future__ import annotations

import asyncio

from msgspec import structs

from bytespike.accounts.records import Channel
from bytespike.errors import GatewayError, InternalError, UpstreamError
from bytespike.media.drawing import Asked, Drawing, DrawingReader, Partial, Step, Tokens
from bytespike.media.images import answer
from bytespike.media.images.attempt import DrawFailed, Site, ask, failed_answer, failed_transport
from bytespike.media.images.keep import Finished, Kept, kept, taken
from bytespike.media.images.settlement import Bill, bill
from bytespike.media.images.work import Work
from bytespike.routing.values import Candidate
from bytespike.upstream.answer import Answer
from bytespike.upstream.errors import TransportError
from bytespike.wire.sse import comment


def tell(work: Work, drawing: Drawing, finished: list[Kept]) -> bytes:
    """A whole answer as the events of a stream."""
    last = len(finished) - 1
    return b"".join(
        answer.completed(
            work.order,
            drawing,
            each,
            edit=work.call.edit,
            created=work.created,
            tokens=drawing.tokens if index == last else None,
        )
        for index, each in enumerate(finished)
    )


async def relay(work: Work, candidate: Candidate[Channel], asked: Asked, reader: DrawingReader) -> None:
    """Raises DrawFailed while the client has seen nothing.

    Long, because every way in which a stream ends is one arm of one `try`: each settles once, and none may be missed."""
    site = work.site(candidate)
    upstream = await ask(work.parts, site, asked.calls[0], work.seconds_left)
    if _is_whole(upstream):
        await _from_whole(work, candidate, upstream)
        return
    shown = _Shown(work, candidate, (*work.order.notices, *map(str, (*work.plan.notices, *asked.notices))))
    try:
        while True:
            data = await upstream.next_chunk_within(work.parts.limits.ping_seconds)
            if data is None:
                await shown.ping()
                continue
            for step in reader.feed(data) if data else reader.end():
                await shown.take(step)
            if not data:
                break
            work.settlement.alive()
        if not shown.pictures:
            raise UpstreamError("the upstream's stream ended without an image")
    except (TransportError, DrawFailed, GatewayError) as error:
        upstream.abort()
        failed = _failure(error, shown, upstream.status)
        if not shown.begun:
            raise failed from None
        work.settlement.failed(failed)
        work.settlement.close()
        work.client.finish(answer.failed(failed.error))
    except (asyncio.CancelledError, ConnectionError):
        upstream.abort()
        if shown.begun and work.client.gone:
            work.settlement.posted(shown.owed(seen=True), shown.notices, "client_gone")
        elif shown.begun:
            # The gateway stops. The client is told, and a stream that ends in an error costs nothing.
            stopped = DrawFailed(UpstreamError("the gateway is shutting down"), "request", upstream.status)
            work.settlement.failed(stopped)
            work.settlement.close()
            work.client.finish(answer.failed(stopped.error))
        raise
    except BaseException:
        upstream.abort()
        raise
    else:
        upstream.abort()
        frames = shown.last_frames()
        if not shown.begun:
            work.client.begin(shown.notices)
        work.settlement.posted(shown.owed(seen=False), shown.notices)
        work.client.finish(frames)


class _Shown:
    """What has come of a stream, and what of it the client has been shown."""

    def __init__(self, work: Work, candidate: Candidate[Channel], notices: tuple[str, ...]) -> None:
        self._work = work
        self._candidate = candidate
        self._waiting: tuple[Drawing, Kept] | None = None
        self._drawing = Drawing()
        self._unfinished = False
        self.notices = notices
        self.begun = False
        self.pictures: list[Finished] = []

    @property
    def site(self) -> Site:
        return self._work.site(self._candidate)

    def refused(self) -> GatewayError | None:
        """Why pictures were not drawn, where that was said of them and not of the stream."""
        return self._drawing.failed

    async def take(self, step: Step) -> None:
        """Raises GatewayError, DrawFailed, ConnectionError."""
        if isinstance(step, GatewayError):
            raise step
        work = self._work
        if isinstance(step, Partial):
            frame = answer.partial(
                work.order, edit=work.call.edit, index=step.index, data=step.data, created=work.created
            )
            self._unfinished = True
            await self._show(frame)
            return
        self._drawing = _more(self._drawing, step)
        if not step.images or len(self.pictures) >= work.order.n:
            return
        site = work.site(self._candidate)
        pictures = await taken(work.parts, site, step.images[:1], work.seconds_left)
        finished = await kept(work.parts, work.call.key.id, pictures, work.form, work.call.base_url)
        before = self._waiting
        self._waiting = (step, finished[0])
        self.pictures += pictures
        self._unfinished = False
        if before is not None:
            await self._show(self._frame(before, None))

    async def ping(self) -> None:
        """Nothing has come for long. Before the first event nothing is sent: another channel could still be tried."""
        self._work.settlement.alive()
        if self.begun:
            await self._work.client.send(comment())

    def last_frames(self) -> bytes:
        """What is still to be shown, with what the provider counted."""
        return b"" if self._waiting is None else self._frame(self._waiting, self._drawing.tokens)

    def owed(self, *, seen: bool) -> Bill:
        """`seen`: the client has gone; it pays for the picture of which it has seen a part, too."""
        count = min(len(self.pictures) + (1 if seen and self._unfinished else 0), self._work.order.n)
        turns = 1
        owed = bill(self._work.plan, self._candidate, self._work.order, self._drawing, self.pictures, turns)
        return owed if owed.rate.per == "turn" else structs.replace(owed, count=count)

    async def _show(self, frames: bytes) -> None:
        client = self._work.client
        if not self.begun:
            self.begun = True
            self._work.settlement.first()
            client.begin(self.notices)
        await client.send(frames)

    def _frame(self, waiting: tuple[Drawing, Kept], tokens: Tokens | None) -> bytes:
        drawing, each = waiting
        work = self._work
        return answer.completed(
            work.order, drawing, each, edit=work.call.edit, created=work.created, tokens=tokens
        )


def _more(before: Drawing, step: Drawing) -> Drawing:
    """What is known by now of all pictures together."""
    return Drawing(
        quality=step.quality or before.quality,
        size=step.size or before.size,
        tokens=step.tokens or before.tokens,
        failed=step.failed or before.failed,
    )


def _failure(error: Exception, shown: _Shown, status: int) -> DrawFailed:
    if isinstance(error, DrawFailed):
        return error
    if isinstance(error, TransportError):
        return failed_transport(error, status)
    assert isinstance(error, GatewayError)
    if isinstance(error, InternalError):
        # The channel has drawn; what failed is ours.
        return DrawFailed(error, "request", status)
    refused = shown.refused()
    return failed_answer(refused or error, shown.site, status)


def _is_whole(upstream: Answer) -> bool:
    """Some servers answer a streamed request with one JSON body."""
    content_type = upstream.headers.get(b"content-type", b"text/event-stream")
    return content_type.lower().startswith(b"application/json")


async def _from_whole(work: Work, candidate: Candidate[Channel], upstream: Answer) -> None:
    """A stream was asked for and a whole answer came: tell it as a stream. Raises DrawFailed."""
    site = work.site(candidate)
    try:
        body = await upstream.read(work.parts.limits.answer_bytes_max)
    except TransportError as error:
        raise failed_transport(error, upstream.status) from None
    try:
        drawing = site.adapter.read(body)
    except GatewayError as error:
        raise failed_answer(error, site, upstream.status) from None
    work.settlement.first()
    drawing = structs.replace(drawing, images=drawing.images[: work.order.n])
    pictures = await taken(work.parts, site, drawing.images, work.seconds_left)
    finished = await kept(work.parts, work.call.key.id, pictures, work.form, work.call.base_url)
    notices = (*work.order.notices, *map(str, work.plan.notices))
    frames = tell(work, drawing, finished)
    work.client.begin(notices)
    work.settlement.posted(bill(work.plan, candidate, work.order, drawing, pictures, 1), notices)
    work.client.finish(frames)
