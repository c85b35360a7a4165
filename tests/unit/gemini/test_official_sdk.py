"""What this dialect writes, read by the official SDK over real HTTP: answers, streams, keep-alives, errors, a chat with tools."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.dialect import Reply
from bytespike.core.finish import Finish, FinishReason
from bytespike.core.fold import unfold
from bytespike.core.response import Candidate, ChatResponse
from bytespike.core.usage import Usage
from bytespike.errors import RateLimited, UpstreamError
from bytespike.protocols.gemini import DIALECT
from bytespike.protocols.gemini.counting import write_count
from bytespike.protocols.gemini.models import model_entry, model_list, write_models

REPLY = Reply("gemini-x", "r")


class Stand:
    """A server that answers with what it was given, in turn, and keeps the requests."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, str, list[bytes]]] = []
        self.requests: list[tuple[str, bytes]] = []
        stand = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                stand.requests.append((self.path, body))
                status, kind, pieces = stand.answers.pop(0)
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for piece in pieces:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.wfile.write(b"0\r\n\r\n")

            do_GET = do_POST

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing is logged."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def whole(self, body: bytes, status: int = 200) -> None:
        self.answers.append((status, "application/json", [body]))

    def stream(self, *pieces: bytes) -> None:
        self.answers.append((200, "text/event-stream", [piece for piece in pieces if piece]))


@pytest.fixture
def stand() -> Iterator[Stand]:
    stand = Stand()
    yield stand
    stand.server.shutdown()
    stand.server.server_close()


@pytest.fixture
def client(stand: Stand) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=f"http://127.0.0.1:{stand.server.server_port}")
    made = genai.Client(api_key="k", vertexai=False, http_options=options)
    yield made
    made.close()


def answer(*parts: c.Part, finish: FinishReason = "stop") -> ChatResponse:
    return ChatResponse("up", "m", (Candidate(parts, Finish(finish)),), Usage(10, 5, output=7, reasoning=2))


def test_a_whole_answer(stand: Stand, client: genai.Client) -> None:
    proof = c.Proof("anthropic_messages", "sig")
    cite = c.Citation("page", title="doc", cited_text="q", start=1, end=2)
    response = answer(
        c.ReasoningPart("hm", proof), c.TextPart("hello", (cite,)), c.ToolCallPart("1", "f", '{"a":1}')
    )
    stand.whole(DIALECT.write_response(response, REPLY).body)
    got = client.models.generate_content(model="gemini-x", contents="hi")
    assert got.candidates is not None
    assert got.function_calls is not None
    assert [(call.id, call.name, call.args) for call in got.function_calls] == [("1", "f", {"a": 1})]
    assert got.model_version == "gemini-x"
    assert got.usage_metadata is not None
    assert (got.usage_metadata.prompt_token_count, got.usage_metadata.thoughts_token_count) == (15, 2)
    assert got.candidates[0].finish_reason is types.FinishReason.STOP


def test_a_stream_with_keep_alives(stand: Stand, client: genai.Client) -> None:
    writer = DIALECT.stream_writer(REPLY)
    told = list(unfold(answer(c.ReasoningPart("hm"), c.TextPart("hello"))))
    pieces = [
        writer.keep_alive(),
        *[piece for event in told for piece in (writer.write([event]), writer.keep_alive())],
    ]
    stand.stream(*pieces)
    got = list(client.models.generate_content_stream(model="gemini-x", contents="hi"))
    assert "".join(chunk.text or "" for chunk in got) == "hello"
    assert got[-1].usage_metadata is not None
    assert got[-1].usage_metadata.total_token_count == 22


def test_an_error_before_and_an_error_in_a_stream(stand: Stand, client: genai.Client) -> None:
    stand.whole(DIALECT.write_error(RateLimited("slow down", retry_after=3), 429, "req"), 429)
    with pytest.raises(errors.ClientError) as before:
        list(client.models.generate_content_stream(model="gemini-x", contents="hi"))
    assert (before.value.code, before.value.status, before.value.message) == (
        429,
        "RESOURCE_EXHAUSTED",
        "slow down",
    )

    writer = DIALECT.stream_writer(REPLY)
    begun: list[e.Event] = [e.PartStart(0, c.TextPart("hel"))]
    stand.stream(writer.write(begun), writer.fail(UpstreamError("broke off")))
    chunks = client.models.generate_content_stream(model="gemini-x", contents="hi")
    assert next(iter(chunks)).text == "hel"
    with pytest.raises(errors.ServerError) as within:
        list(chunks)
    assert (within.value.code, within.value.status) == (502, "INTERNAL")


def test_a_chat_sends_back_what_another_provider_wants(stand: Stand, client: genai.Client) -> None:
    proof = c.Proof("anthropic_messages", "sig")
    response = answer(c.ReasoningPart("hm", proof), c.ToolCallPart("toolu_1", "f", "{}"), finish="tool_calls")
    writer = DIALECT.stream_writer(REPLY)
    stand.stream(writer.write(list(unfold(response))))
    stand.stream(DIALECT.stream_writer(REPLY).write(list(unfold(answer(c.TextPart("done"))))))
    chat = client.chats.create(model="gemini-x")
    list(chat.send_message_stream("hi"))
    result = types.Part.from_function_response(name="f", response={"output": "42"})
    list(chat.send_message_stream(result))

    path, body = stand.requests[1]
    assert path.endswith("/models/gemini-x:streamGenerateContent?alt=sse")
    request = DIALECT.read_request(body)
    assistant = [part for turn in request.turns if turn.role == "assistant" for part in turn.parts]
    assert [
        (part.text, part.proof) for part in assistant if isinstance(part, c.ReasoningPart) and part.proof
    ] == [("hm", proof)]
    assert [part.id for part in assistant if isinstance(part, c.ToolCallPart)] == ["toolu_1"]
    (answered,) = request.turns[-1].parts
    assert isinstance(answered, c.ToolResultPart)
    # The SDK's helper leaves the id out; the name says which call it is.
    assert (answered.call_id, answered.content) == ("toolu_1", (c.TextPart("42"),))


def test_everything_that_the_sdk_can_configure_is_read(stand: Stand, client: genai.Client) -> None:
    stand.whole(DIALECT.write_response(answer(c.TextPart("{}")), REPLY).body)
    client.models.generate_content(
        model="gemini-x",
        contents=["hi", types.Part.from_bytes(data=b"\x89PNG", mime_type="image/png"), types.Part.from_uri(file_uri="https://x.org/a.pdf", mime_type="application/pdf")],
        config=types.GenerateContentConfig(
            system_instruction="be brief", temperature=0.5, top_p=0.9, top_k=3, candidate_count=1, max_output_tokens=9,
            stop_sequences=["x"], seed=4, presence_penalty=0.1, frequency_penalty=0.2, response_mime_type="application/json",
            response_json_schema={"type": "object"},
            thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW, include_thoughts=True),
            safety_settings=[types.SafetySetting(category=types.HarmCategory.HARM_CATEGORY_HARASSMENT, threshold=types.HarmBlockThreshold.OFF)],
            tools=[types.Tool(function_declarations=[types.FunctionDeclaration(name="f", parameters=types.Schema(type=types.Type.OBJECT, properties={"a_b": types.Schema(type=types.Type.STRING)}))])],
            tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)),
        ),
    )  # fmt: skip
    request = DIALECT.read_request(stand.requests[0][1])
    assert [type(part).__name__ for turn in request.turns for part in turn.parts] == [
        "TextPart",
        "ImagePart",
        "DocumentPart",
    ]
    assert request.system == (c.TextPart("be brief"),)
    assert (request.max_output_tokens, request.stop, request.sampling.top_k) == (9, ("x",), 3)
    assert request.output_format is not None
    assert request.output_format.schema == {"type": "object"}
    assert request.reasoning is not None
    assert (request.reasoning.effort, request.reasoning.display) == ("low", "summarized")
    assert request.tool_choice is not None
    assert request.tool_choice.mode == "required"
    (tool,) = request.tools
    assert json.loads(json.dumps(getattr(tool, "parameters", None))) == {
        "type": "object",
        "properties": {"a_b": {"type": "string"}},
    }


def test_counts_and_model_lists(stand: Stand, client: genai.Client) -> None:
    stand.whole(write_count(12))
    assert client.models.count_tokens(model="gemini-x", contents="hi").total_tokens == 12
    entries = [
        model_entry("gemini-x", display_name="X", input_token_limit=5, output_token_limit=4, thinking=True)
    ]
    stand.whole(write_models(model_list(entries)))
    (model,) = list(client.models.list(config={"query_base": True}))
    assert (model.name, model.display_name, model.input_token_limit, model.output_token_limit) == (
        "models/gemini-x",
        "X",
        5,
        4,
    )
    assert model.supported_actions == ["generateContent", "countTokens"]
