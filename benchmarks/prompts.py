"""Request bodies of three sizes, the same at every run: 0.4 KB, 2 KB of prompt, and a 512 KB agent's turn."""

from __future__ import annotations

import base64
import random
from typing import Any

import msgspec

from benchmarks.work import Work

#: Size of the agent's body, which a coding agent reaches after an hour: long history, many tools.
AGENT_BYTES = 512 * 1024
_SEED = 20_240_229
_TOOLS = 24
_TASK = "Find out why the window frees too late, and mend it."
_SIGNATURE_CHARS = 400
_WORDS = (
    *("request", "channel", "ledger", "window", "parser", "buffer", "socket", "stream", "event", "token"),
    *(
        "price",
        "group",
        "wallet",
        "settle",
        "relay",
        "retry",
        "header",
        "answer",
        "client",
        "module",
        "import",
    ),
    *("return", "const", "value", "index", "lookup", "schema", "encode", "decode", "assert"),
)


def body(work: Work, model: str) -> bytes:
    """The request body in the client's dialect. Where the work is a stream it asks for one, in chat with usage."""
    request = _agent(work) if work.prompt == "agent" else _question(work)
    if work.client == "gemini":
        return _encode(request)
    if work.client == "responses":
        request["store"] = work.store
    if work.manner.stream:
        request["stream"] = True
        if work.client == "chat":
            request["stream_options"] = {"include_usage": True}
    return _encode({"model": model, **request})


def _question(work: Work) -> dict[str, Any]:
    system = "You are a careful assistant. Answer in one short paragraph."
    text = _text(random.Random(_SEED), 180 if work.prompt == "short" else 2048)
    messages = [{"role": "user", "content": text}]
    if work.client == "anthropic":
        return {
            "max_tokens": 256,
            "system": system,
            "messages": messages,
            "metadata": {"user_id": "bench-user-1"},
        }
    if work.client == "chat":
        return {
            "max_completion_tokens": 256,
            "messages": [{"role": "system", "content": system}, *messages],
            "user": "bench-user-1",
        }
    if work.client == "responses":
        content = [{"type": "input_text", "text": text}]
        return {
            "instructions": system,
            "input": [{"type": "message", "role": "user", "content": content}],
            "max_output_tokens": 256,
            "prompt_cache_key": "bench-user-1",
        }
    return {
        "systemInstruction": {"parts": [{"text": system}]},
        "contents": [{"role": "user", "parts": [{"text": text}]}],
        "generationConfig": {"maxOutputTokens": 256, "candidateCount": 1},
    }


def _agent(work: Work) -> dict[str, Any]:
    """Turns are added until the body has its size; a turn is thought, a call, and a file's text as its result."""
    draw = random.Random(_SEED)
    tools = [_tool(draw, number) for number in range(_TOOLS)]
    system = _text(draw, 12_000)
    turns: list[tuple[str, str, dict[str, str], str]] = []
    size = len(system) + len(_encode(tools))
    # Google's models want a signature with each call of their own.
    signed = work.client == work.upstream == "gemini"
    while size < AGENT_BYTES:
        left = AGENT_BYTES - size
        arguments = {"path": f"src/{draw.choice(_WORDS)}/{draw.choice(_WORDS)}.py", "why": _text(draw, 80)}
        turn = (
            _text(draw, 240),
            f"toolu_{len(turns):05d}",
            arguments,
            _code(draw, min(6_000, max(200, left - 700))),
        )
        turns.append(turn)
        size += sum(len(_encode(part)) for part in turn) + 300 + (_SIGNATURE_CHARS if signed else 0)
    if work.client == "anthropic":
        return _agent_anthropic(system, tools, turns)
    if work.client == "chat":
        return _agent_chat(system, tools, turns)
    if work.client == "responses":
        return _agent_responses(system, tools, turns)
    return _agent_gemini(system, tools, turns, signed=signed)


def _agent_anthropic(system: str, tools: list[Any], turns: list[Any]) -> dict[str, Any]:
    messages: list[Any] = [{"role": "user", "content": _TASK}]
    for thought, call, arguments, result in turns:
        use = {"type": "tool_use", "id": call, "name": "read_file", "input": arguments}
        messages.append({"role": "assistant", "content": [{"type": "text", "text": thought}, use]})
        answer = {"type": "tool_result", "tool_use_id": call, "content": [{"type": "text", "text": result}]}
        messages.append({"role": "user", "content": [answer]})
    messages[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
    return {
        "max_tokens": 1024,
        "system": [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}],
        "tools": [
            {"name": tool["name"], "description": tool["description"], "input_schema": tool["parameters"]}
            for tool in tools
        ],
        "tool_choice": {"type": "auto"},
        "messages": messages,
    }


def _agent_chat(system: str, tools: list[Any], turns: list[Any]) -> dict[str, Any]:
    messages: list[Any] = [
        {"role": "system", "content": system},
        {"role": "user", "content": _TASK},
    ]
    for thought, call, arguments, result in turns:
        function = {"name": "read_file", "arguments": _encode(arguments).decode()}
        calls = [{"id": call, "type": "function", "function": function}]
        messages.append({"role": "assistant", "content": thought, "tool_calls": calls})
        messages.append({"role": "tool", "tool_call_id": call, "content": result})
    return {
        "max_completion_tokens": 1024,
        "tools": [{"type": "function", "function": tool} for tool in tools],
        "tool_choice": "auto",
        "messages": messages,
    }


def _agent_responses(system: str, tools: list[Any], turns: list[Any]) -> dict[str, Any]:
    """What the model had said comes back as it came, with its ids."""
    items: list[Any] = [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": _TASK}]}
    ]
    for thought, call, arguments, result in turns:
        content = [{"type": "output_text", "text": thought, "annotations": []}]
        said = {"id": f"msg_{call}", "role": "assistant", "status": "completed", "content": content}
        items.append({"type": "message", **said})
        asked = {"name": "read_file", "arguments": _encode(arguments).decode(), "call_id": call}
        items.append({"type": "function_call", "id": f"fc_{call}", "status": "completed", **asked})
        items.append({"type": "function_call_output", "call_id": call, "output": result})
    return {
        "max_output_tokens": 1024,
        "instructions": system,
        "input": items,
        "tools": [{"type": "function", "strict": False, **tool} for tool in tools],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "bench-user-1",
    }


def _agent_gemini(system: str, tools: list[Any], turns: list[Any], *, signed: bool) -> dict[str, Any]:
    draw = random.Random(_SEED)
    contents: list[Any] = [{"role": "user", "parts": [{"text": _TASK}]}]
    for thought, _, arguments, result in turns:
        call: dict[str, Any] = {"functionCall": {"name": "read_file", "args": arguments}}
        if signed:
            call["thoughtSignature"] = base64.b64encode(draw.randbytes(_SIGNATURE_CHARS * 3 // 4)).decode()
        contents.append({"role": "model", "parts": [{"text": thought}, call]})
        answer = {"name": "read_file", "response": {"output": result}}
        contents.append({"role": "user", "parts": [{"functionResponse": answer}]})
    functions = [
        {
            "name": tool["name"],
            "description": tool["description"],
            "parametersJsonSchema": tool["parameters"],
        }
        for tool in tools
    ]
    return {
        "systemInstruction": {"parts": [{"text": system}]},
        "contents": contents,
        "tools": [{"functionDeclarations": functions}],
        "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
        "generationConfig": {"maxOutputTokens": 1024},
    }


def _tool(draw: random.Random, number: int) -> dict[str, Any]:
    names = ("path", "why", *draw.sample(_WORDS, 4))
    return {
        "name": "read_file" if number == 0 else f"{draw.choice(_WORDS)}_{number}",
        "description": _text(draw, 600),
        "parameters": {
            "type": "object",
            "properties": {name: {"type": "string", "description": _text(draw, 90)} for name in names},
            "required": ["path"],
        },
    }


def _text(draw: random.Random, chars: int) -> str:
    words: list[str] = []
    size = 0
    while size < chars:
        words.append(draw.choice(_WORDS))
        size += len(words[-1]) + 1
    return " ".join(words)[:chars].rstrip()


def _code(draw: random.Random, chars: int) -> str:
    """Text with the quotes, newlines and backslashes of source code, which JSON must escape."""
    lines: list[str] = []
    size = 0
    while size < chars:
        one, two, three = draw.choices(_WORDS, k=3)
        lines.append(f'    {one}_{two} = {three}("{one}\\n", {draw.randrange(10_000)})  # {two}')
        size += len(lines[-1]) + 1
    return "\n".join(lines)[:chars]


def _encode(value: Any) -> bytes:
    return msgspec.json.encode(value)
