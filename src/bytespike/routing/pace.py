"""How long each channel keeps its callers waiting for the first byte, and whether that is longer than its peers do.

A moving average for each channel, model and kind of answer (streamed or whole: a whole one comes when all of it has been
written, so the two cannot be compared). Only requests that had a choice are counted. An average that is not fresh says
nothing: a channel that was left for being slow is tried again a while later, because nobody knows any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from bytespike.routing.values import Average

#: The weight of the newest answer in an average.
ALPHA = 0.2
#: With fewer answers an average is not believed.
SAMPLES_MIN = 10
#: Nor when its newest answer is so old, in microseconds.
FRESH_US = 60_000_000
#: So many times the average of its peers is slow, if it is also so much longer (microseconds).
SLOW_FACTOR = 3.0
SLOW_US_MIN = 250_000
#: Averages that are kept. The one that was begun first goes first.
AVERAGES_MAX = 10_000

Course: TypeAlias = "tuple[str, bool]"


def averaged(before: Average | None, first_byte_us: int, now_us: int) -> Average:
    if before is None or not _is_fresh(before, now_us):
        return Average(float(first_byte_us), 1, now_us)
    return Average(before.us + ALPHA * (first_byte_us - before.us), before.samples + 1, now_us)


def _is_fresh(average: Average, now_us: int) -> bool:
    return abs(now_us - average.at) <= FRESH_US


class Pace:
    """Of every channel that this process has used. `course`: the model's slug, and whether the answer streams."""

    __slots__ = ("_averages",)

    def __init__(self) -> None:
        self._averages: dict[tuple[str, Course], Average] = {}

    def note(self, channel_id: str, course: Course, first_byte_us: int, now_us: int) -> None:
        averages = self._averages
        key = (channel_id, course)
        before = averages.get(key)
        averages[key] = averaged(before, first_byte_us, now_us)
        if before is None and len(averages) > AVERAGES_MAX:
            del averages[next(iter(averages))]

    def slow(self, channel_id: str, peers: Iterable[str], course: Course, now_us: int) -> bool:
        """Whether it is slower than its `peers`; itself among them is passed over. Not where too little is known."""
        own = self._believed(channel_id, course, now_us)
        if own is None or own < SLOW_US_MIN:
            return False
        others = [
            average
            for peer in peers
            if peer != channel_id and (average := self._believed(peer, course, now_us)) is not None
        ]
        if not others:
            return False
        usual = sum(others) / len(others)
        return own > SLOW_FACTOR * usual and own - usual >= SLOW_US_MIN

    def _believed(self, channel_id: str, course: Course, now_us: int) -> float | None:
        average = self._averages.get((channel_id, course))
        if average is None or average.samples < SAMPLES_MIN or not _is_fresh(average, now_us):
            return None
        return average.us

    def keep(self, channel_ids: frozenset[str]) -> None:
        """Forget channels that are gone."""
        self._averages = {key: each for key, each in self._averages.items() if key[0] in channel_ids}
