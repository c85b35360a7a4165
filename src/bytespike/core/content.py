"""The parts that turns are made of.

One vocabulary for what four dialects call content blocks, content parts, items and parts. A part is a frozen value;
a part that a reader does not know becomes `ForeignPart`, so that nothing is lost in silence.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from bytespike.core.json_types import JSON, NO_EXTRAS, Extras


class CacheMark(Struct, frozen=True):
    """The prompt up to and including the marked part should be cached.

    `ttl` is the dialect's own word ("5m", "1h", "30m", "12h"); None is the provider's default.
    """

    ttl: str | None = None


# --- where bytes come from -------------------------------------------------------------------------------------


class Base64Source(Struct, frozen=True):
    """Inline bytes, kept in base64 as they came. `media_type` is "" where the dialect did not say."""

    media_type: str
    data: str


class UrlSource(Struct, frozen=True):
    """Bytes that the provider fetches from a public URL."""

    url: str
    media_type: str = ""


class FileSource(Struct, frozen=True):
    """A file that was uploaded to one provider: meaningless to any other, so `dialect` travels with it."""

    file_id: str
    dialect: str


class TextSource(Struct, frozen=True):
    """A document given as plain text."""

    text: str


class PartsSource(Struct, frozen=True):
    """A document given as parts (Anthropic's custom content documents)."""

    parts: tuple[Part, ...]


Source: TypeAlias = Base64Source | UrlSource | FileSource | TextSource | PartsSource


# --- citations and proofs --------------------------------------------------------------------------------------


class Citation(Struct, frozen=True):
    """One citation of a text part.

    `kind` is "web" (url, title; `start`/`end` are character offsets in the citing text where the dialect gives
    them), "char", "page", "block" (a range in document number `document_index`) or "search_result".
    `proof` is the opaque index that the provider wants back (Anthropic's `encrypted_index`).
    """

    kind: Literal["web", "char", "page", "block", "search_result"]
    url: str = ""
    title: str | None = None
    cited_text: str = ""
    start: int | None = None
    end: int | None = None
    document_index: int | None = None
    proof: str | None = None
    extras: Extras = NO_EXTRAS


class Proof(Struct, frozen=True):
    """The opaque proof of a piece of reasoning, which a later turn must give back to the provider that made it.

    `origin` is the dialect that issued it ("anthropic_messages", "openai_responses", "gemini", ...), so that it is
    never handed to a provider that would reject it. `data` is the provider's own string, unchanged.
    """

    origin: str
    data: str


# --- parts -----------------------------------------------------------------------------------------------------


class TextPart(Struct, frozen=True):
    text: str
    citations: tuple[Citation, ...] = ()
    cache: CacheMark | None = None
    extras: Extras = NO_EXTRAS


class ImagePart(Struct, frozen=True):
    """`detail` is OpenAI's "auto" | "low" | "high" | "original"."""

    source: Source
    detail: str | None = None
    cache: CacheMark | None = None
    extras: Extras = NO_EXTRAS


class AudioPart(Struct, frozen=True):
    """`format` is the container's short name ("wav", "mp3"); `source` is inline bytes, or an id for assistant audio."""

    source: Source
    format: str
    cache: CacheMark | None = None
    extras: Extras = NO_EXTRAS


class DocumentPart(Struct, frozen=True):
    """A PDF or text document. `cite` says whether the model shall cite it (None: not said)."""

    source: Source
    title: str | None = None
    context: str | None = None
    filename: str | None = None
    cite: bool | None = None
    cache: CacheMark | None = None
    extras: Extras = NO_EXTRAS


class SearchResultPart(Struct, frozen=True):
    """A search result that the caller supplies, for the model to cite."""

    source: str
    title: str
    content: tuple[TextPart, ...]
    cite: bool | None = None
    cache: CacheMark | None = None
    extras: Extras = NO_EXTRAS


class ReasoningPart(Struct, frozen=True):
    """Thinking. `redacted` parts have no text, only a proof. `summary` says that `text` summarises hidden reasoning.

    `id` is the dialect's item id where it has one.
    """

    text: str = ""
    proof: Proof | None = None
    redacted: bool = False
    summary: bool = False
    id: str | None = None
    extras: Extras = NO_EXTRAS


class ToolCallPart(Struct, frozen=True):
    """The model calls a tool of the caller's.

    `arguments` is the JSON text exactly as the model wrote it (never re-serialised: it may be partial or invalid);
    for `kind="custom"` (free-form tools) it is the raw input text. `proof` is for dialects that sign calls (Gemini).
    """

    id: str
    name: str
    arguments: str
    kind: Literal["function", "custom"] = "function"
    proof: Proof | None = None
    cache: CacheMark | None = None
    extras: Extras = NO_EXTRAS


class ToolResultPart(Struct, frozen=True):
    """The caller's answer to a tool call. `name` where the dialect repeats it. Content is text, images, documents."""

    call_id: str
    content: tuple[Part, ...]
    is_error: bool = False
    name: str | None = None
    kind: Literal["function", "custom"] = "function"
    cache: CacheMark | None = None
    extras: Extras = NO_EXTRAS


class ServerToolCallPart(Struct, frozen=True):
    """The model used a tool that runs at the provider. `name` is the hub's: "web_search", "web_fetch",
    "code_execution", or the provider's own name for anything else. `arguments` is JSON text."""

    id: str
    name: str
    arguments: str
    origin: str = ""
    cache: CacheMark | None = None
    extras: Extras = NO_EXTRAS


class ServerToolResultPart(Struct, frozen=True):
    """What a provider-side tool gave back, in the provider's own shape (`content`), because it must return unchanged.

    `kind` is the provider's block type ("web_search_tool_result", ...).
    """

    call_id: str
    kind: str
    content: JSON
    origin: str = ""
    is_error: bool = False
    cache: CacheMark | None = None
    extras: Extras = NO_EXTRAS


class RefusalPart(Struct, frozen=True):
    """The model's own refusal, as text."""

    text: str
    extras: Extras = NO_EXTRAS


class ForeignPart(Struct, frozen=True):
    """A part that the reader does not know. Only a writer of the same dialect can put it back."""

    dialect: str
    kind: str
    raw: JSON
    cache: CacheMark | None = None


Part: TypeAlias = (
    TextPart
    | ImagePart
    | AudioPart
    | DocumentPart
    | SearchResultPart
    | ReasoningPart
    | ToolCallPart
    | ToolResultPart
    | ServerToolCallPart
    | ServerToolResultPart
    | RefusalPart
    | ForeignPart
)


class Turn(Struct, frozen=True):
    """One turn of a conversation.

    Tool results are parts of a "user" turn, wherever the dialect puts them. "system" turns are those in
    mid-conversation (and OpenAI's system or developer messages that do not open it); the opening ones are
    `ChatRequest.system`. `name` is OpenAI's participant name.
    """

    role: Literal["user", "assistant", "system"]
    parts: tuple[Part, ...]
    name: str | None = None
    extras: Extras = NO_EXTRAS
