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
from bytespike.pipeline.plan import Plan
from bytespike.pipeline.settle import Timing, attempt_record, receipt
from bytespike.routing.candidates import Candidate

log = structlog.get_logger("bytespike.pipeline")


class Settlement:
    __slots__ = (
        "_attempt_ns",
        "_attempts",
        "_call",
        "_candidate",
        "_first_byte_ns",
        "_hold",
        "_key",
        "_open",
        "_parts",
        "_plan",
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

    def begin(self, candidate: Candidate[Channel]) -> None:
        """An upstream is about to be called."""
        self._candidate = candidate
        self._attempt_ns = self._parts.clock.monotonic_ns()
        self._first_byte_ns = self._attempt_ns
        self._parts.health.begin(candidate.channel.id, candidate.channel.weight)

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
        candidate = self._end_attempt("failed", failed.status, failed.error.code, self._timing(), now_us)
        if failed.about == "request":
            return
        channel = candidate.channel
        log.warning(
            "an upstream call failed",
            request_id=self._call.request_id,
            channel=channel.name,
            model=self._plan.model.slug,
            status=failed.status,
            error=failed.error.code,
            cause=failed.cause,
        )
        needs_operator = self._parts.health.note_failure(
            channel.id, failed.about, failed.status, failed.retry_after, now_us
        )
        if needs_operator:
            self._parts.credential_refused(channel.id, failed.status)

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
            self._parts.health.note_success(candidate.channel.id)
        self._parts.ledger.post(
            self._hold,
            receipt(
                self._call,
                self._plan,
                self._key,
                candidate,
                usage,
                notices,
                timing,
                now_us,
                end_reason,
                self._hold.amount,
            ),
            tuple(self._attempts),
            gathered=gathered,
        )
        self._open = False

    def close(self) -> None:
        """The request is over. A hold that is still open is voided: nothing was delivered that is to be paid."""
        if self._candidate is not None:
            self._end_attempt("client_gone", 0, "", self._timing(), self._parts.clock.now_us())
        if self._open:
            self._open = False
            self._parts.ledger.void(self._hold, tuple(self._attempts))

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
        self._parts.health.end(candidate.channel.id)
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
            )
        )
        return candidate
