"""When what is done next: how often a provider is asked, how long a failed step rests, how long a claim lasts."""

from __future__ import annotations

from zlib import crc32

from msgspec import Struct

_US_PER_S = 1_000_000
#: A render is asked for again after this part of its estimate, or of its age where that is more.
_POLL_PART = 0.1
#: Polls of renders that began together drift apart by up to this part of the pause.
_SPREAD = 0.2
#: How far a provider's own Retry-After is believed, in seconds.
RETRY_AFTER_S_MAX = 600
_DOUBLINGS_MAX = 12


class Pace(Struct, frozen=True):
    """All in seconds. The defaults are for work; tests hurry.

    `lease_s`: a claim, renewed while its step is under way. `submit_timeout_s`, `call_timeout_s`: the whole of one call.
    `reconcile_after_s`: from the begin of a submission until a provider's list that does not have it is believed; more than the
    call's whole time, so that nothing can be under way any more. `reconcile_pause_s`: between looks until then. `poll_s_min`, `poll_s_max`: between
    two polls of a render. `retry_s_min`, `retry_s_max`: the first and the longest rest after failures in a row. `full_s`: until a task looks again whether its
    channel has room. `gather_s`: the worker waits so long for more to become due, and does it all at once. `idle_s`: the longest time between two looks for what is due. `fetch_idle_s`: the longest silence of a
    result that is being fetched, `fetch_timeout_s` all of it. `grace_s`: what steps under way get when the worker stops. `callback_timeout_s`: one try. `callback_after_s`: from the end of a try to the next.
    """

    lease_s: float = 60.0
    submit_timeout_s: float = 120.0
    call_timeout_s: float = 60.0
    reconcile_after_s: float = 150.0
    reconcile_pause_s: float = 10.0
    poll_s_min: float = 2.0
    poll_s_max: float = 20.0
    retry_s_min: float = 1.0
    retry_s_max: float = 60.0
    full_s: float = 5.0
    gather_s: float = 0.05
    idle_s: float = 1.0
    fetch_idle_s: float = 60.0
    fetch_timeout_s: float = 3600.0
    grace_s: float = 10.0
    callback_timeout_s: float = 10.0
    callback_after_s: tuple[float, ...] = (30.0, 300.0)


def micros(seconds: float) -> int:
    return round(seconds * _US_PER_S)


def next_poll_us(
    pace: Pace, task_id: str, estimated_s: float, started_at: int, now_us: int, retry_after: int | None
) -> int:
    """When a render is asked for next, Unix microseconds.

    A tenth of what it is thought to take, so that a short one is not waited for and a long one not asked for in vain; never
    before the provider wants to be asked (`retry_after` seconds).
    """
    age_s = max(0, now_us - started_at) / _US_PER_S
    pause = max(estimated_s, age_s) * _POLL_PART
    pause = min(max(pause, pace.poll_s_min), pace.poll_s_max)
    pause *= 1.0 - _SPREAD * (crc32(task_id.encode()) & 0xFF) / 0xFF
    if retry_after is not None:
        pause = max(pause, min(retry_after, RETRY_AFTER_S_MAX))
    return now_us + micros(pause)


def retry_us(pace: Pace, failures: int, now_us: int, retry_after: int | None = None) -> int:
    """When a step is tried again that has failed so often in a row (at least once), Unix microseconds."""
    pause = min(pace.retry_s_min * 2 ** min(failures - 1, _DOUBLINGS_MAX), pace.retry_s_max)
    if retry_after is not None:
        pause = max(pause, min(retry_after, RETRY_AFTER_S_MAX))
    return now_us + micros(pause)
