"""What a name was found to mean. Pure data."""

from __future__ import annotations

from msgspec import Struct

from bytespike.catalog.models import Model


class Resolution(Struct, frozen=True):
    """`requested` is the name as the client wrote it, which is also the name in the answer.

    `thinking`: the name asks for thinking besides (deepseek-reasoner). `substitute`: the name is that of another
    model, which the catalog lacks: the caller should be told that `model` answers in its place.
    """

    model: Model
    requested: str
    thinking: bool = False
    substitute: bool = False
