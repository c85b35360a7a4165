"""Every switch of every dialect: what is sent without it, and what with it. A switch that is not here is no switch.

Why a platform has a switch stands in the dialect's NOTES.md; what else each does, in tests/golden/<dialect>.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from bytespike.core import content as c
from bytespike.core import tools as t
from bytespike.core.dialect import Peek, Target
from bytespike.core.request import ChatRequest, OutputFormat, ReasoningConfig, Sampling
from bytespike.errors import InvalidRequest, UnsupportedFeature
from bytespike.protocols.anthropic_messages import names as claude
from bytespike.protocols.gemini import names as gemini
from bytespike.protocols.openai_chat import quirks as chat
from bytespike.protocols.openai_responses import quirks as responses
from bytespike.protocols.registry import DIALECTS

CAN = frozenset(
    {
        "vision",
        "tools",
        "thinking",
        "json_schema",
        "web_search",
        "documents",
        "sampling",
        "logprobs",
        "effort",
    }
)
SCHEMA = {"type": "object", "properties": {}}
F = t.FunctionTool("f", "d", SCHEMA, True)
G = t.FunctionTool("g", "d", SCHEMA)
#: In place of a body: it is refused, because of content by URL or of something else.
REFUSED = "refused"
REFUSED_URL = "refused for its URL"


def user(*parts: c.Part) -> c.Turn:
    return c.Turn("user", parts or (c.TextPart("hi"),))


def turns(*given: c.Turn, **more: Any) -> dict[str, Any]:
    return {"turns": given or (user(),), **more}


def assistant(*parts: c.Part) -> dict[str, Any]:
    return turns(user(), c.Turn("assistant", parts), user())


HI = {"role": "user", "content": "hi"}
CALL = c.ToolCallPart("call_1", "f", "{}")
RESULT = user(c.ToolResultPart("call_1", (c.TextPart("r"),)))
LOOP = turns(user(), c.Turn("assistant", (c.ReasoningPart("hm"), CALL)), RESULT)
SIGNED = turns(
    user(),
    c.Turn("assistant", (c.ToolCallPart("call_1", "f", "{}", proof=c.Proof("gemini", "AAAA")),)),
    RESULT,
)
MARKED = turns(user(c.TextPart("a", cache=c.CacheMark("5m"))))
THINK = turns(reasoning=ReasoningConfig("on", "high"))


def called(call_id: str = "call_1", **members: Any) -> list[dict[str, Any]]:
    call = {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}, **members}
    return [
        HI,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": "r"},
    ]


def said(**members: Any) -> dict[str, Any]:
    return {"messages": [HI, {"role": "assistant", **members}, HI]}


def texts(**marked: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", **marked}]}]}


def function(strict: bool | None) -> dict[str, Any]:
    told = {} if strict is None else {"strict": strict}
    return {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA, **told}}


class Row(NamedTuple):
    """`without`, `with_it`: members of the body, None for one that is absent; or how it is refused."""

    request: dict[str, Any]
    without: dict[str, Any] | str
    with_it: dict[str, Any] | str


ANY: dict[str, Any] = {}
CHAT: dict[str, Row] = {
    "max_tokens_field": Row(
        turns(max_output_tokens=9),
        {"max_completion_tokens": 9, "max_tokens": None},
        {"max_completion_tokens": None, "max_tokens": 9},
    ),
    "no_stream_options": Row(
        turns(stream=True),
        {"stream_options": {"include_usage": True}},
        {"stream": True, "stream_options": None},
    ),
    "no_parallel_tool_calls": Row(
        turns(tools=(F,), tool_choice=t.ToolChoice(parallel=False)),
        {"parallel_tool_calls": False},
        {"parallel_tool_calls": None},
    ),
    "no_strict": Row(turns(tools=(F,)), {"tools": [function(True)]}, {"tools": [function(None)]}),
    "no_store": Row(turns(store=True), {"store": True}, {"store": None}),
    "no_verbosity": Row(turns(verbosity="low"), {"verbosity": "low"}, {"verbosity": None}),
    "no_prompt_cache_key": Row(
        turns(prompt_cache_key="k"), {"prompt_cache_key": "k"}, {"prompt_cache_key": None}
    ),
    "no_service_tier": Row(turns(service_tier="flex"), {"service_tier": "flex"}, {"service_tier": None}),
    "no_logprobs": Row(
        turns(logprobs=2), {"logprobs": True, "top_logprobs": 2}, {"logprobs": None, "top_logprobs": None}
    ),
    "no_metadata": Row(
        turns(metadata={"a": "b"}, store=True), {"metadata": {"a": "b"}}, {"metadata": None, "store": True}
    ),
    "no_stop": Row(turns(stop=("X",)), {"stop": ["X"]}, REFUSED),
    "fixed_sampling": Row(
        turns(sampling=Sampling(temperature=0.5)), {"temperature": 0.5}, {"temperature": None}
    ),
    "top_k": Row(turns(sampling=Sampling(top_k=5)), {"top_k": None}, {"top_k": 5}),
    "user_field": Row(
        turns(user_id="u"), {"safety_identifier": "u", "user": None}, {"safety_identifier": None, "user": "u"}
    ),
    "user_id_field": Row(
        turns(user_id="u"),
        {"safety_identifier": "u", "user_id": None},
        {"safety_identifier": None, "user_id": "u"},
    ),
    "single_choice": Row(turns(candidates=2), {"n": 2}, REFUSED),
    "no_json_schema": Row(turns(output_format=OutputFormat("json_schema", SCHEMA)), ANY, REFUSED),
    "no_json_object": Row(
        turns(output_format=OutputFormat("json_object")),
        {"response_format": {"type": "json_object"}},
        REFUSED,
    ),
    "no_custom_tools": Row(
        turns(tools=(t.CustomTool("raw", "d"),)),
        {"tools": [{"type": "custom", "custom": {"name": "raw", "description": "d"}}]},
        {
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "raw",
                        "description": "d",
                        "parameters": {
                            "type": "object",
                            "properties": {
                                "input": {
                                    "type": "string",
                                    "description": "The whole input of the tool, as text.",
                                }
                            },
                            "required": ["input"],
                            "additionalProperties": False,
                        },
                    },
                }
            ]
        },
    ),
    "no_allowed_tools": Row(
        turns(tools=(F, G), tool_choice=t.ToolChoice("auto", ("f",))),
        {
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
            }
        },
        {"tools": [function(True)], "tool_choice": "auto"},
    ),
    "tool_choice_no_required": Row(
        turns(tools=(F,), tool_choice=t.ToolChoice("required")), {"tool_choice": "required"}, REFUSED
    ),
    "tool_choice_auto_only": Row(
        turns(tools=(F,), tool_choice=t.ToolChoice("none")), {"tool_choice": "none"}, REFUSED
    ),
    "tool_call_id_9": Row(LOOP, {"messages": called()}, {"messages": called("74196fe72")}),
    "developer_role": Row(
        turns(system=(c.TextPart("s"),)),
        {"messages": [{"role": "system", "content": "s"}, HI]},
        {"messages": [{"role": "developer", "content": "s"}, HI]},
    ),
    "no_developer_role": Row(
        turns(c.Turn("system", (c.TextPart("s"),), extras={"openai_chat": {"_role": "developer"}}), user()),
        {"messages": [{"role": "developer", "content": "s"}, HI]},
        {"messages": [{"role": "system", "content": "s"}, HI]},
    ),
    "system_first": Row(
        turns(user(), c.Turn("system", (c.TextPart("s"),)), user()),
        {"messages": [HI, {"role": "system", "content": "s"}, HI]},
        {"messages": [{"role": "system", "content": "s"}, HI, HI]},
    ),
    "merge_system": Row(
        turns(system=(c.TextPart("a"), c.TextPart("b"))),
        {
            "messages": [
                {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                HI,
            ]
        },
        {"messages": [{"role": "system", "content": "a\n\nb"}, HI]},
    ),
    "alternate_roles": Row(
        turns(user(), user(c.TextPart("there"))),
        {"messages": [HI, {"role": "user", "content": "there"}]},
        {"messages": [{"role": "user", "content": "hi\n\nthere"}]},
    ),
    "string_content": Row(
        turns(user(c.TextPart("a"), c.TextPart("b"))),
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
            ]
        },
        {"messages": [{"role": "user", "content": "a\n\nb"}]},
    ),
    "file_urls": Row(turns(user(c.DocumentPart(c.UrlSource("https://x.test/a.pdf")))), REFUSED_URL, ANY),
    "no_image_urls": Row(turns(user(c.ImagePart(c.UrlSource("https://x.test/a.png")))), ANY, REFUSED_URL),
    "cache_breakpoints": Row(
        MARKED,
        {"messages": [{"role": "user", "content": "a"}]},
        texts(prompt_cache_breakpoint={"mode": "explicit"}),
    ),
    "cache_control": Row(
        MARKED,
        {"messages": [{"role": "user", "content": "a"}]},
        texts(cache_control={"type": "ephemeral", "ttl": "5m"}),
    ),
    "server_tool_calls": Row(
        assistant(c.ServerToolCallPart("s1", "web_search", '{"q":1}', "anthropic_messages"), c.TextPart("x")),
        said(content=[{"type": "text", "text": '[web_search {"q":1}]\n'}, {"type": "text", "text": "x"}]),
        said(
            content="x",
            server_tool_calls=[
                {
                    **{"index": 0, "id": "s1", "type": "web_search", "name": "web_search"},
                    **{"origin": "anthropic_messages", "arguments": '{"q":1}'},
                }
            ],
        ),
    ),
    "google_thought_signature": Row(
        SIGNED,
        {"messages": called()},
        {"messages": called(extra_content={"google": {"thought_signature": "AAAA"}})},
    ),
    "reasoning_content": Row(
        LOOP,
        {"messages": called()},
        {"messages": [HI, {**called()[1], "reasoning_content": "hm"}, called()[2]]},
    ),
    "reasoning_details": Row(
        assistant(c.ReasoningPart("hm", c.Proof("anthropic_messages", "sig")), c.TextPart("x")),
        said(content="x"),
        said(
            content="x",
            reasoning_details=[
                {
                    **{"type": "reasoning.text", "text": "hm", "signature": "sig"},
                    **{"format": "anthropic-claude-v1", "index": 0},
                }
            ],
        ),
    ),
    "inline_think": Row(
        assistant(c.ReasoningPart("hm"), c.TextPart("x")),
        said(content="x"),
        said(content="<think>\nhm\n</think>\n\nx"),
    ),
    "no_reasoning_effort": Row(THINK, {"reasoning_effort": "high"}, {"reasoning_effort": None}),
    "thinking_toggle": Row(
        THINK,
        {"reasoning_effort": "high", "thinking": None},
        {"reasoning_effort": None, "thinking": {"type": "enabled"}},
    ),
    "thinking_toggle_effort": Row(
        THINK,
        {"reasoning_effort": "high", "thinking": None},
        {"reasoning_effort": "high", "thinking": {"type": "enabled"}},
    ),
    "thinking_adaptive": Row(
        THINK,
        {"reasoning_effort": "high", "thinking": None},
        {"reasoning_effort": None, "thinking": {"type": "adaptive"}},
    ),
    "enable_thinking": Row(
        turns(reasoning=ReasoningConfig("on", None, 500)),
        {"reasoning_effort": "low", "enable_thinking": None},
        {"reasoning_effort": None, "enable_thinking": True, "thinking_budget": 500},
    ),
    "reasoning_object": Row(
        THINK,
        {"reasoning_effort": "high", "reasoning": None},
        {"reasoning_effort": None, "reasoning": {"effort": "high"}},
    ),
    "effort_basic": Row(
        turns(reasoning=ReasoningConfig("on", "minimal")),
        {"reasoning_effort": "minimal"},
        {"reasoning_effort": "low"},
    ),
    "effort_no_none": Row(
        turns(reasoning=ReasoningConfig("off")), {"reasoning_effort": "none"}, {"reasoning_effort": "minimal"}
    ),
    "effort_low_high_max": Row(
        turns(reasoning=ReasoningConfig("on", "medium")),
        {"reasoning_effort": "medium"},
        {"reasoning_effort": "high"},
    ),
}
ITEMS: list[dict[str, Any]] = [
    HI,
    {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "call_1", "output": "r"},
]
RESPONSES: dict[str, Row] = {
    **{
        name: CHAT[name]
        for name in (
            *("no_store", "no_metadata", "no_service_tier", "no_prompt_cache_key", "no_parallel_tool_calls"),
            *("fixed_sampling", "user_field"),
        )
    },
    "no_verbosity": Row(turns(verbosity="low"), {"text": {"verbosity": "low"}}, {"text": None}),
    "no_logprobs": Row(turns(logprobs=2), {"top_logprobs": 2}, {"top_logprobs": None}),
    "no_allowed_tools": Row(
        turns(tools=(F, G), tool_choice=t.ToolChoice("auto", ("f",))),
        {
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}],
            }
        },
        {"tool_choice": "auto"},
    ),
    "no_custom_tools": Row(turns(tools=(t.CustomTool("raw", "d"),)), ANY, REFUSED),
    "no_encrypted_reasoning": Row(THINK, {"include": ["reasoning.encrypted_content"]}, {"include": None}),
    "no_reasoning_summary": Row(
        turns(reasoning=ReasoningConfig("on", "high", display="auto")),
        {"reasoning": {"effort": "high", "summary": "auto"}},
        {"reasoning": {"effort": "high"}},
    ),
    "reasoning_content": Row(
        LOOP,
        {"input": ITEMS},
        {
            "input": [
                HI,
                {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
                *ITEMS[1:],
            ]
        },
    ),
    "cache_breakpoints": Row(
        MARKED,
        {"input": [{"role": "user", "content": "a"}]},
        {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}
                    ],
                }
            ]
        },
    ),
    "effort_basic": Row(
        turns(reasoning=ReasoningConfig("on", "minimal")),
        {"reasoning": {"effort": "minimal"}},
        {"reasoning": {"effort": "low"}},
    ),
    "effort_no_none": Row(
        turns(reasoning=ReasoningConfig("off")),
        {"reasoning": {"effort": "none"}},
        {"reasoning": {"effort": "minimal"}},
    ),
}
SYSTEM_LATER = turns(
    user(), c.Turn("assistant", (c.TextPart("x"),)), user(), c.Turn("system", (c.TextPart("s"),))
)
CLAUDE: dict[str, Row] = {
    "adaptive_thinking": Row(
        turns(reasoning=ReasoningConfig("on", "low"), max_output_tokens=8000),
        {"thinking": {"type": "enabled", "budget_tokens": 2048}, "output_config": None},
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
    ),
    "no_sampling": Row(
        turns(sampling=Sampling(temperature=0.5)), {"temperature": 0.5}, {"temperature": None}
    ),
    "system_turns": Row(
        SYSTEM_LATER,
        {
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": "x"},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "hi"},
                        {"type": "text", "text": "<system>s</system>"},
                    ],
                },
            ]
        },
        {
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": "x"},
                {"role": "user", "content": "hi"},
                {"role": "system", "content": "s"},
            ]
        },
    ),
    "inline_media": Row(turns(user(c.ImagePart(c.UrlSource("https://x.test/a.png")))), ANY, REFUSED_URL),
}
GEMINI: dict[str, Row] = {
    "no_call_ids": Row(
        LOOP,
        {
            "contents": [
                {"role": "user", "parts": [{"text": "hi"}]},
                {"role": "model", "parts": [{"functionCall": {"id": "call_1", "name": "f", "args": {}}}]},
                {
                    "role": "user",
                    "parts": [
                        {"functionResponse": {"id": "call_1", "name": "f", "response": {"output": "r"}}}
                    ],
                },
            ]
        },
        {
            "contents": [
                {"role": "user", "parts": [{"text": "hi"}]},
                {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "r"}}}]},
            ]
        },
    ),
    "openapi_schema": Row(
        turns(tools=(t.FunctionTool("f", "d", {"type": "object", "properties": {"a": {"type": "string"}}}),)),
        {
            "tools": [
                {
                    "functionDeclarations": [
                        {
                            "name": "f",
                            "description": "d",
                            "parametersJsonSchema": {
                                "type": "object",
                                "properties": {"a": {"type": "string"}},
                            },
                        }
                    ]
                }
            ]
        },
        {
            "tools": [
                {
                    "functionDeclarations": [
                        {
                            "name": "f",
                            "description": "d",
                            "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
                        }
                    ]
                }
            ]
        },
    ),
    "no_penalties": Row(
        turns(sampling=Sampling(temperature=0.5, presence_penalty=0.5)),
        {"generationConfig": {"temperature": 0.5, "presencePenalty": 0.5}},
        {"generationConfig": {"temperature": 0.5}},
    ),
    "no_file_urls": Row(
        turns(user(c.ImagePart(c.UrlSource("https://x.test/a.png", "image/png")))), ANY, REFUSED_URL
    ),
}
TABLES = {"openai_chat": CHAT, "openai_responses": RESPONSES, "anthropic_messages": CLAUDE, "gemini": GEMINI}
EACH = [(dialect, name) for dialect, rows in TABLES.items() for name in rows]
#: What they are about is in every request: the limit, and what Responses is always asked for.
ALWAYS = {"max_tokens_field", "no_encrypted_reasoning", "no_store"}
#: Two switches that change no body that is written: tested on their own below.
ALONE = {"no_threads", "effort_xhigh"}


def sent(dialect: str, request: dict[str, Any], *quirks: str) -> dict[str, Any] | str:
    # Gemini's models that think by level want signatures, which say nothing here.
    can = CAN - {"effort"} if dialect == "gemini" else CAN
    target = Target("up", capabilities=can, quirks=frozenset(quirks))
    try:
        written = DIALECTS[dialect].write_request(ChatRequest(model="m", **request), target)
    except UnsupportedFeature as error:
        return REFUSED if error.by_url is None else REFUSED_URL
    return json.loads(written.body)


def check(body: dict[str, Any] | str, expected: dict[str, Any] | str) -> None:
    if isinstance(body, str) or isinstance(expected, str):
        assert body == expected
    else:
        assert {name: body.get(name) for name in expected} == expected


@pytest.mark.parametrize(("dialect", "name"), EACH, ids=[f"{dialect}-{name}" for dialect, name in EACH])
def test_a_request_without_the_switch_and_with_it(dialect: str, name: str) -> None:
    row = TABLES[dialect][name]
    without, with_it = sent(dialect, row.request), sent(dialect, row.request, name)
    check(without, row.without)
    check(with_it, row.with_it)
    assert without != with_it


@pytest.mark.parametrize(
    ("dialect", "name"),
    [each for each in EACH if each[1] not in ALWAYS],
    ids=[f"{dialect}-{name}" for dialect, name in EACH if name not in ALWAYS],
)
def test_a_plain_request_is_the_same_with_it(dialect: str, name: str) -> None:
    """A switch is about one thing."""
    plain = turns(max_output_tokens=5)
    assert sent(dialect, plain, name) == sent(dialect, plain)


def test_every_switch_is_here() -> None:
    known = {
        "openai_chat": chat.ALL,
        "openai_responses": responses.ALL,
        "anthropic_messages": {v for k, v in vars(claude).items() if k.startswith("QUIRK_")},
        "gemini": {v for k, v in vars(gemini).items() if k.startswith("QUIRK_")},
    }
    for dialect, names in known.items():
        assert set(TABLES[dialect]) == set(names) - ALONE, dialect


def test_no_threads() -> None:
    """Of a passed body: without the switch the same bytes, with it the error that Anthropic's SDK starts over on."""
    body = b'{"model":"m","max_tokens":5,"messages":[],"thread":{"id":"thr_1"}}'
    anthropic = DIALECTS["anthropic_messages"]
    assert anthropic.patch_request(body, Peek("m", stream=False), Target("m")) is body
    with pytest.raises(InvalidRequest):
        anthropic.patch_request(body, Peek("m", stream=False), Target("m", quirks=frozenset({"no_threads"})))


def test_effort_xhigh() -> None:
    """It means something only where efforts do."""
    request = turns(reasoning=ReasoningConfig("on", "xhigh"))
    without = sent("anthropic_messages", request, "adaptive_thinking")
    with_it = sent("anthropic_messages", request, "adaptive_thinking", "effort_xhigh")
    check(without, {"output_config": {"effort": "high"}})
    check(with_it, {"output_config": {"effort": "xhigh"}})
