"""A stream that passes what is held for it, where nothing more can be held: it ends in its dialect's own way."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from websockets.sync.client import connect

from bytespike.core.usage import estimated_chars
from bytespike.pricing.estimate import tokens_of_chars
from bytespike.testing import anthropic_stream, chat_stream, gemini_stream, responses_stream
from tests.support.gateway import CLAUDE, GEMINI, GPT, GPT_RESPONSES, Answer, RunningGateway

#: More than any model is held for where the client names no limit.
MUCH = "tokens=60000 piece=1000"
#: The provider tells at once of a prompt that costs more than everything that was held.
DEAR = "tokens=900 piece=100 cache_write=400000"


def messages(model: str, directive: str) -> tuple[str, dict]:
    talk = [{"role": "user", "content": f"[[sim: {directive}]]"}]
    return "/v1/messages", {"model": model, "max_tokens": 1000, "stream": True, "messages": talk}


def chat(model: str, directive: str) -> tuple[str, dict]:
    talk = [{"role": "user", "content": f"[[sim: {directive}]]"}]
    body = {"model": model, "stream": True, "stream_options": {"include_usage": True}, "messages": talk}
    return "/v1/chat/completions", body


def responses(model: str, directive: str) -> tuple[str, dict]:
    return "/v1/responses", {"model": model, "stream": True, "input": f"[[sim: {directive}]]"}


def gemini(model: str, directive: str) -> tuple[str, dict]:
    talk = [{"role": "user", "parts": [{"text": f"[[sim: {directive}]]"}]}]
    return f"/v1beta/models/{model}:streamGenerateContent?alt=sse", {"contents": talk}


def gemini_array(model: str, directive: str) -> tuple[str, dict]:
    path, body = gemini(model, directive)
    return path.removesuffix("?alt=sse"), body


def events_of(body: bytes) -> list[dict]:
    lines = [line for line in body.split(b"\n") if line.startswith(b"data: {")]
    return [json.loads(line[6:]) for line in lines]


@dataclass(frozen=True)
class Told:
    """What a client makes of a stream."""

    text: str
    reason: str
    output_tokens: int


def read_messages(body: bytes) -> Told:
    anthropic_stream.validate_stream(body)
    events = events_of(body)
    text = "".join(e["delta"].get("text", "") for e in events if e["type"] == "content_block_delta")
    last = next(e for e in events if e["type"] == "message_delta")
    return Told(text, last["delta"]["stop_reason"], last["usage"]["output_tokens"])


def read_chat(body: bytes) -> Told:
    chat_stream.validate_stream(body)
    choices = [choice for e in events_of(body) for choice in e["choices"]]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    (reason,) = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    return Told(text, reason, events_of(body)[-1]["usage"]["completion_tokens"])


def read_responses(body: bytes) -> Told:
    responses_stream.validate_stream(body, native_ids=True)
    last = events_of(body)[-1]
    assert last["type"] == "response.incomplete"
    response = last["response"]
    text = "".join(
        part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"]
    )
    return Told(text, response["incomplete_details"]["reason"], response["usage"]["output_tokens"])


def read_gemini(body: bytes) -> Told:
    # Google's own lines end in CR LF, and pass as they came.
    gemini_stream.validate_stream(body.replace(b"\r\n", b"\n"))
    return told_by_gemini(events_of(body))


def read_gemini_array(body: bytes) -> Told:
    gemini_stream.validate_stream(body, array=True)
    return told_by_gemini(json.loads(body))


def told_by_gemini(chunks: list[dict]) -> Told:
    text = "".join(part["text"] for c in chunks for part in c["candidates"][0]["content"]["parts"])
    usage = chunks[-1]["usageMetadata"]
    made = usage["candidatesTokenCount"] + usage.get("thoughtsTokenCount", 0)
    return Told(text, chunks[-1]["candidates"][0]["finishReason"], made)


ASKED = [
    (messages, CLAUDE, DEAR, read_messages, "max_tokens"),
    (messages, GEMINI, DEAR, read_messages, "max_tokens"),
    (chat, GPT, MUCH, read_chat, "length"),
    (chat, CLAUDE, DEAR, read_chat, "length"),
    (chat, GPT_RESPONSES, MUCH, read_chat, "length"),
    (responses, GPT_RESPONSES, MUCH, read_responses, "max_output_tokens"),
    (responses, GPT, MUCH, read_responses, "max_output_tokens"),
    (gemini, GEMINI, MUCH, read_gemini, "MAX_TOKENS"),
    (gemini_array, GEMINI, MUCH, read_gemini_array, "MAX_TOKENS"),
    (gemini, GPT, MUCH, read_gemini, "MAX_TOKENS"),
    (gemini_array, GPT, MUCH, read_gemini_array, "MAX_TOKENS"),
]


def with_just_enough(gateway: RunningGateway, path: str, body: bytes, more: int = 0) -> tuple[str, str, int]:
    """A user who has what this request is held for, and a key of theirs."""
    dry = gateway.post(path, body, {"x-api-key": gateway.key, "x-bytespike-dry-run": "true"})
    assert dry.status == 200, dry.body
    held = gateway.micro(dry.headers["x-estimated-credits"])
    user = gateway.new_user(balance=held + more)
    return user, gateway.new_key(user_id=user), held


def ask(gateway: RunningGateway, path: str, body: bytes, key: str) -> Answer:
    answer = gateway.post(path, body, {"x-api-key": key})
    assert answer.status == 200, answer.body
    return answer


@pytest.mark.parametrize(("write", "model", "directive", "read", "reason"), ASKED)
def test_the_stream_ends_as_at_its_limit_and_what_was_delivered_is_billed(
    gateway: RunningGateway,
    write: Callable[[str, str], tuple[str, dict]],
    model: str,
    directive: str,
    read: Callable[[bytes], Told],
    reason: str,
) -> None:
    path, asked = write(model, directive)
    body = json.dumps(asked).encode()
    user, key, held = with_just_enough(gateway, path, body)
    answer = ask(gateway, path, body, key)
    told = read(answer.body)
    assert told.reason == reason
    receipt = gateway.receipt(answer.headers["request-id"])
    assert receipt["end_reason"] == "out_of_funds"
    assert any("out of funds" in notice for notice in receipt["notices"])
    # Of these, Gemini alone tells its figures as it goes.
    assert receipt["estimated"] == (model != GEMINI)
    assert receipt["held"] == held
    # What the client has is what is billed: all of it, and nothing that it has not.
    assert receipt["output_tokens"] == told.output_tokens == tokens_of_chars(estimated_chars(told.text))
    assert 0 < len(told.text) < 4 * 60_000
    assert receipt["credits"] == gateway.price_of(
        model,
        input=receipt["input_tokens"],
        output=receipt["output_tokens"],
        cache_write_5m=receipt["cache_write_5m_tokens"],
    )
    assert gateway.balance(user) == held - receipt["credits"]
    if directive is MUCH:
        # By what one read of the upstream brought.
        assert held < receipt["credits"] < held + held // 2
    gateway.nothing_left_over()


@pytest.mark.parametrize(
    ("write", "model", "read"), [(chat, GPT, read_chat), (responses, GPT, read_responses)]
)
def test_a_quota_that_is_used_up_ends_a_stream_too(
    gateway: RunningGateway, write: Callable, model: str, read: Callable
) -> None:
    path, asked = write(model, MUCH)
    body = json.dumps(asked).encode()
    user, _, held = with_just_enough(gateway, path, body, more=10_000_000)
    key = gateway.new_key(user_id=user, quota=held)
    answer = ask(gateway, path, body, key)
    assert read(answer.body).text
    assert gateway.receipt(answer.headers["request-id"])["end_reason"] == "out_of_funds"
    # And that was all of it.
    assert gateway.post(path, body, {"x-api-key": key}).status == 402


@pytest.mark.parametrize(("write", "model"), [(chat, GPT), (gemini, GEMINI), (messages, GPT), (chat, CLAUDE)])
def test_where_there_is_more_it_is_held_and_the_stream_goes_on(
    gateway: RunningGateway, write: Callable, model: str
) -> None:
    path, asked = write(model, "tokens=40000 piece=1000")
    asked.pop("max_tokens", None) if write is not messages else asked.update(max_tokens=60_000)
    body = json.dumps(asked).encode()
    user, key, held = with_just_enough(gateway, path, body, more=10_000_000)
    answer = ask(gateway, path, body, key)
    receipt = gateway.receipt(answer.headers["request-id"])
    assert receipt["end_reason"] == "completed"
    assert not receipt["estimated"]
    if write is messages or model == CLAUDE:
        # Its provider was told a limit: what is held for that is enough.
        assert receipt["held"] == held >= receipt["credits"]
    else:
        assert receipt["output_tokens"] == 40_000
        assert receipt["held"] >= receipt["credits"] > held
    assert gateway.balance(user) == held + 10_000_000 - receipt["credits"]


def test_a_provider_that_keeps_to_its_limit_is_not_cut_by_a_count_of_characters(
    gateway: RunningGateway,
) -> None:
    """Words without a break are few tokens to a provider and many characters to us."""
    path, asked = chat(GPT, "tokens=1000 piece=50")
    body = json.dumps({**asked, "max_tokens": 700}).encode()
    user, key, held = with_just_enough(gateway, path, body)
    answer = ask(gateway, path, body, key)
    receipt = gateway.receipt(answer.headers["request-id"])
    assert (receipt["end_reason"], receipt["output_tokens"], receipt["held"]) == ("completed", 700, held)
    assert gateway.balance(user) == held - receipt["credits"]


def test_a_response_that_was_ended_is_kept_and_can_be_gone_on_from(gateway: RunningGateway) -> None:
    path, asked = responses(GPT_RESPONSES, MUCH)
    body = json.dumps(asked).encode()
    user, key, _ = with_just_enough(gateway, path, body)
    ended = events_of(ask(gateway, path, body, key).body)[-1]["response"]
    gateway.topup(user, 50_000_000)
    more = {"model": GPT_RESPONSES, "input": "[[sim: text=and on]]", "previous_response_id": ended["id"]}

    def goes_on() -> bool:
        return gateway.post(path, json.dumps(more).encode(), {"x-api-key": key}).status == 200

    gateway.until(goes_on, seconds=5)
    newest = gateway.newest_upstream_request()
    # Its provider knows nothing of an answer that was cut: it is told the conversation.
    assert "previous_response_id" not in newest.body
    assert [item.get("role") for item in newest.body["input"]] == ["user", "assistant", "user"]
    assert newest.body["input"][1]["content"][0]["text"] == ended["output"][0]["content"][0]["text"]


def test_a_turn_on_a_socket_ends_likewise_and_the_socket_stays_open(gateway: RunningGateway) -> None:
    path, asked = responses(GPT_RESPONSES, MUCH)
    asked.pop("stream")
    # A message is some bytes longer than a body.
    user, key, _ = with_just_enough(gateway, path, json.dumps(asked).encode(), more=1_000)
    headers = {"authorization": f"Bearer {key}"}
    with connect(
        f"ws://{gateway.host}:{gateway.port}{path}", additional_headers=headers, max_size=None
    ) as socket:

        def turn(**event: object) -> dict:
            socket.send(json.dumps({"type": "response.create", **event}))
            while True:
                told = json.loads(socket.recv(timeout=10))
                if told["type"] in ("response.completed", "response.incomplete", "error"):
                    return told

        ended = turn(**asked)["response"]
        assert ended["incomplete_details"] == {"reason": "max_output_tokens"}
        assert gateway.newest_receipt()["end_reason"] == "out_of_funds"
        assert turn(**asked)["status"] == 402
        gateway.topup(user, 50_000_000)
        gateway.until(
            lambda: turn(model=GPT_RESPONSES, input="[[sim: text=yes]]")["type"] == "response.completed"
        )
