"""A settlement as it was written to the spool, and what is found there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from bytespike.core.json_types import NO_EXTRAS
from bytespike.core.usage import Usage
from bytespike.ledger.records import Receipt, Settled


class _StoredUsage(Usage, frozen=True):
    """As it was written. JSON nests without end, which is a type that no decoder can be made for."""

    extras: Mapping[str, Any] = NO_EXTRAS


class _StoredReceipt(Receipt, frozen=True, array_like=True):
    usage: _StoredUsage


class _StoredSettled(Settled, frozen=True, array_like=True):
    receipt: _StoredReceipt | None


#: Raises what msgspec raises.
decode_settled = msgspec.msgpack.Decoder(_StoredSettled).decode

Fault: TypeAlias = Literal["", "cut", "damaged"]


class Frame(msgspec.Struct, frozen=True):
    """A payload, and the offset in the file at which its frame ends. `settled`: what it holds, where this process wrote it
    a moment ago and has not forgotten."""

    payload: bytes
    end: int
    settled: Settled | None = None


class Scan(NamedTuple):
    """`fault`: why the scan ended at the end of the last frame; empty if everything was frames, or enough were."""

    frames: list[Frame]
    fault: Fault


class UnreadableRecord(ValueError):
    """The payload is no settlement."""
