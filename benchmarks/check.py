"""One answer, looked at closely before thousands are counted: what is not the right answer is not measured."""

from __future__ import annotations

import dataclasses
import http.client
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
    if work.manner.stream:
        return _wrong_stream(work.client, body, work.manner.events, stamped=work.manner.stamped)
    text, read, written = _whole(work.client, msgspec.json.decode(body))
    if text != answers.WHOLE_TEXT:
        return "the text is another"
    if (read, written) != (answers.INPUT_TOKENS, answers.OUTPUT_TOKENS):
        return f"the usage is another ({read} in, {written} out)"
    return ""


def _whole(dialect: Dialect, answer: Any) -> tuple[str, int, int]:
    """Text, input tokens, output tokens of a whole answer."""
    usage = answer["usage"]
    if dialect == "anthropic":
        text = "".join(block["text"] for block in answer["content"])
        return text, usage["input_tokens"], usage["output_tokens"]
    return answer["choices"][0]["message"]["content"], usage["prompt_tokens"], usage["completion_tokens"]


def _wrong_stream(dialect: Dialect, body: bytes, events: int, *, stamped: bool) -> str:
    data = [line.removeprefix(b"data:").strip() for line in body.splitlines() if line.startswith(b"data:")]
    if dialect == "chat":
        if not data or data.pop() != b"[DONE]":
            return "the stream does not end with [DONE]"
        chunks: list[Any] = [msgspec.json.decode(line) for line in data]
        texts = [
            choice["delta"]["content"]
            for chunk in chunks
            for choice in chunk["choices"]
            if choice.get("delta", {}).get("content")
        ]
    else:
        chunks = [msgspec.json.decode(line) for line in data]
        if not chunks or chunks[-1]["type"] != "message_stop":
            return "the stream does not end with message_stop"
        texts = [chunk["delta"]["text"] for chunk in chunks if chunk["type"] == "content_block_delta"]
    told = "".join(texts)
    if stamped:
        return "" if told.count(answers.STAMP_MARK) == 2 * events else "stamps are missing"
    return "" if told == answers.text(events) else f"the text is another, in {len(texts)} events"
