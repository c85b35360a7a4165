"""Directives: how a request asks the simulator for a certain answer or a certain failure.

A directive is a list of options, `name` or `name=value`, separated by spaces. See the package's docstring for where
they may stand and which goes first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

HEADER = "x-simulator"

TOKENS_MAX = 200_000
BILLED_TOKENS_MAX = 100_000_000
SECONDS_MAX = 600.0
EVENTS_MAX = 1_000_000
CALLS_MAX = 16
IMAGES_MAX = 16
CHUNK_BYTES_MAX = 1 << 20
PIECE_CHARS_DEFAULT = 16
POLLS_MAX = 10_000
POLLS_DEFAULT = 2
FILE_BYTES_MAX = 256 * 1024 * 1024

Count = Annotated[int, Meta(ge=0, le=BILLED_TOKENS_MAX)]
Events = Annotated[int, Meta(ge=0, le=EVENTS_MAX)]
Status = Annotated[int, Meta(ge=400, le=599)]
Seconds = Annotated[float, Meta(ge=0, le=SECONDS_MAX)]

_DIRECTIVE = re.compile(r"\[\[sim:(.*?)\]\]", re.DOTALL)
_OPTION = re.compile(r"\s*([A-Za-z0-9_]+)(=?)")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_WORD = re.compile(r"\S*")
_RUNS_TO_THE_END = frozenset({"text", "thinking", "refusal", "args", "error_text"})
FLAG = "true"


class BadDirective(ValueError):
    """An option that does not exist, or a value that it cannot have. The message names it."""


class Directives(Struct, frozen=True, forbid_unknown_fields=True, rename=None):
    """Every option, with its meaning where it is not given.

    What is said:
    `text` exactly this. `tokens` a text of exactly so many tokens. `thinking` exactly this thought, asked or not;
    `redacted` a redacted thought besides (Anthropic; Responses: reasoning that shows nothing). `reasoning_content` act as
    a vendor that is compatible with OpenAI: thoughts are shown as they are, and unknown fields of the request are ignored. `tool` call this tool (a header's or
    profile's does not apply once results have arrived); `args` its arguments as JSON text instead of generated ones;
    `calls` how many calls. `refusal` refuse, in these words if any (Gemini: with
    words the candidate, without any the prompt). `web_search` search the web. `citations` cite the
    documents, or search results where there are none. `stop_reason` this reason, in the dialect's own word.

    How a render of a video goes:
    `polls` it is over when it is looked at for this time, or `render` seconds after it began. `fail` it fails: by
    "moderation", by an "error", or with this code in the vendor's own words, and `error_text` with it. `file_bytes` its
    file has so many at least. `poll_error` this status for the first `poll_errors` looks, `fetch_error` for the first
    `fetch_errors` times that its file is fetched; `retry_after` goes with both. `fetch_cut` the first time that it is
    given, the file breaks off after about so many bytes.

    How images are drawn:
    `images` no more than so many, whatever is asked for; 0: words alone. `fail` and `refusal` as above. `pictures` where a
    chat answer has them: as "markdown" in its text by URL, as "inline" Markdown, as "parts" of its content, or in "images"
    beside it.

    What is billed:
    `cache_read`, `cache_write`, `cache_write_1h` tokens on top of those counted. `no_usage` leave usage out where the
    dialect allows it (not Anthropic).

    How it is delivered (seconds; events counted from 1; an answer that is not streamed breaks in mid-body, or before
    its headers for 0):
    `error` answer with this status, `retry_after` and `error_text` with it; `error_rate` only to this share of
    requests. `delay` before the first byte. `pace` between events. `piece` characters per delta. `chunk` bytes per
    write, across events. `break_after` reset the connection after so many events; `cut_after` close it in order;
    `stall_after` go silent. `error_event_after` the dialect's own error in the stream. `malformed` broken JSON.
    """

    text: str | None = None
    tokens: Annotated[int, Meta(ge=1, le=TOKENS_MAX)] | None = None
    thinking: str | None = None
    redacted: bool = False
    reasoning_content: bool = False
    tool: str | None = None
    args: str | None = None
    calls: Annotated[int, Meta(ge=1, le=CALLS_MAX)] | None = None
    refusal: str | None = None
    web_search: bool = False
    citations: bool = False
    stop_reason: str | None = None

    polls: Annotated[int, Meta(ge=1, le=POLLS_MAX)] = POLLS_DEFAULT
    render: Seconds = 0.0
    fail: str | None = None
    file_bytes: Annotated[int, Meta(ge=0, le=FILE_BYTES_MAX)] = 0
    poll_error: Status | None = None
    poll_errors: Annotated[int, Meta(ge=1, le=POLLS_MAX)] = 1
    fetch_error: Status | None = None
    fetch_errors: Annotated[int, Meta(ge=1, le=POLLS_MAX)] = 1
    fetch_cut: Annotated[int, Meta(ge=0, le=FILE_BYTES_MAX)] | None = None

    images: Annotated[int, Meta(ge=0, le=IMAGES_MAX)] | None = None
    pictures: Literal["markdown", "inline", "parts", "images"] = "markdown"

    cache_read: Count | None = None
    cache_write: Count | None = None
    cache_write_1h: Count | None = None
    no_usage: bool = False

    error: Status | None = None
    error_rate: Annotated[float, Meta(ge=0, le=1)] = 1.0
    error_text: str | None = None
    retry_after: Annotated[int, Meta(ge=0, le=3600)] | None = None
    delay: Seconds = 0.0
    pace: Seconds = 0.0
    piece: Annotated[int, Meta(ge=1, le=CHUNK_BYTES_MAX)] = PIECE_CHARS_DEFAULT
    chunk: Annotated[int, Meta(ge=1, le=CHUNK_BYTES_MAX)] | None = None
    break_after: Events | None = None
    cut_after: Events | None = None
    stall_after: Events | None = None
    error_event_after: Events | None = None
    malformed: bool = False

    @property
    def breaks(self) -> bool:
        """The answer does not reach its end in order."""
        return not (self.break_after is None and self.cut_after is None and self.stall_after is None)


PLAIN = Directives()


def parse_options(source: str) -> dict[str, str]:
    """The options of one directive or header, unchecked. Raises `BadDirective`."""
    found: dict[str, str] = {}
    at = 0
    source = source.rstrip()
    while at < len(source):
        option = _OPTION.match(source, at)
        if option is None:
            raise BadDirective(f"not an option: {source[at:].strip()[:40]!r}")
        name, equals = option.group(1), option.group(2)
        at = option.end()
        if not equals:
            found[name] = FLAG
            continue
        quoted = _QUOTED.match(source, at)
        if quoted is not None:
            try:
                found[name] = msgspec.json.decode(quoted.group(), type=str)
            except msgspec.DecodeError as error:
                raise BadDirective(f"{name}: {error}") from None
            at = quoted.end()
        elif name in _RUNS_TO_THE_END:
            found[name] = source[at:]
            break
        else:
            word = _WORD.match(source, at)
            assert word is not None
            found[name] = word.group()
            at = word.end()
    return found


def split(text: str) -> tuple[str, dict[str, str]]:
    """A user's text without its directives, and their options. Raises `BadDirective`."""
    if "[[sim:" not in text:
        return text, {}
    options: dict[str, str] = {}
    for directive in _DIRECTIVE.finditer(text):
        options.update(parse_options(directive.group(1)))
    return _DIRECTIVE.sub("", text).strip(), options


def build(options: Mapping[str, str]) -> Directives:
    """The checked form. Raises `BadDirective`."""
    if not options:
        return PLAIN
    try:
        return msgspec.convert(dict(options), Directives, strict=False)
    except msgspec.ValidationError as error:
        raise BadDirective(str(error).replace("Object contains unknown field", "unknown option")) from None


class Defaults(Struct, frozen=True):
    """A server's own profile: the options as text, and checked."""

    options: Mapping[str, str]
    checked: Directives

    @classmethod
    def of(cls, profile: str) -> Defaults:
        """Raises `BadDirective`."""
        options = parse_options(profile)
        return cls(options, build(options))


def resolve(defaults: Defaults, header: str | None, texts: Iterable[str], after_results: bool) -> Directives:
    """What holds for one request.

    `texts`: the options' sources in what the user said since the last answer. `after_results`: tool results have just
    arrived. Raises `BadDirective`.
    """
    own: dict[str, str] = {}
    for text in texts:
        own.update(split(text)[1])
    if not own and header is None and not (after_results and "tool" in defaults.options):
        return defaults.checked
    steering = {**defaults.options, **(parse_options(header) if header is not None else {})}
    if after_results:
        # Otherwise a client that runs tools in a loop would be sent round it for ever.
        steering.pop("tool", None)
    return build({**steering, **own})
