"""What clouds have in common that host Claude: the model is in the path, the wire's version in the body.

Facts: Anthropic's pages "Claude on Amazon Bedrock" and "Claude on Vertex AI", and what its SDK sends to both. The flags of
betas: a cloud refuses a request with one that it does not know ("invalid beta flag"), so only those in the platform's row
are sent. One feature has another flag there: what Anthropic itself calls advanced tool use.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from bytespike.core.notices import Notice
from bytespike.errors import InvalidRequest
from bytespike.wire import json

BETA_HEADER = b"anthropic-beta"
VERSION_HEADER = b"anthropic-version"
#: Anthropic's flag, and the clouds' for the same.
OTHER_NAMES: Mapping[str, str] = {"advanced-tool-use-2025-11-20": "tool-search-tool-2025-10-19"}
BETAS_MAX = 64

#: What may stand in a notice.
_FLAG = re.compile(r"[A-Za-z0-9-]{1,64}")
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def members_of(body: bytes) -> dict[str, msgspec.Raw]:
    """The body's members, each as its bytes. Raises InvalidRequest."""
    try:
        return _MEMBERS.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise InvalidRequest("the body is not a JSON object") from None


def body_of(members: Mapping[str, msgspec.Raw]) -> bytes:
    return json.encode(members)


def taken_header(head: bytes, name: bytes) -> tuple[bytes, str]:
    """The head without the lines of that (lower-case) name, and their values, joined by commas."""
    kept: list[bytes] = []
    values: list[str] = []
    for line in head.split(b"\r\n"):
        if not line:
            continue
        key, _, value = line.partition(b":")
        if key.lower() == name:
            values.append(value.strip().decode("latin-1"))
        else:
            kept.append(line + b"\r\n")
    return b"".join(kept), ",".join(values)


def known_betas(asked: str, known: frozenset[str]) -> tuple[tuple[str, ...], tuple[Notice, ...]]:
    """Of a header's flags those that the cloud knows, each once and under its name there, and what is told of the others."""
    kept: dict[str, None] = {}
    lost: list[str] = []
    for flag in _flags(asked):
        there = OTHER_NAMES.get(flag, flag)
        if there in known:
            kept[there] = None
        else:
            lost.append(flag)
    told = " ".join(flag for flag in lost if _FLAG.fullmatch(flag))
    notices = (Notice("anthropic-beta", "dropped", told or "not known there"),) if lost else ()
    return tuple(kept), notices


def _flags(asked: str) -> Iterable[str]:
    for flag in asked.split(",")[:BETAS_MAX]:
        if flag.strip():
            yield flag.strip()
