"""`serve --workers N`: a scrape of whichever worker tells what all have counted, and no counter goes back when one dies."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bytespike.providers.simulator.server import Simulator
from tests.support.gateway import GPT, RunningGateway
from tests.support.raw_http import ask_many
from tests.support.served import Served, chat

pytestmark = pytest.mark.slow

WORKERS = 3
REQUESTS = 60


class Scraped:
    """What one scrape told. `answered`: requests that were answered with 200."""

    def __init__(self, port: int) -> None:
        # A connection of its own each time: whichever worker the kernel gives it to.
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            page = answer.read().decode()
        self._samples = [
            sample for family in text_string_to_metric_families(page) for sample in family.samples
        ]
        self.answered = self.total("bytespike_requests_total", endpoint="chat_completions", status="200")

    def total(self, name: str, **labels: str) -> float:
        return sum(
            sample.value
            for sample in self._samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def test_a_scrape_tells_the_sum_of_all_workers_and_counters_never_go_back(tmp_path: Path):
    with Simulator() as simulator:
        with RunningGateway(tmp_path, simulator) as gateway:
            key = gateway.key
        served = Served(tmp_path, WORKERS)
        try:
            body = chat(GPT, 20, "tokens=5")

            def ask(count: int) -> None:
                answers = asyncio.run(
                    ask_many(
                        "127.0.0.1", served.port, "/v1/chat/completions", body, {"x-api-key": key}, count
                    )
                )
                assert [answer.status for answer in answers] == [200] * count

            def scrape() -> Scraped:
                scraped = Scraped(served.port)
                assert scraped.answered >= told[-1].answered if told else True
                told.append(scraped)
                return scraped

            told: list[Scraped] = []
            ask(REQUESTS)
            until(lambda: scrape().answered == REQUESTS)
            last = told[-1]
            assert last.total("bytespike_workers") == WORKERS
            assert last.total("bytespike_model_requests_total", model=GPT, outcome="completed") == REQUESTS
            assert last.total("bytespike_request_duration_seconds_count", model=GPT) == REQUESTS
            assert last.total("bytespike_attempts_total", outcome="completed") == REQUESTS
            assert last.total("bytespike_tokens_total", model=GPT, bucket="output") == REQUESTS * 5
            assert last.total("bytespike_receipts_posted_total") == REQUESTS
            # One dies in the middle of everything. What it had told is told on, and its successor counts on.
            before = served.workers()
            os.kill(before[0], signal.SIGKILL)
            until(lambda: len(set(served.workers()) - set(before)) == 1)
            until(lambda: scrape().total("bytespike_workers") == WORKERS)
            assert told[-1].answered == REQUESTS
            ask(REQUESTS)
            until(lambda: scrape().answered == 2 * REQUESTS)
            until(lambda: scrape().total("bytespike_holds_open") == 0)
        finally:
            code = served.stop()
        assert code == 0, served.log()[-2000:]
        # A gateway that is started anew counts anew.
        again = Served(tmp_path, WORKERS)
        try:
            assert Scraped(again.port).answered == 0
        finally:
            again.stop()
