"""Claude on Bedrock through a running gateway, with every official SDK: each request's signature is checked by the cloud's
stand-in, answers come in AWS's framing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from bytespike.accounts import channels
from bytespike.accounts.channels import ChannelChanges, NewChannel
from bytespike.errors import InvalidRequest
from tests.support.clouds import API_KEY, KEY_ID, REGION, SECRET, SESSION, Bedrock
from tests.support.gateway import RunningGateway
from tests.support.sdk_talk import Refused, Result, Wishes
from tests.support.sdk_tools import WEATHER
from tests.support.sdk_ways import WAYS, Ways, opened

pytestmark = pytest.mark.slow

MODEL = "claude-haiku-4-5"
UPSTREAM = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"
KEYS = f"{KEY_ID}:{SECRET}"
EACH_WAY = pytest.mark.parametrize("way", WAYS)
STREAMED_OR_NOT = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("bedrock")) as running:
        yield running


@pytest.fixture(scope="module")
def cloud(gateway: RunningGateway) -> Iterator[Bedrock]:
    with Bedrock(gateway.sim.base_url) as running:
        gateway.run(create(gateway, running))
        yield running


async def create(gateway: RunningGateway, cloud: Bedrock) -> None:
    async with gateway.application.control.writing("test") as write:
        (group,) = {group for view in await channels.listing(write.connection) for group in view.group_ids}
        await channels.create(
            write,
            NewChannel(
                name="bedrock",
                platform="bedrock",
                credential=f"{KEYS}@{REGION}",
                base_urls={"anthropic_messages": cloud.url},
                models={MODEL: UPSTREAM},
                group_ids=(group,),
            ),
        )
    await gateway.application.parts.directory.poll()


def change(gateway: RunningGateway, **changed: object) -> None:
    async def main() -> None:
        async with gateway.application.control.writing("test") as write:
            found = await channels.find(write.connection, "bedrock")
            await channels.update(write, found.channel.id, ChannelChanges(**changed))
        await gateway.application.parts.directory.poll()

    gateway.run(main())


@pytest.fixture(scope="module")
def ways(gateway: RunningGateway) -> Iterator[Ways]:
    with opened(gateway) as made:
        yield made


@pytest.fixture(autouse=True)
def afresh(gateway: RunningGateway, cloud: Bedrock) -> Iterator[None]:
    cloud.fault = ""
    cloud.seen.clear()
    cloud.refusals.clear()
    yield
    gateway.heal()


@EACH_WAY
@STREAMED_OR_NOT
def test_every_sdk_gets_its_answer(ways: Ways, gateway: RunningGateway, cloud: Bedrock, way, stream) -> None:
    talk = ways.talk(way)
    talk.user("Say hello")
    said = talk.answer(MODEL, stream=stream)
    assert said.model == MODEL
    assert said.finish == "stop"
    assert 'You said: "Say hello"' in said.text
    assert cloud.refusals == []
    operation = "invoke-with-response-stream" if stream else "invoke"
    assert cloud.newest.path == f"/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/{operation}"
    receipt = gateway.newest_receipt()
    assert (receipt["input_tokens"], receipt["output_tokens"]) == (said.input_tokens, said.output_tokens)
    assert (
        receipt["credits"] == gateway.price_of(MODEL, input=said.input_tokens, output=said.output_tokens) > 0
    )


@EACH_WAY
@STREAMED_OR_NOT
def test_tools_and_their_results_go_there_and_back(ways: Ways, cloud: Bedrock, way, stream) -> None:
    talk = ways.talk(way)
    talk.user("Use get_weather")
    calling = talk.answer(MODEL, Wishes(tools=(WEATHER,)), stream=stream)
    assert calling.finish == "tool_calls"
    talk.results([Result(call, "marmalade skies") for call in calling.calls])
    said = talk.answer(MODEL, Wishes(tools=(WEATHER,)), stream=stream)
    assert "marmalade skies" in said.text
    assert cloud.refusals == []


def messages(**more: object) -> bytes:
    body = {"model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}], **more}
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("credential", "signed"),
    [(f"{KEYS}:{SESSION}@{REGION}", True), (API_KEY + "@us-east-1", False), (f"{KEYS}@{REGION}", True)],
    ids=["session", "api-key", "keys"],
)
def test_each_form_of_a_credential_is_let_in(
    gateway: RunningGateway, cloud: Bedrock, credential: str, signed: bool
) -> None:
    change(gateway, credential=credential)
    assert gateway.post("/v1/messages", messages()).status == 200
    assert cloud.refusals == []
    assert cloud.newest.headers["authorization"].startswith("AWS4-HMAC" if signed else "Bearer")
    assert ("x-amz-security-token" in cloud.newest.headers) == (SESSION in credential)


def test_an_inference_profiles_arn_is_signed_as_it_is_escaped(
    gateway: RunningGateway, cloud: Bedrock
) -> None:
    change(gateway, models={MODEL: ARN})
    try:
        answer = gateway.post("/v1/messages", messages())
    finally:
        change(gateway, models={MODEL: UPSTREAM})
    assert answer.status == 200
    assert json.loads(answer.body)["model"] == MODEL
    assert cloud.newest.path == f"/model/{ARN.replace(':', '%3A').replace('/', '%2F')}/invoke"
    assert cloud.refusals == []


def test_flags_of_betas_move_into_the_body_and_the_caller_learns_which_did_not(
    gateway: RunningGateway, cloud: Bedrock
) -> None:
    headers = {
        "x-api-key": gateway.key,
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14",
    }
    answer = gateway.post("/v1/messages?beta=true", messages(), headers)
    assert answer.status == 200
    assert cloud.newest.body["anthropic_beta"] == ["interleaved-thinking-2025-05-14"]
    assert "claude-code-20250219" in answer.headers["x-bytespike-notices"]
    assert "anthropic-beta" not in cloud.newest.headers


def test_a_channels_own_headers_go_along(gateway: RunningGateway, cloud: Bedrock) -> None:
    change(gateway, headers={"x-amzn-bedrock-trace": "ENABLED", "x-amz-test": "a  b"})
    try:
        assert gateway.post("/v1/messages", messages()).status == 200
    finally:
        change(gateway, headers={})
    assert cloud.newest.headers["x-amzn-bedrock-trace"] == "ENABLED"
    assert cloud.refusals == []


def test_a_stream_passes_as_anthropics_own(gateway: RunningGateway, cloud: Bedrock) -> None:
    answer = gateway.post("/v1/messages", messages(stream=True))
    assert answer.headers["content-type"].startswith("text/event-stream")
    kinds = [line[7:] for line in answer.body.decode().split("\n") if line.startswith("event: ")]
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    assert json.loads(answer.body.split(b"data: ")[1].split(b"\n")[0])["message"]["model"] == MODEL


@pytest.mark.parametrize(
    "fault", ["stream:throttlingException", "stream:modelStreamErrorException", "damaged", "cut"]
)
def test_a_stream_that_fails_ends_in_the_dialects_error_and_costs_nothing(
    gateway: RunningGateway, cloud: Bedrock, fault: str
) -> None:
    rows = gateway.usage_rows()
    balance = gateway.balance()
    cloud.fault = fault
    long = [{"role": "user", "content": "hi [[sim: tokens=60]]"}]
    for path in ("/v1/messages", "/v1/chat/completions"):
        answer = gateway.post(path, messages(stream=True, max_tokens=100, messages=long))
        gateway.heal()
        # What came in one piece with its error has not begun for the client.
        assert answer.status in (200, 502, 503)
        assert b'"error"' in answer.body
        assert b"message_stop" not in answer.body
        assert b"as the test wants it" not in answer.body
    gateway.nothing_left_over()
    assert gateway.balance() == balance
    assert gateway.usage_rows() >= rows


@pytest.mark.parametrize(
    ("fault", "status"),
    [("ThrottlingException", 503), ("ModelTimeoutException", 503), ("InternalServerException", 503)],
)
def test_an_exception_before_the_stream_is_a_channel_that_failed(
    gateway: RunningGateway, cloud: Bedrock, fault: str, status: int
) -> None:
    cloud.fault = fault
    for stream in (False, True):
        answer = gateway.post("/v1/messages", messages(stream=stream))
        gateway.heal()
        assert answer.status == status
        assert b"as the test wants it" not in answer.body


@EACH_WAY
def test_what_is_wrong_with_a_request_is_told_in_the_callers_dialect(ways: Ways, way) -> None:
    talk = ways.talk(way)
    talk.user("hi [[sim: error=400]]")
    with pytest.raises(Refused) as caught:
        talk.answer(MODEL)
    assert caught.value.status == 400


def test_a_wrong_secret_disables_the_channel_until_somebody_looks(
    gateway: RunningGateway, cloud: Bedrock
) -> None:
    change(gateway, credential=f"{KEY_ID}:{SECRET[::-1]}@{REGION}")
    try:
        answer = gateway.post("/v1/messages", messages())
        assert answer.status == 503
        assert len(cloud.refusals) == 1
        assert "does not match" in cloud.refusals[0]
        assert b"signature" not in answer.body.lower()
        gateway.until(lambda: not enabled(gateway))
    finally:
        change(gateway, credential=f"{KEYS}@{REGION}", enabled=True)
    assert gateway.post("/v1/messages", messages()).status == 200


def enabled(gateway: RunningGateway) -> bool:
    async def main() -> bool:
        async with gateway.application.control.reading() as connection:
            return (await channels.find(connection, "bedrock")).channel.enabled

    return gateway.run(main())


@pytest.mark.parametrize("credential", ["nonsense", KEYS, f"{KEYS}@nowhere", f"{KEYS}:a:b:c@{REGION}"])
def test_a_credential_that_cannot_be_one_is_refused_when_it_is_given(
    gateway: RunningGateway, cloud: Bedrock, credential: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        change(gateway, credential=credential)
    assert caught.value.param == "credential"
    assert SECRET not in caught.value.message
