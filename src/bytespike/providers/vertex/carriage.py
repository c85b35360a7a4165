"""Requests to Vertex AI: an access token, and for Claude a body without the model.

Facts: Anthropic's "Claude on Vertex AI" and its SDK (`publishers/anthropic/models/M:rawPredict`, `:streamRawPredict`,
`anthropic_version: vertex-2023-10-16`, `stream` stays in the body, betas in their header; streams are Anthropic's own
server-sent events), and Google's SDK for Gemini, whose bodies are those of the Gemini API.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import structs

from bytespike.providers.access_tokens import AccessTokens
from bytespike.providers.carriage import Parcel, Told
from bytespike.providers.hosted_claude import BETA_HEADER, body_of, known_betas, members_of, taken_header
from bytespike.providers.vertex import errors
from bytespike.providers.vertex.service_account import ServiceAccount

_VERSION = msgspec.Raw(b'"vertex-2023-10-16"')


class VertexGemini:
    """`providers.carriage.Carriage` for Gemini."""

    __slots__ = ("account",)

    def __init__(self, account: ServiceAccount) -> None:
        self.account = account

    def packed(self, parcel: Parcel) -> Parcel:
        return parcel

    async def signed(self, parcel: Parcel, now_us: int, tokens: AccessTokens) -> bytes:
        del parcel, now_us
        return await tokens.line(self.account)

    def refused(self, tokens: AccessTokens) -> None:
        tokens.forget(self.account)

    def told(self, status: int, headers: Mapping[str, str], body: bytes) -> Told:
        del headers
        return Told(status, body)

    def unframing(self, content_type: bytes) -> None:
        """Answers are the dialect's own."""
        del content_type


class VertexClaude(VertexGemini):
    """`providers.carriage.Carriage` for Claude. `betas`: the flags that Vertex knows."""

    __slots__ = ("_betas",)

    def __init__(self, account: ServiceAccount, betas: frozenset[str]) -> None:
        super().__init__(account)
        self._betas = betas

    def packed(self, parcel: Parcel) -> Parcel:
        head, asked = taken_header(parcel.head, BETA_HEADER)
        members = members_of(parcel.body)
        members.pop("model", None)
        members["anthropic_version"] = _VERSION
        betas, notices = known_betas(asked, self._betas)
        if betas:
            head += b"anthropic-beta: %b\r\n" % ",".join(betas).encode("latin-1")
        return structs.replace(parcel, head=head, body=body_of(members), notices=(*parcel.notices, *notices))

    def told(self, status: int, headers: Mapping[str, str], body: bytes) -> Told:
        del headers
        return errors.told(status, body)
