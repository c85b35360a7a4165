"""The kinds of values that settings have: their bounds, and how text becomes one of them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, NamedTuple, TypeAlias, cast
from urllib.parse import unquote

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_DOLLARS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")

#: What `media.objects.backends` can write to.
OBJECT_STORE_SCHEMES = ("file:///", "s3://", "s3a://", "gs://", "az://", "azure://", "abfs://", "abfss://")

Network: TypeAlias = IPv4Network | IPv6Network


class Facts(NamedTuple):
    """What the documentation and the errors say of a setting. A secret's value is never shown."""

    about: str
    expected: str
    secret: bool = False


def _networks(value: object) -> object:
    """CIDRs from a comma-separated string or a list."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list | tuple):
        parts = cast("Iterable[object]", value)
        return tuple(ip_network(part) if isinstance(part, str) else part for part in parts)
    return value


def _master_key(value: object) -> object:
    """32 bytes in base64 (either alphabet) or hexadecimal; kept as it came."""
    if isinstance(value, str) and len(decode_key(value)) != 32:
        raise ValueError("not 32 bytes")
    return value


def _base_url(value: object) -> object:
    if isinstance(value, str):
        value = value.rstrip("/")
        if not value.startswith(("http://", "https://")) or len(value.split("://", 1)[1]) == 0:
            raise ValueError("not an http or https URL")
    return value


def _database_url(value: object) -> object:
    if isinstance(value, str) and not value.startswith(("sqlite", "postgresql", "postgres:")):
        raise ValueError("not sqlite or postgresql")
    return value


def _object_store_url(value: object) -> object:
    if isinstance(value, str) and value and not value.startswith(OBJECT_STORE_SCHEMES):
        raise ValueError("not the URL of an object store")
    return value


def _dollars(value: object) -> object:
    """A decimal amount, kept as text: money meets no float."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not _DOLLARS.fullmatch(value):
        raise ValueError("not an amount of USD")
    return value


def _header_list(value: object) -> object:
    if isinstance(value, str):
        header_list(value)
    return value


def header_list(text: str) -> dict[str, str]:
    """Headers from "name=value,name=value"; a value may be percent-encoded, as OpenTelemetry has it. Raises ValueError."""
    found: dict[str, str] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, separator, value = part.partition("=")
        if not separator or not _HEADER_NAME.fullmatch(name.strip()):
            raise ValueError("not a list of headers")
        found[name.strip()] = unquote(value.strip())
    return found


def decode_key(text: str) -> bytes:
    """The bytes of a key given in hexadecimal or base64. Raises `ValueError`."""
    if len(text) == 64:
        try:
            return bytes.fromhex(text)
        except ValueError:
            pass
    try:
        return base64.b64decode(
            text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True
        )
    except binascii.Error:
        raise ValueError("neither hexadecimal nor base64") from None


Port: TypeAlias = Annotated[int, Field(ge=0, le=65535)]
Seconds: TypeAlias = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=1_000_000)]
Bytes: TypeAlias = Annotated[int, Field(ge=1024, le=1 << 32)]
Networks: TypeAlias = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)]
BaseURL: TypeAlias = Annotated[str, BeforeValidator(_base_url)]
DatabaseURL: TypeAlias = Annotated[str, BeforeValidator(_database_url)]
ObjectStoreURL: TypeAlias = Annotated[str, BeforeValidator(_object_store_url)]
Dollars: TypeAlias = Annotated[str, BeforeValidator(_dollars)]
HeaderList: TypeAlias = Annotated[str, BeforeValidator(_header_list)]
MasterKey: TypeAlias = Annotated[str, BeforeValidator(_master_key)]
