"""A whole answer: read it, put it into the client's dialect, bill it, hand it over."""

from __future__ import annotations

from bytespike.core.dialect import Reply
from bytespike.errors import GatewayError
from bytespike.pipeline.attempt import AttemptFailed, Prepared, Requests, about_of, failed_transport
from bytespike.pipeline.call import Call, Client
from bytespike.pipeline.parts import Parts
from bytespike.pipeline.plan import Plan
from bytespike.pipeline.settle import usage_of_unreported
from bytespike.pipeline.settlement import Settlement
from bytespike.upstream.answer import Answer
from bytespike.upstream.errors import TransportError


def reply_of(parts: Parts, call: Call, plan: Plan) -> Reply:
    return Reply(
        model=plan.requested,
        response_id=call.request_id.removeprefix("req_"),
        created=parts.clock.now_us() // 1_000_000,
        stream_usage=plan.peek.stream_usage,
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
        else:
            response = prepared.dialect.read_response(body)
            usage = response.usage
            written = call.dialect.write_response(response, reply_of(parts, call, plan))
            body = written.body
            notices = (*notices, *written.notices)
    except GatewayError as error:
        raise AttemptFailed(error, about_of(error), answer.status) from None
    if usage is None or (usage.output == 0 and usage.prompt_total == 0):
        usage = usage_of_unreported(len(body), requests)
    # The receipt is durable before the first byte of the answer leaves: what a client has whole is on the books.
    settlement.posted(usage, notices)
    client.respond(body, notices)
