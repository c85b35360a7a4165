"""What of each request for images is counted and traced, when it has come to its end; as `pipeline/sight.py` for text."""

from __future__ import annotations

from collections.abc import Sequence

from bytespike.ledger.records import Attempt, Receipt
from bytespike.media.images.call import ImageCall
from bytespike.media.images.parts import ImageParts
from bytespike.media.images.plan import ImagePlan
from bytespike.observe import counting, genai
from bytespike.observe.tallies import FAILED, NOBODY
from bytespike.observe.tracing import Trace, UpstreamCall

#: How a request ends that nobody is billed for, where no upstream was asked.
REFUSED = "refused"
DRY_RUN = "dry_run"


def trace_of(parts: ImageParts, request_id: str) -> Trace | None:
    """Of a request that is under way; None where nobody will see it."""
    trace = None if parts.tracing is None else parts.tracing.of(request_id)
    return trace if trace is not None and trace.sampled else None


def tell_posted(
    parts: ImageParts,
    call: ImageCall,
    plan: ImagePlan,
    receipt: Receipt,
    attempts: Sequence[Attempt],
    trace: Trace | None,
) -> None:
    """Something was delivered, and is billed."""
    counting.billed(
        parts.tallies,
        (receipt.protocol, receipt.upstream_protocol, receipt.model, receipt.stream),
        receipt.end_reason,
        receipt.latency_ms,
        receipt.first_token_ms,
        receipt.usage,
        receipt.credits,
    )
    _count(parts, attempts)
    if trace is not None:
        trace.attributes[genai.CREDITS] = receipt.credits
        _tell(trace, call, plan, attempts, receipt.end_reason, stream=receipt.stream, receipt=receipt)


def tell_voided(
    parts: ImageParts,
    call: ImageCall,
    plan: ImagePlan,
    attempts: Sequence[Attempt],
    trace: Trace | None,
    *,
    stream: bool,
) -> None:
    """Nothing is to be paid."""
    upstream = NOBODY
    outcome = DRY_RUN if call.dry_run else REFUSED
    if attempts:
        upstream = _asked_in(plan, attempts[-1])
        outcome = attempts[-1].outcome
    counting.unbilled(parts.tallies, (call.protocol, upstream, plan.model.slug, stream), outcome)
    _count(parts, attempts)
    if trace is not None:
        if outcome == FAILED:
            trace.attributes[genai.ERROR_TYPE] = attempts[-1].error
        _tell(trace, call, plan, attempts, outcome, stream=stream)


def _count(parts: ImageParts, attempts: Sequence[Attempt]) -> None:
    for attempt in attempts:
        counting.attempted(parts.tallies, attempt.channel_id, attempt.outcome, attempt.error)


def _tell(
    trace: Trace,
    call: ImageCall,
    plan: ImagePlan,
    attempts: Sequence[Attempt],
    outcome: str,
    *,
    stream: bool,
    receipt: Receipt | None = None,
) -> None:
    attributes = trace.attributes
    attributes[genai.OPERATION] = genai.operation(call.protocol)
    attributes[genai.REQUEST_MODEL] = plan.requested
    attributes[genai.REQUEST_STREAM] = stream
    attributes[genai.MODEL] = plan.model.slug
    attributes[genai.DIALECT] = call.protocol
    attributes[genai.OUTCOME] = outcome
    last = len(attempts) - 1
    trace.called(
        [
            UpstreamCall(
                channel_id=attempt.channel_id,
                platform=attempt.upstream_provider,
                model=attempt.upstream_model,
                dialect=_asked_in(plan, attempt),
                outcome=attempt.outcome,
                status=attempt.status,
                error=attempt.error,
                reason=attempt.reason,
                ended_ns=attempt.at * 1_000,
                lasted_ns=attempt.latency_ms * 1_000_000,
                first_byte_ns=attempt.first_token_ms * 1_000_000,
                usage=receipt.usage if receipt is not None and number == last else None,
            )
            for number, attempt in enumerate(attempts)
        ]
    )


def _asked_in(plan: ImagePlan, attempt: Attempt) -> str:
    """On which of its channel's surfaces."""
    for candidate in plan.candidates:
        if candidate.channel.id == attempt.channel_id:
            return candidate.endpoint.dialect
    return NOBODY
