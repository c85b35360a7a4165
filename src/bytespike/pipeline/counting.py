"""Counting a prompt's tokens without running it: at the channel where it has an endpoint for that, else here.

Free, and so without a hold. A count made here is an estimate and says so.
"""

from __future__ import annotations

from msgspec import structs

from bytespike.core.notices import Notice
from bytespike.pipeline.attempt import AttemptFailed, Requests, attempt, prepare
from bytespike.pipeline.authenticate import authenticate
from bytespike.pipeline.call import Arrival, Call, Client, called
from bytespike.pipeline.parts import Parts
from bytespike.pipeline.plan import choose
from bytespike.upstream.errors import TransportError
from bytespike.wire.json import NotJSON, decode_object, encode
from bytespike.wire.limits import ERROR_BYTES_MAX

#: A count is asked for while somebody waits to send the prompt: no longer than this.
COUNT_SECONDS = 30.0
ESTIMATED = Notice("input_tokens", "approximated", "counted by the gateway")


async def count(parts: Parts, arrival: Arrival, client: Client) -> None:
    """POST /v1/messages/count_tokens. Raises any GatewayError of authentication and of the request."""
    key, account = await authenticate(parts, arrival.secret, arrival.client_ip)
    client.identified(account)
    call = called(arrival, await client.body())
    chosen = choose(parts, call, key)
    for candidate in chosen.candidates:
        endpoint = candidate.endpoint
        if endpoint.dialect != call.dialect.name or endpoint.count_tokens_target is None:
            continue
        try:
            prepared = prepare(parts, call, chosen, Requests(call, chosen), candidate)
            answer = await attempt(
                parts, candidate, prepared, COUNT_SECONDS, target=endpoint.count_tokens_target
            )
            body = await answer.read(ERROR_BYTES_MAX)
            if isinstance(decode_object(body).get("input_tokens"), int):
                client.respond(body, ())
                return
        except AttemptFailed as failed:
            if failed.about == "request":
                raise failed.error from None
        except (TransportError, NotJSON):
            pass
        break
    tokens = Requests(_with_limit(call), chosen).prompt_tokens()
    client.respond(encode({"input_tokens": tokens}), (ESTIMATED,))


def _with_limit(call: Call) -> Call:
    """A body to be counted has no output limit, and a reader of requests wants one."""
    try:
        body = decode_object(call.body)
    except NotJSON:
        return call
    return structs.replace(call, body=encode({"max_tokens": 1, **body}))
