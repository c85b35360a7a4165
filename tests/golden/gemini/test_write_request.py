"""Hub requests, as they go to a Gemini upstream: one row per rule, and every row valid by the SDK's types."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types
from msgspec import structs

from bytespike.core import content as c
from bytespike.core.dialect import Target, Written
from bytespike.core.request import ChatRequest, OutputFormat, ReasoningConfig, Sampling
from bytespike.core.tools import CustomTool, ForeignTool, FunctionTool, ToolChoice, WebSearchTool
from bytespike.errors import InvalidRequest, UnsupportedFeature
from bytespike.protocols.gemini import DIALECT
from bytespike.protocols.gemini.contents_out import FOREIGN_SIGNATURE
from tests.support.gemini_traffic import NEWER, OLDER

OLD = Target("gemini-2.5-flash", "gemini", OLDER, 65_536)
OLD_PRO = Target("gemini-2.5-pro", "gemini", OLDER, 65_536)
NEW = Target("gemini-3.5-flash", "gemini", NEWER, 65_536)
NEW_PRO = Target("gemini-3.1-pro-preview", "gemini", NEWER, 65_536)
PLAIN = Target("gemma-4", "gemini", frozenset(), 8192)
HI = c.Turn("user", (c.TextPart("hi"),))
HI_WIRE = {"role": "user", "parts": [{"text": "hi"}]}
PNG = c.Base64Source("image/png", "iVBORw0KGgo=")
F = FunctionTool("f", "d", {"type": "object", "properties": {"a": {"type": "string"}}})
CALL = c.ToolCallPart("1", "f", '{"a": 1}')


def write(request: ChatRequest, target: Target = OLD) -> tuple[dict[str, Any], Written]:
    written = DIALECT.write_request(request, target)
    told = json.loads(written.body)
    valid(told)
    return told, written


def valid(told: dict[str, Any]) -> None:
    for content in told["contents"]:
        types.Content.model_validate(content)
    for tool in told.get("tools", []):
        types.Tool.model_validate(tool)
    types.Content.model_validate(told.get("systemInstruction", {}))
    types.ToolConfig.model_validate(told.get("toolConfig", {}))
    types.GenerationConfig.model_validate(told.get("generationConfig", {}))


def ask(*turns: c.Turn, **members: Any) -> ChatRequest:
    return ChatRequest("m", turns or (HI,), **members)


def said(written: Written) -> list[str]:
    return [f"{notice.feature}: {notice.action}" for notice in written.notices]


def contents(*turns: c.Turn, target: Target = OLD) -> list[Any]:
    return write(ask(*turns), target)[0]["contents"]


def user(*parts: c.Part) -> c.Turn:
    return c.Turn("user", parts)


def model(*parts: c.Part) -> c.Turn:
    return c.Turn("assistant", parts)


# --- contents ----------------------------------------------------------------------------------------------------


def test_a_plain_request_is_contents_and_nothing_else() -> None:
    told, written = write(ask())
    assert told == {"contents": [HI_WIRE]}
    assert written.notices == ()


def test_the_system_prompt_is_the_system_instruction() -> None:
    told, _ = write(ask(system=(c.TextPart("a"), c.TextPart("b"))))
    assert told["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}


def test_a_request_that_is_all_system_prompt_asks_it_as_the_user() -> None:
    told, written = write(ChatRequest("m", (), (c.TextPart("a"),)))
    assert told == {"contents": [{"role": "user", "parts": [{"text": "a"}]}]}
    assert said(written) == ["messages.role: approximated"]
    with pytest.raises(InvalidRequest):
        write(ChatRequest("m", ()))


def test_a_later_system_turn_becomes_text_of_the_user() -> None:
    told, written = write(ask(HI, model(c.TextPart("yes")), c.Turn("system", (c.TextPart("be brief"),))))
    assert told["contents"][2] == {"role": "user", "parts": [{"text": "be brief"}]}
    assert said(written) == ["messages.role: approximated"]


def test_turns_that_hold_nothing_are_left_out_and_empty_texts_are_not() -> None:
    assert contents(HI, model(), user(c.TextPart(""))) == [HI_WIRE, {"role": "user", "parts": [{"text": ""}]}]


@pytest.mark.parametrize(
    ("part", "wire"),
    [
        (c.ImagePart(PNG), {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}),
        (c.ImagePart(c.Base64Source("", "/9j/AA==")), {"inlineData": {"mimeType": "image/jpeg", "data": "/9j/AA=="}}),
        (c.ImagePart(c.UrlSource("data:image/webp;base64,UklGRg==")), {"inlineData": {"mimeType": "image/webp", "data": "UklGRg=="}}),
        (c.ImagePart(c.UrlSource("https://x.org/a")), {"fileData": {"fileUri": "https://x.org/a"}}),
        (c.DocumentPart(c.UrlSource("https://x.org/a.pdf")), {"fileData": {"fileUri": "https://x.org/a.pdf", "mimeType": "application/pdf"}}),
        (c.DocumentPart(c.Base64Source("application/pdf", "JVBE")), {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}}),
        (c.DocumentPart(c.TextSource("t"), title="T", context="C"), {"text": "[document: T]\nC\n\nt"}),
        (c.AudioPart(c.Base64Source("", "AAAA"), "mp3"), {"inlineData": {"mimeType": "audio/mpeg", "data": "AAAA"}}),
        (c.SearchResultPart("https://x.org", "T", (c.TextPart("body"),)), {"text": "T\nhttps://x.org\n\nbody"}),
        (c.RefusalPart("no"), {"text": "no"}),
    ],
)  # fmt: skip
def test_content_is_written(part: c.Part, wire: Any) -> None:
    assert contents(user(part)) == [{"role": "user", "parts": [wire]}]


@pytest.mark.parametrize(
    ("part", "target", "why"),
    [
        (c.ImagePart(PNG), PLAIN, "no images"),
        (c.AudioPart(PNG, "wav"), PLAIN, "no audio"),
        (c.DocumentPart(PNG), PLAIN, "no documents"),
        (c.ImagePart(c.FileSource("file-1", "openai_chat")), OLD, "uploaded to one provider"),
        (c.ForeignPart("openai_chat", "hologram", {}), OLD, "hologram"),
        (c.ImagePart(c.UrlSource("https://x.org/a")), structs.replace(OLD, quirks=frozenset({"no_file_urls"})), "fetch"),
    ],
)  # fmt: skip
def test_content_that_cannot_be_carried_is_refused(part: c.Part, target: Target, why: str) -> None:
    with pytest.raises(UnsupportedFeature, match=why):
        write(ask(user(part)), target)


def test_the_detail_of_an_image_is_its_resolution_on_models_that_have_one() -> None:
    image = c.ImagePart(PNG, "low")
    assert contents(user(image), target=NEW)[0]["parts"][0]["mediaResolution"] == {
        "level": "MEDIA_RESOLUTION_LOW"
    }
    assert said(write(ask(user(image)))[1]) == ["image_url.detail: dropped"]


# --- calls and results ---------------------------------------------------------------------------------------------


def test_results_stand_together_directly_behind_their_calls() -> None:
    second = c.ToolCallPart("2", "g", "")
    got = contents(
        HI,
        model(CALL, second),
        user(c.ToolResultPart("2", (c.TextPart("two"),)), c.TextPart("and")),
        user(c.TextPart("then"), c.ToolResultPart("1", (c.TextPart("one"),), is_error=True)),
    )
    assert got[1]["parts"] == [
        {"functionCall": {"name": "f", "args": {"a": 1}, "id": "1"}},
        {"functionCall": {"name": "g", "args": {}, "id": "2"}},
    ]
    assert got[2]["parts"] == [
        {"functionResponse": {"name": "g", "response": {"output": "two"}, "id": "2"}},
        {"functionResponse": {"name": "f", "response": {"error": "one"}, "id": "1"}},
        {"text": "and"},
        {"text": "then"},
    ]
    assert len(got) == 3


def test_arguments_go_out_verbatim_or_wrapped() -> None:
    told, written = write(
        ask(HI, model(c.ToolCallPart("1", "f", '{"a": 1.50}'), c.ToolCallPart("2", "f", '{"a')))
    )
    body = written.body.decode()
    assert '"args":{"a": 1.50}' in body
    assert told["contents"][1]["parts"][1]["functionCall"]["args"] == {"invalid_arguments": '{"a'}
    assert said(written) == ["tool_calls.arguments: approximated"]


def test_ids_are_left_out_for_targets_that_take_none() -> None:
    bare = structs.replace(OLD, quirks=frozenset({"no_call_ids"}))
    got = contents(HI, model(CALL), user(c.ToolResultPart("1", (c.TextPart("x"),))), target=bare)
    assert "id" not in json.dumps(got)
    assert got[2]["parts"][0]["functionResponse"]["name"] == "f"


def test_pictures_in_a_result_are_parts_of_it_or_follow_it() -> None:
    turns = (HI, model(CALL), user(c.ToolResultPart("1", (c.TextPart("see"), c.ImagePart(PNG)))))
    blob = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    (new,) = contents(*turns, target=NEW)[2]["parts"]
    assert new["functionResponse"]["parts"] == [blob]
    told, written = write(ask(*turns))
    assert told["contents"][2]["parts"][1] == blob
    assert "tool_result: approximated" in said(written)


def test_the_first_call_of_another_model_gets_the_documented_signature_from_gemini_3_on() -> None:
    second = c.ToolCallPart("2", "f", "{}")
    parts = contents(HI, model(CALL, second), target=NEW)[1]["parts"]
    assert parts[0]["thoughtSignature"] == FOREIGN_SIGNATURE
    assert "thoughtSignature" not in parts[1]
    assert "thoughtSignature" not in json.dumps(contents(HI, model(CALL, second)))


def test_googles_own_signature_goes_back_on_the_call() -> None:
    signed = structs.replace(CALL, proof=c.Proof("gemini", "c2ln"))
    assert contents(HI, model(signed), target=NEW)[1]["parts"][0]["thoughtSignature"] == "c2ln"


# --- reasoning of the past -----------------------------------------------------------------------------------------


def test_reasoning_goes_back_only_with_googles_own_proof() -> None:
    told, written = write(
        ask(
            HI,
            model(
                c.ReasoningPart("mine", c.Proof("gemini", "c2ln")),
                c.ReasoningPart("theirs", c.Proof("anthropic_messages", "x")),
                c.ReasoningPart("nobody's"),
                c.TextPart("so"),
            ),
        )
    )
    assert told["contents"][1]["parts"] == [
        {"text": "mine", "thought": True, "thoughtSignature": "c2ln"},
        {"text": "so"},
    ]
    assert said(written) == ["messages.reasoning: dropped"]


def test_a_proof_without_text_goes_onto_the_text_behind_it_or_stands_alone() -> None:
    proof = c.ReasoningPart(proof=c.Proof("gemini", "c2ln"))
    assert contents(HI, model(proof, c.TextPart("x")))[1]["parts"] == [
        {"text": "x", "thoughtSignature": "c2ln"}
    ]
    assert contents(HI, model(c.TextPart("x"), proof))[1]["parts"] == [
        {"text": "x"},
        {"text": "", "thoughtSignature": "c2ln"},
    ]


def test_tools_that_ran_at_another_provider_are_dropped_and_noticed() -> None:
    search = c.ServerToolCallPart("s", "web_search", "{}", "anthropic_messages")
    _, written = write(ask(HI, model(search, c.TextPart("x"))))
    assert said(written) == ["server tool history: dropped"]


# --- tools -------------------------------------------------------------------------------------------------------


def test_functions_take_json_schema_as_it_is() -> None:
    schema: Any = {
        "type": "object",
        "$defs": {"N": {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}}},
        "properties": {"n": {"$ref": "#/$defs/N", "description": "x"}, "k": {"const": 3}, "o": {"type": ["string", "null"]}},
        "additionalProperties": False,
    }  # fmt: skip
    told, written = write(ask(tools=(FunctionTool("f", None, schema, strict=True), FunctionTool("g"))))
    f, g = told["tools"][0]["functionDeclarations"]
    assert f["parametersJsonSchema"] == schema | {
        "properties": {"n": {"$ref": "#/$defs/N"}, "k": {"enum": [3]}, "o": {"type": ["string", "null"]}}
    }
    assert g == {"name": "g"}
    assert said(written) == ["tools.strict: dropped"]


def test_for_targets_without_json_schema_references_are_put_in_place() -> None:
    target = structs.replace(OLD, quirks=frozenset({"openapi_schema"}))
    schema: Any = {
        "type": "object",
        "$defs": {"N": {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}}, "S": {"type": ["string", "null"]}},
        "properties": {"n": {"$ref": "#/$defs/N"}, "s": {"$ref": "#/$defs/S"}, "k": {"const": "a"}, "e": {"enum": [1, 2]},
                       "u": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
        "additionalProperties": False,
    }  # fmt: skip
    told, written = write(ask(tools=(FunctionTool("f", None, schema),)), target)
    assert told["tools"][0]["functionDeclarations"][0]["parameters"] == {
        "type": "OBJECT",
        "properties": {
            "n": {"type": "OBJECT", "properties": {"n": {"type": "OBJECT"}}},
            "s": {"type": "STRING", "nullable": True},
            "k": {"enum": ["a"], "type": "STRING"},
            "e": {"description": "one of: 1, 2"},
            "u": {"type": "INTEGER", "nullable": True},
        },
    }
    assert said(written) == ["tools[0].parameters: approximated"]


def test_a_free_form_tool_becomes_a_function_with_one_string() -> None:
    told, written = write(ask(tools=(CustomTool("f", "d", "lark", "start: x"),)))
    (function,) = told["tools"][0]["functionDeclarations"]
    assert function["parametersJsonSchema"]["required"] == ["input"]
    assert "start: x" in function["description"]
    assert said(written) == ["tools[0]: approximated"]


def test_web_search_is_google_search_and_tells_what_it_cannot() -> None:
    tool = WebSearchTool(max_uses=3, user_location={"city": "x"}, context_size="low")
    told, written = write(ask(tools=(tool,)))
    assert told["tools"] == [{"googleSearch": {}}]
    assert said(written) == [
        f"web_search.{name}: dropped" for name in ("max_uses", "user_location", "search_context_size")
    ]


def test_functions_and_search_together_are_asked_for_or_refused() -> None:
    told, _ = write(ask(tools=(F, WebSearchTool())), NEW)
    assert told["toolConfig"] == {"includeServerSideToolInvocations": True}
    with pytest.raises(UnsupportedFeature, match="cannot combine"):
        write(ask(tools=(F, WebSearchTool())))


@pytest.mark.parametrize(
    ("tool", "target", "why"),
    [
        (F, PLAIN, "cannot call tools"),
        (WebSearchTool(), PLAIN, "no web search"),
        (WebSearchTool(allowed_domains=("x.org",)), OLD, "restricted"),
        (WebSearchTool(blocked_domains=("x.org",)), OLD, "leave out"),
        (ForeignTool("anthropic_messages", "bash_20250124", "bash", {}), OLD, "own provider"),
        (FunctionTool("1f"), OLD, "must begin"),
        (FunctionTool("f" * 129), OLD, "at most"),
    ],
)
def test_tools_that_the_target_lacks_are_refused(tool: Any, target: Target, why: str) -> None:
    with pytest.raises(UnsupportedFeature, match=why):
        write(ask(tools=(tool,)), target)


def test_an_optional_tool_of_another_provider_is_left_out_with_a_notice() -> None:
    tools = (ForeignTool("anthropic_messages", "x", "x", {}, optional=True), WebSearchTool(optional=True), F)
    target = structs.replace(OLD, capabilities=OLDER - {"web_search"})
    told, written = write(ask(tools=tools), target)
    assert [list(tool) for tool in told["tools"]] == [["functionDeclarations"]]
    assert said(written) == ["tools[0]: dropped", "tools[1]: dropped"]


@pytest.mark.parametrize(
    ("choice", "wire", "notices"),
    [
        (ToolChoice("auto"), {"mode": "AUTO"}, []),
        (ToolChoice("none"), {"mode": "NONE"}, []),
        (ToolChoice("required"), {"mode": "ANY"}, []),
        (ToolChoice("named", ("f",)), {"mode": "ANY", "allowedFunctionNames": ["f"]}, []),
        (ToolChoice("required", ("f",)), {"mode": "ANY", "allowedFunctionNames": ["f"]}, []),
        (ToolChoice("auto", ("f",)), {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}, []),
        (ToolChoice(parallel=False), None, ["parallel_tool_calls: dropped"]),
    ],
)
def test_the_tool_choice_is_written(choice: ToolChoice, wire: Any, notices: list[str]) -> None:
    told, written = write(ask(tools=(F,), tool_choice=choice))
    assert told.get("toolConfig", {}).get("functionCallingConfig") == wire
    assert said(written) == notices


# --- configuration -------------------------------------------------------------------------------------------------


def config(target: Target = OLD, **members: Any) -> tuple[dict[str, Any], list[str]]:
    told, written = write(ask(**members), target)
    return told.get("generationConfig", {}), said(written)


def test_sampling_limits_and_stops_are_written() -> None:
    got, notices = config(
        sampling=Sampling(0.5, 0.9, 40, 0.1, 0.2, 7, {"1": 2}), max_output_tokens=10, stop=("a",), candidates=2, logprobs=3
    )  # fmt: skip
    assert got == {
        "maxOutputTokens": 10, "temperature": 0.5, "topP": 0.9, "topK": 40, "seed": 7, "frequencyPenalty": 0.1,
        "presencePenalty": 0.2, "stopSequences": ["a"], "candidateCount": 2, "responseLogprobs": True, "logprobs": 3,
    }  # fmt: skip
    assert notices == ["logit_bias: dropped"]


def test_a_limit_over_the_models_is_lowered() -> None:
    assert config(max_output_tokens=10**6) == ({"maxOutputTokens": 65_536}, ["max_tokens: approximated"])


def test_too_many_stops_and_answers_are_refused() -> None:
    for members in ({"stop": tuple("abcdef")}, {"candidates": 9}):
        with pytest.raises(UnsupportedFeature):
            config(**members)


def test_knobs_that_google_lacks_are_dropped_and_noticed() -> None:
    _, notices = config(
        PLAIN, user_id="u", metadata={"a": "b"}, verbosity="low", prompt_cache_key="k", store=True, service_tier="scale",
        logprobs=0, cache=c.CacheMark(),
    )  # fmt: skip
    assert [notice.split(":")[0] for notice in notices] == [
        "logprobs", "store", "service_tier", "user_id", "metadata", "verbosity", "prompt_cache_key", "cache_control",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "wanted", "wire", "noticed"),
    [
        (OLD, ReasoningConfig("on", "low"), {"thinkingBudget": 2048, "includeThoughts": True}, False),
        (OLD, ReasoningConfig("on", "max"), {"thinkingBudget": 24_576, "includeThoughts": True}, False),
        (
            OLD,
            ReasoningConfig("on", budget_tokens=1024),
            {"thinkingBudget": 1024, "includeThoughts": True},
            False,
        ),
        (
            OLD,
            ReasoningConfig("on", budget_tokens=32_000),
            {"thinkingBudget": 24_576, "includeThoughts": True},
            True,
        ),
        (
            OLD_PRO,
            ReasoningConfig("on", budget_tokens=32_000),
            {"thinkingBudget": 32_000, "includeThoughts": True},
            False,
        ),
        (OLD, ReasoningConfig("adaptive"), {"thinkingBudget": -1, "includeThoughts": True}, False),
        (OLD, ReasoningConfig("off"), {"thinkingBudget": 0}, False),
        (OLD_PRO, ReasoningConfig("off", "none"), {"thinkingBudget": 128}, True),
        (
            OLD,
            ReasoningConfig("on", "low", display="omitted"),
            {"thinkingBudget": 2048, "includeThoughts": False},
            False,
        ),
        (NEW, ReasoningConfig("on", "minimal"), {"thinkingLevel": "MINIMAL", "includeThoughts": True}, False),
        (NEW_PRO, ReasoningConfig("on", "minimal"), {"thinkingLevel": "LOW", "includeThoughts": True}, True),
        (NEW, ReasoningConfig("on", "xhigh"), {"thinkingLevel": "HIGH", "includeThoughts": True}, True),
        (
            NEW,
            ReasoningConfig("on", budget_tokens=8000),
            {"thinkingLevel": "MEDIUM", "includeThoughts": True},
            True,
        ),
        (NEW, ReasoningConfig("adaptive"), {"includeThoughts": True}, False),
        (NEW, ReasoningConfig("off"), {"thinkingLevel": "MINIMAL"}, True),
        (NEW_PRO, ReasoningConfig("off"), {"thinkingLevel": "LOW"}, True),
        (PLAIN, ReasoningConfig("on", "high"), None, True),
        (PLAIN, ReasoningConfig("off"), None, False),
        (OLD, ReasoningConfig(), None, False),
    ],
)
def test_thinking_is_written_by_budget_or_by_level(
    target: Target, wanted: ReasoningConfig, wire: Any, noticed: bool
) -> None:
    got, notices = config(target, reasoning=wanted)
    assert got.get("thinkingConfig") == wire
    assert bool(notices) == noticed


def test_a_level_of_a_gemini_client_is_a_budget_on_an_older_model() -> None:
    body = {"contents": [HI_WIRE], "generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}}
    request = DIALECT.read_request(json.dumps(body).encode())
    assert json.loads(DIALECT.write_request(request, NEW).body) == body
    told = json.loads(DIALECT.write_request(request, OLD).body)
    assert told["generationConfig"]["thinkingConfig"] == {"thinkingBudget": 2048, "includeThoughts": True}


def test_output_formats_are_written() -> None:
    schema: Any = {"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}}
    assert config(output_format=OutputFormat("text")) == ({"responseMimeType": "text/plain"}, [])
    assert config(output_format=OutputFormat("json_object")) == ({"responseMimeType": "application/json"}, [])
    assert config(output_format=OutputFormat("json_schema", schema, "n", strict=True)) == (
        {"responseMimeType": "application/json", "responseJsonSchema": schema},
        ["response_format.schema: approximated"],
    )
    with pytest.raises(UnsupportedFeature, match="JSON schema"):
        config(PLAIN, output_format=OutputFormat("json_schema", schema))


def test_service_tiers_have_googles_names() -> None:
    for tier, wire in (
        ("default", "standard"),
        ("flex", "flex"),
        ("priority", "priority"),
        ("standard_only", "standard"),
    ):
        assert write(ask(service_tier=tier))[0]["serviceTier"] == wire
    assert "serviceTier" not in write(ask(service_tier="auto"))[0]
