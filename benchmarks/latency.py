"""What the gateway adds to the time of an answer, at half the load that it can carry.

First its capacity is found: what a request takes of its core, with everything that follows the answer. Then requests are sent at half that rate, evenly spaced, to nginx and
to the gateway in turn. Times count from the moment at which a request was due. The figure is the difference of the two
percentiles, which is what a client sees; it is not the percentile of differences.
"""

from __future__ import annotations

import statistics

from benchmarks.cases import LATENCY_P50_MS, LATENCY_P99_MS, LATENCY_STREAM, LATENCY_WHOLE
from benchmarks.figures import Figure, told
from benchmarks.processes import NotMeasured
from benchmarks.rounds import Run, target_of
from benchmarks.stream_client import Spread
from benchmarks.work import Work

_CONNECTIONS = 64
#: The load's own core must not become what is measured.
_PACE_MAX = 2500.0
_TRIAL_REQUESTS = 3000


def measure_latency(run: Run) -> list[Figure]:
    """Four lines: p50 and p99, of whole answers and of a stream's first event. Raises NotMeasured."""
    return [
        *_measure(run, "latency/unary", LATENCY_WHOLE, first=False),
        *_measure(run, "latency/first-event", LATENCY_STREAM, first=True),
    ]


def _measure(run: Run, name: str, work: Work, *, first: bool) -> list[Figure]:
    targets = {subject.name: target_of(run, subject, work) for subject in (run.floor, run.subject)}
    target = targets[run.subject.name]
    trial = run.loader.closed(run.subject, target, work, connections=32, requests=_TRIAL_REQUESTS)
    pace = min(1e6 / trial.cpu_us / 2, trial.per_second / 2, _PACE_MAX)
    requests = round(pace * run.effort.latency_seconds / run.effort.long.count)
    seen: dict[str, list[Spread]] = {run.floor.name: [], run.subject.name: []}
    for _ in range(run.effort.long.count):
        for subject in (run.floor, run.subject):
            counts = run.loader.run(
                targets[subject.name], work, connections=_CONNECTIONS, requests=requests, pace=pace
            )
            spread = counts.first if first else counts.last
            if spread is None:
                raise NotMeasured(f"{subject.name} gave no latencies")
            seen[subject.name].append(spread)
    floor, measured = seen[run.floor.name], seen[run.subject.name]
    figures: list[Figure] = []
    for percentile, budget in (("p50", LATENCY_P50_MS), ("p99", LATENCY_P99_MS)):
        floor_ms = statistics.median(getattr(one, percentile) for one in floor)
        own_ms = statistics.median(getattr(one, percentile) for one in measured)
        figures.append(
            Figure(
                case=f"{name}-{percentile}",
                value=own_ms - floor_ms,
                unit="ms",
                budget=budget,
                cost=told(own_ms, "ms"),
                floor=told(floor_ms, "ms"),
                rate=f"{pace:,.0f}/s",
                detail={
                    "pace_per_second": pace,
                    "requests": requests,
                    "own_ms": own_ms,
                    "floor_ms": floor_ms,
                },
            )
        )
    return figures
