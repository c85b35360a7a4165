"""Stand-ins for Amazon Bedrock and Google Vertex AI, over real HTTP.

They check what the real ones check (each signature or token, paths, bodies) by code of their own, and let a simulator
answer: what it says in its dialect goes back in the cloud's framing. What a test wants a cloud to do instead is in `fault`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import re
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

KEY_ID = "AKIDEXAMPLEBEDROCK"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SESSION = "FwoGZXIvYXdzEXAMPLETOKEN=="
API_KEY = "ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl"
REGION = "us-east-1"
PROJECT = "my-project-1"
EMAIL = f"gateway@{PROJECT}.iam.gserviceaccount.com"
#: How far a signature's time may be from the cloud's, in seconds: AWS's five minutes.
SKEW_S = 300
#: The event of a stream in whose place a fault comes: text has come before it.
FAULTY = 8


@cache
def account_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def account_file(token_uri: str, key: rsa.RSAPrivateKey | None = None) -> str:
    """A service account's JSON file, over several lines as Google gives it."""
    pem = (key or account_key()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    members = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "kid-1",
        "private_key": pem.decode(),
        "client_email": EMAIL,
        "token_uri": token_uri,
    }
    return json.dumps(members, indent=2)


@dataclass
class Seen:
    """A request for a completion that was let in. `body`: as the cloud got it."""

    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Cloud:
    """`fault`: "" or what to do instead of answering (each cloud knows its own). `refusals`: why requests were not let in."""

    simulator: str
    seen: list[Seen] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    fault: str = ""

    def __enter__(self) -> Any:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="cloud", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=30)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def newest(self) -> Seen:
        return self.seen[-1]

    def serve(self, handler: Handler, body: bytes) -> None:
        raise NotImplementedError

    def forward(self, path: str, body: bytes, headers: dict[str, str]) -> http.client.HTTPResponse:
        """The simulator's answer."""
        at = urlsplit(self.simulator)
        connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=30)
        connection.request(
            "POST", path, body, {"content-type": "application/json", "connection": "close", **headers}
        )
        return connection.getresponse()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cloud: Cloud

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            self.cloud.serve(self, body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass

    def header(self, name: str) -> str:
        return self.headers.get(name, "")

    def answer(self, status: int, body: bytes, *, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def stream(self, kind: str, pieces: Iterator[bytes]) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def seen(self, body: bytes) -> Seen:
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Seen(self.path, headers, json.loads(body) if body else None)


def _handler_of(cloud: Cloud) -> type[Handler]:
    return type("CloudHandler", (Handler,), {"cloud": cloud})


# --- Bedrock -------------------------------------------------------------------------------------------------------


def eventstream(headers: dict[str, str], payload: bytes) -> bytes:
    """A message, by the book."""
    block = b""
    for name, value in headers.items():
        block += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack("!H", len(value)) + value.encode()
    head = struct.pack("!II", 4 + 4 + 4 + len(block) + len(payload) + 4, len(block))
    head += struct.pack("!I", zlib.crc32(head))
    return head + block + payload + struct.pack("!I", zlib.crc32(head + block + payload))


def chunk(event: bytes) -> bytes:
    payload = json.dumps(
        {"bytes": base64.b64encode(event).decode(), "p": "abcdefghijklmnop"[: len(event) % 16]}
    )
    return eventstream(
        {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"},
        payload.encode(),
    )


def exception(name: str, message: str) -> bytes:
    return eventstream(
        {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"},
        json.dumps({"message": message}).encode(),
    )


class Bedrock(Cloud):
    """Faults: an exception's name (an answer with it), `stream:NAME` (in mid-stream), `damaged`, `cut`, `slow`."""

    def serve(self, handler: Handler, body: bytes) -> None:
        why = self._refused(handler, body)
        if why:
            self.refusals.append(why)
            self._exception(handler, 403, "UnrecognizedClientException", why)
            return
        seen = handler.seen(body)
        self.seen.append(seen)
        found = re.fullmatch(r"/model/([^/]+)/(invoke|invoke-with-response-stream)", seen.path)
        wrong = self._malformed(seen) if found else "no such operation"
        if found is None or wrong:
            self._exception(handler, 400, "ValidationException", wrong)
        elif self.fault and ":" not in self.fault and self.fault not in ("damaged", "cut"):
            statuses = {
                "ThrottlingException": 429,
                "ModelTimeoutException": 408,
                "AccessDeniedException": 403,
            }
            self._exception(handler, statuses.get(self.fault, 500), self.fault, "as the test wants it")
        else:
            self._answer(handler, seen, unquote(found[1]), streamed=found[2] != "invoke")

    def _answer(self, handler: Handler, seen: Seen, model: str, *, streamed: bool) -> None:
        body = {key: value for key, value in seen.body.items() if not key.startswith("anthropic_")}
        betas = ",".join(seen.body.get("anthropic_beta", ()))
        answer = self.forward(
            "/anthropic/v1/messages",
            json.dumps({**body, "model": model, "stream": streamed}).encode(),
            {
                **{"x-api-key": "sim-good", "anthropic-version": "2023-06-01"},
                **({"anthropic-beta": betas} if betas else {}),
            },
        )
        if answer.status != 200:
            told = json.loads(answer.read())["error"]
            name = {429: "ThrottlingException", 400: "ValidationException"}.get(
                answer.status, "InternalServerException"
            )
            self._exception(handler, answer.status, name, told["message"])
        elif streamed:
            handler.stream("application/vnd.amazon.eventstream", self._frames(answer))
            handler.close_connection = self.fault == "cut"
        else:
            handler.answer(200, answer.read())

    def _frames(self, answer: http.client.HTTPResponse) -> Iterator[bytes]:
        sent = 0
        for line in answer:
            if not line.startswith(b"data: "):
                continue
            message = chunk(line.removeprefix(b"data: ").strip())
            sent += 1
            if sent == FAULTY and self.fault.startswith("stream:"):
                yield exception(self.fault.removeprefix("stream:"), "as the test wants it")
                return
            if sent == FAULTY and self.fault == "damaged":
                yield message[:-1] + bytes([message[-1] ^ 1])
                return
            if sent == FAULTY and self.fault == "cut":
                yield message[:20]
                return
            # Cut anywhere: a frame's border means nothing to HTTP.
            yield message[:7]
            yield message[7:]

    def _exception(self, handler: Handler, status: int, name: str, message: str) -> None:
        handler.answer(
            status,
            json.dumps({"message": message}).encode(),
            x_amzn_ErrorType=f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/",
            x_amzn_RequestId="00000000-0000-0000-0000-000000000000",
        )

    def _malformed(self, seen: Seen) -> str:
        if seen.body.get("anthropic_version") != "bedrock-2023-05-31":
            return "anthropic_version: Field required"
        for extra in ("model", "stream"):
            if extra in seen.body:
                return f"{extra}: Extra inputs are not permitted"
        if any(flag.startswith("claude-code") for flag in seen.body.get("anthropic_beta", ())):
            return "invalid beta flag"
        return ""

    def _refused(self, handler: Handler, body: bytes) -> str:
        """Why the signature is none; "" if it is right."""
        value = handler.header("authorization")
        if value.startswith("Bearer "):
            return "" if value == f"Bearer {API_KEY}" else "The bearer token is invalid."
        parts = dict(re.findall(r"(Credential|SignedHeaders|Signature)=([^,\s]+)", value))
        if not value.startswith("AWS4-HMAC-SHA256 ") or len(parts) != 3:
            return "Missing Authentication Token"
        key_id, day, region, service, end = parts["Credential"].split("/")
        moment = handler.header("x-amz-date")
        if key_id != KEY_ID or (region, service, end) != (REGION, "bedrock", "aws4_request"):
            return f"wrong credential scope {parts['Credential']}"
        signed_at = time.mktime(time.strptime(moment, "%Y%m%dT%H%M%SZ")) - time.timezone
        if not moment.startswith(day) or abs(time.time() - signed_at) > SKEW_S:
            return "Signature expired"
        names = parts["SignedHeaders"].split(";")
        must = {"host", "x-amz-date", *(n.lower() for n in handler.headers if n.lower().startswith("x-amz-"))}
        if not must <= set(names) or names != sorted(names):
            return f"not all headers are signed: {names}"
        token = handler.header("x-amz-security-token")
        if token and token != SESSION:
            return "The security token included in the request is invalid"
        lines = "".join(f"{name}:{' '.join(handler.header(name).split())}\n" for name in names)
        path = "".join(
            letter if letter.isalnum() or letter in "/-_.~" else f"%{ord(letter):02X}"
            for letter in handler.path
        )
        hashed = hashlib.sha256(body).hexdigest()
        canonical = f"POST\n{path}\n\n{lines}\n{parts['SignedHeaders']}\n{hashed}"
        scope = f"{day}/{region}/{service}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = ("AWS4" + SECRET).encode()
        for each in (*scope.split("/"), text):
            key = hmac.digest(key, each.encode(), "sha256")
        return "" if key.hex() == parts["Signature"] else "The request signature we calculated does not match"


# --- Vertex --------------------------------------------------------------------------------------------------------


class Vertex(Cloud):
    """Faults: `token:STATUS`, `expired` (tokens that were given are no longer good), or a status of answers."""

    def __init__(self, simulator: str) -> None:
        super().__init__(simulator)
        self.given: list[str] = []
        self.lifetime_s = 3600

    def serve(self, handler: Handler, body: bytes) -> None:
        if handler.path == "/token":
            self._token(handler, body)
            return
        if handler.header("authorization") not in {f"Bearer {token}" for token in self.given}:
            self.refusals.append("token")
            self._error(handler, 401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
            return
        seen = handler.seen(body)
        self.seen.append(seen)
        found = re.fullmatch(
            rf"/v1(?:beta1)?/projects/{PROJECT}/locations/([a-z0-9-]+)/publishers/(anthropic|google)/models/"
            r"([^/:]+):([A-Za-z]+)(\?alt=sse)?",
            seen.path,
        )
        if found is None:
            self._error(handler, 404, "NOT_FOUND", "no such method")
        elif self.fault.isdigit():
            self._error(handler, int(self.fault), "FAULT", "as the test wants it")
        elif found[2] == "google":
            query = found[5] or ""
            answer = self.forward(
                f"/gemini/v1beta/models/{found[3]}:{found[4]}{query}", body, {"x-goog-api-key": "sim-good"}
            )
            self._pass_on(handler, answer)
        else:
            self._claude(handler, seen, found[3], found[4])

    def _claude(self, handler: Handler, seen: Seen, model: str, method: str) -> None:
        streamed = bool(seen.body.get("stream"))
        if method != ("streamRawPredict" if streamed else "rawPredict"):
            self._error(handler, 400, "INVALID_ARGUMENT", f"{method} and stream: {streamed}")
            return
        if seen.body.pop("anthropic_version", "") != "vertex-2023-10-16" or "model" in seen.body:
            self._error(handler, 400, "INVALID_ARGUMENT", "anthropic_version or model is wrong")
            return
        headers = {"x-api-key": "sim-good", "anthropic-version": "2023-06-01"}
        if "anthropic-beta" in seen.headers:
            headers["anthropic-beta"] = seen.headers["anthropic-beta"]
        body = json.dumps({**seen.body, "model": model}).encode()
        self._pass_on(handler, self.forward("/anthropic/v1/messages", body, headers))

    def _pass_on(self, handler: Handler, answer: http.client.HTTPResponse) -> None:
        kind = answer.headers.get("content-type", "application/json")
        if kind.startswith("text/event-stream"):
            handler.stream(kind, iter(lambda: answer.read1(4096), b""))
        else:
            handler.answer(answer.status, answer.read(), kind=kind)

    def _token(self, handler: Handler, body: bytes) -> None:
        form = parse_qs(body.decode())
        if self.fault.startswith("token:"):
            handler.answer(int(self.fault.removeprefix("token:")), b'{"error": "internal_failure"}')
            return
        head, claims, signature = form["assertion"][0].split(".")
        told = json.loads(base64.urlsafe_b64decode(claims + "=="))
        try:
            account_key().public_key().verify(
                base64.urlsafe_b64decode(signature + "=="),
                f"{head}.{claims}".encode(),
                padding.PKCS1v15(),
                hashes.SHA256(),
            )
            assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
            assert told["iss"] == EMAIL
            assert told["aud"] == f"{self.url}/token"
            assert told["scope"] == "https://www.googleapis.com/auth/cloud-platform"
            assert told["iat"] <= time.time() + SKEW_S
            assert 0 < told["exp"] - told["iat"] <= 3600
        except (InvalidSignature, AssertionError) as error:
            self.refusals.append(f"assertion: {type(error).__name__}")
            handler.answer(400, b'{"error":"invalid_grant","error_description":"Invalid JWT Signature."}')
            return
        self.given.append(f"ya29.token{len(self.given)}")
        granted = {"access_token": self.given[-1], "expires_in": self.lifetime_s, "token_type": "Bearer"}
        handler.answer(200, json.dumps(granted).encode())

    def _error(self, handler: Handler, status: int, word: str, message: str) -> None:
        error = {"error": {"code": status, "message": message, "status": word}}
        body: Any = [error] if "stream" in handler.path else error
        handler.answer(status, json.dumps(body).encode())
