"""Requests to Claude on Bedrock.

Facts: "InvokeModel" in the Bedrock API reference and "Anthropic Claude Messages API" in its user guide. The body has
`anthropic_version: bedrock-2023-05-31`, flags of betas as a list, and neither `model` nor `stream`, which are in the path.
Streams are an AWS event stream. A Bedrock API key is a bearer token; AWS keys sign each request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import structs

from bytespike.providers.access_tokens import AccessTokens
from bytespike.providers.bedrock import errors
from bytespike.providers.bedrock.credentials import Credentials
from bytespike.providers.bedrock.signing import Signer, amz_date
from bytespike.providers.bedrock.unframing import BedrockEvents
from bytespike.providers.carriage import Parcel, Told
from bytespike.providers.hosted_claude import (
    BETA_HEADER,
    VERSION_HEADER,
    body_of,
    known_betas,
    members_of,
    taken_header,
)
from bytespike.wire import json
from bytespike.wire.address import Origin

_SERVICE = "bedrock"
_EVENT_STREAM = b"application/vnd.amazon.eventstream"
_VERSION = msgspec.Raw(b'"bedrock-2023-05-31"')


class BedrockCarriage:
    """`providers.carriage.Carriage`. `signed_headers`: of the endpoint's own, those that AWS wants signed (`x-amz-…`)."""

    __slots__ = ("_betas", "_credentials", "_signed", "_signer")

    def __init__(
        self,
        credentials: Credentials,
        origin: Origin,
        betas: frozenset[str],
        signed_headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._credentials = credentials
        self._betas = betas
        self._signer = Signer(credentials.key_id, credentials.secret, credentials.region, _SERVICE)
        self._signed = [("host", origin.authority), *signed_headers]
        if credentials.session_token:
            self._signed.append(("x-amz-security-token", credentials.session_token))

    def packed(self, parcel: Parcel) -> Parcel:
        head, asked = taken_header(parcel.head, BETA_HEADER)
        head, _ = taken_header(head, VERSION_HEADER)
        members = members_of(parcel.body)
        members.pop("model", None)
        members.pop("stream", None)
        members["anthropic_version"] = _VERSION
        betas, notices = known_betas(asked, self._betas)
        if betas:
            members["anthropic_beta"] = msgspec.Raw(json.encode(betas))
        return structs.replace(parcel, head=head, body=body_of(members), notices=(*parcel.notices, *notices))

    async def signed(self, parcel: Parcel, now_us: int, tokens: AccessTokens) -> bytes:
        if self._credentials.api_key:
            return b"authorization: Bearer %b\r\n" % self._credentials.api_key.encode("ascii")
        moment = amz_date(now_us)
        headers = [*self._signed, ("x-amz-date", moment)]
        value = self._signer.authorization("POST", parcel.path.decode("ascii"), headers, parcel.body, moment)
        lines = f"x-amz-date: {moment}\r\nauthorization: {value}\r\n"
        if self._credentials.session_token:
            lines += f"x-amz-security-token: {self._credentials.session_token}\r\n"
        return lines.encode("ascii")

    def refused(self, tokens: AccessTokens) -> None:
        """Each signature is new."""
        del tokens

    def told(self, status: int, headers: Mapping[str, str], body: bytes) -> Told:
        return errors.told(status, headers, body)

    def unframing(self, content_type: bytes) -> BedrockEvents | None:
        return BedrockEvents() if content_type.lower().startswith(_EVENT_STREAM) else None
