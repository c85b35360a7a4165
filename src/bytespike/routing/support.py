"""In which protocols a model can be asked, and whether its bytes pass through or are translated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from bytespike.providers.endpoint import choose_dialect
from bytespike.routing.candidates import Routable

Support: TypeAlias = Literal["native", "translated"]


def protocol_support(
    channels: Iterable[Routable], dialects: Iterable[str], published: frozenset[str], *, strict: bool
) -> dict[str, Support]:
    """By dialect. Native: some of `channels` speaks it. `strict`: only the dialects in `published` are translated."""
    support: dict[str, Support] = {}
    names = tuple(dialects)
    for channel in channels:
        for dialect in names:
            translate = not strict or dialect in published
            spoken = choose_dialect(channel.endpoints, dialect, translate=translate)
            if spoken == dialect:
                support[dialect] = "native"
            elif spoken is not None:
                support.setdefault(dialect, "translated")
    return support
