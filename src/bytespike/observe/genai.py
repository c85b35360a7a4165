"""The names of OpenTelemetry's conventions for generative AI, and what they say of ours.

Source: opentelemetry.io, "Semantic conventions for generative client AI spans" (status: development; moved to the repository
semantic-conventions-genai in 2026). Written out here, for the package of constants marks them as deprecated, and importing
it is not free. Names that begin with "bytespike." are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_CHOICES: Final = "gen_ai.request.choice.count"
#: All of the prompt, what came from a cache or went into one included.
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
#: Seconds.
FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
ERROR_TYPE: Final = "error.type"
HTTP_STATUS: Final = "http.response.status_code"

ENDPOINT: Final = "bytespike.endpoint"
REQUEST_ID: Final = "bytespike.request_id"
DIALECT: Final = "bytespike.dialect"
UPSTREAM_DIALECT: Final = "bytespike.upstream_dialect"
MODEL: Final = "bytespike.model"
CHANNEL: Final = "bytespike.channel_id"
OUTCOME: Final = "bytespike.outcome"
CREDITS: Final = "bytespike.credits"
REASON: Final = "bytespike.reason"

#: What a request asks for, by its dialect; the others ask for a chat.
_OPERATIONS: Final[Mapping[str, str]] = dict.fromkeys(
    ("gemini", "images", "openai_images", "ark_images"), "generate_content"
)
#: The convention's names of providers, by platform; a platform that is not here goes by its own name.
_PROVIDERS: Final[Mapping[str, str]] = {
    "gemini": "gcp.gemini",
    "vertex": "gcp.vertex_ai",
    "bedrock": "aws.bedrock",
    "mistral": "mistral_ai",
}


def operation(dialect: str) -> str:
    return _OPERATIONS.get(dialect, "chat")


def provider(platform: str) -> str:
    return _PROVIDERS.get(platform, platform)
