"""What a response repeats of its request.

A `Response` object has the request's own settings in it: its tools, its instructions, its limits. The hub's answer does
not know them, so they travel in `core.dialect.Reply.echo`, made once by `echo_of` from the client's body. Where there is
no echo, the API's defaults stand: the object is whole in any case.
"""

from __future__ import annotations

from typing import Final

from bytespike.core.dialect import Layout
from bytespike.core.json_types import JSON, JSONObject
from bytespike.protocols.openai_responses.schema import ECHOED, UNREADABLE, decode_echoed
from bytespike.protocols.openai_responses.tool_names import Native, ToolNames
from bytespike.wire import json
from bytespike.wire.layout import excerpt

#: The members that are repeated, with the value of a request that did not say.
DEFAULTS: Final[JSONObject] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "prompt_cache_retention": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
_SUMMARIES: Final = ("summary", "generate_summary")


def echo_of(body: bytes, layout: Layout | None = None) -> JSONObject:
    """The members of a request that its response repeats; {} for a body that is no JSON object. Never raises."""
    try:
        request: JSONObject = decode_echoed(excerpt(body, layout, ECHOED))
    except UNREADABLE:
        return {}
    format_ = request.pop("response_format", None)
    echo: JSONObject = {key: value for key, value in request.items() if value is not None}
    text = _text(echo.get("text"), format_)
    if text is not None:
        echo["text"] = text
    # A tier of "auto" is what was asked for, never what was served.
    if echo.get("service_tier") == "auto":
        del echo["service_tier"]
    tools = echo.get("tools")
    if isinstance(tools, list):
        echo["tools"] = [_tool(tool) for tool in tools]
    return echo


def _text(given: JSON, format_: JSON) -> JSONObject | None:
    """`text` with its format, which the contract also takes as `response_format`."""
    text: JSONObject = dict(given) if isinstance(given, dict) else {}
    if text.get("format") is None:
        text["format"] = text_format(format_) if isinstance(format_, dict) else {"type": "text"}
    return text if given is not None or format_ is not None else None


def text_format(response_format: JSONObject) -> JSONObject:
    """Chat's `response_format` as `text.format`: the schema's members stand beside the type."""
    nested = response_format.get("json_schema")
    if response_format.get("type") != "json_schema" or not isinstance(nested, dict):
        return response_format
    return {"type": "json_schema", "name": "response", **nested}


def _tool(tool: JSON) -> JSON:
    """Function tools with the members that the response always shows."""
    if isinstance(tool, dict) and tool.get("type") == "function":
        return {"parameters": None, "strict": True, **tool}
    return tool


_NO_NATIVES: Final[dict[str, Native]] = {}
#: Each default as it stands in a response's text, and the beginning of a member that has another value.
_TEXTS: Final = {key: b',"%b":%b' % (key.encode(), json.encode(value)) for key, value in DEFAULTS.items()}
_BEGINNINGS: Final = {key: b',"%b":' % key.encode() for key in DEFAULTS}
_DEFAULT_TEXT: Final = b"".join(_TEXTS.values())
_NOTHING: Final[JSONObject] = {}


class Echo:
    """One reply's echo, and what of it decides how the answer is written."""

    __slots__ = ("_told", "natives", "summaries")

    def __init__(self, echo: JSONObject | None) -> None:
        self._told: JSONObject = _NOTHING if echo is None else echo
        tools = self._told.get("tools")
        #: By the hub's name, how the client's own tools are called.
        self.natives: dict[str, Native] = dict(ToolNames(tools).natives) if tools else _NO_NATIVES
        reasoning = self._told.get("reasoning")
        #: The client asked to see summaries.
        self.summaries = isinstance(reasoning, dict) and any(reasoning.get(key) for key in _SUMMARIES)

    @property
    def members(self) -> JSONObject:
        """What is repeated, with the defaults where the request did not say."""
        return {**DEFAULTS, **self._told}

    def text(self) -> bytes:
        """The same as text: each member behind a comma, in the order of `DEFAULTS`."""
        told = self._told
        if not told:
            return _DEFAULT_TEXT
        pieces: list[bytes] = []
        for key, default in _TEXTS.items():
            if key in told:
                pieces.append(_BEGINNINGS[key])
                pieces.append(json.encode(told[key]))
            else:
                pieces.append(default)
        return b"".join(pieces)
