"""The named switches of platforms that speak this dialect almost. NOTES.md has a row for each, with its source.

A target without any is OpenAI itself. A test holds this list and NOTES.md together.
"""

from __future__ import annotations

from typing import Final

NO_STORE: Final = "no_store"
NO_METADATA: Final = "no_metadata"
NO_VERBOSITY: Final = "no_verbosity"
NO_SERVICE_TIER: Final = "no_service_tier"
NO_PROMPT_CACHE_KEY: Final = "no_prompt_cache_key"
NO_LOGPROBS: Final = "no_logprobs"
NO_PARALLEL_TOOL_CALLS: Final = "no_parallel_tool_calls"
NO_ALLOWED_TOOLS: Final = "no_allowed_tools"
NO_CUSTOM_TOOLS: Final = "no_custom_tools"
NO_ENCRYPTED_REASONING: Final = "no_encrypted_reasoning"
NO_REASONING_SUMMARY: Final = "no_reasoning_summary"
REASONING_CONTENT: Final = "reasoning_content"
FIXED_SAMPLING: Final = "fixed_sampling"
USER_FIELD: Final = "user_field"
CACHE_BREAKPOINTS: Final = "cache_breakpoints"
EFFORT_BASIC: Final = "effort_basic"
EFFORT_NO_NONE: Final = "effort_no_none"

ALL: Final = frozenset(
    value for name, value in dict(globals()).items() if name.isupper() and isinstance(value, str)
)
