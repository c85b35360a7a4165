"""Edits in words, for a client that offers no tools and takes them from the text of the answer, as aider does.

Two forms, told apart by what the client's own instructions speak of: SEARCH/REPLACE blocks, and file listings that hold
the whole file. In both, the file's name stands on the line before the fence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bytespike.providers.simulator.agent_steps import Step
from bytespike.providers.simulator.prompt import Line

FENCE = "```"
_BLOCKS = "SEARCH/REPLACE"
_LISTINGS = "file listing"


def edit_in_words(step: Step, history: Sequence[Line]) -> str | None:
    """The edit that `step` asks for, in the form that the client reads; None where it asks for none, or reads none."""
    if step.verb not in ("write", "edit"):
        return None
    asked = [line.text for line in history if line.speaker in ("system", "user")]
    blocks = any(_BLOCKS in text for text in asked)
    if not blocks and not any(_LISTINGS in text for text in asked):
        return None
    before = _shown(step.target, asked)
    lead = f"The simulator edits {step.target}.\n\n{step.target}\n{FENCE}\n"
    if blocks:
        old = step.old if step.old is not None else before
        return f"{lead}<<<<<<< SEARCH\n{_lines(old)}=======\n{_lines(step.text)}>>>>>>> REPLACE\n{FENCE}\n"
    after = step.text if step.old is None else before.replace(step.old, step.text, 1) or step.text
    return f"{lead}{_lines(after)}{FENCE}\n"


def _lines(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _shown(name: str, texts: Sequence[str]) -> str:
    """The file as the client has shown it last, "" where it has not."""
    listing = re.compile(
        rf"^(?:\S*/)?{re.escape(name)}\n(?P<fence>`{{3,}})[^\n]*\n(?P<text>.*?)^(?P=fence)", re.M | re.S
    )
    for text in reversed(texts):
        found = list(listing.finditer(text))
        if found:
            return found[-1].group("text")
    return ""
