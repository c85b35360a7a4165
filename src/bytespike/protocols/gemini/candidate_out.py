"""One candidate of a client's stream in the making: what has gone out, and what its last chunk says. `stream_out` explains
the whole.

Citations count from the start of a run, which is text without a break, as the client will read it; parts of the hub begin
anywhere in one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import structs

from bytespike.core.content import Citation, TextPart
from bytespike.core.finish import Finish
from bytespike.core.json_types import JSON, JSONObject
from bytespike.core.response import Logprobs
from bytespike.protocols.gemini.envelope import Reasoned
from bytespike.protocols.gemini.finish import write_finish
from bytespike.protocols.gemini.grounding import write_grounding
from bytespike.protocols.gemini.logprobs import write_logprobs
from bytespike.protocols.gemini.parts_out import Wire

_STOPPED: Final = Finish("stop")


class Run:
    """Text without a break. `chars`: how long it is."""

    __slots__ = ("chars", "citations", "pieces")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.chars = 0
        self.citations: list[Citation] = []

    def cite(self, citations: Iterable[Citation], start: int) -> None:
        """Note the citations of a part whose text began at `start` and has ended here."""
        end = self.chars
        for citation in citations:
            if citation.kind != "web":
                self.citations.append(citation)
            elif citation.start is None or citation.end is None:
                # It is about its whole part, which may be but the last piece of the text.
                whole = structs.replace(citation, start=start, end=end) if start else citation
                self.citations.append(whole)
            elif citation.end + start <= end:
                self.citations.append(
                    structs.replace(citation, start=citation.start + start, end=citation.end + start)
                )
            else:
                self.citations.append(structs.replace(citation, start=None, end=None))


class Candidate:
    """`run`: the text that goes on. `thinking`: the last thing sent was a thought without a proof. `before`: reasoning
    that the next call takes along."""

    __slots__ = ("_runs", "before", "called", "finish", "logprobs", "queries", "refused", "run", "thinking")

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self.run: Run | None = None
        self.thinking = False
        self.called = False
        self.refused = False
        self.before: list[Reasoned] = []
        self.queries: list[str] = []
        self.finish: Finish | None = None
        self.logprobs: tuple[list[JSON], list[JSON]] | None = None

    def going_on(self) -> Run:
        """The run that text goes into: `run`, or a new one where something else came between."""
        run = self.run
        if run is None:
            run = self.run = Run()
            self._runs.append(run)
        return run

    def latest(self) -> Run:
        """For citations without a text: they go to the text before them, or to the one that comes."""
        return self._runs[-1] if self._runs else self.going_on()

    def note_logprobs(self, content: Iterable[JSON], refusal: Iterable[JSON]) -> None:
        lists = self.logprobs = self.logprobs or ([], [])
        lists[0].extend(content)
        lists[1].extend(refusal)

    def grounding(self) -> JSONObject:
        """`groundingMetadata` of all that was said so far; empty where there is none."""
        texts = [
            (number, TextPart("".join(run.pieces), tuple(run.citations)))
            for number, run in enumerate(self._runs)
            if run.citations
        ]
        return write_grounding(texts, self.queries)

    def grounded(self, choice: int) -> Wire:
        """The candidate of a chunk that tells of citations, while the text that they are about is still the last: clients
        take the latest metadata for all."""
        return {
            "content": {"parts": [{"text": ""}], "role": "model"},
            "index": choice,
            "groundingMetadata": self.grounding(),
        }

    def last(self, choice: int) -> tuple[Wire, bool]:
        """The candidate of the last chunk, and whether it tells of a search."""
        last: Wire = {
            "content": {"parts": [{"text": ""}], "role": "model"},
            **write_finish(self.finish or _STOPPED, called=self.called, refused=self.refused),
            "index": choice,
        }
        if self.logprobs is not None and "logprobsResult" not in last:
            content, refusal = self.logprobs
            last["logprobsResult"] = write_logprobs(Logprobs(tuple(content), tuple(refusal)))
        if "groundingMetadata" in last:
            return last, False
        grounding = self.grounding()
        if grounding:
            last["groundingMetadata"] = grounding
        return last, bool(grounding and self.queries)
