"""What a client of Gemini native sends, in the hub's terms."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.core import content as c
from bytespike.core.request import ChatRequest, OutputFormat, ReasoningConfig, Sampling
from bytespike.core.tools import ForeignTool, FunctionTool, ToolChoice, WebSearchTool
from bytespike.errors import InvalidRequest, UnsupportedFeature
from bytespike.protocols.gemini import DIALECT
from bytespike.protocols.gemini.envelope import Sealed, seal
from bytespike.protocols.gemini.request_in import read_count_request
from bytespike.protocols.registry import DIALECTS
from tests.support.gemini_traffic import target_for

HI = {"role": "user", "parts": [{"text": "hi"}]}


def read(body: dict[str, Any]) -> ChatRequest:
    return DIALECT.read_request(json.dumps(body).encode())


def say(*parts: Any, role: str | None = "user") -> list[dict[str, Any]]:
    return [{"parts": list(parts)} | ({"role": role} if role else {})]


def parts_of(*parts: Any, role: str = "user") -> tuple[c.Part, ...]:
    return read({"contents": say(*parts, role=role)}).turns[0].parts


def bare(part: c.Part) -> c.Part:
    return part if isinstance(part, c.ForeignPart) else type(part)(**_members(part))


def _members(part: Any) -> dict[str, Any]:
    return {name: getattr(part, name) for name in part.__struct_fields__ if name != "extras"}


# --- contents ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "contents",
    [
        [HI],
        [{"parts": [{"text": "hi"}]}],
        HI,
        {"text": "hi"},
        "hi",
        ["hi"],
        [{"text": "hi"}],
        [{"role": "USER", "parts": {"text": "hi"}}],
        [{"role": "user", "parts": ["hi"]}],
    ],
)
def test_every_form_that_sdks_make_of_contents_is_the_same_turn(contents: Any) -> None:
    (turn,) = read({"contents": contents}).turns
    assert (turn.role, turn.parts) == ("user", (c.TextPart("hi"),))


@pytest.mark.parametrize(
    "system", [{"parts": [{"text": "be"}]}, {"text": "be"}, "be", [{"text": "be"}], {"role": "user", "parts": [{"text": "be"}]}]
)  # fmt: skip
@pytest.mark.parametrize("key", ["systemInstruction", "system_instruction"])
def test_the_system_instruction_may_be_a_content_a_part_a_list_or_text(system: Any, key: str) -> None:
    assert read({"contents": [HI], key: system}).system == (c.TextPart("be"),)


def test_roles_are_user_model_and_the_older_function() -> None:
    request = read(
        {
            "contents": [
                *say({"text": "a"}),
                *say({"functionCall": {"name": "f", "args": {}}}, role="model"),
                *say({"functionResponse": {"name": "f", "response": {"output": "x"}}}, role="function"),
                *say({"text": "s"}, role="system"),
            ]
        }
    )
    assert [turn.role for turn in request.turns] == ["user", "assistant", "user", "system"]


# --- parts -------------------------------------------------------------------------------------------------------

INLINE = {"mimeType": "image/png", "data": "iVBO"}
ROWS: list[tuple[str, dict[str, Any], c.Part]] = [
    ("text", {"text": "x"}, c.TextPart("x")),
    ("image", {"inlineData": INLINE}, c.ImagePart(c.Base64Source("image/png", "iVBO"))),
    ("snake image", {"inline_data": {"mime_type": "image/png", "data": "iVBO"}}, c.ImagePart(c.Base64Source("image/png", "iVBO"))),
    ("image by URL", {"fileData": {"fileUri": "https://x.org/a.jpg", "mimeType": "image/jpeg"}},
     c.ImagePart(c.UrlSource("https://x.org/a.jpg", "image/jpeg"))),
    ("image by URL without a type", {"file_data": {"file_uri": "https://x.org/a.jpg"}},
     c.ImagePart(c.UrlSource("https://x.org/a.jpg", "image/jpeg"))),
    ("uploaded image", {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/a", "mimeType": "image/png"}},
     c.ImagePart(c.FileSource("https://generativelanguage.googleapis.com/v1beta/files/a", "gemini"))),
    ("cloud storage", {"fileData": {"fileUri": "gs://b/a.pdf", "mimeType": "application/pdf"}},
     c.DocumentPart(c.FileSource("gs://b/a.pdf", "gemini"))),
    ("pdf", {"inlineData": {"mimeType": "application/pdf", "data": "JV"}}, c.DocumentPart(c.Base64Source("application/pdf", "JV"))),
    ("audio", {"inlineData": {"mimeType": "audio/mpeg", "data": "AA"}}, c.AudioPart(c.Base64Source("audio/mpeg", "AA"), "mp3")),
    ("resolution", {"inlineData": INLINE, "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"}},
     c.ImagePart(c.Base64Source("image/png", "iVBO"), "low")),
    ("thought", {"text": "hm", "thought": True}, c.ReasoningPart("hm")),
    ("signed thought", {"text": "hm", "thought": True, "thoughtSignature": "c2ln"}, c.ReasoningPart("hm", c.Proof("gemini", "c2ln"))),
    ("call", {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}}, c.ToolCallPart("1", "f", '{"a":1}')),
    ("signed call", {"function_call": {"id": "1", "name": "f"}, "thought_signature": "c2ln"},
     c.ToolCallPart("1", "f", "{}", proof=c.Proof("gemini", "c2ln"))),
    ("code", {"executableCode": {"language": "PYTHON", "code": "1", "id": "e"}},
     c.ServerToolCallPart("e", "code_execution", '{"language":"PYTHON","code":"1"}', "gemini")),
    ("code result", {"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "no", "id": "e"}},
     c.ServerToolResultPart("e", "codeExecutionResult", {"outcome": "OUTCOME_FAILED", "output": "no"}, "gemini", True)),
    ("search call", {"toolCall": {"id": "s", "toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["q"]}}},
     c.ServerToolCallPart("s", "web_search", '{"queries":["q"]}', "gemini")),
    ("video", {"fileData": {"fileUri": "https://youtu.be/x", "mimeType": "video/mp4"}, "videoMetadata": {"fps": 1}},
     c.ForeignPart("gemini", "video", {"fileData": {"fileUri": "https://youtu.be/x", "mimeType": "video/mp4"}, "videoMetadata": {"fps": 1}})),
    ("unknown", {"holodeck": {"on": True}}, c.ForeignPart("gemini", "holodeck", {"holodeck": {"on": True}})),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "part"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_part_is_read(wire: dict[str, Any], part: c.Part) -> None:
    (got,) = parts_of(wire, role="model")
    assert bare(got) == part


def test_a_signature_on_text_becomes_a_proof_of_its_own_before_it() -> None:
    assert parts_of({"text": "x", "thoughtSignature": "c2ln"}, role="model") == (
        c.ReasoningPart(proof=c.Proof("gemini", "c2ln")),
        c.TextPart("x"),
    )
    assert parts_of({"text": "", "thoughtSignature": "c2ln"}, role="model") == (
        c.ReasoningPart(proof=c.Proof("gemini", "c2ln")),
    )


@pytest.mark.parametrize(
    ("response", "text", "failed"),
    [
        ({"output": "x"}, "x", False),
        ({"result": "x"}, "x", False),
        ({"output": {"a": 1}}, '{"a":1}', False),
        ({"error": "bad"}, "bad", True),
        ({"error": "bad", "code": 3}, '{"error":"bad","code":3}', True),
        ({"temperature": 5}, '{"temperature":5}', False),
        ({}, "", False),
    ],
)
def test_a_function_response_is_text_and_may_have_failed(response: Any, text: str, failed: bool) -> None:
    (part,) = parts_of({"functionResponse": {"id": "1", "name": "f", "response": response}})
    assert isinstance(part, c.ToolResultPart)
    assert (part.content, part.is_error, part.name) == ((c.TextPart(text),), failed, "f")


def test_media_in_a_function_response_is_content_of_the_result() -> None:
    (part,) = parts_of(
        {
            "functionResponse": {
                "name": "f",
                "response": {"output": "see"},
                "parts": [{"inline_data": {"mime_type": "image/png", "data": "iVBO"}}],
            }
        }
    )
    assert isinstance(part, c.ToolResultPart)
    assert part.content == (c.TextPart("see"), c.ImagePart(c.Base64Source("image/png", "iVBO")))


# --- ids ---------------------------------------------------------------------------------------------------------


def _loop(*turns: tuple[str, list[Any]]) -> list[str]:
    """The ids of calls and results, in order."""
    request = read({"contents": [HI, *[{"role": role, "parts": parts} for role, parts in turns]]})
    return [
        part.id if isinstance(part, c.ToolCallPart) else part.call_id
        for turn in request.turns
        for part in turn.parts
        if isinstance(part, (c.ToolCallPart, c.ToolResultPart))
    ]


def _call(name: str, call_id: str | None = None) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": {}} | ({"id": call_id} if call_id else {})}


def _answer(name: str, call_id: str | None = None) -> dict[str, Any]:
    return {"functionResponse": {"name": name, "response": {}} | ({"id": call_id} if call_id else {})}


def test_calls_without_ids_are_known_by_their_place_and_results_by_name_and_order() -> None:
    calls = [_call("f"), _call("g"), _call("f")]
    answers = [_answer("g"), _answer("f"), _answer("f")]
    got = _loop(("model", calls), ("user", answers))
    assert got == ["call_1_0", "call_1_1", "call_1_2", "call_1_1", "call_1_0", "call_1_2"]


def test_a_longer_history_gives_the_same_ids() -> None:
    first = _loop(("model", [_call("f")]), ("user", [_answer("f")]))
    longer = _loop(
        ("model", [_call("f")]), ("user", [_answer("f")]), ("model", [_call("f")]), ("user", [_answer("f")])
    )
    assert longer[:2] == first
    assert longer[2] == longer[3] != longer[0]


def test_ids_that_are_told_win_over_order() -> None:
    got = _loop(
        ("model", [_call("f", "a"), _call("f", "b")]), ("user", [_answer("f", "b"), _answer("f", "a")])
    )
    assert got == ["a", "b", "b", "a"]


def test_a_result_whose_id_the_client_made_up_answers_the_call_that_had_none() -> None:
    assert _loop(("model", [_call("f")]), ("user", [_answer("f", "made-up")])) == ["call_1_0", "call_1_0"]
    assert _loop(("model", [_call("f", "a")]), ("user", [_answer("f", "b")])) == ["a", "b"]


# --- tools -------------------------------------------------------------------------------------------------------


def test_declarations_of_all_tools_are_functions_in_order() -> None:
    request = read(
        {
            "contents": [HI],
            "tools": [
                {"functionDeclarations": [{"name": "f", "description": "d", "parametersJsonSchema": {"type": "object"}}]},
                {"function_declarations": [{"name": "g", "parameters_json_schema": {"a_b": 1}}], "google_search": {}},
                {"codeExecution": {}},
            ],
        }
    )  # fmt: skip
    f, g, search, code = request.tools
    assert f == FunctionTool("f", "d", {"type": "object"})
    # A schema is the caller's data: its names stay as they are.
    assert g == FunctionTool("g", None, {"a_b": 1})
    assert isinstance(search, WebSearchTool)
    assert code == ForeignTool("gemini", "codeExecution", "codeExecution", {"codeExecution": {}})


def test_googles_schema_becomes_json_schema() -> None:
    schema = {
        "type": "OBJECT",
        "properties": {
            "my_list": {"type": "ARRAY", "items": {"type": "STRING", "nullable": True}, "min_items": "1"},
            "either": {"any_of": [{"type": "INTEGER"}, {"type": "NUMBER"}], "nullable": True},
            "kind": {"type": "STRING", "enum": ["a"], "format": "enum", "example": "a"},
        },
        "required": ["my_list"],
        "property_ordering": ["my_list"],
    }
    body = {"contents": [HI], "tools": [{"functionDeclarations": [{"name": "f", "parameters": schema}]}]}
    (tool,) = read(body).tools
    assert isinstance(tool, FunctionTool)
    assert tool.parameters == {
        "type": "object",
        "properties": {
            "my_list": {"type": "array", "items": {"type": ["string", "null"]}, "minItems": 1},
            "either": {"anyOf": [{"type": "integer"}, {"type": "number"}, {"type": "null"}]},
            "kind": {"type": "string", "enum": ["a"], "format": "enum", "examples": ["a"]},
        },
        "required": ["my_list"],
    }
    # The same dialect gets it back as it was.
    again = json.loads(DIALECT.write_request(read(body), target_for("gemini-2.5-flash")).body)
    assert again["tools"] == body["tools"]


@pytest.mark.parametrize(
    ("config", "mode", "names"),
    [
        ({"mode": "AUTO"}, "auto", ()),
        ({"mode": "any"}, "required", ()),
        ({"mode": "ANY", "allowedFunctionNames": ["f"]}, "named", ("f",)),
        ({"mode": "ANY", "allowed_function_names": ["f", "g"]}, "required", ("f", "g")),
        ({"mode": "NONE"}, "none", ()),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["f"]}, "auto", ("f",)),
        ({"mode": "MODE_UNSPECIFIED"}, None, ()),
    ],
)
def test_the_calling_config_is_the_tool_choice(config: Any, mode: Any, names: tuple[str, ...]) -> None:
    choice = read({"contents": [HI], "toolConfig": {"functionCallingConfig": config}}).tool_choice
    assert isinstance(choice, ToolChoice)
    assert (choice.mode, choice.names) == (mode, names)


# --- generationConfig ----------------------------------------------------------------------------------------------


def config(**members: Any) -> ChatRequest:
    return read({"contents": [HI], "generationConfig": members})


def test_sampling_and_limits_are_read_in_both_spellings() -> None:
    told = {
        "temperature": 0.5, "topP": 0.9, "top_k": 40.0, "maxOutputTokens": 7, "candidate_count": 2, "stopSequences": ["x"],
        "presencePenalty": 1, "frequency_penalty": 2, "seed": 3, "responseLogprobs": True, "logprobs": 4,
    }  # fmt: skip
    request = config(**told)
    assert request.sampling == Sampling(0.5, 0.9, 40, 2, 1, 3)
    assert (request.max_output_tokens, request.candidates, request.stop, request.logprobs) == (
        7,
        2,
        ("x",),
        4,
    )


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({"thinkingBudget": 0}, ReasoningConfig("off")),
        ({"thinking_budget": -1, "include_thoughts": False}, ReasoningConfig("adaptive", display="omitted")),
        ({"thinkingBudget": 100}, ReasoningConfig("on", budget_tokens=100)),
        (
            {"thinkingLevel": "HIGH", "includeThoughts": True},
            ReasoningConfig("on", "high", display="summarized"),
        ),
        ({"thinkingLevel": "low"}, ReasoningConfig("on", "low")),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, ReasoningConfig()),
        ({"includeThoughts": True}, ReasoningConfig("adaptive", display="summarized")),
    ],
)
def test_thinking_is_read_by_budget_and_by_level(told: Any, wanted: ReasoningConfig) -> None:
    got = config(thinkingConfig=told).reasoning
    assert got is not None
    assert (got.mode, got.effort, got.budget_tokens, got.display) == (
        wanted.mode, wanted.effort, wanted.budget_tokens, wanted.display,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({}, None),
        ({"responseMimeType": "text/plain"}, OutputFormat("text")),
        ({"response_mime_type": "application/json"}, OutputFormat("json_object")),
        (
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "string"}},
            OutputFormat("json_schema", {"type": "string"}),
        ),
        (
            {"responseMimeType": "application/json", "responseSchema": {"type": "STRING", "nullable": True}},
            OutputFormat("json_schema", {"type": ["string", "null"]}),
        ),
        (
            {"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a"]}},
            OutputFormat("json_schema", {"type": "string", "enum": ["a"]}),
        ),
    ],
)
def test_the_output_format_is_read(told: Any, wanted: OutputFormat | None) -> None:
    assert config(**told).output_format == wanted


def test_what_the_hub_lacks_is_kept_for_the_same_dialect_and_noticed_by_others() -> None:
    body = {
        "contents": [HI],
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "generationConfig": {"speechConfig": {"voiceConfig": {}}, "responseModalities": ["TEXT"], "imageConfig": {"aspectRatio": "1:1"}},
        "toolConfig": {"retrievalConfig": {"languageCode": "de"}},
        "labels": {"team_name": "x"},
        "serviceTier": "flex",
        "store": True,
        "futureMember": 1,
    }  # fmt: skip
    request = read(body)
    assert json.loads(DIALECT.write_request(request, target_for("gemini-2.5-flash")).body) == body
    chat = DIALECTS["openai_chat"].write_request(
        DIALECT.read_request(json.dumps(body).encode()), target_for("gemini-2.5-flash")
    )
    noticed = {notice.feature for notice in chat.notices}
    assert noticed >= {
        "safetySettings",
        "speechConfig",
        "imageConfig",
        "labels",
        "toolConfig.retrievalConfig",
    }
    # The default modality means nothing to another model.
    assert "responseModalities" not in noticed


def test_a_context_cache_passes_natively_and_is_refused_elsewhere() -> None:
    request = read({"contents": [HI], "cachedContent": "cachedContents/abc"})
    written = json.loads(DIALECT.write_request(request, target_for("gemini-2.5-flash")).body)
    assert (written["cachedContent"], written["contents"]) == ("cachedContents/abc", [HI])
    for name in ("openai_chat", "anthropic_messages"):
        with pytest.raises(UnsupportedFeature, match="cachedContent"):
            DIALECTS[name].write_request(request, target_for("gemini-2.5-flash"))


# --- other providers' proofs -----------------------------------------------------------------------------------


def test_foreign_proofs_come_home_out_of_their_seals_in_either_alphabet() -> None:
    sealed = seal(Sealed("anthropic_messages", "s>?~~sig", "rs_1", summary=True))
    for signature in (sealed, sealed.replace("+", "-").replace("/", "_").rstrip("=")):
        (part,) = parts_of({"text": "hm", "thought": True, "thoughtSignature": signature}, role="model")
        assert part == c.ReasoningPart(
            "hm", c.Proof("anthropic_messages", "s>?~~sig"), summary=True, id="rs_1"
        )


def test_a_damaged_seal_proves_nothing() -> None:
    sealed = seal(Sealed("anthropic_messages", "sig"))
    (part,) = parts_of({"text": "hm", "thought": True, "thoughtSignature": sealed[:30] + "!!"}, role="model")
    assert bare(part) == c.ReasoningPart("hm")


# --- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": [{"role": "bot", "parts": [{"text": "x"}]}]}, "contents[0].role"),
        ({"contents": [HI, {"parts": [{"text": 1}]}]}, "contents[1].parts[0]"),
        ({"contents": [{"parts": [{"functionCall": {"name": 3}}]}]}, "contents[0].parts[0].functionCall.name"),
        ({"contents": [{"parts": [{"functionResponse": {"response": {}}}]}]}, "contents[0].parts[0].functionResponse.name"),
        ({"contents": [{"parts": [{"inlineData": {"mimeType": "image/png"}}]}]}, "contents[0].parts[0].inlineData.data"),
        ({"contents": [HI], "generationConfig": {"temperature": "hot"}}, "generationConfig.temperature"),
        ({"contents": [HI], "generationConfig": {"maxOutputTokens": 0}}, "generationConfig.maxOutputTokens"),
        ({"contents": [HI], "generationConfig": {"thinkingConfig": {"thinkingLevel": "HUGE"}}}, "generationConfig.thinkingConfig.thinkingLevel"),
        ({"contents": [HI], "tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations[0].name"),
        ({"contents": [HI], "toolConfig": {"functionCallingConfig": {"mode": "MAYBE"}}}, "toolConfig.functionCallingConfig.mode"),
        ({"contents": [HI], "systemInstruction": 3}, "systemInstruction"),
    ],
)  # fmt: skip
def test_an_error_names_the_member_at_fault(body: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(body)
    assert caught.value.param == param or (caught.value.param or "").startswith(param)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"contents": "\xff"}', b'{"contents":' + b"[" * 500 + b"]" * 500 + b"}"]
)
def test_bytes_that_are_no_request_are_an_invalid_request(body: bytes) -> None:  # fmt: skip
    with pytest.raises(InvalidRequest):
        DIALECT.read_request(body)


def test_a_count_takes_contents_or_a_whole_request() -> None:
    plain = read_count_request(json.dumps({"contents": [HI]}).encode())
    whole = {"generateContentRequest": {"model": "models/x", "contents": [HI], "systemInstruction": "be"}}
    request = read_count_request(json.dumps(whole).encode())
    assert request.turns == plain.turns
    assert request.system == (c.TextPart("be"),)
