"""A case on its way through the gateway, client's dialect to target's and back, and what its golden file says of it.

request     as the client sends it
passed      same dialect only: how the body that passes through differs from it
sent        as the target's dialect writes it, its notices, its headers; or why it is refused; or what is fetched first, and then sent
answer      what the upstream answers, in its own wire (`tests/support/vendor_wires`)
received    what the client gets of it, and its notices
next        the client's next request, which gives the answer back, as it is sent
streamed    the frames that the client gets where it asked for a stream; the upstream's own are made of `answer`, each
            text and each call's arguments in three pieces
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from bytespike.catalog.models import CAPABILITIES
from bytespike.core.content import Base64Source
from bytespike.core.dialect import Reply, Target, Written
from bytespike.core.events import Event
from bytespike.core.media_urls import urls_of, with_bytes
from bytespike.core.notices import Notice
from bytespike.core.renaming import restored_event, restored_response
from bytespike.core.request import ChatRequest
from bytespike.core.response import ChatResponse
from bytespike.errors import GatewayError, InvalidRequest, UnsupportedFeature
from bytespike.protocols.registry import DIALECTS
from tests.golden.matrix.layout import after, frames_of, shown
from tests.support.next_turn import Then, next_request
from tests.support.vendor_wires import anthropic_messages, gemini, openai_chat, openai_responses
from tests.support.vendor_wires.told import Answer

HERE = Path(__file__).parent
CASES = HERE / "cases"
EXPECTED = HERE / "expected"
TARGETS = ("anthropic_messages", "openai_chat", "openai_responses", "gemini")
WIRES: dict[str, Any] = {
    "anthropic_messages": anthropic_messages,
    "openai_chat": openai_chat,
    "openai_responses": openai_responses,
    "gemini": gemini,
}
#: Models that can do all that their dialect can say.
QUIRKS = {"anthropic_messages": frozenset({"system_turns", "effort_xhigh", "adaptive_thinking"})}
REQUEST_ID = "01JABCDEFGHJKMNPQRSTVWXYZ0"


class Case(Struct, frozen=True, forbid_unknown_fields=True):
    """`without`: capabilities that the targets lack. `quirks`: instead of `QUIRKS`, by dialect. `then`: how the conversation
    goes on."""

    name: str
    about: str
    client: str
    request: dict[str, Any]
    answer: Answer = Answer()
    without: tuple[str, ...] = ()
    quirks: dict[str, tuple[str, ...]] = {}
    max_output_tokens: int = 64_000
    then: Then | None = None

    @property
    def body(self) -> bytes:
        return json.dumps(self.request, ensure_ascii=False).encode()

    def target(self, dialect: str) -> Target:
        quirks = self.quirks.get(dialect)
        return Target(
            "upstream-model",
            "",
            frozenset(CAPABILITIES) - frozenset(self.without),
            self.max_output_tokens,
            QUIRKS.get(dialect, frozenset()) if quirks is None else frozenset(quirks),
        )

    @property
    def reply(self) -> Reply:
        return Reply("client-model", REQUEST_ID, 1_700_000_000, echo=DIALECTS[self.client].echo(self.body))


@cache
def cases() -> tuple[Case, ...]:
    """Every written case, by name."""
    found: list[Case] = []
    for path in sorted(CASES.glob("*.json")):
        members = json.loads(path.read_text("utf-8"))
        found.append(msgspec.convert({"name": path.stem, **members}, Case))
    return tuple(found)


def expected_path(case: Case, target: str) -> Path:
    return EXPECTED / case.name / f"{target}.json"


def sent(case: Case, target: str) -> tuple[ChatRequest, Written]:
    """Raises `InvalidRequest` where it is refused."""
    request = DIALECTS[case.client].read_request(case.body)
    return request, DIALECTS[target].write_request(request, case.target(target))


def upstream_answer(case: Case, target: str, written: Written) -> dict[str, Any]:
    return WIRES[target].whole(_by_sent_names(case.answer, written))


def upstream_frames(case: Case, target: str, written: Written) -> list[bytes]:
    return WIRES[target].stream(_by_sent_names(case.answer, written))


def _by_sent_names(answer: Answer, written: Written) -> Answer:
    """The upstream calls tools by the names that it was sent."""
    sent_names = {name: short for short, name in written.renamed.items()}
    parts = tuple(
        structs.replace(part, call=sent_names.get(part.call, part.call)) if part.call else part
        for part in answer.parts
    )
    return structs.replace(answer, parts=parts)


def answered(case: Case, target: str, written: Written) -> ChatResponse:
    """The upstream's whole answer, in the hub's terms."""
    body = json.dumps(upstream_answer(case, target, written), ensure_ascii=False).encode()
    return restored_response(DIALECTS[target].read_response(body), written.renamed)


def streamed(case: Case, target: str, written: Written) -> bytes:
    """The stream as the client gets it, each of the upstream's frames on its own."""
    reader, writer = DIALECTS[target].stream_reader(), DIALECTS[case.client].stream_writer(case.reply)
    out = [
        writer.write(renamed(reader.feed(frame), written)) for frame in upstream_frames(case, target, written)
    ]
    return b"".join([*out, writer.write(renamed(reader.end(), written))])


def renamed(events: list[Event], written: Written) -> list[Event]:
    return [restored_event(event, written.renamed) for event in events] if written.renamed else events


def golden(case: Case, target: str) -> dict[str, Any]:
    """What the case's golden file for this target says."""
    told: dict[str, Any] = {
        "case": f"{case.name}: {case.client} > {target}",
        "about": case.about,
        "request": case.request,
    }
    if target == case.client:
        told["passed"] = _passed(case)
    try:
        _, written = sent(case, target)
    except InvalidRequest as error:
        return {**told, "refused": _refusal(error), **_fetched(case, target, error)}
    body = json.loads(written.body)
    told["sent"] = body
    if written.headers:
        told["headers"] = dict(written.headers)
    if written.renamed:
        told["renamed"] = dict(written.renamed)
    told["notices"] = _notices(written.notices)
    if case.answer == Answer():
        return told
    told["answer"] = upstream_answer(case, target, written)
    received: Any = None
    try:
        result = DIALECTS[case.client].write_response(answered(case, target, written), case.reply)
        received = json.loads(result.body)
        told["received"] = received
        told["answer_notices"] = _notices(result.notices)
    except GatewayError as error:
        told["answer_refused"] = _refusal(error)
    if case.then is not None and received is not None:
        told["next"] = _next(case, target, received, body)
    told["streamed"] = shown(frames_of(streamed(case, target, written)), received, "received")
    return told


def _next(case: Case, target: str, received: Any, before: Any) -> dict[str, Any]:
    assert case.then is not None
    request = next_request(case.client, case.request, received, case.then)
    told: dict[str, Any] = {"request": after(request, case.request)}
    try:
        read = DIALECTS[case.client].read_request(json.dumps(request, ensure_ascii=False).encode())
        written = DIALECTS[target].write_request(read, case.target(target))
    except InvalidRequest as error:
        return {**told, "refused": _refusal(error)}
    return {
        **told,
        "sent": after(json.loads(written.body), before),
        "notices": _notices(written.notices),
    }


def _fetched(case: Case, target: str, error: InvalidRequest) -> dict[str, Any]:
    """What goes out once the gateway has fetched what the target takes by no URL."""
    media = error.by_url if isinstance(error, UnsupportedFeature) else None
    if media is None:
        return {}
    request = DIALECTS[case.client].read_request(case.body)
    urls = urls_of(request, media)
    source = Base64Source("image/png" if media == "image" else "application/pdf", "RkVUQ0hFRA==")
    inline = with_bytes(request, media, dict.fromkeys(urls, source))
    written = DIALECTS[target].write_request(inline, case.target(target))
    return {
        "fetched": [*urls],
        "then sent": json.loads(written.body),
        "notices": _notices(written.notices),
    }


def _passed(case: Case) -> Any:
    dialect = DIALECTS[case.client]
    try:
        body = dialect.patch_request(case.body, dialect.peek(case.body), case.target(case.client))
    except InvalidRequest as error:
        return {"refused": _refusal(error)}
    passed = json.loads(body)
    changed = {key: value for key, value in passed.items() if case.request.get(key) != value}
    gone = [key for key in case.request if key not in passed]
    return {**changed, **({"without": gone} if gone else {})}


def _refusal(error: GatewayError) -> dict[str, Any]:
    param = {"param": error.param} if error.param else {}
    return {"code": error.code, "message": error.message, **param}


def _notices(notices: tuple[Notice, ...]) -> list[str]:
    return [str(notice) for notice in notices]
