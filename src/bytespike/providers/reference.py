"""docs/reference/platforms.md, written from the platforms' data and from what the dialects' notes say of quirks.

`python -m bytespike.providers.reference > docs/reference/platforms.md` writes it anew; a test says when that is due.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from importlib import resources

from bytespike.providers.platforms import DIALECTS, MEDIA_SURFACES, PLATFORMS, Platform, Surface

NAMES: Mapping[str, str] = {
    "anthropic_messages": "Anthropic Messages",
    "openai_responses": "OpenAI Responses",
    "openai_chat": "OpenAI Chat Completions",
    "gemini": "Gemini",
}

_HEAD = """\
# Platforms

This page is generated from `src/bytespike/providers/data/platforms.toml` and the dialects' `NOTES.md`. To change it, change those and run
`python -m bytespike.providers.reference > docs/reference/platforms.md`.

A **platform** is a wire contract with an upstream: where it is, which dialects it speaks, how it takes its credential, in what it differs
from the dialect's own vendor. A channel names one (`--platform`). It speaks every dialect of its platform that has a base URL here, and
`--region` picks one of the platform's other hosts. With `--base-url DIALECT=URL` it is somewhere else, and speaks only the dialects
that are given so; `--base-url DIALECT=` takes one away. Where a channel speaks the dialect of the request, the bytes pass through; otherwise
the gateway translates to one that it speaks, and [quirks](#quirks) are seen to.

A vendor that is not here and speaks one of the dialects is `openai_compatible`, `anthropic_compatible` or `gemini_compatible` with a base
URL ([how to](../howto/own-servers.md)). Claude and Gemini in the clouds: [Bedrock](../howto/bedrock.md), [Vertex AI](../howto/vertex.md).

Beside the dialects some platforms have **APIs for images and videos**. Each is where the dialect is beside which it stands, unless
`--base-url` says otherwise for it.

## Deadlines

Of each call, the first of these that says anything counts: the channel's `--timeout NAME=SECONDS`, its platform's row here, the gateway's
[settings](settings.md).

| Name | From, until |
|---|---|
| `connect` | a free slot, DNS, TCP, proxy, TLS |
| `first_byte` | the request's last byte, the head of the answer |
| `idle` | the longest silence inside an answer |
| `total` | the client's request, the answer's last byte; all attempts together. A channel's own ends its attempt so long after that began, and the next channel is asked; where it is longer than the gateway's, its requests get so much more |

A count of tokens takes 30 seconds at most: somebody waits to send the prompt. A count that does not come is estimated.
"""

_AUTH = {
    "x-api-key": "`x-api-key`",
    "bearer": "`Authorization: Bearer`",
    "x-goog-api-key": "`x-goog-api-key`",
    "aws": "AWS keys: each request is signed; or a Bedrock API key",
    "google": "a service account's JSON file: access tokens",
}
_ROW = re.compile(r"^\| `([a-z][a-z0-9_]*)` \| (.+?) \|", re.MULTILINE)
_SECTION = re.compile(r"^## Quirks of[^\n]*\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


class UnexplainedQuirk(LookupError):
    """No dialect's notes say what a quirk of a platform means."""


def render(platforms: Mapping[str, Platform], meanings: Mapping[str, Mapping[str, str]]) -> str:
    """The whole page, as Markdown. `meanings` by dialect and quirk. Raises `UnexplainedQuirk`."""
    lines = [_HEAD, "## All of them\n"]
    lines += _table(
        ("Platform", "Vendor", *(NAMES[dialect] for dialect in DIALECTS), "Regions"),
        [_overview(platform) for platform in platforms.values()],
    )
    for platform in platforms.values():
        lines += ["", f"## {platform.name}\n", *_platform(platform)]
    lines += ["", "## Quirks\n", "What the gateway does for a platform that has one.\n"]
    for dialect in DIALECTS:
        rows = _quirks(dialect, platforms, meanings)
        if rows:
            lines += [f"### {NAMES[dialect]}\n", *_table(("Quirk", "What is done", "Platforms"), rows), ""]
    return "\n".join(lines).rstrip() + "\n"


def read_meanings() -> dict[str, dict[str, str]]:
    """What each dialect's NOTES.md says that a quirk means, by dialect and quirk."""
    found: dict[str, dict[str, str]] = {}
    for dialect in DIALECTS:
        notes = (resources.files("bytespike.protocols") / dialect / "NOTES.md").read_text("utf-8")
        section = _SECTION.search(notes)
        found[dialect] = {} if section is None else dict(_ROW.findall(section.group(1)))
    return found


def meaning(dialect: str, quirk: str, meanings: Mapping[str, Mapping[str, str]]) -> str:
    """Quirks have one meaning wherever they occur, so the notes of another dialect of the same vendor will do. Raises
    `UnexplainedQuirk`."""
    for each in (dialect, *DIALECTS):
        if quirk in meanings[each]:
            return meanings[each][quirk]
    raise UnexplainedQuirk(f"{quirk} of {dialect}")


def _overview(platform: Platform) -> tuple[str, ...]:
    regions = sorted({region for surface in platform.surfaces.values() for region in surface.regions})
    spoken = tuple(_mark(platform.surfaces.get(dialect)) for dialect in DIALECTS)
    return (f"[`{platform.name}`](#{platform.name})", platform.vendor, *spoken, ", ".join(regions))


def _mark(surface: Surface | None) -> str:
    if surface is None:
        return ""
    return "yes" if surface.base_url or surface.regional_url else "base URL needed"


def _platform(platform: Platform) -> list[str]:
    rows: list[tuple[str, ...]] = []
    lines: list[str] = []
    for dialect in DIALECTS:
        surface = platform.surfaces.get(dialect)
        if surface is not None:
            rows.append(
                (
                    NAMES[dialect],
                    _hosts(surface),
                    f"`{surface.path}`",
                    _AUTH[surface.auth],
                    f"`{surface.count_tokens_path}`" if surface.count_tokens_path else "estimated",
                    ", ".join(f"`{quirk}`" for quirk in sorted(surface.quirks)),
                    surface.source,
                )
            )
            lines += _particulars(surface)
    for api in MEDIA_SURFACES:
        surface = platform.surfaces.get(api)
        if surface is not None:
            beside = f"beside {NAMES[surface.beside]}" if surface.beside in NAMES else _hosts(surface)
            lines.append(f"- `{api}`, {beside}: {surface.source}")
    head = ("Dialect", "Base URL", "Path", "Credential", "Counts tokens", "Quirks", "Source")
    return _table(head, rows) + (["", *lines] if lines else [])


def _particulars(surface: Surface) -> list[str]:
    """What only some platforms have."""
    lines: list[str] = []
    if surface.lacks:
        lines.append(f"- Models lack here: {', '.join(sorted(surface.lacks))}")
    if surface.betas:
        known = ", ".join(f"`{flag}`" for flag in sorted(surface.betas))
        lines.append(
            f"- Flags of `anthropic-beta` that it knows; others are left out, with a notice: {known}"
        )
    for name, seconds in sorted(surface.timeouts.items()):
        lines.append(f"- Deadline `{name}`: {seconds:g} seconds")
    return lines


def _hosts(surface: Surface) -> str:
    hosts = [f"{region}: `{url}`" for region, url in sorted(surface.regions.items())]
    if surface.base_url:
        hosts.insert(0, f"`{surface.base_url}`")
    if surface.regional_url:
        hosts.append(f"any other region: `{surface.regional_url}`" if hosts else f"`{surface.regional_url}`")
    return "; ".join(hosts) if hosts else "the channel's"


def _quirks(
    dialect: str, platforms: Mapping[str, Platform], meanings: Mapping[str, Mapping[str, str]]
) -> list[tuple[str, ...]]:
    having: dict[str, list[str]] = {}
    for platform in platforms.values():
        surface = platform.surfaces.get(dialect)
        for quirk in () if surface is None else surface.quirks:
            having.setdefault(quirk, []).append(platform.name)
    return [
        (f"`{quirk}`", meaning(dialect, quirk, meanings), ", ".join(having[quirk]))
        for quirk in sorted(having)
    ]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def main() -> None:
    """Write the page to standard output."""
    sys.stdout.write(render(PLATFORMS, read_meanings()))


if __name__ == "__main__":
    main()
