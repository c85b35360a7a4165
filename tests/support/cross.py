"""The dialects as sides of a crossing: what each has recorded, and how strict its clients are.

A dialect of the registry joins by having a module `tests/support/cross_<dialect>.py` with

    recorded()           its exchanges, as `Recorded`
    validate_stream      its strict stream validator
    ADAPTERS             pydantic adapters of its SDK's request types, any of which may take a request
    figures(answer)      the provider's own figures of a decoded answer, or None
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pydantic

from bytespike.core.dialect import Dialect
from bytespike.protocols.registry import DIALECTS


class Recorded(NamedTuple):
    """One exchange that the provider answered with 200. JSON bytes, and raw SSE, as far as there are any."""

    name: str
    request: bytes | None
    answer: bytes | None
    stream: bytes | None


class Figures(NamedTuple):
    """Tokens as the provider tells them. `cache_read`: None where vendors tell it in many ways. `outputs`: where vendors
    disagree, any of these is right."""

    prompt: int
    cache_read: int | None
    outputs: tuple[int, ...]


class Side(NamedTuple):
    dialect: Dialect
    recorded: list[Recorded]
    validate_stream: Callable[[bytes], None]
    adapters: tuple[pydantic.TypeAdapter[Any], ...]
    figures: Callable[[dict[str, Any]], Figures | None]


def sides() -> dict[str, Side]:
    """Every dialect that has joined, by name."""
    found: dict[str, Side] = {}
    for name, dialect in DIALECTS.items():
        module_name = f"tests.support.cross_{name}"
        if importlib.util.find_spec(module_name) is None:
            continue
        module: Any = importlib.import_module(module_name)
        found[name] = Side(
            dialect, list(module.recorded()), module.validate_stream, tuple(module.ADAPTERS), module.figures
        )
    return found


def crossings(found: dict[str, Side], kind: str) -> Iterator[tuple[str, str, str, bytes]]:
    """Name, source, target and bytes of everything of a kind ("request", "answer", "stream") that may cross."""
    for source, side in found.items():
        for each in side.recorded:
            data = getattr(each, kind)
            if data is not None:
                yield from ((each.name, source, target, data) for target in found if target != source)
