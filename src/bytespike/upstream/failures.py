"""A channel that was asked and failed: whose fault it is, what the books call it, and what the client is told in the end.

An upstream's own error and a broken exchange are errors of the gateway by the time that they are here
(`core.dialect.UpstreamFailure`, `errors.told_of`). Several causes are one to a client, who is never told what is wrong with a
channel's own credential: "no available channel". Whoever operates the channel wants them apart.
"""

from __future__ import annotations

from typing import Final

from bytespike.errors import (
    ContentPolicyViolation,
    GatewayError,
    InsufficientBalance,
    InvalidKey,
    InvalidRequest,
    NoAvailableChannel,
    NotFound,
    PermissionDenied,
    RateLimited,
    UpstreamError,
    UpstreamTimeout,
)

CONNECTION_FAILED: Final = "connection_failed"
OVERLOADED: Final = "overloaded"
#: What a status says of a channel: as our own errors call it, where they have a word for it.
_OF_CHANNEL: Final = {
    401: InvalidKey.code,
    402: InsufficientBalance.code,
    403: PermissionDenied.code,
    404: NotFound.code,
    429: RateLimited.code,
}
#: Statuses of an upstream that has too much to do.
_BUSY: Final = frozenset({429, 503, 529})


def about_of(error: GatewayError) -> str:
    """Whose fault an error is that an upstream told inside a 200: the caller's own request must not make a channel
    rest, nor be tried on the next one. Whoever read it mostly says so; else its kind does."""
    if error.about:
        return error.about
    if isinstance(error, InvalidRequest | ContentPolicyViolation):
        return "request"
    return "channel" if isinstance(error, RateLimited | InvalidKey | InsufficientBalance) else "upstream"


def noted(error: GatewayError, about: str, status: int) -> str:
    """What an attempt that failed is called in the books, the log and the metrics: one of few words. `status`: the upstream's, or
    what its error amounts to; 0 if none came."""
    if about == "channel":
        return _OF_CHANNEL.get(status, error.code)
    if about == "upstream":
        if status in _BUSY:
            return OVERLOADED
        if error.code == NoAvailableChannel.code:
            # Nothing came; or it was told inside of an answer or a stream, without a status of its own; or it is broken.
            return {0: CONNECTION_FAILED, 200: OVERLOADED}.get(status, UpstreamError.code)
    return error.code


def told(error: GatewayError, about: str, status: int, retry_after: int | None) -> GatewayError:
    """What the client learns when every channel failed, of the last of them: never what is wrong with a channel's own
    credential. `status`: as in `noted`.

    An answer that did not come in time, broke, or was malformed is told as that. An upstream that answered with an
    error is a channel that failed, and so is one that cannot be reached.
    """
    answered_with_error = status not in (0, 200)
    if about == "upstream" and not answered_with_error and isinstance(error, UpstreamTimeout | UpstreamError):
        return error
    return NoAvailableChannel(
        "every channel for this model failed; try again shortly", retry_after=retry_after or 1
    )
