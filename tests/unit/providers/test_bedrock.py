"""Claude on Bedrock: credentials, bodies, paths, streams and errors, without a socket."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest
from msgspec import Struct

from bytespike.clock import SystemClock
from bytespike.core.dialect import Peek
from bytespike.errors import (
    ContextTooLong,
    InvalidRequest,
    NoAvailableChannel,
    UpstreamError,
    UpstreamTimeout,
)
from bytespike.protocols.anthropic_messages import DIALECT
from bytespike.providers.access_tokens import AccessTokens
from bytespike.providers.bedrock.credentials import read_credentials
from bytespike.providers.bedrock.errors import told
from bytespike.providers.bedrock.framing import BrokenFrame, message_bytes
from bytespike.providers.bedrock.unframing import BedrockEvents
from bytespike.providers.carriage import Parcel
from bytespike.providers.choice import filled
from bytespike.providers.endpoint import ChannelUnusable, endpoint
from bytespike.wire.address import Origin

KEYS = "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = 1_440_938_160_000_000


class Channel(Struct, frozen=True):
    credential: str = KEYS
    region: str = "us-east-1"
    base_urls: dict[str, str] = {}
    headers: dict[str, str] = {}
    platform: str = "bedrock"
    proxy: str | None = None


def claude(**settings: object):
    found = endpoint(Channel(**settings), "anthropic_messages")
    assert found is not None
    assert found.carriage is not None
    return found


async def _never(*_: object) -> tuple[int, bytes]:
    raise AssertionError("nobody is asked for a token")


def lines_of(found, parcel: Parcel) -> dict[str, str]:
    tokens = AccessTokens(SystemClock(), _never)
    block = asyncio.run(found.carriage.signed(parcel, NOW, tokens)).decode()
    return dict(line.split(": ", 1) for line in block.split("\r\n") if line)


# --- where, and who ----------------------------------------------------------------------------------------------


def test_the_region_makes_the_host_and_the_model_stands_in_the_path() -> None:
    found = claude(region="eu-central-1")
    assert found.origin == Origin("https", "bedrock-runtime.eu-central-1.amazonaws.com", 443)
    assert filled(found.target, "anthropic.claude-sonnet-4-6") == b"/model/anthropic.claude-sonnet-4-6/invoke"
    assert filled(found.stream_target, "us.anthropic.claude-haiku-4-5-20251001-v1:0") == (
        b"/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/invoke-with-response-stream"
    )
    assert found.events_query == b""


def test_an_arn_is_one_segment_of_the_path() -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-6"
    assert filled(claude().target, arn) == (
        b"/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.anthropic.claude-sonnet-4-6/invoke"
    )


def test_the_head_of_an_endpoint_holds_no_credential() -> None:
    for credential in (KEYS, "ABSKexample-api-key"):
        found = claude(credential=credential)
        assert found.head == b"content-type: application/json\r\n"
        assert credential not in repr(found)
        assert credential not in repr(read_credentials(credential, "us-east-1"))


@pytest.mark.parametrize(
    ("text", "own", "region", "key_id", "token", "api_key"),
    [
        (KEYS, "us-east-1", "us-east-1", "AKIDEXAMPLE", "", ""),
        (KEYS + "@us-gov-west-1", "", "us-gov-west-1", "AKIDEXAMPLE", "", ""),
        (KEYS + ":SESSION+/=token@eu-west-3", "", "eu-west-3", "AKIDEXAMPLE", "SESSION+/=token", ""),
        (KEYS + "@eu-west-3", "ap-southeast-2", "ap-southeast-2", "AKIDEXAMPLE", "", ""),
        ("ABSKQmVkcm9jaw==", "us-west-2", "us-west-2", "", "", "ABSKQmVkcm9jaw=="),
        ("bedrock-api-key-YWJj@us-west-2", "", "us-west-2", "", "", "bedrock-api-key-YWJj"),
    ],
)
def test_the_forms_of_a_credential(text, own, region, key_id, token, api_key) -> None:
    read = read_credentials(text, own)
    assert (read.region, read.key_id, read.session_token, read.api_key) == (region, key_id, token, api_key)
    assert bool(read.secret) == bool(key_id)


@pytest.mark.parametrize(
    ("text", "region"),
    [
        (KEYS, ""),
        (KEYS, "evil.example/"),
        (KEYS + "@localhost", ""),
        ("a:b", "us-east-1"),
        ("AKIDEXAMPLE:secret key with spaces", "us-east-1"),
        (KEYS + ":token:more", "us-east-1"),
        ("AKIDEXAMPLE:", "us-east-1"),
        ("short", "us-east-1"),
    ],
)
def test_a_credential_of_another_form_is_refused_unquoted(text: str, region: str) -> None:
    with pytest.raises(ChannelUnusable) as caught:
        endpoint(Channel(credential=text, region=region), "anthropic_messages")
    assert "secret" not in str(caught.value)
    assert "wJalr" not in str(caught.value)


# --- requests ------------------------------------------------------------------------------------------------------


def packed(body: dict[str, object], head: bytes = b"", **settings: object) -> Parcel:
    return claude(**settings).carriage.packed(Parcel(b"/p", head, json.dumps(body).encode()))


def test_a_body_has_the_clouds_version_and_neither_model_nor_stream() -> None:
    parcel = packed({"model": "m", "max_tokens": 5, "stream": True, "messages": [], "x_unknown": {"a": 1.50}})
    assert json.loads(parcel.body) == {
        "max_tokens": 5,
        "messages": [],
        "x_unknown": {"a": 1.5},
        "anthropic_version": "bedrock-2023-05-31",
    }
    assert parcel.notices == ()


def test_what_is_not_edited_keeps_its_bytes() -> None:
    body = b'{"model":"m", "messages": [ {"role":"user", "content":"caf\\u00e9 1.50"} ],"temperature":1.0e0}'
    parcel = claude().carriage.packed(Parcel(b"/p", b"", body))
    assert b'[ {"role":"user", "content":"caf\\u00e9 1.50"} ]' in parcel.body
    assert b'"temperature":1.0e0' in parcel.body


def test_flags_of_betas_move_into_the_body_and_unknown_ones_are_told() -> None:
    head = (
        b"anthropic-version: 2023-06-01\r\n"
        b"anthropic-beta: interleaved-thinking-2025-05-14, claude-code-20250219,advanced-tool-use-2025-11-20\r\n"
        b"x-other: stays\r\n"
    )
    parcel = packed({"model": "m", "messages": []}, head)
    assert parcel.head == b"x-other: stays\r\n"
    assert json.loads(parcel.body)["anthropic_beta"] == [
        "interleaved-thinking-2025-05-14",
        "tool-search-tool-2025-10-19",
    ]
    assert [str(notice) for notice in parcel.notices] == ["anthropic-beta: dropped (claude-code-20250219)"]


def test_a_body_that_is_no_object_is_the_callers_fault() -> None:
    with pytest.raises(InvalidRequest):
        claude().carriage.packed(Parcel(b"/p", b"", b"[1]"))


def test_a_request_is_signed_over_its_path_body_and_time() -> None:
    found = claude()
    parcel = Parcel(b"/model/a%3Ab/invoke", b"", b'{"a":1}')
    lines = lines_of(found, parcel)
    assert lines["x-amz-date"] == "20150830T123600Z"
    assert lines["authorization"].startswith(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature="
    )
    others = [
        lines_of(found, Parcel(b"/model/other/invoke", b"", parcel.body)),
        lines_of(found, Parcel(parcel.path, b"", b'{"a":2}')),
        lines_of(claude(region="us-west-2"), parcel),
        lines_of(claude(credential=KEYS + "x"), parcel),
    ]
    assert len({each["authorization"] for each in [lines, *others]}) == 5


def test_a_session_token_is_sent_and_signed() -> None:
    lines = lines_of(claude(credential=KEYS + ":SESSIONTOKEN"), Parcel(b"/p", b"", b"{}"))
    assert lines["x-amz-security-token"] == "SESSIONTOKEN"
    assert "SignedHeaders=host;x-amz-date;x-amz-security-token," in lines["authorization"]


def test_amazons_own_headers_of_a_channel_are_signed_and_others_are_not() -> None:
    found = claude(headers={"X-Amz-Target-Thing": "1", "x-team": "a"})
    lines = lines_of(found, Parcel(b"/p", b"", b"{}"))
    assert "SignedHeaders=host;x-amz-date;x-amz-target-thing," in lines["authorization"]
    assert b"x-team: a\r\n" in found.head


def test_an_api_key_is_a_bearer_token() -> None:
    lines = lines_of(claude(credential="ABSKQmVkcm9jaw=="), Parcel(b"/p", b"", b"{}"))
    assert lines == {"authorization": "Bearer ABSKQmVkcm9jaw=="}


# --- answers -------------------------------------------------------------------------------------------------------

EVENTS = [
    {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 3}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi é"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 3}},
]


def chunk(event: object, text: str | None = None) -> bytes:
    data = base64.b64encode((text or json.dumps(event)).encode()).decode()
    headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    return message_bytes(headers, json.dumps({"bytes": data, "p": "abcdefghijk"}).encode())


def exception(name: str, message: str = "it failed") -> bytes:
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return message_bytes(headers, json.dumps({"message": message}).encode())


STREAM = b"".join(chunk(event) for event in EVENTS)
SSE = b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in EVENTS)


def unframed(*pieces: bytes, size: int = 1 << 18) -> bytes:
    decoder = BedrockEvents()
    out = b""
    for piece in pieces:
        decoder.feed(piece)
        while taken := decoder.take(size):
            out += taken
    decoder.finish()
    return out


def test_a_stream_becomes_anthropics_own_events() -> None:
    assert unframed(STREAM) == SSE
    assert unframed(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == SSE
    assert unframed(STREAM, size=1) == SSE


def test_an_event_over_several_lines_stays_one_event() -> None:
    text = json.dumps(EVENTS[2], indent=1)
    raw = unframed(chunk(None, text))
    assert raw.count(b"\n") == 3
    assert json.loads(raw.split(b"data: ")[1]) == EVENTS[2]


def test_messages_that_say_nothing_to_clients_are_left_out() -> None:
    other = message_bytes({":message-type": "event", ":event-type": "initial-response"}, b"{}")
    assert unframed(other + chunk(EVENTS[0]) + chunk({"completion": "x"})) == unframed(chunk(EVENTS[0]))


def test_a_stream_that_ends_in_a_message_gives_what_came_whole_and_then_is_broken() -> None:
    decoder = BedrockEvents()
    decoder.feed(STREAM[:-5])
    assert decoder.take(1 << 18) == SSE[: SSE.rindex(b"event: ")]
    with pytest.raises(BrokenFrame, match="ends in the middle"):
        decoder.finish()


def test_a_damaged_message_ends_the_stream_behind_what_came_before_it() -> None:
    first = chunk(EVENTS[0])
    damaged = bytearray(chunk(EVENTS[1]))
    damaged[-10] ^= 1
    decoder = BedrockEvents()
    decoder.feed(first + bytes(damaged))
    assert decoder.take(1 << 18).startswith(b"event: message_start")
    with pytest.raises(BrokenFrame, match="checksum"):
        decoder.take(1 << 18)


@pytest.mark.parametrize("payload", [b"", b"[]", b'{"bytes": 5}', b'{"bytes": "!!"}', b'{"bytes": "eA=="}'])
def test_a_chunk_that_is_none_is_broken(payload: bytes) -> None:
    decoder = BedrockEvents()
    decoder.feed(message_bytes({":message-type": "event", ":event-type": "chunk"}, payload))
    with pytest.raises(BrokenFrame, match="malformed"):
        decoder.take(1 << 18)


@pytest.mark.parametrize(
    ("name", "kind", "about", "status"),
    [
        ("throttlingException", NoAvailableChannel, "channel", 429),
        ("modelStreamErrorException", UpstreamError, "upstream", 0),
        ("modelTimeoutException", UpstreamTimeout, "upstream", 0),
        ("internalServerException", UpstreamError, "upstream", 0),
        ("serviceUnavailableException", NoAvailableChannel, "upstream", 0),
        ("validationException", InvalidRequest, "request", 0),
        ("somethingNewException", UpstreamError, "upstream", 0),
    ],
)
def test_an_exception_in_mid_stream_ends_it_as_anthropics_error_would(name, kind, about, status) -> None:
    tap = DIALECT.tap(Peek("m", stream=True), "m")
    out = tap.feed(unframed(chunk(EVENTS[0]) + exception(name)))
    assert b"error" not in out
    assert isinstance(tap.failure, kind)
    assert tap.failure.about == about
    assert tap.failure.upstream_status in (0, status)


def test_an_error_message_without_a_payload_is_told_too() -> None:
    frame = message_bytes(
        {":message-type": "error", ":error-code": "InternalError", ":error-message": "oops"}, b""
    )
    assert json.loads(unframed(frame).split(b"data: ")[1]) == {
        "type": "error",
        "error": {"type": "api_error", "message": "oops"},
    }


@pytest.mark.parametrize(
    ("status", "name", "message", "kind", "about", "amounts_to"),
    [
        (
            400,
            "ValidationException",
            "messages: at least one message is required",
            InvalidRequest,
            "request",
            400,
        ),
        (
            400,
            "ValidationException",
            "Input is too long for requested model.",
            ContextTooLong,
            "request",
            400,
        ),
        (
            400,
            "ValidationException",
            "The provided model identifier is invalid.",
            NoAvailableChannel,
            "channel",
            404,
        ),
        (
            *(400, "ValidationException"),
            "Invocation of model ID x with on-demand throughput isn’t supported. Retry with an inference profile.",
            *(NoAvailableChannel, "channel", 404),
        ),
        (403, "AccessDeniedException", "User: arn is not authorized", NoAvailableChannel, "channel", 403),
        (
            403,
            "UnrecognizedClientException",
            "The security token is invalid",
            NoAvailableChannel,
            "channel",
            401,
        ),
        (403, "ExpiredTokenException", "expired", NoAvailableChannel, "channel", 401),
        (403, "InvalidSignatureException", "does not match", NoAvailableChannel, "channel", 401),
        (404, "ResourceNotFoundException", "Could not resolve the model", NoAvailableChannel, "channel", 404),
        (408, "ModelTimeoutException", "too long", UpstreamTimeout, "upstream", 504),
        (424, "ModelErrorException", "the model failed", UpstreamError, "upstream", 502),
        (429, "ThrottlingException", "Too many tokens", NoAvailableChannel, "channel", 429),
        (429, "ModelNotReadyException", "not ready", NoAvailableChannel, "channel", 429),
        (400, "ServiceQuotaExceededException", "quota", NoAvailableChannel, "channel", 429),
        (500, "InternalServerException", "", UpstreamError, "upstream", 500),
        (503, "ServiceUnavailableException", "", NoAvailableChannel, "upstream", 503),
        (502, "", "", UpstreamError, "upstream", 502),
    ],
)
def test_an_error_answer_is_read_as_anthropics_would_be(
    status, name, message, kind, about, amounts_to
) -> None:
    headers = {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/"} if name else {}
    answer = told(status, headers, json.dumps({"message": message}).encode())
    failure = DIALECT.read_error(answer.status, headers, answer.body)
    assert isinstance(failure.error, kind)
    assert (failure.about, failure.status or answer.status) == (about, amounts_to)
    if about == "request":
        assert message in failure.error.message


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"Message": "Denied"}', b"\xff"])
def test_any_body_of_an_error_will_do(body: bytes) -> None:
    failure = DIALECT.read_error(*(lambda answer: (answer.status, {}, answer.body))(told(403, {}, body)))
    assert failure.about == "channel"


def test_only_an_event_stream_is_unframed() -> None:
    carriage = claude().carriage
    assert carriage.unframing(b"application/json") is None
    assert isinstance(carriage.unframing(b"application/vnd.amazon.eventstream"), BedrockEvents)
