"""Tokens before anyone has counted them: an upper bound that money is held by, and a fair guess that is billed by.

**The bound** (`estimate_prompt_tokens`, `worst_case`) is made before the upstream is called, from the raw bytes:

    800 + bytes / 2.5 + 5,000 for each image + 6,000 for each tool that runs at the provider

Latin text takes 3 to 5 bytes a token and the JSON around it costs nothing, so the bound is usually 1.3 to 2 times the
truth. Text in three-byte scripts (Chinese, Japanese, Korean, Thai, Devanagari) takes 2.5 bytes or more with today's
tokenizers. The 800 cover what providers add of their own around tools and schemas (600 were recorded).

It can be too low for: long runs of digits, hex or base64 inside text; prompts made of emoji; documents of over
`DOCUMENT_TOKENS_MAX` tokens; documents and videos behind a URL, a file id or a cache's name; provider-side tools that
fetch much or go round many times; a `previous_response_id`. The ledger copes: spend passes a limit by one request's
under-estimate at most.

**The guess** (`count_tokens`, `tokens_of_body`, `tokens_of_text`, `tokens_of_chars`) is what the count_tokens endpoints
say where a channel has none of its own, and what is billed where a provider reported nothing. docs/explain/pricing.md has its
measured error.
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from typing import NamedTuple

from msgspec import UNSET

from bytespike.core import content as c
from bytespike.core import tools as t
from bytespike.core.request import ChatRequest
from bytespike.pricing.payloads import STRIDE, Payload, payloads
from bytespike.pricing.price import Price
from bytespike.wire.json import encode

# --- the bound -----------------------------------------------------------------------------------------------------

#: What providers add around a request with tools or a schema; 600 were recorded.
BASE_TOKENS = 800
#: The most that one image costs today (Claude Opus 4.7 at 2576 pixels: 4,784).
IMAGE_TOKENS = 5_000
#: A PDF counts as its bytes do, but at least and at most so much. A page costs 1,500 to 3,000.
DOCUMENT_TOKENS_MIN = 5_000
DOCUMENT_TOKENS_MAX = 100_000
#: Bytes of base64 per token of sound or video: 32 tokens a second at 24 kbit/s, 260 at 200 kbit/s.
STREAM_BYTES_PER_TOKEN = 100
#: What one dated provider-side tool (code_execution_20260120) adds to the prompt, used or not; 5,300 were recorded.
PROVIDER_TOOL_TOKENS = 6_000
#: In larger bodies images behind URLs and provider-side tools are not looked for: the slack of the bound covers them.
SCAN_BYTES_MAX = 64 * 1024
#: An image behind a URL, in two spellings, and what both have; a provider-side tool, by its date.
_IMAGE_URL, _SPACED_IMAGE_URL, _URL = b'url":"http', b'url": "http', b'"http'
_DATED = b"_202"

#: Searches that are held for when a provider-side search may run, and the tokens that they bring into the prompt
#: (44,000 were recorded).
SEARCHES_HELD = 5
SEARCH_PROMPT_TOKENS = 50_000

_PER_MILLION = 1_000_000
_DENOMINATOR = 10**12


def estimate_prompt_tokens(body: bytes) -> int:
    """Prompt tokens of a raw request, at most in practice (see above). Does not read the JSON, so any bytes do."""
    text = len(body)
    tokens = BASE_TOKENS
    if text > STRIDE:
        for payload in payloads(body):
            text -= payload.size
            tokens += _media_tokens(payload)
    if len(body) <= SCAN_BYTES_MAX:
        tokens += PROVIDER_TOOL_TOKENS * body.count(_DATED)
        if _URL in body:
            tokens += IMAGE_TOKENS * (body.count(_IMAGE_URL) + body.count(_SPACED_IMAGE_URL))
    return tokens + _text_bound(text)


def _text_bound(size: int) -> int:
    return (size * 2 + 4) // 5


def _media_tokens(payload: Payload) -> int:
    if payload.kind == "image":
        return IMAGE_TOKENS
    if payload.kind == "stream":
        return IMAGE_TOKENS + payload.size // STREAM_BYTES_PER_TOKEN
    return min(max(_text_bound(payload.size), DOCUMENT_TOKENS_MIN), DOCUMENT_TOKENS_MAX)


def worst_case(
    price: Price,
    multiplier_ppm: int,
    prompt_tokens: int,
    max_output_tokens: int,
    candidates: int,
    web_search: bool,
) -> int:
    """Micro-dollars that a request may cost, rounded up: what is held for it.

    The prompt counts at the dearest of its rates, for nobody knows yet what a cache will do. No usage within
    `prompt_tokens`, `max_output_tokens` for each of `candidates`, and `SEARCHES_HELD` searches costs more.
    """
    dearest = max(price.input, price.cache_read, price.cache_write_5m, price.cache_write_1h)
    output = price.output
    total = price.submit_fee * _PER_MILLION
    if web_search:
        prompt_tokens += SEARCH_PROMPT_TOKENS
        total += SEARCHES_HELD * price.web_search * 1_000
    if price.tiers is not UNSET:
        # A bound of the prompt reaches every tier below it; the prompt itself, any of them.
        for tier in price.tiers:
            if prompt_tokens > tier.above:
                dearest = max(dearest, tier.input, tier.cache_read, tier.cache_write_5m, tier.cache_write_1h)
                output = max(output, tier.output)
    total += prompt_tokens * dearest + max_output_tokens * candidates * output
    return -(-total * multiplier_ppm // _DENOMINATOR)


# --- the guess -----------------------------------------------------------------------------------------------------

#: Characters per token where only their number is known. Recorded answers have 2 to 5.5, pooled 4.
CHARS_PER_TOKEN = 4

# Hundredths of a token per byte of each class. ASCII as fitted to recorded answers; scripts outside it by what their
# characters cost in current tokenizers: a two-byte character (accents, Cyrillic, Greek, Hebrew, Arabic) half a token,
# a three-byte one (Chinese, Japanese, Korean, Thai, Devanagari) one, a four-byte one (emoji) two.
_LETTER, _SPACE, _DIGIT, _NEWLINE, _MARK = 17, 35, 80, 100, 60
_TWO_BYTES, _THREE_BYTES, _FOUR_BYTES = 50, 100, 200
#: What the weights above come to for a byte of base64.
_BASE64 = 28

_LETTERS = string.ascii_letters.encode()
_DIGITS = string.digits.encode()
_CONTINUATION = bytes(range(0x80, 0xC0))
_LEADS_2 = bytes(range(0xC0, 0xE0))
_LEADS_3 = bytes(range(0xE0, 0xF0))
_LEADS_4 = bytes(range(0xF0, 0x100))

_TURN_TOKENS = 4
_PROVIDER_TOOL_GUESS = 900
_IMAGE_GUESS = 1_000
_PDF_GUESS_MIN = 1_500
_PDF_BYTES_PER_TOKEN = 12


class _Overhead(NamedTuple):
    """What a vendor's own prompt makes of tools and schemas, as fitted to recorded prompts: tokens once where there are
    tools, tokens for each tool, per cent of a definition's own tokens, tokens for an output schema."""

    tools: int
    per_tool: int
    definition_percent: int
    schema: int


_OVERHEADS = (
    ("claude", _Overhead(480, 30, 95, 130)),
    ("gpt", _Overhead(40, 0, 40, 0)),
    ("", _Overhead(150, 8, 110, 0)),
)


def tokens_of_chars(chars: int) -> int:
    """Tokens of so many characters of an answer, whatever they are."""
    return -(-chars // CHARS_PER_TOKEN)


def tokens_of_text(text: str) -> int:
    """Tokens of a text, by what it is made of. 0 for the empty text, else at least 1."""
    return _tokens_of_bytes(text.encode("utf-8", "surrogatepass"))


def tokens_of_body(body: bytes) -> int:
    """Prompt tokens of a raw request that is too finely cut to be read only to be counted: by its text, its JSON among
    it, which makes the guess some per cent too high."""
    tokens = _tokens_of_bytes(body)
    for payload in payloads(body):
        tokens += _guess_of(payload) - payload.size * _BASE64 // 100
    return max(1, tokens)


def _guess_of(payload: Payload) -> int:
    if payload.kind == "image":
        return _IMAGE_GUESS
    if payload.kind == "stream":
        return payload.size // STREAM_BYTES_PER_TOKEN
    return max(_PDF_GUESS_MIN, payload.size // _PDF_BYTES_PER_TOKEN)


def _tokens_of_bytes(data: bytes) -> int:
    if not data:
        return 0
    rest = data.translate(None, _LETTERS)
    hundredths = (len(data) - len(rest)) * _LETTER
    spaces, newlines = rest.count(b" "), rest.count(b"\n")
    data = rest.translate(None, b" \n")
    rest = data.translate(None, _DIGITS)
    hundredths += spaces * _SPACE + newlines * _NEWLINE + (len(data) - len(rest)) * _DIGIT
    if not rest.isascii():
        rest = rest.translate(None, _CONTINUATION)
        for leads, weight in ((_LEADS_2, _TWO_BYTES), (_LEADS_3, _THREE_BYTES), (_LEADS_4, _FOUR_BYTES)):
            data = rest.translate(None, leads)
            hundredths += (len(rest) - len(data)) * weight
            rest = data
    hundredths += len(rest) * _MARK
    return max(1, -(-hundredths // 100))


def count_tokens(request: ChatRequest) -> int:
    """The prompt tokens of a request, as near as it goes without the provider's tokenizer.

    What tools cost differs most between vendors; whose model it is, is told by the beginning of `request.model`.
    """
    texts: list[str] = []
    tokens = _TURN_TOKENS + _parts(request.system, texts)
    for turn in request.turns:
        tokens += _TURN_TOKENS + _parts(turn.parts, texts)
    tokens += tokens_of_text("\n".join(texts))
    name = request.model.lower()
    overhead = next(each for prefix, each in _OVERHEADS if name.startswith(prefix))
    if request.tools:
        tokens += overhead.tools + _tools(request.tools, overhead)
    if request.output_format is not None and request.output_format.schema is not None:
        tokens += overhead.schema + tokens_of_text(_json(request.output_format.schema))
    return tokens


def _parts(parts: Iterable[c.Part], texts: list[str]) -> int:
    """Adds the parts' texts to `texts`; gives the tokens of all that is no text."""
    tokens = 0
    for part in parts:
        match part:
            case c.TextPart(text=text) | c.ReasoningPart(text=text) | c.RefusalPart(text=text):
                texts.append(text)
            case (
                c.ToolCallPart(name=name, arguments=arguments)
                | c.ServerToolCallPart(name=name, arguments=arguments)
            ):
                texts.append(name)
                texts.append(arguments)
                tokens += _TURN_TOKENS
            case c.ToolResultPart(content=content):
                tokens += _TURN_TOKENS + _parts(content, texts)
            case c.SearchResultPart(title=title, content=content):
                texts.append(title)
                tokens += _parts(content, texts)
            case c.ImagePart():
                tokens += _IMAGE_GUESS
            case c.AudioPart(source=source):
                tokens += _size(source) // STREAM_BYTES_PER_TOKEN
            case c.DocumentPart():
                tokens += _document(part, texts)
            case c.ServerToolResultPart(content=raw) | c.ForeignPart(raw=raw):
                texts.append(_json(raw))
    return tokens


def _document(part: c.DocumentPart, texts: list[str]) -> int:
    match part.source:
        case c.TextSource(text=text):
            texts.append(text)
            return 0
        case c.PartsSource(parts=parts):
            return _parts(parts, texts)
        case source:
            return max(_PDF_GUESS_MIN, _size(source) // _PDF_BYTES_PER_TOKEN)


def _size(source: c.Source) -> int:
    return len(source.data) if isinstance(source, c.Base64Source) else 0


def _tools(tools: Iterable[t.Tool], overhead: _Overhead) -> int:
    texts: list[str] = []
    tokens = 0
    for tool in tools:
        tokens += overhead.per_tool
        match tool:
            case t.FunctionTool(name=name, description=description, parameters=parameters):
                texts.extend((name, description or "", _json(parameters or {})))
            case t.CustomTool(name=name, description=description, grammar=grammar):
                texts.extend((name, description or "", grammar or ""))
            case t.WebSearchTool():
                tokens += _PROVIDER_TOOL_GUESS
            case t.ForeignTool(raw=raw):
                texts.append(_json(raw))
                tokens += _PROVIDER_TOOL_GUESS
    return tokens + tokens_of_text("\n".join(texts)) * overhead.definition_percent // 100


def _json(value: object) -> str:
    return encode(value).decode()
