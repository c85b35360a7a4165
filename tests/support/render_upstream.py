"""A provider of renders that tests control, with its adapter, and a receiver of callbacks: all on one port of 127.0.0.1.

    POST /renders            {"task", "model", "prompt"} -> {"id", "state"}
    GET  /renders/<id>       {"id", "state", "progress", "url"}: completed after `polls_needed` polls
    POST /renders/<id>/cancel
    GET  /renders?task=…     {"id": … or null, "state"}
    GET  /files/<id>         the bytes
    POST /callback           200, kept in `callbacks`

`script(request)` may answer in its stead, or do something first: see `Asked`. It runs on a thread and loop of its own, so that
tests may start and kill processes around it.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import TracebackType

import msgspec
from msgspec import Struct

from bytespike.errors import ContentPolicyViolation, GatewayError, InvalidRequest, UpstreamError
from bytespike.media.adapter import Made, Render, RenderState, UpstreamCall
from bytespike.media.order import Order
from bytespike.testing.scripted_upstream import Peer, ScriptedUpstream


class _Answer(Struct):
    id: str | None = None
    state: RenderState = "queued"
    progress: int | None = None
    url: str | None = None
    data: str = ""
    seconds: int | None = None
    billed: bool = True
    retry_after: int | None = None
    error: str = ""


class FakeRenders:
    """The adapter. `findable`: whether the provider keeps a list. `cancellable`: whether it can cancel."""

    def __init__(self, *, findable: bool = True, cancellable: bool = True) -> None:
        self.findable = findable
        self.cancellable = cancellable

    def submit(self, order: Order, upstream_model: str, task_id: str) -> UpstreamCall:
        if order.prompt == "uncarriable":
            raise InvalidRequest("this API takes no such prompt", param="prompt")
        body = {"task": task_id, "model": upstream_model, "prompt": order.prompt}
        return UpstreamCall(b"POST", b"/renders", body=msgspec.json.encode(body))

    def submitted(self, body: bytes) -> Render:
        return _render(body)

    def poll(self, upstream_id: str) -> UpstreamCall:
        return UpstreamCall(b"GET", b"/renders/" + upstream_id.encode())

    def polled(self, body: bytes) -> Render:
        return _render(body)

    def cancel(self, upstream_id: str) -> UpstreamCall | None:
        return (
            UpstreamCall(b"POST", b"/renders/%b/cancel" % upstream_id.encode()) if self.cancellable else None
        )

    def cancelled(self, body: bytes) -> Render:
        return _render(body)

    def find(self, task_id: str) -> UpstreamCall | None:
        return UpstreamCall(b"GET", b"/renders?task=" + task_id.encode()) if self.findable else None

    def found(self, body: bytes, task_id: str) -> Render | None:
        return None if _decoded(body).id is None else _render(body)

    def refused(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> GatewayError:
        about = "channel" if status in (401, 402, 403, 429) else "request" if status < 500 else "upstream"
        kind = (
            ContentPolicyViolation
            if status == 451
            else InvalidRequest
            if about == "request"
            else UpstreamError
        )
        error = kind(f"the provider said {status}")
        error.about = about
        error.upstream_status = status
        error.retry_after = int(headers[b"retry-after"]) if b"retry-after" in headers else None
        return error


def _decoded(body: bytes) -> _Answer:
    try:
        return msgspec.json.decode(body, type=_Answer)
    except msgspec.DecodeError:
        raise UpstreamError("the answer makes no sense") from None


def _render(body: bytes) -> Render:
    answer = _decoded(body)
    made: tuple[Made, ...] = ()
    if answer.state == "completed":
        call = None
        if answer.url is not None:
            own = answer.url.startswith("/")
            call = UpstreamCall(b"GET", answer.url.encode()) if own else UpstreamCall(b"GET", url=answer.url)
        made = (Made(call=call, data=answer.data),)
    return Render(
        answer.state,
        answer.id or "",
        answer.progress,
        made,
        error_code="content_policy_violation" if answer.error else "",
        error_message=answer.error,
        billed=answer.billed,
        seconds=answer.seconds,
        retry_after=answer.retry_after,
    )


def content_of(render_id: str, size: int) -> bytes:
    """The bytes of a render: others for each."""
    seed = hashlib.sha256(render_id.encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


class Asked(Struct):
    """What a script may say in the provider's stead. `cut`: the connection ends without an answer. `heed`: the provider does
    its part all the same."""

    status: int = 200
    body: bytes = b"{}"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    cut: bool = False
    heed: bool = False


Script = Callable[[Peer], Awaitable[Asked | None]]


class RenderUpstream:
    """`with RenderUpstream() as upstream:` — `upstream.url` then takes requests."""

    def __init__(self, *, polls_needed: int = 1, size: int = 300_000, seconds: int | None = None) -> None:
        self.polls_needed = polls_needed
        self.size = size
        self.seconds = seconds
        self.submissions: defaultdict[str, list[str]] = defaultdict(list)
        self.polls: Counter[str] = Counter()
        self.fetches: Counter[str] = Counter()
        self.cancels: list[str] = []
        self.cancelled: set[str] = set()
        self.callbacks: list[tuple[dict[str, object], bytes, str]] = []
        self.script: Script | None = None
        self.completes = True
        self.targets: list[bytes] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server = ScriptedUpstream(self._handle)

    @property
    def url(self) -> str:
        return self._server.url

    def __enter__(self) -> RenderUpstream:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.__aenter__(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            asyncio.run_coroutine_threadsafe(self._server.__aexit__(None, None, None), self._loop).result()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _handle(self, peer: Peer) -> None:
        self.targets.append(peer.request.target)
        said = None if self.script is None else await self.script(peer)
        with suppress(ConnectionError):
            if said is None:
                status, body = self._answer(peer)
                await peer.answer(status, body=body)
                return
            if said.heed:
                self._answer(peer)
            if said.cut:
                peer.reset()
            else:
                await peer.answer(said.status, headers=said.headers, body=said.body)

    def _answer(self, peer: Peer) -> tuple[int, bytes]:
        method, target = peer.request.method, peer.request.target.decode()
        if target == "/callback":
            body = peer.request.body
            told = peer.request.headers[b"x-bytespike-signature"].decode()
            self.callbacks.append((msgspec.json.decode(body), body, told))
            return 200, b""
        if method == b"POST" and target == "/renders":
            task = str(msgspec.json.decode(peer.request.body)["task"])
            id = f"render-{task}-{len(self.submissions[task])}"
            self.submissions[task].append(id)
            return 200, msgspec.json.encode({"id": id, "state": "queued"})
        if target.startswith("/renders?task="):
            ids = self.submissions.get(target.partition("=")[2], [])
            return 200, msgspec.json.encode({"id": ids[0] if ids else None, "state": "running"})
        if target.startswith("/files/"):
            id = target.removeprefix("/files/")
            self.fetches[id] += 1
            return 200, content_of(id, self.size)
        id = target.split("/")[2]
        if target.endswith("/cancel"):
            self.cancels.append(id)
            self.cancelled.add(id)
            return 200, msgspec.json.encode({"id": id, "state": "cancelled", "billed": False})
        self.polls[id] += 1
        return 200, msgspec.json.encode(self._polled(id))

    def _polled(self, id: str) -> dict[str, object]:
        if id in self.cancelled:
            return {"id": id, "state": "cancelled", "billed": False}
        if not self.completes or self.polls[id] < self.polls_needed:
            progress = min(99, self.polls[id] * 100 // max(self.polls_needed, 1))
            return {"id": id, "state": "running", "progress": progress}
        done: dict[str, object] = {"id": id, "state": "completed", "progress": 100, "url": f"/files/{id}"}
        if self.seconds is not None:
            done["seconds"] = self.seconds
        return done
