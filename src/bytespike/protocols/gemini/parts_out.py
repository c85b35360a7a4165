"""Parts written: what a prompt for an upstream and an answer for a client have in common."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from bytespike.core.content import (
    AudioPart,
    Base64Source,
    DocumentPart,
    FileSource,
    ImagePart,
    ServerToolCallPart,
    ServerToolResultPart,
    TextSource,
    ToolCallPart,
    UrlSource,
)
from bytespike.core.json_types import JSONObject
from bytespike.core.losses import Losses
from bytespike.protocols.gemini.names import NAME, own, wire_members
from bytespike.protocols.gemini.parts_in import (
    CODE_EXECUTION,
    CODE_RESULT,
    CUSTOM_INPUT,
    INVALID_ARGUMENTS,
    TOOL_NAMES,
)
from bytespike.protocols.inline_media import image_type, inline
from bytespike.wire import json

#: An object of the wire in the making. Its values are JSON, or JSON text that goes out as it is.
Wire: TypeAlias = "dict[str, object]"

TOOL_TYPES: Final = {name: kind for kind, name in TOOL_NAMES.items()}
#: google-genai, ToolType.
OTHER_TOOL: Final = "TOOL_TYPE_UNSPECIFIED"

_IMAGE_NAMES: Final = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".heic": "image/heic",
    ".heif": "image/heif",
}
_AUDIO_TYPES: Final = {"mp3": "audio/mpeg", "m4a": "audio/mp4"}
_PDF: Final = "application/pdf"


def args_of(call: ToolCallPart, losses: Losses) -> JSONObject | msgspec.Raw:
    """`args`: the arguments verbatim where they are a JSON object, else wrapped in one."""
    if call.kind == "custom":
        return {CUSTOM_INPUT: call.arguments}
    arguments = call.arguments
    if not arguments or arguments.isspace():
        return {}
    try:
        value = json.decode_object(arguments)
    except json.NotJSON:
        losses.approximated("tool_calls.arguments", "no JSON object; wrapped in one")
        return {INVALID_ARGUMENTS: arguments}
    if json.nests_deeper(value):
        losses.approximated("tool_calls.arguments", "nested too deeply; wrapped as text")
        return {INVALID_ARGUMENTS: arguments}
    return msgspec.Raw(arguments.encode())


def object_of(text: str) -> JSONObject:
    """JSON text as an object; empty where it is none."""
    try:
        value = json.decode(text) if text else None
    except json.NotJSON:
        return {}
    return value if isinstance(value, dict) and not json.nests_deeper(value) else {}


# --- media -----------------------------------------------------------------------------------------------------


def media_part(part: ImagePart | AudioPart | DocumentPart) -> Wire | None:
    """`inlineData` or `fileData`; None for a source that this wire cannot carry."""
    source = inline(part.source)
    beside = own(part.extras).get("_blob")
    beside = beside if isinstance(beside, dict) else {}
    match source:
        case Base64Source(media_type=media_type, data=data):
            written: Wire = {
                "inlineData": {"mimeType": media_type or _type_of(part, data), "data": data, **beside}
            }
        case UrlSource(url=url, media_type=media_type):
            told = media_type or _type_of(part, "") or _type_by_name(url)
            written = {"fileData": _file(url, told, beside)}
        case FileSource(file_id=file_id, dialect=dialect) if dialect == NAME:
            written = {"fileData": _file(file_id, _type_of(part, ""), beside)}
        case TextSource(text=text):
            written = {"text": text}
        case _:
            return None
    if part.extras:
        written.update(wire_members(part.extras))
        if "_mediaResolution" in own(part.extras):
            written["mediaResolution"] = own(part.extras)["_mediaResolution"]
    return written


def _file(uri: str, media_type: str, beside: JSONObject) -> JSONObject:
    # Without a type Google looks at the file itself.
    told: JSONObject = {"fileUri": uri}
    if media_type:
        told["mimeType"] = media_type
    return {**told, **beside}


def _type_of(part: ImagePart | AudioPart | DocumentPart, data: str) -> str:
    """The media type where the dialect did not say it. `data`: the base64, "" if it is elsewhere."""
    match part:
        case ImagePart():
            return image_type(data) or ("image/png" if data else "")
        case AudioPart(format=name):
            return _AUDIO_TYPES.get(name, f"audio/{name}") if name else "audio/wav"
        case DocumentPart():
            return _PDF


def _type_by_name(url: str) -> str:
    """The media type of an image, by the end of its path; "" where that does not tell."""
    path = url.partition("#")[0].partition("?")[0].lower()
    return _IMAGE_NAMES.get(path[path.rfind(".") :], "") if "." in path else ""


# --- the provider's own tools ----------------------------------------------------------------------------------


def server_call(part: ServerToolCallPart) -> Wire:
    """A call of a tool of Google's own."""
    arguments = object_of(part.arguments)
    members = wire_members(part.extras)
    if part.name == CODE_EXECUTION:
        code: JSONObject = dict(arguments)
        code.setdefault("language", "PYTHON")
        code.setdefault("code", "")
        if part.id:
            code["id"] = part.id
        return {"executableCode": code, **members}
    kind = own(part.extras).get("_toolType") or TOOL_TYPES.get(part.name, OTHER_TOOL)
    told: JSONObject = {"toolType": kind}
    if part.arguments:
        told["args"] = arguments
    if part.id:
        told["id"] = part.id
    return {"toolCall": told, **members}


def server_result(part: ServerToolResultPart) -> Wire:
    """What a tool of Google's own gave back."""
    content = part.content if isinstance(part.content, dict) else {}
    members = wire_members(part.extras)
    told: JSONObject = {key: value for key, value in content.items() if value is not None}
    if part.call_id:
        told["id"] = part.call_id
    return {CODE_RESULT if part.kind == CODE_RESULT else "toolResponse": told, **members}
