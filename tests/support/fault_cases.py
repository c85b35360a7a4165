"""A request to a gateway whose upstream is faulty, and what its answer has to be."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

from bytespike.testing.anthropic_stream import validate_stream as validate_anthropic
from bytespike.testing.chat_stream import validate_stream as validate_chat
from bytespike.testing.fault_relay import Fault
from bytespike.testing.gemini_stream import validate_stream as validate_gemini
from bytespike.testing.responses_stream import validate_stream as validate_responses
from tests.support.raw_http import Answer

DIALECTS = ("anthropic_messages", "openai_chat", "openai_responses", "gemini")
SHORT = {
    "anthropic_messages": "messages",
    "openai_chat": "chat",
    "openai_responses": "responses",
    "gemini": "gemini",
}
#: Who asks in which dialect, and in which the upstream is asked: all four as they are, and each translated once.
ROWS = (
    *((dialect, dialect) for dialect in DIALECTS),
    ("anthropic_messages", "openai_chat"),
    ("openai_chat", "gemini"),
    ("openai_responses", "anthropic_messages"),
    ("gemini", "openai_responses"),
)
_ANTHROPIC_TYPES = {502: "api_error", 503: "overloaded_error", 504: "api_error"}
_OPENAI_CODES = {502: "upstream_error", 503: "no_available_channel", 504: "timeout"}
_GOOGLE_WORDS = {502: "INTERNAL", 503: "UNAVAILABLE", 504: "UNAVAILABLE"}
STATUS = {"broken": 502, "late": 504, "failed": 503}


class Case(Struct, frozen=True):
    """`client` and `upstream`: dialects. `second`: a healthy channel stands behind the faulty one. `array`: Gemini's other
    way to stream, one JSON array."""

    client: str
    upstream: str
    stream: bool
    second: bool
    array: bool = False

    def __str__(self) -> str:
        way = "array" if self.array else "stream" if self.stream else "unary"
        return f"{way}-{SHORT[self.client]}-{SHORT[self.upstream]}-{'second' if self.second else 'alone'}"


CASES = tuple(
    Case(client, upstream, stream, second)
    for client, upstream in ROWS
    for stream in (False, True)
    for second in (False, True)
)


def judge(case: Case, fault: Fault, answer: Answer) -> str:
    """Holds the answer against what the fault leaves. "whole", "refused" or "ended"."""
    leaves = fault.stream if case.stream else fault.unary
    if leaves == "whole" and case.upstream == "gemini" != case.client and fault.loses_end:
        # Only the end of a Gemini stream says that it is whole.
        leaves = "beginning"
    if leaves == "whole" or (leaves == "nothing" and case.second):
        check_whole(case, answer)
        return "whole"
    if leaves == "nothing":
        check_refused(case, answer, STATUS[fault.told])
        return "refused"
    check_ended(case, answer, STATUS[fault.told])
    return "ended"


def told_of(case: Case, answer: Answer) -> str:
    """What an answer amounts to, whichever of the three it may be; it has to be a right one of its kind."""
    if answer.status != 200:
        check_refused(case, answer, 502)
        return "refused"
    native_chat = case.client == case.upstream == "openai_chat"
    if case.stream and native_chat and not answer.body.endswith(b"data: [DONE]\n\n"):
        # Some vendors send no closing frame: who has the finish reason has it all.
        assert b'"finish_reason":"stop"' in answer.body
        return "whole"
    if case.stream and _error_of(case.client, answer.body) is not None:
        check_ended(case, answer, 502)
        return "ended"
    check_whole(case, answer)
    return "whole"


def check_whole(case: Case, answer: Answer) -> None:
    assert answer.status == 200, (answer.status, answer.body)
    assert b"This text" in answer.body, answer.body
    if not case.stream:
        assert b"error" not in json.loads(answer.body) or json.loads(answer.body)["error"] is None
        return
    _validate(case, answer.body)
    assert _error_of(case.client, answer.body) is None, answer.body


def check_refused(case: Case, answer: Answer, status: int) -> None:
    """The whole answer is an error, in the envelope of the client's dialect."""
    assert answer.status == status, (answer.status, answer.body)
    told = json.loads(answer.body)
    _check_error(case.client, told["error"], status)
    if case.client == "anthropic_messages":
        assert told["type"] == "error"
        assert told["request_id"] == answer.headers["request-id"]
    if status == 503:
        assert int(answer.headers["retry-after"]) >= 1


def check_ended(case: Case, answer: Answer, status: int) -> None:
    """The stream began, and then ended as its dialect ends a stream that failed."""
    assert case.stream
    assert answer.status == 200, (answer.status, answer.body)
    _validate(case, answer.body)
    error = _error_of(case.client, answer.body)
    assert error is not None, answer.body
    _check_error(case.client, error, status, in_stream=True)


def _check_error(dialect: str, error: Any, status: int, *, in_stream: bool = False) -> None:
    assert error["message"], error
    if dialect == "anthropic_messages":
        assert error["type"] == _ANTHROPIC_TYPES[status], error
    elif dialect == "gemini":
        assert (error["code"], error["status"]) == (status, _GOOGLE_WORDS[status]), error
    elif dialect == "openai_responses" and in_stream:
        # A failed response's code is one of a closed list; an error event's is not.
        assert error["code"] in ("server_error", _OPENAI_CODES[status]), error
    else:
        assert error["code"] == _OPENAI_CODES[status], error


def _error_of(dialect: str, body: bytes) -> Any:
    """The error that ends a stream; None where it ends well."""
    if body.lstrip().startswith(b"["):
        return json.loads(body)[-1].get("error")
    datas = [
        line.removeprefix(b"data: ")
        for line in body.replace(b"\r\n", b"\n").split(b"\n")
        if line.startswith(b"data: ")
    ]
    if dialect == "openai_chat":
        assert datas.pop() == b"[DONE]", body
    last = json.loads(datas[-1])
    if dialect == "openai_responses":
        return (last.get("response") or last).get("error")
    return last.get("error")


def _validate(case: Case, body: bytes) -> None:
    if case.client == "anthropic_messages":
        validate_anthropic(body)
    elif case.client == "openai_chat":
        validate_chat(body)
    elif case.client == "gemini":
        # Google's own lines end in CRLF, and pass as they are.
        validate_gemini(body.replace(b"\r\n", b"\n"), array=case.array)
    else:
        native = case.upstream == case.client
        if native and b"event: error\n" in body:
            # An error behind events that passed unread: it cannot know their response, nor their numbers.
            assert body.endswith(b"\n\n")
            assert body.count(b"event: error\n") == 1
            return
        validate_responses(body, native_ids=native)
