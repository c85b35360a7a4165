"""What a dialect offers: eight operations, and the few facts that byte-for-byte passthrough needs.

    towards clients    read_request   write_response   stream_writer   write_error
    towards upstreams  write_request  read_response    stream_reader   read_error

Readers raise `errors.InvalidRequest` (client's bytes) or `errors.UpstreamError` (upstream's bytes) and nothing else,
whatever the bytes; only an upstream that tells an error inside of a success makes them raise that one (see `reported`). Writers raise `errors.UnsupportedFeature` for content or a constraint that the dialect or the target
cannot carry; everything else that is lost is a `Notice`. All of it is sans-IO: nothing is awaited, no clock is read.

Same-dialect traffic does not pass through the hub. For it a dialect offers `peek` (the few fields that routing and
money need), `patch_request` / `patch_response` (the body with another model name, every other byte as it was) and a
`Tap`, which watches a stream go by.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Raw, Struct

from bytespike.core.events import Event
from bytespike.core.json_types import JSONObject
from bytespike.core.notices import Notice
from bytespike.core.renaming import NO_RENAMES
from bytespike.core.request import ChatRequest
from bytespike.core.response import ChatResponse
from bytespike.core.usage import Usage
from bytespike.errors import GatewayError


class Target(Struct, frozen=True):
    """The model that a request is written for.

    `model` is the upstream's own name for it. `capabilities` are the catalog's ("vision", "tools", "thinking",
    "json_schema", "web_search", "documents", ...). `max_output_tokens`: the model's limit. `quirks`: named switches of
    the platform ("max_tokens_field", "no_stream_options", ...), each documented in the dialect's NOTES.md.
    `output_tokens_held`: for so many tokens of answer the money is held (None: nobody counts). A writer that has to name
    a limit where the client named none takes this one, and raises no limit above it.
    """

    model: str
    family: str = ""
    capabilities: frozenset[str] = frozenset()
    max_output_tokens: int = 8192
    quirks: frozenset[str] = frozenset()
    output_tokens_held: int | None = None


class Written(Struct, frozen=True):
    """A body for an upstream, what was lost on the way, and headers that go with it (lower-case names). `renamed`: the
    client's names of tools, by the shorter ones that were sent (`core.renaming`)."""

    body: bytes
    notices: tuple[Notice, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    renamed: Mapping[str, str] = NO_RENAMES


class Reply(Struct, frozen=True):
    """What a writer towards the client needs besides the answer.

    `model`: the name that the client asked for. `response_id`: an id in case the upstream's cannot be used.
    `created`: Unix seconds. `stream_usage`: the client asked for usage in the stream. `array`: a stream is wanted as
    one JSON array of chunks (Gemini without `?alt=sse`), not as server-sent events. `echo`: members of the client's own
    request, for a dialect whose answers repeat them (Responses: `openai_responses.echo_of`). `begun`: chunks have gone
    out by another way (a same-dialect tap), and the writer is only there to end that stream.
    """

    model: str
    response_id: str
    created: int = 0
    stream_usage: bool = True
    array: bool = False
    echo: JSONObject | None = None
    begun: bool = False


class WrittenResponse(Struct, frozen=True):
    body: bytes
    notices: tuple[Notice, ...] = ()


class Layout(Struct, frozen=True):
    """What the reading of a large body proved of its `members` at the top (`wire.layout`), each of which stands there once:
    their values by their names, and where the model's name stands, quotes included. Of that very object `body` and no other."""

    body: bytes
    members: Mapping[str, Raw]
    start: int
    end: int


class Peek(Struct, frozen=True):
    """The few fields of a request that routing and money need, read without building the request.

    `max_output_tokens`: None where the client set no limit. `candidates`: how many answers were asked for.
    `stream_usage`: the client asked for usage in its stream. `end_user`: for affinity. `web_search`: a server-side
    search tool may run. `array`: as in `Reply`. Where a dialect puts the model, the stream and its form into the URL
    (Gemini), the reader of the body gives "" and False, and the edge fills them in. `store`: the answer shall be kept;
    `previous_id`: the kept answer that the request goes on from (Responses). `layout`: of a large body, where it was seen.
    """

    model: str
    stream: bool
    max_output_tokens: int | None = None
    candidates: int = 1
    stream_usage: bool = True
    end_user: str | None = None
    prompt_cache_key: str | None = None
    web_search: bool = False
    array: bool = False
    store: bool = False
    previous_id: str | None = None
    layout: Layout | None = None


class UpstreamFailure(Struct, frozen=True):
    """An upstream's error answer, read.

    `error` is what the client would be told. `about`: "request" errors go to the client, "channel" errors (its
    credential, its quota) fail over and are never shown, "upstream" errors (5xx, overloaded) fail over. `status`: the
    HTTP status that it amounts to, where the answer's own says something else (a bad key told as 400, any error inside
    of a 200); 0: the answer's own.
    """

    error: GatewayError
    about: str
    retry_after: int | None = None
    status: int = 0


def reported(failure: UpstreamFailure) -> GatewayError:
    """The error of a failure that was told inside of a success or in mid-stream, to be raised or kept: it carries whose
    fault it is."""
    error = failure.error
    error.about = failure.about
    error.upstream_status = failure.status
    return error


class StreamReader(Protocol):
    """Upstream bytes in, events out."""

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes, cut anywhere. Never raises: what cannot be read becomes `Failed`, after which it is deaf."""
        ...

    def end(self) -> list[Event]:
        """The upstream closed. Gives `Failed` if the answer was not complete, and nothing if it was."""
        ...


class StreamWriter(Protocol):
    """Events in, bytes for the client out. Copes with every sequence that the grammar of `core.events` allows."""

    def write(self, events: list[Event]) -> bytes:
        """The frames for these events (may be empty). A `Failed` becomes the dialect's own terminal error."""
        ...

    def fail(self, error: GatewayError) -> bytes:
        """The dialect's own terminal error frame(s), at any point of the stream."""
        ...

    def keep_alive(self) -> bytes:
        """A frame that clients ignore, to bridge a long silence."""
        ...

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What this answer lost so far."""
        ...


class Tap(Protocol):
    """Watches a same-dialect stream go by, edits the model name, and keeps what billing needs."""

    def feed(self, data: bytes) -> bytes:
        """Bytes in as they came, bytes out for the client: the same but for the model name (and frames that the
        gateway itself had asked for). What is not yet a whole frame may be held back until it is.

        Once `failure` is set the caller must stop forwarding; the bytes returned then still go out."""
        ...

    def end(self) -> bytes:
        """The upstream closed: what was held back. Sets `failure` if the stream was not complete."""
        ...

    @property
    def complete(self) -> bool:
        """The answer is whole; figures and a closing frame may still follow."""
        ...

    @property
    def ended(self) -> bool:
        """The dialect's closing frame was seen: nothing that matters follows. Some vendors send none."""
        ...

    @property
    def failure(self) -> GatewayError | None:
        """An error event in the stream, a malformed one, or an end before its time."""
        ...

    @property
    def usage(self) -> Usage | None:
        """The provider's figures, the latest seen; None if there were none yet."""
        ...

    @property
    def produced_chars(self) -> int:
        """Characters of text, reasoning and arguments that have gone by, as `core.usage.estimated_chars` counts them:
        the basis of an estimate."""
        ...

    def cut(self, usage: Usage) -> bytes:
        """The frames that end the stream here, as at its token limit, behind what went out whole; nothing is fed after.
        `usage`: what the client is told that it used. Only before `complete`, and without `failure`."""
        ...


class Dialect(Protocol):
    """One wire format. `name` is also the package's name."""

    @property
    def name(self) -> str: ...

    @property
    def request_headers(self) -> frozenset[str]:
        """Lower-case names of client headers that are passed on to a same-dialect upstream."""
        ...

    @property
    def response_headers(self) -> frozenset[str]:
        """Lower-case names of upstream headers that are passed on to a same-dialect client."""
        ...

    # towards clients
    def read_request(self, body: bytes) -> ChatRequest: ...
    def write_response(self, response: ChatResponse, reply: Reply) -> WrittenResponse: ...
    def stream_writer(self, reply: Reply) -> StreamWriter: ...
    def write_error(self, error: GatewayError, status: int, request_id: str) -> bytes: ...

    # towards upstreams
    def write_request(self, request: ChatRequest, target: Target) -> Written: ...
    def read_response(self, body: bytes) -> ChatResponse: ...
    def stream_reader(self) -> StreamReader: ...
    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure: ...

    def echo(self, body: bytes, layout: Layout | None = None) -> JSONObject | None:
        """For `Reply.echo`: members of a client's request that its answer repeats. None where answers repeat nothing. `layout`: the
        body's, where it is known."""
        ...

    # same dialect on both sides
    def peek(self, body: bytes) -> Peek: ...
    def patch_request(self, body: bytes, peek: Peek, target: Target) -> bytes: ...
    def patch_response(self, body: bytes, model: str) -> tuple[bytes, Usage | None]: ...
    def tap(self, peek: Peek, model: str) -> Tap: ...
