"""What a case's upstream answers, in plain words: the modules beside this one say it as each vendor does.

They are written by hand from the vendors' references, not by the product's writers, so that a fault which a reader and a
writer of one dialect share is seen.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from msgspec import Struct

#: Texts and arguments come in so many pieces.
PIECES = 3


class Page(Struct, frozen=True, forbid_unknown_fields=True):
    """A page that a search found. `quote`: what of it is cited."""

    url: str
    title: str
    quote: str = ""


class Told(Struct, frozen=True, forbid_unknown_fields=True):
    """One part of an answer: just one of `text`, `thinking`, `redacted`, `call`, `search`, `refusal`, `image` is set.

    `cites`: pages that the text rests on. `logprobs`: the text comes with its log probabilities. `signed`: the thinking
    or call has a proof, where the vendor gives any. `arguments`: text is sent as it is, whatever it is. `namespace`: of the
    tool, for Responses; elsewhere the gateway has made a part of its name of it.
    """

    text: str | None = None
    cites: tuple[Page, ...] = ()
    logprobs: bool = False
    thinking: str | None = None
    redacted: bool = False
    call: str | None = None
    namespace: str = ""
    arguments: dict[str, Any] | str = ""
    id: str = ""
    custom: bool = False
    signed: bool = False
    search: str | None = None
    found: tuple[Page, ...] = ()
    refusal: str | None = None
    image: str | None = None

    @property
    def flat_name(self) -> str | None:
        return f"{self.namespace}__{self.call}" if self.namespace else self.call

    @property
    def arguments_text(self) -> str:
        if isinstance(self.arguments, str):
            return self.arguments
        return json.dumps(self.arguments, ensure_ascii=False)


class Figures(Struct, frozen=True, forbid_unknown_fields=True):
    """Disjoint, as in `core.usage`."""

    input: int = 20
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 12
    reasoning: int = 0

    @property
    def prompt(self) -> int:
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h

    @property
    def cache_written(self) -> int:
        return self.cache_write_5m + self.cache_write_1h


class Answer(Struct, frozen=True, forbid_unknown_fields=True):
    """`parts` of the one choice, or `choices`. `finish`: the hub's word."""

    parts: tuple[Told, ...] = ()
    choices: tuple[tuple[Told, ...], ...] = ()
    finish: str = "stop"
    stopped_at: str | None = None
    usage: Figures = Figures()

    @property
    def all_choices(self) -> tuple[tuple[Told, ...], ...]:
        return self.choices or (self.parts,)

    @property
    def searches(self) -> int:
        return sum(part.search is not None for choice in self.all_choices for part in choice)


def pieces(text: str) -> list[str]:
    """The text in up to `PIECES` pieces, none of them empty."""
    size = max(1, -(-len(text) // PIECES))
    return [text[at : at + size] for at in range(0, len(text), size)]


def opaque(vendor: str, number: int) -> str:
    """A proof as the vendor might make it: base64 that means nothing to anybody else."""
    return base64.b64encode(f"{vendor} proof {number}".encode()).decode()


def logprobs_of(text: str) -> list[dict[str, Any]]:
    """A token for each piece, with the likeliest other, in OpenAI's shape."""
    return [
        {
            "token": token,
            "logprob": -0.25,
            "bytes": list(token.encode()),
            "top_logprobs": [
                {"token": token, "logprob": -0.25, "bytes": list(token.encode())},
                {"token": "other", "logprob": -1.5, "bytes": list(b"other")},
            ],
        }
        for token in pieces(text)
    ]


def spans(parts: tuple[Told, ...], *, in_bytes: bool = False) -> list[tuple[int, int]]:
    """Where each text of a choice stands in all its text, in characters or bytes of UTF-8."""
    found: list[tuple[int, int]] = []
    at = 0
    for part in parts:
        text = part.text or ""
        size = len(text.encode()) if in_bytes else len(text)
        found.append((at, at + size))
        at += size
    return found
