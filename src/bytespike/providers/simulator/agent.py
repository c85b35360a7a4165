"""Scripted agents: tasks for the command-line tools that people run, done step by step without a model.

A user's text may hold steps, `[[agent: run echo hi]]`, `[[agent: write hello.txt "hello"]]`. Each is one call of one of
the tools that the client offers (`agent_tools` finds it and fits the arguments); when all their results have come back,
the answer says "agent done: " and quotes the last of them. A client that offers no tools but asks for edits in words
gets them in the form that it asks for (`agent_edits`); any other request without tools is one on the side, such as for
a title, and gets a few words.

What is to be done follows from the conversation alone. Of all that the user wrote, the newest text with steps in it
counts, wherever in the client's own wrapping it stands; what tools gave back is no text of the user's. After it, every
answer that got its results is a step done. An answer that got none was the last: the task is over, and what the user
says next is answered as usual.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

from msgspec import Struct

from bytespike.providers.simulator.agent_edits import edit_in_words
from bytespike.providers.simulator.agent_steps import Step, Unreadable, read_step
from bytespike.providers.simulator.agent_tools import Fitted, fit
from bytespike.providers.simulator.prompt import Line, Prompt, Result

QUOTED_CHARS_MAX = 4000
STEPS_MAX = 50

MARK = "[[agent:"
ON_THE_SIDE = "A task for the simulator."
SIGNED = "(This is the simulator, not a real model.)"
_STEP = re.compile(r"\[\[agent:(.*?)\]\]", re.DOTALL)


class Speak(Struct, frozen=True):
    """Words, and no call."""

    text: str


Move: TypeAlias = Fitted | Speak


def next_move(prompt: Prompt) -> Move | None:
    """What a script asks for now; None where there is no script, or it is over."""
    at = _newest(prompt.history)
    if at is None:
        return None
    after = prompt.history[at + 1 :]
    done = _runs(after, "result")
    if _runs(after, "answer") > done:
        return None
    steps = _STEP.findall(prompt.history[at].text)[:STEPS_MAX]
    if done >= len(steps):
        return None if prompt.schema is not None or prompt.json_object else _report(prompt.results)
    try:
        step = read_step(steps[done])
    except Unreadable as error:
        return Speak(f"agent stopped: {error} {SIGNED}")
    if not prompt.tools:
        return _without_tools(prompt, step)
    fitted = fit(step, prompt.tools, prompt.history)
    if fitted is None:
        return Speak(f"agent stopped: none of the {len(prompt.tools)} tools can {step.verb}. {SIGNED}")
    return fitted


def _newest(history: Sequence[Line]) -> int | None:
    for at in range(len(history) - 1, -1, -1):
        line = history[at]
        if line.speaker == "user" and MARK in line.text and _STEP.search(line.text):
            return at
    return None


def _runs(history: Sequence[Line], speaker: str) -> int:
    """How many times that speaker began to speak, after another than the system or the user in between."""
    runs, last = 0, ""
    for line in history:
        if line.speaker in ("answer", "result"):
            if line.speaker == speaker and last != speaker:
                runs += 1
            last = line.speaker
    return runs


def _report(results: Sequence[Result]) -> Speak | None:
    if not results:
        return None
    failed = any(result.is_error for result in results)
    quoted = "\n".join(result.text for result in results)[:QUOTED_CHARS_MAX]
    return Speak(f"agent {'failed' if failed else 'done'}: {quoted}\n{SIGNED}")


def _without_tools(prompt: Prompt, step: Step) -> Speak | None:
    if prompt.schema is not None or prompt.json_object:
        return None
    edit = edit_in_words(step, prompt.history)
    return Speak(edit if edit is not None else ON_THE_SIDE)
