"""What passes between the server and a dialect: a request, the world it arrives in, and the answer to deliver."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from bytespike.core.json_types import JSONObject
from bytespike.providers.simulator.directives import PLAIN, Defaults, Directives
from bytespike.providers.simulator.prefix_cache import PrefixCache
from bytespike.providers.simulator.renders import RenderStore
from bytespike.providers.simulator.response_store import ResponseStore

BAD_KEY = "sim-bad"
POOR_KEY = "sim-poor"
LIMITED_KEY = "sim-limited"
LIMITED_RETRY_AFTER_S = 2

MODELS_PATH = "/v1/models"
JSON_TYPE = "application/json"
STREAM_TYPE = "text/event-stream; charset=utf-8"

#: Unix seconds at which every answer claims to have been made: the same request gives the same bytes.
CREATED = 1_790_812_800


class Fault(Exception):
    """An error to answer with, in the dialect's envelope.

    `kind`: the dialect's own error type, "" to let the status decide. `param`, `code`: where the dialect has them.
    `retry_after`: seconds. `delivery`: how even an error is to be delivered. `details`: more about it, in the dialect's
    own shapes.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "",
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
        delivery: Directives = PLAIN,
        details: Sequence[JSONObject] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.code = code
        self.retry_after = retry_after
        self.delivery = delivery
        self.details = details


class World(Struct, frozen=True):
    """What lasts longer than a request. `seed` keys every proof and every choice; `responses` are those that a later
    request may go on from, `renders` the videos that are being made."""

    seed: bytes
    defaults: Defaults
    cache: PrefixCache
    responses: ResponseStore = msgspec.field(default_factory=ResponseStore)
    renders: RenderStore = msgspec.field(default_factory=RenderStore)


class Incoming(Struct, frozen=True):
    """A request. Header names are lower-case; of several headers of a name the last counts. `ordinal` counts this
    server's requests from 1."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    ordinal: int

    @property
    def model(self) -> str:
        """The id that a path names after /v1/models/, "" for the list."""
        return self.path.partition(MODELS_PATH + "/")[2]

    def key(self, *, x_api_key: bool) -> str:
        """The caller's key: `x-api-key` where the vendor has it, else the bearer token; "" if there is none."""
        if x_api_key and (key := self.headers.get("x-api-key", "")):
            return key
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""


class Reply(Struct, frozen=True):
    """An answer to deliver: a whole `body`, or `frames`, one per event, of type `stream_type`. `error_frames`: the
    dialect's error in a stream, for a stream that is to fail. `length`: of the frames of a file, which is told before it."""

    body: bytes = b""
    frames: Iterator[bytes] | None = None
    error_frames: bytes = b""
    status: int = 200
    delivery: Directives = PLAIN
    stream_type: str = STREAM_TYPE
    length: int | None = None


Handler = Callable[[Incoming, World], Reply]


class Dialect(Struct, frozen=True):
    """How a dialect words what the server itself has to say.

    `error_body` the envelope of a fault, given the request's id. `id_header`: the header in which the vendor sends it,
    "" if it does not. `tells_retry`: it sends a Retry-After header.
    """

    name: str
    id_header: str
    error_body: Callable[[Fault, str], bytes]
    tells_retry: bool = True
