"""Ids of tool calls, in a form that the target accepts.

A pure function of the id, so that a call and its result agree wherever they stand.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from bytespike.protocols.openai_chat import quirks as q
from bytespike.protocols.openai_chat.names import TOOL_CALL_ID_CHARS_MAX

_PREFIX: Final = "call_"
#: Mistral: "Tool call id was ... but must be a-z, A-Z, 0-9, with a length of 9."
_NINE: Final = re.compile(r"[a-zA-Z0-9]{9}")


def fitting_id(call_id: str, quirks: frozenset[str]) -> str:
    """The id itself where the target takes it, else one made of its hash."""
    if q.TOOL_CALL_ID_9 in quirks:
        return call_id if _NINE.fullmatch(call_id) else _digest(call_id)[:9]
    if len(call_id) <= TOOL_CALL_ID_CHARS_MAX:
        return call_id
    return _PREFIX + _digest(call_id)[: TOOL_CALL_ID_CHARS_MAX - len(_PREFIX)]


def _digest(call_id: str) -> str:
    return hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()
