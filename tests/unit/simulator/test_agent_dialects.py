"""Scripted agents over HTTP: a task with a tool call and a second turn, through each vendor's own SDK."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic import Anthropic
from google import genai
from google.genai import types as t
from openai import OpenAI

from tests.support.simulator_agents import AIDER_BLOCKS, CLAUDE_CODE, CODEX, GEMINI_CLI, OPENCODE, Schema

TASK = "<context>As the client wraps it</context>\n[[agent: run echo hi]]"
WRITE = 'Do it: [[agent: write hello.txt "hello"]]'


def test_anthropic_messages(claude: Anthropic) -> None:
    tools: Any = [{"name": name, "input_schema": schema} for name, schema in CLAUDE_CODE.items()]
    settings: Any = {
        "model": "m",
        "max_tokens": 2000,
        "tools": tools,
        "system": "Working directory: /home/me/project",
    }
    task: Any = [{"role": "user", "content": [{"type": "text", "text": "<system-reminder>Be kind</system-reminder>"},
                                              {"type": "text", "text": WRITE}]}]  # fmt: skip
    first = claude.messages.create(messages=task, **settings)
    assert first.stop_reason == "tool_use"
    (call,) = first.content
    assert call.type == "tool_use"
    assert (call.name, call.input) == (
        "Write",
        {"file_path": "/home/me/project/hello.txt", "content": "hello"},
    )
    given: Any = [{"type": "tool_result", "tool_use_id": call.id, "content": "File created"},
                  {"type": "text", "text": "<system-reminder>Go on</system-reminder>"}]  # fmt: skip
    history: Any = [
        *task,
        {"role": "assistant", "content": [call.to_dict()]},
        {"role": "user", "content": given},
    ]
    with claude.messages.stream(messages=history, **settings) as stream:
        text = stream.get_final_text()
    assert text.startswith("agent done: File created")


def test_openai_chat(gpt: OpenAI) -> None:
    tools: Any = [
        {"type": "function", "function": {"name": name, "parameters": schema}}
        for name, schema in OPENCODE.items()
    ]
    task: Any = [{"role": "system", "content": "You are opencode"}, {"role": "user", "content": TASK}]
    first = gpt.chat.completions.create(model="m", messages=task, tools=tools).choices[0]
    assert first.finish_reason == "tool_calls"
    (call,) = first.message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "bash"
    assert json.loads(call.function.arguments)["command"] == "echo hi"
    given: Any = {"role": "tool", "tool_call_id": call.id, "content": "hi\n"}
    second = gpt.chat.completions.create(
        model="m", messages=[*task, first.message.to_dict(), given], tools=tools
    )
    assert (second.choices[0].message.content or "").startswith("agent done: hi")
    title = gpt.chat.completions.create(model="m", messages=task).choices[0].message
    assert title.content == "A task for the simulator."


def codex_tools() -> list[Any]:
    def tool(name: str, schema: Schema | None) -> Any:
        if schema is None:
            return {
                "type": "custom",
                "name": name,
                "format": {"type": "grammar", "syntax": "lark", "definition": "x"},
            }
        return {"type": "function", "name": name, "parameters": schema, "strict": False}

    inner = [tool(name, schema) for name, schema in CODEX.items() if name != "apply_patch"]
    return [
        tool("apply_patch", None),
        {"type": "namespace", "name": "local", "description": "On this machine", "tools": inner},
        {"type": "web_search"},
    ]


@pytest.mark.parametrize("chained", [False, True], ids=["items", "previous_response_id"])
def test_openai_responses(gpt: OpenAI, chained: bool) -> None:
    settings: Any = {"model": "m", "tools": codex_tools(), "instructions": "You are Codex"}
    context = "<environment_context>\n  <cwd>/home/me/project</cwd>\n</environment_context>"
    task: Any = [{"role": "user", "content": context}, {"role": "user", "content": f"{WRITE} then {TASK}"}]
    items: list[Any] = []
    more: dict[str, Any] = {"input": task}
    seen: list[Any] = []
    for output in ("Patched", "hi", None):
        response = gpt.responses.create(**settings, **more)
        if output is None:
            assert response.output_text.startswith("agent done: hi")
            break
        (call,) = response.output
        seen.append(call)
        kind = "custom_tool_call_output" if call.type == "custom_tool_call" else "function_call_output"
        given: Any = {"type": kind, "call_id": call.to_dict()["call_id"], "output": output}
        items += [call.to_dict(), given]
        more = (
            {"input": [given], "previous_response_id": response.id} if chained else {"input": [*task, *items]}
        )
    patch, command = seen
    assert (patch.type, patch.name) == ("custom_tool_call", "apply_patch")
    assert "+hello" in patch.input
    assert (command.type, command.name, command.namespace) == ("function_call", "exec_command", "local")
    assert json.loads(command.arguments) == {"cmd": "echo hi"}


def test_gemini(google: genai.Client) -> None:
    functions = [
        t.FunctionDeclaration(name=name, parameters_json_schema=schema) for name, schema in GEMINI_CLI.items()
    ]
    settings = t.GenerateContentConfig(tools=[t.Tool(function_declarations=functions)])
    chat = google.chats.create(model="gemini-3-pro", config=settings)
    chunks = list(chat.send_message_stream(TASK))
    (call,) = [part.function_call for part in chunks[-1].candidates[0].content.parts if part.function_call]
    assert (call.name, call.args) == ("run_shell_command", {"command": "echo hi"})
    given = t.Part(
        function_response=t.FunctionResponse(id=call.id, name=call.name, response={"output": "hi\n"})
    )
    assert (chat.send_message([given]).text or "").startswith("agent done: hi")
    schema = {"type": "OBJECT", "properties": {"model_choice": {"type": "STRING", "enum": ["flash", "pro"]}},
              "required": ["model_choice"]}  # fmt: skip
    classified = google.models.generate_content(
        model="m",
        contents=TASK,
        config=t.GenerateContentConfig(response_mime_type="application/json", response_json_schema=schema),
    )
    assert json.loads(classified.text or "")["model_choice"] in ("flash", "pro")


def test_edits_in_words_in_every_dialect(claude: Anthropic, gpt: OpenAI, google: genai.Client) -> None:
    wanted = "<<<<<<< SEARCH\n=======\nhello\n>>>>>>> REPLACE"
    user: Any = [{"role": "user", "content": WRITE}]
    message = claude.messages.create(model="m", max_tokens=2000, system=AIDER_BLOCKS, messages=user)
    assert message.content[0].type == "text"
    assert wanted in message.content[0].text
    system: Any = {"role": "system", "content": AIDER_BLOCKS}
    completion = gpt.chat.completions.create(model="m", messages=[system, *user])
    assert wanted in (completion.choices[0].message.content or "")
    assert wanted in gpt.responses.create(model="m", instructions=AIDER_BLOCKS, input=WRITE).output_text
    config = t.GenerateContentConfig(system_instruction=AIDER_BLOCKS)
    assert wanted in (google.models.generate_content(model="m", contents=WRITE, config=config).text or "")
