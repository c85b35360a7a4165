"""Names that more than one module of this dialect needs."""

from __future__ import annotations

from bytespike.core.renaming import fitting_name

#: The dialect's name: the package's, and the key of its extras.
NAME = "anthropic_messages"

#: The wire version that translated requests are written in. The newer version ("2026-10-21") takes no sampling
#: parameters; the older one takes them where the model does. Source: Anthropic's "Versioning" page, October 2026.
TRANSLATED_VERSION = "2023-06-01"

#: The API's pattern for a tool's name: `^[a-zA-Z0-9_-]{1,128}$`.
TOOL_NAME_CHARS_MAX = 128

#: Quirks of a target that this dialect knows; NOTES.md says what each means.
QUIRK_ADAPTIVE_THINKING = "adaptive_thinking"
QUIRK_NO_SAMPLING = "no_sampling"
QUIRK_SYSTEM_TURNS = "system_turns"
QUIRK_EFFORT_XHIGH = "effort_xhigh"
QUIRK_NO_THREADS = "no_threads"
QUIRK_INLINE_MEDIA = "inline_media"


def wire_name(tool: str) -> str:
    """A tool's name in the form that the wire takes; answers get the client's own again (`core.renaming`)."""
    return fitting_name(tool, TOOL_NAME_CHARS_MAX)
