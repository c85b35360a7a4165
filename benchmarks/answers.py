"""The upstream's canned answers: a whole one of about 0.4 KB in each dialect, and streams of as many events as asked.

Streams are what the vendors' own look like: an opening, one text event after another of about 150 bytes, and a close with
the usage. Text events take turns with a few texts, which share the words by which a client counts them.
"""

from __future__ import annotations

import dataclasses

from benchmarks.work import UPSTREAM_MODELS, Dialect

#: What a whole answer says.
WHOLE_TEXT = "The window frees when its oldest spend is five hours old. Nothing else moves it."
#: What each text event says, once.
EVENT_MARK = " window frees at"
#: What the text events say in turn: no two neighbours alike, because a peer takes a hundred equal ones for a broken model.
EVENT_TEXTS = tuple(f"{EVENT_MARK} {hour}." for hour in ("four", "five", "nine", "noon"))
#: What stands in a text's place where the time is told: 19 digits, nanoseconds.
STAMP = "0000000000000000000"
STAMP_MARK = "~"
INPUT_TOKENS = 64
OUTPUT_TOKENS = 24

_ANTHROPIC_WHOLE = (
    '{"id":"msg_01BenchmarkAnswer0000001","type":"message","role":"assistant","model":"%s",'
    '"content":[{"type":"text","text":"%s"}],"stop_reason":"end_turn","stop_sequence":null,'
    '"usage":{"input_tokens":%d,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":%d,'
    '"service_tier":"standard"}}'
)
_CHAT_WHOLE = (
    '{"id":"chatcmpl-BenchmarkAnswer0001","object":"chat.completion","created":1760000000,"model":"%s",'
    '"choices":[{"index":0,"message":{"role":"assistant","content":"%s","refusal":null},"finish_reason":"stop"}],'
    '"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}'
)


def whole(dialect: Dialect) -> bytes:
    """A whole answer's body."""
    if dialect == "anthropic":
        text = _ANTHROPIC_WHOLE % (UPSTREAM_MODELS[dialect], WHOLE_TEXT, INPUT_TOKENS, OUTPUT_TOKENS)
    else:
        total = INPUT_TOKENS + OUTPUT_TOKENS
        text = _CHAT_WHOLE % (UPSTREAM_MODELS[dialect], WHOLE_TEXT, INPUT_TOKENS, OUTPUT_TOKENS, total)
    return text.encode()


@dataclasses.dataclass(frozen=True, slots=True)
class Script:
    """A stream's frames: what opens it, the text events that take turns, what closes it."""

    opening: bytes
    turns: tuple[bytes, ...]
    closing: bytes


def script(dialect: Dialect, events: int, *, stamped: bool) -> Script:
    """The frames of a stream with `events` text events, which is also its number of output tokens."""
    texts = (f"{STAMP_MARK}{STAMP}{STAMP_MARK}",) if stamped else EVENT_TEXTS
    return _anthropic(texts, events) if dialect == "anthropic" else _chat(texts, events)


def text(events: int) -> str:
    """What a stream with so many text events says."""
    return "".join(EVENT_TEXTS[number % len(EVENT_TEXTS)] for number in range(events))


def _anthropic(texts: tuple[str, ...], events: int) -> Script:
    opening = (
        _frame(
            "message_start",
            '{"type":"message_start","message":{"id":"msg_01BenchmarkAnswer0000001","type":"message",'
            f'"role":"assistant","model":"{UPSTREAM_MODELS["anthropic"]}","content":[],"stop_reason":null,'
            f'"stop_sequence":null,"usage":{{"input_tokens":{INPUT_TOKENS},"cache_creation_input_tokens":0,'
            '"cache_read_input_tokens":0,"output_tokens":1,"service_tier":"standard"}}}',
        )
        + _frame(
            "content_block_start",
            '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
        )
        + _frame("ping", '{"type": "ping"}')
    )
    turns = tuple(
        _frame(
            "content_block_delta",
            f'{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}',
        )
        for text in texts
    )
    closing = (
        _frame("content_block_stop", '{"type":"content_block_stop","index":0}')
        + _frame(
            "message_delta",
            '{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
            f'"usage":{{"output_tokens":{events}}}}}',
        )
        + _frame("message_stop", '{"type":"message_stop"}')
    )
    return Script(opening, turns, closing)


def _chat(texts: tuple[str, ...], events: int) -> Script:
    head = (
        '{"id":"chatcmpl-BenchmarkAnswer0001","object":"chat.completion.chunk","created":1760000000,'
        f'"model":"{UPSTREAM_MODELS["chat"]}",'
    )

    def choice(delta: str, finish: str) -> bytes:
        return _data(
            f'{head}"choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}],"usage":null}}'
        )

    total = INPUT_TOKENS + events
    usage = f'{{"prompt_tokens":{INPUT_TOKENS},"completion_tokens":{events},"total_tokens":{total}}}'
    return Script(
        opening=choice('{"role":"assistant","content":""}', "null"),
        turns=tuple(choice(f'{{"content":"{text}"}}', "null") for text in texts),
        closing=choice("{}", '"stop"') + _data(f'{head}"choices":[],"usage":{usage}}}') + _data("[DONE]"),
    )


def _frame(name: str, data: str) -> bytes:
    return f"event: {name}\ndata: {data}\n\n".encode()


def _data(data: str) -> bytes:
    return f"data: {data}\n\n".encode()
