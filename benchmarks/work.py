"""What is asked of a measured server: one kind of request, named by dialects, prompt and the upstream's manner."""

from __future__ import annotations

import dataclasses
from typing import Literal, TypeAlias

Dialect: TypeAlias = Literal["anthropic", "chat", "responses", "gemini"]
Prompt: TypeAlias = Literal["short", "2k", "agent"]

#: In the order of the table.
DIALECTS: tuple[Dialect, ...] = ("anthropic", "chat", "responses", "gemini")
#: The model that a client asks for when the upstream speaks the dialect.
MODELS: dict[Dialect, str] = {
    "anthropic": "claude-sonnet-4-5",
    "chat": "gpt-5-mini",
    "responses": "gpt-5-3-codex",
    "gemini": "gemini-3-flash",
}
#: What the upstream calls the same model: names differ, so that the gateway must rewrite them.
UPSTREAM_MODELS: dict[Dialect, str] = {
    "anthropic": "claude-sonnet-4-5-20250929",
    "chat": "gpt-5-mini-2025-08-07",
    "responses": "gpt-5.3-codex-2026-02-05",
    "gemini": "gemini-3-flash-preview",
}
_PATHS: dict[Dialect, str] = {
    "anthropic": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
}


def path(dialect: Dialect, model: str, *, stream: bool) -> str:
    """The dialect's endpoint. Gemini's says the model and whether the answer is to be streamed; the others' bodies do."""
    if dialect == "gemini":
        action = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/v1beta/models/{model}:{action}"
    return _PATHS[dialect]


@dataclasses.dataclass(frozen=True, slots=True)
class Manner:
    """How the upstream answers. `events` 0: whole, otherwise a stream of so many text events.

    `interval_ms` 0: one write per event, as fast as they can be written; otherwise one event each so many milliseconds.
    `stamped`: each event's text carries the time at which it was written. `static`: whole answers by nginx, before
    the request's body has been read; `agent` bodies are too large for that.
    """

    events: int = 0
    interval_ms: int = 0
    stamped: bool = False
    static: bool = False

    @property
    def prefix(self) -> str:
        """The path prefix under which the upstream answers in this manner."""
        if self.static:
            return ""
        return f"/{self.events}x{self.interval_ms}{'s' if self.stamped else ''}"

    @property
    def stream(self) -> bool:
        return self.events > 0


STATIC = Manner(static=True)
WHOLE = Manner()


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """`client` is the dialect of the request, `upstream` that of the server which answers.

    `store`: the client wants the answer to be kept, so that it can go on from it (Responses only).
    """

    client: Dialect
    upstream: Dialect
    prompt: Prompt
    manner: Manner
    store: bool = False

    @property
    def translated(self) -> bool:
        return self.client != self.upstream


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A request, ready to send to 127.0.0.1."""

    port: int
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"
