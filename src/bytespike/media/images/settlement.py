"""The hold of one request for images, and how it resolves: posted for what was delivered, or voided. Exactly once.

The stages report to it; it alone talks to the ledger. `close()` runs at the very end of every request, so that no way out
leaves a hold behind.
"""

from __future__ import annotations

import structlog
from msgspec import Struct

from bytespike.accounts.records import Channel
from bytespike.catalog.models import ImageRate
from bytespike.core.usage import NO_USAGE, Usage
from bytespike.ledger.holds import Hold
from bytespike.ledger.records import Attempt, Receipt
from bytespike.media.drawing import Drawing
from bytespike.media.images.attempt import DrawFailed
from bytespike.media.images.call import ImageCall
from bytespike.media.images.keep import Finished
from bytespike.media.images.parts import ImageParts
from bytespike.media.images.plan import ImagePlan, bound, price_of
from bytespike.media.images.sight import tell_posted, tell_voided, trace_of
from bytespike.media.order import Order
from bytespike.media.sizes import AUTO
from bytespike.pricing.image_rates import at_rate, image_rate, images_cost
from bytespike.pricing.price import ONE_PPM, Price
from bytespike.routing.ceilings import NO_ROOM
from bytespike.routing.values import Candidate
from bytespike.upstream.failures import noted

log = structlog.get_logger("bytespike.media")


class Bill(Struct, frozen=True):
    """`count` pictures, or turns, at one rate. `drawing`: with what the provider counted."""

    count: int
    rate: ImageRate
    drawing: Drawing


def bill(
    plan: ImagePlan,
    candidate: Candidate[Channel],
    order: Order,
    drawing: Drawing,
    pictures: list[Finished],
    turns: int,
) -> Bill:
    """What was delivered costs. A picture is billed by the size that it has, but never by a larger one than was ordered;
    where several differ, all of them by the cheapest. `turns`: calls that brought pictures."""
    price = price_of(plan, candidate)
    quality = order.quality
    if quality == AUTO:
        named = drawing.quality if drawing.quality in plan.model.media.qualities else ""
        quality = named if named != AUTO else ""
        quality = quality or plan.model.media.quality_default
    ordered = order.width * order.height
    rates = [
        rate
        for pixels in {min(each.pixels or ordered, ordered or each.pixels) for each in pictures}
        if (rate := image_rate(price, quality, pixels)) is not None
    ]
    rate = min(rates, key=lambda each: each.price, default=None) or bound(price, plan.model, order)
    assert rate is not None, "the request was priced when it was admitted"
    return Bill(turns if rate.per == "turn" else len(pictures), rate, drawing)


class Settlement:
    __slots__ = (
        "_attempt_ns",
        "_attempts",
        "_call",
        "_candidate",
        "_first_ns",
        "_hold",
        "_open",
        "_parts",
        "_plan",
        "_probing",
        "_stream",
        "_trace",
    )

    def __init__(self, parts: ImageParts, call: ImageCall, plan: ImagePlan, stream: bool, hold: Hold) -> None:
        self._parts = parts
        self._call = call
        self._plan = plan
        self._stream = stream
        self._hold = hold
        self._open = True
        self._attempts: list[Attempt] = []
        self._candidate: Candidate[Channel] | None = None
        self._attempt_ns = 0
        self._first_ns = 0
        self._probing = False
        self._trace = trace_of(parts, call.request_id)

    def begin(self, candidate: Candidate[Channel], calls: int) -> bool:
        """An upstream is about to be called, so many times. False: its ceiling leaves no room, and nobody is called."""
        parts, channel = self._parts, candidate.channel
        if channel.rpm is not None and any(parts.ceilings.claim(channel, 0) == NO_ROOM for _ in range(calls)):
            return False
        self._candidate = candidate
        self._attempt_ns = self._first_ns = parts.clock.monotonic_ns()
        if parts.health.begin(channel.id, channel.weight):
            self._probing = parts.health.probe(channel.id, parts.clock.now_us())
        if self._trace is not None:
            self._trace.calling()
        return True

    def first(self) -> None:
        """The first picture, or the whole answer, is here."""
        self._first_ns = self._parts.clock.monotonic_ns()

    def alive(self) -> None:
        """Its stream goes on: the hold is not one that was forgotten."""
        self._hold.keep()

    def failed(self, failed: DrawFailed) -> None:
        """The attempt came to nothing. The hold stays: another channel may try."""
        now_us = self._parts.clock.now_us()
        error = noted(failed.error, failed.about, failed.status)
        channel = self._end("failed", failed.status, now_us, error).channel
        health = self._parts.health
        if failed.about == "request":
            health.note_success(channel.id)
            return
        log.warning(
            "an upstream call failed",
            request_id=self._call.request_id,
            channel=channel.name,
            model=self._plan.model.slug,
            status=failed.status,
            error=error,
            cause=failed.cause,
        )
        if health.note_failure(channel.id, failed.about, failed.status, failed.retry_after, now_us):
            self._parts.credential_refused(channel, failed.status)

    def posted(
        self,
        owed: Bill,
        notices: tuple[str, ...],
        end_reason: str = "completed",
        *,
        gathered: bool = False,
    ) -> None:
        """Something was delivered: bill it. On return the receipt is durable; where it is `gathered`, before a whole
        answer leaves."""
        now_us = self._parts.clock.now_us()
        usage = usage_of(owed)
        now_ns = self._parts.clock.monotonic_ns()
        assert self._candidate is not None, "something was delivered, so somebody was asked"
        entry = self._candidate.channel.models[self._plan.model.slug]
        own_cost = images_cost(owed.count, owed.rate, ONE_PPM)
        candidate = self._end(end_reason, 200, now_us, usage=usage, cost=own_cost)
        if end_reason != "client_gone":
            self._parts.health.note_success(candidate.channel.id)
        key = self._call.key
        receipt = Receipt(
            request_id=self._call.request_id,
            at=now_us,
            key_id=key.id,
            user_id=key.user_id,
            org_id=key.org_id,
            account_id=key.account_id,
            group_id=key.group_id,
            channel_id=candidate.channel.id,
            upstream_provider=candidate.channel.platform,
            model=self._plan.model.slug,
            requested_model=self._plan.requested,
            upstream_model=entry.upstream_model,
            protocol=self._call.protocol,
            upstream_protocol=candidate.endpoint.dialect,
            stream=self._stream,
            usage=usage,
            credits=images_cost(owed.count, owed.rate, self._plan.multiplier_ppm),
            held=self._hold.amount,
            price=receipt_price(entry.price, owed.rate),
            multiplier_ppm=self._plan.multiplier_ppm,
            end_reason=end_reason,
            notices=notices,
            latency_ms=(now_ns - self._call.started_ns) // 1_000_000,
            first_token_ms=max(0, self._first_ns - self._call.started_ns) // 1_000_000,
        )
        attempts = tuple(self._attempts)
        self._parts.ledger.post(self._hold, receipt, attempts, gathered=gathered)
        self._open = False
        tell_posted(self._parts, self._call, self._plan, receipt, attempts, self._trace)

    def close(self) -> None:
        """The request is over. A hold that is still open is voided: nothing was delivered that is to be paid."""
        if self._candidate is not None:
            self._end("client_gone", 0, self._parts.clock.now_us())
        if self._open:
            self._open = False
            attempts = tuple(self._attempts)
            self._parts.ledger.void(self._hold, attempts)
            tell_voided(self._parts, self._call, self._plan, attempts, self._trace, stream=self._stream)

    def _end(
        self,
        outcome: str,
        status: int,
        now_us: int,
        error: str = "",
        usage: Usage = NO_USAGE,
        cost: int = 0,
    ) -> Candidate[Channel]:
        candidate = self._candidate
        assert candidate is not None, "an attempt ended that had not begun"
        self._candidate = None
        channel = candidate.channel
        self._parts.health.end(channel.id, probe=self._probing)
        self._probing = False
        now_ns = self._parts.clock.monotonic_ns()
        self._attempts.append(
            Attempt(
                request_id=self._call.request_id,
                ordinal=len(self._attempts),
                at=now_us,
                channel_id=channel.id,
                upstream_provider=channel.platform,
                upstream_model=channel.models[self._plan.model.slug].upstream_model,
                status=status,
                outcome=outcome,
                error=error,
                input_tokens=usage.prompt_total,
                output_tokens=usage.output,
                cost=cost,
                latency_ms=(now_ns - self._attempt_ns) // 1_000_000,
                first_token_ms=max(0, self._first_ns - self._attempt_ns) // 1_000_000,
                images=usage.images,
                reason="failover" if self._attempts else "load",
            )
        )
        return candidate


def usage_of(owed: Bill) -> Usage:
    """For the books: how many pictures (or turns), and the provider's tokens, which cost nothing by themselves."""
    tokens = owed.drawing.tokens
    if tokens is None:
        return Usage(images=owed.count)
    return Usage(input=tokens.input, output=tokens.output, images=owed.count)


def receipt_price(price: Price, rate: ImageRate) -> Price:
    """What a receipt says of the price: the one rate that was charged."""
    return at_rate(price, rate)
