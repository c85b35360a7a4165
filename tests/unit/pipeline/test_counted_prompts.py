"""A prompt that is only counted costs the gateway little, whatever it is made of."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

from bytespike.catalog.load import load_models
from bytespike.errors import ContextTooLong, InvalidRequest
from bytespike.pipeline import attempt, counting
from bytespike.pipeline.attempt import COUNTED_OBJECTS_MAX, Requests
from bytespike.pipeline.plan import WINDOW_EXCESS, fitting_prompt_tokens
from bytespike.pricing.estimate import count_tokens, tokens_of_body
from bytespike.protocols import anthropic_messages

DIALECT = anthropic_messages.DIALECT
MODEL = next(model for model in load_models() if model.slug == "claude-sonnet-4-6")


class Call:
    addressed = None

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.dialect = DIALECT


class Plan:
    thinking = False


def requests_of(body: bytes) -> Requests:
    call: Any = Call(body)
    plan: Any = Plan()
    return Requests(call, plan)


def body_of(*messages: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"model": "claude", "max_tokens": 1, "messages": messages, **more}).encode()


def agents_body(turns: int) -> bytes:
    messages: list[dict[str, Any]] = []
    for turn in range(turns):
        call = {
            "type": "tool_use",
            "id": f"t{turn}",
            "name": "read",
            "input": {"path": f"src/module_{turn}.py"},
        }
        said = "    def f(self, x: int) -> int:\n        return self._y[x] + 1\n" * 12
        messages.append({"role": "assistant", "content": [{"type": "text", "text": "I will look."}, call]})
        result = {
            "type": "tool_result",
            "tool_use_id": f"t{turn}",
            "content": [{"type": "text", "text": said}],
        }
        messages.append({"role": "user", "content": [result]})
    return body_of(*messages)


MANY = body_of(*[{"role": "user", "content": [{"type": "text", "text": "x"}]}] * 16_000)


def test_a_body_of_many_small_pieces_is_counted_without_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def unread(body: bytes) -> None:
        raise AssertionError("it was read")

    assert MANY.count(b"{") > COUNTED_OBJECTS_MAX
    monkeypatch.setattr(type(DIALECT), "read_request", staticmethod(unread))
    assert requests_of(MANY).prompt_tokens() == tokens_of_body(MANY)
    with pytest.raises(AssertionError):
        requests_of(body_of({"role": "user", "content": "hi"})).prompt_tokens()


@pytest.mark.parametrize(
    "body",
    [
        MANY,
        body_of({"role": "user", "content": "x" * 1_000_000}),
        body_of({"role": "user", "content": "\n1{" * 300_000}),
        body_of(tools=[{"name": f"f{n}", "input_schema": {"a": [{}] * 40}} for n in range(2_000)]),
        agents_body(400),
    ],
    ids=["many", "long", "dense", "tools", "agent"],
)
def test_counting_a_megabyte_does_not_hold_up_the_loop(body: bytes) -> None:
    best = 1.0
    for _ in range(3):
        # The thread's own time: gateways of other tests may run beside it.
        start = time.thread_time()
        counting.COUNTINGS["anthropic_messages"].request(body)
        requests_of(body).prompt_tokens()
        best = min(best, time.thread_time() - start)
    # 2 to 6 ms on the machine that it was written on.
    assert best / (len(body) / 1_000_000) < 0.05


def test_the_count_of_the_bytes_is_near_that_of_what_they_say() -> None:
    body = agents_body(100)
    read = count_tokens(DIALECT.read_request(body))
    assert read <= tokens_of_body(body) <= read * 1.35


def test_the_bytes_of_a_picture_are_not_its_tokens() -> None:
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 2_000).decode()
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    assert 1_000 <= tokens_of_body(body_of({"role": "user", "content": [image]})) < 20_000


def test_a_limit_is_put_before_the_first_member_and_nothing_else_changes() -> None:
    with_limit = counting.COUNTINGS["anthropic_messages"].request
    for raw in (
        b'{"model":"m"}',
        b' {\n  "model" : "m" }',
        b"{}",
        b'{"max_tokens":5,"x":1}',
        b'{"a":{"max_tokens":5}}',
    ):
        assert json.loads(with_limit(raw)) == {"max_tokens": 1, **json.loads(raw)}
    assert with_limit(b'{\n "model":"m"}') == b'{"max_tokens":1,\n "model":"m"}'
    for strange in (b"", b"[]", b"{", b'{"a"'):
        with pytest.raises(InvalidRequest):
            DIALECT.read_request(with_limit(strange))


def test_a_prompt_that_cannot_fit_is_not_counted() -> None:
    fits = b"x" * (MODEL.context_window * WINDOW_EXCESS * 2)
    assert fitting_prompt_tokens(fits, MODEL) <= MODEL.context_window * WINDOW_EXCESS
    with pytest.raises(ContextTooLong):
        fitting_prompt_tokens(fits * 2, MODEL)
    assert attempt.COUNTED_OBJECTS_MAX < 10_000
