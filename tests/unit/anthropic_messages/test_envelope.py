"""Other providers' opaque data in Anthropic's opaque fields: sealed, opened, and never sent to Anthropic."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.core.content import Citation, Proof, ReasoningPart, TextPart, ToolCallPart
from bytespike.core.dialect import Target
from bytespike.core.finish import Finish
from bytespike.core.fold import fold, unfold
from bytespike.core.response import Candidate, ChatResponse
from bytespike.protocols.anthropic_messages import DIALECT
from bytespike.protocols.anthropic_messages.envelope import Envelope, open_envelope, seal
from bytespike.testing.anthropic_stream import validate_stream
from tests.support.anthropic_targets import REPLY, ask, read, say

PARTS: dict[str, Any] = {
    "our own proof": ReasoningPart("hm", Proof("anthropic_messages", "SIG+/=")),
    "our own redacted thinking": ReasoningPart("", Proof("anthropic_messages", "ENC"), redacted=True),
    "a foreign proof": ReasoningPart("hm", Proof("openai_responses", "gAAAA+/=="), summary=True, id="rs_1"),
    "a foreign proof without words": ReasoningPart(
        "", Proof("openai_responses", "X"), redacted=True, id="rs_2"
    ),
    "a proof of a vendor's own format": ReasoningPart("", Proof("xai-responses-v1.2", "X")),
    "reasoning without a proof": ReasoningPart("hm"),
    "a proof that is long and not ASCII": ReasoningPart("hm", Proof("gemini", "é" * 5000)),
    "a tool call's proof": ToolCallPart("c1", "f", '{"a":1}', proof=Proof("gemini", "THOUGHT")),
    "a tool call's proof under an unsafe id": ToolCallPart("c:1", "f", "{}", proof=Proof("gemini", "T")),
    "a web citation without our index": TextPart(
        "see", (Citation("web", "https://x", "X", "", start=0, end=3),)
    ),
}


def _answer(*parts: Any) -> ChatResponse:
    return ChatResponse("msg_1", "gpt", (Candidate(parts, Finish("stop")),))


def _later_turn(content: list[dict[str, Any]]) -> tuple[Any, ...]:
    return read(say(("user", "a"), ("assistant", content), ("user", "b"))).turns[1].parts


def _home(part: Any) -> tuple[Any, ...]:
    body = json.loads(DIALECT.write_response(_answer(part), REPLY).body)
    return _later_turn(body["content"])


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_what_a_client_sends_back_comes_home(part: Any) -> None:
    (home,) = _home(part)
    if isinstance(part, ToolCallPart) and part.id == "c:1":
        assert (home.proof, home.arguments) == (part.proof, part.arguments)
    else:
        assert home == part


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_it_comes_home_from_a_stream_too(part: Any) -> None:
    writer = DIALECT.stream_writer(REPLY)
    stream = writer.write(list(unfold(_answer(part))))
    validate_stream(stream)
    content: list[dict[str, Any]] = []
    # As a client accumulates it.
    for block in stream.split(b"\n\n")[:-1]:
        event = json.loads(block.partition(b"data: ")[2])
        if event["type"] == "content_block_start":
            content.append(event["content_block"])
        delta = event.get("delta", {})
        match delta.get("type"):
            case "text_delta" | "thinking_delta":
                key = delta["type"].removesuffix("_delta")
                content[-1][key] += delta[key]
            case "signature_delta":
                content[-1]["signature"] = delta["signature"]
            case "input_json_delta":
                content[-1]["input"] = json.loads(delta["partial_json"])
            case "citations_delta":
                content[-1].setdefault("citations", []).append(delta["citation"])
    assert _later_turn(content) == _home(part)


def test_every_thinking_block_for_a_client_has_a_signature() -> None:
    body = json.loads(DIALECT.write_response(_answer(ReasoningPart("hm")), REPLY).body)
    assert body["content"][0]["signature"].startswith("bytespike.v1.none.")


def test_the_envelope_says_who_made_it() -> None:
    sealed = seal("openai_responses", Envelope(data="x", id="rs_1"))
    assert sealed.startswith("bytespike.v1.openai_responses.")
    assert open_envelope(sealed) == ("openai_responses", Envelope(data="x", id="rs_1"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIG",
        "bytespike.v1.",
        "bytespike.v1.gemini",
        "bytespike.v1.gemini.%%%",
        "bytespike.v1.gemini.AAA",
        "bytespike.v1.gemini." + seal("x", Envelope())[len("bytespike.v1.x.") : -2],
        "bytespike.v1.UPPER.e30",
        "bytespike.v2.gemini.e30",
        "bytespike.v1.gemini.W10",
    ],
)
def test_a_damaged_envelope_is_no_envelope(text: str) -> None:
    assert open_envelope(text) is None


def test_reasoning_with_a_damaged_envelope_has_no_proof() -> None:
    block = {"type": "thinking", "thinking": "hm", "signature": "bytespike.v1.gemini.AAA"}
    assert _later_turn([block, {"type": "text", "text": "x"}])[0] == ReasoningPart("hm")


def test_a_chained_gateways_stream_gives_the_proof() -> None:
    writer = DIALECT.stream_writer(REPLY)
    stream = writer.write(list(unfold(_answer(ReasoningPart("hm", Proof("gemini", "X"))))))
    reader = DIALECT.stream_reader()
    (part,) = fold(reader.feed(stream) + reader.end()).candidates[0].parts
    assert part == ReasoningPart("hm", Proof("gemini", "X"))


# --- a conversation that moves on to a Claude ----------------------------------------------------------------------


def _patched(body: dict[str, Any]) -> dict[str, Any]:
    raw = json.dumps(body).encode()
    return json.loads(DIALECT.patch_request(raw, DIALECT.peek(raw), Target("m")))


def test_sealed_blocks_are_taken_out_of_a_request_to_anthropic() -> None:
    sealed = seal("openai_responses", Envelope(data="x"))
    kept = {"type": "thinking", "thinking": "mine", "signature": "SIG"}
    cited = {"type": "web_search_result_location", "url": "u", "encrypted_index": "ENC"}
    body = say(
        ("user", "a"),
        (
            "assistant",
            [
                {"type": "thinking", "thinking": "hm", "signature": sealed},
                {"type": "redacted_thinking", "data": sealed},
                kept,
                {"type": "text", "text": "b", "citations": [cited | {"encrypted_index": sealed}, cited]},
                {"type": "text", "text": "c", "citations": [cited | {"encrypted_index": sealed}]},
            ],
        ),
        ("user", "d"),
        ("assistant", [{"type": "thinking", "thinking": "", "signature": sealed}]),
        ("user", [{"type": "text", "text": "e"}]),
        metadata={"user_id": "u"},
    )
    assert _patched(body) == say(
        ("user", "a"),
        (
            "assistant",
            [
                kept,
                {"type": "text", "text": "b", "citations": [cited]},
                {"type": "text", "text": "c"},
            ],
        ),
        ("user", "d"),
        ("user", [{"type": "text", "text": "e"}]),
        metadata={"user_id": "u"},
    )


def test_a_request_that_only_speaks_of_envelopes_keeps_its_bytes() -> None:
    raw = json.dumps(ask(system="what is bytespike.v1.none.e30 ?"), indent=2).encode()
    assert DIALECT.patch_request(raw, DIALECT.peek(raw), Target("m")) is raw


def test_sealed_reasoning_is_dropped_from_a_written_request() -> None:
    sealed = seal("openai_responses", Envelope(data="x"))
    block = {"type": "thinking", "thinking": "hm", "signature": sealed}
    request = read(say(("user", "a"), ("assistant", [block, {"type": "text", "text": "b"}]), ("user", "c")))
    result = DIALECT.write_request(request, Target("m"))
    assert b"bytespike" not in result.body
    assert [str(notice.feature) for notice in result.notices] == ["messages.reasoning"]
