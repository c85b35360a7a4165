"""POST /api/v1/dial/test: a model × a protocol × a key, tried for real and free of charge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bytespike.accounts import channels, keys
from bytespike.accounts.channels import ChannelChanges
from bytespike.accounts.key_hash import hash_key
from bytespike.clock import SystemClock
from bytespike.errors import RateLimited
from bytespike.http.management.throttle import DIALS_MAX, DialTurns
from tests.support.gateway import CLAUDE, GEMINI, GPT, GPT_RESPONSES, RunningGateway

pytestmark = pytest.mark.slow

NATIVE = {
    CLAUDE: "anthropic_messages",
    GPT: "openai_chat",
    GPT_RESPONSES: "openai_responses",
    GEMINI: "gemini",
}
PROTOCOLS = tuple(NATIVE.values())


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("dial")) as running:
        yield running


@pytest.fixture
def key(gateway: RunningGateway) -> str:
    """Of a user of its own, who has tried nothing yet, and has no money."""
    return gateway.new_key(user_id=gateway.new_user(0))


def dial(gateway: RunningGateway, key: str, model: str, protocol: str, **more: str) -> tuple[int, Any]:
    body = json.dumps({"model": model, "protocol": protocol, **more}).encode()
    answer = gateway.post("/api/v1/dial/test", body, {"x-api-key": key})
    return answer.status, json.loads(answer.body)


def results(report: Any) -> dict[str, str]:
    return {step["step"]: step["result"] for step in report["steps"]}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("model", NATIVE)
def test_each_model_answers_in_each_protocol_and_nobody_pays(
    gateway: RunningGateway, key: str, model: str, protocol: str
) -> None:
    rows = gateway.usage_rows()
    status, report = dial(gateway, key, model, protocol)
    assert status == 200
    assert report["ok"] is True
    assert report["support"] == ("native" if NATIVE[model] == protocol else "translated")
    assert results(report) == dict.fromkeys(("key", "model", "channel", "answer", "stream"), "ok")
    assert gateway.usage_rows() == rows
    assert gateway.open_holds() == 0


def test_any_name_of_a_model_will_do(gateway: RunningGateway, key: str) -> None:
    _, report = dial(gateway, key, "gpt-5.5", "openai_chat")
    assert (report["ok"], report["model"]) == (True, GPT)


@pytest.mark.parametrize(
    ("model", "step", "word"),
    [
        ("gpt-99-that-is-not", "model", "gpt-99"),
        ("sora2", "model", "makes no text"),
        ("deepseek-v4-pro", "channel", "no channel of the key's group"),
    ],
)
def test_the_step_that_fails_says_why(gateway, key: str, model: str, step: str, word: str) -> None:
    status, report = dial(gateway, key, model, "openai_chat")
    assert (status, report["ok"]) == (200, False)
    last = report["steps"][-1]
    assert (last["step"], last["result"]) == (step, "failed")
    assert word in last["found"]


def test_a_model_that_the_key_may_not_use(gateway: RunningGateway) -> None:
    key = gateway.new_key(user_id=gateway.new_user(0), allowed_models=(GPT,))
    _, report = dial(gateway, key, CLAUDE, "openai_chat")
    assert results(report)["model"] == "failed"


def test_an_upstream_that_fails_is_told_without_its_words(gateway: RunningGateway, key: str) -> None:
    async def change(credential: str) -> None:
        async with gateway.application.control.writing("test") as write:
            found = await channels.find(write.connection, "simulator-gemini")
            await channels.update(
                write,
                found.channel.id,
                ChannelChanges(base_urls={**found.channel.base_urls, "gemini": credential}),
            )
        await gateway.application.parts.directory.poll()

    right = gateway.sim.base_url + "/gemini"
    gateway.run(change("http://127.0.0.1:9/gemini"))
    try:
        _, report = dial(gateway, key, GEMINI, "gemini")
    finally:
        gateway.run(change(right))
    last = report["steps"][-1]
    assert (report["ok"], last["step"], last["result"]) == (False, "answer", "failed")
    assert "127.0.0.1" not in json.dumps(report)


def test_another_key_of_the_callers_can_be_tried_and_nobody_elses(gateway: RunningGateway) -> None:
    user = gateway.new_user(0)
    key = gateway.new_key(user_id=user)
    other = gateway.new_key(user_id=user, allowed_models=(GPT,))
    strangers = gateway.new_key(user_id=gateway.new_user(0))

    def id_of(plaintext: str) -> str:
        async def load() -> str:
            record = await gateway.application.parts.directory.load(hash_key(plaintext))
            assert record is not None
            return record.id

        return gateway.run(load())

    _, report = dial(gateway, key, CLAUDE, "openai_chat", api_key_id=id_of(other))
    assert results(report) == {"key": "ok", "model": "failed"}
    assert dial(gateway, key, CLAUDE, "openai_chat", api_key_id=id_of(strangers))[0] == 404
    assert dial(gateway, key, CLAUDE, "openai_chat", api_key_id="key_none")[0] == 404

    async def revoke() -> None:
        async with gateway.application.control.writing("test") as write:
            await keys.revoke(write, id_of_other)

    id_of_other = id_of(other)
    gateway.run(revoke())
    _, report = dial(gateway, key, GPT, "openai_chat", api_key_id=id_of_other)
    assert results(report) == {"key": "failed"}


def test_a_protocol_that_there_is_not(gateway: RunningGateway, key: str) -> None:
    status, told = dial(gateway, key, GPT, "smtp")
    assert (status, told["error"]["param"]) == (400, "protocol")


def test_without_a_key_nothing_is_tried(gateway: RunningGateway) -> None:
    assert dial(gateway, "sk-byts-" + "x" * 40, GPT, "openai_chat")[0] == 401


def test_a_user_has_a_few_tries_a_minute() -> None:
    class Clock(SystemClock):
        us = 1_700_000_000_000_000

        def now_us(self) -> int:
            return Clock.us

    turns = DialTurns(Clock())
    for _ in range(DIALS_MAX):
        turns.take("a")
        Clock.us += 1
    turns.take("b")
    for _ in range(3):
        with pytest.raises(RateLimited) as caught:
            turns.take("a")
        assert 0 < (caught.value.retry_after or 0) <= 60
    Clock.us += 60 * 1_000_000
    turns.take("a")
