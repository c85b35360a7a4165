"""Counting a prompt's tokens without running it: at the channel where it has an endpoint for that, else here.

Free, and so without a hold. A count made here is an estimate and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct, structs

from bytespike.core.notices import Notice
from bytespike.errors import UpstreamError
from bytespike.pipeline.attempt import AttemptFailed, Requests, attempt, prepare
from bytespike.pipeline.authenticate import authenticate
from bytespike.pipeline.call import Arrival, Call, Client
from bytespike.pipeline.parts import Parts
from bytespike.pipeline.plan import called, choose, fitting_prompt_tokens
from bytespike.protocols.gemini import counting as gemini
from bytespike.providers.choice import filled
from bytespike.upstream.errors import TransportError
from bytespike.wire.json import NotJSON, decode_object, encode
from bytespike.wire.limits import ERROR_BYTES_MAX

#: A count is asked for while somebody waits to send the prompt: no longer than this.
COUNT_SECONDS = 30.0
#: White space that may stand before a body's first member and be seen through.
_SPACE_BYTES = 64


class Counting(Struct, frozen=True):
    """How a dialect asks for a count. `request`: a body to be counted as the body of a request for a completion. `read`:
    the count in an upstream's answer; raises UpstreamError, NotJSON. `write`: the answer. `field`: the count's name."""

    request: Callable[[bytes], bytes]
    read: Callable[[bytes], int]
    write: Callable[[int], bytes]
    field: str


def _with_limit(body: bytes) -> bytes:
    """A body to be counted has no output limit, and a reader of requests wants one. One that it has all the same stands
    behind this one, and the last of two members is the one that is read."""
    start = body.find(b"{") + 1
    if start and body[start : start + _SPACE_BYTES].lstrip()[:1] == b'"':
        return b"".join((memoryview(body)[:start], b'"max_tokens":1,', memoryview(body)[start:]))
    try:
        return encode({"max_tokens": 1, **decode_object(body)})
    except NotJSON:
        return body


def _input_tokens(body: bytes) -> int:
    tokens = decode_object(body).get("input_tokens")
    if not isinstance(tokens, int):
        raise UpstreamError("the upstream's count is malformed")
    return tokens


COUNTINGS: Mapping[str, Counting] = {
    "anthropic_messages": Counting(
        _with_limit, _input_tokens, lambda tokens: encode({"input_tokens": tokens}), "input_tokens"
    ),
    "gemini": Counting(gemini.counted_request, gemini.read_count, gemini.write_count, "totalTokens"),
}


async def count(parts: Parts, arrival: Arrival, client: Client) -> None:
    """POST /v1/messages/count_tokens, …:countTokens. Raises any GatewayError of authentication and of the request."""
    key, account = await authenticate(parts, arrival.secret, arrival.client_ip)
    client.identified(account)
    call = called(arrival, await client.body())
    counting = COUNTINGS[call.dialect.name]
    chosen = choose(parts, call, key)
    # It is free, so its work must be bounded by what could also be sent.
    fitting_prompt_tokens(call.body, chosen.model)
    for candidate in chosen.candidates:
        endpoint = candidate.endpoint
        if endpoint.dialect != call.dialect.name or endpoint.count_tokens_target is None:
            continue
        try:
            prepared = prepare(parts, call, chosen, Requests(call, chosen), candidate)
            answer = await attempt(
                parts,
                candidate,
                prepared,
                parts.timeouts.total,
                target=filled(endpoint.count_tokens_target, prepared.target.model),
                seconds_max=COUNT_SECONDS,
            )
            body = await answer.read(ERROR_BYTES_MAX)
            counting.read(body)
            client.respond(body, ())
            return
        except AttemptFailed as failed:
            if failed.about == "request":
                raise failed.error from None
        except (TransportError, NotJSON, UpstreamError):
            pass
        break
    tokens = Requests(_as_request(call, counting), chosen).prompt_tokens()
    client.respond(
        counting.write(tokens), (Notice(counting.field, "approximated", "counted by the gateway"),)
    )


def _as_request(call: Call, counting: Counting) -> Call:
    return structs.replace(call, body=counting.request(call.body))
