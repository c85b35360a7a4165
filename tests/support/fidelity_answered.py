"""Every probe of what answers say, and of what they give to the next request."""

from __future__ import annotations

from tests.support.fidelity import Answered, Returned
from tests.support.fidelity_answers import calling, searching, words
from tests.support.fidelity_figures import endings, figures
from tests.support.fidelity_mcp import servers_in_answers
from tests.support.fidelity_reasoning import proofs, reasoning


def answered() -> dict[str, Answered]:
    """Every probe of an answer, by the feature's id."""
    return {
        name: probe
        for group in (words, calling, searching, servers_in_answers, reasoning, endings, figures)
        for name, probe in group()
    }


def returned() -> dict[str, Returned]:
    """Every probe of what comes back, by the feature's id."""
    return dict(proofs())
