"""From what was used to what is owed: the receipt of a request and the record of each attempt."""

from __future__ import annotations

from msgspec import structs

from bytespike.accounts.records import Channel, KeyRecord
from bytespike.core.content import (
    Part,
    ReasoningPart,
    RefusalPart,
    ServerToolCallPart,
    TextPart,
    ToolCallPart,
)
from bytespike.core.dialect import Tap
from bytespike.core.json_types import NO_EXTRAS
from bytespike.core.notices import Notice
from bytespike.core.response import ChatResponse
from bytespike.core.usage import NO_USAGE, Usage
from bytespike.ledger.records import Attempt, Receipt
from bytespike.pipeline.attempt import Requests
from bytespike.pipeline.call import Call
from bytespike.pipeline.values import Plan, Timing
from bytespike.pricing.cost import cost
from bytespike.pricing.estimate import tokens_of_chars, tokens_of_text
from bytespike.pricing.price import ONE_PPM
from bytespike.routing.values import Candidate

_NS_PER_MS = 1_000_000


def receipt(
    call: Call,
    plan: Plan,
    key: KeyRecord,
    candidate: Candidate[Channel],
    usage: Usage,
    notices: tuple[Notice, ...],
    timing: Timing,
    now_us: int,
    end_reason: str,
    held: int,
) -> Receipt:
    """What one request owes: its usage at the price of its admission."""
    entry = candidate.channel.models[plan.model.slug]
    return Receipt(
        request_id=call.request_id,
        at=now_us,
        key_id=key.id,
        user_id=key.user_id,
        org_id=key.org_id,
        account_id=key.account_id,
        group_id=key.group_id,
        channel_id=candidate.channel.id,
        upstream_provider=candidate.channel.platform,
        model=plan.model.slug,
        requested_model=plan.requested,
        upstream_model=entry.upstream_model,
        protocol=call.dialect.name,
        upstream_protocol=candidate.endpoint.dialect,
        stream=plan.peek.stream,
        # The provider's further figures are for the answer, not for the books.
        usage=structs.replace(usage, extras=NO_EXTRAS) if usage.extras else usage,
        credits=cost(usage, entry.price, plan.multiplier_ppm),
        held=held,
        price=entry.price,
        multiplier_ppm=plan.multiplier_ppm,
        end_reason=end_reason,
        notices=tuple(map(str, notices)),
        latency_ms=_ms(timing.call_ns, timing.now_ns),
        first_token_ms=_ms(timing.call_ns, timing.first_byte_ns),
    )


def attempt_record(
    call: Call,
    plan: Plan,
    candidate: Candidate[Channel],
    ordinal: int,
    timing: Timing,
    now_us: int,
    *,
    status: int,
    outcome: str,
    error: str = "",
    usage: Usage = NO_USAGE,
    reason: str = "",
    passed_over: str = "",
) -> Attempt:
    """What one upstream call came to, and what its provider will charge for it."""
    entry = candidate.channel.models[plan.model.slug]
    return Attempt(
        request_id=call.request_id,
        ordinal=ordinal,
        at=now_us,
        channel_id=candidate.channel.id,
        upstream_provider=candidate.channel.platform,
        upstream_model=entry.upstream_model,
        status=status,
        outcome=outcome,
        error=error,
        input_tokens=usage.prompt_total,
        output_tokens=usage.output,
        cost=cost(usage, entry.price, ONE_PPM),
        latency_ms=_ms(timing.attempt_ns, timing.now_ns),
        first_token_ms=_ms(timing.attempt_ns, timing.first_byte_ns),
        reason=reason,
        passed_over=passed_over,
    )


def _ms(since_ns: int, until_ns: int) -> int:
    return max(0, until_ns - since_ns) // _NS_PER_MS


def usage_so_far(relay: Tap, requests: Requests) -> Usage:
    """What a cut stream had used: the provider's own figures where they came, else counted from what went by.

    Providers report output only at the end, so the larger of their figure and the count holds for output.
    """
    reported = relay.usage
    counted = tokens_of_chars(relay.produced_chars)
    if relay.complete and reported is not None:
        return reported
    if reported is None or reported.prompt_total == 0:
        prompt = requests.prompt_tokens()
        base = reported or NO_USAGE
        return structs.replace(base, input=prompt, output=max(base.output, counted), exact=False)
    if counted <= reported.output:
        return reported
    return structs.replace(reported, output=counted, exact=False)


def usage_of_unreported(chars: int, requests: Requests) -> Usage:
    """For a whole answer whose provider reported nothing: counted from the request and the answer's characters."""
    return Usage(input=requests.prompt_tokens(), output=tokens_of_chars(chars), exact=False)


def usage_of_answer(response: ChatResponse, requests: Requests) -> Usage:
    """The same, where the answer has been read: what is not text of the model's costs nothing."""
    output = sum(
        tokens_of_text(text)
        for candidate in response.candidates
        for part in candidate.parts
        for text in _said(part)
    )
    return Usage(input=requests.prompt_tokens(), output=output, exact=False)


def _said(part: Part) -> tuple[str, ...]:
    match part:
        case TextPart(text=text) | ReasoningPart(text=text) | RefusalPart(text=text):
            return (text,)
        case (
            ToolCallPart(name=name, arguments=arguments) | ServerToolCallPart(name=name, arguments=arguments)
        ):
            return (name, arguments)
        case _:
            return ()
