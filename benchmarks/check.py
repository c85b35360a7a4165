"""One answer, looked at closely before thousands are counted: what is not the right answer is not measured."""

from __future__ import annotations

import dataclasses
import http.client
from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks import answers
from benchmarks.processes import NotMeasured
from benchmarks.work import Dialect, Target, Work

_TIMEOUT_SECONDS = 20


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """Header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask(target: Target, method: str = "POST") -> Answer:
    """Sends the target's request once. Raises NotMeasured when there is no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request(method, target.path, body=target.body, headers=dict(target.headers))
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())
    except (OSError, http.client.HTTPException) as error:
        raise NotMeasured(f"no answer at {target.path}: {error!r}") from None
    finally:
        connection.close()


def check(who: str, work: Work, target: Target, headers: tuple[str, ...] = ()) -> Answer:
    """Sends the request once; the answer, when it is what the upstream said, in the client's dialect, with `headers` there.

    Raises NotMeasured, which says what is wrong.
    """
    answer = ask(target)
    if answer.status != 200:
        raise NotMeasured(f"{who} answered {answer.status}: {_start(answer.body)}")
    absent = [name for name in headers if name not in answer.headers]
    if absent:
        raise NotMeasured(f"{who} sent no {', '.join(absent)}: {sorted(answer.headers)}")
    try:
        problem = wrong(work, answer.body)
    except (msgspec.DecodeError, KeyError, IndexError, TypeError) as error:
        problem = f"it is not in the dialect ({error!r})"
    if problem:
        raise NotMeasured(f"{who} answered wrongly, {problem}: {_start(answer.body)}")
    return answer


def _start(body: bytes) -> str:
    return " ".join(body[:200].decode(errors="replace").split())


def wrong(work: Work, body: bytes) -> str:
    """What is wrong with the body of an answer; "" when it is right. Raises what decoding raises."""
    if not work.manner.stream:
        told = _whole(work.client, msgspec.json.decode(body))
        expected = Told(answers.WHOLE_TEXT, answers.INPUT_TOKENS, answers.OUTPUT_TOKENS)
    else:
        data = [line.removeprefix(b"data:").strip() for line in body.splitlines() if line[:5] == b"data:"]
        told = _STREAMED[work.client](data)
        if isinstance(told, str):
            return told
        events = work.manner.events
        expected = Told(answers.text(events), answers.INPUT_TOKENS, events)
        if work.manner.stamped:
            if told.text.count(answers.STAMP_MARK) != 2 * events:
                return "stamps are missing"
            told = dataclasses.replace(told, text=expected.text)
    if told.text != expected.text:
        return "the text is another" + (f", in {told.pieces} events" if told.pieces else "")
    if (told.read, told.written) != (expected.read, expected.written):
        return f"the usage is another ({told.read} in, {told.written} out)"
    return ""


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """What an answer says: its text, input and output tokens, and for a stream in how many text events."""

    text: str
    read: int
    written: int
    pieces: int = 0


def _whole(dialect: Dialect, answer: Any) -> Told:
    if dialect == "anthropic":
        text = "".join(block["text"] for block in answer["content"])
        return Told(text, answer["usage"]["input_tokens"], answer["usage"]["output_tokens"])
    if dialect == "chat":
        usage = answer["usage"]
        text = answer["choices"][0]["message"]["content"]
        return Told(text, usage["prompt_tokens"], usage["completion_tokens"])
    if dialect == "responses":
        return _response(answer)
    return _generated([answer])


def _response(answer: Any) -> Told:
    """A response object, of a whole answer or of the event that ends a stream."""
    texts = [
        part["text"] for item in answer["output"] if item["type"] == "message" for part in item["content"]
    ]
    return Told("".join(texts), answer["usage"]["input_tokens"], answer["usage"]["output_tokens"])


def _generated(chunks: list[Any]) -> Told:
    """Gemini's: a whole answer is a stream of one chunk. The last figures count."""
    texts = [
        part["text"]
        for chunk in chunks
        for candidate in chunk["candidates"]
        for part in candidate.get("content", {}).get("parts", ())
        if part["text"]
    ]
    usage = [chunk["usageMetadata"] for chunk in chunks if "usageMetadata" in chunk][-1]
    return Told("".join(texts), usage["promptTokenCount"], usage["candidatesTokenCount"], len(texts))


def _anthropic_stream(data: list[bytes]) -> Told | str:
    events: list[Any] = [msgspec.json.decode(line) for line in data]
    if not events or events[-1]["type"] != "message_stop":
        return "the stream does not end with message_stop"
    texts = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    usage: dict[str, int] = {}
    for event in events:
        usage |= event.get("message", event).get("usage") or {}
    return Told("".join(texts), usage["input_tokens"], usage["output_tokens"], len(texts))


def _chat_stream(data: list[bytes]) -> Told | str:
    if not data or data.pop() != b"[DONE]":
        return "the stream does not end with [DONE]"
    chunks: list[Any] = [msgspec.json.decode(line) for line in data]
    texts = [
        choice["delta"]["content"]
        for chunk in chunks
        for choice in chunk["choices"]
        if choice.get("delta", {}).get("content")
    ]
    usage = [chunk["usage"] for chunk in chunks if chunk.get("usage")][-1]
    return Told("".join(texts), usage["prompt_tokens"], usage["completion_tokens"], len(texts))


def _responses_stream(data: list[bytes]) -> Told | str:
    """The deltas' text must be the final response's too: the official clients take it from either."""
    events: list[Any] = [msgspec.json.decode(line) for line in data]
    if not events or events[-1]["type"] != "response.completed":
        return "the stream does not end with response.completed"
    if [event["sequence_number"] for event in events] != list(range(len(events))):
        return "the events are not numbered in order"
    texts = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    told = _response(events[-1]["response"])
    if told.text != "".join(texts):
        return f"the final text is not that of the {len(texts)} events"
    return dataclasses.replace(told, pieces=len(texts))


def _gemini_stream(data: list[bytes]) -> Told | str:
    chunks: list[Any] = [msgspec.json.decode(line) for line in data]
    if not chunks or chunks[-1]["candidates"][0].get("finishReason") != "STOP":
        return "the stream does not end with a reason"
    return _generated(chunks)


_STREAMED: dict[Dialect, Callable[[list[bytes]], Told | str]] = {
    "anthropic": _anthropic_stream,
    "chat": _chat_stream,
    "responses": _responses_stream,
    "gemini": _gemini_stream,
}
