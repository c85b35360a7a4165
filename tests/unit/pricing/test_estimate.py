"""Tokens before anyone has counted them: the bound that is held, and the guess that is billed."""

from __future__ import annotations

import base64
import json
import random

import pytest

from bytespike.core import content as c
from bytespike.core.request import ChatRequest, OutputFormat
from bytespike.core.tools import CustomTool, ForeignTool, FunctionTool, WebSearchTool
from bytespike.pricing import estimate as e
from bytespike.pricing.estimate import (
    BASE_TOKENS,
    DOCUMENT_TOKENS_MAX,
    DOCUMENT_TOKENS_MIN,
    IMAGE_TOKENS,
    count_tokens,
    estimate_prompt_tokens,
    tokens_of_chars,
    tokens_of_text,
    worst_case,
)
from bytespike.pricing.payloads import STRIDE, payloads
from bytespike.pricing.price import ONE_PPM, Price

RANDOM = random.Random(7)
PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff\xe0"
WEBP = b"RIFF\x00\x00\x00\x00WEBPVP8 "
HEIC = b"\x00\x00\x00\x18ftypheic"
WAV = b"RIFF\x00\x00\x00\x00WAVEfmt "
MP3 = b"ID3\x04\x00"
MP4 = b"\x00\x00\x00\x18ftypmp42"
PDF = b"%PDF-1.7\n"


def inline(head: bytes, size: int) -> str:
    """Base64 text of exactly `size` characters."""
    return base64.b64encode(head + RANDOM.randbytes(size * 3 // 4 - len(head))).decode()


def anthropic(data: str, kind: str = "image", media_type: str = "image/png") -> dict[str, object]:
    return {"type": kind, "source": {"type": "base64", "media_type": media_type, "data": data}}


def anthropic_backwards(data: str) -> dict[str, object]:
    return {"source": {"data": data, "media_type": "image/png", "type": "base64"}, "type": "image"}


def openai(data: str, media_type: str = "image/png") -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}


def openai_file(data: str) -> dict[str, object]:
    return {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{data}"}}


def gemini(data: str) -> dict[str, object]:
    return {"inlineData": {"mimeType": "image/jpeg", "data": data.replace("+", "-").replace("/", "_")}}


def body(*parts: object, spaced: bool = False) -> bytes:
    message = {
        "model": "m",
        "messages": [{"role": "user", "content": [*parts, {"type": "text", "text": "what?"}]}],
    }
    return json.dumps(message, separators=None if spaced else (",", ":"), ensure_ascii=False).encode()


EMPTY = estimate_prompt_tokens(body())


# --- the bound: media -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("head", [PNG, JPEG, WEBP, HEIC])
@pytest.mark.parametrize("form", [anthropic, anthropic_backwards, openai, gemini])
def test_an_inline_image_costs_an_image_and_not_its_bytes(form, head: bytes, spaced: bool) -> None:
    tokens = estimate_prompt_tokens(body(form(inline(head, 400_000)), spaced=spaced)) - EMPTY
    assert IMAGE_TOKENS <= tokens < IMAGE_TOKENS + 200


def test_many_images_cost_an_image_each() -> None:
    parts = [openai(inline(PNG, 20_000)) for _ in range(20)]
    tokens = estimate_prompt_tokens(body(*parts)) - EMPTY
    assert 20 * IMAGE_TOKENS <= tokens < 20 * (IMAGE_TOKENS + 100)


@pytest.mark.parametrize("size", [2 * STRIDE, 2 * STRIDE + 4, 3 * STRIDE, 10 * STRIDE + 1234])
@pytest.mark.parametrize("shift", [0, 1, 1000, STRIDE - 1])
def test_a_payload_of_two_strides_is_found_wherever_it_stands(size: int, shift: int) -> None:
    data = inline(PNG, size)
    found = list(payloads(body({"type": "text", "text": "x y " * (shift // 4)}, anthropic(data))))
    assert [(payload.size, payload.kind) for payload in found] == [(len(data), "image")]


def test_a_small_image_counts_as_text_which_is_no_less() -> None:
    tokens = estimate_prompt_tokens(body(openai(inline(PNG, 4_000)))) - EMPTY
    assert 1_600 <= tokens <= IMAGE_TOKENS


@pytest.mark.parametrize("size", [9_000, 60_000, 8_000_000])
def test_a_document_counts_by_its_bytes_within_bounds(size: int) -> None:
    for part in (anthropic(inline(PDF, size), "document", "application/pdf"), openai_file(inline(PDF, size))):
        tokens = estimate_prompt_tokens(body(part)) - EMPTY
        expected = min(max(size * 2 // 5, DOCUMENT_TOKENS_MIN), DOCUMENT_TOKENS_MAX)
        assert expected <= tokens < expected + 200


@pytest.mark.parametrize("head", [WAV, MP3, MP4])
def test_sound_and_video_count_by_their_length(head: bytes) -> None:
    part = {"type": "input_audio", "input_audio": {"data": inline(head, 1_000_000), "format": "wav"}}
    tokens = estimate_prompt_tokens(body(part)) - EMPTY
    assert IMAGE_TOKENS + 10_000 <= tokens < IMAGE_TOKENS + 10_200


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": inline(PNG, 40_000)},  # pasted into a prompt
        {"type": "thinking", "thinking": "", "signature": inline(b"", 40_000)},
        {"type": "redacted_thinking", "data": inline(b"", 40_000)},
        {"type": "reasoning", "encrypted_content": inline(b"", 40_000)},
        {"type": "text", "text": "x" * 40_000},
    ],
)
def test_base64_that_is_no_media_counts_as_text(part: dict[str, object]) -> None:
    assert list(payloads(body(part))) == []
    assert estimate_prompt_tokens(body(part)) - EMPTY >= 16_000


FAKE = inline(PNG, 400) + "这是文字 " * 20_000


@pytest.mark.parametrize(
    "message",
    [
        # In a call's input, in every shape that media have elsewhere.
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"data": FAKE}}],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "t", "name": "f", "input": {"content": [anthropic(FAKE)]}}
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t", "name": "f", "input": openai(FAKE)}],
        },
        {
            "role": "assistant",
            "tool_calls": [{"id": "t", "function": {"name": "f", "arguments": json.dumps(openai(FAKE))}}],
        },
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": gemini(FAKE)}}]},
        # In text.
        {"role": "user", "content": f"data:image/png;base64,{FAKE}"},
        {"role": "user", "content": [{"type": "text", "text": f"data:image/png;base64,{FAKE}"}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": FAKE}]},
        # In a place for media, and declared as text.
        {"role": "user", "content": [anthropic(FAKE, "document", "text/plain")]},
        {"role": "user", "content": [{"type": "document", "source": {"type": "text", "data": FAKE}}]},
        {"role": "user", "content": [openai(FAKE, "text/plain")]},
        {"role": "user", "content": [openai(FAKE, "image/svg+xml")]},
        {"role": "user", "parts": [{"inlineData": {"mimeType": "text/plain", "data": FAKE}}]},
        {"role": "user", "content": [{"type": "file", "file": {"file_data": FAKE}}]},
        {
            "role": "user",
            "content": [{"type": "file", "file": {"file_data": f"data:text/csv;base64,{FAKE}"}}],
        },
        # In a place for media of a thing that has none.
        {"role": "user", "content": [anthropic(FAKE, "search_result")]},
        {"role": "user", "data": FAKE},
    ],
    ids=range(17),
)
def test_text_dressed_up_as_a_picture_is_held_for_as_text(message: dict[str, object]) -> None:
    raw = json.dumps(
        {"model": "m", "messages": [message], "contents": [message]}, ensure_ascii=False
    ).encode()
    assert payloads(raw) == []
    # 120,000 characters, of which 80,000 are Chinese, twice.
    assert estimate_prompt_tokens(raw) > 2 * 80_000


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"type": "tool_result", "tool_use_id": "t", "content": [anthropic(inline(PNG, 40_000))]}, "image"),
        ({"type": "input_image", "image_url": f"data:image/png;base64,{inline(PNG, 40_000)}"}, "image"),
        (
            {"type": "input_file", "file_data": f"data:application/pdf;base64,{inline(PDF, 40_000)}"},
            "document",
        ),
        ({"type": "file", "file": {"file_data": inline(PDF, 40_000)}}, "document"),
        ({"type": "function_call_output", "output": [openai(inline(PNG, 40_000))]}, "image"),
        (
            {"type": "computer_call_output", "output": openai(inline(PNG, 40_000))},
            "image",
        ),
        ({"type": "image_generation_call", "result": inline(PNG, 40_000)}, "image"),
        ({"role": "assistant", "images": [openai(inline(PNG, 40_000))]}, "image"),
        ({"inline_data": {"mime_type": "video/mp4", "data": inline(MP4, 40_000)}}, "stream"),
        ({"functionResponse": {"name": "f", "parts": [gemini(inline(JPEG, 40_000))]}}, "image"),
        (
            {"type": "input_audio", "input_audio": {"data": inline(b"raw", 40_000), "format": "pcm16"}},
            "stream",
        ),
        (
            {"type": "document", "source": {"type": "content", "content": [anthropic(inline(PNG, 40_000))]}},
            "image",
        ),
    ],
)
def test_media_are_found_in_every_place_for_them(part: dict[str, object], kind: str) -> None:
    for raw in (
        body(part),
        json.dumps({"input": [part]}).encode(),
        json.dumps({"contents": [{"role": "user", "parts": [part]}]}).encode(),
    ):
        assert [payload.kind for payload in payloads(raw)] == [kind]
        assert 39_900 <= payloads(raw)[0].size <= 40_000


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "input_image", "image_url": "https://example.com/a.png"},
        {"type": "image", "source": {"type": "url", "url": "http://example.com/a.png"}},
    ],
)
def test_an_image_behind_a_url_costs_an_image(part: dict[str, object], spaced: bool) -> None:
    tokens = estimate_prompt_tokens(body(part, spaced=spaced)) - EMPTY
    assert IMAGE_TOKENS <= tokens < IMAGE_TOKENS + 100


def test_a_tool_parameter_called_url_costs_nothing_extra() -> None:
    tool = {"name": "fetch", "input_schema": {"type": "object", "properties": {"url": {"type": "string"}}}}
    assert estimate_prompt_tokens(body(tool)) - EMPTY < 100


def test_in_large_bodies_the_slack_of_the_text_covers_images_behind_urls() -> None:
    filler = {"type": "text", "text": "word " * 40_000}
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    assert estimate_prompt_tokens(body(filler, image)) - estimate_prompt_tokens(body(filler)) < 100
    # 200,000 characters of English are about 40,000 tokens; the bound has room for eight images besides.
    assert estimate_prompt_tokens(body(filler)) - 40_000 > 8 * IMAGE_TOKENS


# --- the bound: text ------------------------------------------------------------------------------------------

# The densest that current tokenizers were seen to be on text of that kind, in tokens per character.
SCRIPTS = {
    "English": ("The quick brown fox jumps over the lazy dog. ", 0.25),
    "Python": ("    def f(self, x: int) -> int:\n        return self._y[x] + 1\n", 0.40),
    "German": ("Die Geschwindigkeitsbegrenzung überraschte die Reisenden. ", 0.36),
    "Chinese": ("人工智能正在改变我们的生活方式。", 1.20),
    "Japanese": ("人工知能は私たちの生活を変えています。", 1.20),
    "Korean": ("인공지능은 우리의 삶을 바꾸고 있습니다. ", 1.0),
    "Russian": ("Искусственный интеллект меняет нашу жизнь. ", 0.55),
    "Arabic": ("الذكاء الاصطناعي يغير حياتنا اليومية. ", 0.60),
    "Hindi": ("कृत्रिम बुद्धिमत्ता हमारे जीवन को बदल रही है। ", 0.90),
    "Thai": ("ปัญญาประดิษฐ์กำลังเปลี่ยนแปลงชีวิตของเรา ", 0.90),
}


@pytest.mark.parametrize("escaped", [False, True])
@pytest.mark.parametrize("script", SCRIPTS)
def test_the_bound_holds_for_text_in_any_script(script: str, escaped: bool) -> None:
    sample, density = SCRIPTS[script]
    text = sample * 200
    raw = json.dumps({"messages": [{"role": "user", "content": text}]}, ensure_ascii=escaped).encode()
    assert estimate_prompt_tokens(raw) >= len(text) * density


@pytest.mark.parametrize(
    "raw", [b"", b"{", b'"' * 10_000, b"\x00" * 10_000, b"\xff" * 100_000, b'{"data":"' + b"A" * 9_000]
)
def test_any_bytes_have_an_estimate(raw: bytes) -> None:
    assert estimate_prompt_tokens(raw) >= BASE_TOKENS


def test_the_bound_grows_with_the_body() -> None:
    estimates = [
        estimate_prompt_tokens(body({"type": "text", "text": "x" * size})) for size in range(0, 20_000, 997)
    ]
    assert estimates == sorted(estimates)


# --- what is held ---------------------------------------------------------------------------------------------

PRICE = Price(
    input=3_000_000, output=15_000_000, cache_read=300_000, cache_write_5m=3_750_000, cache_write_1h=6_000_000
)


def test_the_prompt_is_held_at_its_dearest_rate() -> None:
    assert worst_case(PRICE, ONE_PPM, 1_000, 0, 1, False) == 6_000
    assert worst_case(Price(input=3_000_000), ONE_PPM, 1_000, 0, 1, False) == 3_000


def test_every_candidate_is_held_in_full() -> None:
    assert worst_case(PRICE, ONE_PPM, 0, 100, 1, False) == 1_500
    assert worst_case(PRICE, ONE_PPM, 0, 100, 4, False) == 6_000


def test_searches_are_held_with_what_they_bring_into_the_prompt() -> None:
    price = Price(input=1_000_000, web_search=10_000_000)
    expected = e.SEARCH_PROMPT_TOKENS + e.SEARCHES_HELD * 10_000
    assert worst_case(price, ONE_PPM, 0, 0, 1, True) == expected


def test_a_hold_is_rounded_up_and_multiplied() -> None:
    assert worst_case(Price(input=1), ONE_PPM, 1, 0, 1, False) == 1
    assert worst_case(PRICE, 1_500_000, 1_000, 0, 1, False) == 9_000
    assert worst_case(PRICE, 0, 1_000, 100, 1, True) == 0
    assert worst_case(Price(submit_fee=50_000), ONE_PPM, 0, 0, 1, False) == 50_000


# --- the guess ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("chars", "tokens"), [(0, 0), (1, 1), (4, 1), (5, 2), (4_000, 1_000)])
def test_tokens_of_so_many_characters(chars: int, tokens: int) -> None:
    assert tokens_of_chars(chars) == tokens


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("", 0, 0),
        ("a", 1, 1),
        ("Hello, world!", 3, 5),
        ("The quick brown fox jumps over the lazy dog.", 9, 12),
        ("1234567890", 3, 10),
        ("人工智能正在改变我们的生活方式", 10, 18),
        ("Искусственный интеллект меняет нашу жизнь", 10, 22),
        ("👍👍👍", 3, 9),
        ("\ud800", 1, 2),  # half a character, as broken clients send it
    ],
)
def test_a_text_is_guessed_by_what_it_is_made_of(text: str, least: int, most: int) -> None:
    assert least <= tokens_of_text(text) <= most


def asking(*parts: c.Part, **more: object) -> int:
    return count_tokens(ChatRequest(model="m", turns=(c.Turn("user", parts),), **more))


@pytest.mark.parametrize(
    ("part", "least", "most"),
    [
        (c.TextPart("word " * 100), 90, 150),
        (c.ReasoningPart("word " * 100), 90, 150),
        (c.RefusalPart("word " * 100), 90, 150),
        (c.ToolCallPart("id", "search", '{"q":"weather"}'), 8, 25),
        (c.ToolResultPart("id", (c.TextPart("word " * 100), c.ImagePart(c.UrlSource("u")))), 1_090, 1_200),
        (c.ImagePart(c.Base64Source("image/png", "A" * 100_000)), 1_000, 1_000),
        (c.AudioPart(c.Base64Source("", "A" * 100_000), "wav"), 1_000, 1_000),
        (c.DocumentPart(c.TextSource("word " * 100)), 90, 150),
        (c.DocumentPart(c.PartsSource((c.TextPart("word " * 100),))), 90, 150),
        (c.DocumentPart(c.Base64Source("application/pdf", "A" * 60_000)), 5_000, 5_000),
        (c.DocumentPart(c.UrlSource("u")), 1_500, 1_500),
        (c.SearchResultPart("s", "title", (c.TextPart("word " * 100),)), 90, 150),
        (c.ServerToolCallPart("id", "web_search", '{"query":"weather"}'), 8, 25),
        (c.ServerToolResultPart("id", "web_search_tool_result", [{"title": "word " * 100}]), 90, 160),
        (c.ForeignPart("x", "y", {"text": "word " * 100}), 90, 160),
    ],
)
def test_every_kind_of_part_counts(part: c.Part, least: int, most: int) -> None:
    assert least <= asking(part) - asking() <= most


def test_system_tools_and_schemas_count() -> None:
    words = "word " * 100
    schema = {"type": "object", "properties": {"city": {"type": "string", "description": words}}}
    plain = asking(c.TextPart("hi"))
    for more in (
        {"system": (c.TextPart(words),)},
        {"tools": (FunctionTool("f", words, schema),)},
        {"tools": (CustomTool("f", words, "lark", words),)},
        {"tools": (WebSearchTool(),)},
        {"tools": (ForeignTool("d", "bash_20250124", "bash", {"note": words}),)},
        {"output_format": OutputFormat("json_schema", schema)},
    ):
        assert asking(c.TextPart("hi"), **more) > plain + 90, more


def test_a_function_without_parameters_counts_too() -> None:
    assert asking(tools=(FunctionTool("now"),)) > asking()
