"""The settings, each defined once: its type bounds its value, its facts are what the errors and the documentation say."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bytespike.settings.kinds import (
    BaseURL,
    Bytes,
    Count,
    DatabaseURL,
    Dollars,
    Facts,
    HeaderList,
    MasterKey,
    Networks,
    ObjectStoreURL,
    Port,
    Seconds,
)

ENV_PREFIX = "BYTESPIKE_"
#: Read without the prefix too, because that is how platforms and the Makefile set them.
PLAIN_VARIABLES = {"port": "PORT", "data_dir": "DATA_DIR", "database_url": "DATABASE_URL"}

_SECONDS = "seconds, more than 0 and at most 86400"
_COUNT = "an integer from 1 to 1000000"
_BYTES = "a number of bytes from 1024 to 4294967296"
_BOOL = "true or false"


def _setting(about: str, expected: str, *, secret: bool = False) -> dict[str, Facts]:
    return {"facts": Facts(about, expected, secret)}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Times in seconds (`_s`) or milliseconds (`_ms`), sizes in bytes. Made by `load`, which fills in what depends on
    `data_dir`: `database_url` and `master_key_file` are never empty. Its repr hides secrets."""

    host: str = dataclasses.field(
        default="127.0.0.1",
        metadata=_setting(
            "Address to listen on. `0.0.0.0` listens on every interface.", "an IP address or host name"
        ),
    )
    port: Port = dataclasses.field(
        default=8080,
        metadata=_setting("Port to listen on. 0 takes a free one.", "an integer from 0 to 65535"),
    )
    workers: Annotated[int, Field(ge=1, le=256)] = dataclasses.field(
        default=1,
        metadata=_setting(
            "Processes that serve together. With more than one, a supervisor starts them anew when they die.",
            "an integer from 1 to 256",
        ),
    )
    public_base_url: BaseURL | None = dataclasses.field(
        default=None,
        metadata=_setting(
            "The address under which users reach the gateway, where that is not the address it listens on. "
            "With `https` the cookie of a sign-in is sent over TLS alone.",
            "an http or https URL",
        ),
    )
    trusted_proxies: Networks = dataclasses.field(
        default=(),
        metadata=_setting(
            "Proxies in front of the gateway. Only from these is `X-Forwarded-For` believed.",
            "CIDRs, separated by commas (a list in the file), e.g. 10.0.0.0/8,::1/128",
        ),
    )
    data_dir: Path = dataclasses.field(
        default=Path("data"),
        metadata=_setting(
            "Folder of the database, the master key and the spool. Made at first run.", "the path of a folder"
        ),
    )
    database_url: DatabaseURL = dataclasses.field(
        default="",
        metadata=_setting(
            "The database. Left out, it is `bytespike.db` in the data directory.",
            "sqlite:///path or postgresql://user:password@host/name",
            secret=True,
        ),
    )
    master_key: MasterKey | None = dataclasses.field(
        default=None,
        metadata=_setting(
            "The key that encrypts secrets at rest, instead of a file.",
            "32 bytes in base64 or hexadecimal",
            secret=True,
        ),
    )
    master_key_file: Path = dataclasses.field(
        default=Path(),
        metadata=_setting(
            "File of the master key. Left out, it is `master.key` in the data directory. Made at first run, readable "
            "by its owner alone.",
            "the path of a file",
        ),
    )
    log_level: Literal["debug", "info", "warning", "error"] = dataclasses.field(
        default="info",
        metadata=_setting("How much is logged, to stderr.", "debug, info, warning or error"),
    )
    log_format: Literal["text", "json"] = dataclasses.field(
        default="text", metadata=_setting("One JSON object per line, or text for people.", "text or json")
    )
    otlp_endpoint: BaseURL | None = dataclasses.field(
        default=None,
        metadata=_setting(
            "Collector of traces (OpenTelemetry, OTLP over HTTP); `/v1/traces` is added. Left out, there are no traces.",
            "an http or https URL, such as http://localhost:4318",
        ),
    )
    otlp_headers: HeaderList = dataclasses.field(
        default="",
        metadata=_setting(
            "Headers that the collector wants, such as a key.",
            "name=value, several separated by commas",
            secret=True,
        ),
    )
    trace_ratio: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = dataclasses.field(
        default=1.0,
        metadata=_setting(
            "Share of the requests that are traced, where the caller's `traceparent` does not decide.",
            "a number from 0 to 1",
        ),
    )
    trace_upstreams: bool = dataclasses.field(
        default=False,
        metadata=_setting("Send a `traceparent` to upstreams too.", _BOOL),
    )
    trace_contents: bool = dataclasses.field(
        default=False,
        metadata=_setting(
            "Put what callers ask into their traces: prompts in the clear. Answers never are.", _BOOL
        ),
    )
    connect_timeout_s: Seconds = dataclasses.field(
        default=10.0,
        metadata=_setting(
            "Longest wait for a connection to an upstream, TLS included. A channel may set its own.",
            _SECONDS,
        ),
    )
    first_byte_timeout_s: Seconds = dataclasses.field(
        default=300.0,
        metadata=_setting(
            "Longest wait for the first byte of an upstream's answer. A channel may set its own.", _SECONDS
        ),
    )
    idle_timeout_s: Seconds = dataclasses.field(
        default=120.0,
        metadata=_setting(
            "Longest silence inside an upstream's answer. A channel may set its own.", _SECONDS
        ),
    )
    total_timeout_s: Seconds = dataclasses.field(
        default=1200.0,
        metadata=_setting(
            "Longest life of one request, all its attempts together. A channel may set its own, which is for its attempt.",
            _SECONDS,
        ),
    )
    stream_ping_s: Seconds = dataclasses.field(
        default=15.0,
        metadata=_setting(
            "Silence of a stream after which its client gets a keep-alive in its dialect: a ping event, a comment, an "
            "empty line. Before the upstream has answered at all nothing is sent.",
            _SECONDS,
        ),
    )
    upstream_connections_max: Count = dataclasses.field(
        default=1000, metadata=_setting("Open connections to one upstream address.", _COUNT)
    )
    upstream_idle_max: Count = dataclasses.field(
        default=100,
        metadata=_setting("Connections to one upstream address that are kept open for reuse.", _COUNT),
    )
    upstream_keep_alive_s: Seconds = dataclasses.field(
        default=60.0, metadata=_setting("How long an unused upstream connection is kept.", _SECONDS)
    )
    ca_file: Path | None = dataclasses.field(
        default=None,
        metadata=_setting(
            "Certificate authorities to trust for upstreams, besides the system's.", "the path of a PEM file"
        ),
    )
    catalog_file: Path | None = dataclasses.field(
        default=None,
        metadata=_setting(
            "Models and aliases of your own, loaded when a gateway starts. Left out, it is `catalog.toml` in the data "
            "directory, where there is one.",
            "the path of a TOML file",
        ),
    )
    body_bytes_max: Bytes = dataclasses.field(
        default=32 * 1024 * 1024,
        metadata=_setting("Largest request body; a larger one is answered with 413.", _BYTES),
    )
    answer_bytes_max: Bytes = dataclasses.field(
        default=64 * 1024 * 1024,
        metadata=_setting("Largest unary answer of an upstream; a larger one is an upstream error.", _BYTES),
    )
    body_timeout_s: Seconds = dataclasses.field(
        default=60.0, metadata=_setting("Longest wait for a client to send its request body.", _SECONDS)
    )
    attempts_max: Annotated[int, Field(ge=1, le=20)] = dataclasses.field(
        default=4, metadata=_setting("Upstream calls for one request, at most.", "an integer from 1 to 20")
    )
    strict_protocol_matrix: bool = dataclasses.field(
        default=False,
        metadata=_setting(
            "Refuse the pairs of protocol and model family that the published table marks as not available, instead "
            "of translating them.",
            _BOOL,
        ),
    )
    fetch_urls: bool = dataclasses.field(
        default=True,
        metadata=_setting(
            "Fetch images and PDFs that a request gives by URL, where the upstream takes them inline only. Only public "
            "addresses are asked. Off, such requests are refused.",
            _BOOL,
        ),
    )
    hold_max_age_s: Seconds = dataclasses.field(
        default=3600.0,
        metadata=_setting(
            "A hold that is older than this is released: its request is gone. Keep it above `total_timeout_s`.",
            _SECONDS,
        ),
    )
    low_balance_usd: Dollars = dataclasses.field(
        default="1.00",
        metadata=_setting(
            "A wallet whose balance falls below this leaves an event, once each time; a wallet may have a threshold of its "
            "own. 0 is none.",
            "USD, with at most 6 decimals",
        ),
    )
    lease_term_s: Annotated[int, Field(ge=30, le=86_400)] = dataclasses.field(
        default=900,
        metadata=_setting(
            "PostgreSQL, several machines: how long a gateway may go on without the database, and how long the others "
            "wait for one that is gone with its machine before they give out its concurrency again.",
            "seconds, an integer from 30 to 86400",
        ),
    )
    spool_fsync_interval_ms: Annotated[int, Field(ge=0, le=10_000)] = dataclasses.field(
        default=100,
        metadata=_setting(
            "How often finished requests are forced to disk. A killed process loses nothing; a power cut at most "
            "this much. 0 forces every batch.",
            "milliseconds, an integer from 0 to 10000",
        ),
    )
    change_poll_ms: Annotated[int, Field(ge=20, le=900)] = dataclasses.field(
        default=200,
        metadata=_setting(
            "How often a gateway looks for changes of keys, channels and prices.",
            "milliseconds, an integer from 20 to 900",
        ),
    )
    key_cache_max: Count = dataclasses.field(
        default=50_000, metadata=_setting("API keys kept in memory.", _COUNT)
    )
    response_days: Annotated[int, Field(ge=1, le=3650)] = dataclasses.field(
        default=30,
        metadata=_setting(
            "How long responses are kept for `previous_response_id`.", "days, an integer from 1 to 3650"
        ),
    )
    object_store_url: ObjectStoreURL = dataclasses.field(
        default="",
        metadata=_setting(
            "Where images and videos are kept. Left out, it is the folder `objects` in the data directory. Credentials of "
            "buckets come from their providers' own variables. On several machines it has to be the same for all.",
            "file:///path, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix",
        ),
    )
    object_hours: Annotated[int, Field(ge=1, le=8760)] = dataclasses.field(
        default=24,
        metadata=_setting(
            "How long images and videos are kept, and their URLs are valid.",
            "hours, an integer from 1 to 8760",
        ),
    )
    result_bytes_max: Bytes = dataclasses.field(
        default=1024 * 1024 * 1024,
        metadata=_setting("Largest file that a task may make; a larger one fails it.", _BYTES),
    )
    task_max_age_s: Seconds = dataclasses.field(
        default=21_600.0,
        metadata=_setting("Longest life of a task: one that is not over by then fails.", _SECONDS),
    )
    task_days: Annotated[int, Field(ge=1, le=3650)] = dataclasses.field(
        default=30,
        metadata=_setting("How long tasks that are over can be queried.", "days, an integer from 1 to 3650"),
    )
    task_steps_max: Count = dataclasses.field(
        default=512,
        metadata=_setting(
            "Steps of tasks that one process takes at once: submissions, polls, settlements.", _COUNT
        ),
    )
    task_fetches_max: Count = dataclasses.field(
        default=32,
        metadata=_setting(
            "The same for steps that may take minutes: fetches of results, and images that are drawn for tasks.",
            _COUNT,
        ),
    )
    renders_per_channel_max: Count = dataclasses.field(
        default=100,
        metadata=_setting(
            "Renders of tasks that are under way at one channel, in all processes. Further tasks wait.",
            _COUNT,
        ),
    )
    callback_networks: Networks = dataclasses.field(
        default=(),
        metadata=_setting(
            "Private networks that callbacks of tasks may lead to. Public addresses they always may.",
            "CIDRs, separated by commas (a list in the file), e.g. 10.20.0.0/16",
        ),
    )
    session_hours: Annotated[int, Field(ge=1, le=8760)] = dataclasses.field(
        default=336, metadata=_setting("How long a sign-in lasts.", "hours, an integer from 1 to 8760")
    )
    shutdown_grace_s: Seconds = dataclasses.field(
        default=30.0,
        metadata=_setting(
            "How long running requests may take to finish when the gateway is told to stop.", _SECONDS
        ),
    )

    def __repr__(self) -> str:
        shown = (
            f"{name}={'(hidden)' if facts.secret else repr(getattr(self, name))}"
            for name, facts in described()
        )
        return f"Settings({', '.join(shown)})"


def described() -> tuple[tuple[str, Facts], ...]:
    """Every setting's name and facts, in the order of their definition."""
    return tuple((field.name, field.metadata["facts"]) for field in dataclasses.fields(Settings))


def variables(name: str) -> tuple[str, ...]:
    """The environment variables that are read for a setting, the stronger first."""
    plain = PLAIN_VARIABLES.get(name)
    own = ENV_PREFIX + name.upper()
    return (own,) if plain is None else (own, plain)
