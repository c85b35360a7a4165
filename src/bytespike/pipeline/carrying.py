"""Requests to endpoints whose transport is not the dialect's own (`providers.carriage`): packed, signed, unpacked."""

from __future__ import annotations

from bytespike.clock import Clock
from bytespike.providers.access_tokens import AccessTokens, Ask, TokenUnavailable
from bytespike.providers.carriage import Carriage, Parcel
from bytespike.upstream.answer import Answer
from bytespike.upstream.client import Client
from bytespike.upstream.errors import TransportError
from bytespike.upstream.limits import Timeouts
from bytespike.wire.address import Origin, Proxy
from bytespike.wire.limits import ERROR_BYTES_MAX

#: A token is asked for while somebody's request waits.
TOKEN_TIMEOUTS = Timeouts(connect=5.0, first_byte=10.0, idle=10.0, total=15.0)
_EVENT_STREAM = b"text/event-stream"


def asking(upstream: Client) -> Ask:
    """How access tokens are asked for: through the one way out."""

    async def ask(
        origin: Origin, target: bytes, head: bytes, body: bytes, proxy: Proxy | None
    ) -> tuple[int, bytes]:
        try:
            answer = await upstream.request(origin, b"POST", target, head, body, TOKEN_TIMEOUTS, proxy=proxy)
            return answer.status, await answer.read(ERROR_BYTES_MAX)
        except TransportError as error:
            raise TokenUnavailable(f"{error.kind}: {error.message}", 0) from None

    return ask


async def signature(
    carriage: Carriage, path: bytes, head: bytes, body: bytes, clock: Clock, tokens: AccessTokens
) -> bytes:
    """The header lines that say who is asking. Raises TokenRefused, TokenUnavailable."""
    return await carriage.signed(Parcel(path, head, body), clock.now_us(), tokens)


def unframed(carriage: Carriage, answer: Answer) -> Answer:
    """A success, in the dialect's own form. Raises TransportError."""
    unframing = carriage.unframing(answer.headers.get(b"content-type", b""))
    if unframing is not None:
        answer.decode(unframing, _EVENT_STREAM)
    return answer
