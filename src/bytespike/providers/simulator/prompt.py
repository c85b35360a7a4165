"""A request as the simulator understands it, in no dialect: what the dialects read and the brain answers."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from bytespike.core.json_types import JSONObject


class Tool(Struct, frozen=True):
    """A tool that may be called. `free_form`: its input is plain text. `namespace`: the group that it was offered in.
    `deferred`: offered, but not to be called before it was looked up."""

    name: str
    schema: JSONObject | None = None
    free_form: bool = False
    namespace: str = ""
    deferred: bool = False


class Result(Struct, frozen=True):
    """What a tool gave back since the last answer."""

    name: str
    text: str
    is_error: bool = False


class Document(Struct, frozen=True):
    """A document in the prompt; `text` is "" where it cannot be read as text. `cite`: citations are wanted."""

    text: str = ""
    title: str | None = None
    cite: bool = False


Speaker: TypeAlias = Literal["system", "user", "answer", "result"]


class Line(Struct, frozen=True):
    """One text of the conversation, and who it is from. A call is an "answer" like any other; its text is ""."""

    speaker: Speaker
    text: str


class Prompt(Struct, frozen=True):
    """A request, as far as an answer depends on it.

    `text` is what the user said since the last answer, without directives. `tools` are those that may be called;
    `forced` says that one must be. `search`: a web search is "offered", or "always" done. `schema` or `json_object`
    bind the answer's form. `max_tokens` covers thinking too; None is no limit. `images` are media types. `history` is
    the whole conversation in order, for scripted agents.
    """

    model: str
    text: str
    turns: int
    input_tokens: int
    tools: tuple[Tool, ...] = ()
    forced: bool = False
    parallel: bool = True
    results: tuple[Result, ...] = ()
    thinks: bool = False
    thinking_budget: int | None = None
    search: Literal["no", "offered", "always"] = "no"
    schema: JSONObject | None = None
    json_object: bool = False
    max_tokens: int | None = None
    stops: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    documents: tuple[Document, ...] = ()
    history: tuple[Line, ...] = ()
