"""Request bodies of three sizes, the same at every run: 0.4 KB, 2 KB of prompt, and a 512 KB agent's turn."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from benchmarks.work import Dialect, Prompt

#: Size of the agent's body, which a coding agent reaches after an hour: long history, many tools.
AGENT_BYTES = 512 * 1024
_SEED = 20_240_229
_TOOLS = 24
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


def body(dialect: Dialect, prompt: Prompt, model: str, *, stream: bool) -> bytes:
    """The request body in a dialect. `stream` asks for a stream, in chat with usage."""
    if prompt == "agent":
        return _agent(dialect, model, stream)
    text = _text(random.Random(_SEED), 180 if prompt == "short" else 2048)
    messages = [{"role": "user", "content": text}]
    if dialect == "anthropic":
        return _encode(
            {
                "model": model,
                "max_tokens": 256,
                "system": "You are a careful assistant. Answer in one short paragraph.",
                "messages": messages,
                "metadata": {"user_id": "bench-user-1"},
                **({"stream": True} if stream else {}),
            }
        )
    system = {"role": "system", "content": "You are a careful assistant. Answer in one short paragraph."}
    return _encode(
        {
            "model": model,
            "max_completion_tokens": 256,
            "messages": [system, *messages],
            "user": "bench-user-1",
            **({"stream": True, "stream_options": {"include_usage": True}} if stream else {}),
        }
    )


def _agent(dialect: Dialect, model: str, stream: bool) -> bytes:
    """Turns are added until the body has its size; a turn is thought, a call, and a file's text as its result."""
    draw = random.Random(_SEED)
    tools = [_tool(draw, number) for number in range(_TOOLS)]
    system = _text(draw, 12_000)
    turns: list[tuple[str, str, dict[str, str], str]] = []
    size = len(system) + len(_encode(tools))
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
        size += sum(len(_encode(part)) for part in turn) + 300
    write = _agent_anthropic if dialect == "anthropic" else _agent_chat
    request = {"model": model, **write(system, tools, turns)}
    if stream:
        request["stream"] = True
    return _encode(request)


def _agent_anthropic(system: str, tools: list[Any], turns: list[Any]) -> dict[str, Any]:
    messages: list[Any] = [
        {"role": "user", "content": "Find out why the window frees too late, and mend it."}
    ]
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
        {"role": "user", "content": "Find out why the window frees too late, and mend it."},
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
