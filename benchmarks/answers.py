"""The upstream's canned answers: a short whole one in each dialect, and streams of as many events as asked.

They are what the vendors' own look like, in members, order and spacing. Whole answers have 0.4 KB, Gemini's printed on
many lines 0.6 KB, and that of Responses, which repeats its request, 1.2 KB. Streams have an opening (Gemini's none), one
text event after another of 140 to 350 bytes, and a close with the usage. Text events take turns with a few texts, which share the
words by which a client counts them.
"""

from __future__ import annotations

import dataclasses

import msgspec

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
#: The id of an answer of Responses. Who keeps answers needs one of its own for each (`nginx` gives it).
RESPONSE_ID = "resp_0d3c4fb131e381120169b319977e1881"

_MESSAGE_ID = "msg_0d3c4fb131e381120169b31997eb28819f80be29ef2f49979e"
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


def mark(client: Dialect) -> str:
    """What a stream in the client's dialect contains once for each text event, and nowhere else.

    Responses repeats the whole text at the end, three times over: there the mark is in the deltas only.
    """
    return f'"delta":"{EVENT_MARK}' if client == "responses" else EVENT_MARK


def whole(dialect: Dialect) -> bytes:
    """A whole answer's body."""
    total = INPUT_TOKENS + OUTPUT_TOKENS
    model = UPSTREAM_MODELS[dialect]
    if dialect == "anthropic":
        return (_ANTHROPIC_WHOLE % (model, WHOLE_TEXT, INPUT_TOKENS, OUTPUT_TOKENS)).encode()
    if dialect == "chat":
        return (_CHAT_WHOLE % (model, WHOLE_TEXT, INPUT_TOKENS, OUTPUT_TOKENS, total)).encode()
    if dialect == "responses":
        return _response("completed", WHOLE_TEXT, OUTPUT_TOKENS).encode()
    return msgspec.json.format(_candidate(WHOLE_TEXT, OUTPUT_TOKENS, last=True).encode(), indent=2)


@dataclasses.dataclass(frozen=True, slots=True)
class Script:
    """A stream's frames: what opens it, the text events that take turns, what closes it."""

    opening: bytes
    turns: tuple[bytes, ...]
    closing: bytes


def script(dialect: Dialect, events: int, *, stamped: bool) -> Script:
    """The frames of a stream with `events` text events, which is also its number of output tokens.

    Raises ValueError for stamped events of Responses: their text is repeated at the end, where its time is past.
    """
    texts = (f"{STAMP_MARK}{STAMP}{STAMP_MARK}",) if stamped else EVENT_TEXTS
    if dialect == "anthropic":
        return _anthropic(texts, events)
    if dialect == "chat":
        return _chat(texts, events)
    if dialect == "gemini":
        return _gemini([texts[number % len(texts)] for number in range(events)])
    if stamped:
        raise ValueError("a stream of Responses cannot be stamped")
    return _responses([texts[number % len(texts)] for number in range(events)])


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


def _responses(texts: list[str]) -> Script:
    """Every event has a number of its own, so every turn is there by itself."""
    told = "".join(texts)
    place = f'"item_id":"{_MESSAGE_ID}","output_index":0'
    number = 0

    def event(name: str, members: str) -> bytes:
        nonlocal number
        number += 1
        return _frame(name, f'{{"type":"{name}",{members},"sequence_number":{number - 1}}}')

    opening = (
        event("response.created", f'"response":{_response("in_progress", None, 0)}')
        + event("response.in_progress", f'"response":{_response("in_progress", None, 0)}')
        + event("response.output_item.added", f'"item":{_message("in_progress", None)},"output_index":0')
        + event("response.content_part.added", f'"content_index":0,{place},"part":{_part("")}')
    )
    turns = tuple(
        event(
            "response.output_text.delta",
            f'"content_index":0,"delta":"{text}",{place},"logprobs":[],"obfuscation":"Fb7np2UQ3X"',
        )
        for text in texts
    )
    closing = (
        event("response.output_text.done", f'"content_index":0,{place},"logprobs":[],"text":"{told}"')
        + event("response.content_part.done", f'"content_index":0,{place},"part":{_part(told)}')
        + event("response.output_item.done", f'"item":{_message("completed", told)},"output_index":0')
        + event("response.completed", f'"response":{_response("completed", told, len(texts))}')
    )
    return Script(opening, turns, closing)


def _response(status: str, text: str | None, output_tokens: int) -> str:
    """The response object; without `text` as it is before anything was said."""
    done = text is not None
    usage = (
        f'{{"input_tokens":{INPUT_TOKENS},"input_tokens_details":{{"cached_tokens":0,"cache_write_tokens":0}},'
        f'"output_tokens":{output_tokens},"output_tokens_details":{{"reasoning_tokens":0}},'
        f'"total_tokens":{INPUT_TOKENS + output_tokens}}}'
    )
    return (
        f'{{"id":"{RESPONSE_ID}","object":"response","created_at":1760000000,"status":"{status}",'
        f'"background":false,"completed_at":{1760000001 if done else "null"},"error":null,"frequency_penalty":0.0,'
        '"incomplete_details":null,"instructions":null,"max_output_tokens":256,"max_tool_calls":null,'
        f'"model":"{UPSTREAM_MODELS["responses"]}","output":[{_message("completed", text) if done else ""}],'
        '"parallel_tool_calls":true,"presence_penalty":0.0,"previous_response_id":null,"prompt_cache_key":null,'
        '"prompt_cache_retention":null,"reasoning":{"effort":null,"summary":null},"safety_identifier":null,'
        '"service_tier":"default","store":false,"temperature":1.0,"text":{"format":{"type":"text"},'
        '"verbosity":"medium"},"tool_choice":"auto","tools":[],"top_logprobs":0,"top_p":1.0,'
        f'"truncation":"disabled","usage":{usage if done else "null"},"user":null,"metadata":{{}}}}'
    )


def _message(status: str, text: str | None) -> str:
    content = "" if text is None else _part(text)
    return f'{{"id":"{_MESSAGE_ID}","type":"message","status":"{status}","content":[{content}],"role":"assistant"}}'


def _part(text: str) -> str:
    return f'{{"type":"output_text","annotations":[],"logprobs":[],"text":"{text}"}}'


def _gemini(texts: list[str]) -> Script:
    """Each chunk tells the figures so far. The last one has the reason for the end, and no text."""
    return Script(
        opening=b"",
        turns=tuple(
            _chunk(_candidate(text, number, last=False)) for number, text in enumerate(texts, start=1)
        ),
        closing=_chunk(_candidate("", len(texts), last=True)),
    )


def _candidate(text: str, output_tokens: int, *, last: bool) -> str:
    """A chunk, which is what a whole answer is too."""
    finish = '"finishReason": "STOP",' if last else ""
    return (
        f'{{"candidates": [{{"content": {{"parts": [{{"text": "{text}"}}],"role": "model"}},{finish}"index": 0}}],'
        f'"usageMetadata": {{"promptTokenCount": {INPUT_TOKENS},"candidatesTokenCount": {output_tokens},'
        f'"totalTokenCount": {INPUT_TOKENS + output_tokens},'
        f'"promptTokensDetails": [{{"modality": "TEXT","tokenCount": {INPUT_TOKENS}}}]}},'
        f'"modelVersion": "{UPSTREAM_MODELS["gemini"]}","responseId": "BenchmarkAnswer000001"}}'
    )


def _frame(name: str, data: str) -> bytes:
    return f"event: {name}\ndata: {data}\n\n".encode()


def _data(data: str) -> bytes:
    return f"data: {data}\n\n".encode()


def _chunk(data: str) -> bytes:
    return f"data: {data}\r\n\r\n".encode()
