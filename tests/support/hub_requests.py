"""Random requests in the hub's terms, and what of a request must survive on its way to any upstream."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any

from hypothesis import strategies as st

from bytespike.core import content as c
from bytespike.core.request import ChatRequest, OutputFormat, Sampling
from bytespike.core.tools import FunctionTool, ToolChoice
from tests.support.hub_answers import NAME, OBJECT, OPAQUE, ORIGINS

#: Not blank, and without white space at its ends: Anthropic leaves blank texts out.
WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "S"]), min_size=1, max_size=12)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
PNG = c.ImagePart(c.Base64Source("image/png", "iVBORw0KGgoAAAANSUhEUg=="))
PHOTO = c.ImagePart(c.UrlSource("https://example.com/a.png", "image/png"))
PDF = c.DocumentPart(c.Base64Source("application/pdf", "JVBERi0xLjQK"))


@st.composite
def _user(draw: st.DrawFn) -> c.Turn:
    parts: list[c.Part] = draw(st.lists(st.sampled_from([PNG, PHOTO, PDF]), max_size=1))
    return c.Turn("user", (*parts, c.TextPart(draw(WORDS))))


@st.composite
def _round(draw: st.DrawFn, number: int) -> list[c.Turn]:
    """What the model said, and what it was answered: results in the order of their calls, first."""
    said: list[c.Part] = []
    if draw(st.integers(0, 2)) == 0:
        said.append(c.ReasoningPart(draw(WORDS), c.Proof(draw(st.sampled_from(ORIGINS)), draw(OPAQUE))))
    if draw(st.booleans()):
        said.append(c.TextPart(draw(WORDS)))
    calls = [
        c.ToolCallPart(f"call_{number}_{each}", draw(NAME), json.dumps(draw(OBJECT)))
        for each in range(draw(st.integers(0, 2)))
    ]
    said += calls
    if not any(isinstance(part, c.TextPart | c.ToolCallPart) for part in said):
        said.append(c.TextPart(draw(WORDS)))
    results = tuple(
        c.ToolResultPart(call.id, (c.TextPart(draw(WORDS)),), draw(st.booleans()), call.name)
        for call in calls
    )
    more = draw(_user()) if not results or draw(st.booleans()) else None
    answered = c.Turn("user", (*results, *(more.parts if more else ())))
    return [c.Turn("assistant", tuple(said)), answered]


@st.composite
def requests(draw: st.DrawFn) -> ChatRequest:
    turns = [draw(_user())]
    for number in range(draw(st.integers(0, 3))):
        turns += draw(_round(number))
    names = draw(st.lists(NAME, min_size=1, max_size=3, unique=True))
    tools = tuple(
        FunctionTool(name, draw(st.none() | WORDS), SCHEMA if draw(st.booleans()) else None) for name in names
    )
    choices = [
        ToolChoice("auto"),
        ToolChoice("none"),
        ToolChoice("required"),
        ToolChoice("named", (names[0],)),
    ]
    return ChatRequest(
        model="m",
        turns=tuple(turns),
        system=tuple(c.TextPart(words) for words in draw(st.lists(WORDS, max_size=2))),
        tools=tools,
        tool_choice=draw(st.none() | st.sampled_from(choices)),
        max_output_tokens=draw(st.none() | st.integers(16, 1000)),
        sampling=Sampling(temperature=draw(st.none() | st.sampled_from([0.0, 0.25, 1.0]))),
        output_format=draw(st.none() | st.just(OutputFormat("json_schema", SCHEMA))),
    )


def kept(request: ChatRequest) -> dict[str, Any]:
    """What must survive. Turns of one role in a row are one, and so are texts in a row: dialects join them."""
    choice = request.tool_choice
    return {
        "system": [part.text for part in request.system if isinstance(part, c.TextPart)],
        "turns": [
            (role, [_part(part) for turn in group for part in turn.parts if _part(part) is not None])
            for role, group in groupby(request.turns, key=lambda turn: turn.role)
        ],
        "tools": [
            (tool.name, tool.description or "") for tool in request.tools if isinstance(tool, FunctionTool)
        ],
        "choice": (choice.mode, choice.names) if choice and choice.mode else None,
        "max": request.max_output_tokens,
        "temperature": request.sampling.temperature,
        "format": request.output_format.kind if request.output_format else None,
    }


def _part(part: c.Part) -> Any:
    match part:
        case c.TextPart(text=text):
            return ("text", text)
        case c.ImagePart(source=c.Base64Source(data=data)):
            return ("image", data)
        case c.ImagePart(source=c.UrlSource(url=url)):
            return ("image", url)
        case c.DocumentPart(source=c.Base64Source(data=data)):
            return ("document", data)
        case c.ToolCallPart():
            return ("call", part.id, part.name, json.loads(part.arguments or "{}"))
        case c.ToolResultPart(call_id=call_id, content=content):
            # Two dialects have no flag for a failed result: they say it in words.
            said = "".join(each.text for each in content if isinstance(each, c.TextPart))
            return ("result", call_id, said.removeprefix("[tool error] "))
        case c.ReasoningPart():
            return None
        case _:
            return ("other", type(part).__name__)
