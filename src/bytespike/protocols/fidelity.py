"""What survives between which dialects: one table of data, which the documents, `GET /api/v1/fidelity` and a test share.

A row is a feature of requests, of answers, or of what an answer gives to the next request. A cell is a pair of the
client's dialect and the upstream's:

- native        the same dialect: the bytes pass through
- translated    the other dialect says the same
- approximated  it is dropped, or said as well as the other dialect can, and `X-ByteSpike-Notices` names it
- fetched       the other dialect takes it inline only: the gateway fetches it
- refused       400 `unsupported_feature`: it is content or a constraint, without which the answer would be another one
- absent        the dialect in which it would have to be said has no words for it
- lost          it is dropped in silence: a fault, with a `note` that says so, until it is mended

A test sends a probe of each feature through each pair, and fails where the table says something else. It measures
models that can do all that their dialect can say; what a model lacks (its catalog capabilities) is refused or noticed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

Outcome: TypeAlias = Literal["native", "translated", "approximated", "fetched", "refused", "absent", "lost"]
Direction: TypeAlias = Literal["request", "answer", "return"]

#: The order of the table's rows (clients) and columns (upstreams).
DIALECT_NAMES: Final = ("anthropic_messages", "openai_chat", "openai_responses", "gemini")
OUTCOMES: Final[Mapping[str, Outcome]] = {
    "N": "native",
    "T": "translated",
    "A": "approximated",
    "F": "fetched",
    "R": "refused",
    ".": "absent",
    "L": "lost",
}


class FidelityDataError(ValueError):
    """The data file is wrong. The message names the feature."""


class Feature(Struct, frozen=True):
    """`pairs` by client and upstream. `group` is the heading under which it stands, `note` a sentence on what is said
    instead, or when."""

    id: str
    title: str
    group: str
    direction: Direction
    pairs: Mapping[tuple[str, str], Outcome]
    note: str = ""


class _Row(Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    title: str
    pairs: str
    note: str = ""


class _Group(Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    direction: Direction
    features: tuple[_Row, ...]


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    groups: tuple[_Group, ...]


def load_features() -> tuple[Feature, ...]:
    """Every feature, in the order of the data file. Raises `FidelityDataError`."""
    return read_features(
        (resources.files("bytespike.protocols") / "data" / "fidelity.toml").read_text("utf-8")
    )


def read_features(text: str) -> tuple[Feature, ...]:
    """The features of a data file. Raises `FidelityDataError`."""
    try:
        raw: dict[str, Any] = tomllib.loads(text)
        file = msgspec.convert(raw, _File)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise FidelityDataError(str(error)) from None
    found: dict[str, Feature] = {}
    for group in file.groups:
        for row in group.features:
            if row.id in found:
                raise FidelityDataError(f"{row.id}: it is there twice")
            found[row.id] = Feature(row.id, row.title, group.title, group.direction, _pairs(row), row.note)
    return tuple(found.values())


def _pairs(row: _Row) -> dict[tuple[str, str], Outcome]:
    """A line for each client, a letter for each upstream."""
    lines = [line.split() for line in row.pairs.strip().splitlines()]
    if [len(line) for line in lines] != [len(DIALECT_NAMES)] * len(DIALECT_NAMES):
        raise FidelityDataError(f"{row.id}: expected four lines of four letters")
    pairs: dict[tuple[str, str], Outcome] = {}
    for client, line in zip(DIALECT_NAMES, lines, strict=True):
        for upstream, letter in zip(DIALECT_NAMES, line, strict=True):
            outcome = OUTCOMES.get(letter)
            if outcome is None or (outcome == "native" and client != upstream):
                raise FidelityDataError(f"{row.id}: {letter!r} cannot stand for {client} and {upstream}")
            if client == upstream and outcome not in ("native", "refused", "absent"):
                raise FidelityDataError(f"{row.id}: {client} passes through")
            if outcome == "lost" and not row.note:
                raise FidelityDataError(f"{row.id}: a loss has a note")
            pairs[client, upstream] = outcome
    return pairs
