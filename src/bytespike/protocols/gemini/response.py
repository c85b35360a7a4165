"""Whole answers: an upstream's read, a client's written."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from bytespike.core import events as e
from bytespike.core.content import Part, RefusalPart, TextPart, ToolCallPart
from bytespike.core.dialect import Reply, WrittenResponse
from bytespike.core.fold import fold
from bytespike.core.json_types import JSONObject
from bytespike.core.losses import Losses
from bytespike.core.response import Candidate, ChatResponse
from bytespike.errors import ContentPolicyViolation, UpstreamError, error_for
from bytespike.protocols.gemini.answer_out import write_parts
from bytespike.protocols.gemini.call_ids import AnswerIds
from bytespike.protocols.gemini.errors import stream_error
from bytespike.protocols.gemini.finish import read_finish, write_finish
from bytespike.protocols.gemini.grounding import read_grounding, write_grounding
from bytespike.protocols.gemini.logprobs import read_logprobs, write_logprobs
from bytespike.protocols.gemini.names import CANDIDATES_MAX, NAME, aside, wire_members
from bytespike.protocols.gemini.parts_in import read_part
from bytespike.protocols.gemini.parts_out import Wire
from bytespike.protocols.gemini.stream_in import GeminiStreamReader, unix_seconds
from bytespike.protocols.gemini.usage import UNKNOWN, read_usage, searches_in, with_searches, write_usage
from bytespike.protocols.whole_bodies import read_answer
from bytespike.wire import fields as f
from bytespike.wire import json

# Compared with the class itself: `isinstance` costs thirty times as much where it says no.
_TOOL_CALL: Final = ToolCallPart
_KNOWN: Final = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId"})


def read_response(body: bytes) -> ChatResponse:
    """An upstream's answer: an object, or the chunks of a stream in one array.

    Raises `UpstreamError`; `ContentPolicyViolation` where the prompt was blocked, for then there is no answer.
    """
    if body.lstrip()[:1] == b"[":
        return _read_array(body)
    return read_answer(body, _read)


def _read_array(body: bytes) -> ChatResponse:
    reader = GeminiStreamReader()
    events = [*reader.feed(body), *reader.end()]
    last = events[-1]
    if isinstance(last, e.Failed):
        error = error_for(last.code, last.message)
        raise error if isinstance(error, ContentPolicyViolation) else UpstreamError(last.message)
    return fold(events)


def _read(obj: JSONObject) -> ChatResponse:
    if obj.get("error"):
        raise UpstreamError(stream_error(obj["error"]).message)
    candidates = f.optional_array(obj, "candidates")
    if not candidates:
        raise _without_candidates(obj)
    if len(candidates) > CANDIDATES_MAX:
        raise f.Wrong(f"holds more than {CANDIDATES_MAX}", "candidates")
    response_id = f.optional_text(obj, "responseId") or ""
    model = f.optional_text(obj, "modelVersion") or ""
    read: list[Candidate] = []
    searches = 0
    for index, candidate in enumerate(f.objects(candidates, "candidates")):
        try:
            read.append(_candidate(candidate, AnswerIds(response_id, index)))
        except f.Wrong as wrong:
            raise wrong.under("candidates", index) from None
        searches += searches_in(candidate.get("groundingMetadata"), model)
    figures = f.optional_object(obj, "usageMetadata")
    usage = read_usage(figures) if figures else UNKNOWN
    return ChatResponse(
        id=response_id,
        model=model,
        candidates=tuple(read),
        usage=with_searches(usage, searches, figures or {}),
        created=unix_seconds(obj.get("createTime")),
        extras=aside(f.rest(obj, _KNOWN)),
    )


def _without_candidates(obj: JSONObject) -> UpstreamError | ContentPolicyViolation:
    feedback = obj.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    if not isinstance(feedback, dict) or not isinstance(reason, str):
        return UpstreamError("The upstream's answer is malformed: it holds no candidates.")
    message = feedback.get("blockReasonMessage")
    return ContentPolicyViolation(
        message if isinstance(message, str) else f"The prompt was blocked by the provider: {reason[:60]}."
    )


def _candidate(candidate: JSONObject, ids: AnswerIds) -> Candidate:
    content = f.optional_object(candidate, "content") or {}
    parts: list[Part] = []
    #: For each text part its place among the parts, and the number of its wire part.
    places: list[int] = []
    numbers: list[int] = []
    try:
        for number, part in enumerate(f.objects(f.optional_array(content, "parts") or [], "parts")):
            before = len(parts)
            try:
                read_part(part, ids, parts)
            except f.Wrong as wrong:
                raise wrong.under("parts", number) from None
            for place in range(before, len(parts)):
                if isinstance(parts[place], TextPart):
                    places.append(place)
                    numbers.append(number)
    except f.Wrong as wrong:
        raise wrong.under("content") from None
    _cite(candidate, parts, places, numbers)
    called = False
    for read in parts:
        called = called or type(read) is _TOOL_CALL
    return Candidate(
        tuple(parts),
        read_finish(f.optional_text(candidate, "finishReason"), called=called, candidate=candidate),
        read_logprobs(candidate.get("logprobsResult")),
    )


def _cite(candidate: JSONObject, parts: list[Part], places: list[int], numbers: list[int]) -> None:
    """Gives the texts their citations."""
    grounding, sources = candidate.get("groundingMetadata"), candidate.get("citationMetadata")
    if not grounding and not sources:
        return
    texts = [part.text for place in places if isinstance(part := parts[place], TextPart)]
    for citation, text in read_grounding(grounding, sources, texts, numbers):
        if text is None:
            parts.append(TextPart("", (citation,)))
            continue
        part = parts[places[text]]
        if isinstance(part, TextPart):
            parts[places[text]] = structs.replace(part, citations=(*part.citations, citation))


# --- towards clients -------------------------------------------------------------------------------------------


def write_response(response: ChatResponse, reply: Reply) -> WrittenResponse:
    """A client's answer."""
    losses = Losses(NAME)
    searched = False
    candidates: list[Wire] = []
    for index, candidate in enumerate(response.candidates):
        answer = write_parts(candidate.parts, losses)
        written: Wire = {
            "content": {"parts": answer.parts, "role": "model"} if answer.parts else {"role": "model"},
            **write_finish(
                candidate.finish,
                called=answer.called,
                refused=any(isinstance(part, RefusalPart) for part in candidate.parts),
            ),
            "index": index,
        }
        if candidate.logprobs is not None and "logprobsResult" not in written:
            written["logprobsResult"] = write_logprobs(candidate.logprobs)
        if "groundingMetadata" not in written:
            grounding = write_grounding(answer.texts, answer.queries)
            if grounding:
                written["groundingMetadata"] = grounding
                searched = searched or bool(answer.queries)
        candidates.append(written)
    body: Wire = {"candidates": candidates}
    if response.usage != UNKNOWN:
        body["usageMetadata"] = write_usage(response.usage, searched=searched)
    body["modelVersion"] = reply.model
    body["responseId"] = response.id or reply.response_id
    body.update(wire_members(response.extras))
    try:
        return WrittenResponse(json.encode(body), losses.notices)
    except RecursionError:
        raise UpstreamError("The upstream's answer nests too deeply.") from None
