"""What a Responses client's request is in the hub: one row for each form that clients send.

Reviewed by eye: the expectations are written by hand, from the SDK's types and the API reference.
"""

from __future__ import annotations

from typing import Any

import pytest

from bytespike.core import content as c
from bytespike.core import tools as t
from bytespike.core.json_types import NO_EXTRAS
from bytespike.core.request import OutputFormat, ReasoningConfig, Sampling
from bytespike.errors import InvalidRequest, UnsupportedFeature
from bytespike.protocols.openai_responses import DIALECT
from bytespike.protocols.openai_responses.envelope import Envelope, ServerCall, ServerResult, seal
from tests.support.responses_bodies import body, read

OWN = "openai_responses"
PNG = "data:image/png;base64,iVBO"
USER = {"role": "user", "content": "hi"}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}


def plain(value: Any) -> Any:
    """Without what the reader puts aside for its own writer."""
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    if hasattr(value, "__struct_fields__"):
        members = {name: plain(getattr(value, name)) for name in value.__struct_fields__}
        if "extras" in members:
            members["extras"] = NO_EXTRAS
        return type(value)(**members)
    return value


def turns(*items: dict[str, Any], **members: Any) -> tuple[c.Turn, ...]:
    return plain(read(*items, **members).turns)


def user(*parts: c.Part) -> c.Turn:
    return c.Turn("user", parts)


def model(*parts: c.Part) -> c.Turn:
    return c.Turn("assistant", parts)


def say(*content: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


TEXT = c.TextPart("hi")

TURNS: dict[str, tuple[tuple[dict[str, Any], ...], tuple[c.Turn, ...]]] = {
    "a message without a type": ((USER,), (user(TEXT),)),
    "a message with id, status and parts": (
        (
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                **say({"type": "input_text", "text": "hi"}),
            },
        ),
        (user(TEXT),),
    ),
    "images by URL, as base64, by id": (
        (
            say(
                {"type": "input_image", "image_url": "https://a.test/x.png", "detail": "low"},
                {"type": "input_image", "image_url": PNG, "detail": "auto"},
                {"type": "input_image", "file_id": "file_1", "detail": "auto"},
            ),
        ),
        (
            user(
                c.ImagePart(c.UrlSource("https://a.test/x.png"), "low"),
                c.ImagePart(c.Base64Source("image/png", "iVBO"), "auto"),
                c.ImagePart(c.FileSource("file_1", OWN), "auto"),
            ),
        ),
    ),
    "files as data, by URL, by id": (
        (
            say(
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
                {"type": "input_file", "filename": "b.pdf", "file_data": "JVBE"},
                {"type": "input_file", "file_url": "https://a.test/c.pdf"},
                {"type": "input_file", "file_id": "file_1"},
            ),
        ),
        (
            user(
                c.DocumentPart(c.Base64Source("application/pdf", "JVBE"), filename="a.pdf"),
                c.DocumentPart(c.Base64Source("application/pdf", "JVBE"), filename="b.pdf"),
                c.DocumentPart(c.UrlSource("https://a.test/c.pdf")),
                c.DocumentPart(c.FileSource("file_1", OWN)),
            ),
        ),
    ),
    "a cache mark": (
        (
            say(
                {
                    "type": "input_text",
                    "text": "hi",
                    "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"},
                }
            ),
        ),
        (user(c.TextPart("hi", cache=c.CacheMark("12h"))),),
    ),
    "audio": (
        (say({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}),),
        (user(c.AudioPart(c.Base64Source("audio/wav", "AA"), "wav")),),
    ),
    "all that the model said in a row is one turn": (
        (
            USER,
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "enc"},
            {"role": "assistant", "content": "so", "phase": "commentary"},
            CALL,
            {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "raw"},
            {"type": "function_call_output", "call_id": "c1", "output": "one"},
            {
                "type": "custom_tool_call_output",
                "call_id": "c2",
                "output": [{"type": "input_text", "text": "two"}],
            },
            {"role": "user", "content": "and"},
        ),
        (
            user(TEXT),
            model(
                c.ReasoningPart("", c.Proof(OWN, "enc"), id="rs_1"),
                c.TextPart("so"),
                c.ToolCallPart("c1", "f", '{"a":1}'),
                c.ToolCallPart("c2", "g", "raw", "custom"),
            ),
            user(
                c.ToolResultPart("c1", (c.TextPart("one"),)),
                c.ToolResultPart("c2", (c.TextPart("two"),), kind="custom"),
            ),
            user(c.TextPart("and")),
        ),
    ),
    "a tool's output with an image and a file": (
        (
            CALL,
            {
                "type": "function_call_output",
                "call_id": "c1",
                "output": [
                    {"type": "input_image", "image_url": PNG, "detail": "high"},
                    {"type": "input_file", "file_url": "https://a.test/c.pdf"},
                ],
            },
        ),
        (
            model(c.ToolCallPart("c1", "f", '{"a":1}')),
            user(
                c.ToolResultPart(
                    "c1",
                    (
                        c.ImagePart(c.Base64Source("image/png", "iVBO"), "high"),
                        c.DocumentPart(c.UrlSource("https://a.test/c.pdf")),
                    ),
                )
            ),
        ),
    ),
    "summaries and the text of reasoning": (
        (
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
                "content": [{"type": "reasoning_text", "text": "long"}],
                "encrypted_content": "enc",
            },
        ),
        (
            model(
                c.ReasoningPart("a\n\nb", summary=True, id="rs_1"),
                c.ReasoningPart("long", c.Proof(OWN, "enc"), id="rs_1"),
            ),
        ),
    ),
    "an output message with citations and a refusal": (
        (
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [
                    {
                        "type": "output_text",
                        "text": "see a",
                        "annotations": [
                            {
                                "type": "url_citation",
                                "url": "https://a.test",
                                "title": "A",
                                "start_index": 4,
                                "end_index": 5,
                            },
                            {"type": "file_citation", "file_id": "file_1", "filename": "a.pdf", "index": 3},
                        ],
                    },
                    {"type": "refusal", "refusal": "no"},
                ],
            },
        ),
        (
            model(
                c.TextPart(
                    "see a",
                    (
                        c.Citation("web", "https://a.test", "A", start=4, end=5),
                        c.Citation("search_result", title="a.pdf", start=3, end=3, document_index=0),
                    ),
                ),
                c.RefusalPart("no"),
            ),
        ),
    ),
    "provider-side tools": (
        (
            {
                "type": "web_search_call",
                "id": "ws_1",
                "status": "completed",
                "action": {"type": "search", "query": "q"},
            },
            {
                "type": "code_interpreter_call",
                "id": "ci_1",
                "status": "completed",
                "code": "1+1",
                "container_id": "k",
                "outputs": [],
            },
        ),
        (
            model(
                c.ServerToolCallPart("ws_1", "web_search", '{"type":"search","query":"q"}', OWN),
                c.ServerToolCallPart(
                    "ci_1",
                    "code_execution",
                    '{"status":"completed","code":"1+1","container_id":"k","outputs":[]}',
                    OWN,
                ),
            ),
        ),
    ),
    "an image that the model drew": (
        ({"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "iVBO"},),
        (model(c.ImagePart(c.Base64Source("image/png", "iVBO"))),),
    ),
    "items that only OpenAI knows": (
        (
            {"type": "compaction", "id": "cmp_1", "encrypted_content": "enc"},
            {"type": "local_shell_call_output", "id": "ls_1", "output": "x"},
        ),
        (
            model(
                c.ForeignPart(
                    OWN, "compaction", {"type": "compaction", "id": "cmp_1", "encrypted_content": "enc"}
                )
            ),
            user(
                c.ForeignPart(
                    OWN,
                    "local_shell_call_output",
                    {"type": "local_shell_call_output", "id": "ls_1", "output": "x"},
                )
            ),
        ),
    ),
    "a later developer message is a turn": (
        (USER, {"role": "developer", "content": "now"}),
        (user(TEXT), c.Turn("system", (c.TextPart("now"),))),
    ),
    "another provider's proof comes home, with the text that it signs": (
        (
            {
                "type": "reasoning",
                "id": "rs_x",
                "summary": [{"type": "summary_text", "text": "shortened by the client"}],
                "encrypted_content": seal("anthropic_messages", Envelope(proof="sig", text="hm")),
            },
        ),
        (model(c.ReasoningPart("hm", c.Proof("anthropic_messages", "sig"))),),
    ),
    "so does the proof of a call, wherever it stands": (
        (
            CALL,
            {"type": "function_call_output", "call_id": "c1", "output": "one"},
            {
                "type": "reasoning",
                "id": "rs_x",
                "summary": [],
                "encrypted_content": seal("gemini", Envelope(proof="sig", call="c1")),
            },
        ),
        (
            model(c.ToolCallPart("c1", "f", '{"a":1}', proof=c.Proof("gemini", "sig"))),
            user(c.ToolResultPart("c1", (c.TextPart("one"),))),
        ),
    ),
    "and another provider's search, once": (
        (
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [],
                "encrypted_content": seal(
                    "anthropic_messages", Envelope(server_call=ServerCall("s1", "web_search", "{}", "ws_2"))
                ),
            },
            {"type": "web_search_call", "id": "ws_2", "status": "completed", "action": {"type": "search"}},
            {
                "type": "reasoning",
                "id": "rs_3",
                "summary": [],
                "encrypted_content": seal(
                    "anthropic_messages",
                    Envelope(server_result=ServerResult("s1", "web_search_tool_result", [{"url": "u"}])),
                ),
            },
        ),
        (
            model(
                c.ServerToolCallPart("s1", "web_search", "{}", "anthropic_messages"),
                c.ServerToolResultPart("s1", "web_search_tool_result", [{"url": "u"}], "anthropic_messages"),
            ),
        ),
    ),
    "a damaged seal proves nothing": (
        (
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "s"}],
                "encrypted_content": "bytespike.v1.gemini.%%%",
            },
        ),
        (model(c.ReasoningPart("s", summary=True, id="rs_1")),),
    ),
}


@pytest.mark.parametrize("name", TURNS)
def test_items_are_turns(name: str) -> None:
    items, expected = TURNS[name]
    assert turns(*items) == expected


def test_a_text_is_the_users_turn() -> None:
    assert plain(DIALECT.read_request(body()).turns) == (user(TEXT),)


def test_instructions_and_the_first_system_messages_open_the_conversation() -> None:
    request = read(
        {"role": "developer", "content": "a"},
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "b"}]},
        USER,
        instructions="first",
    )
    assert [part.text for part in request.system if isinstance(part, c.TextPart)] == ["first", "a", "b"]
    assert plain(request.turns) == (user(TEXT),)


MEMBERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "limits and sampling": (
        {"max_output_tokens": 9, "temperature": 0.5, "top_p": 0.9, "stream": True},
        {"max_output_tokens": 9, "sampling": Sampling(temperature=0.5, top_p=0.9), "stream": True},
    ),
    "effort and summary": (
        {"reasoning": {"effort": "high", "summary": "auto"}},
        {"reasoning": ReasoningConfig("on", "high", display="auto")},
    ),
    "no effort": ({"reasoning": {"effort": "none"}}, {"reasoning": ReasoningConfig("off", "none")}),
    "nothing about reasoning": ({"reasoning": {"effort": None}}, {"reasoning": None}),
    "a format": (
        {
            "text": {
                "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True},
                "verbosity": "low",
            }
        },
        {
            "output_format": OutputFormat("json_schema", {"type": "object"}, "n", strict=True),
            "verbosity": "low",
        },
    ),
    "the contract's response_format": (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object"}},
            }
        },
        {"output_format": OutputFormat("json_schema", {"type": "object"}, "n")},
    ),
    "the contract's json_object": (
        {"response_format": {"type": "json_object"}},
        {"output_format": OutputFormat("json_object")},
    ),
    "who and where": (
        {
            "safety_identifier": "s",
            "user": "u",
            "metadata": {"a": "b"},
            "service_tier": "flex",
            "prompt_cache_key": "k",
            "store": False,
        },
        {
            "user_id": "s",
            "metadata": {"a": "b"},
            "service_tier": "flex",
            "prompt_cache_key": "k",
            "store": False,
        },
    ),
    "the older name of the user": ({"user": "u"}, {"user_id": "u"}),
    "log probabilities of the chosen tokens": (
        {"include": ["message.output_text.logprobs"]},
        {"logprobs": 0},
    ),
    "and of others": ({"top_logprobs": 3}, {"logprobs": 3}),
    "a choice of mode": (
        {"tool_choice": "required", "parallel_tool_calls": False},
        {"tool_choice": t.ToolChoice("required", parallel=False)},
    ),
    "a named tool": (
        {"tool_choice": {"type": "custom", "name": "g"}},
        {"tool_choice": t.ToolChoice("named", ("g",), "custom")},
    ),
    "allowed tools": (
        {
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}],
            }
        },
        {"tool_choice": t.ToolChoice("auto", ("f", "web_search"))},
    ),
}


@pytest.mark.parametrize("name", MEMBERS)
def test_members_are_the_hubs(name: str) -> None:
    members, expected = MEMBERS[name]
    request = plain(read(**members))
    assert {key: getattr(request, key) for key in expected} == expected


FUNCTION = {
    "type": "function",
    "name": "f",
    "description": "d",
    "parameters": {"type": "object"},
    "strict": True,
}
TOOLS: dict[str, tuple[list[dict[str, Any]], tuple[t.Tool, ...]]] = {
    "a function": ([FUNCTION], (t.FunctionTool("f", "d", {"type": "object"}, True),)),
    "a free-form tool with a grammar": (
        [{"type": "custom", "name": "g", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}],
        (t.CustomTool("g", None, "lark", "x"),),
    ),
    "a namespace": (
        [
            {
                "type": "namespace",
                "name": "crm",
                "description": "customers",
                "tools": [
                    {"type": "function", "name": "find", "description": "finds"},
                    {"type": "custom", "name": "note"},
                ],
            }
        ],
        (
            t.FunctionTool("crm__find", "[Tools of crm: customers]\n\nfinds"),
            t.CustomTool("crm__note"),
        ),
    ),
    "web search alone is what the request is about": (
        [
            {
                "type": "web_search_preview",
                "search_context_size": "low",
                "filters": {"allowed_domains": ["a.test"]},
                "user_location": {"type": "approximate", "city": "Rome", "region": None},
            }
        ],
        (
            t.WebSearchTool(
                allowed_domains=("a.test",),
                user_location={"city": "Rome"},
                context_size="low",
                optional=False,
            ),
        ),
    ),
    "beside an agent's own tools it is an extra, and so are others": (
        [FUNCTION, {"type": "web_search"}, {"type": "image_generation"}],
        (
            t.FunctionTool("f", "d", {"type": "object"}, True),
            t.WebSearchTool(optional=True),
            t.ForeignTool(
                OWN, "image_generation", "image_generation", {"type": "image_generation"}, optional=True
            ),
        ),
    ),
    "tools that the client runs or that hold its data never are": (
        [FUNCTION, {"type": "local_shell"}, {"type": "file_search", "vector_store_ids": []}],
        (
            t.FunctionTool("f", "d", {"type": "object"}, True),
            t.ForeignTool(OWN, "local_shell", "local_shell", {"type": "local_shell"}),
            t.ForeignTool(OWN, "file_search", "file_search", {"type": "file_search", "vector_store_ids": []}),
        ),
    ),
}


@pytest.mark.parametrize("name", TOOLS)
def test_tools_are_the_hubs(name: str) -> None:
    tools, expected = TOOLS[name]
    assert plain(read(tools=tools).tools) == expected


def test_calls_and_choices_of_a_namespace_are_under_its_flat_names() -> None:
    tools = [
        {"type": "function", "name": "a__f", "parameters": None},
        {
            "type": "namespace",
            "name": "a",
            "description": "",
            "tools": [{"type": "function", "name": name} for name in ("f", "only")],
        },
    ]
    request = read(
        {**CALL, "namespace": "a"},
        {**CALL, "call_id": "c2", "name": "gone", "namespace": "b"},
        tools=tools,
        tool_choice={"type": "function", "name": "only"},
    )
    names = [tool.name for tool in request.tools if isinstance(tool, t.FunctionTool)]
    calls = [part.name for part in request.turns[0].parts if isinstance(part, c.ToolCallPart)]
    # The plain function has the name first, so the tool of the namespace gets another.
    assert names[0] == "a__f"
    assert names[1].startswith("a__f_")
    assert calls == [names[1], "b__gone"]
    assert request.tool_choice is not None
    assert request.tool_choice.names == ("a__only",)


def test_tools_that_an_item_adds_join_the_others() -> None:
    request = read(USER, {"type": "additional_tools", "role": "developer", "tools": [FUNCTION]})
    assert [tool.name for tool in request.tools if isinstance(tool, t.FunctionTool)] == ["f"]


def test_settings_that_change_nothing_make_no_noise() -> None:
    request = read(
        client_metadata={"x": "y"},
        truncation="disabled",
        include=["reasoning.encrypted_content"],
        stream_options={},
    )
    assert [key for key in request.extras.get(OWN, {}) if not key.startswith("_")] == []


REFUSED: dict[str, dict[str, Any]] = {
    "background": {"background": True},
    "conversation": {"conversation": "conv_1"},
    "prompt": {"prompt": {"id": "pmpt_1"}},
    "previous_response_id": {"previous_response_id": "resp_1"},
    "tool_choice": {"tool_choice": {"type": "file_search"}, "tools": [{"type": "file_search"}]},
    "input": {"input": [{"type": "item_reference", "id": "msg_1"}]},
    "response_format": {"response_format": {"type": "grammar"}},
}


@pytest.mark.parametrize("param", REFUSED)
def test_what_no_other_provider_can_do_is_refused_clearly(param: str) -> None:
    with pytest.raises(UnsupportedFeature) as raised:
        DIALECT.read_request(body(**REFUSED[param]))
    assert raised.value.param == param


WRONG: dict[str, dict[str, Any]] = {
    "model": {"model": ""},
    "input": {"input": None},
    "input[0].role": {"input": [{"role": "robot", "content": "x"}]},
    "input[0].content": {"input": [{"role": "user"}]},
    "input[0].content[0].image_url": {
        "input": [{"role": "user", "content": [{"type": "input_image", "image_url": "nowhere"}]}]
    },
    "input[0].output": {"input": [{"type": "function_call_output", "call_id": "c"}]},
    "input[0].type": {"input": [{}]},
    "tools[0].tools[0].type": {
        "tools": [{"type": "namespace", "name": "n", "tools": [{"type": "web_search"}]}]
    },
    "tool_choice": {"tool_choice": "maybe"},
    "text.format.schema": {"text": {"format": {"type": "json_schema", "name": "n"}}},
    "reasoning.effort": {"reasoning": {"effort": 3}},
    "top_logprobs": {"top_logprobs": 21},
    "max_output_tokens": {"max_output_tokens": 0},
}


@pytest.mark.parametrize("param", WRONG)
def test_an_error_names_the_member_at_fault(param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        DIALECT.read_request(body(**WRONG[param]))
    assert raised.value.param == param
