"""One request's life, in order.

    authenticate   whose key is it, and may it call from here?
    plan           what was asked, of which model, which channels can answer, what can it cost at most?
    hold           that much is set aside; from here on exactly one of post and void follows
    attempt        the best channel is called; if it fails before the client has seen a byte, the next one is
    relay          the answer goes to the client, whole or event by event, in the client's dialect
    settle         what was delivered is posted, durably, before its last byte leaves; else the hold is voided

Errors rise as `errors.GatewayError`; whoever called `serve` tells the client. Nothing here knows a status code.
"""

from __future__ import annotations

from bytespike.errors import InvalidRequest, NoAvailableChannel, UnsupportedFeature
from bytespike.ledger.amounts import format_usd
from bytespike.pipeline.attempt import AttemptFailed, Requests, attempt, prepare
from bytespike.pipeline.authenticate import authenticate
from bytespike.pipeline.call import Arrival, Call, Client
from bytespike.pipeline.parts import Parts
from bytespike.pipeline.plan import called, choose, worst_cost
from bytespike.pipeline.settlement import Settlement
from bytespike.pipeline.stream import relay_stream
from bytespike.pipeline.succession import Succession
from bytespike.pipeline.threads import resumed, retold
from bytespike.pipeline.unary import relay_unary
from bytespike.pipeline.values import Cost, Plan
from bytespike.upstream.failures import told
from bytespike.wire.json import encode

#: With less than this left of a request's time another attempt cannot succeed, and would only cost.
SECONDS_LEFT_MIN = 1.0


async def serve(parts: Parts, arrival: Arrival, client: Client) -> None:
    """Carry one request from its arrival to its last byte. A caller that hangs up cancels this, wherever it waits.

    Raises: any GatewayError while the client has seen nothing of an answer.
    """
    key, account = await authenticate(parts, arrival.secret, arrival.client_ip)
    client.identified(account)
    call = await resumed(parts, key, called(arrival, await client.body()))
    chosen = choose(parts, call, key, only_priced=call.dry_run)
    cost = worst_cost(call, chosen)
    hold = await parts.ledger.acquire(account, call.request_id, cost.credits, chosen.model.slug)
    client.held(cost.credits)
    settlement = Settlement(parts, call, key, chosen, hold)
    try:
        if call.dry_run:
            client.respond(_preview(chosen, cost), ())
        else:
            await _deliver(parts, call, client, chosen, settlement, cost.prompt_tokens)
    finally:
        settlement.close()


async def _deliver(
    parts: Parts, call: Call, client: Client, chosen: Plan, settlement: Settlement, prompt_tokens: int
) -> None:
    """Try the channels in order until one has answered."""
    requests = Requests(call, chosen)
    relay = relay_stream if chosen.peek.stream else relay_unary
    refused: InvalidRequest | None = None
    last: AttemptFailed | None = None
    succession = Succession(parts, chosen, prompt_tokens)
    while (candidate := succession.next()) is not None:
        try:
            prepared = prepare(parts, call, chosen, requests, candidate)
        except UnsupportedFeature as error:
            # Another dialect of this channel may carry it, this one with content fetched, or another channel.
            if refused is None or (isinstance(refused, UnsupportedFeature) and refused.by_url is not None):
                refused = error.with_traceback(None)
            succession.instead(await requests.instead(parts, candidate, error))
            continue
        except InvalidRequest as error:
            refused = error.with_traceback(None)
            continue
        if last is not None and _seconds_left(parts, call) < SECONDS_LEFT_MIN:
            break
        if not succession.begins(candidate):
            continue
        settlement.begin(candidate, succession)
        try:
            answer = await attempt(parts, candidate, settlement.traced(prepared), _seconds_left(parts, call))
            await relay(parts, call, client, chosen, settlement, requests, prepared, answer)
        except AttemptFailed as failed:
            settlement.failed(failed)
            if failed.about == "request":
                again = retold(call, candidate, failed.error)
                if again is None:
                    raise failed.error from None
                call = again
                succession.again(candidate)
                continue
            # Its frames have this one among them, which would keep it, and the body, until somebody collects.
            last = failed.with_traceback(None)
        else:
            return
    if last is not None:
        raise told(last.error, last.about, last.status, last.retry_after) from None
    if refused is not None:
        raise refused
    # Each of them began to rest, or was full, since the plan was made.
    raise NoAvailableChannel(
        f"every channel for {chosen.model.slug} is cooling down; try again shortly", retry_after=1
    )


def _seconds_left(parts: Parts, call: Call) -> float:
    """Of the time that all attempts of a request share."""
    return parts.timeouts.total - (parts.clock.monotonic_ns() - call.started_ns) / 1e9


def _preview(chosen: Plan, cost: Cost) -> bytes:
    """The answer to a dry run: what the request may cost at most."""
    return encode(
        {
            "object": "dry_run",
            "model": chosen.requested,
            "estimated_credits": format_usd(cost.credits),
            "estimated_prompt_tokens": cost.prompt_tokens,
        }
    )
