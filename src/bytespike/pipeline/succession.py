"""Who is asked next: the candidates of a plan in their order, with what has happened since the plan was made.

A request may have waited for its hold, or for another channel to fail. Meanwhile a channel may have begun to rest, been
found to need an operator, or reached its ceiling; and of several requests that find a channel's rest over, one probes it,
the others go on to the next. So the state of a channel is looked at once more at the moment at which it is asked.
"""

from __future__ import annotations

from bytespike.accounts.records import Channel
from bytespike.pipeline.parts import Parts
from bytespike.pipeline.values import Plan
from bytespike.routing.candidates import LAST_RESORT
from bytespike.routing.ceilings import NO_ROOM
from bytespike.routing.health import probed, usable
from bytespike.routing.values import Candidate, ChannelHealth, Passed


class Succession:
    """Of one request. `passed`: who was passed over since the last one that was asked, and why. `claim`: its place under
    the ceilings of the channel that was given last, None where it has none; `tokens`: what is claimed there. `reason`: why
    that channel."""

    __slots__ = ("_again", "_asked", "_parts", "_waiting", "claim", "passed", "reason", "tokens")

    def __init__(self, parts: Parts, plan: Plan, prompt_tokens: int) -> None:
        """`prompt_tokens`: at most, to be claimed under a ceiling of tokens."""
        self._parts = parts
        self.tokens = prompt_tokens
        self._waiting = [*plan.candidates[::-1]]
        self._asked: tuple[str, ...] = ()
        self._again = ""
        self.passed: list[Passed] = [*plan.passed]
        self.claim: int | None = None
        self.reason = ""

    def next(self) -> Candidate[Channel] | None:
        """The next to be prepared for. None: there is nobody left, or enough have been asked."""
        while self._waiting:
            candidate = self._waiting.pop()
            channel_id = candidate.channel.id
            asked = self._asked
            if asked and len(asked) >= self._parts.limits.attempts_max and channel_id not in asked:
                return None
            state = self._parts.health.of(channel_id)
            if state.failures and not self._again and not self._may_ask(candidate, state):
                continue
            return candidate
        return None

    def begins(self, candidate: Candidate[Channel]) -> bool:
        """It is about to be asked; False if its ceiling leaves no room, and then the next one is."""
        channel = candidate.channel
        self.claim = None
        if channel.rpm is not None or channel.tpm is not None:
            claim = self._parts.ceilings.claim(channel, self.tokens)
            if claim == NO_ROOM:
                self.passed.append(Passed(channel.id, "ceiling"))
                return False
            self.claim = claim
        self.reason = self._again or candidate.reason or ("failover" if self._asked else "load")
        self._again = ""
        if channel.id not in self._asked:
            self._asked += (channel.id,)
        return True

    def instead(self, others: list[Candidate[Channel]]) -> None:
        """Ask these next: other ways to put the same request to a channel."""
        self._waiting.extend(others)

    def again(self, candidate: Candidate[Channel]) -> None:
        """Ask the same channel once more, in other words."""
        self._again = "retold"
        self._waiting.append(candidate)

    def _may_ask(self, candidate: Candidate[Channel], state: ChannelHealth) -> bool:
        """Of a channel that has failed lately."""
        now_us = self._parts.clock.now_us()
        channel_id = candidate.channel.id
        if not usable(state, now_us):
            self.passed.append(Passed(channel_id, "refused" if state.needs_operator else "resting"))
            return False
        if probed(state, now_us) and self._waiting and candidate.reason != LAST_RESORT:
            # Others first; if they fail, it is asked all the same.
            self.passed.append(Passed(channel_id, "probed"))
            self._waiting.insert(0, Candidate(candidate.channel, candidate.endpoint, LAST_RESORT))
            return False
        return True
