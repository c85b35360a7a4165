"""The dialect's name, and the wire's limits."""

from __future__ import annotations

from typing import Final

from bytespike.core.json_types import NO_EXTRAS, Extras, JSONObject
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
#: No answer consumes more: a larger figure is a broken or hostile upstream.
TOKENS_MAX: Final = 1_000_000_000
#: OpenAI's SDK, top_logprobs: "between 0 and 20".
TOP_LOGPROBS_MAX: Final = 20


def own(extras: Extras) -> JSONObject:
    """What this dialect's reader had put aside. Never change it."""
    return extras.get(NAME) or {}


def aside(members: JSONObject) -> Extras:
    """Extras that hold `members` for this dialect's writer."""
    return {NAME: members} if members else NO_EXTRAS


def wire_members(extras: Extras) -> JSONObject:
    """Of what was put aside, the members of the wire. Names with an underscore in front are the reader's own
    bookkeeping: which spelling the client had used."""
    members = extras.get(NAME)
    if not members:
        return {}
    return {key: value for key, value in members.items() if not key.startswith("_")}


def wire_name(tool: str) -> str:
    """A tool's name in the form that the wire takes; answers get the client's own again (`core.renaming`)."""
    return fitting_name(tool, FUNCTION_NAME_CHARS_MAX)
