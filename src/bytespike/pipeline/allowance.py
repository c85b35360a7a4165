"""How far a stream may go on what is held for it, and what happens there.

A stream may cost more than was held: a client named no limit and the model says more than its catalog's guess, or the
prompt was larger than its bound. So each read compares how much has been produced with one number, and where that is
passed, the real question is asked: what would be billed if the stream were cut now? If that is more than is held, more
is set aside, under the same caps as any hold and borrowed where it must be; if there is no more, the stream ends.

    produced_chars <= chars_max        nothing to do: one comparison
    owed <= held                       `chars_max` was a guess; a better one now
    more can be held                   so much more, and some in advance
    else                               the stream ends as at its token limit, and what was delivered is billed

Where the provider keeps to a limit itself (the client's, or the one that we named for the held tokens), a count of
characters that comes to more than this limit is the count's error, as long as it is not off by `GUESS_EXCESS`.
"""

from __future__ import annotations

from typing import Final

from msgspec import structs

from bytespike.core.dialect import Tap
from bytespike.core.usage import NO_USAGE, Usage
from bytespike.pipeline.attempt import Requests
from bytespike.pipeline.settle import usage_so_far
from bytespike.pipeline.settlement import Settlement
from bytespike.pipeline.values import Plan
from bytespike.pricing.cost import DENOMINATOR, cost, numerator
from bytespike.pricing.estimate import CHARS_PER_TOKEN, tokens_of_chars

#: A stream that cannot pass what is held, whatever it says.
NEVER: Final = 1 << 62
#: A provider that keeps to its limit makes no more than so many times the tokens that are counted for it.
GUESS_EXCESS: Final = 2
#: Set aside in advance, tokens of output: half of what is held or this, and where that is too much, the lesser.
AHEAD_TOKENS: Final = 4_096
AHEAD_TOKENS_MIN: Final = 256
#: A dialect whose requests always name a limit.
ALWAYS_LIMITED: Final = "anthropic_messages"


class Allowance:
    """Of one stream. `chars_max`: up to so many produced characters nothing needs to be asked."""

    __slots__ = ("_ceiling", "_limited", "_multiplier_ppm", "_price", "_requests", "_settlement", "chars_max")

    def __init__(self, plan: Plan, settlement: Settlement, requests: Requests) -> None:
        candidate = settlement.candidate
        self._settlement = settlement
        self._requests = requests
        self._price = candidate.channel.models[plan.model.slug].price
        self._multiplier_ppm = plan.multiplier_ppm
        self._ceiling = plan.output_held * plan.peek.candidates
        self._limited = (
            plan.peek.max_output_tokens is not None or candidate.endpoint.dialect == ALWAYS_LIMITED
        )
        self.chars_max = NEVER
        if self._price.output * plan.multiplier_ppm:
            self.chars_max = self._chars_of(self._ceiling * (GUESS_EXCESS if self._limited else 1))

    def begun(self, relay: Tap) -> None:
        """The answer has begun. Providers that tell the prompt's figures do so now."""
        told = relay.usage
        if told is not None and told.prompt_total and self.chars_max != NEVER:
            self._look_ahead(told)

    async def goes_on(self, relay: Tap) -> bool:
        """Whether the stream may go on, past `chars_max`. Waits where more has to be borrowed."""
        produced = relay.produced_chars
        counted = tokens_of_chars(produced)
        if counted > self._ceiling * GUESS_EXCESS:
            self._limited = False
        usage = usage_so_far(relay, self._requests)
        if self._limited and usage.output > self._ceiling:
            usage = structs.replace(usage, output=self._ceiling)
        owed = cost(usage, self._price, self._multiplier_ppm)
        if owed > self._settlement.held and not await self._hold_more(owed):
            return False
        self._look_ahead(usage)
        # Rounding must not make the next read ask again.
        self.chars_max = max(self.chars_max, produced + CHARS_PER_TOKEN)
        return True

    async def _hold_more(self, owed: int) -> bool:
        """Hold what is owed, and some in advance."""
        held = self._settlement.held
        for ahead in (max(held // 2, self._price_of(AHEAD_TOKENS)), self._price_of(AHEAD_TOKENS_MIN)):
            if await self._settlement.extend(owed - held + ahead):
                return True
        return False

    def _price_of(self, tokens: int) -> int:
        return cost(Usage(output=tokens), self._price, self._multiplier_ppm)

    def _look_ahead(self, usage: Usage) -> None:
        """What is held, without the prompt, as characters of output."""
        spent = numerator(structs.replace(usage, output=0, reasoning=0, extras=NO_USAGE.extras), self._price)
        left = self._settlement.held * DENOMINATOR // self._multiplier_ppm - spent
        rate = self._price.at(usage.prompt_total).output
        if not rate:
            self.chars_max = NEVER
            return
        covered = left // rate
        if self._limited and covered >= self._ceiling:
            covered = self._ceiling * GUESS_EXCESS
        self.chars_max = self._chars_of(covered)

    def _chars_of(self, tokens: int) -> int:
        return max(0, tokens) * CHARS_PER_TOKEN
