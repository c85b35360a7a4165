"""Counters that cost an increment of an int, rendered by prometheus-client when someone asks.

Label sets are bounded: endpoints are the route table's names, statuses are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

Gauges = Callable[[], dict[str, int]]


class Metrics(Collector):
    """`gauges`: name to value, read at scrape time; each becomes `bytespike_<name>`."""

    def __init__(self) -> None:
        self._answered: dict[tuple[str, int], int] = {}
        self._gauges: list[Gauges] = []
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    content_type = CONTENT_TYPE_LATEST.encode()

    def answered(self, endpoint: str, status: int) -> None:
        """A request ended. `status` 0: the caller hung up before it had an answer."""
        answered = self._answered
        answered[endpoint, status] = answered.get((endpoint, status), 0) + 1

    def counts(self) -> dict[tuple[str, int], int]:
        """Requests that ended, by endpoint and status."""
        return dict(self._answered)

    def add_gauges(self, gauges: Gauges) -> None:
        self._gauges.append(gauges)

    def render(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        requests = CounterMetricFamily(
            "bytespike_requests", "Requests by endpoint and answered status", labels=["endpoint", "status"]
        )
        for (endpoint, status), count in self._answered.items():
            requests.add_metric([endpoint, str(status)], count)
        yield requests
        for gauges in self._gauges:
            for name, value in gauges().items():
                yield GaugeMetricFamily(f"bytespike_{name}", name.replace("_", " "), value=value)
