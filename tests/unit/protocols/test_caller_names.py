"""What a notice of a request names is a member that its caller has written, in the caller's own dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytespike.catalog.models import CAPABILITIES
from bytespike.core.notices import Notice
from bytespike.errors import InvalidRequest
from bytespike.protocols.caller_names import in_callers_names
from bytespike.protocols.fidelity import DIALECT_NAMES
from bytespike.protocols.registry import DIALECTS
from tests.support.fidelity import HELLO, Asked, body_of, target
from tests.support.fidelity_asked import asked

M, C, R, G = DIALECT_NAMES
PROBES = {name: probe for name, probe in asked().items() if isinstance(probe, Asked)}
ABILITIES = (frozenset[str](), *(frozenset({each}) for each in CAPABILITIES), frozenset(CAPABILITIES))

#: Kinds of content, which are called by their kind, whatever members say them.
CONTENT = {
    "documents",
    "search_result",
    "server tool history",
    "server_tools",
    "tool_result",
    "messages.content",
}
#: What a writer cannot know more of, by the caller's dialect: a path that begins at a kind of content, or a member in whose
#: place the caller has written another that means the same.
APART = {
    M: {"document.title", "document.citations", "tool_result.content", "tool_result.is_error"},
    C: set[str](),
    R: {"input_file.filename", "input_image.detail", "tool_result.content"},
    G: set[str](),
}


def stands(path: str, body: Any) -> bool:
    """Whether the path leads somewhere in the body, from wherever it begins; lists are passed through."""
    first, _, rest = path.partition(".")
    first = first.partition("[")[0]
    if isinstance(body, list):
        return any(stands(path, each) for each in body)
    if not isinstance(body, dict):
        return False
    if first in body and (not rest or stands(rest, body[first])):
        return True
    return any(stands(path, each) for each in body.values())


@pytest.mark.parametrize("client", DIALECT_NAMES)
@pytest.mark.parametrize("name", PROBES)
def test_every_notice_of_a_request_names_what_its_caller_wrote(name: str, client: str) -> None:
    probe = PROBES[name]
    if client not in probe.said:
        return
    body = body_of(HELLO, probe.said, client)
    try:
        request = DIALECTS[client].read_request(body)
    except InvalidRequest:
        return
    strange: set[str] = set()
    for upstream in set(DIALECT_NAMES) - {client}:
        for lacking in ABILITIES:
            for quirks in (probe.quirks, {}):
                try:
                    written = DIALECTS[upstream].write_request(request, target(upstream, quirks, lacking))
                except InvalidRequest:
                    continue
                for notice in in_callers_names(written.notices, client):
                    path = notice.feature
                    if path not in CONTENT | APART[client] and not stands(path, json.loads(body)):
                        strange.add(f"{path}: {notice} (to {upstream})")
    assert not strange


def test_a_name_that_two_dialects_share_and_one_that_nobody_knows_stay() -> None:
    notices = (Notice("temperature", "approximated", "the highest is 1"), Notice("hologram", "dropped"))
    assert in_callers_names(notices, C) == notices
    assert in_callers_names(notices, "images") == notices
    assert in_callers_names((), G) == ()


@pytest.mark.parametrize(
    ("client", "hub", "own"),
    [
        (G, "max_tokens", "generationConfig.maxOutputTokens"),
        (G, "reasoning_effort", "generationConfig.thinkingConfig.thinkingLevel"),
        (G, "body.hologram", "hologram"),
        (M, "reasoning_effort", "output_config.effort"),
        (M, "stop", "stop_sequences"),
        (R, "max_tokens", "max_output_tokens"),
        (R, "messages.role", "input.role"),
        (C, "tools.3", "tools[3]"),
        (C, "messages.2.name", "messages[2].name"),
    ],
)
def test_what_the_hub_calls_otherwise_gets_the_callers_path_and_keeps_its_words(
    client: str, hub: str, own: str
) -> None:
    (told,) = in_callers_names((Notice(hub, "approximated", "a word"),), client)
    assert told == Notice(own, "approximated", "a word")
