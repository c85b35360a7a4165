"""What is known of each channel's health, in memory: how busy it is, whether it rests, whether it needs a person.

The rules are pure functions from one `ChannelHealth` to the next; `HealthBoard` only remembers. Times are Unix
microseconds. That clock may jump, so no rest is believed that lies farther ahead than a rest can be long.

    well      ──failure──▶  resting  ──its time is over──▶  half open  ──a request begins──▶  probed
      ▲                        ▲                                ▲  │                             │
      └──────success───────────┼────────────────────────────────┼──┴──────────success────────────┤
                               └────────────failure─────────────┼────────────────────────────────┤
                                                                └────no verdict, or 10 seconds───┘

- An upstream failure (no connection, 5xx, no answer in time, a broken answer) makes the channel rest for half a second;
  each further one doubles that, up to a minute. Up to a quarter is added by chance, so that the processes that share an
  upstream do not all come back to it at once.
- A 429 makes it rest for as long as the upstream said, else like an upstream failure.
- After its rest one request probes it. While that is under way the others go elsewhere, if there is an elsewhere.
- A refused credential (401, 402, 403) takes it out until an operator has looked.
- A success ends all of it but the last; not the success of a request that had begun before the failure, which says
  nothing new.

Many requests are under way when a channel breaks, and they all fail together. So a failure while the channel rests
already does not double anything: it says nothing new.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from msgspec import structs

from bytespike.routing.values import ChannelHealth

#: The first rest after a failure, and the longest, in microseconds, before chance adds to them.
REST_US_MIN = 500_000
REST_US_MAX = 60_000_000
#: The share of a rest that chance may add.
JITTER = 0.25
#: How far an upstream's own Retry-After is believed, in seconds.
RETRY_AFTER_S_MAX = 3_600
_RETRY_AFTER_US_MAX = RETRY_AFTER_S_MAX * 1_000_000
_DOUBLINGS_MAX = 16
#: How long a probe keeps the others away. It may be a long answer: then another one may try.
PROBE_US_MAX = 10_000_000

#: Statuses with which an upstream refuses the channel's credential or account.
CREDENTIAL_STATUSES = frozenset({401, 402, 403})
RATE_LIMIT_STATUS = 429

#: A channel's turn, in the arithmetic of its share: `SHARE_UNIT // weight` is what one request costs it.
SHARE_UNIT = 1_000_000


UNKNOWN = ChannelHealth()


def usable(health: ChannelHealth, now_us: int) -> bool:
    """Whether a request may go there now."""
    if health.needs_operator:
        return False
    return not now_us < health.resting_until <= now_us + _RETRY_AFTER_US_MAX


def probed(health: ChannelHealth, now_us: int) -> bool:
    """Whether its rest is over and another request is finding out if it is well again."""
    return health.failures > 0 and now_us < health.probed_until <= now_us + PROBE_US_MAX


def begun(health: ChannelHealth, weight: int, share_min: int) -> ChannelHealth:
    """A request goes there. Its share moves on by the inverse of its weight, so that among idle channels the one
    with the smallest share is the one whose turn it is. `share_min` is the board's: who was away starts from there,
    and cannot claim what it missed."""
    share = max(health.share, share_min) + SHARE_UNIT // max(weight, 1)
    return ChannelHealth(
        health.in_flight + 1,
        health.resting_until,
        health.failures,
        health.needs_operator,
        share,
        health.failed_at,
        health.probed_until,
    )


def ended(health: ChannelHealth, *, probe: bool = False) -> ChannelHealth:
    """A request there is over, whatever came of it. If it was the `probe` and there is no verdict, the next one probes."""
    return ChannelHealth(
        max(0, health.in_flight - 1),
        health.resting_until,
        health.failures,
        health.needs_operator,
        health.share,
        health.failed_at,
        0 if probe else health.probed_until,
    )


def succeeded(health: ChannelHealth) -> ChannelHealth:
    return structs.replace(health, resting_until=0, failures=0, probed_until=0)


def failed(
    health: ChannelHealth,
    about: str,
    status: int,
    retry_after_s: int | None,
    now_us: int,
    chance: float = 0.0,
) -> ChannelHealth:
    """`about` and `status` as the dialect read them: "channel" with 401, 402, 403 is its credential, with 429 its rate
    limit; "upstream" is everything that is the upstream's fault. Status 0: no answer came. `chance`: 0 to 1, how much of
    the jitter is added."""
    if about == "channel" and status in CREDENTIAL_STATUSES:
        return structs.replace(health, needs_operator=True, failures=health.failures + 1, failed_at=now_us)
    if status == RATE_LIMIT_STATUS and retry_after_s is not None and retry_after_s > 0:
        until = now_us + min(retry_after_s, RETRY_AFTER_S_MAX) * 1_000_000
        return structs.replace(
            health,
            resting_until=max(health.resting_until, until),
            failures=health.failures + usable(health, now_us),
            failed_at=now_us,
            probed_until=0,
        )
    if not usable(health, now_us):
        return health
    rest = min(REST_US_MIN << min(health.failures, _DOUBLINGS_MAX), REST_US_MAX)
    rest += int(rest * JITTER * chance)
    return structs.replace(
        health,
        resting_until=now_us + rest,
        failures=health.failures + 1,
        failed_at=now_us,
        probed_until=0,
    )


class HealthBoard:
    """The health of every channel that this process has used. Plain and synchronous; one per process. `chance`: gives a
    number from 0 to 1, for the jitter."""

    __slots__ = ("_by_channel", "_chance", "_share_min")

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._by_channel: dict[str, ChannelHealth] = {}
        self._share_min = 0
        self._chance = chance

    def of(self, channel_id: str) -> ChannelHealth:
        return self._by_channel.get(channel_id, UNKNOWN)

    def begin(self, channel_id: str, weight: int = 1) -> bool:
        """A request is about to go there; exactly one `end` follows. Whether it has failed lately: then `probe`."""
        health = self._by_channel.get(channel_id, UNKNOWN)
        if health.share > self._share_min:
            self._share_min = health.share
        self._by_channel[channel_id] = begun(health, weight, self._share_min)
        return health.failures > 0

    def probe(self, channel_id: str, now_us: int) -> bool:
        """Whether the request that has just begun there is the one that tells if it is well again. Then its end is told
        as that of a probe."""
        health = self.of(channel_id)
        if not usable(health, now_us) or probed(health, now_us):
            return False
        self._by_channel[channel_id] = structs.replace(health, probed_until=now_us + PROBE_US_MAX)
        return True

    def end(self, channel_id: str, *, probe: bool = False) -> None:
        health = self._by_channel.get(channel_id, UNKNOWN)
        self._by_channel[channel_id] = ended(health, probe=probe)

    def note_success(self, channel_id: str, began_us: int | None = None) -> bool:
        """Whether this has made it well. `began_us`: when the request began; None: just now."""
        health = self._by_channel.get(channel_id, UNKNOWN)
        if not health.failures and not health.resting_until:
            return False
        if began_us is not None and began_us < health.failed_at:
            return False
        self._by_channel[channel_id] = succeeded(health)
        return health.failures > 0 and not health.needs_operator

    def note_failure(
        self, channel_id: str, about: str, status: int, retry_after_s: int | None, now_us: int
    ) -> bool:
        """Whether it needs an operator since just now: the caller tells one, once."""
        before = self.of(channel_id)
        after = failed(before, about, status, retry_after_s, now_us, self._chance())
        self._by_channel[channel_id] = after
        return after.needs_operator and not before.needs_operator

    def reset(self, channel_id: str) -> None:
        """Its settings changed: what was held against it no longer counts."""
        health = self.of(channel_id)
        self._by_channel[channel_id] = structs.replace(
            health, resting_until=0, failures=0, needs_operator=False, probed_until=0
        )

    def keep(self, channel_ids: frozenset[str]) -> None:
        """Forget channels that are gone, unless requests are still under way there."""
        self._by_channel = {
            channel_id: health
            for channel_id, health in self._by_channel.items()
            if channel_id in channel_ids or health.in_flight
        }

    def retry_after_s(self, channel_ids: Iterable[str], now_us: int) -> int | None:
        """Seconds until the first of these channels stops resting, at least 1; None if none is only resting."""
        untils = [
            health.resting_until
            for health in map(self.of, channel_ids)
            if not health.needs_operator and not usable(health, now_us)
        ]
        return max(1, -((now_us - min(untils)) // 1_000_000)) if untils else None
