"""Every probe of what requests say."""

from __future__ import annotations

from tests.support.fidelity import Asked
from tests.support.fidelity_calls import calls
from tests.support.fidelity_content import conversations, media
from tests.support.fidelity_knobs import account, knobs, output, thinking
from tests.support.fidelity_mcp import servers_in_histories
from tests.support.fidelity_tools import tools


def asked() -> dict[str, Asked]:
    """Every probe of a request, by the feature's id."""
    return {
        name: probe
        for group in (
            conversations,
            media,
            tools,
            calls,
            servers_in_histories,
            thinking,
            output,
            knobs,
            account,
        )
        for name, probe in group()
    }
