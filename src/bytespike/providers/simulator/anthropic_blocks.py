"""Anthropic Messages: what each content block must look like, and what it costs.

From the SDK's `*_block_param.py` types, and the errors that the API gives. With an `anthropic-beta` header
(`lenient`), fields and block types that are not listed here are let pass.
"""

from __future__ import annotations

import binascii
import re

import msgspec
from msgspec import Struct

from bytespike.core.json_types import JSON
from bytespike.providers.simulator import tokens
from bytespike.providers.simulator.checks import Node, Problem
from bytespike.providers.simulator.exchange import Fault
from bytespike.providers.simulator.prefix_cache import LONG_S, SHORT_S
from bytespike.providers.simulator.prompt import Document

VERSION_2026 = "2026-10-21"
VERSIONS = ("2023-01-01", "2023-06-01", VERSION_2026)

IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")
SERVER_TOOL_ID = re.compile(r"srvtoolu_[a-zA-Z0-9_]+")

_RESULT_FIELDS = frozenset({"type", "tool_use_id", "content", "cache_control", "caller"})
FIELDS: dict[str, frozenset[str]] = {
    "text": frozenset({"type", "text", "cache_control", "citations"}),
    "image": frozenset({"type", "source", "cache_control", "transformations"}),
    "document": frozenset({"type", "source", "cache_control", "citations", "context", "title"}),
    "search_result": frozenset({"type", "source", "title", "content", "cache_control", "citations"}),
    "thinking": frozenset({"type", "thinking", "signature"}),
    "redacted_thinking": frozenset({"type", "data"}),
    "tool_use": frozenset({"type", "id", "name", "input", "cache_control", "caller", "toolset_name"}),
    "tool_result": frozenset(
        {"type", "tool_use_id", "content", "is_error", "cache_control", "toolset_name"}
    ),
    "server_tool_use": frozenset({"type", "id", "name", "input", "cache_control", "caller"}),
    "web_search_tool_result": _RESULT_FIELDS,
    "web_fetch_tool_result": _RESULT_FIELDS,
    "code_execution_tool_result": _RESULT_FIELDS,
    "bash_code_execution_tool_result": _RESULT_FIELDS,
    "text_editor_code_execution_tool_result": _RESULT_FIELDS,
    "tool_search_tool_result": _RESULT_FIELDS,
    "tool_reference": frozenset({"type", "tool_name", "cache_control"}),
    "container_upload": frozenset({"type", "file_id", "cache_control"}),
}  # fmt: skip
ASSISTANT_ONLY = frozenset({"thinking", "redacted_thinking", "tool_use", "server_tool_use"})
IN_RESULTS = ("text", "image", "document", "search_result", "tool_reference", "browser_state")


class Wire(Struct, frozen=True):
    """Under which rules a request is read."""

    version: str
    lenient: bool


class Block(Struct, frozen=True):
    """A checked block. `text` is what it says, to whoever reads on; `image` its media type ("" for none)."""

    kind: str
    node: Node
    tokens: int
    text: str = ""
    image: str = ""
    document: Document | None = None

    def segment_content(self) -> bytes:
        """What the prompt cache compares: all of it but the mark."""
        return msgspec.json.encode(
            {name: value for name, value in self.node.value.items() if name != "cache_control"}
        )

    @property
    def keep_s(self) -> float | None:
        return keep_s(self.node)


def refuse(message: str) -> Fault:
    """A 400 in Anthropic's words."""
    return Fault(400, message, kind="invalid_request_error")


def dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(str(step) for step in path)


def keep_s(node: Node) -> float | None:
    """How many seconds a block's cache mark asks for; None without one. Raises `Problem`."""
    mark = node.optional_object("cache_control")
    if mark is None:
        return None
    mark.one_of("type", ("ephemeral",))
    return LONG_S if mark.optional_one_of("ttl", ("5m", "1h")) == "1h" else SHORT_S


def text_block(text: str, node: Node) -> Block:
    """The block that a plain string stands for."""
    return Block("text", Node({"type": "text", "text": text}, node.path), tokens.count(text), text)


def check_block(node: Node, role: str, wire: Wire) -> Block:
    """A block of a message. Raises `Problem`, `Fault`."""
    kind = node.text("type")
    fields = FIELDS.get(kind)
    if fields is None:
        if not wire.lenient:
            tags = ", ".join(f"'{tag}'" for tag in FIELDS)
            raise refuse(
                f"{dotted(node.path)}: Input tag '{kind}' found using 'type' does not match any of the expected "
                f"tags: {tags}"
            )
        return Block(kind, node, tokens.count_bytes(msgspec.json.encode(node.value)))
    if (kind in ASSISTANT_ONLY and role != "assistant") or (kind == "tool_result" and role != "user"):
        raise refuse(f"{dotted(node.path)}: `{kind}` blocks are not permitted in {role} turns")
    if role == "system" and kind != "text":
        raise refuse(f"{dotted(node.path)}: `{kind}` blocks are not permitted in system turns")
    named = node.at(kind)
    if not wire.lenient:
        named.only(fields)
    keep_s(named)
    if wire.version == VERSION_2026:
        _check_2026(kind, named, role)
    return _checked(kind, named, role, wire)


def _check_2026(kind: str, node: Node, role: str) -> None:
    if kind == "document" and role == "assistant":
        raise refuse(f"{dotted(node.path)}: `document` blocks are not permitted in assistant turns")
    if kind == "text" and role == "user" and node.has("citations"):
        raise Problem("unknown", (*node.path, "citations"))


def _checked(kind: str, node: Node, role: str, wire: Wire) -> Block:
    match kind:
        case "text":
            text = node.text("text")
            if not text:
                raise refuse("messages: text content blocks must be non-empty")
            return Block(kind, node, tokens.count(text), text)
        case "image":
            return Block(kind, node, tokens.IMAGE_TOKENS, image=_image(node.object("source")))
        case "document":
            return _document(node, wire)
        case "search_result":
            return _search_result(node)
        case "thinking":
            thought = node.text("thinking")
            node.text("signature")
            return Block(kind, node, tokens.count(thought))
        case "redacted_thinking":
            node.text("data")
            return Block(kind, node, 0)
        case "tool_use" | "server_tool_use":
            return _tool_use(kind, node)
        case "tool_result":
            return _tool_result(node, role, wire)
        case _:
            return Block(kind, node, tokens.count_bytes(msgspec.json.encode(node.value.get("content"))))


def _image(source: Node) -> str:
    match source.one_of("type", ("base64", "url", "file")):
        case "base64":
            media_type = source.one_of("media_type", IMAGE_TYPES)
            _base64(source)
            return media_type
        case "url":
            source.text("url")
            return "image/*"
        case _:
            source.text("file_id")
            return "image/*"


def _base64(source: Node) -> None:
    try:
        binascii.a2b_base64(source.text("data"), strict_mode=True)
    except ValueError:
        raise refuse(f"{dotted(source.path)}.base64.data: invalid base64 data") from None


def _document(node: Node, wire: Wire) -> Block:
    source = node.object("source")
    title = node.optional_text("title")
    context = node.optional_text("context")
    citations = node.optional_object("citations")
    cite = citations is not None and citations.flag("enabled") is True
    text = ""
    size = tokens.DOCUMENT_TOKENS
    match source.one_of("type", ("base64", "text", "content", "url", "file")):
        case "base64":
            source.one_of("media_type", ("application/pdf",))
            _base64(source)
        case "text":
            source.one_of("media_type", ("text/plain",))
            text = source.text("data")
            size = tokens.count(text)
        case "content":
            blocks = content_blocks(source, "user", wire)
            text = " ".join(block.text for block in blocks if block.text)
            size = sum(block.tokens for block in blocks)
        case "url":
            source.text("url")
        case _:
            source.text("file_id")
    size += tokens.count(title or "") + tokens.count(context or "")
    return Block("document", node, size, document=Document(text, title, cite))


def _search_result(node: Node) -> Block:
    size = tokens.count(node.text("source")) + tokens.count(node.text("title"))
    for part in node.objects("content"):
        part.one_of("type", ("text",))
        size += tokens.count(part.text("text"))
    return Block("search_result", node, size)


def _tool_use(kind: str, node: Node) -> Block:
    pattern = TOOL_ID if kind == "tool_use" else SERVER_TOOL_ID
    if pattern.fullmatch(node.text("id")) is None:
        raise refuse(f"{dotted(node.path)}.id: String should match pattern '^{pattern.pattern}$'")
    name = node.text("name")
    arguments = node.object("input").value
    return Block(kind, node, tokens.count(name) + tokens.count_bytes(msgspec.json.encode(arguments)))


def _tool_result(node: Node, role: str, wire: Wire) -> Block:
    node.text("tool_use_id")
    node.flag("is_error")
    content: JSON = node.value.get("content")
    if content is None:
        return Block("tool_result", node, 0)
    if isinstance(content, str):
        return Block("tool_result", node, tokens.count(content), content)
    blocks = content_blocks(node, role, wire)
    for block in blocks:
        if block.kind not in IN_RESULTS and not wire.lenient:
            raise refuse(
                f"{dotted(block.node.path)}: `{block.kind}` blocks are not permitted in tool results"
            )
    text = " ".join(block.text or f"[{block.kind}]" for block in blocks)
    return Block("tool_result", node, sum(block.tokens for block in blocks), text)


def content_blocks(node: Node, role: str, wire: Wire) -> list[Block]:
    """The `content` of a message, document or result: a string, or an array of blocks. Raises `Problem`, `Fault`."""
    content = node.required("content")
    if isinstance(content, str):
        return [text_block(content, node)] if content else []
    return [check_block(child, role, wire) for child in node.objects("content")]
