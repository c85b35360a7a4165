"""What a streamed answer is made of, in the hub's terms.

Grammar, which every reader produces and every writer may rely on (`fold` enforces it):

    stream   := Started? (part | UsageUpdate | Ping | LogprobsDelta | ForeignEvent)* Finished* Done
              | any prefix of the above, Failed
    part     := PartStart(index, skeleton) delta* PartEnd(index)

`index` numbers the parts of the whole answer from 0, in the order in which they start, and is never reused. Parts of
one choice may be open at the same time (parallel tool calls in OpenAI's streams); writers for dialects that cannot
interleave must buffer. `choice` is 0 unless several candidates were asked for.

PartStart carries a skeleton: a part whose text or arguments are what came with the start (often empty); deltas append.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from bytespike.core.content import Citation, Part, Proof
from bytespike.core.finish import Finish
from bytespike.core.json_types import JSON, NO_EXTRAS, Extras
from bytespike.core.usage import Usage


class Started(Struct, frozen=True):
    """`id` and `model` are the upstream's. `created` is Unix seconds, 0 where the dialect has none."""

    id: str
    model: str
    created: int = 0
    extras: Extras = NO_EXTRAS


class PartStart(Struct, frozen=True):
    index: int
    part: Part
    choice: int = 0


class TextDelta(Struct, frozen=True):
    """For TextPart, ReasoningPart and RefusalPart: more of its text."""

    index: int
    text: str


class InputDelta(Struct, frozen=True):
    """For ToolCallPart and ServerToolCallPart: more of its arguments, as JSON text."""

    index: int
    json: str


class ProofDelta(Struct, frozen=True):
    """For ReasoningPart and ToolCallPart: its opaque proof, whole."""

    index: int
    proof: Proof


class CitationDelta(Struct, frozen=True):
    """For TextPart: one more citation."""

    index: int
    citation: Citation


class PartEnd(Struct, frozen=True):
    """`part` replaces the accumulated part where the dialect sends the final form whole (None: what was folded)."""

    index: int
    part: Part | None = None


class LogprobsDelta(Struct, frozen=True):
    """Token log probabilities in OpenAI's shape: `content` and `refusal` are lists of token objects."""

    content: tuple[JSON, ...] = ()
    refusal: tuple[JSON, ...] = ()
    choice: int = 0


class UsageUpdate(Struct, frozen=True):
    """Figures so far, cumulative: each replaces the last. What is billed if the stream is cut after it."""

    usage: Usage


class Finished(Struct, frozen=True):
    """One choice has ended."""

    finish: Finish
    choice: int = 0


class Done(Struct, frozen=True):
    """The whole answer has ended. `usage` is final."""

    usage: Usage
    extras: Extras = NO_EXTRAS


class Failed(Struct, frozen=True):
    """The upstream reported an error in mid-stream, or the stream ended before it was complete.

    `code` is one of `errors.Code`'s values; nothing of this answer is billed. `about` and `status`: as in
    `core.dialect.UpstreamFailure`, where the upstream said so ("" and 0: it did not).
    """

    code: str
    message: str
    extras: Extras = NO_EXTRAS
    about: str = ""
    status: int = 0


class Ping(Struct, frozen=True):
    """Keep-alive."""


class ForeignEvent(Struct, frozen=True):
    """An event that the reader does not know; only a writer of the same dialect can pass it on."""

    dialect: str
    kind: str
    raw: JSON


Event: TypeAlias = (
    Started
    | PartStart
    | TextDelta
    | InputDelta
    | ProofDelta
    | CitationDelta
    | PartEnd
    | LogprobsDelta
    | UsageUpdate
    | Finished
    | Done
    | Failed
    | Ping
    | ForeignEvent
)
