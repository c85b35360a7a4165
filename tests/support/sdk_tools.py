"""Tools that the tests with the SDKs offer."""

from __future__ import annotations

from tests.support.sdk_talk import Tool

WEATHER = Tool(
    "get_weather",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
)
CLOCK = Tool(
    "get_time",
    {
        "type": "object",
        "properties": {"zone": {"type": "string", "enum": ["utc", "cet"]}},
        "required": ["zone"],
        "additionalProperties": False,
    },
)
