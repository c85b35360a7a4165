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
#: `x-goog-api-key: <credential>`. "aws": requests are signed with it (`providers.bedrock`). "google": it is a service
#: account, which gets access tokens (`providers.vertex`).
Auth: TypeAlias = Literal["x-api-key", "bearer", "x-goog-api-key", "aws", "google"]

DIALECTS: tuple[str, ...] = ("anthropic_messages", "openai_responses", "openai_chat", "gemini")
#: The APIs that make images and videos, which are no dialects: nothing is translated between them (`media/adapters`).
#: Some models draw inside of a dialect's answers: those are asked in that.
MEDIA_SURFACES: tuple[str, ...] = (
    "openai_images",
    "ark_images",
    "openai_videos",
    "gemini_operations",
    "ark_tasks",
)
SURFACES: tuple[str, ...] = (*DIALECTS, *MEDIA_SURFACES)


class Surface(Struct, frozen=True, forbid_unknown_fields=True):
    """One dialect of one platform, or one of its APIs for media.

    A request goes to the base URL followed by `path`. `base_url` is the platform's own, "" where each channel has to
    give one; `regions` are its other hosts, by the `region` of a channel, and `regional_url` is that of any region that is
    not among them. `count_tokens_path`: "" where the platform cannot count. `stream_path`: where streams are asked for, ""
    for `path`; `events_query` asks there for server-sent events. `models_path`: where it lists its models; "" where it does
    not. In URLs and paths `{model}` is the model's name, `{segment}` the same as one segment of a path, `{region}` and
    `{project}` what the channel and its credential say. `default_headers` are sent unless the client sent its own. `betas`:
    the flags of Anthropic's that a cloud knows, with auth "aws" and "google". `lacks`: abilities that models have elsewhere
    and not there. `timeouts`: where the gateway's settings do not fit, by name and in seconds; a channel's own come first.
    `beside`: the dialect whose base URL it shares where a channel gives none for it. `source`: who says so.

    An API for media has several paths, which its adapter knows: its `path` is what they have in common, mostly "".
    """

    path: str
    auth: Auth
    source: str
    base_url: str = ""
    beside: str = ""
    regions: Mapping[str, str] = {}
    regional_url: str = ""
    stream_path: str = ""
    events_query: str = ""
    count_tokens_path: str = ""
    models_path: str = ""
    headers: Mapping[str, str] = {}
    default_headers: Mapping[str, str] = {}
    quirks: frozenset[str] = frozenset()
    betas: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()
    timeouts: Mapping[str, float] = {}


class Platform(Struct, frozen=True, forbid_unknown_fields=True):
    """`surfaces` by dialect or media API (`SURFACES`). `vendor` is shown to people; `name` is what a channel and a usage row say."""

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
        unknown = sorted(set(platform.surfaces) - set(SURFACES))
        if unknown:
            raise ValueError(f"platforms.toml: {name}: unknown dialect {unknown[0]}")
        platforms[name] = platform
    return platforms


#: Read once, when the program starts.
PLATFORMS: Mapping[str, Platform] = load_platforms()
