"""Claude and Gemini on Vertex through a running gateway, with every official SDK: the cloud's stand-in checks each assertion
of the service account and each access token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from bytespike.accounts import channels
from bytespike.accounts.channels import ChannelChanges, NewChannel
from bytespike.errors import InvalidRequest
from tests.support.clouds import PROJECT, Vertex, account_file
from tests.support.gateway import RunningGateway
from tests.support.sdk_talk import Refused, Result, Wishes
from tests.support.sdk_tools import WEATHER
from tests.support.sdk_ways import WAYS, Ways, opened

pytestmark = pytest.mark.slow

CLAUDE = "claude-haiku-4-5"
CLAUDE_THERE = "claude-haiku-4-5@20251001"
GEMINI = "gemini-2-5-flash"
GEMINI_THERE = "gemini-2.5-flash"
MODELS = (CLAUDE, GEMINI)
REGION = "us-east5"
EACH_WAY = pytest.mark.parametrize("way", WAYS)
EACH_MODEL = pytest.mark.parametrize("model", MODELS)
STREAMED_OR_NOT = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("vertex")) as running:
        yield running


@pytest.fixture(scope="module")
def cloud(gateway: RunningGateway) -> Iterator[Vertex]:
    with Vertex(gateway.sim.base_url) as running:
        gateway.run(create(gateway, running))
        yield running


async def create(gateway: RunningGateway, cloud: Vertex) -> None:
    async with gateway.application.control.writing("test") as write:
        (group,) = {group for view in await channels.listing(write.connection) for group in view.group_ids}
        for platform, dialect, models in (
            ("vertex_claude", "anthropic_messages", {CLAUDE: CLAUDE_THERE}),
            ("vertex_gemini", "gemini", {GEMINI: GEMINI_THERE}),
        ):
            new = NewChannel(
                name=platform,
                platform=platform,
                credential=account_file(cloud.url + "/token"),
                base_urls={dialect: cloud.url},
                models=models,
                group_ids=(group,),
                region=REGION,
            )
            await channels.create(write, new)
    await gateway.application.parts.directory.poll()


def change(gateway: RunningGateway, platform: str, **changed: object) -> None:
    async def main() -> None:
        async with gateway.application.control.writing("test") as write:
            found = await channels.find(write.connection, platform)
            await channels.update(write, found.channel.id, ChannelChanges(**changed))
        await gateway.application.parts.directory.poll()

    gateway.run(main())


def forget_tokens(gateway: RunningGateway, cloud: Vertex) -> None:
    """As after a restart."""
    gateway.application.parts.tokens._kept.clear()
    cloud.given.clear()


@pytest.fixture(scope="module")
def ways(gateway: RunningGateway) -> Iterator[Ways]:
    with opened(gateway) as made:
        yield made


@pytest.fixture(autouse=True)
def afresh(gateway: RunningGateway, cloud: Vertex) -> Iterator[None]:
    cloud.fault = ""
    cloud.lifetime_s = 3600
    cloud.seen.clear()
    cloud.refusals.clear()
    yield
    gateway.heal()


def place(model: str, *, stream: bool) -> str:
    if model == CLAUDE:
        method = "streamRawPredict" if stream else "rawPredict"
        return (
            f"/v1/projects/{PROJECT}/locations/{REGION}/publishers/anthropic/models/{CLAUDE_THERE}:{method}"
        )
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/v1beta1/projects/{PROJECT}/locations/{REGION}/publishers/google/models/{GEMINI_THERE}:{method}"


@EACH_WAY
@EACH_MODEL
@STREAMED_OR_NOT
def test_every_sdk_gets_its_answer(ways: Ways, gateway, cloud: Vertex, way, model, stream) -> None:
    talk = ways.talk(way)
    talk.user("Say hello")
    said = talk.answer(model, stream=stream)
    assert said.model == model
    assert said.finish == "stop"
    assert 'You said: "Say hello"' in said.text
    assert cloud.refusals == []
    assert cloud.newest.path == place(model, stream=stream)
    receipt = gateway.newest_receipt()
    assert (receipt["input_tokens"], receipt["output_tokens"]) == (said.input_tokens, said.output_tokens)
    assert receipt["credits"] > 0


@EACH_WAY
@EACH_MODEL
def test_tools_and_their_results_go_there_and_back(ways: Ways, cloud: Vertex, way, model) -> None:
    talk = ways.talk(way)
    talk.user("Use get_weather")
    calling = talk.answer(model, Wishes(tools=(WEATHER,)))
    assert calling.finish == "tool_calls"
    talk.results([Result(call, "marmalade skies") for call in calling.calls])
    assert "marmalade skies" in talk.answer(model, Wishes(tools=(WEATHER,))).text
    assert cloud.refusals == []


def messages(model: str = CLAUDE, **more: object) -> bytes:
    body = {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}], **more}
    return json.dumps(body).encode()


def test_a_burst_after_a_restart_is_one_token_for_each_credential(
    gateway: RunningGateway, cloud: Vertex
) -> None:
    forget_tokens(gateway, cloud)
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _: gateway.post("/v1/messages", messages()).status, range(40)))
    assert set(found) == {200}
    assert len(cloud.given) == 1
    assert gateway.post("/v1/messages", messages(GEMINI)).status == 200
    # Both channels have the same service account, but not the same address of its token endpoint.
    assert len(cloud.given) <= 2


def test_a_token_is_renewed_when_half_of_a_short_life_is_over(gateway: RunningGateway, cloud: Vertex) -> None:
    forget_tokens(gateway, cloud)
    cloud.lifetime_s = 2

    def renewed() -> bool:
        assert gateway.post("/v1/messages", messages()).status == 200
        return len(cloud.given) > 1

    gateway.until(renewed, seconds=60)
    assert cloud.refusals == []


def test_a_token_that_is_no_longer_good_is_not_used_again(gateway: RunningGateway, cloud: Vertex) -> None:
    assert gateway.post("/v1/messages", messages()).status == 200
    cloud.given.clear()
    assert gateway.post("/v1/messages", messages()).status == 503
    gateway.until(lambda: not enabled(gateway, "vertex_claude"))
    change(gateway, "vertex_claude", enabled=True)
    assert gateway.post("/v1/messages", messages()).status == 200
    assert len(cloud.given) == 1


def test_an_account_that_gets_no_token_disables_its_channel(gateway: RunningGateway, cloud: Vertex) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    change(gateway, "vertex_claude", credential=account_file(cloud.url + "/token", other))
    try:
        answer = gateway.post("/v1/messages", messages())
        assert answer.status == 503
        assert b"JWT" not in answer.body
        assert cloud.refusals == ["assertion: InvalidSignature"]
        gateway.until(lambda: not enabled(gateway, "vertex_claude"))
    finally:
        change(gateway, "vertex_claude", credential=account_file(cloud.url + "/token"), enabled=True)
    assert gateway.post("/v1/messages", messages()).status == 200


def test_a_token_endpoint_that_is_down_is_an_upstream_that_failed(
    gateway: RunningGateway, cloud: Vertex
) -> None:
    forget_tokens(gateway, cloud)
    cloud.fault = "token:503"
    assert gateway.post("/v1/messages", messages()).status == 503
    assert enabled(gateway, "vertex_claude")
    cloud.fault = ""
    gateway.heal()
    assert gateway.post("/v1/messages", messages()).status == 200


@EACH_MODEL
@STREAMED_OR_NOT
@pytest.mark.parametrize(("fault", "status"), [("400", 400), ("429", 503), ("500", 503), ("503", 503)])
def test_googles_errors_become_the_callers(gateway, cloud: Vertex, model, stream, fault, status) -> None:
    cloud.fault = fault
    answer = gateway.post("/v1/messages", messages(model, stream=stream))
    assert answer.status == status
    assert (b"as the test wants it" in answer.body) == (status == 400)
    assert json.loads(answer.body)["type"] == "error"


@EACH_WAY
@EACH_MODEL
def test_what_is_wrong_with_a_request_is_told_in_the_callers_dialect(ways: Ways, way, model) -> None:
    talk = ways.talk(way)
    talk.user("hi [[sim: error=400]]")
    with pytest.raises(Refused) as caught:
        talk.answer(model)
    assert caught.value.status == 400


def test_gemini_counts_there_and_claude_here(gateway: RunningGateway, cloud: Vertex) -> None:
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "count me"}]}]}).encode()
    answer = gateway.post(f"/v1beta/models/{GEMINI}:countTokens", body, {"x-goog-api-key": gateway.key})
    assert json.loads(answer.body)["totalTokens"] > 0
    assert cloud.newest.path.endswith(f"{GEMINI_THERE}:countTokens")
    counted = gateway.post("/v1/messages/count_tokens", messages())
    assert json.loads(counted.body)["input_tokens"] > 0
    assert "counted by the gateway" in counted.headers["x-bytespike-notices"]


def test_a_streamed_array_stays_one(gateway: RunningGateway, cloud: Vertex) -> None:
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}).encode()
    path = f"/v1beta/models/{GEMINI}:streamGenerateContent"
    answer = gateway.post(path, body, {"x-goog-api-key": gateway.key})
    assert json.loads(answer.body)[-1]["candidates"][0]["finishReason"] == "STOP"
    assert cloud.newest.path.endswith(":streamGenerateContent")


def enabled(gateway: RunningGateway, name: str) -> bool:
    async def main() -> bool:
        async with gateway.application.control.reading() as connection:
            return (await channels.find(connection, name)).channel.enabled

    return gateway.run(main())


@pytest.mark.parametrize("credential", ["nonsense", "{}", "[]"])
def test_a_credential_that_cannot_be_one_is_refused_when_it_is_given(
    gateway: RunningGateway, cloud: Vertex, credential: str
) -> None:
    with pytest.raises(InvalidRequest):
        change(gateway, "vertex_claude", credential=credential)


def test_a_token_endpoint_elsewhere_is_refused_when_it_is_given(
    gateway: RunningGateway, cloud: Vertex
) -> None:
    with pytest.raises(InvalidRequest, match="token_uri"):
        change(gateway, "vertex_claude", credential=account_file("http://127.0.0.1:1/token"))
