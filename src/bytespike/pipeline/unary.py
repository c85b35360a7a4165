"""A whole answer: read it, put it into the client's dialect, bill it, hand it over."""

from __future__ import annotations

from bytespike.core.dialect import Reply
from bytespike.core.renaming import restored_response
from bytespike.core.usage import Usage
from bytespike.errors import GatewayError
from bytespike.pipeline.attempt import Requests, failed_answer, failed_transport
from bytespike.pipeline.call import Call, Client
from bytespike.pipeline.parts import Parts
from bytespike.pipeline.settle import usage_of_answer, usage_of_unreported
from bytespike.pipeline.settlement import Settlement
from bytespike.pipeline.threads import continued, original_of
from bytespike.pipeline.threads import keeping as keeping_of
from bytespike.pipeline.values import Plan, Prepared
from bytespike.pricing.cost import nothing
from bytespike.upstream.answer import Answer
from bytespike.upstream.errors import TransportError


def reply_of(parts: Parts, call: Call, plan: Plan, prepared: Prepared) -> Reply:
    return Reply(
        model=plan.requested,
        response_id=call.request_id.removeprefix("req_"),
        created=parts.clock.now_us() // 1_000_000,
        stream_usage=plan.peek.stream_usage,
        array=plan.peek.array,
        echo=None if prepared.same else call.dialect.echo(original_of(call), plan.peek.layout),
    )


async def relay_unary(
    parts: Parts,
    call: Call,
    client: Client,
    plan: Plan,
    settlement: Settlement,
    requests: Requests,
    prepared: Prepared,
    answer: Answer,
) -> None:
    """Raises AttemptFailed while nothing has been handed over."""
    try:
        body = await answer.read(parts.limits.answer_bytes_max)
    except TransportError as error:
        raise failed_transport(error, answer.status) from None
    settlement.first_byte()
    notices = prepared.notices
    try:
        if prepared.same:
            body, usage = prepared.dialect.patch_response(body, plan.requested)
            body = continued(body, call)
            if usage is None or nothing(usage):
                usage = _counted(prepared, body, requests)
        else:
            response = restored_response(prepared.dialect.read_response(body), prepared.renamed)
            usage = response.usage
            if nothing(usage):
                usage = usage_of_answer(response, requests)
            written = call.dialect.write_response(response, reply_of(parts, call, plan, prepared))
            body = written.body
            notices = (*notices, *written.notices)
    except GatewayError as error:
        raise failed_answer(error, prepared, answer.status) from None
    keeping = keeping_of(parts, call, settlement.candidate, native=prepared.same)
    if keeping is not None:
        await keeping.whole(body)
    # The receipt is durable before the first byte of the answer leaves: what a client has whole is on the books.
    settlement.posted(usage, notices, gathered=True)
    client.respond(body, notices)


def _counted(prepared: Prepared, body: bytes, requests: Requests) -> Usage:
    """Of an answer that passed as it was and whose provider reported nothing. What a reader cannot read is counted by
    its size."""
    try:
        return usage_of_answer(prepared.dialect.read_response(body), requests)
    except GatewayError:
        return usage_of_unreported(len(body), requests)
