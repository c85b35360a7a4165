"""Reasoning in messages: `reasoning_content`, `reasoning`, `reasoning_details`.

OpenAI's chat API has no words for reasoning, so vendors added some. `reasoning_content` (DeepSeek, Moonshot, Zhipu, xAI,
Alibaba) and `reasoning` (OpenRouter, Groq, vLLM) are plain text. `reasoning_details` (OpenRouter, "Reasoning Tokens") is
a list of

    {"type": "reasoning.text",      "text", "signature"?, "format", "index", "id"?}
    {"type": "reasoning.summary",   "summary",            "format", "index", "id"?}
    {"type": "reasoning.encrypted", "data",               "format", "index", "id"?}

`format` names who issued the proof. One piece of reasoning may take two entries: its text or summary, and then the
encrypted proof of it. Where several spellings are present they say the same thing, so the details win and the plain text
is not counted again; only details that carry no text let the plain text in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import structs

from bytespike.core.content import ForeignPart, Part, Proof, ReasoningPart
from bytespike.core.json_types import JSON, JSONObject
from bytespike.protocols.openai_chat.names import NAME, aside, own, wire_members
from bytespike.wire import fields as f

TEXT: Final = "reasoning.text"
SUMMARY: Final = "reasoning.summary"
ENCRYPTED: Final = "reasoning.encrypted"
#: The kind of a ForeignPart that holds a detail of an unknown type.
FOREIGN_DETAIL: Final = "reasoning_detail"

ANTHROPIC: Final = "anthropic_messages"
GEMINI: Final = "gemini"
_UNKNOWN_FORMAT: Final = "unknown"
#: OpenRouter's name for each dialect that issues proofs. Any other origin is its own format, and the reverse.
_FORMATS: Final = {
    ANTHROPIC: "anthropic-claude-v1",
    "openai_responses": "openai-responses-v1",
    GEMINI: "google-gemini-v1",
    NAME: _UNKNOWN_FORMAT,
}
_ORIGINS: Final = {name: origin for origin, name in _FORMATS.items()}
#: Providers whose proof is a signature of the text beside it, not an encrypted copy of the reasoning.
SIGNING: Final = frozenset({ANTHROPIC, GEMINI, NAME})

_DETAIL_MEMBERS: Final = frozenset({"type", "text", "summary", "signature", "data", "format", "index", "id"})
#: Stands between two pieces of reasoning in plain text.
PIECE_BREAK: Final = "\n\n"


def origin_of(format_name: str | None) -> str:
    """The hub's origin for a detail's `format`."""
    if format_name is None:
        return NAME
    return _ORIGINS.get(format_name, format_name)


def format_of(origin: str) -> str:
    """The `format` for a proof's origin."""
    return _FORMATS.get(origin, origin)


def plain_text(message: JSONObject) -> str:
    """The message's reasoning as plain text, under whichever name. Raises `Wrong`."""
    return f.optional_text(message, "reasoning_content") or f.optional_text(message, "reasoning") or ""


def read_reasoning(message: JSONObject) -> list[Part]:
    """The reasoning of a whole message. Raises `Wrong`."""
    plain = plain_text(message)
    details = f.optional_array(message, "reasoning_details")
    parts = read_details(details) if details else []
    if plain and not any(isinstance(part, ReasoningPart) and part.text for part in parts):
        first = parts[0] if parts else None
        if (
            isinstance(first, ReasoningPart)
            and first.proof
            and first.proof.origin in SIGNING
            and not first.redacted
        ):
            parts[0] = structs.replace(first, text=plain)
        else:
            parts.insert(0, ReasoningPart(plain))
    return parts


def read_details(details: list[JSON]) -> list[Part]:
    """The parts of a whole `reasoning_details` list. Raises `Wrong`."""
    parts: list[Part] = []
    previous: JSONObject | None = None
    for number, detail in enumerate(f.objects(details, "reasoning_details")):
        try:
            part = read_detail(detail)
        except f.Wrong as wrong:
            raise wrong.under("reasoning_details", number) from None
        before = parts[-1] if parts else None
        if previous is None or not isinstance(before, ReasoningPart) or not isinstance(part, ReasoningPart):
            parts.append(part)
        elif continues(detail, previous, before):
            parts[-1] = structs.replace(
                before, text=before.text + part.text, proof=part.proof, id=before.id or part.id
            )
        elif belongs_to(detail, part, previous, before):
            parts[-1] = proven(before, part.proof, part.id)
        else:
            parts.append(part)
        previous = detail
    return parts


def read_detail(detail: JSONObject) -> ReasoningPart | ForeignPart:
    """One entry, alone. Raises `Wrong`."""
    kind = f.text(detail, "type")
    origin = origin_of(f.optional_text(detail, "format"))
    item_id = f.optional_text(detail, "id")
    kept = aside(f.rest(detail, _DETAIL_MEMBERS))
    if kind == ENCRYPTED:
        proof = Proof(origin, f.text(detail, "data"))
        # Only Anthropic redacts; elsewhere the encrypted form is simply how reasoning travels.
        return ReasoningPart(proof=proof, redacted=origin == ANTHROPIC, id=item_id, extras=kept)
    if kind not in (TEXT, SUMMARY):
        told: JSONObject = {key: value for key, value in detail.items() if key != "index"}
        return ForeignPart(NAME, FOREIGN_DETAIL, told)
    signature = f.optional_text(detail, "signature")
    if not signature and isinstance(detail.get("format"), str):
        kept = aside({**own(kept), "_format": detail["format"]})
    return ReasoningPart(
        text=f.optional_text(detail, "summary" if kind == SUMMARY else "text") or "",
        proof=Proof(origin, signature) if signature else None,
        summary=kind == SUMMARY,
        id=item_id,
        extras=kept,
    )


def continues(detail: JSONObject, previous: JSONObject, before: ReasoningPart) -> bool:
    """Whether an entry is more of the text before it: clients that stream send the deltas back as they came."""
    index = detail.get("index")
    return (
        detail.get("type") in (TEXT, SUMMARY)
        and detail.get("type") == previous.get("type")
        and isinstance(index, int)
        and index == previous.get("index")
        and before.proof is None
    )


def proven(part: ReasoningPart, proof: Proof | None, item_id: str | None = None) -> ReasoningPart:
    """The part with its proof, which says the format by itself."""
    kept = aside({key: value for key, value in own(part.extras).items() if key != "_format"})
    return structs.replace(part, proof=proof, id=part.id or item_id, extras=kept)


def belongs_to(detail: JSONObject, part: ReasoningPart, previous: JSONObject, before: ReasoningPart) -> bool:
    """Whether an encrypted entry is the proof of the text or summary entry before it. Providers that sign put their
    proof beside the text; an encrypted entry of theirs is a piece of its own."""
    return (
        detail.get("type") == ENCRYPTED
        and part.proof is not None
        and part.proof.origin not in SIGNING
        and before.proof is None
        and bool(before.text)
        and detail.get("format") == previous.get("format", detail.get("format"))
        and (part.id is None or before.id is None or part.id == before.id)
    )


# --- writing ---------------------------------------------------------------------------------------------------


def write_details(parts: Iterable[Part]) -> list[JSONObject]:
    """The `reasoning_details` of a whole message; entries are numbered from 0."""
    entries: list[JSONObject] = []
    for part in parts:
        if isinstance(part, ReasoningPart):
            for entry in _entries(part):
                entry["index"] = len(entries)
                entries.append(entry)
        elif isinstance(part, ForeignPart) and is_foreign_detail(part) and isinstance(part.raw, dict):
            entries.append({**part.raw, "index": len(entries)})
    return entries


def _entries(part: ReasoningPart) -> list[JSONObject]:
    members = wire_members(part.extras)
    if part.id is not None:
        members["id"] = part.id
    proof = part.proof
    if part.redacted:
        return [{"type": ENCRYPTED, **proof_members(proof), **members}] if proof else []
    shown: JSONObject = {"type": kind_of(part), text_member(part): part.text, **members}
    if proof is None:
        if isinstance(told := own(part.extras).get("_format"), str):
            shown["format"] = told
        return [shown]
    if proof.origin in SIGNING:
        return [{**shown, "signature": proof.data, "format": format_of(proof.origin)}]
    hidden: JSONObject = {"type": ENCRYPTED, **proof_members(proof), **members}
    return [{**shown, "format": format_of(proof.origin)}, hidden] if part.text else [hidden]


def kind_of(part: ReasoningPart) -> str:
    return SUMMARY if part.summary else TEXT


def text_member(part: ReasoningPart) -> str:
    """The name under which an entry holds its text."""
    return "summary" if part.summary else "text"


def proof_members(proof: Proof) -> JSONObject:
    """The members of an encrypted entry."""
    return {"data": proof.data, "format": format_of(proof.origin)}


def is_foreign_detail(part: ForeignPart) -> bool:
    return part.dialect == NAME and part.kind == FOREIGN_DETAIL


def join_text(parts: Iterable[Part]) -> str:
    """All reasoning of a message as plain text."""
    return PIECE_BREAK.join(part.text for part in parts if isinstance(part, ReasoningPart) and part.text)
