"""docs/reference/fidelity.md, written from the table of `fidelity.py`.

`python -m bytespike.protocols.fidelity_reference > docs/reference/fidelity.md` writes it anew; a test says when that is due.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import groupby

from bytespike.protocols.fidelity import DIALECT_NAMES, Feature, Outcome, load_features

_HEAD = """\
# What survives translation

This page is generated from `src/bytespike/protocols/data/fidelity.toml`, and a test compares each cell with what the gateway does. To change
it, change the data and run `python -m bytespike.protocols.fidelity_reference > docs/reference/fidelity.md`. Programs read it at
`GET /api/v1/fidelity`.

A client speaks one dialect and the channel that answers speaks one. Where they are the same the bytes pass through, whatever they say:
unknown members, new features, beta headers. Where they differ:

| | |
|---|---|
| **native** | the dialect is the same |
| yes | translated: the other dialect says the same |
| notice | dropped, or said as well as the other dialect can; `X-ByteSpike-Notices` names it |
| fetched | the gateway fetches it and sends it inline (setting `fetch_urls`; without it 400) |
| 400 | refused with `unsupported_feature`: it is content or a constraint, without which the answer would be another one |
| | nobody can say it: the client's dialect (of a request) or the upstream's (of an answer) has no words for it |
| **lost** | dropped in silence: a fault that is known, and to be mended |

Each column is a pair, client → upstream. The page is about dialects, so it supposes a model that can do all that its dialect can say. What
a model lacks (its [capabilities](models.md#capabilities)) or a platform ([quirks](platforms.md#quirks)) is refused or noticed in the
same way. Answers are the same whether they are streamed or not.
"""

_SHORT = {
    "anthropic_messages": "Messages",
    "openai_chat": "Chat",
    "openai_responses": "Responses",
    "gemini": "Gemini",
}
_CELLS: dict[Outcome, str] = {
    "native": "**native**",
    "translated": "yes",
    "approximated": "notice",
    "fetched": "fetched",
    "refused": "400",
    "absent": "",
    "lost": "**lost**",
}


def render(features: Iterable[Feature]) -> str:
    """The whole page, as Markdown. A table for each group and client."""
    lines = [_HEAD]
    for group, rows in groupby(features, key=lambda feature: feature.group):
        found = list(rows)
        lines += [f"## {group}\n"]
        for client in DIALECT_NAMES:
            said = [
                feature
                for feature in found
                if any(feature.pairs[client, upstream] != "absent" for upstream in DIALECT_NAMES)
            ]
            if said:
                lines += [f"Client: {_SHORT[client]}\n", *_table(client, said), ""]
        notes = [f"- {feature.title}: {feature.note}" for feature in found if feature.note]
        if notes:
            lines += [*notes, ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(client: str, features: Iterable[Feature]) -> list[str]:
    head = ("", *(f"→ {_SHORT[upstream]}" for upstream in DIALECT_NAMES))
    rows = [
        (feature.title, *(_CELLS[feature.pairs[client, upstream]] for upstream in DIALECT_NAMES))
        for feature in features
    ]
    return [f"| {' | '.join(cells)} |" for cells in (head, tuple("---" for _ in head), *rows)]


def main() -> None:
    """Write the page to standard output."""
    sys.stdout.write(render(load_features()))


if __name__ == "__main__":
    main()
