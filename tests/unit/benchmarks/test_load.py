"""The stream client and the streaming upstream, against each other: every event is counted once, and failures are told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import answers, load, prompts, stream_client
from benchmarks.check import check
from benchmarks.load import Loader
from benchmarks.processes import NotMeasured, Processes, free_port
from benchmarks.stage import ROOT
from benchmarks.work import DIALECTS, WHOLE, Dialect, Manner, Target, Work, path
from benchmarks.wrk import Wrk


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.stream_upstream", str(port)], cwd=ROOT)
    try:
        work = tmp_path_factory.mktemp("upstream")
        Processes("taskset", work, ROOT).ready("upstream", process, port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    return Loader(Wrk(("wrk",), tmp_path), (), tmp_path, ROOT)


def _target(port: int, work: Work) -> Target:
    where = path(work.client, "a-model", stream=work.manner.stream)
    return Target(port, work.manner.prefix + where, (), prompts.body(work, "a-model"))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("manner", [WHOLE, Manner(3), Manner(3, 1)])
def test_each_manner_passes_the_check(upstream: int, dialect: Dialect, manner: Manner) -> None:
    work = Work(dialect, dialect, "short", manner)
    check("the upstream", work, _target(upstream, work))


@pytest.mark.parametrize("dialect", ["anthropic", "chat", "gemini"])
def test_stamped_streams_pass_the_check(upstream: int, dialect: Dialect) -> None:
    work = Work(dialect, dialect, "short", Manner(3, 10, stamped=True))
    check("the upstream", work, _target(upstream, work))


def test_it_answers_large_bodies_only_when_they_are_complete(upstream: int, loader: Loader) -> None:
    work = Work("chat", "chat", "agent", WHOLE)
    counts = loader.run(_target(upstream, work), work, connections=2, requests=6)
    assert (counts.completed, counts.failure) == (6, "")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_event_of_every_stream_is_counted_once(upstream: int, loader: Loader, dialect: Dialect) -> None:
    work = Work(dialect, dialect, "short", Manner(200))
    target = _target(upstream, work)
    counts = loader.run(target, work, connections=4, requests=10)
    assert (counts.completed, counts.events) == (10, 2000)
    assert loader.sent_to(upstream) == {work: load.Tally(answered=10, cut=0)}
    assert loader.sent_to(upstream + 1) == {}


def test_an_events_delay_is_from_its_writing_to_its_reading(upstream: int, loader: Loader) -> None:
    work = Work("chat", "chat", "short", Manner(4, 5, stamped=True))
    counts = loader.run(_target(upstream, work), work, connections=3, requests=3)
    assert counts.events == 12
    assert counts.delay is not None
    assert counts.delay.count == 12
    assert 0 < counts.delay.p50 <= counts.delay.p99 <= counts.delay.max < 5000


def test_paced_requests_are_not_sent_before_they_are_due(upstream: int, loader: Loader) -> None:
    work = Work("chat", "chat", "short", WHOLE)
    counts = loader.run(_target(upstream, work), work, connections=4, requests=51, pace=200.0)
    assert counts.completed == 51
    assert counts.seconds >= 0.25
    assert counts.last is not None
    assert counts.last.p50 > 0


def test_an_answer_that_is_not_200_is_a_failure(upstream: int, loader: Loader) -> None:
    work = Work("chat", "chat", "short", WHOLE)
    with pytest.raises(NotMeasured, match="status 404"):
        loader.run(Target(upstream, "/elsewhere", (), b"{}"), work, connections=1, requests=1)
    assert loader.sent_to(upstream) == {work: load.Tally(answered=0, cut=1)}


def test_the_request_is_sent_with_its_length_and_headers() -> None:
    raw = load.http_request(Target(80, "/v1/messages", (("x-api-key", "k"),), b"{}"))
    assert (
        raw
        == b"POST /v1/messages HTTP/1.1\r\nx-api-key: k\r\nhost: 127.0.0.1:80\r\ncontent-length: 2\r\n\r\n{}"
    )


def test_percentiles_are_values_that_were_seen() -> None:
    spread = stream_client.spread([float(number) for number in range(1, 201)])
    assert spread is not None
    assert (spread.count, spread.p50, spread.p99, spread.max) == (200, 100.0, 198.0, 200.0)
    assert stream_client.spread([]) is None


def test_a_mark_that_arrives_in_two_pieces_is_one_event(tmp_path: Path) -> None:
    request = tmp_path / "request"
    request.write_bytes(b"")
    order = stream_client.Order(
        port=1, request=str(request), connections=1, requests=1, mark=answers.EVENT_MARK
    )
    driver = stream_client.Driver(order)
    connection = stream_client.Connection(driver)
    text = f"{answers.EVENT_MARK} one{answers.EVENT_MARK} two".encode()
    for number in range(len(text)):
        connection.on_body(text[number : number + 1])
    assert driver.events == 2
