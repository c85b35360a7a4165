"""Answers of other providers towards chat clients: what chat has no words for rides in the extension members, and comes
home with the client's next turn."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import structs
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.dialect import Target
from bytespike.core.finish import Finish
from bytespike.core.fold import fold, unfold
from bytespike.core.response import Candidate, ChatResponse, Logprobs
from bytespike.core.usage import Usage
from bytespike.protocols.openai_chat import DIALECT
from bytespike.testing.chat_stream import validate_stream
from bytespike.wire.sse import SSEParser
from tests.support.chat_traffic import EVERYTHING, REPLY, same_response

COMPLETION = TypeAdapter(ChatCompletion)
CHUNK = TypeAdapter(ChatCompletionChunk)

THOUGHT = c.ReasoningPart("let me think", c.Proof("anthropic_messages", "sig=="))
HIDDEN = c.ReasoningPart("", c.Proof("anthropic_messages", "sig2"))
REDACTED = c.ReasoningPart(proof=c.Proof("anthropic_messages", "enc"), redacted=True)
SUMMARY = c.ReasoningPart("I thought", c.Proof("openai_responses", "gAAA"), summary=True, id="rs_1")
ENCRYPTED = c.ReasoningPart(proof=c.Proof("openai_responses", "gBBB"), id="rs_2")
GEMINI = c.ReasoningPart("gem", c.Proof("gemini", "gs"))
SEARCH = c.ServerToolCallPart("srvtoolu_1", "web_search", '{"query":"x"}', "anthropic_messages")
FOUND = c.ServerToolResultPart(
    "srvtoolu_1",
    "web_search_tool_result",
    [{"type": "web_search_result", "url": "https://a.test", "encrypted_content": "zz"}],
    "anthropic_messages",
)
FAILED = c.ServerToolResultPart(
    "srvtoolu_0", "web_fetch_tool_result", {"error_code": "x"}, "anthropic_messages", is_error=True
)
CITED = c.TextPart(
    "It is so.",
    (
        c.Citation("web", "https://a.test", "A", "so it is", proof="idx1"),
        c.Citation("web", "https://b.test", None, start=0, end=2),
        c.Citation("char", title="doc", cited_text="abc", start=5, end=8, document_index=0),
        c.Citation(
            "page",
            cited_text="p",
            start=1,
            end=2,
            document_index=1,
            extras={"anthropic_messages": {"file_id": "f"}},
        ),
        c.Citation("search_result", "https://c.test", "C", "cc", 0, 1, 2),
    ),
)
CALL = c.ToolCallPart("toolu_1", "get", '{"a": "\\u00e9"}')
NO_ARGUMENTS = c.ToolCallPart("toolu_2", "now", "")
SIGNED_CALL = c.ToolCallPart("gc_1", "get", "{}", proof=c.Proof("gemini", "cs"))

ANSWERS: dict[str, tuple[c.Part, ...]] = {
    "text": (c.TextPart("hello"),),
    "nothing": (),
    "thinking, text and a call": (THOUGHT, c.TextPart("hello"), CALL),
    "several pieces of thinking": (THOUGHT, REDACTED, HIDDEN, c.ReasoningPart("unsigned"), c.TextPart("x")),
    "summaries of OpenAI": (
        SUMMARY,
        ENCRYPTED,
        c.ReasoningPart("raw", c.Proof("openai_responses", "g")),
        c.TextPart("x"),
    ),
    "Gemini": (GEMINI, c.TextPart("x"), SIGNED_CALL),
    "xAI": (c.ReasoningPart("hm", c.Proof("xai-responses-v1", "e")), c.TextPart("x")),
    "a search with citations": (SEARCH, FOUND, CITED),
    "a result of an earlier search": (FAILED, c.TextPart("x")),
    "a search without result": (SEARCH,),
    "calls inside of calls": (
        c.ServerToolCallPart("s1", "code_execution", "{}", "anthropic_messages"),
        c.ServerToolCallPart("s2", "web_fetch", "{}", "anthropic_messages"),
        c.ServerToolResultPart("s2", "k2", {}, "anthropic_messages"),
        c.ServerToolResultPart("s1", "k1", {}, "anthropic_messages"),
    ),
    "calls": (CALL, NO_ARGUMENTS, c.ToolCallPart("toolu_3", "raw", "free text", "custom")),
    "a refusal": (c.RefusalPart("I will not."),),
    "an image": (c.TextPart("see"), c.ImagePart(c.Base64Source("image/png", "iVBO"))),
    "everything": (THOUGHT, REDACTED, SEARCH, FOUND, CITED, c.RefusalPart("but"), CALL, NO_ARGUMENTS),
}

USAGE = Usage(
    input=10, cache_read=5, cache_write_5m=3, cache_write_1h=2, output=20, reasoning=7, web_searches=1
)

FINISHES = [
    Finish("stop"),
    Finish("stop_sequence", "END"),
    Finish("length"),
    Finish("context_window"),
    Finish("tool_calls"),
    Finish("content_filter"),
    Finish("content_filter", raw="SAFETY"),
    Finish("refusal", detail="no bombs"),
    Finish("pause"),
    Finish("error", raw="MALFORMED_FUNCTION_CALL"),
    Finish("error"),
    Finish("other", raw="weird"),
    Finish("other"),
]


STOP = Finish("stop")


def answer(*parts: c.Part, finish: Finish = STOP) -> ChatResponse:
    return ChatResponse("msg_1", "claude", (Candidate(parts, finish),), USAGE)


def read(stream: bytes) -> list[e.Event]:
    reader = DIALECT.stream_reader()
    return [*reader.feed(stream), *reader.end()]


def chunks_of(stream: bytes) -> list[bytes]:
    return [event.data for event in SSEParser().feed(stream) if event.data != b"[DONE]"]


def in_pieces(response: ChatResponse) -> list[e.Event]:
    """The answer as a provider would stream it: text and arguments in two pieces, proofs and citations as deltas."""
    events: list[e.Event] = [e.Started(response.id, response.model)]
    index = 0
    for choice, candidate in enumerate(response.candidates):
        for part in candidate.parts:
            events += _pieces(index, part, choice)
            index += 1
        if candidate.logprobs:
            events.append(e.LogprobsDelta(candidate.logprobs.content, candidate.logprobs.refusal, choice))
    events += [e.Finished(candidate.finish, choice) for choice, candidate in enumerate(response.candidates)]
    return [*events, e.Done(response.usage)]


def _pieces(index: int, part: c.Part, choice: int) -> list[e.Event]:
    match part:
        case c.TextPart(text=text):
            texts: list[e.Event] = [e.TextDelta(index, piece) for piece in (text[:2], text[2:])]
            cites: list[e.Event] = [e.CitationDelta(index, citation) for citation in part.citations]
            return [e.PartStart(index, c.TextPart(""), choice), *texts, *cites, e.PartEnd(index)]
        case c.ReasoningPart(text=text) if not part.redacted:
            start = c.ReasoningPart("", summary=part.summary, id=part.id)
            proof: list[e.Event] = [e.ProofDelta(index, part.proof)] if part.proof else []
            return [
                e.PartStart(index, start, choice),
                *[e.TextDelta(index, piece) for piece in (text[:2], text[2:])],
                *proof,
                e.PartEnd(index),
            ]
        case c.RefusalPart(text=text):
            return [e.PartStart(index, c.RefusalPart(""), choice), e.TextDelta(index, text), e.PartEnd(index)]
        case c.ToolCallPart(arguments=arguments):
            start_call = structs.replace(part, arguments="")
            return [e.PartStart(index, start_call, choice), e.InputDelta(index, arguments), e.PartEnd(index)]
        case c.ServerToolCallPart(arguments=arguments):
            start_server = c.ServerToolCallPart(part.id, part.name, "", part.origin)
            return [
                e.PartStart(index, start_server, choice),
                e.InputDelta(index, arguments),
                e.PartEnd(index),
            ]
        case _:
            return [e.PartStart(index, part, choice), e.PartEnd(index)]


@pytest.mark.parametrize("row", ANSWERS)
def test_a_whole_answer_comes_back_as_it_was(row: str) -> None:
    response = answer(*ANSWERS[row])
    body = DIALECT.write_response(response, REPLY).body
    COMPLETION.validate_json(body)
    assert same_response(DIALECT.read_response(body)) == same_response(response)


@pytest.mark.parametrize("row", ANSWERS)
@pytest.mark.parametrize("spread", [unfold, in_pieces], ids=["whole parts", "pieces"])
def test_a_streamed_answer_comes_back_as_it_was(row: str, spread: Any) -> None:
    response = answer(*ANSWERS[row])
    stream = DIALECT.stream_writer(REPLY).write(list(spread(response)))
    validate_stream(stream)
    for data in chunks_of(stream):
        # The SDK's type of a chunk does not know free-form calls, though the API streams them.
        if b'"custom"' not in data:
            CHUNK.validate_json(data)
    assert same_response(fold(read(stream))) == same_response(response)


@pytest.mark.parametrize("finish", FINISHES, ids=str)
def test_a_finish_comes_back_as_it_was(finish: Finish) -> None:
    response = answer(c.TextPart("x"), finish=finish)
    body = DIALECT.write_response(response, REPLY).body
    COMPLETION.validate_json(body)
    assert DIALECT.read_response(body).candidates[0].finish == finish
    stream = DIALECT.stream_writer(REPLY).write(list(unfold(response)))
    validate_stream(stream)
    assert fold(read(stream)).candidates[0].finish == finish


def test_usage_comes_back_as_it_was_and_adds_up() -> None:
    body = DIALECT.write_response(answer(c.TextPart("x")), REPLY).body
    assert json.loads(body)["usage"] == {
        "prompt_tokens": 20,
        "completion_tokens": 20,
        "total_tokens": 40,
        "prompt_tokens_details": {
            "cached_tokens": 5,
            "cache_write_tokens": 5,
            "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 2},
        },
        "completion_tokens_details": {"reasoning_tokens": 7},
        "server_tool_use_details": {"web_search_requests": 1},
    }
    assert same_response(DIALECT.read_response(body)).usage == USAGE


@pytest.mark.parametrize("row", ANSWERS)
def test_what_the_sdk_merges_from_a_stream_is_what_the_whole_answer_holds(row: str) -> None:
    response = answer(*ANSWERS[row])
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for data in chunks_of(DIALECT.stream_writer(REPLY).write(in_pieces(response))):
        state.handle_chunk(ChatCompletionChunk.construct(**json.loads(data)))
    merged = state.current_completion_snapshot.choices[0].message.to_dict()
    whole = json.loads(DIALECT.write_response(response, REPLY).body)["choices"][0]["message"]
    for name in ("reasoning_content", "refusal"):
        assert (merged.get(name) or "") == (whole.get(name) or "")
    for name in ("reasoning_details", "server_tool_calls", "annotations", "citation_details", "images"):
        assert _bare(merged.get(name)) == _bare(whole.get(name)), name


def _bare(entries: Any) -> list[dict[str, Any]]:
    return [{key: value for key, value in entry.items() if key != "index"} for entry in entries or []]


@pytest.mark.parametrize("row", ANSWERS)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "merged from a stream"])
def test_a_client_that_sends_the_message_back_brings_everything_home(row: str, streamed: bool) -> None:
    response = answer(*ANSWERS[row])
    if streamed:
        state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
        for data in chunks_of(DIALECT.stream_writer(REPLY).write(in_pieces(response))):
            state.handle_chunk(ChatCompletionChunk.construct(**json.loads(data)))
        message = state.current_completion_snapshot.choices[0].message.to_dict()
        for call in message.get("tool_calls") or []:
            call["function" if call["type"] == "function" else "custom"].pop("parsed_arguments", None)
    else:
        whole = COMPLETION.validate_json(DIALECT.write_response(response, REPLY).body)
        message = whole.choices[0].message.to_dict()
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}, message]}
    turn = DIALECT.read_request(json.dumps(body).encode()).turns[1]
    came = ChatResponse("", "", (Candidate(turn.parts, Finish("stop")),), USAGE)
    assert same_response(came) == same_response(response)


def test_texts_with_citations_of_their_own_stay_apart_in_a_whole_message() -> None:
    cite = c.Citation("web", "https://a.test", "A", proof="p")
    parts = (c.TextPart("one "), c.TextPart("two", (cite,)), c.TextPart(" three"))
    body = DIALECT.write_response(answer(*parts), REPLY).body
    assert json.loads(body)["choices"][0]["message"]["content"] == "one two three"
    assert DIALECT.read_response(body).candidates[0].parts == parts


def test_the_members_that_old_clients_read() -> None:
    body = DIALECT.write_response(answer(THOUGHT, SEARCH, FOUND, CITED, CALL), REPLY).body
    told = json.loads(body)
    message = told["choices"][0]["message"]
    assert (told["id"], told["object"], told["model"], told["created"]) == (
        "chatcmpl-fallback",
        "chat.completion",
        "the-clients-name",
        1_700_000_000,
    )
    assert message["role"] == "assistant"
    assert message["content"] == "It is so."
    assert message["reasoning_content"] == "let me think"
    assert message["annotations"][0] == {
        "type": "url_citation",
        "url_citation": {
            "url": "https://a.test",
            "title": "A",
            "start_index": 0,
            "end_index": 9,
            "block": True,
            "cited_text": "so it is",
            "encrypted_index": "idx1",
        },
    }
    assert {annotation["type"] for annotation in message["annotations"]} == {"url_citation"}
    assert message["tool_calls"] == [
        {"id": "toolu_1", "type": "function", "function": {"name": "get", "arguments": '{"a": "\\u00e9"}'}}
    ]


def test_calls_without_content_have_null_and_an_empty_answer_has_empty_text() -> None:
    calls = json.loads(DIALECT.write_response(answer(CALL), REPLY).body)["choices"][0]["message"]
    empty = json.loads(DIALECT.write_response(answer(), REPLY).body)["choices"][0]["message"]
    assert (calls["content"], empty["content"]) == (None, "")


def test_the_deprecated_function_call_goes_back_as_one() -> None:
    body = {
        "choices": [
            {
                "message": {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
                "finish_reason": "function_call",
            }
        ]
    }
    response = DIALECT.read_response(json.dumps(body).encode())
    whole = json.loads(DIALECT.write_response(response, REPLY).body)["choices"][0]
    assert whole["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert whole["finish_reason"] == "function_call"
    deltas = [
        json.loads(data)["choices"][0]
        for data in chunks_of(DIALECT.stream_writer(REPLY).write(in_pieces(response)))
        if b'"choices":[{' in data
    ]
    assert [choice["delta"].get("function_call") for choice in deltas[1:-1]] == [
        {"name": "f", "arguments": ""},
        {"arguments": "{}"},
    ]
    assert deltas[-1]["finish_reason"] == "function_call"


def test_images_and_audio_that_are_only_referred_to() -> None:
    parts = (
        c.ImagePart(c.UrlSource("https://x.test/a.png")),
        c.ImagePart(c.FileSource("file_1", "gemini")),
        c.AudioPart(c.FileSource("audio_1", "openai_chat"), ""),
    )
    written = DIALECT.write_response(answer(*parts), REPLY)
    message = json.loads(written.body)["choices"][0]["message"]
    assert [image["image_url"]["url"] for image in message["images"]] == ["https://x.test/a.png", ""]
    assert message["audio"] == {"id": "audio_1", "data": "", "expires_at": 0, "transcript": ""}
    assert [str(notice) for notice in written.notices] == ["images: dropped (only a file id is known)"]
    stream = DIALECT.stream_writer(REPLY).write(list(unfold(answer(*parts))))
    validate_stream(stream)


def test_a_proof_of_a_call_that_chat_has_no_place_for_is_told() -> None:
    call = c.ToolCallPart("a", "f", "{}", proof=c.Proof("someone", "s"))
    assert [str(notice) for notice in DIALECT.write_response(answer(call), REPLY).notices] == [
        "tool_calls.proof: dropped (no place for it)"
    ]


def test_a_proof_of_a_call_that_comes_later_goes_out_at_once() -> None:
    start = c.ToolCallPart("a", "f", "")
    events: list[e.Event] = [
        e.PartStart(0, start),
        e.InputDelta(0, "{}"),
        e.ProofDelta(0, c.Proof("gemini", "s")),
    ]
    frames = chunks_of(DIALECT.stream_writer(REPLY).write(events))
    assert json.loads(frames[-1])["choices"][0]["delta"]["tool_calls"] == [
        {"index": 0, "extra_content": {"google": {"thought_signature": "s"}}, "function": {"arguments": ""}}
    ]


def test_what_no_chat_client_could_read_is_told_in_a_notice() -> None:
    foreign = c.ForeignPart("anthropic_messages", "container_upload", {})
    written = DIALECT.write_response(answer(foreign, c.TextPart("x")), REPLY)
    assert [str(notice) for notice in written.notices] == [
        "content.container_upload: dropped (only anthropic_messages has it)"
    ]
    writer = DIALECT.stream_writer(REPLY)
    writer.write([*unfold(answer(foreign)), e.ForeignEvent("anthropic_messages", "x", {})])
    assert writer.notices == written.notices


def test_several_candidates_and_logprobs() -> None:
    token = {"token": "a", "logprob": -1.0, "bytes": [97], "top_logprobs": []}
    response = ChatResponse(
        "chatcmpl-up",
        "m",
        (
            Candidate((c.TextPart("a"),), Finish("stop"), Logprobs((token,))),
            Candidate((c.TextPart("b"), CALL), Finish("tool_calls"), Logprobs((), (token,))),
        ),
        USAGE,
    )
    body = DIALECT.write_response(response, REPLY).body
    COMPLETION.validate_json(body)
    assert json.loads(body)["id"] == "chatcmpl-up"
    assert same_response(DIALECT.read_response(body)) == same_response(response)
    stream = DIALECT.stream_writer(REPLY).write(in_pieces(response))
    validate_stream(stream)
    assert same_response(fold(read(stream))) == same_response(response)


def test_the_history_of_a_foreign_answer_goes_to_openai_without_what_it_would_refuse() -> None:
    message = json.loads(DIALECT.write_response(answer(*ANSWERS["everything"]), REPLY).body)["choices"][0][
        "message"
    ]
    request = DIALECT.read_request(json.dumps({"model": "m", "messages": [message]}).encode())
    written = json.loads(DIALECT.write_request(request, Target("gpt", capabilities=EVERYTHING)).body)
    assert set(written["messages"][0]) == {"role", "content", "refusal", "tool_calls"}
