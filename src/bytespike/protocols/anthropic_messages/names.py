"""Names that more than one module of this dialect needs."""

from __future__ import annotations

#: The dialect's name: the package's, and the key of its extras.
NAME = "anthropic_messages"

#: The wire version that translated requests are written in. The newer version ("2026-10-21") takes no sampling
#: parameters; the older one takes them where the model does. Source: Anthropic's "Versioning" page, October 2026.
TRANSLATED_VERSION = "2023-06-01"

#: Quirks of a target that this dialect knows; NOTES.md says what each means.
QUIRK_ADAPTIVE_THINKING = "adaptive_thinking"
QUIRK_NO_SAMPLING = "no_sampling"
QUIRK_SYSTEM_TURNS = "system_turns"
QUIRK_EFFORT_XHIGH = "effort_xhigh"
