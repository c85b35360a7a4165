"""The dialect's name, the wire's limits, and the named switches of its targets (NOTES.md explains each)."""

from __future__ import annotations

from typing import Final

from bytespike.core.dialect import Target
from bytespike.core.extras import OwnExtras
from bytespike.core.json_types import Extras, JSONObject

#: The dialect's name: the package's, the key of its extras, and the origin of its own opaque data.
NAME: Final = "gemini"

#: google-genai, FunctionDeclaration.name: "with a maximum length of 128".
FUNCTION_NAME_CHARS_MAX: Final = 128
#: Gemini API reference, GenerationConfig.stopSequences: "up to 5".
STOP_SEQUENCES_MAX: Final = 5
#: Gemini API reference, GenerationConfig.candidateCount: 1 to 8.
CANDIDATES_MAX: Final = 8
#: Gemini API reference, GenerationConfig.logprobs: 0 to 20.
TOP_LOGPROBS_MAX: Final = 20

#: The target takes no `id` in function calls and responses.
QUIRK_NO_CALL_IDS: Final = "no_call_ids"
#: The target knows `parameters` and `responseSchema` only, not the members that take JSON Schema.
QUIRK_OPENAPI_SCHEMA: Final = "openapi_schema"
#: The model refuses presencePenalty and frequencyPenalty.
QUIRK_NO_PENALTIES: Final = "no_penalties"
#: The platform does not fetch public URLs in `fileData`.
QUIRK_NO_FILE_URLS: Final = "no_file_urls"

QUIRKS: Final = frozenset({QUIRK_NO_CALL_IDS, QUIRK_OPENAPI_SCHEMA, QUIRK_NO_PENALTIES, QUIRK_NO_FILE_URLS})


#: Members at the top of a request that the hub does not have. Others that were put aside belong into
#: `generationConfig`, unless their names begin with one of the prefixes below.
TOP_MEMBERS: Final = frozenset({"safetySettings", "labels", "continuationToken", "modelArmorConfig"})
#: Put aside from `toolConfig`, and from the top of the body without being known.
TOOL_CONFIG_PREFIX: Final = "toolConfig."
BODY_PREFIX: Final = "body."


def thinks_by_level(target: Target) -> bool:
    """Whether the model is of the generation from Gemini 3 on: it takes `thinkingLevel`, wants its signatures back,
    and combines functions with the provider's own tools. The catalog's "effort" says so."""
    return "thinking" in target.capabilities and "effort" in target.capabilities


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
