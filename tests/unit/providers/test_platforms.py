"""Platforms are rows of data: every row is whole, sourced, and speaks dialects that exist."""

from __future__ import annotations

import pytest

from bytespike.catalog.load import load_models
from bytespike.providers.platforms import DIALECTS, MEDIA_SURFACES, PLATFORMS, read_platforms
from bytespike.wire.address import parse_url
from bytespike.wire.headers import render_headers

ROWS = [
    (name, dialect, surface)
    for name, platform in PLATFORMS.items()
    for dialect, surface in platform.surfaces.items()
    if dialect in DIALECTS
]
#: The clouds put more than a model into their URLs.
PLAIN = [row for row in ROWS if row[2].auth not in ("aws", "google")]
CLOUDS = {name for name, _, surface in ROWS if surface.auth in ("aws", "google")}
MEDIA = [
    (name, api, surface)
    for name, platform in PLATFORMS.items()
    for api, surface in platform.surfaces.items()
    if api in MEDIA_SURFACES
]
EACH_PLAIN_ROW = pytest.mark.parametrize(
    ("name", "dialect", "surface"), PLAIN, ids=[f"{name}-{dialect}" for name, dialect, _ in PLAIN]
)
EACH_ROW = pytest.mark.parametrize(
    ("name", "dialect", "surface"), ROWS, ids=[f"{name}-{dialect}" for name, dialect, _ in ROWS]
)

# name, dialect, what its own documentation says a request goes to, and how the credential travels.
KNOWN = [
    ("anthropic", "anthropic_messages", "https://api.anthropic.com/v1/messages", "x-api-key"),
    ("openai", "openai_chat", "https://api.openai.com/v1/chat/completions", "bearer"),
    ("openai", "openai_responses", "https://api.openai.com/v1/responses", "bearer"),
    (
        "gemini",
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/models/{model}:generateContent",
        "x-goog-api-key",
    ),
    ("deepseek", "openai_responses", "https://api.deepseek.com/responses", "bearer"),
    ("volcengine", "openai_responses", "https://ark.cn-beijing.volces.com/api/v3/responses", "bearer"),
    ("openrouter", "openai_responses", "https://openrouter.ai/api/v1/responses", "bearer"),
    (
        "gemini",
        "openai_chat",
        "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
        "bearer",
    ),
    ("deepseek", "openai_chat", "https://api.deepseek.com/chat/completions", "bearer"),
    ("deepseek", "anthropic_messages", "https://api.deepseek.com/anthropic/v1/messages", "x-api-key"),
    ("moonshot", "openai_chat", "https://api.moonshot.ai/v1/chat/completions", "bearer"),
    ("moonshot", "anthropic_messages", "https://api.moonshot.ai/anthropic/v1/messages", "bearer"),
    ("zhipu", "openai_chat", "https://open.bigmodel.cn/api/paas/v4/chat/completions", "bearer"),
    ("zhipu", "anthropic_messages", "https://open.bigmodel.cn/api/anthropic/v1/messages", "bearer"),
    ("minimax", "openai_chat", "https://api.minimax.io/v1/chat/completions", "bearer"),
    ("minimax", "anthropic_messages", "https://api.minimax.io/anthropic/v1/messages", "x-api-key"),
    ("volcengine", "openai_chat", "https://ark.cn-beijing.volces.com/api/v3/chat/completions", "bearer"),
    (
        "volcengine_coding",
        "openai_chat",
        "https://ark.cn-beijing.volces.com/api/coding/v3/chat/completions",
        "bearer",
    ),
    (
        "volcengine_coding",
        "anthropic_messages",
        "https://ark.cn-beijing.volces.com/api/coding/v1/messages",
        "bearer",
    ),
    ("openrouter", "openai_chat", "https://openrouter.ai/api/v1/chat/completions", "bearer"),
    ("openrouter", "anthropic_messages", "https://openrouter.ai/api/v1/messages", "bearer"),
]


def test_every_platform_is_there() -> None:
    assert set(PLATFORMS) == {
        "anthropic",
        "openai",
        "gemini",
        "deepseek",
        "moonshot",
        "zhipu",
        "minimax",
        "volcengine",
        "volcengine_coding",
        "openrouter",
        "openai_compatible",
        "anthropic_compatible",
        "gemini_compatible",
        "bedrock",
        "vertex_claude",
        "vertex_gemini",
        "simulator",
    }


@pytest.mark.parametrize(("name", "dialect", "url", "auth"), KNOWN)
def test_requests_go_where_the_vendor_says(name: str, dialect: str, url: str, auth: str) -> None:
    surface = PLATFORMS[name].surfaces[dialect]
    assert surface.base_url + surface.path == url
    assert surface.auth == auth


@EACH_ROW
def test_a_row_is_whole_and_names_its_source(name, dialect, surface) -> None:
    assert dialect in DIALECTS
    assert surface.source
    assert surface.path.startswith("/")
    for url in (surface.base_url, *surface.regions.values(), surface.regional_url):
        if url:
            parse_url(url.replace("{region}", "us-east-1"))
            assert not url.endswith("/")
            assert url.startswith("https://")
    pairs = [*surface.headers.items(), *surface.default_headers.items()]
    render_headers([(name.encode(), value.encode()) for name, value in pairs])


@EACH_PLAIN_ROW
def test_gemini_alone_has_the_model_in_its_paths(name, dialect, surface) -> None:
    paths = [path for path in (surface.path, surface.stream_path, surface.count_tokens_path) if path]
    assert all(("{model}" in path) == (dialect == "gemini") for path in paths)
    assert bool(surface.stream_path) == (dialect == "gemini")


@pytest.mark.parametrize("name", sorted(CLOUDS))
def test_a_cloud_has_the_model_in_all_its_paths_and_a_host_for_any_region(name: str) -> None:
    for surface in PLATFORMS[name].surfaces.values():
        paths = [path for path in (surface.path, surface.stream_path, surface.count_tokens_path) if path]
        assert len(paths) >= 2
        assert all("{model}" in path or "{segment}" in path for path in paths)
        assert "{region}" in surface.regional_url


@EACH_ROW
def test_gemini_alone_streams_in_two_forms_and_is_asked_for_events(name, dialect, surface) -> None:
    assert (surface.events_query == "alt=sse") == (dialect == "gemini")


@EACH_ROW
def test_a_list_of_models_is_beside_the_dialects_own_path(name, dialect, surface) -> None:
    if surface.models_path:
        roots = {"anthropic_messages": "/v1/models", "gemini": "/v1beta/models"}
        assert surface.models_path == roots.get(dialect, "/models")


@pytest.mark.parametrize(("name", "api", "surface"), MEDIA, ids=[f"{name}-{api}" for name, api, _ in MEDIA])
def test_an_api_for_media_names_its_source_and_stands_beside_a_dialect_of_its_platform(
    name, api, surface
) -> None:
    assert surface.source
    assert not surface.beside or surface.beside in PLATFORMS[name].surfaces
    if surface.base_url:
        parse_url(surface.base_url)


def test_the_simulator_speaks_every_dialect() -> None:
    assert set(DIALECTS) <= set(PLATFORMS["simulator"].surfaces)


@EACH_ROW
def test_an_anthropic_surface_says_its_wire_version_by_default(name, dialect, surface) -> None:
    version = surface.default_headers.get("anthropic-version")
    assert version == ("2023-06-01" if dialect == "anthropic_messages" else None)


def test_only_surfaces_without_a_base_url_are_those_that_channels_point_somewhere() -> None:
    assert {name for name, _, surface in PLAIN if not surface.base_url} == {
        "openai_compatible",
        "anthropic_compatible",
        "gemini_compatible",
        "simulator",
    }


def test_a_platforms_regions_are_the_same_for_all_its_dialects() -> None:
    """Else a key of one region would be sent to another one's host."""
    for name in PLATFORMS:
        assert len({frozenset(surface.regions) for each, _, surface in ROWS if each == name}) == 1, name


def test_every_model_of_the_catalog_has_a_platform() -> None:
    assert {model.platform for model in load_models()} <= set(PLATFORMS)


@pytest.mark.parametrize(
    "name",
    sorted({name for name, dialect, _ in ROWS if dialect == "openai_chat"} - {"openai", "simulator"}),
)
def test_what_is_openais_own_is_sent_to_openai_alone(name: str) -> None:
    quirks = PLATFORMS[name].surfaces["openai_chat"].quirks
    assert {"no_store", "no_metadata", "no_service_tier", "no_custom_tools", "no_allowed_tools"} <= quirks


def test_openai_and_its_stand_in_have_no_quirks() -> None:
    assert PLATFORMS["openai"].surfaces["openai_chat"].quirks == frozenset()
    assert PLATFORMS["simulator"].surfaces["openai_chat"].quirks == frozenset()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[x]\nvendor = "X"', "surfaces"),
        (
            '[x]\nvendor = "X"\n[x.surfaces.smtp]\npath = "/"\nauth = "bearer"\nsource = "s"',
            "unknown dialect smtp",
        ),
        ('[x]\nvendor = "X"\n[x.surfaces.openai_chat]\npath = "/"\nauth = "basic"\nsource = "s"', "basic"),
        ('[x]\nvendor = "X"\n[x.surfaces.openai_chat]\npath = "/"\nauth = "bearer"', "source"),
        ('[x]\nvendor = "X"\ncolour = "red"\n[x.surfaces]', "colour"),
    ],
)
def test_a_wrong_row_is_named(text: str, told: str) -> None:
    with pytest.raises(ValueError, match="x: ") as caught:
        read_platforms(text)
    assert told in str(caught.value)
