"""What the stages of a request's life hand to each other. Pure data."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from bytespike.accounts.records import Channel
from bytespike.catalog.models import Model
from bytespike.core.dialect import Dialect, Peek, Target
from bytespike.core.notices import Notice
from bytespike.core.renaming import NO_RENAMES
from bytespike.routing.values import Candidate, Passed, Sticky


class Plan(Struct, frozen=True):
    """`requested`: the model name as the client wrote it, which is also the name in the answer. `thinking`: the name
    was an alias that turns thinking on. `candidates`: best first, at least one. `notices`: what the caller is told
    whatever channel answers. `output_held`: tokens of answer that are held for. `passed`: channels that might have been
    asked first, and why they are not. `sticky`: the conversation's, None where there is nothing to choose."""

    peek: Peek
    model: Model
    requested: str
    thinking: bool
    candidates: tuple[Candidate[Channel], ...]
    multiplier_ppm: int
    output_held: int
    notices: tuple[Notice, ...] = ()
    passed: tuple[Passed, ...] = ()
    sticky: Sticky | None = None


class Cost(Struct, frozen=True):
    """The worst case: `credits` micro-dollars for a prompt of at most `prompt_tokens` tokens."""

    credits: int
    prompt_tokens: int


class Prepared(Struct, frozen=True):
    """A body in the upstream's dialect, where it goes, and the head lines that go with it. `same`: no translation.
    `requested`: the client's name for the model. `renamed`: as in `core.dialect.Written`.
    `credential`: the channel's, which no answer may repeat. Its repr hides it."""

    dialect: Dialect
    target: Target
    path: bytes
    body: bytes
    head: bytes
    notices: tuple[Notice, ...]
    same: bool
    requested: str
    renamed: Mapping[str, str] = NO_RENAMES
    credential: str = ""

    def __repr__(self) -> str:
        return f"Prepared(path={self.path!r})"


class Timing(Struct, frozen=True):
    """Monotonic nanoseconds: when the call began, when the attempt began, when its first byte came, now."""

    call_ns: int
    attempt_ns: int
    first_byte_ns: int
    now_ns: int
