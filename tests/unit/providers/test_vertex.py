"""Claude and Gemini on Vertex: the service account and its assertion, hosts and paths, bodies, errors; without a socket."""

from __future__ import annotations

import base64
import json
from functools import cache
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec import Struct

from bytespike.errors import InvalidRequest, NoAvailableChannel, UpstreamError
from bytespike.protocols import anthropic_messages, gemini
from bytespike.providers.access_tokens import TokenRefused, TokenUnavailable
from bytespike.providers.carriage import Parcel
from bytespike.providers.choice import filled
from bytespike.providers.endpoint import ChannelUnusable, Endpoint, endpoint
from bytespike.providers.vertex.service_account import ServiceAccount, one_line
from bytespike.wire.address import Origin

EMAIL = "gateway@my-project-1.iam.gserviceaccount.com"


@cache
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def account_file(**changed: object) -> str:
    members: dict[str, object] = {
        "type": "service_account",
        "project_id": "my-project-1",
        "private_key_id": "kid-1",
        "private_key": pem_of(private_key()),
        "client_email": EMAIL,
        "client_id": "1",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    members.update(changed)
    return json.dumps({name: value for name, value in members.items() if value is not None})


class Channel(Struct, frozen=True):
    platform: str
    region: str = ""
    base_urls: dict[str, str] = {}
    headers: dict[str, str] = {}
    credential: str = ""
    proxy: str | None = None


def of(platform: str, dialect: str, **settings: object) -> Endpoint:
    settings.setdefault("credential", account_file())
    found = endpoint(Channel(platform, **settings), dialect)
    assert found is not None
    return found


def claude(**settings: object) -> Endpoint:
    return of("vertex_claude", "anthropic_messages", **settings)


def decoded(part: str) -> dict[str, object]:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


# --- the service account -------------------------------------------------------------------------------------------


def test_an_assertion_is_signed_by_the_accounts_key_and_says_who_for_what_and_how_long() -> None:
    body = ServiceAccount(account_file()).request(1_700_000_000)
    form = parse_qs(body.decode(), strict_parsing=True)
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    (assertion,) = form["assertion"]
    head, claims, signature = assertion.split(".")
    assert decoded(head) == {"alg": "RS256", "typ": "JWT", "kid": "kid-1"}
    assert decoded(claims) == {
        "iss": EMAIL,
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": 1_700_000_000,
        "exp": 1_700_003_600,
    }
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    private_key().public_key().verify(raw, f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize(
    "key", ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "an EC key"]
)
def test_a_key_that_is_none_is_a_refused_credential(key: str) -> None:
    text = pem_of(ec.generate_private_key(ec.SECP256R1())) if key == "an EC key" else key
    with pytest.raises(TokenRefused, match="private_key"):
        ServiceAccount(account_file(private_key=text)).request(0)


def test_an_answer_is_a_token() -> None:
    account = ServiceAccount(account_file())
    token = account.read(200, b'{"access_token": "ya29.abc", "expires_in": 3599, "token_type": "Bearer"}')
    assert (token.value, token.seconds) == ("ya29.abc", 3599)
    assert "ya29" not in repr(token)


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (
            400,
            b'{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}',
            TokenRefused,
            "invalid_grant",
        ),
        (401, b'{"error": "invalid_client"}', TokenRefused, "invalid_client"),
        (403, b"<html>", TokenRefused, "403"),
        (429, b"", TokenUnavailable, "429"),
        (500, b"", TokenUnavailable, "500"),
        (200, b"<html>", TokenUnavailable, "malformed"),
        (200, b'{"expires_in": 5}', TokenUnavailable, "malformed"),
        (200, b'{"access_token": "a\\r\\nx: y", "expires_in": 5}', TokenUnavailable, "malformed"),
        (200, b'{"access_token": "a", "expires_in": 0}', TokenUnavailable, "malformed"),
    ],
)
def test_any_other_answer_is_an_error(status, body, kind, words) -> None:
    with pytest.raises(kind, match=words):
        ServiceAccount(account_file()).read(status, body)


@pytest.mark.parametrize(
    "uri",
    [
        "http://oauth2.googleapis.com/token",
        "https://oauth2.googleapis.com:8443/token",
        "https://oauth2.googleapis.com.evil.example/token",
        "https://evil.example/token?googleapis.com",
        "https://evilgoogleapis.com/token",
        "https://user@oauth2.googleapis.com/token",
        "http://169.254.169.254/computeMetadata/v1/token",
        "file:///etc/passwd",
        "http://127.0.0.1:9000/token",
    ],
)
def test_a_token_endpoint_that_is_not_googles_is_not_believed(uri: str) -> None:
    with pytest.raises(ChannelUnusable, match="token_uri"):
        endpoint(Channel("vertex_claude", credential=account_file(token_uri=uri)), "anthropic_messages")


def test_a_token_endpoint_at_the_channels_own_address_is_believed() -> None:
    here = {"anthropic_messages": "http://127.0.0.1:9000"}
    credential = account_file(token_uri="http://127.0.0.1:9000/token")
    found = claude(base_urls=here, credential=credential)
    assert found.origin == Origin("http", "127.0.0.1", 9000)
    with pytest.raises(ChannelUnusable, match="token_uri"):
        claude(base_urls=here, credential=account_file(token_uri="http://127.0.0.1:9001/token"))


@pytest.mark.parametrize(
    "credential",
    [
        "not json",
        "[]",
        "{}",
        account_file(client_email=None),
        account_file(private_key=None),
        account_file(project_id="../../other"),
        account_file(project_id=""),
    ],
)
def test_a_file_that_is_no_service_accounts_is_refused_unquoted(credential: str) -> None:
    with pytest.raises(ChannelUnusable) as caught:
        endpoint(Channel("vertex_claude", credential=credential), "anthropic_messages")
    assert "PRIVATE KEY" not in str(caught.value)


def test_a_file_of_many_lines_is_kept_as_one() -> None:
    pretty = json.dumps(json.loads(account_file()), indent=2)
    kept = one_line(pretty)
    assert "\n" not in kept
    assert json.loads(kept) == json.loads(pretty)
    assert ServiceAccount(kept).project == "my-project-1"


def test_nothing_shows_the_key() -> None:
    found = claude()
    assert found.head == b"content-type: application/json\r\n"
    assert "PRIVATE" not in repr(found)
    assert "PRIVATE" not in repr(ServiceAccount(account_file()))


# --- where ---------------------------------------------------------------------------------------------------------

CLAUDE_PATH = (
    b"/v1/projects/my-project-1/locations/%b/publishers/anthropic/models/claude-sonnet-4-5@20250929:%b"
)
GEMINI_PATH = b"/v1beta1/projects/my-project-1/locations/%b/publishers/google/models/gemini-2.5-flash:%b"


@pytest.mark.parametrize(
    ("region", "host", "location"),
    [
        ("", "aiplatform.googleapis.com", b"global"),
        ("global", "aiplatform.googleapis.com", b"global"),
        ("us-east5", "us-east5-aiplatform.googleapis.com", b"us-east5"),
        ("us", "aiplatform.us.rep.googleapis.com", b"us"),
        ("eu", "aiplatform.eu.rep.googleapis.com", b"eu"),
    ],
)
def test_the_region_makes_the_host_and_the_location(region: str, host: str, location: bytes) -> None:
    found = claude(region=region)
    assert found.origin == Origin("https", host, 443)
    name = "claude-sonnet-4-5@20250929"
    assert filled(found.target, name) == CLAUDE_PATH % (location, b"rawPredict")
    assert filled(found.stream_target, name) == CLAUDE_PATH % (location, b"streamRawPredict")
    assert found.events_query == b""
    other = of("vertex_gemini", "gemini", region=region)
    assert other.origin == found.origin
    assert filled(other.target, "gemini-2.5-flash") == GEMINI_PATH % (location, b"generateContent")
    assert filled(other.stream_target, "gemini-2.5-flash") == GEMINI_PATH % (
        location,
        b"streamGenerateContent",
    )
    assert other.events_query == b"?alt=sse"
    assert other.count_tokens_target is not None
    assert filled(other.count_tokens_target, "gemini-2.5-flash") == GEMINI_PATH % (location, b"countTokens")


@pytest.mark.parametrize("region", ["evil.example/", "us east", "US", "a" * 41])
def test_a_region_that_is_none_makes_no_host(region: str) -> None:
    with pytest.raises(ChannelUnusable, match="region"):
        claude(region=region)


# --- requests and errors -------------------------------------------------------------------------------------------


def test_claudes_body_has_vertexs_version_and_no_model_and_keeps_stream() -> None:
    assert claude().carriage is not None
    head = b"anthropic-version: 2023-06-01\r\nanthropic-beta: web-search-2025-03-05,claude-code-20250219\r\n"
    body = b'{"model":"m","stream":true,"max_tokens":5,"messages":[ ]}'
    parcel = claude().carriage.packed(Parcel(b"/p", head, body))
    assert json.loads(parcel.body) == {
        "stream": True,
        "max_tokens": 5,
        "messages": [],
        "anthropic_version": "vertex-2023-10-16",
    }
    assert parcel.head == b"anthropic-version: 2023-06-01\r\nanthropic-beta: web-search-2025-03-05\r\n"
    assert [str(notice) for notice in parcel.notices] == ["anthropic-beta: dropped (claude-code-20250219)"]
    with pytest.raises(InvalidRequest):
        claude().carriage.packed(Parcel(b"/p", b"", b"x"))


def test_geminis_body_is_the_dialects_own() -> None:
    carriage = of("vertex_gemini", "gemini").carriage
    assert carriage is not None
    parcel = Parcel(b"/p", b"a: b\r\n", b'{"contents":[]}')
    assert carriage.packed(parcel) is parcel
    assert carriage.unframing(b"text/event-stream") is None


GOOGLES = {"error": {"code": 0, "message": "told by Google", "status": "STATUS", "details": []}}


@pytest.mark.parametrize("form", ["object", "list"])
@pytest.mark.parametrize(
    ("status", "kind", "about"),
    [
        (400, InvalidRequest, "request"),
        (401, NoAvailableChannel, "channel"),
        (403, NoAvailableChannel, "channel"),
        (404, NoAvailableChannel, "channel"),
        (429, NoAvailableChannel, "channel"),
        (500, UpstreamError, "upstream"),
        (503, NoAvailableChannel, "upstream"),
    ],
)
def test_googles_errors_are_read_as_anthropics(form: str, status: int, kind: type, about: str) -> None:
    carriage = claude().carriage
    assert carriage is not None
    raw = json.dumps(GOOGLES if form == "object" else [GOOGLES]).encode()
    answer = carriage.told(status, {}, raw)
    failure = anthropic_messages.DIALECT.read_error(answer.status, {}, answer.body)
    assert isinstance(failure.error, kind)
    assert failure.about == about
    if about == "request":
        assert failure.error.message == "told by Google"


def test_anthropics_own_errors_stay_as_they_are() -> None:
    carriage = claude().carriage
    assert carriage is not None
    raw = b'{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: too many"}}'
    assert carriage.told(400, {}, raw).body == raw
    for odd in (b"", b"<html>", b"[]", b"[1,2]", b'{"error":"x"}', b"\xff"):
        assert carriage.told(500, {}, odd).body == odd


def test_geminis_errors_need_no_translation() -> None:
    carriage = of("vertex_gemini", "gemini").carriage
    assert carriage is not None
    raw = b'{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}}'
    answer = carriage.told(429, {}, raw)
    assert gemini.DIALECT.read_error(answer.status, {}, answer.body).about == "channel"
