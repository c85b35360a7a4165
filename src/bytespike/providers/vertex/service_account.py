"""A service account's JSON file, and the access tokens that it gets.

Facts: Google's "Using OAuth 2.0 for server to server applications" (RFC 7523). A JSON Web Token, signed with the account's
RSA key (RS256), is posted to the token endpoint as `grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer`; the answer has
`access_token` and `expires_in`.

The file names its token endpoint, and whoever gave us the file may have written anything there. It is believed only where
it is Google's own, by https, or at the address that the channel itself was given.
"""

from __future__ import annotations

import base64
import hashlib
import re
from urllib.parse import quote

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import Struct

from bytespike.providers.access_tokens import Token, TokenRefused, TokenUnavailable
from bytespike.wire import json
from bytespike.wire.address import Origin, Proxy, split_url

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TOKEN_URI = "https://oauth2.googleapis.com/token"
#: How long an assertion says that it is good, in seconds: Google's maximum.
ASSERTION_S = 3_600
#: What is quoted of the token endpoint's own words.
_WORDS_CHARS_MAX = 200

_GRANT_TYPE = quote("urn:ietf:params:oauth:grant-type:jwt-bearer", safe="")
_HEAD = b"content-type: application/x-www-form-urlencoded\r\n"
_GOOGLE = re.compile(r"(?:[a-z0-9-]+\.)*googleapis\.com|accounts\.google\.com")
#: Ends up in a path.
_PROJECT = re.compile(r"[a-z0-9][a-z0-9:._-]{1,99}")
_CLEAN = re.compile(r"[^\x20-\x7e]+")


class _File(Struct):
    """What is needed of the file. A file of another type ("authorized_user") lacks most of it."""

    client_email: str
    private_key: str
    project_id: str
    type: str = ""
    private_key_id: str = ""
    token_uri: str = TOKEN_URI


class _Granted(Struct):
    access_token: str
    expires_in: int = 3_600


class _Refused(Struct):
    error: str = ""
    error_description: str = ""


class ServiceAccount:
    """`access_tokens.Grant`. Its repr shows no key."""

    __slots__ = ("_file", "_signing_key", "key", "origin", "project", "proxy", "target")

    head = _HEAD

    def __init__(self, text: str, channels_own: Origin | None = None, proxy: Proxy | None = None) -> None:
        """`channels_own`: the address that the channel was given, if any: a token endpoint there is believed.

        Raises ValueError, which quotes nothing of the credential.
        """
        try:
            file = msgspec.json.decode(text, type=_File)
        except (msgspec.DecodeError, RecursionError):
            raise ValueError(
                "the credential is not the JSON file of a service account (client_email, private_key, project_id)"
            ) from None
        if not _PROJECT.fullmatch(file.project_id):
            raise ValueError("project_id in the service account's file is malformed")
        try:
            self.origin, self.target = split_url(file.token_uri)
        except ValueError as error:
            raise ValueError(f"token_uri in the service account's file: {error}") from None
        if self.origin != channels_own and not _is_googles(self.origin):
            raise ValueError("token_uri in the service account's file is not an https address of Google's")
        self.project = file.project_id
        self.proxy = proxy
        self.key = hashlib.sha256(text.encode()).hexdigest()
        self._file = file
        self._signing_key: rsa.RSAPrivateKey | None = None

    def __repr__(self) -> str:
        return f"ServiceAccount(project={self.project!r})"

    def request(self, now_s: int) -> bytes:
        """See `access_tokens.Grant`. Raises TokenRefused where the file's key is none."""
        key = self._signing_key
        if key is None:
            key = self._signing_key = signing_key(self._file.private_key)
        head = {"alg": "RS256", "typ": "JWT"}
        if self._file.private_key_id:
            head["kid"] = self._file.private_key_id
        claims = {
            "iss": self._file.client_email,
            "scope": SCOPE,
            "aud": self._file.token_uri,
            "iat": now_s,
            "exp": now_s + ASSERTION_S,
        }
        unsigned = _base64url(json.encode(head)) + b"." + _base64url(json.encode(claims))
        signature = key.sign(unsigned, padding.PKCS1v15(), hashes.SHA256())
        return b"grant_type=%b&assertion=%b.%b" % (_GRANT_TYPE.encode(), unsigned, _base64url(signature))

    def read(self, status: int, body: bytes) -> Token:
        """See `access_tokens.Grant`."""
        if status != 200:
            try:
                told = msgspec.json.decode(body, type=_Refused)
            except (msgspec.DecodeError, RecursionError):
                told = _Refused()
            words = _CLEAN.sub(" ", f"{told.error} {told.error_description}").strip()[:_WORDS_CHARS_MAX]
            if status in (400, 401, 403):
                raise TokenRefused(f"Google gives the service account no token: {words or status}")
            raise TokenUnavailable(f"the token endpoint answered {status}", status)
        try:
            granted = msgspec.json.decode(body, type=_Granted)
        except (msgspec.DecodeError, RecursionError):
            raise TokenUnavailable("the token endpoint's answer is malformed", status) from None
        value = granted.access_token
        if not value or not value.isascii() or not value.isprintable() or granted.expires_in <= 0:
            raise TokenUnavailable("the token endpoint's answer is malformed", status)
        return Token(value, granted.expires_in)


def signing_key(pem: str) -> rsa.RSAPrivateKey:
    """Raises TokenRefused for what is no RSA key. Takes some milliseconds."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise TokenRefused("private_key in the service account's file cannot be read") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TokenRefused("private_key in the service account's file is no RSA key")
    return key


def one_line(text: str) -> str:
    """The file as a channel keeps it: the same JSON on one line. Raises ValueError."""
    try:
        return json.encode(json.decode_object(text)).decode()
    except json.NotJSON:
        raise ValueError("the credential is not the JSON file of a service account") from None


def _is_googles(origin: Origin) -> bool:
    return origin.scheme == "https" and origin.port == 443 and _GOOGLE.fullmatch(origin.host) is not None


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
