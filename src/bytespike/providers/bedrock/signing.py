"""AWS Signature Version 4, for headers.

Facts: AWS's "Create a signed AWS API request". A request is written in a canonical form: method, path with each segment
escaped once more than on the wire, query sorted, the signed headers, the body's SHA-256. Its hash, the time and the scope
(day, region, service) are what is signed, with a key that is derived from the secret for just that scope.

The derived key is kept for its day: deriving it takes four HMACs.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Sequence
from urllib.parse import quote

_ALGORITHM = "AWS4-HMAC-SHA256"


class Signer:
    """Signs for one credential, region and service. Its repr shows no secret."""

    __slots__ = ("_day", "_key", "_key_id", "_region", "_secret", "_service")

    def __init__(self, key_id: str, secret: str, region: str, service: str) -> None:
        self._key_id = key_id
        self._secret = secret
        self._region = region
        self._service = service
        self._day = ""
        self._key = b""

    def authorization(
        self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes, moment: str
    ) -> str:
        """The value of the Authorization header.

        `target`: path and query, as they stand on the wire. `headers`: those that are signed, with lower-case names; host
        and x-amz-date among them. `moment`: the value of x-amz-date, `amz_date`'s.
        """
        canonical, signed = canonical_request(method, target, headers, body)
        scope = f"{moment[:8]}/{self._region}/{self._service}/aws4_request"
        to_sign = f"{_ALGORITHM}\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.new(self._key_of(moment[:8]), to_sign.encode(), hashlib.sha256).hexdigest()
        return (
            f"{_ALGORITHM} Credential={self._key_id}/{scope}, SignedHeaders={signed}, Signature={signature}"
        )

    def _key_of(self, day: str) -> bytes:
        if day != self._day:
            key = b"AWS4" + self._secret.encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.new(key, part.encode(), hashlib.sha256).digest()
            self._key = key
            self._day = day
        return self._key


def amz_date(now_us: int) -> str:
    """Unix microseconds as x-amz-date says them: `20260131T235959Z`."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_us // 1_000_000))


def canonical_request(
    method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes
) -> tuple[str, str]:
    """The canonical form of a request, and the names of its signed headers as they are listed."""
    path, _, query = target.partition("?")
    lines = sorted((name, " ".join(value.split())) for name, value in headers)
    signed = ";".join(name for name, _ in lines)
    return (
        "\n".join(
            (
                method,
                quote(path or "/", safe="/-_.~"),
                "&".join(sorted(_pair(each) for each in query.split("&") if each)),
                *(f"{name}:{value}" for name, value in lines),
                "",
                signed,
                hashlib.sha256(body).hexdigest(),
            )
        ),
        signed,
    )


def _pair(each: str) -> str:
    name, _, value = each.partition("=")
    return f"{name}={value}"
