"""OpenAI Responses: what each input item must look like, what it costs, and the rules between items.

From the SDK's `response_input_item_param.py` and the types it names, and the errors that the API gives. Items of
built-in tools that the simulator does not play are taken as they are, and counted as text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct

from bytespike.core.json_types import JSONObject
from bytespike.providers.simulator import proofs, tokens
from bytespike.providers.simulator.checks import Node, Problem, json_type
from bytespike.providers.simulator.exchange import Fault
from bytespike.providers.simulator.openai_chat_messages import Part
from bytespike.providers.simulator.openai_words import (
    DETAILS,
    check_base64,
    empty_array,
    image_type,
    keep_s,
    refuse,
    spelt,
    too_long,
)
from bytespike.providers.simulator.prompt import Document, Line, Result
from bytespike.providers.simulator.response_store import ResponseStore

ID_CHARS_MAX = 64
REASONING_PREFIX = "rs_sim"
_ROLES = ("assistant", "system", "developer", "user")
_STATUSES = ("in_progress", "completed", "incomplete")
_INPUT_PARTS = ("input_text", "input_image", "input_file")
_OUTPUT_PARTS = ("output_text", "refusal")

#: By type: the fields, and how the id begins.
_OWN: dict[str, tuple[frozenset[str], str]] = {
    "message": (frozenset({"type", "id", "role", "content", "status", "phase"}), "msg"),
    "reasoning": (frozenset({"type", "id", "summary", "content", "encrypted_content", "status"}), "rs"),
    "function_call": (
        frozenset({"type", "id", "call_id", "name", "namespace", "arguments", "status", "caller", "async"}),
        "fc",
    ),
    "function_call_output": (
        frozenset({"type", "id", "call_id", "name", "namespace", "output", "status", "caller"}),
        "",
    ),
    "custom_tool_call": (
        frozenset({"type", "id", "call_id", "name", "namespace", "input", "status", "caller", "async"}),
        "ctc",
    ),
    "custom_tool_call_output": (frozenset({"type", "id", "call_id", "output", "status", "caller"}), ""),
    "item_reference": (frozenset({"type", "id"}), ""),
}
_BUILT_IN = (
    "file_search_call", "computer_call", "computer_call_output", "web_search_call", "tool_search_call",
    "tool_search_output", "additional_tools", "compaction", "compaction_trigger", "image_generation_call",
    "code_interpreter_call", "local_shell_call", "local_shell_call_output", "shell_call", "shell_call_output",
    "apply_patch_call", "apply_patch_call_output", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response",
    "mcp_call", "configuration_update", "program", "program_output",
)  # fmt: skip
TYPES = (*_OWN, *_BUILT_IN)
#: What Codex 0.169 adds to its items where it takes the upstream for OpenAI itself (seen on the wire; no SDK has it).
_CODEX_NOTE = frozenset({"internal_chat_message_metadata_passthrough"})
_CALLS = {"function_call": "function call", "custom_tool_call": "custom tool call"}
_OUTPUTS = {"function_call_output": "function_call", "custom_tool_call_output": "custom_tool_call"}
#: What the caller adds, as opposed to what the model said.
_FROM_OUTSIDE = frozenset({*_OUTPUTS, "computer_call_output", "local_shell_call_output", "shell_call_output",
                           "apply_patch_call_output", "mcp_approval_response"})  # fmt: skip


class Item(Struct, frozen=True):
    """A checked item. `call` and `name` are a call's or an output's."""

    kind: str
    role: str
    parts: tuple[Part, ...]
    node: Node
    call: str = ""
    name: str = ""

    @property
    def text(self) -> str:
        return " ".join(part.text for part in self.parts if part.text)

    @property
    def from_model(self) -> bool:
        if self.kind == "message":
            return self.role == "assistant"
        return self.kind not in _FROM_OUTSIDE and self.kind not in (
            "additional_tools",
            "configuration_update",
        )


class Shelf(Struct, frozen=True):
    """Where an account's stored items are looked up, and the seed of the proofs."""

    store: ResponseStore
    account: str
    seed: bytes


def raw_items(node: Node, *, needed: bool) -> list[JSONObject]:
    """The request's own items as they came; a text is a message. Raises `Problem`, `Fault`."""
    if not node.has("input") and not needed:
        return []
    if isinstance(node.value.get("input"), str):
        return [{"type": "message", "role": "user", "content": node.text("input")}]
    items = [item.value for item in node.objects("input")]
    if not items and needed:
        raise empty_array("input")
    return items


def read_items(before: Sequence[JSONObject], own: Sequence[JSONObject], shelf: Shelf) -> list[Item]:
    """The checked conversation. Raises `Problem`, `Fault`."""
    items = [_item(Node(item, ("previous_response", at)), shelf) for at, item in enumerate(before)]
    items += [_item(Node(item, ("input", at)), shelf) for at, item in enumerate(own)]
    _check_calls(items)
    _check_reasoning(items, shelf)
    return items


def latest(items: Sequence[Item]) -> list[Item]:
    """What has been sent since the last answer."""
    found: list[Item] = []
    for item in reversed(items):
        if item.from_model:
            break
        found.append(item)
    return found[::-1]


def results(items: Sequence[Item]) -> tuple[Result, ...]:
    """What tools gave back since the last answer."""
    names = {item.call: item.name for item in items if item.kind in _CALLS}
    return tuple(
        Result(names.get(item.call, item.call), item.text) for item in latest(items) if item.kind in _OUTPUTS
    )


def turns(items: Sequence[Item]) -> int:
    """How often the conversation has changed hands."""
    return sum(at == 0 or items[at - 1].from_model != item.from_model for at, item in enumerate(items))


def history(items: Sequence[Item]) -> Iterator[Line]:
    """Who said what, in order."""
    for item in items:
        if item.from_model:
            if item.kind != "reasoning":
                yield Line("answer", item.text if item.kind == "message" else "")
        elif item.kind in _OUTPUTS:
            yield Line("result", item.text)
        elif item.kind == "message":
            yield Line("user" if item.role == "user" else "system", item.text)


# --- one item --------------------------------------------------------------------------------------------------


def _item(node: Node, shelf: Shelf) -> Item:
    kind = node.one_of("type", TYPES) if node.has("type") else "message"
    known = _OWN.get(kind)
    if known is None:
        return _built_in(node, kind, shelf)
    node.only(known[0] | _CODEX_NOTE)
    _check_id(node, known[1])
    node.optional_one_of("status", _STATUSES)
    match kind:
        case "message":
            return _message(node)
        case "reasoning":
            return _reasoning(node, shelf)
        case "function_call" | "custom_tool_call":
            said = node.text("arguments" if kind == "function_call" else "input")
            name = node.text("name")
            part = Part([name, said], tokens.count(name) + tokens.count(said))
            return Item(kind, "assistant", (part,), node, _call_id(node), name)
        case "item_reference":
            name = node.text("id")
            stored = shelf.store.item(shelf.account, name)
            if stored is None:
                raise _unknown_item(name)
            return _item(Node(stored, node.path), shelf)
        case _:
            return Item(kind, "tool", _output(node), node, _call_id(node))


def _check_id(node: Node, prefix: str) -> None:
    name = node.optional_text("id")
    if name is None:
        return
    where = spelt((*node.path, "id"))
    if len(name) > ID_CHARS_MAX:
        raise too_long(where, "string", ID_CHARS_MAX, len(name))
    if not name.startswith(prefix):
        raise refuse(
            f"Invalid '{where}': '{name}'. Expected an ID that begins with '{prefix}'.",
            where,
            "invalid_value",
        )


def _call_id(node: Node) -> str:
    call = node.text("call_id")
    if not 0 < len(call) <= ID_CHARS_MAX:
        where = spelt((*node.path, "call_id"))
        if call:
            raise too_long(where, "string", ID_CHARS_MAX, len(call))
        raise refuse(
            f"Invalid '{where}': empty string. Expected a string with minimum length 1, but got an empty string instead.",
            where,
            "empty_string",
        )
    return call


def _unknown_item(name: str) -> Fault:
    return Fault(
        404,
        f"Item with id '{name}' not found. Items are not persisted when `store` is set to false. Try again with `store` "
        "set to true, or remove this item from your input.",
        kind="invalid_request_error",
        param="input",
    )


def _built_in(node: Node, kind: str, shelf: Shelf) -> Item:
    if kind == "compaction":
        _check_encrypted(node.text("encrypted_content"), None, shelf)
    return Item(kind, "", (Part(node.value, tokens.count_bytes(msgspec.json.encode(node.value))),), node)


def _reasoning(node: Node, shelf: Shelf) -> Item:
    texts: list[str] = []
    for name, kind in (("summary", "summary_text"), ("content", "reasoning_text")):
        for part in node.objects(name) if name == "summary" else node.optional_objects(name):
            part.one_of("type", (kind,))
            texts.append(part.text("text"))
    name = node.optional_text("id")
    encrypted = node.optional_text("encrypted_content")
    if encrypted is not None:
        _check_encrypted(encrypted, name, shelf)
    elif name is None:
        node.fail("missing", "encrypted_content")
    elif shelf.store.item(shelf.account, name) is None:
        raise _unknown_item(name)
    text = "".join(texts)
    return Item("reasoning", "assistant", (Part(text, tokens.count(text)),), node)


def _check_encrypted(encrypted: str, name: str | None, shelf: Shelf) -> None:
    """Encrypted content is the simulator's own, and of the item that it comes in."""
    nonce = proofs.reasoning_nonce(shelf.seed, encrypted)
    shown = encrypted if len(encrypted) < 12 else f"{encrypted[:4]}...{encrypted[-4:]}"
    if nonce is None:
        reason = f"The encrypted content {shown} could not be verified. Reason: Encrypted content could not be decrypted or parsed."
    elif name is not None and name != REASONING_PREFIX + nonce.hex():
        reason = f"The encrypted content for item {name} could not be verified. Reason: Encrypted content item_id did not match the target item id."
    else:
        return
    raise refuse(reason, None, "invalid_encrypted_content")


# --- content ---------------------------------------------------------------------------------------------------


def _message(node: Node) -> Item:
    role = node.one_of("role", _ROLES)
    node.optional_one_of("phase", ("commentary", "final_answer"))
    if isinstance(node.required("content"), str):
        return Item("message", role, (_text(node.text("content")),), node)
    allowed = _OUTPUT_PARTS if role == "assistant" else _INPUT_PARTS
    return Item("message", role, tuple(_part(part, allowed) for part in node.objects("content")), node)


def _output(node: Node) -> tuple[Part, ...]:
    output = node.required("output")
    if isinstance(output, str):
        return (_text(output),)
    if not isinstance(output, list):
        raise Problem("type", (*node.path, "output"), expected="string", got=json_type(output))
    return tuple(_part(part, _INPUT_PARTS) for part in node.objects("output"))


def _text(text: str, kept_s: float | None = None) -> Part:
    return Part(text, tokens.count(text), kept_s, text)


def _part(node: Node, allowed: tuple[str, ...]) -> Part:
    kind = node.one_of("type", allowed)
    kept_s = keep_s(node)
    match kind:
        case "input_text":
            node.only(("type", "text", "prompt_cache_breakpoint"))
            return _text(node.text("text"), kept_s)
        case "output_text":
            node.only(("type", "text", "annotations", "logprobs"))
            return _text(node.text("text"))
        case "refusal":
            return _text(node.text("refusal"))
        case "input_image":
            return Part(node.value, tokens.IMAGE_TOKENS, kept_s, image=_image(node))
        case _:
            return Part(node.value, tokens.DOCUMENT_TOKENS, kept_s, document=_file(node))


def _image(node: Node) -> str:
    node.only(("type", "detail", "file_id", "image_url", "prompt_cache_breakpoint"))
    node.optional_one_of("detail", DETAILS)
    url = node.optional_text("image_url")
    if url is not None:
        return image_type(url, spelt((*node.path, "image_url")))
    if not node.has("file_id"):
        node.fail("missing", "image_url")
    return "image/*"


def _file(node: Node) -> Document:
    node.only(("type", "detail", "file_data", "file_id", "file_url", "filename", "prompt_cache_breakpoint"))
    where = spelt((*node.path, "file_data"))
    data = node.optional_text("file_data")
    if data is not None:
        head, found, encoded = data.partition(";base64,")
        if not found or not head.startswith("data:"):
            raise refuse(
                f"Invalid file data: '{where}'. Expected a base64-encoded data URL with a valid file MIME type (e.g. "
                f"'data:text/plain;base64,SGVsbG8sIFdvcmxkIQ=='), but got a value without one.",
                where,
                "invalid_value",
            )
        check_base64(encoded, where)
    elif not (node.has("file_id") or node.has("file_url")):
        node.fail("missing", "file_data")
    return Document(title=node.optional_text("filename"))


# --- rules between items ---------------------------------------------------------------------------------------


def _check_calls(items: Sequence[Item]) -> None:
    """Every output answers a call of its kind before it, and every call has an output."""
    open_calls: dict[tuple[str, str], None] = {}
    called: set[tuple[str, str]] = set()
    for item in items:
        if item.kind in _CALLS:
            called.add((item.kind, item.call))
            open_calls[item.kind, item.call] = None
        elif item.kind in _OUTPUTS:
            kind = _OUTPUTS[item.kind]
            if (kind, item.call) not in called:
                raise refuse(
                    f"No tool call found for {_CALLS[kind]} output with call_id {item.call}.", "input"
                )
            open_calls.pop((kind, item.call), None)
    for kind, call in open_calls:
        raise refuse(f"No tool output found for {_CALLS[kind]} {call}.", "input")


def _check_reasoning(items: Sequence[Item], shelf: Shelf) -> None:
    """Reasoning comes with what it led to; where both were stored, with just that item."""
    for at, item in enumerate(items):
        if item.kind != "reasoning":
            continue
        name = item.node.optional_text("id") or ""
        led_to = shelf.store.follower(shelf.account, name)
        follower = items[at + 1] if at + 1 < len(items) else None
        kept = follower is not None and follower.from_model
        if kept and follower is not None and led_to is not None:
            kept = follower.node.value.get("id") == led_to
        if not kept:
            raise refuse(
                f"Item '{name}' of type 'reasoning' was provided without its required following item.",
                "input",
            )
