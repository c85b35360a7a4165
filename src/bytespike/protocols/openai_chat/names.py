"""The dialect's name, and the wire's limits."""

from __future__ import annotations

from typing import Final

from bytespike.core.extras import OwnExtras
from bytespike.core.json_types import Extras, JSONObject
from bytespike.core.renaming import fitting_name

#: The dialect's name: the package's, the key of its extras, and the origin of its own opaque data.
NAME: Final = "openai_chat"

#: OpenAI: "Invalid 'messages[2].tool_calls[0].id': string too long. Expected a string with maximum length 40".
TOOL_CALL_ID_CHARS_MAX: Final = 40
#: OpenAI's SDK, FunctionDefinition.name: "a maximum length of 64".
FUNCTION_NAME_CHARS_MAX: Final = 64
#: OpenAI's SDK, CompletionCreateParams.stop: "Up to 4 sequences".
STOP_SEQUENCES_MAX: Final = 4
#: OpenAI's SDK, safety_identifier: "a maximum length of 128 characters".
END_USER_CHARS_MAX: Final = 128
#: OpenAI's API reference: n is at most 128.
CHOICES_MAX: Final = 128
#: OpenAI's SDK, top_logprobs: "between 0 and 20".
TOP_LOGPROBS_MAX: Final = 20


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


def wire_name(tool: str) -> str:
    """A tool's name in the form that the wire takes; answers get the client's own again (`core.renaming`)."""
    return fitting_name(tool, FUNCTION_NAME_CHARS_MAX)
