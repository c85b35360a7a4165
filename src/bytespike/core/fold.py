"""Events to response, and response to events.

`Fold` is the one place that accumulates a stream. Translation of unary answers, billing of cut streams and the tests
all use it, so a streamed and a unary answer cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import structs

from bytespike.core import content as c
from bytespike.core import events as e
from bytespike.core.finish import Finish
from bytespike.core.json_types import JSON, NO_EXTRAS, Extras
from bytespike.core.response import Candidate, ChatResponse, Logprobs
from bytespike.core.usage import NO_USAGE, Usage

#: More parts than this in one answer is a hostile or broken upstream.
PARTS_MAX = 4096


class StreamOutOfOrder(ValueError):
    """An event that the grammar of `core.events` does not allow at this point."""


class _OpenPart:
    __slots__ = ("choice", "citations", "input", "open", "part", "proof", "text")

    def __init__(self, part: c.Part, choice: int) -> None:
        self.part = part
        self.choice = choice
        self.text: list[str] = []
        self.input: list[str] = []
        self.citations: list[c.Citation] = []
        self.proof: c.Proof | None = None
        self.open = True

    def whole(self) -> c.Part:
        part = self.part
        if isinstance(part, c.TextPart) and (self.text or self.citations):
            return structs.replace(
                part,
                text=part.text + "".join(self.text),
                citations=part.citations + tuple(self.citations),
            )
        if isinstance(part, c.ReasoningPart) and (self.text or self.proof):
            return structs.replace(part, text=part.text + "".join(self.text), proof=self.proof or part.proof)
        if isinstance(part, c.RefusalPart) and self.text:
            return structs.replace(part, text=part.text + "".join(self.text))
        if isinstance(part, c.ToolCallPart) and (self.input or self.proof):
            return structs.replace(
                part, arguments=part.arguments + "".join(self.input), proof=self.proof or part.proof
            )
        if isinstance(part, c.ServerToolCallPart) and self.input:
            return structs.replace(part, arguments=part.arguments + "".join(self.input))
        return part


class Fold:
    """Accumulates events; `response()` may be called at any time and gives what has been produced so far."""

    __slots__ = ("_extras", "_finishes", "_logprobs", "_parts", "done", "failed", "started", "usage")

    def __init__(self) -> None:
        self.started: e.Started | None = None
        self.usage: Usage = NO_USAGE
        self.done = False
        self.failed: e.Failed | None = None
        self._parts: dict[int, _OpenPart] = {}
        self._finishes: dict[int, Finish] = {}
        self._logprobs: dict[int, tuple[list[JSON], list[JSON]]] = {}
        self._extras: Extras = NO_EXTRAS

    def add(self, event: e.Event) -> None:
        """Take one event. Raises `StreamOutOfOrder`."""
        if self.done or self.failed:
            raise StreamOutOfOrder(f"{type(event).__name__} after the end")
        match event:
            case e.TextDelta(index=index, text=text):
                self._open(index).text.append(text)
            case e.InputDelta(index=index, json=json):
                self._open(index).input.append(json)
            case e.PartStart():
                self._start(event)
            case e.PartEnd(index=index, part=part):
                slot = self._open(index)
                slot.part = slot.whole() if part is None else part
                slot.text, slot.input, slot.citations, slot.proof = [], [], [], None
                slot.open = False
            case e.ProofDelta(index=index, proof=proof):
                self._open(index).proof = proof
            case e.CitationDelta(index=index, citation=citation):
                self._open(index).citations.append(citation)
            case e.LogprobsDelta(content=content, refusal=refusal, choice=choice):
                lists = self._logprobs.setdefault(choice, ([], []))
                lists[0].extend(content)
                lists[1].extend(refusal)
            case e.Started():
                if self.started is not None:
                    raise StreamOutOfOrder("a second start")
                self.started = event
            case e.UsageUpdate(usage=usage):
                self.usage = usage
            case e.Finished(finish=finish, choice=choice):
                self._finishes[choice] = finish
            case e.Done(usage=usage, extras=extras):
                if any(slot.open for slot in self._parts.values()):
                    raise StreamOutOfOrder("the answer ended inside a part")
                self.usage = usage
                self._extras = extras
                self.done = True
            case e.Failed():
                self.failed = event
            case e.Ping() | e.ForeignEvent():
                pass

    def _start(self, event: e.PartStart) -> None:
        if event.index in self._parts:
            raise StreamOutOfOrder(f"part {event.index} started twice")
        if len(self._parts) >= PARTS_MAX:
            raise StreamOutOfOrder(f"more than {PARTS_MAX} parts")
        self._parts[event.index] = _OpenPart(event.part, event.choice)

    def _open(self, index: int) -> _OpenPart:
        slot = self._parts.get(index)
        if slot is None or not slot.open:
            raise StreamOutOfOrder(f"part {index} is not open")
        return slot

    def response(self) -> ChatResponse:
        """What has been produced so far, as a whole answer (finish "other" where no reason has come yet)."""
        started = self.started or e.Started(id="", model="")
        choices = sorted({slot.choice for slot in self._parts.values()} | set(self._finishes) | {0})
        candidates: list[Candidate] = []
        for choice in choices:
            logprobs = self._logprobs.get(choice)
            candidates.append(
                Candidate(
                    parts=tuple(
                        slot.whole() for _, slot in sorted(self._parts.items()) if slot.choice == choice
                    ),
                    finish=self._finishes.get(choice, Finish("other")),
                    logprobs=Logprobs(tuple(logprobs[0]), tuple(logprobs[1])) if logprobs else None,
                )
            )
        return ChatResponse(
            id=started.id,
            model=started.model,
            created=started.created,
            candidates=tuple(candidates),
            usage=self.usage,
            extras={**started.extras, **self._extras},
        )


def fold(events: Iterable[e.Event]) -> ChatResponse:
    """The whole answer of a finished stream. Raises `StreamOutOfOrder`."""
    folded = Fold()
    for event in events:
        folded.add(event)
    return folded.response()


def unfold(response: ChatResponse) -> Iterator[e.Event]:
    """A stream that folds back into `response`: every part whole, in order."""
    yield e.Started(response.id, response.model, response.created, response.extras)
    index = 0
    for choice, candidate in enumerate(response.candidates):
        for part in candidate.parts:
            yield e.PartStart(index, part, choice)
            yield e.PartEnd(index)
            index += 1
        if candidate.logprobs:
            yield e.LogprobsDelta(candidate.logprobs.content, candidate.logprobs.refusal, choice)
        yield e.Finished(candidate.finish, choice)
    yield e.Done(response.usage)
