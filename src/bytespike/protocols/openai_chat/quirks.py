"""The named switches of platforms that speak this dialect almost. NOTES.md has a row for each, with its source.

A target without any is OpenAI itself. A test holds this list and NOTES.md together.
"""

from __future__ import annotations

from typing import Final

# --- members that the platform does not take, or calls differently ---------------------------------------------
MAX_TOKENS_FIELD: Final = "max_tokens_field"
NO_STREAM_OPTIONS: Final = "no_stream_options"
NO_PARALLEL_TOOL_CALLS: Final = "no_parallel_tool_calls"
NO_STRICT: Final = "no_strict"
NO_STORE: Final = "no_store"
NO_VERBOSITY: Final = "no_verbosity"
NO_PROMPT_CACHE_KEY: Final = "no_prompt_cache_key"
NO_SERVICE_TIER: Final = "no_service_tier"
NO_LOGPROBS: Final = "no_logprobs"
NO_METADATA: Final = "no_metadata"
NO_STOP: Final = "no_stop"
FIXED_SAMPLING: Final = "fixed_sampling"
TOP_K: Final = "top_k"
USER_FIELD: Final = "user_field"
USER_ID_FIELD: Final = "user_id_field"
SINGLE_CHOICE: Final = "single_choice"

# --- structured output and tools -------------------------------------------------------------------------------
NO_JSON_SCHEMA: Final = "no_json_schema"
NO_JSON_OBJECT: Final = "no_json_object"
NO_CUSTOM_TOOLS: Final = "no_custom_tools"
NO_ALLOWED_TOOLS: Final = "no_allowed_tools"
TOOL_CHOICE_NO_REQUIRED: Final = "tool_choice_no_required"
TOOL_CHOICE_AUTO_ONLY: Final = "tool_choice_auto_only"
TOOL_CALL_ID_9: Final = "tool_call_id_9"

# --- messages --------------------------------------------------------------------------------------------------
DEVELOPER_ROLE: Final = "developer_role"
NO_DEVELOPER_ROLE: Final = "no_developer_role"
SYSTEM_FIRST: Final = "system_first"
MERGE_SYSTEM: Final = "merge_system"
ALTERNATE_ROLES: Final = "alternate_roles"
STRING_CONTENT: Final = "string_content"
FILE_URLS: Final = "file_urls"
NO_IMAGE_URLS: Final = "no_image_urls"
CACHE_BREAKPOINTS: Final = "cache_breakpoints"
CACHE_CONTROL: Final = "cache_control"
SERVER_TOOL_CALLS: Final = "server_tool_calls"
GOOGLE_THOUGHT_SIGNATURE: Final = "google_thought_signature"

# --- reasoning -------------------------------------------------------------------------------------------------
REASONING_CONTENT: Final = "reasoning_content"
REASONING_DETAILS: Final = "reasoning_details"
INLINE_THINK: Final = "inline_think"
NO_REASONING_EFFORT: Final = "no_reasoning_effort"
THINKING_TOGGLE: Final = "thinking_toggle"
THINKING_TOGGLE_EFFORT: Final = "thinking_toggle_effort"
THINKING_ADAPTIVE: Final = "thinking_adaptive"
ENABLE_THINKING: Final = "enable_thinking"
REASONING_OBJECT: Final = "reasoning_object"
EFFORT_BASIC: Final = "effort_basic"
EFFORT_NO_NONE: Final = "effort_no_none"
EFFORT_LOW_HIGH_MAX: Final = "effort_low_high_max"

ALL: Final = frozenset(
    value for name, value in dict(globals()).items() if name.isupper() and isinstance(value, str)
)
