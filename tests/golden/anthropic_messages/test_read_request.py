"""What a Messages client asks for, in the hub's terms: one row per feature.

The file is long because it is one table: a row for each feature, so that a missing one is seen.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.core import content as c
from bytespike.core.request import ChatRequest, OutputFormat, ReasoningConfig, Sampling
from bytespike.core.tools import ForeignTool, FunctionTool, ToolChoice, WebSearchTool
from bytespike.errors import InvalidRequest
from bytespike.protocols.anthropic_messages import DIALECT
from tests.support.anthropic_targets import ALL, ask, read, say
from tests.support.anthropic_traffic import plain_request

OWN = "anthropic_messages"
MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}


def _own(**members: Any) -> dict[str, Any]:
    return {OWN: members}


BLOCKS: dict[str, tuple[dict[str, Any], c.Part]] = {
    "text": ({"type": "text", "text": "hi"}, c.TextPart("hi")),
    "text with a cache mark": (
        {"type": "text", "text": "hi", "cache_control": MARK},
        c.TextPart("hi", cache=c.CacheMark()),
    ),
    "text with a cache mark of an hour": (
        {"type": "text", "text": "hi", "cache_control": HOUR},
        c.TextPart("hi", cache=c.CacheMark("1h")),
    ),
    "a cache mark with more to it is kept whole": (
        {"type": "text", "text": "hi", "cache_control": HOUR | {"scope": "global"}},
        c.TextPart("hi", cache=c.CacheMark("1h"), extras=_own(cache_control=HOUR | {"scope": "global"})),
    ),
    "a null member is no member": (
        {"type": "text", "text": "hi", "cache_control": None, "citations": None},
        c.TextPart("hi"),
    ),
    "image as base64": (
        {"type": "image", "source": PNG},
        c.ImagePart(c.Base64Source("image/png", "iVBORw0KGgo=")),
    ),
    "image by URL": (
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        c.ImagePart(c.UrlSource("https://x/y.png")),
    ),
    "image by file id": (
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        c.ImagePart(c.FileSource("file_1", OWN)),
    ),
    "image transformations are kept": (
        {"type": "image", "source": PNG, "transformations": {"oversized_image": "error"}},
        c.ImagePart(
            c.Base64Source("image/png", "iVBORw0KGgo="),
            extras=_own(transformations={"oversized_image": "error"}),
        ),
    ),
    "document as PDF, with title, context and citations": (
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
            "title": "T",
            "context": "C",
            "citations": {"enabled": True},
            "cache_control": MARK,
        },
        c.DocumentPart(
            c.Base64Source("application/pdf", "JVBERi0="),
            title="T",
            context="C",
            cite=True,
            cache=c.CacheMark(),
        ),
    ),
    "document as text": (
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        c.DocumentPart(c.TextSource("words")),
    ),
    "document of blocks": (
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "a"}]}},
        c.DocumentPart(c.PartsSource((c.TextPart("a"),))),
    ),
    "document of one string": (
        {"type": "document", "source": {"type": "content", "content": "a"}},
        c.DocumentPart(c.PartsSource((c.TextPart("a"),))),
    ),
    "document by URL": (
        {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}},
        c.DocumentPart(c.UrlSource("https://x/y.pdf")),
    ),
    "document by file id": (
        {"type": "document", "source": {"type": "file", "file_id": "file_2"}},
        c.DocumentPart(c.FileSource("file_2", OWN)),
    ),
    "a source of a type that is not known keeps its block whole": (
        {"type": "document", "source": {"type": "drive", "id": "d"}},
        c.ForeignPart(OWN, "document", {"type": "document", "source": {"type": "drive", "id": "d"}}),
    ),
    "search result": (
        {
            "type": "search_result",
            "source": "https://x",
            "title": "T",
            "content": [{"type": "text", "text": "found"}],
            "citations": {"enabled": False},
        },
        c.SearchResultPart("https://x", "T", (c.TextPart("found"),), cite=False),
    ),
    "thinking": (
        {"type": "thinking", "thinking": "hm", "signature": "SIG"},
        c.ReasoningPart("hm", c.Proof(OWN, "SIG")),
    ),
    "thinking whose signature is empty proves nothing": (
        {"type": "thinking", "thinking": "hm", "signature": ""},
        c.ReasoningPart("hm"),
    ),
    "redacted thinking": (
        {"type": "redacted_thinking", "data": "ENC"},
        c.ReasoningPart("", c.Proof(OWN, "ENC"), redacted=True),
    ),
    "tool use": (
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": [1, 2.5, "x"]}},
        c.ToolCallPart("toolu_1", "f", '{"a":[1,2.5,"x"]}'),
    ),
    "tool use with a caller and a toolset": (
        {
            "type": "tool_use",
            "id": "toolu_1",
            "name": "click",
            "input": {},
            "caller": {"type": "direct"},
            "toolset_name": "browser",
        },
        c.ToolCallPart(
            "toolu_1", "click", "{}", extras=_own(caller={"type": "direct"}, toolset_name="browser")
        ),
    ),
    "tool result as a string": (
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "42"},
        c.ToolResultPart("toolu_1", (c.TextPart("42"),)),
    ),
    "tool result without content": (
        {"type": "tool_result", "tool_use_id": "toolu_1"},
        c.ToolResultPart("toolu_1", ()),
    ),
    "tool result of text, image and document, as an error": (
        {
            "type": "tool_result",
            "tool_use_id": "toolu_1",
            "is_error": True,
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image", "source": PNG},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}},
                {"type": "tool_reference", "tool_name": "g"},
            ],
            "cache_control": HOUR,
        },
        c.ToolResultPart(
            "toolu_1",
            (
                c.TextPart("a"),
                c.ImagePart(c.Base64Source("image/png", "iVBORw0KGgo=")),
                c.DocumentPart(c.TextSource("d")),
                c.ForeignPart(OWN, "tool_reference", {"type": "tool_reference", "tool_name": "g"}),
            ),
            is_error=True,
            cache=c.CacheMark("1h"),
        ),
    ),
    "server tool use": (
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
        c.ServerToolCallPart("srvtoolu_1", "web_search", '{"query":"q"}', OWN),
    ),
    "call of an MCP tool": (
        {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "echo", "server_name": "s", "input": {}},
        c.ServerToolCallPart(
            "mcptoolu_1", "echo", "{}", OWN, extras=_own(_type="mcp_tool_use", server_name="s")
        ),
    ),
    "server tool result": (
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "x"}]},
        c.ServerToolResultPart("srvtoolu_1", "web_search_tool_result", [{"type": "x"}], OWN),
    ),
    "failed server tool result": (
        {
            "type": "web_fetch_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": {"type": "web_fetch_tool_result_error", "error_code": "unavailable"},
        },
        c.ServerToolResultPart(
            "srvtoolu_1",
            "web_fetch_tool_result",
            {"type": "web_fetch_tool_result_error", "error_code": "unavailable"},
            OWN,
            is_error=True,
        ),
    ),
    "result of an MCP tool": (
        {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "is_error": True, "content": "no"},
        c.ServerToolResultPart(
            "mcptoolu_1", "mcp_tool_result", "no", OWN, is_error=True, extras=_own(is_error=True)
        ),
    ),
    "a block of a type that is not known": (
        {"type": "hologram", "rays": [1], "cache_control": MARK},
        c.ForeignPart(
            OWN, "hologram", {"type": "hologram", "rays": [1], "cache_control": MARK}, c.CacheMark()
        ),
    ),
    "a compaction block": (
        {"type": "compaction", "content": "so far", "signature": "S"},
        c.ForeignPart(OWN, "compaction", {"type": "compaction", "content": "so far", "signature": "S"}),
    ),
    "a container upload": (
        {"type": "container_upload", "file_id": "file_1"},
        c.ForeignPart(OWN, "container_upload", {"type": "container_upload", "file_id": "file_1"}),
    ),
    "citations of every kind": (
        {
            "type": "text",
            "text": "t",
            "citations": [
                {
                    "type": "char_location",
                    "cited_text": "c",
                    "document_index": 1,
                    "document_title": "D",
                    "start_char_index": 2,
                    "end_char_index": 3,
                    "file_id": "file_1",
                },
                {
                    "type": "page_location",
                    "cited_text": "c",
                    "document_index": 0,
                    "document_title": None,
                    "start_page_number": 1,
                    "end_page_number": 2,
                },
                {
                    "type": "content_block_location",
                    "cited_text": "c",
                    "document_index": 0,
                    "document_title": "D",
                    "start_block_index": 0,
                    "end_block_index": 1,
                },
                {
                    "type": "search_result_location",
                    "cited_text": "c",
                    "source": "https://s",
                    "title": "S",
                    "search_result_index": 4,
                    "start_block_index": 0,
                    "end_block_index": 1,
                },
                {
                    "type": "web_search_result_location",
                    "cited_text": "c",
                    "url": "https://w",
                    "title": "W",
                    "encrypted_index": "ENC",
                },
            ],
        },
        c.TextPart(
            "t",
            (
                c.Citation("char", "", "D", "c", 2, 3, 1, extras=_own(file_id="file_1")),
                c.Citation("page", "", None, "c", 1, 2, 0),
                c.Citation("block", "", "D", "c", 0, 1, 0),
                c.Citation("search_result", "https://s", "S", "c", 0, 1, 4),
                c.Citation("web", "https://w", "W", "c", proof="ENC"),
            ),
        ),
    ),
}


@pytest.mark.parametrize(("block", "part"), BLOCKS.values(), ids=BLOCKS)
def test_a_block_becomes_a_part(block: dict[str, Any], part: c.Part) -> None:
    assert read(say(("user", [block]))).turns[0].parts == (part,)


@pytest.mark.parametrize(("block", "part"), BLOCKS.values(), ids=BLOCKS)
def test_a_block_is_written_back_as_it_was(block: dict[str, Any], part: c.Part) -> None:
    if part == c.ReasoningPart("hm"):
        # Anthropic would refuse it: see test_write_request.
        return
    body = say(
        ("user", [block]), ("assistant", "x"), tools=[{"name": "f", "input_schema": {"type": "object"}}]
    )
    result = json.loads(DIALECT.write_request(read(body), ALL).body)
    assert plain_request(result)["messages"] == plain_request(body)["messages"]


F = {"name": "f", "input_schema": {"type": "object"}}

REQUESTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the least": (
        ask(),
        {"model": "m", "max_output_tokens": 100, "turns": (c.Turn("user", (c.TextPart("hi"),)),)},
    ),
    "a limit of zero warms the cache": (ask(max_tokens=0), {"max_output_tokens": 0}),
    "streaming": (ask(stream=True), {"stream": True, "stream_usage": True}),
    "system as a string": (ask(system="be kind"), {"system": (c.TextPart("be kind"),)}),
    "system as blocks": (
        ask(system=[{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": HOUR}]),
        {"system": (c.TextPart("a"), c.TextPart("b", cache=c.CacheMark("1h")))},
    ),
    "a system turn in mid-conversation": (
        say(("user", "a"), ("system", "b"), ("assistant", "c")),
        {
            "turns": (
                c.Turn("user", (c.TextPart("a"),)),
                c.Turn("system", (c.TextPart("b"),)),
                c.Turn("assistant", (c.TextPart("c"),)),
            )
        },
    ),
    "a system turn that only sets an effort": (
        ask(
            messages=[
                {"role": "user", "content": "a"},
                {"role": "system", "output_config": {"effort": "low"}, "clear_at": "never"},
            ]
        ),
        {
            "turns": (
                c.Turn("user", (c.TextPart("a"),)),
                c.Turn("system", (), extras=_own(output_config={"effort": "low"}, clear_at="never")),
            )
        },
    ),
    "turns of one role in a row stay apart": (
        say(("user", "a"), ("user", "b")),
        {"turns": (c.Turn("user", (c.TextPart("a"),)), c.Turn("user", (c.TextPart("b"),)))},
    ),
    "a mark on the whole prompt": (ask(cache_control=HOUR), {"cache": c.CacheMark("1h")}),
    "sampling": (
        ask(temperature=0.5, top_p=0.9, top_k=40, stop_sequences=["END"]),
        {"sampling": Sampling(temperature=0.5, top_p=0.9, top_k=40), "stop": ("END",)},
    ),
    "metadata": (
        ask(metadata={"user_id": "u", "other": 1}),
        {"user_id": "u", "extras": _own(metadata={"other": 1})},
    ),
    "service tier": (ask(service_tier="standard_only"), {"service_tier": "standard_only"}),
    "a function tool with everything": (
        ask(
            tools=[
                F
                | {
                    "type": "custom",
                    "description": "d",
                    "strict": True,
                    "cache_control": MARK,
                    "defer_loading": True,
                    "input_examples": [{}],
                    "eager_input_streaming": True,
                    "allowed_callers": ["direct"],
                }
            ]
        ),
        {
            "tools": (
                FunctionTool(
                    "f",
                    "d",
                    {"type": "object"},
                    True,
                    c.CacheMark(),
                    _own(
                        defer_loading=True,
                        input_examples=[{}],
                        eager_input_streaming=True,
                        allowed_callers=["direct"],
                    ),
                ),
            )
        },
    ),
    "web search": (
        ask(
            tools=[
                {
                    "type": "web_search_20260318",
                    "name": "web_search",
                    "max_uses": 3,
                    "allowed_domains": ["a.b"],
                    "blocked_domains": None,
                    "user_location": {"type": "approximate", "city": "Bonn", "region": None},
                    "response_inclusion": "full",
                }
            ]
        ),
        {
            "tools": (
                WebSearchTool(
                    3,
                    ("a.b",),
                    None,
                    {"city": "Bonn"},
                    extras=_own(_type="web_search_20260318", response_inclusion="full"),
                ),
            )
        },
    ),
    "a tool that only Anthropic has": (
        ask(tools=[{"type": "bash_20250124", "name": "bash"}]),
        {"tools": (ForeignTool(OWN, "bash_20250124", "bash", {"type": "bash_20250124", "name": "bash"}),)},
    ),
    "an MCP toolset has no name": (
        ask(tools=[{"type": "mcp_toolset", "mcp_server_name": "s"}]),
        {"tools": (ForeignTool(OWN, "mcp_toolset", "", {"type": "mcp_toolset", "mcp_server_name": "s"}),)},
    ),
    "tool choice auto": (ask(tool_choice={"type": "auto"}), {"tool_choice": ToolChoice("auto")}),
    "tool choice any, one at a time": (
        ask(tool_choice={"type": "any", "disable_parallel_tool_use": True}),
        {"tool_choice": ToolChoice("required", parallel=False)},
    ),
    "tool choice of one tool": (
        ask(tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": False}),
        {"tool_choice": ToolChoice("named", ("f",), parallel=True)},
    ),
    "tool choice none": (ask(tool_choice={"type": "none"}), {"tool_choice": ToolChoice("none")}),
    "thinking with a budget": (
        ask(thinking={"type": "enabled", "budget_tokens": 2000, "display": "omitted"}),
        {"reasoning": ReasoningConfig("on", None, 2000, "omitted", _own())},
    ),
    "adaptive thinking with an effort": (
        ask(thinking={"type": "adaptive", "display": "summarized"}, output_config={"effort": "xhigh"}),
        {"reasoning": ReasoningConfig("adaptive", "xhigh", None, "summarized", _own())},
    ),
    "thinking disabled": (
        ask(thinking={"type": "disabled"}),
        {"reasoning": ReasoningConfig("off", extras=_own())},
    ),
    "thinking between tools": (
        ask(thinking={"type": "between_tools"}),
        {"reasoning": ReasoningConfig("adaptive", extras=_own(_type="between_tools"))},
    ),
    "an effort alone does not switch thinking on": (
        ask(output_config={"effort": "low"}),
        {"reasoning": ReasoningConfig(None, "low", extras=_own())},
    ),
    "structured output": (
        ask(output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}}),
        {"output_format": OutputFormat("json_schema", {"type": "object"}), "reasoning": None},
    ),
    "structured output of the older beta": (
        ask(output_format={"type": "json_schema", "schema": {"type": "object"}}),
        {"output_format": OutputFormat("json_schema", {"type": "object"})},
    ),
    "output formats of new types are kept": (
        ask(output_config={"format": {"type": "xml"}}, output_format={"type": "yaml"}),
        {
            "output_format": None,
            "extras": _own(output_config={"format": {"type": "xml"}}, output_format={"type": "yaml"}),
        },
    ),
    "a task budget is kept": (
        ask(output_config={"effort": "low", "task_budget": {"type": "tokens", "total": 9}}),
        {"extras": _own(output_config={"task_budget": {"type": "tokens", "total": 9}})},
    ),
    "parameters that the hub does not know are kept": (
        ask(
            speed="fast",
            container={"skills": []},
            context_management={"edits": []},
            mcp_servers=[],
            inference_geo="eu",
            diagnostics={"previous_message_id": None},
            fallbacks="default",
        ),
        {
            "extras": _own(
                speed="fast",
                container={"skills": []},
                context_management={"edits": []},
                mcp_servers=[],
                inference_geo="eu",
                diagnostics={"previous_message_id": None},
                fallbacks="default",
            )
        },
    ),
}


@pytest.mark.parametrize(("body", "expected"), REQUESTS.values(), ids=REQUESTS)
def test_a_request_in_the_hubs_terms(body: dict[str, Any], expected: dict[str, Any]) -> None:
    request = read(body)
    assert isinstance(request, ChatRequest)
    assert {name: getattr(request, name) for name in expected} == expected


WRONG: dict[str, tuple[Any, str | None, str]] = {
    "no model": ({"max_tokens": 1, "messages": []}, "model", "model: Field required"),
    "no limit": (
        {"model": "m", "messages": [{"role": "user", "content": "a"}]},
        "max_tokens",
        "Field required",
    ),
    "no messages": ({"model": "m", "max_tokens": 1}, "messages", "messages: Field required"),
    "empty messages": (ask(messages=[]), "messages", "at least one message"),
    "messages of a wrong type": (ask(messages={}), "messages", "valid array"),
    "a message of a wrong type": (ask(messages=["hi"]), "messages.0", "Input should be an object"),
    "no role": (ask(messages=[{"content": "a"}]), "messages.0.role", "Field required"),
    "an unknown role": (say(("robot", "a")), "messages.0.role", "'user', 'assistant' or 'system'"),
    "no content": (ask(messages=[{"role": "user"}]), "messages.0.content", "Field required"),
    "content of a wrong type": (say(("user", 5)), "messages.0.content", "valid array"),
    "a block of a wrong type": (say(("user", ["x"])), "messages.0.content.0", "an object"),
    "a block without a type": (say(("user", [{}])), "messages.0.content.0.type", "Field required"),
    "text that is none": (
        say(("user", [{"type": "text", "text": 1}])),
        "messages.0.content.0.text",
        "messages.0.content.0.text: Input should be a valid string",
    ),
    "an image without a source": (
        say(("user", [{"type": "image"}])),
        "messages.0.content.0.source",
        "Field required",
    ),
    "a tool's input that is no object": (
        say(("assistant", [{"type": "tool_use", "id": "a", "name": "f", "input": []}])),
        "messages.0.content.0.input",
        "an object",
    ),
    "a tool result in a tool result of a wrong type": (
        say(("user", [{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text"}]}])),
        "messages.0.content.0.content.0.text",
        "Field required",
    ),
    "a bad citation": (
        say(
            (
                "user",
                [
                    {
                        "type": "text",
                        "text": "",
                        "citations": [{"type": "char_location", "end_char_index": "x"}],
                    }
                ],
            )
        ),
        "messages.0.content.0.citations.0.end_char_index",
        "valid integer",
    ),
    "a negative limit": (ask(max_tokens=-1), "max_tokens", "greater than or equal to 0"),
    "a limit that is no integer": (ask(max_tokens=1.5), "max_tokens", "valid integer"),
    "a limit that is a boolean": (ask(max_tokens=True), "max_tokens", "valid integer"),
    "a temperature that is no number": (ask(temperature="hot"), "temperature", "valid number"),
    "a stream that is no boolean": (ask(stream="yes"), "stream", "valid boolean"),
    "a tool without a schema": (ask(tools=[{"name": "f"}]), "tools.0.input_schema", "Field required"),
    "an unknown tool choice": (ask(tool_choice={"type": "some"}), "tool_choice.type", "'auto'"),
    "a named choice without a name": (
        ask(tool_choice={"type": "tool"}),
        "tool_choice.name",
        "Field required",
    ),
    "thinking without a budget": (
        ask(thinking={"type": "enabled"}),
        "thinking.budget_tokens",
        "Field required",
    ),
    "stop sequences of a wrong type": (ask(stop_sequences=[1]), "stop_sequences.0", "valid string"),
    "a schema that is none": (
        ask(output_config={"format": {"type": "json_schema", "schema": "x"}}),
        "output_config.format.schema",
        "an object",
    ),
    "a cache mark that is none": (ask(cache_control="yes"), "cache_control", "an object"),
    "metadata of a wrong type": (ask(metadata={"user_id": 5}), "metadata.user_id", "valid string"),
    "no object": ([1], None, "not a JSON object"),
}


@pytest.mark.parametrize(("body", "param", "problem"), WRONG.values(), ids=WRONG)
def test_a_wrong_request_is_refused_with_the_path_of_the_fault(
    body: Any, param: str | None, problem: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(body)
    assert caught.value.param == param
    assert problem in caught.value.message
    assert caught.value.message.startswith(param or "the body")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b'{"model":"m",}',
        b'{"model":"\xff"}',
        b'{"a":' + b"[" * 100_000,
        b"\xef\xbb\xbf{}",
    ],
    ids=["empty", "cut", "null", "comma", "bad UTF-8", "deep", "byte-order mark"],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        DIALECT.read_request(body)


def test_nesting_is_bounded_where_it_is_decoded_and_where_it_is_read() -> None:
    deep: Any = "x"
    for _ in range(200):
        deep = [deep]
    with pytest.raises(InvalidRequest, match="nests more than 128 deep"):
        read(ask(anything=deep))
    block: Any = {"type": "text", "text": "x"}
    for _ in range(12):
        block = {"type": "tool_result", "tool_use_id": "a", "content": [block]}
    with pytest.raises(InvalidRequest, match="blocks nest more than 8 deep"):
        read(say(("user", [block])))
