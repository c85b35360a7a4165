"""Message threads: refused where nobody keeps them, in words that the SDK acts upon; passed on where somebody does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.core.dialect import Target
from bytespike.errors import UnsupportedFeature
from bytespike.protocols.anthropic_messages import DIALECT
from bytespike.protocols.anthropic_messages.names import QUIRK_NO_THREADS
from bytespike.providers.platforms import PLATFORMS

ASKED: dict[str, Any] = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
UNSUPPORTED = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
THREADS = [{"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}]


def body(**more: Any) -> bytes:
    return json.dumps({**ASKED, **more}).encode()


def patched(asked: bytes, *quirks: str) -> bytes:
    return DIALECT.patch_request(asked, DIALECT.peek(asked), Target("m", quirks=frozenset(quirks)))


@pytest.mark.parametrize("thread", THREADS)
def test_a_thread_is_refused_where_it_would_be_translated(thread: dict[str, str]) -> None:
    with pytest.raises(UnsupportedFeature) as refused:
        DIALECT.read_request(body(thread=thread))
    told = json.loads(DIALECT.write_error(refused.value, 400, "req_1"))["error"]
    assert (told["type"], told["details"]) == ("invalid_request_error", UNSUPPORTED)


@pytest.mark.parametrize("thread", THREADS)
def test_a_thread_passes_to_who_keeps_it_and_to_nobody_else(thread: dict[str, str]) -> None:
    asked = body(thread=thread)
    assert patched(asked) is asked
    with pytest.raises(UnsupportedFeature):
        patched(asked, QUIRK_NO_THREADS)


def test_only_anthropic_keeps_threads() -> None:
    keeping = {
        name
        for name, platform in PLATFORMS.items()
        if "anthropic_messages" in platform.surfaces
        and QUIRK_NO_THREADS not in platform.surfaces["anthropic_messages"].quirks
    }
    assert keeping == {"anthropic", "simulator"}


@pytest.mark.parametrize(
    "asked",
    [
        body(thread=None),
        body(metadata={"user_id": "thread"}),
        body(system='the word "thread"'),
        body(tools=[{"name": "thread", "input_schema": {"type": "object", "properties": {"thread": {}}}}]),
    ],
)
def test_the_word_alone_is_no_thread(asked: bytes) -> None:
    assert patched(asked, QUIRK_NO_THREADS) is asked
    DIALECT.read_request(asked)


@pytest.mark.parametrize("status", [400, 404, 409])
def test_what_an_upstream_says_of_a_thread_reaches_the_sdk(status: int) -> None:
    details = {"error_code": "thread_not_found", "account": "secret"}
    error = {"type": "not_found_error", "message": "thread: no such thread", "details": details}
    failure = DIALECT.read_error(status, {}, json.dumps({"type": "error", "error": error}).encode())
    assert failure.about == "request"
    told = json.loads(DIALECT.write_error(failure.error, 400, "req_1"))["error"]
    assert told == {
        "type": "invalid_request_error",
        "message": "thread: no such thread",
        "details": {"error_code": "thread_not_found"},
    }


@pytest.mark.parametrize(
    "details", [{"error_code": "organization_on_hold"}, {"error_code": 3}, "thread_x", None]
)
def test_other_details_are_the_operators(details: Any) -> None:
    error = {"type": "invalid_request_error", "message": "no", "details": details}
    failure = DIALECT.read_error(400, {}, json.dumps({"type": "error", "error": error}).encode())
    assert failure.error.details is None
    assert "details" not in json.loads(DIALECT.write_error(failure.error, 400, "req_1"))["error"]
