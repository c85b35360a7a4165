"""The hold of one request, and how it resolves: posted with a receipt, or voided. Exactly once, whatever happens.

The stages report to it; it alone talks to the ledger. `close()` runs at the very end of every request, so that no way
out of the pipeline, an exception or a cancellation among them, leaves a hold behind.
"""

from __future__ import annotations

import structlog

from bytespike.accounts.records import Channel, KeyRecord
from bytespike.core.notices import Notice
from bytespike.core.usage import NO_USAGE, Usage
from bytespike.ledger.holds import Hold
from bytespike.ledger.records import Attempt
from bytespike.pipeline.attempt import AttemptFailed
from bytespike.pipeline.call import Call
from bytespike.pipeline.parts import Parts
from bytespike.pipeline.settle import attempt_record, receipt
from bytespike.pipeline.sight import carried, tell_posted, tell_voided, trace_of
from bytespike.pipeline.succession import Succession
from bytespike.pipeline.values import Plan, Prepared, Timing
from bytespike.routing.candidates import told
from bytespike.routing.values import Candidate
from bytespike.upstream.failures import noted

log = structlog.get_logger("bytespike.pipeline")


class Settlement:
    __slots__ = (
        "_attempt_ns",
        "_attempts",
        "_call",
        "_candidate",
        "_claim",
        "_first_byte_ns",
        "_hold",
        "_key",
        "_open",
        "_parts",
        "_passed",
        "_plan",
        "_probing",
        "_reason",
        "_tokens",
        "_trace",
    )

    def __init__(self, parts: Parts, call: Call, key: KeyRecord, plan: Plan, hold: Hold) -> None:
        self._parts = parts
        self._call = call
        self._key = key
        self._plan = plan
        self._hold = hold
        self._open = True
        self._attempts: list[Attempt] = []
        self._candidate: Candidate[Channel] | None = None
        self._attempt_ns = 0
        self._first_byte_ns = 0
        self._reason = ""
        self._passed = ""
        self._probing = False
        self._claim: int | None = None
        self._tokens = 0
        self._trace = trace_of(parts, call.request_id)

    def begin(self, candidate: Candidate[Channel], succession: Succession) -> None:
        """An upstream is about to be called, and why this one."""
        parts = self._parts
        channel = candidate.channel
        self._candidate = candidate
        self._attempt_ns = parts.clock.monotonic_ns()
        self._first_byte_ns = self._attempt_ns
        self._reason = succession.reason
        self._claim, self._tokens = succession.claim, succession.tokens
        if succession.passed or self._passed:
            self._passed = told(succession.passed)
            succession.passed.clear()
        if parts.health.begin(channel.id, channel.weight):
            self._probing = parts.health.probe(channel.id, parts.clock.now_us())
        if self._trace is not None:
            self._trace.calling()

    def traced(self, prepared: Prepared) -> Prepared:
        """What is about to be sent, with what tells the upstream of the trace, where it shall know."""
        return prepared if self._trace is None else carried(self._parts, prepared, self._trace)

    @property
    def candidate(self) -> Candidate[Channel]:
        """Whom the attempt that is under way asks."""
        assert self._candidate is not None, "no attempt is under way"
        return self._candidate

    def alive(self) -> None:
        """Its stream goes on: the hold is not one that was forgotten."""
        self._hold.keep()

    @property
    def held(self) -> int:
        """Micro-dollars that are set aside for it now."""
        return self._hold.amount

    async def extend(self, credits: int) -> bool:
        """Set so many micro-dollars more aside, borrowing where it must; False if there is not so much."""
        return await self._parts.ledger.extend_borrowing(self._hold, credits)

    def first_byte(self) -> None:
        """The first byte of its answer is here."""
        self._first_byte_ns = self._parts.clock.monotonic_ns()

    def failed(self, failed: AttemptFailed) -> None:
        """The attempt came to nothing. The hold stays: another channel may try."""
        now_us = self._parts.clock.now_us()
        timing = self._timing()
        error = noted(failed.error, failed.about, failed.status)
        candidate = self._end_attempt("failed", failed.status, error, timing, now_us)
        channel = candidate.channel
        if failed.about == "request":
            # It could tell what is wrong with the request: nothing is wrong with it.
            self._answered(channel, timing, now_us)
            return
        health = self._parts.health
        needs_operator = health.note_failure(
            channel.id, failed.about, failed.status, failed.retry_after, now_us
        )
        log.warning(
            "an upstream call failed",
            request_id=self._call.request_id,
            channel=channel.name,
            model=self._plan.model.slug,
            attempt=len(self._attempts),
            reason=self._reason,
            status=failed.status,
            error=error,
            cause=failed.cause,
            rests_ms=max(0, health.of(channel.id).resting_until - now_us) // 1000,
        )
        if needs_operator:
            self._parts.credential_refused(channel, failed.status)

    def _answered(self, channel: Channel, timing: Timing, now_us: int) -> None:
        """The channel is well, as far as this attempt knows."""
        health = self._parts.health
        if not health.of(channel.id).failures:
            return
        began_us = now_us - (timing.now_ns - timing.attempt_ns) // 1000
        if health.note_success(channel.id, began_us):
            log.info("an upstream is well again", request_id=self._call.request_id, channel=channel.name)

    def posted(
        self,
        usage: Usage,
        notices: tuple[Notice, ...],
        end_reason: str = "completed",
        *,
        gathered: bool = False,
    ) -> None:
        """Something was delivered: bill it. On return the receipt is durable; where it is `gathered`, before a whole
        answer leaves (`loop_turn`)."""
        timing, now_us = self._timing(), self._parts.clock.now_us()
        candidate = self._end_attempt(end_reason, 200, "", timing, now_us, usage)
        if end_reason != "client_gone":
            self._answered(candidate.channel, timing, now_us)
        plan = self._plan
        if plan.sticky is not None or len(plan.candidates) > 1:
            self._note_choice(candidate.channel.id, timing, now_us)
        made = receipt(
            self._call,
            plan,
            self._key,
            candidate,
            usage,
            notices,
            timing,
            now_us,
            end_reason,
            self._hold.amount,
        )
        attempts = tuple(self._attempts)
        self._parts.ledger.post(self._hold, made, attempts, gathered=gathered)
        self._open = False
        tell_posted(self._parts, self._call, plan, made, attempts, self._trace)

    def _note_choice(self, channel_id: str, timing: Timing, now_us: int) -> None:
        """For the next requests that have a choice: how long this channel took, and where the conversation is."""
        plan = self._plan
        first_byte_us = max(0, timing.first_byte_ns - timing.attempt_ns) // 1000
        self._parts.pace.note(channel_id, (plan.model.slug, plan.peek.stream), first_byte_us, now_us)
        if plan.sticky is not None:
            self._parts.affinity.settled(plan.sticky, channel_id, now_us)

    def close(self) -> None:
        """The request is over. A hold that is still open is voided: nothing was delivered that is to be paid."""
        if self._candidate is not None:
            self._end_attempt("client_gone", 0, "", self._timing(), self._parts.clock.now_us())
        if self._open:
            self._open = False
            attempts = tuple(self._attempts)
            self._parts.ledger.void(self._hold, attempts)
            tell_voided(self._parts, self._call, self._plan, attempts, self._trace)

    def _timing(self) -> Timing:
        return Timing(
            self._call.started_ns, self._attempt_ns, self._first_byte_ns, self._parts.clock.monotonic_ns()
        )

    def _end_attempt(
        self,
        outcome: str,
        status: int,
        error: str,
        timing: Timing,
        now_us: int,
        usage: Usage = NO_USAGE,
    ) -> Candidate[Channel]:
        candidate = self._candidate
        assert candidate is not None, "an attempt ended that had not begun"
        self._candidate = None
        self._parts.health.end(candidate.channel.id, probe=self._probing)
        self._probing = False
        if self._claim is not None:
            self._settle_claim(candidate.channel.id, self._claim, outcome, usage)
        self._attempts.append(
            attempt_record(
                self._call,
                self._plan,
                candidate,
                len(self._attempts),
                timing,
                now_us,
                status=status,
                outcome=outcome,
                error=error,
                usage=usage,
                reason=self._reason,
                passed_over=self._passed,
            )
        )
        return candidate

    def _settle_claim(self, channel_id: str, claim: int, outcome: str, usage: Usage) -> None:
        """What a client left before anything was known may have cost its prompt; what failed cost no tokens."""
        self._claim = None
        used = usage.prompt_total + usage.output
        if outcome == "client_gone" and not used:
            return
        self._parts.ceilings.settle(channel_id, claim, self._tokens, used)
