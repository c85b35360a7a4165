"""Log probabilities that look likely and mean nothing, in no dialect."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from bytespike.providers.simulator.schema_values import Dice

TOKEN_CHARS = 4
_STEP = 2.5


class TokenLogprob(Struct, frozen=True):
    """A token, its log probability, and the likeliest tokens in its place: the one said comes first, each other is less
    likely than the one before."""

    token: str
    value: float
    top: tuple[tuple[str, float], ...]


def token_logprobs(text: str, top: int, dice: Dice) -> Iterator[TokenLogprob]:
    """The tokens of `text`, with `top` alternatives each."""
    for at in range(0, len(text), TOKEN_CHARS):
        token = text[at : at + TOKEN_CHARS]
        own = -dice.pick(1000) / 10_000
        row = tuple((token if rank == 0 else f"{token}{rank}", own - rank * _STEP) for rank in range(top))
        yield TokenLogprob(token, own, row)
