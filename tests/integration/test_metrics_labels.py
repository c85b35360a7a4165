"""The metrics of a running gateway: every figure is there, and nothing that a caller sends is ever a label."""

from __future__ import annotations

import http.client
import json
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from bytespike.observe.families import FAMILIES
from tests.support.gateway import CLAUDE, GPT, RunningGateway

SENT = "zzz-a-callers-own-words"


def scrape(gateway: RunningGateway) -> list[Sample]:
    page = gateway.request("GET", "/metrics").body.decode()
    return [sample for family in text_string_to_metric_families(page) for sample in family.samples]


def total(samples: list[Sample], name: str, **labels: str) -> float:
    return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())


def ask(model: str, directive: str = "tokens=5", **more: object) -> bytes:
    messages = [{"role": "user", "content": f"[[sim: {directive}]] {SENT}"}]
    return json.dumps({"model": model, "max_tokens": 40, "messages": messages, **more}).encode()


def test_what_callers_send_is_never_a_label(tmp_path: Path):
    with RunningGateway(tmp_path) as gateway:
        known = {label for family in FAMILIES for label in family.labels} | {"le"}
        # One of each kind, and one that fails, so that every family has its labels.
        gateway.post("/v1/messages", ask(CLAUDE))
        gateway.post("/v1/messages", ask(CLAUDE, "error=500"))
        gateway.heal()
        before = {(each.name, tuple(sorted(each.labels.items()))) for each in scrape(gateway)}
        for number in range(30):
            gateway.post("/v1/messages", ask(f"{SENT}-model-{number}"))
            gateway.post("/v1/messages", ask(CLAUDE), {"x-api-key": f"sk-byts-{SENT}-{number:032d}"})
            gateway.post(f"/v1/{SENT}/{number}", b"{}")
            gateway.post(f"/v1beta/models/{SENT}-{number}:generateContent", b"{}")
            gateway.request("GET", f"/v1/models/{SENT}-{number}", headers={"x-api-key": gateway.key})
            gateway.post("/v1/messages", ask(CLAUDE, metadata={"user_id": f"{SENT}-{number}"}))
            # Names that mean a model of the catalog are counted under its own.
            gateway.post("/v1/messages", ask(CLAUDE.replace("-4-6", ".4.6" if number % 2 else "-4.6")))
        samples = scrape(gateway)
        told = {(each.name, tuple(sorted(each.labels.items()))) for each in samples}
        assert SENT not in repr(samples)
        assert {label for each in samples for label in each.labels} <= known
        # What is new are some answers of an endpoint, not one for each of what was sent.
        assert len(told - before) < 15, sorted(told - before)


def test_the_figures_of_streams_failures_and_refusals(tmp_path: Path):
    with RunningGateway(tmp_path) as gateway:
        gateway.post("/v1/chat/completions", ask(CLAUDE, stream=True))
        gateway.post("/v1/messages", ask(CLAUDE))
        gateway.post("/v1/messages", ask(GPT))
        gateway.post("/v1/messages", ask(GPT, "error=500"))
        gateway.heal()
        gateway.request(
            "POST", "/v1/messages", ask(GPT), {"x-api-key": gateway.key, "x-bytespike-dry-run": "true"}
        )
        gateway.settled()
        samples = scrape(gateway)
        ended = "bytespike_model_requests_total"
        translated = {"dialect": "openai_chat", "upstream_dialect": "anthropic_messages", "stream": "true"}
        assert total(samples, ended, model=CLAUDE, outcome="completed", **translated) == 1
        assert total(samples, ended, model=CLAUDE, outcome="completed", stream="false") == 1
        assert total(samples, ended, model=GPT, outcome="failed") == 1
        assert total(samples, ended, model=GPT, outcome="dry_run", upstream_dialect="none") == 1
        assert total(samples, "bytespike_tokens_total", model=CLAUDE, bucket="output") == 10
        assert total(samples, "bytespike_tokens_total", model=GPT, bucket="output") == 5
        assert total(samples, "bytespike_request_duration_seconds_count") == 3
        assert total(samples, "bytespike_first_token_seconds_count", stream="true") == 1
        assert total(samples, "bytespike_attempts_total", channel="simulator-openai", outcome="failed") >= 1
        assert total(samples, "bytespike_attempts_total", channel="simulator-anthropic") == 2
        assert total(samples, "bytespike_receipts_posted_total") == 3
        assert total(samples, "bytespike_holds_open") == 0
        assert total(samples, "bytespike_held_credits") == 0
        assert total(samples, "bytespike_upstream_connections", state="in_use") == 0
        assert total(samples, "bytespike_upstream_connections_opened_total") >= 1
        origin = gateway.sim.base_url.removeprefix("http://")
        assert total(samples, "bytespike_upstream_connections", origin=origin, state="idle") >= 1
        credits = total(samples, "bytespike_credits_total")
        assert credits == 1_000_000_000 - gateway.balance()
        gateway.until(lambda: total(scrape(gateway), "bytespike_loop_lag_seconds_count") > 0)


def test_a_stream_that_its_caller_leaves_is_counted_as_that(gateway: RunningGateway):
    before = total(scrape(gateway), "bytespike_model_requests_total", outcome="client_gone")
    leaving = http.client.HTTPConnection(gateway.host, gateway.port, timeout=30)
    leaving.request(
        "POST", "/v1/messages", ask(CLAUDE, "tokens=40 pace=0.05", stream=True), {"x-api-key": gateway.key}
    )
    leaving.getresponse().read(50)
    leaving.close()
    gateway.until(
        lambda: total(scrape(gateway), "bytespike_model_requests_total", outcome="client_gone") == before + 1
    )
