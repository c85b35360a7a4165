"""Parts in, content blocks out, for both directions: the prompt for an upstream and the answer for a client.

What differs between the two is the opaque data (an upstream gets only its own proofs, a client gets every proof,
sealed) and what the target can do. `PromptBlocks` writes for an upstream, `answer_block` for a client.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Final, TypeAlias

from bytespike.core import content as c
from bytespike.core.dialect import Target
from bytespike.core.json_types import JSON
from bytespike.core.losses import Losses
from bytespike.errors import UnsupportedFeature
from bytespike.protocols.anthropic_messages.citations import write_citation
from bytespike.protocols.anthropic_messages.envelope import opaque_of
from bytespike.protocols.anthropic_messages.fields import own_extras, spelling
from bytespike.protocols.anthropic_messages.names import NAME, wire_name
from bytespike.protocols.anthropic_messages.tool_ids import CallIds, input_of, object_of, safe_id
from bytespike.protocols.inline_media import image_type, inline

Block: TypeAlias = "dict[str, object]"

#: What Anthropic accepts (`Base64ImageSourceParam`).
_IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_CACHE_TTLS = ("5m", "1h")
# Compared with the class itself: `isinstance` costs thirty times as much where it says no.
_FOREIGN: Final = c.ForeignPart
#: Anthropic refuses an error result without content.
_NO_OUTPUT = "(no output)"


def cache_control(mark: c.CacheMark, losses: Losses) -> Block:
    """A mark of another provider gets the nearest TTL that Anthropic has: 5 minutes or 1 hour."""
    if mark.ttl is None:
        return {"type": "ephemeral"}
    if mark.ttl in _CACHE_TTLS:
        return {"type": "ephemeral", "ttl": mark.ttl}
    losses.approximated("cache_control.ttl", "1h")
    return {"type": "ephemeral", "ttl": "1h"}


def thinking_block(part: c.ReasoningPart, opaque: str) -> Block:
    if part.redacted:
        return {"type": "redacted_thinking", "data": opaque}
    return {"type": "thinking", "thinking": part.text, "signature": opaque}


def server_call_block(part: c.ServerToolCallPart) -> Block:
    """A provider-side call of Anthropic's own, of a tool of its own or of an MCP server's."""
    block: Block = {"type": spelling(part.extras) or "server_tool_use", "id": part.id, "name": part.name}
    block["input"] = object_of(part.arguments)
    return block | own_extras(part.extras)


def server_result_block(part: c.ServerToolResultPart) -> Block:
    block: Block = {"type": part.kind, "tool_use_id": part.call_id, "content": part.content}
    return block | own_extras(part.extras)


def answer_block(part: c.Part) -> Block | None:
    """One block of an answer to a client; None for what only another dialect could show.

    Raises `UnsupportedFeature` for media: Anthropic's answers have no block for them.
    """
    match part:
        case c.TextPart():
            block: Block = {"type": "text", "text": part.text}
            if part.citations:
                block["citations"] = [write_citation(citation) for citation in part.citations]
            return block | own_extras(part.extras)
        case c.ReasoningPart():
            return thinking_block(part, opaque_of(part)) | own_extras(part.extras)
        case c.ToolCallPart():
            block = {"type": "tool_use", "id": safe_id(part.id), "name": part.name, "input": input_of(part)}
            return block | own_extras(part.extras)
        case c.RefusalPart():
            return {"type": "text", "text": part.text}
        case c.ServerToolCallPart(origin=origin):
            return server_call_block(part) if origin == NAME else None
        case c.ServerToolResultPart(origin=origin):
            return server_result_block(part) if origin == NAME else None
        case c.ForeignPart(dialect=dialect, raw=raw):
            return dict(raw) if dialect == NAME and isinstance(raw, dict) else None
        case _:
            raise no_media(part)


def no_media(part: c.Part) -> UnsupportedFeature:
    kind = type(part).__name__.removesuffix("Part").lower()
    return UnsupportedFeature(
        f"the model answered with {kind} content, which the Messages API cannot carry; use an endpoint that can"
    )


#: Parts that only their own provider can read, and without which nothing of the conversation is left.
_WHOLE_CONVERSATION = frozenset({"compaction"})


class PromptBlocks:
    """Writes the parts of one request's turns for an upstream. Raises `UnsupportedFeature`."""

    __slots__ = ("_can", "_losses", "ids")

    def __init__(self, target: Target, losses: Losses) -> None:
        self._can = target.capabilities
        self._losses = losses
        self.ids = CallIds()

    def blocks(self, parts: Sequence[c.Part], path: str, *, assistant: bool = False) -> list[Block]:
        """`path` names the turn in errors. `assistant`: the parts are the model's own.

        Empty texts are left out, as Anthropic refuses them, and so are blank ones, which it takes only from the
        assistant. What another provider's model said in a form of its own is dropped; from anybody else it is content,
        and refused, as is what stands for the whole conversation so far."""
        written: list[Block] = []
        for part in parts:
            if type(part) is _FOREIGN and part.dialect != NAME:
                if not assistant or part.kind in _WHOLE_CONVERSATION:
                    raise UnsupportedFeature(f"{path}: Claude takes no {part.kind[:60]} content", param=path)
                self._losses.dropped("server tool history", "of another provider")
                continue
            block = self._block(part, path)
            if block is None:
                continue
            text = block.get("text") if block["type"] == "text" else None
            if isinstance(text, str) and not (text if assistant else text.strip()):
                _move_mark(block, written)
                continue
            written.append(block)
        return written

    def _block(self, part: c.Part, path: str) -> Block | None:
        match part:
            case c.TextPart():
                return self._finish(part, self._text(part))
            case c.ToolCallPart():
                return self._finish(
                    part,
                    {
                        "type": "tool_use",
                        "id": self.ids.for_call(part.id),
                        "name": wire_name(part.name),
                        "input": input_of(part),
                    },
                )
            case c.ToolResultPart():
                return self._finish(part, self._tool_result(part, path))
            case c.ReasoningPart():
                return self._reasoning(part)
            case c.ImagePart():
                return self._finish(part, self._image(part, path))
            case c.DocumentPart():
                return self._finish(part, self._document(part, path))
            case c.SearchResultPart():
                return self._finish(part, self._search_result(part))
            case c.RefusalPart():
                return {"type": "text", "text": part.text}
            case c.ServerToolCallPart() | c.ServerToolResultPart():
                return self._server_part(part)
            case c.ForeignPart():
                return dict(part.raw) if isinstance(part.raw, dict) else None
            case c.AudioPart():
                raise UnsupportedFeature(f"{path}: Claude models take no audio", param=path)

    def _finish(
        self,
        part: c.TextPart
        | c.ToolCallPart
        | c.ToolResultPart
        | c.ImagePart
        | c.DocumentPart
        | c.SearchResultPart
        | c.ServerToolCallPart
        | c.ServerToolResultPart,
        block: Block,
    ) -> Block:
        if part.cache is not None:
            block["cache_control"] = cache_control(part.cache, self._losses)
        if part.extras:
            self._losses.foreign_extras(part.extras, "content.")
            block |= own_extras(part.extras)
        return block

    def _text(self, part: c.TextPart) -> Block:
        block: Block = {"type": "text", "text": part.text}
        if part.citations:
            citations: list[JSON] = [
                write_citation(citation)
                for citation in part.citations
                if citation.kind != "web" or citation.proof is not None
            ]
            if len(citations) < len(part.citations):
                self._losses.dropped("citations", "of another provider")
            if citations:
                block["citations"] = citations
        return block

    def _reasoning(self, part: c.ReasoningPart) -> Block | None:
        proof = part.proof
        if proof is None or proof.origin != NAME:
            self._losses.dropped("messages.reasoning", "not made by this provider")
            return None
        return thinking_block(part, proof.data) | own_extras(part.extras)

    def _server_part(self, part: c.ServerToolCallPart | c.ServerToolResultPart) -> Block | None:
        if part.origin != NAME:
            self._losses.dropped("server tool history", "of another provider")
            return None
        if isinstance(part, c.ServerToolCallPart):
            return self._finish(part, server_call_block(part))
        return self._finish(part, server_result_block(part))

    def _tool_result(self, part: c.ToolResultPart, path: str) -> Block:
        content: list[Block] = self.blocks(part.content, path)
        block: Block = {"type": "tool_result", "tool_use_id": self.ids.for_result(part.call_id)}
        if part.is_error:
            block["is_error"] = True
            content = content or [{"type": "text", "text": _NO_OUTPUT}]
        if content:
            block["content"] = content
        return block

    def _image(self, part: c.ImagePart, path: str) -> Block:
        if "vision" not in self._can:
            raise UnsupportedFeature(f"{path}: this model takes no images", param=path)
        if part.detail not in (None, "auto"):
            self._losses.dropped("image_url.detail", "Anthropic has no such setting")
        return {"type": "image", "source": _image_source(inline(part.source), path)}

    def _document(self, part: c.DocumentPart, path: str) -> Block:
        if "documents" not in self._can:
            raise UnsupportedFeature(f"{path}: this model takes no documents", param=path)
        block: Block = {"type": "document", "source": self._document_source(inline(part.source), path)}
        title = part.title or part.filename
        if title is not None:
            block["title"] = title
        if part.context is not None:
            block["context"] = part.context
        if part.cite is not None:
            block["citations"] = {"enabled": part.cite}
        return block

    def _document_source(self, source: c.Source, path: str) -> Block:
        match source:
            case c.Base64Source(media_type=media_type, data=data):
                if media_type in ("application/pdf", "") or data.startswith("JVBERi"):
                    return {"type": "base64", "media_type": "application/pdf", "data": data}
                if media_type.startswith("text/") or media_type == "application/json":
                    return {"type": "text", "media_type": "text/plain", "data": _decoded_text(data, path)}
                raise UnsupportedFeature(
                    f"{path}: Claude reads PDF and text, not {media_type[:60]}", param=path
                )
            case c.UrlSource(url=url):
                return {"type": "url", "url": url}
            case c.TextSource(text=text):
                return {"type": "text", "media_type": "text/plain", "data": text}
            case c.PartsSource(parts=parts):
                return {"type": "content", "content": self.blocks(parts, path)}
            case c.FileSource():
                return _file_source(source, path)

    def _search_result(self, part: c.SearchResultPart) -> Block:
        block: Block = {
            "type": "search_result",
            "source": part.source,
            "title": part.title,
            "content": [self._finish(text, self._text(text)) for text in part.content],
        }
        if part.cite is not None:
            block["citations"] = {"enabled": part.cite}
        return block


def _move_mark(block: Block, written: list[Block]) -> None:
    # The mark of a text that is left out caches the prompt up to there: the block before it can carry it.
    mark = block.get("cache_control")
    if mark is not None and written and written[-1]["type"] not in ("thinking", "redacted_thinking"):
        written[-1].setdefault("cache_control", mark)


def _image_source(source: c.Source, path: str) -> Block:
    match source:
        case c.Base64Source(media_type=media_type, data=data):
            if media_type not in _IMAGE_TYPES:
                media_type = image_type(data) or media_type
            if media_type not in _IMAGE_TYPES:
                known = ", ".join(_IMAGE_TYPES)
                raise UnsupportedFeature(f"{path}: the image must be one of {known}", param=path)
            return {"type": "base64", "media_type": media_type, "data": data}
        case c.UrlSource(url=url):
            return {"type": "url", "url": url}
        case c.FileSource():
            return _file_source(source, path)
        case _:
            raise UnsupportedFeature(f"{path}: an image cannot be given as text", param=path)


def _file_source(source: c.FileSource, path: str) -> Block:
    if source.dialect != NAME:
        raise UnsupportedFeature(
            f"{path}: a file uploaded to another provider cannot be used with this model; send its content",
            param=path,
        )
    return {"type": "file", "file_id": source.file_id}


def _decoded_text(data: str, path: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise UnsupportedFeature(
            f"{path}: the text document is not base64 of UTF-8 text", param=path
        ) from None
