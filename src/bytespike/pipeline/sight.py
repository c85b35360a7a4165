"""What of each request is counted and traced, when it has come to its end.

All that is told is in its receipt and in the records of its attempts, so `settlement` tells it once, when the hold has
resolved; only a trace's ids are needed before, for an upstream that shall go on with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from msgspec import structs

from bytespike.ledger.records import Attempt, Receipt
from bytespike.observe import counting, genai
from bytespike.observe.tallies import FAILED, NOBODY
from bytespike.observe.tracing import CONTENT_BYTES_MAX, Trace, UpstreamCall
from bytespike.pipeline.call import Call
from bytespike.pipeline.parts import Parts
from bytespike.pipeline.values import Plan, Prepared

#: How a request ends that nobody is billed for, where no upstream was asked.
REFUSED = "refused"
DRY_RUN = "dry_run"


def trace_of(parts: Parts, request_id: str) -> Trace | None:
    """Of a request that is under way; None where there is none, or nobody will see it."""
    tracing = parts.tracing
    if tracing is None:
        return None
    trace = tracing.of(request_id)
    return trace if trace is not None and (trace.sampled or tracing.propagate) else None


def carried(parts: Parts, prepared: Prepared, trace: Trace | None) -> Prepared:
    """What is about to be sent, with what tells the upstream of the trace, where it shall know."""
    if trace is None or parts.tracing is None or not parts.tracing.propagate:
        return prepared
    return structs.replace(prepared, head=prepared.head + trace.header_lines())


def tell_posted(
    parts: Parts, call: Call, plan: Plan, receipt: Receipt, attempts: Sequence[Attempt], trace: Trace | None
) -> None:
    """Something was delivered, and is billed."""
    tallies = parts.tallies
    counting.billed(
        tallies,
        (receipt.protocol, receipt.upstream_protocol, receipt.model, receipt.stream),
        receipt.end_reason,
        receipt.latency_ms,
        receipt.first_token_ms,
        receipt.usage,
        receipt.credits,
    )
    for attempt in attempts:
        counting.attempted(tallies, attempt.channel_id, attempt.outcome, attempt.error)
    if trace is not None and trace.sampled:
        trace.attributes[genai.CREDITS] = receipt.credits
        _tell(parts, trace, call, plan, attempts, receipt.end_reason, receipt)


def tell_voided(
    parts: Parts, call: Call, plan: Plan, attempts: Sequence[Attempt], trace: Trace | None
) -> None:
    """Nothing is to be paid."""
    upstream = NOBODY
    outcome = DRY_RUN if call.dry_run else REFUSED
    if attempts:
        upstream = _dialect_of(plan, attempts[-1])
        outcome = attempts[-1].outcome
    tallies = parts.tallies
    counting.unbilled(tallies, (call.dialect.name, upstream, plan.model.slug, plan.peek.stream), outcome)
    for attempt in attempts:
        counting.attempted(tallies, attempt.channel_id, attempt.outcome, attempt.error)
    if trace is not None and trace.sampled:
        if outcome == FAILED:
            trace.attributes[genai.ERROR_TYPE] = attempts[-1].error
        _tell(parts, trace, call, plan, attempts, outcome, None)


def _tell(
    parts: Parts,
    trace: Trace,
    call: Call,
    plan: Plan,
    attempts: Sequence[Attempt],
    outcome: str,
    receipt: Receipt | None,
) -> None:
    peek = plan.peek
    attributes = trace.attributes
    attributes[genai.OPERATION] = genai.operation(call.dialect.name)
    attributes[genai.REQUEST_MODEL] = plan.requested
    attributes[genai.REQUEST_STREAM] = peek.stream
    if peek.max_output_tokens is not None:
        attributes[genai.REQUEST_MAX_TOKENS] = peek.max_output_tokens
    if peek.candidates > 1:
        attributes[genai.REQUEST_CHOICES] = peek.candidates
    attributes[genai.MODEL] = plan.model.slug
    attributes[genai.DIALECT] = call.dialect.name
    attributes[genai.OUTCOME] = outcome
    last = len(attempts) - 1
    trace.called(
        [
            _call_of(plan, attempt, receipt if number == last else None)
            for number, attempt in enumerate(attempts)
        ]
    )
    if parts.tracing is not None and parts.tracing.contents and len(call.body) <= CONTENT_BYTES_MAX:
        trace.contents = partial(call.dialect.read_request, call.body)


def _call_of(plan: Plan, attempt: Attempt, receipt: Receipt | None) -> UpstreamCall:
    """`receipt`: of the request, where this attempt is what it was delivered by."""
    return UpstreamCall(
        channel_id=attempt.channel_id,
        platform=attempt.upstream_provider,
        model=attempt.upstream_model,
        dialect=_dialect_of(plan, attempt) if receipt is None else receipt.upstream_protocol,
        outcome=attempt.outcome,
        status=attempt.status,
        error=attempt.error,
        reason=attempt.reason,
        ended_ns=attempt.at * 1_000,
        lasted_ns=attempt.latency_ms * 1_000_000,
        first_byte_ns=attempt.first_token_ms * 1_000_000,
        usage=None if receipt is None else receipt.usage,
    )


def _dialect_of(plan: Plan, attempt: Attempt) -> str:
    """In which its channel was asked, as far as the plan tells."""
    for candidate in plan.candidates:
        if candidate.channel.id == attempt.channel_id:
            return candidate.endpoint.dialect
    return NOBODY
