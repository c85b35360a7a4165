"""Probes of what a model thought, and of the proofs that its next turn must give back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bytespike.core import content as c
from bytespike.core.request import ChatRequest
from tests.support.fidelity import Answered, C, G, M, R, Returned
from tests.support.fidelity_answers import CALLS, HELLO, MESSAGE, TEXT, chat, said, some

REASONED: dict[str, dict[str, Any]] = {
    M: {"content": [{"type": "thinking", "thinking": "Let me see.", "signature": "c2lnbmF0dXJl"}, TEXT]},
    R: {
        "output": [
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "Let me see."}],
                "encrypted_content": "ZW5jcnlwdGVk",
            },
            MESSAGE,
        ]
    },
    G: said({"text": "Let me see.", "thought": True}, {**HELLO, "thoughtSignature": "Z2VtaW5p"}),
}


def reasoning() -> Iterator[tuple[str, Answered]]:
    yield (
        "answer_thinking",
        Answered(
            some(c.ReasoningPart, lambda part: part.text == "Let me see."),
            {**REASONED, C: chat({"reasoning_content": "Let me see."})},
        ),
    )


def proofs() -> Iterator[tuple[str, Returned]]:
    def given(request: ChatRequest) -> list[c.Proof]:
        return [
            part.proof
            for turn in request.turns
            for part in turn.parts
            if isinstance(part, c.ReasoningPart | c.ToolCallPart) and part.proof is not None
        ]

    def back(*data: str) -> Callable[[ChatRequest], bool]:
        return lambda request: [proof.data for proof in given(request)][:1] in [[each] for each in data]

    yield (
        "proofs",
        Returned(back("c2lnbmF0dXJl", "ZW5jcnlwdGVk", "Z2VtaW5p"), REASONED),
    )
    yield (
        "redacted",
        Returned(
            lambda request: (
                any(
                    isinstance(part, c.ReasoningPart) and part.redacted
                    for turn in request.turns
                    for part in turn.parts
                )
                and back("cmVkYWN0ZWQ=")(request)
            ),
            {M: {"content": [{"type": "redacted_thinking", "data": "cmVkYWN0ZWQ="}, TEXT]}},
        ),
    )
    thought: dict[str, Any] = {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmF0dXJl"}
    use = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}}
    yield (
        "call_proofs",
        Returned(
            back("c2lnbmF0dXJl", "ZW5jcnlwdGVk", "Z2VtaW5p"),
            {
                M: {"content": [thought, use], "stop_reason": "tool_use"},
                R: {"output": [REASONED[R]["output"][0], CALLS[R]["output"][0]]},
                G: said(
                    {
                        "functionCall": {"name": "weather", "args": {"city": "Paris"}},
                        "thoughtSignature": "Z2VtaW5p",
                    }
                ),
            },
        ),
    )
