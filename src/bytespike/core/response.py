"""A whole answer: the fold of a stream's events."""

from __future__ import annotations

from msgspec import Struct

from bytespike.core.content import Part
from bytespike.core.finish import Finish
from bytespike.core.json_types import JSON, NO_EXTRAS, Extras
from bytespike.core.usage import NO_USAGE, Usage


class Logprobs(Struct, frozen=True):
    """Token log probabilities in OpenAI's shape."""

    content: tuple[JSON, ...] = ()
    refusal: tuple[JSON, ...] = ()


class Candidate(Struct, frozen=True):
    """One choice. Its parts are in the order in which the model produced them."""

    parts: tuple[Part, ...]
    finish: Finish
    logprobs: Logprobs | None = None


class ChatResponse(Struct, frozen=True):
    """`id` and `model` are the upstream's; writers put the client's model name in its place."""

    id: str
    model: str
    candidates: tuple[Candidate, ...]
    usage: Usage = NO_USAGE
    created: int = 0
    extras: Extras = NO_EXTRAS
