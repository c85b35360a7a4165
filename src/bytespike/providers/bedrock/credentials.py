"""A Bedrock channel's credential, on one line:

    ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN][@REGION]      AWS keys: requests are signed
    API_KEY[@REGION]                                              a Bedrock API key: sent as a bearer token

None of the parts has a colon or an at sign in it: ids are letters and digits, secrets and tokens are base64.
"""

from __future__ import annotations

import re

from msgspec import Struct

#: Ends up in a host name.
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]{2,12}){1,4}-[0-9]{1,2}")
_KEY_ID = re.compile(r"[A-Za-z0-9]{8,128}")
_SECRET = re.compile(r"[A-Za-z0-9/+=_.~-]{8,8192}")

_FORM = "ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN][@REGION], or a Bedrock API key"


class Credentials(Struct, frozen=True):
    """`api_key` or the pair is set, not both. Its repr hides secrets."""

    region: str
    key_id: str = ""
    secret: str = ""
    session_token: str = ""
    api_key: str = ""

    def __repr__(self) -> str:
        return f"Credentials(region={self.region!r})"


def read_credentials(text: str, region: str) -> Credentials:
    """`region`: the channel's own, which comes first. Raises ValueError, which quotes nothing of the credential."""
    secrets, _, own_region = text.strip().partition("@")
    region = region or own_region.strip()
    if not _REGION.fullmatch(region):
        raise ValueError(
            "it needs an AWS region, such as us-east-1 (--region, or @REGION behind the credential)"
        )
    parts = secrets.split(":")
    if len(parts) == 1 and _SECRET.fullmatch(parts[0]):
        return Credentials(region, api_key=parts[0])
    if not 2 <= len(parts) <= 3 or not _KEY_ID.fullmatch(parts[0]):
        raise ValueError(f"the credential is not {_FORM}")
    if not all(_SECRET.fullmatch(part) for part in parts[1:]):
        raise ValueError(f"the credential is not {_FORM}")
    return Credentials(region, parts[0], parts[1], parts[2] if len(parts) == 3 else "")
