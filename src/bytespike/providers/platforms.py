"""Platforms: wire contracts with upstreams, as rows of data.

A row says which dialects a vendor speaks, where, how it wants its credential, and in what it differs from the dialect's
own vendor (`quirks`: named switches, each explained in the dialect's NOTES.md). A new vendor that speaks a known
dialect is a row in data/platforms.toml and nothing else.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

#: How the credential travels: `x-api-key: <credential>`, `authorization: Bearer <credential>`,
#: `x-goog-api-key: <credential>`.
Auth: TypeAlias = Literal["x-api-key", "bearer", "x-goog-api-key"]

DIALECTS: tuple[str, ...] = ("anthropic_messages", "openai_responses", "openai_chat", "gemini")


class Surface(Struct, frozen=True, forbid_unknown_fields=True):
    """One dialect of one platform.

    A request goes to the base URL followed by `path`. `base_url` is the platform's own, "" where each channel has to
    give one; `regions` are its other hosts, by the `region` of a channel. `count_tokens_path`: "" where the platform
    cannot count. `stream_path`: where streams are asked for, "" for `path`. `{model}` in a path is the model's name. `default_headers` are sent unless the client sent its own. `source`: who says so.
    """

    path: str
    auth: Auth
    source: str
    base_url: str = ""
    regions: Mapping[str, str] = {}
    stream_path: str = ""
    count_tokens_path: str = ""
    headers: Mapping[str, str] = {}
    default_headers: Mapping[str, str] = {}
    quirks: frozenset[str] = frozenset()


class Platform(Struct, frozen=True, forbid_unknown_fields=True):
    """`surfaces` by dialect. `vendor` is shown to people; `name` is what a channel and a usage row say."""

    name: str
    vendor: str
    surfaces: Mapping[str, Surface]


def load_platforms() -> Mapping[str, Platform]:
    """Every platform by name. Raises ValueError, which names the row, if the data file is wrong."""
    text = (resources.files("bytespike.providers") / "data" / "platforms.toml").read_text("utf-8")
    return read_platforms(text)


def read_platforms(text: str) -> Mapping[str, Platform]:
    """The platforms of a data file. Raises ValueError."""
    raw: dict[str, Any] = tomllib.loads(text)
    platforms: dict[str, Platform] = {}
    for name, row in raw.items():
        try:
            platform = msgspec.convert({"name": name, **row}, Platform)
        except msgspec.ValidationError as error:
            raise ValueError(f"platforms.toml: {name}: {error}") from None
        unknown = sorted(set(platform.surfaces) - set(DIALECTS))
        if unknown:
            raise ValueError(f"platforms.toml: {name}: unknown dialect {unknown[0]}")
        platforms[name] = platform
    return platforms


#: Read once, when the program starts.
PLATFORMS: Mapping[str, Platform] = load_platforms()
