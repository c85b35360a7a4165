"""The dialect's name, the wire's limits, and what a reader puts aside for this dialect's own writer."""

from __future__ import annotations

from typing import Final

from bytespike.core.extras import OwnExtras
from bytespike.core.json_types import Extras, JSONObject
from bytespike.core.renaming import fitting_name

#: The dialect's name: the package's, the key of its extras, and the origin of its own opaque data.
NAME: Final = "openai_responses"

#: OpenAI: "Invalid 'input[2].call_id': string too long. Expected a string with maximum length 64".
CALL_ID_CHARS_MAX: Final = 64
#: OpenAI: "Invalid 'tools[0].name': string too long. Expected a string with maximum length 64".
TOOL_NAME_CHARS_MAX: Final = 64
#: OpenAI's SDK, safety_identifier.
END_USER_CHARS_MAX: Final = 64
#: OpenAI's SDK, top_logprobs: "between 0 and 20".
TOP_LOGPROBS_MAX: Final = 20
#: OpenAI: "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16".
OUTPUT_TOKENS_MIN: Final = 16

#: A member that only this gateway writes, into annotations: what OpenAI's annotations have no member for.
OWN_MEMBER: Final = "bytespike"


def wire_name(tool: str) -> str:
    """A tool's name in the form that the wire takes; answers get the client's own again (`core.renaming`)."""
    return fitting_name(tool, TOOL_NAME_CHARS_MAX)


_extras: Final = OwnExtras(NAME)


def own(extras: Extras) -> JSONObject:
    """See `OwnExtras.own`."""
    return _extras.own(extras)


def aside(members: JSONObject) -> Extras:
    """See `OwnExtras.aside`."""
    return _extras.aside(members)


def wire_members(extras: Extras) -> JSONObject:
    """See `OwnExtras.wire_members`."""
    return _extras.wire_members(extras)


def noted(extras: Extras, key: str) -> JSONObject:
    """A note of the reader's that is an object; empty where there is none."""
    note = own(extras).get(key)
    return note if isinstance(note, dict) else {}
