"""One conversation, whichever SDK it is held with: so that a rule is written once and holds for all of them.

A `Talk` keeps its history as that SDK's documentation tells its users to: an answer goes back in as the object that came
out. What is wanted is a `Wishes`, what came is a `Said`; both say only what all SDKs have words for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Finish = Literal["stop", "length", "tool_calls", "refusal", "other"]


@dataclass(frozen=True)
class Tool:
    name: str
    schema: dict[str, Any]
    description: str = "A tool of the test's"


@dataclass(frozen=True)
class Image:
    """`data`: base64; else `url`."""

    data: str = ""
    url: str = ""


@dataclass(frozen=True)
class Pdf:
    """`data`: base64; else `url`."""

    data: str = ""
    url: str = ""


Attachment = Image | Pdf


@dataclass(frozen=True)
class Wishes:
    """`choice`: "any", "none", a tool's name, or None for the default. `think`: reasoning, shown where it can be."""

    system: str | None = None
    tools: tuple[Tool, ...] = ()
    choice: str | None = None
    parallel: bool = True
    schema: dict[str, Any] | None = None
    think: bool = False
    max_tokens: int = 8000
    stop: tuple[str, ...] = ()
    search: bool = False


PLAIN = Wishes()


@dataclass(frozen=True)
class Called:
    id: str
    name: str
    arguments: Any


@dataclass(frozen=True)
class Result:
    call: Called
    text: str
    failed: bool = False


@dataclass(frozen=True)
class Said:
    """`cited`: URLs. `reasoning_tokens`: None where the dialect does not tell."""

    text: str
    model: str
    finish: Finish
    input_tokens: int
    output_tokens: int
    reasoning: str = ""
    reasoning_tokens: int | None = None
    calls: tuple[Called, ...] = ()
    cited: tuple[str, ...] = ()


class Refused(Exception):
    """The SDK raised its own exception for an answer that is an error. `code`: OpenAI's word; else "" (the message has it)."""

    def __init__(self, kind: type[Exception], status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.message = message
        self.code = code


class Talk(Protocol):
    """A conversation with the gateway through one SDK. Any turn may be another model's."""

    def user(self, text: str, *attachments: Attachment) -> None: ...

    def results(self, results: Sequence[Result]) -> None:
        """The answers to the calls of the last turn."""
        ...

    def answer(self, model: str, wishes: Wishes = PLAIN, *, stream: bool = False) -> Said:
        """The next turn, which becomes part of the history. Raises Refused."""
        ...
