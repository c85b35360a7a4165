"""The page of metrics: of one process, and of several."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bytespike.core.usage import Usage
from bytespike.observe import counting, families, shelf
from bytespike.observe.metrics import ORIGINS_MAX, Metrics, few_origins
from bytespike.observe.shelf import Reading, Shelf
from tests.support.reference import REFERENCE, metrics_text, replaced

KEY = ("openai_chat", "anthropic_messages", "claude-sonnet-4-6", True)


def samples(page: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def value(page: bytes, name: str, **labels: str) -> float:
    return samples(page)[name, tuple(sorted(labels.items()))]


def count(metrics: Metrics, times: int = 1) -> None:
    for _ in range(times):
        counting.end(metrics.tallies, "messages", 200)
        counting.billed(metrics.tallies, KEY, "completed", 90, 20, Usage(input=5, output=7), 100)
        counting.attempted(metrics.tallies, "chn_1", "completed", "")
        metrics.tallies.lagged(3)


def test_a_page_tells_what_was_counted():
    metrics = Metrics()
    metrics.channel_name = {"chn_1": "first"}.get
    count(metrics, 3)
    counting.unbilled(metrics.tallies, KEY, "failed")
    counting.attempted(metrics.tallies, "chn_2", "failed", "timeout")
    page = metrics.render()
    model = {
        "dialect": "openai_chat",
        "upstream_dialect": "anthropic_messages",
        "model": "claude-sonnet-4-6",
        "stream": "true",
    }
    assert value(page, "bytespike_requests_total", endpoint="messages", status="200") == 3
    assert value(page, "bytespike_model_requests_total", **model, outcome="completed") == 3
    assert value(page, "bytespike_model_requests_total", **model, outcome="failed") == 1
    assert value(page, "bytespike_request_duration_seconds_bucket", **model, le="0.05") == 0
    assert value(page, "bytespike_request_duration_seconds_bucket", **model, le="0.1") == 3
    assert value(page, "bytespike_request_duration_seconds_bucket", **model, le="+Inf") == 3
    assert value(page, "bytespike_request_duration_seconds_sum", **model) == pytest.approx(0.27)
    assert value(page, "bytespike_first_token_seconds_count", **model) == 3
    assert value(page, "bytespike_tokens_total", model="claude-sonnet-4-6", bucket="input") == 15
    assert value(page, "bytespike_tokens_total", model="claude-sonnet-4-6", bucket="output") == 21
    assert value(page, "bytespike_credits_total", model="claude-sonnet-4-6") == 300
    assert value(page, "bytespike_attempts_total", channel="first", outcome="completed", error="") == 3
    # A channel that is gone goes by its id.
    assert value(page, "bytespike_attempts_total", channel="chn_2", outcome="failed", error="timeout") == 1
    assert value(page, "bytespike_loop_lag_seconds_count") == 3
    assert value(page, "bytespike_workers") == 1


def test_figures_of_others_are_read_when_the_page_is_asked_for():
    metrics = Metrics()
    held = [1]
    metrics.add_source(lambda: [Reading("holds_open", (), held[0]), Reading("receipts_posted", (), 5)])
    assert value(metrics.render(), "bytespike_holds_open") == 1
    held[0] = 2
    assert value(metrics.render(), "bytespike_holds_open") == 2
    assert value(metrics.render(), "bytespike_receipts_posted_total") == 5


def test_many_upstream_addresses_become_a_bounded_number_of_labels():
    figures = [(f"host{number}:443", ("idle",), number) for number in range(ORIGINS_MAX + 20)]
    metrics = Metrics()
    metrics.add_source(lambda: few_origins("upstream_connections", figures))
    page = samples(metrics.render())
    told = {
        labels: value for (name, labels), value in page.items() if name == "bytespike_upstream_connections"
    }
    assert len(told) == ORIGINS_MAX + 1
    assert sum(told.values()) == sum(range(ORIGINS_MAX + 20))
    assert told[(("origin", "other"), ("state", "idle"))] == sum(range(20))


# --- several workers -------------------------------------------------------------------------------------------------


@pytest.fixture
def worker(tmp_path: Path) -> Callable[[int], Metrics]:
    return lambda number: Metrics(Shelf(tmp_path / "metrics", number))


def requests(page: bytes) -> float:
    return value(page, "bytespike_requests_total", endpoint="messages", status="200")


def test_a_scrape_of_any_worker_tells_the_sum_of_all(worker: Callable[[int], Metrics]):
    workers = [worker(number) for number in range(3)]
    for number, each in enumerate(workers, 1):
        count(each, number)
        each.add_source(lambda number=number: [Reading("holds_open", (), number)])
        each.put()
    for each in workers:
        page = each.render()
        assert requests(page) == 6
        assert value(page, "bytespike_holds_open") == 6
        assert value(page, "bytespike_workers") == 3


def test_lags_are_the_worst_of_the_workers_not_their_sum(worker: Callable[[int], Metrics]):
    for number, lag in ((0, 2.0), (1, 3.0)):
        each = worker(number)
        each.add_source(lambda lag=lag: [Reading("spool_lag_seconds", (), lag)])
        page = each.render()
    assert value(page, "bytespike_spool_lag_seconds") == 3.0


def test_what_a_dead_worker_had_told_is_told_on_by_its_successor(worker: Callable[[int], Metrics]):
    other = worker(1)
    dying = worker(0)
    dying.add_source(lambda: [Reading("receipts_posted", (), 4), Reading("holds_open", (), 9)])
    count(dying, 4)
    assert requests(dying.render()) == 4
    count(dying, 1)  # told to nobody, and lost with it
    del dying
    assert requests(other.render()) == 4
    successor = worker(0)
    successor.add_source(lambda: [Reading("receipts_posted", (), 2), Reading("holds_open", (), 1)])
    count(successor, 2)
    for page in (successor.render(), other.render()):
        assert requests(page) == 6
        assert value(page, "bytespike_receipts_posted_total") == 6
        assert value(page, "bytespike_holds_open") == 1


def test_counters_never_go_back_however_workers_come_and_go(worker: Callable[[int], Metrics]):
    workers = [worker(0), worker(1)]
    told = 0.0
    for step in range(40):
        count(workers[step % 2], 1 + step % 3)
        told_now = requests(workers[(step // 2) % 2].render())
        assert told_now >= told
        told = told_now
        if step % 5 == 4:
            workers[step % 2] = worker(step % 2)


def test_what_a_worker_that_is_gone_had_open_is_not_open_any_more(
    worker: Callable[[int], Metrics], monkeypatch: pytest.MonkeyPatch
):
    gone, here = worker(0), worker(1)
    for each in (gone, here):
        each.add_source(lambda: [Reading("holds_open", (), 3)])
    count(gone)
    gone.put(last=True)
    page = here.render()
    assert value(page, "bytespike_holds_open") == 3
    assert value(page, "bytespike_workers") == 1
    assert requests(page) == 1
    # One that did not say goodbye is gone when its file is old.
    gone.put()
    assert value(here.render(), "bytespike_holds_open") == 6
    monkeypatch.setattr(shelf, "ALIVE_S", 0.0)
    assert requests(here.render()) == 1
    assert "bytespike_workers 0\n" in here.render().decode()


def test_a_new_supervisor_begins_anew(worker: Callable[[int], Metrics], tmp_path: Path):
    count(worker(0))
    worker(0).put()
    shelf.clear(tmp_path / "metrics")
    assert not list((tmp_path / "metrics").iterdir())
    shelf.clear(tmp_path / "not there")


def test_a_file_that_cannot_be_read_is_left_out(worker: Callable[[int], Metrics], tmp_path: Path):
    metrics = worker(0)
    count(metrics)
    for name, data in (("1", b"\xff nonsense"), ("notes.txt", b"?"), ("999999", b"")):
        (tmp_path / "metrics").mkdir(exist_ok=True)
        (tmp_path / "metrics" / name).write_bytes(data)
    assert requests(metrics.render()) == 1


def test_a_disk_that_takes_nothing_costs_no_page(tmp_path: Path):
    (tmp_path / "metrics").write_text("a file where the folder should be")
    metrics = Metrics(Shelf(tmp_path / "metrics", 0))
    count(metrics)
    assert requests(metrics.render()) == 1


# --- the reference ---------------------------------------------------------------------------------------------------


def test_the_reference_has_every_metric_and_nothing_else():
    document = (REFERENCE / "metrics.md").read_text("utf-8")
    assert replaced(document, metrics_text()) == document, "run python -m tests.support.reference"


def test_a_page_has_every_metric_that_is_documented_and_nothing_else():
    metrics = Metrics()
    page = metrics.render().decode()
    told = {family.name for family in text_string_to_metric_families(page)}
    assert told == {families.PREFIX + family.name for family in families.FAMILIES}


def test_labels_with_anything_in_them_are_read_back_as_they_are():
    metrics = Metrics()
    names = ['a "quoted" name', "back\\slash", "two\nlines", "ünïcödé", "plain"]
    metrics.channel_name = {f"chn_{number}": name for number, name in enumerate(names)}.get
    for number in range(len(names)):
        metrics.tallies.attempts[f"chn_{number}", "completed", ""] = number + 1
    told = {
        dict(labels)["channel"]: count
        for (name, labels), count in samples(metrics.render()).items()
        if name == "bytespike_attempts_total"
    }
    assert told == {name: number + 1 for number, name in enumerate(names)}
