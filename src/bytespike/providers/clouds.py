"""Which cloud stands behind a surface, and what its credential says beyond who is asking.

The two ways of `platforms.Auth` that are more than a header: "aws" and "google".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bytespike.providers.bedrock.carriage import BedrockCarriage
from bytespike.providers.bedrock.credentials import read_credentials
from bytespike.providers.carriage import Carriage
from bytespike.providers.platforms import Platform, Surface
from bytespike.providers.vertex.carriage import VertexClaude, VertexGemini
from bytespike.providers.vertex.service_account import ServiceAccount, one_line
from bytespike.wire.address import Origin, Proxy

#: Where Vertex answers from wherever there is room.
_VERTEX_REGION = "global"
#: Ends up in host names and paths.
_REGION = re.compile(r"[a-z0-9-]{1,40}")

#: Credentials of the right form, for checks of a channel's other settings.
_SAMPLES: Mapping[str, str] = {
    "aws": "AKIDEXAMPLE:secret-of-an-example@us-east-1",
    "google": '{"client_email":"a@example.com","private_key":"","project_id":"example"}',
}


def is_cloud(surface: Surface) -> bool:
    return surface.auth in _SAMPLES


def region_of(surface: Surface, region: str, credential: str) -> str:
    """The region in which a surface is asked: the channel's own, else what the cloud says. Raises ValueError."""
    if surface.auth == "aws":
        return read_credentials(credential, region).region
    if surface.auth == "google":
        region = region or _VERTEX_REGION
        if not _REGION.fullmatch(region):
            raise ValueError("it needs a region, such as global or us-east5 (--region)")
    return region


def carriage_of(
    surface: Surface,
    dialect: str,
    credential: str,
    region: str,
    origin: Origin,
    *,
    own: bool,
    proxy: Proxy | None,
    headers: Mapping[str, str],
) -> tuple[Carriage, str]:
    """How a cloud is asked, and the project that stands in its paths ("": none does).

    `own`: the channel said itself that `origin` is where it is. `headers`: those that every request gets, lower-case
    names. Raises ValueError, which quotes nothing of the credential.
    """
    if surface.auth == "aws":
        amazons = [(name, value) for name, value in headers.items() if name.startswith("x-amz-")]
        return BedrockCarriage(read_credentials(credential, region), origin, surface.betas, amazons), ""
    account = ServiceAccount(credential, origin if own else None, proxy)
    if dialect == "anthropic_messages":
        return VertexClaude(account, surface.betas), account.project
    return VertexGemini(account), account.project


def stored_credential(platform: Platform, credential: str, region: str) -> str:
    """A credential as a channel keeps it: one line. Raises ValueError where a cloud's is not of its form, quoting nothing."""
    ways = {surface.auth for surface in platform.surfaces.values()}
    if "google" in ways:
        return one_line(credential)
    if "aws" in ways:
        read_credentials(credential, region)
    return credential


def sample_credential(platform: Platform) -> str:
    """A credential of the platform's form, for checks of everything else."""
    for surface in platform.surfaces.values():
        if surface.auth in _SAMPLES:
            return _SAMPLES[surface.auth]
    return "x"
