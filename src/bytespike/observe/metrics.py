"""The metrics of a gateway: counted in `tallies`, read from their owners when asked, and told in Prometheus's text.

With several workers a page has the sum of all of them (`shelf`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import monotonic_ns
from typing import Final

import structlog

from bytespike.observe import families as f
from bytespike.observe.exposition import CONTENT_TYPE, Page
from bytespike.observe.shelf import Reading, Shelf, Snapshot, lives
from bytespike.observe.tallies import DURATION_MS, LAG_MS, OTHER, TOKENS, UNITS, Tallies

log = structlog.get_logger("bytespike.observe")

#: Reads figures from their owner. Names are those of `families.READ`.
Source = Callable[[], Iterable[Reading]]
#: The name of a channel by its id; None: it is gone.
ChannelName = Callable[[str], str | None]

#: Values of one label that are told apart, where they come from the operator's settings.
ORIGINS_MAX: Final = 100


class Metrics:
    """`tallies`: what is counted as it happens. `shelf`: None where one process serves alone."""

    content_type = CONTENT_TYPE

    def __init__(self, shelf: Shelf | None = None) -> None:
        self.tallies = Tallies()
        self._shelf = shelf
        self._sources: list[Source] = []
        self._before: list[Reading] = []
        self._told_of_shelf = False
        self.channel_name: ChannelName = _nameless
        before = None if shelf is None else shelf.before()
        if before is not None:
            # A worker that was here before: its counters go on.
            self.tallies.add(before.tallies)
            self._before = before.counts

    def counts(self) -> dict[tuple[str, int], int]:
        """Requests that ended, by endpoint and status."""
        return dict(self.tallies.answered)

    def add_source(self, source: Source) -> None:
        self._sources.append(source)

    def put(self, *, last: bool = False) -> Snapshot:
        """This process's figures as they are now; where there are others, for them too. `last`: of a process that ends,
        which has no gauges any more."""
        counts: list[Reading] = []
        gauges: list[Reading] = []
        for source in self._sources:
            for reading in source():
                (counts if f.READ[reading.name].kind == "counter" else gauges).append(reading)
        counts = _merged((*self._before, *counts))
        snapshot = Snapshot(0 if last else monotonic_ns(), self.tallies, counts, [] if last else gauges)
        if self._shelf is not None:
            try:
                self._shelf.put(snapshot)
            except OSError as error:
                if not self._told_of_shelf:
                    log.warning("the other workers cannot be told the metrics", error=type(error).__name__)
                self._told_of_shelf = True
            else:
                self._told_of_shelf = False
        return snapshot

    def render(self) -> bytes:
        """The page."""
        snapshots = [self.put()]
        if self._shelf is not None:
            snapshots += self._shelf.others()
        return _Sum(snapshots, self.channel_name).page()


class _Sum:
    """The figures of all workers, and the page of them."""

    def __init__(self, snapshots: list[Snapshot], channel_name: ChannelName) -> None:
        now_ns = monotonic_ns()
        living = [each for each in snapshots if lives(each, now_ns)]
        self._workers = len(living)
        self._tallies = snapshots[0].tallies
        if len(snapshots) > 1:
            self._tallies = Tallies()
            for snapshot in snapshots:
                self._tallies.add(snapshot.tallies)
        self._read: dict[str, list[Reading]] = {}
        for reading in (
            *_merged(reading for each in snapshots for reading in each.counts),
            *_merged(reading for each in living for reading in each.gauges),
        ):
            self._read.setdefault(reading.name, []).append(reading)
        self._channel_name = channel_name

    def page(self) -> bytes:
        page = Page()
        page.write(
            f.REQUESTS,
            (
                ((endpoint, str(status)), count)
                for (endpoint, status), count in self._tallies.answered.items()
            ),
        )
        self._write_models(page)
        page.write(f.ATTEMPTS, self._attempts().items())
        page.write_histogram(f.LOOP_LAG, LAG_MS, [((), self._tallies.lag)])
        page.write(f.WORKERS, [((), self._workers)])
        for family in f.READ.values():
            page.write(family, ((each.labels, each.value) for each in self._read.get(family.name, ())))
        return page.done()

    def _write_models(self, page: Page) -> None:
        told = [
            ((client, upstream, model, "true" if stream else "false"), tally)
            for (client, upstream, model, stream), tally in self._tallies.models.items()
        ]
        ended = (
            ((*labels, outcome), count) for labels, tally in told for outcome, count in tally.outcomes.items()
        )
        page.write(f.MODEL_REQUESTS, ended)
        billed = [(labels, tally) for labels, tally in told if any(tally.latency.counts)]
        page.write_histogram(f.DURATION, DURATION_MS, ((labels, tally.latency) for labels, tally in billed))
        page.write_histogram(
            f.FIRST_TOKEN, DURATION_MS, ((labels, tally.first_token) for labels, tally in billed)
        )
        used: dict[str, list[int]] = {}
        credits: dict[tuple[str, ...], int] = {}
        for (_, _, model, _), tally in billed:
            sums = used.setdefault(model, [0] * len(tally.used))
            used[model] = [one + more for one, more in zip(sums, tally.used, strict=True)]
            credits[model,] = credits.get((model,), 0) + tally.credits
        page.write(
            f.TOKENS,
            (
                ((model, bucket), count)
                for model, figures in used.items()
                for bucket, count in zip(TOKENS, figures[: len(TOKENS)], strict=True)
            ),
        )
        page.write(
            f.UNITS,
            (
                ((model, unit), count)
                for model, figures in used.items()
                for unit, count in zip(UNITS, figures[len(TOKENS) :], strict=True)
                if count
            ),
        )
        page.write(f.CREDITS, credits.items())

    def _attempts(self) -> dict[tuple[str, ...], int]:
        named: dict[tuple[str, ...], int] = {}
        for (channel_id, outcome, error), count in self._tallies.attempts.items():
            # Names are the operator's, and unique; a channel that is gone keeps its id.
            labels = (self._channel_name(channel_id) or channel_id, outcome, error)
            named[labels] = named.get(labels, 0) + count
        return named


def few_origins(name: str, of: Iterable[tuple[str, tuple[str, ...], int]]) -> Iterator[Reading]:
    """Readings by address (and further labels), the smaller figures of too many addresses together as "other"."""
    figures = sorted(of, key=lambda each: -each[2])
    kept = dict.fromkeys(origin for origin, _, _ in figures)
    apart = frozenset(list(kept)[:ORIGINS_MAX])
    for origin, labels, value in figures:
        yield Reading(name, (origin if origin in apart else OTHER, *labels), value)


def _nameless(channel_id: str) -> str | None:
    return None


def _merged(readings: Iterable[Reading]) -> list[Reading]:
    """One of each family and labels."""
    found: dict[tuple[str, tuple[str, ...]], float] = {}
    for each in readings:
        key = (each.name, each.labels)
        if key not in found:
            found[key] = each.value
        elif f.READ[each.name].merged == "max":
            found[key] = max(found[key], each.value)
        else:
            found[key] += each.value
    return [Reading(name, labels, value) for (name, labels), value in found.items()]
