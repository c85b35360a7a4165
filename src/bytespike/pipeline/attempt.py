"""One call of one upstream: write the body in its dialect, send it, read what kind of answer came."""

from __future__ import annotations

import re
from functools import lru_cache

from msgspec import structs

from bytespike.accounts.records import Channel
from bytespike.core.dialect import Dialect, Target
from bytespike.core.media_urls import Media
from bytespike.core.request import ChatRequest, ReasoningConfig
from bytespike.errors import GatewayError, InvalidRequest, NoAvailableChannel, UnsupportedFeature
from bytespike.observe.logs import REDACTED
from bytespike.pipeline.call import Call
from bytespike.pipeline.carrying import signature, unframed
from bytespike.pipeline.fetching import inlined
from bytespike.pipeline.parts import Parts
from bytespike.pipeline.threads import knows_previous
from bytespike.pipeline.values import Plan, Prepared
from bytespike.pricing.estimate import count_tokens, tokens_of_body, tokens_of_chars
from bytespike.protocols.caller_names import in_callers_names
from bytespike.protocols.sealed_text import SEALED_BYTES_MIN, removed
from bytespike.providers.abilities import quirks_of, spoken
from bytespike.providers.access_tokens import TokenRefused, TokenUnavailable
from bytespike.providers.carriage import Carriage, Parcel
from bytespike.providers.choice import filled
from bytespike.providers.endpoint import Endpoint
from bytespike.routing.candidates import alternatives
from bytespike.routing.values import Candidate
from bytespike.upstream.answer import Answer
from bytespike.upstream.errors import TransportError, told_of
from bytespike.upstream.failures import about_of
from bytespike.upstream.limits import Timeouts
from bytespike.wire.limits import ERROR_BYTES_MAX

#: Objects in a body that is read only to be counted. Reading one costs microseconds, a body may hold millions of them.
COUNTED_OBJECTS_MAX = 3_000
#: Of what an upstream says of itself, in the log.
CAUSE_CHARS_MAX = 200
#: A shorter credential is a word, and may stand in any sentence.
CREDENTIAL_CHARS_MIN = 8


class AttemptFailed(Exception):
    """An upstream call that came to nothing before the client had seen a byte.

    `error` is what the client is told if no other channel helps; `about` as in `core.dialect.UpstreamFailure`: errors
    about the request are told at once, all others move on to the next channel. `status`: the upstream's, or what its
    error amounts to; 0 if none came. `cause`: for the operator, what broke where no answer came.
    """

    def __init__(
        self,
        error: GatewayError,
        about: str,
        status: int = 0,
        retry_after: int | None = None,
        cause: str | None = None,
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.about = about
        self.status = status
        self.retry_after = retry_after
        self.cause = cause


class Requests:
    """The client's request in hub terms, read at most once however many attempts need it."""

    __slots__ = ("_call", "_plan", "_request", "_untaken")

    def __init__(self, call: Call, plan: Plan) -> None:
        self._call = call
        self._plan = plan
        self._request: ChatRequest | None = None
        #: Who would take the request if its images or documents were inline.
        self._untaken: tuple[Candidate[Channel], Media] | None = None

    def hub(self) -> ChatRequest:
        """Raises InvalidRequest."""
        if self._request is None:
            request = self._call.dialect.read_request(self._call.body)
            if self._call.addressed is not None:
                peek = self._plan.peek
                request = structs.replace(request, model=peek.model, stream=peek.stream)
            if self._plan.thinking and request.reasoning is None:
                request = structs.replace(request, reasoning=ReasoningConfig(mode="on", effort="high"))
            self._request = request
        return self._request

    async def instead(
        self, parts: Parts, candidate: Candidate[Channel], error: UnsupportedFeature
    ) -> list[Candidate[Channel]]:
        """Whom to ask when `candidate` cannot carry the request: its channel in another dialect; where there is none
        left, the one who only takes no URLs, once more, with the content fetched. Empty: the next channel.

        Raises InvalidRequest, ConcurrencyLimited for content that cannot be fetched.
        """
        untaken = self._untaken
        if untaken is None or untaken[0].channel.id != candidate.channel.id:
            untaken = None if error.by_url is None else (candidate, error.by_url)
            self._untaken = untaken
        others = alternatives(candidate, self._call.dialect.name)[:1]
        if others or untaken is None or parts.fetcher is None:
            return others
        self._untaken = None
        again, media = untaken
        request = await inlined(self.hub(), media, parts.fetcher, again.endpoint.proxy)
        if request is None:
            return []
        self._request = request
        return [again]

    def prompt_tokens(self) -> int:
        """Counted, for when the provider does not say. A body that only its own dialect's server understands is
        counted by its size, and one of very many small pieces by its bytes: reading it would hold up everybody else."""
        if self._request is None and self._call.body.count(b"{") > COUNTED_OBJECTS_MAX:
            return tokens_of_body(self._call.body)
        try:
            return count_tokens(self.hub())
        except InvalidRequest:
            return tokens_of_chars(len(self._call.body))


def prepare(
    parts: Parts, call: Call, plan: Plan, requests: Requests, candidate: Candidate[Channel]
) -> Prepared:
    """The request as this channel wants it. Raises InvalidRequest, UnsupportedFeature."""
    prepared = _in_its_dialect(parts, call, plan, requests, candidate)
    carriage = candidate.endpoint.carriage
    return prepared if carriage is None else _packed(prepared, carriage)


def _packed(prepared: Prepared, carriage: Carriage) -> Prepared:
    parcel = carriage.packed(Parcel(prepared.path, prepared.head, prepared.body, prepared.notices))
    return structs.replace(
        prepared, path=parcel.path, head=parcel.head, body=parcel.body, notices=parcel.notices
    )


def _in_its_dialect(
    parts: Parts, call: Call, plan: Plan, requests: Requests, candidate: Candidate[Channel]
) -> Prepared:
    endpoint = candidate.endpoint
    dialect = parts.dialects[endpoint.dialect]
    same = dialect is call.dialect and not plan.thinking
    target = Target(
        model=candidate.channel.models[plan.model.slug].upstream_model,
        family=plan.model.family,
        capabilities=plan.model.capabilities - endpoint.lacks if endpoint.lacks else plan.model.capabilities,
        max_output_tokens=plan.model.max_output_tokens,
        output_tokens_held=plan.output_held,
        quirks=endpoint.quirks if same else endpoint.quirks | quirks_of(plan.model, endpoint.dialect),
    )
    if same:
        whole = call.body
        if call.thread is not None and knows_previous(call, candidate):
            whole = call.thread.original
        body = dialect.patch_request(whole, plan.peek, target)
        notices = plan.notices
        if len(whole) + len(target.model) - len(plan.peek.model) - len(body) >= SEALED_BYTES_MIN:
            notices = (*notices, *removed(whole, body))
        return Prepared(
            dialect,
            target,
            _path(endpoint, target, plan),
            body,
            _forwarded(call, dialect, endpoint),
            notices,
            same=True,
            requested=plan.requested,
            credential=candidate.channel.credential,
        )
    dialect = spoken(dialect, target.quirks)
    written = dialect.write_request(requests.hub(), target)
    head = b"".join(b"%b: %b\r\n" % (name.encode(), value.encode()) for name, value in written.headers)
    return Prepared(
        dialect,
        target,
        _path(endpoint, target, plan, translated=True),
        written.body,
        head,
        (*plan.notices, *in_callers_names(written.notices, call.dialect.name)),
        same=False,
        requested=plan.requested,
        renamed=written.renamed,
        credential=candidate.channel.credential,
    )


def _path(endpoint: Endpoint, target: Target, plan: Plan, *, translated: bool = False) -> bytes:
    """Where the request goes. An upstream that streams in several forms is asked for server-sent events, unless a client
    of its own dialect wants an array."""
    if not plan.peek.stream or endpoint.stream_target is endpoint.target:
        return filled(endpoint.target, target.model)
    path = filled(endpoint.stream_target, target.model)
    return path if plan.peek.array and not translated else path + endpoint.events_query


@lru_cache(maxsize=16)
def _raw_names(names: frozenset[str]) -> tuple[bytes, ...]:
    return tuple(name.encode() for name in names)


def _forwarded(call: Call, dialect: Dialect, endpoint: Endpoint) -> bytes:
    """The client's own headers that a same-dialect upstream should see."""
    lines: list[bytes] = []
    headers = call.headers
    for raw in _raw_names(dialect.request_headers):
        value = headers.get(raw)
        if value is not None:
            lines.append(b"%b: %b\r\n" % (raw, value))
    lines.extend(line for name, line in endpoint.default_headers if name not in headers)
    return b"".join(lines)


async def attempt(
    parts: Parts,
    candidate: Candidate[Channel],
    prepared: Prepared,
    seconds_left: float,
    *,
    target: bytes | None = None,
    seconds_max: float | None = None,
) -> Answer:
    """Send it. Gives the answer once its head says success; its body is still to be read.

    `seconds_left`: of the request's whole time, which all its attempts share. `target`: another path of the same
    endpoint. `seconds_max`: no longer than this, whatever the channel says. Raises AttemptFailed.
    """
    endpoint = candidate.endpoint
    carriage = endpoint.carriage
    path = target or prepared.path
    head = endpoint.head + prepared.head
    try:
        if carriage is not None:
            head += await signature(carriage, path, head, prepared.body, parts.clock, parts.tokens)
        answer = await parts.upstream.request(
            endpoint.origin,
            b"POST",
            path,
            head,
            prepared.body,
            timeouts_of(parts.timeouts, candidate, seconds_left, seconds_max),
            proxy=endpoint.proxy,
        )
        if answer.status == 200:
            return answer if carriage is None else unframed(carriage, answer)
    except TransportError as error:
        raise failed_transport(error) from None
    except (TokenRefused, TokenUnavailable) as error:
        raise failed_token(error) from None
    status = answer.status
    try:
        body = await answer.read(ERROR_BYTES_MAX)
    except TransportError:
        body = b""
    headers = _text_headers(answer)
    if carriage is not None:
        if status == 401:
            carriage.refused(parts.tokens)
        told = carriage.told(status, headers, body)
        status, body = told.status, told.body
    failure = prepared.dialect.read_error(status, headers, body)
    told_client = in_callers_words(failure.error, prepared)
    cause = _cause(told_client, failure.about)
    raise AttemptFailed(told_client, failure.about, failure.status or status, failure.retry_after, cause)


def failed_answer(error: GatewayError, prepared: Prepared, status: int) -> AttemptFailed:
    """An upstream's answer, or its stream, that turned out to be an error though its `status` said success."""
    told = in_callers_words(error, prepared)
    about = about_of(error)
    return AttemptFailed(told, about, error.upstream_status or status, error.retry_after, _cause(told, about))


def _cause(told: GatewayError, about: str) -> str | None:
    """What the operator reads of it. What is said of a request may quote it, and is its caller's alone."""
    return None if about == "request" else told.message[:CAUSE_CHARS_MAX]


def in_callers_words(error: GatewayError, prepared: Prepared) -> GatewayError:
    """The same error, with the client's name for the model where its text has the upstream's, and without the channel's
    credential, which some upstreams repeat."""
    private = prepared.target.model
    if private != prepared.requested and private in error.message:
        # Whole names only: "o3" is not a part of "foo3".
        name = rf"(?<![\w.-]){re.escape(private)}(?![\w-]|\.\w)"
        error.message = re.sub(name, lambda _: prepared.requested, error.message)
    credential = prepared.credential
    if len(credential) >= CREDENTIAL_CHARS_MIN and credential in error.message:
        error.message = error.message.replace(credential, REDACTED)
    return error


def _text_headers(answer: Answer) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.headers.items()}


def timeouts_of(
    default: Timeouts,
    candidate: Candidate[Channel],
    seconds_left: float,
    seconds_max: float | None = None,
) -> Timeouts:
    """The deadlines of one call: the gateway's settings, where its platform says otherwise that, and the channel's own
    before both; within what is left of the request's time. A channel whose `total` is longer than the gateway's gives the
    request so much more."""
    platforms = candidate.endpoint.timeouts
    own = candidate.channel.timeouts
    if platforms:
        own = {**platforms, **own}
    timeouts = structs.replace(default, **own) if own else default
    if timeouts.total > default.total:
        seconds_left += timeouts.total - default.total
    if seconds_max is not None and seconds_max < seconds_left:
        seconds_left = seconds_max
    return (
        timeouts
        if seconds_left >= timeouts.total
        else structs.replace(timeouts, total=max(0.1, seconds_left))
    )


def failed_token(error: TokenRefused | TokenUnavailable) -> AttemptFailed:
    """No access token could be had for the channel: as if the upstream itself had refused it, or failed."""
    told = NoAvailableChannel("the upstream cannot be reached")
    if isinstance(error, TokenRefused):
        return AttemptFailed(told, "channel", 401, cause=str(error))
    return AttemptFailed(told, "upstream", error.status, cause=str(error))


def failed_transport(error: TransportError, status: int = 0) -> AttemptFailed:
    """A broken exchange as the client and the router see it."""
    return AttemptFailed(told_of(error), "upstream", status, cause=error.cause)
