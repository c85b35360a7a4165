"""Each channel's own deadlines, proxy, headers and names of models, through a running gateway.

The gateway's own deadlines are minutes: that an answer comes at all while a test waits shows whose deadline it was.
"""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator

import pytest
from msgspec import Struct, structs

from bytespike.accounts import channels
from bytespike.accounts.channels import ChannelChanges, NewChannel
from bytespike.errors import InvalidRequest
from bytespike.pipeline.attempt import timeouts_of
from bytespike.providers.endpoint import Endpoint, endpoint
from bytespike.routing.values import Candidate
from bytespike.upstream.limits import Timeouts
from tests.support.gated_upstream import Forwarder, Gated
from tests.support.gateway import RunningGateway

pytestmark = pytest.mark.slow

MODEL = "gpt-4o-mini"
OTHERS = {"anthropic_messages": "", "openai_responses": "", "gemini": ""}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    settings = {"first_byte_timeout_s": 300.0, "idle_timeout_s": 300.0, "total_timeout_s": 1200.0}
    with RunningGateway(tmp_path_factory.mktemp("deadlines"), **settings) as running:
        running.run(create(running))
        yield running


@pytest.fixture(scope="module")
def upstream() -> Iterator[Gated]:
    with Gated() as running:
        yield running


async def create(gateway: RunningGateway) -> None:
    async with gateway.application.control.writing("test") as write:
        (group,) = {group for view in await channels.listing(write.connection) for group in view.group_ids}
        new = NewChannel(
            name="mine",
            platform="simulator",
            credential="sim-good",
            base_urls={**OTHERS, "openai_chat": gateway.sim.base_url + "/openai/v1"},
            models={MODEL: "upstream-4o-mini"},
            group_ids=(group,),
        )
        await channels.create(write, new)
    await gateway.application.parts.directory.poll()


def change(gateway: RunningGateway, **changed: object) -> None:
    async def main() -> None:
        async with gateway.application.control.writing("test") as write:
            found = await channels.find(write.connection, "mine")
            await channels.update(write, found.channel.id, ChannelChanges(**changed))
        await gateway.application.parts.directory.poll()

    gateway.run(main())


@pytest.fixture(autouse=True)
def afresh(gateway: RunningGateway, upstream: Gated) -> Iterator[None]:
    upstream.slow = ""
    upstream.pieces = []
    change(
        gateway,
        base_urls={**OTHERS, "openai_chat": gateway.sim.base_url + "/openai/v1"},
        timeouts={},
        proxy=None,
        headers={},
    )
    gateway.forget_upstream_requests()
    yield
    gateway.heal()
    gateway.nothing_left_over()


def body(**more: object) -> bytes:
    return json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "hi"}], **more}).encode()


def at(upstream: Gated) -> dict[str, str]:
    return {**OTHERS, "openai_chat": upstream.url}


# --- deadlines -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_the_first_byte_has_a_deadline_of_the_channels(gateway, upstream: Gated, stream: bool) -> None:
    upstream.slow = "head"
    change(gateway, base_urls=at(upstream), timeouts={"first_byte": 0.3})
    answer = gateway.post("/v1/chat/completions", body(stream=stream))
    assert answer.status == 504
    assert json.loads(answer.body)["error"]["code"] == "timeout"


@pytest.mark.parametrize("stream", [False, True])
def test_silence_has_a_deadline_of_the_channels(gateway, upstream: Gated, stream: bool) -> None:
    upstream.slow = "body"
    change(gateway, base_urls=at(upstream), timeouts={"idle": 0.3})
    assert gateway.post("/v1/chat/completions", body(stream=stream)).status == 504


def test_silence_in_mid_stream_ends_it_in_an_error(gateway, upstream: Gated) -> None:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    said = {**chunk, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}}]}
    upstream.pieces = [f"data: {json.dumps(said)}\n\n".encode(), b"never"]
    upstream.gate.release()
    change(gateway, base_urls=at(upstream), timeouts={"idle": 0.3})
    answer = gateway.post("/v1/chat/completions", body(stream=True))
    assert answer.status == 200
    events = answer.body.split(b"\n\n")
    assert b'"Hel"' in events[0]
    assert json.loads(events[1].removeprefix(b"data: "))["error"]["code"] == "timeout"
    upstream.open_gate()


@pytest.mark.parametrize("stream", [False, True])
def test_the_whole_has_a_deadline_of_the_channels(gateway, upstream: Gated, stream: bool) -> None:
    upstream.slow = "body"
    change(gateway, base_urls=at(upstream), timeouts={"total": 0.5})
    assert gateway.post("/v1/chat/completions", body(stream=stream)).status == 504


def test_connecting_has_a_deadline_of_the_channels(gateway: RunningGateway) -> None:
    """TLS is a part of it: here is a server that accepts, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        change(
            gateway,
            base_urls={**OTHERS, "openai_chat": f"https://127.0.0.1:{port}"},
            timeouts={"connect": 0.3},
        )
        answer = gateway.post("/v1/chat/completions", body())
    assert answer.status == 504


@pytest.mark.parametrize(
    "timeouts",
    [{"forever": 1.0}, {"idle": 0.0}, {"idle": -1.0}, {"idle": float("nan")}, {"idle": 86_401.0}],
)
def test_a_deadline_that_cannot_be_one_is_refused(gateway: RunningGateway, timeouts) -> None:
    with pytest.raises(InvalidRequest):
        change(gateway, timeouts=timeouts)


class _Account(Struct, frozen=True):
    platform: str = "openai"
    base_urls: dict[str, str] = {}
    credential: str = "k"
    region: str = ""
    proxy: str | None = None
    headers: dict[str, str] = {}


class _Channel(Struct, frozen=True):
    timeouts: dict[str, float]
    id: str = "chn_1"
    priority: int = 0
    weight: int = 1
    endpoints: dict[str, Endpoint] = {}


GATEWAYS = Timeouts(connect=10, first_byte=300, idle=120, total=1200)


def deadlines(seconds_left: float, seconds_max: float | None = None, platform=None, **own: float) -> Timeouts:
    found = endpoint(_Account(), "openai_chat")
    assert found is not None
    if platform:
        found = structs.replace(found, timeouts=platform)
    return timeouts_of(GATEWAYS, Candidate(_Channel(own), found), seconds_left, seconds_max)


def test_a_channel_without_deadlines_has_the_gateways() -> None:
    assert deadlines(1200) is GATEWAYS


def test_a_platforms_come_before_the_gateways_and_a_channels_before_both() -> None:
    found = deadlines(1200, platform={"first_byte": 600.0, "idle": 240.0}, idle=60.0)
    assert (found.connect, found.first_byte, found.idle, found.total) == (10, 600, 60, 1200)


def test_later_attempts_have_what_is_left_of_the_time() -> None:
    assert deadlines(50).total == 50
    assert deadlines(50, total=20.0).total == 20
    assert deadlines(-5).total == pytest.approx(0.1)


def test_a_channel_that_may_take_longer_gives_the_request_so_much_more() -> None:
    assert deadlines(1200, total=3600.0).total == 3600
    # A thousand seconds are gone already.
    assert deadlines(200, total=3600.0).total == 2600


def test_a_count_never_takes_longer_than_it_may() -> None:
    assert deadlines(1200, 30.0, total=3600.0).total == 30
    assert deadlines(1200, 30.0, total=5.0).total == 5


# --- proxy, headers, names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_channel_has_a_proxy_of_its_own(gateway: RunningGateway, stream: bool) -> None:
    with Forwarder(gateway.sim.base_url) as proxy:
        change(gateway, proxy=proxy.url.replace("http://", "http://user:pass%20word@"))
        answer = gateway.post("/v1/chat/completions", body(stream=stream))
        assert answer.status == 200
        assert proxy.targets == [gateway.sim.base_url + "/openai/v1/chat/completions"]
        told = base64.b64encode(b"user:pass word").decode()
        assert proxy.authorizations == [f"Basic {told}"]
        change(gateway, proxy=None)
        assert gateway.post("/v1/chat/completions", body()).status == 200
        assert len(proxy.targets) == 1


def test_a_proxy_that_is_gone_is_an_upstream_that_cannot_be_reached(gateway: RunningGateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    change(gateway, proxy=f"http://127.0.0.1:{port}")
    answer = gateway.post("/v1/chat/completions", body())
    assert answer.status == 503
    assert str(port).encode() not in answer.body


def test_a_channels_headers_go_with_every_request_and_cannot_be_the_credentials(
    gateway: RunningGateway, upstream: Gated
) -> None:
    change(gateway, base_urls=at(upstream), headers={"X-Team": "a", "openai-organization": "org-1"})
    upstream.pieces = [b"{}"]
    upstream.open_gate()
    upstream.kind = "application/json"
    gateway.post("/v1/chat/completions", body())
    sent = upstream.newest.headers
    assert (sent["x-team"], sent["openai-organization"]) == ("a", "org-1")
    assert sent["authorization"] == "Bearer sim-good"
    for name in ("authorization", "x-api-key", "host", "content-length"):
        with pytest.raises(InvalidRequest):
            change(gateway, headers={name: "x"})


def test_a_model_goes_by_the_name_that_the_channel_has_for_it(gateway: RunningGateway) -> None:
    answer = gateway.post("/v1/chat/completions", body())
    assert json.loads(answer.body)["model"] == MODEL
    assert gateway.newest_upstream_request().body["model"] == "upstream-4o-mini"


def test_one_credential_with_several_base_urls_is_asked_in_the_callers_dialect(
    gateway: RunningGateway,
) -> None:
    base = gateway.sim.base_url
    change(
        gateway,
        base_urls={
            "anthropic_messages": f"{base}/anthropic",
            "openai_responses": f"{base}/openai/v1",
            "openai_chat": f"{base}/openai/v1",
            "gemini": "",
        },
    )
    asked = {
        "/v1/messages": (body(max_tokens=5), "/anthropic/v1/messages"),
        "/v1/chat/completions": (body(), "/openai/v1/chat/completions"),
        "/v1/responses": (json.dumps({"model": MODEL, "input": "hi"}).encode(), "/openai/v1/responses"),
        # No base URL for this one: translated to the first of those that there are.
        f"/v1beta/models/{MODEL}:generateContent": (
            b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}',
            "/anthropic/v1/messages",
        ),
    }
    for path, (sent, there) in asked.items():
        assert gateway.post(path, sent).status == 200
        assert gateway.newest_upstream_request().path == there
