"""What the adapters read of providers' answers in the same way."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Final, TypeVar

import msgspec

from bytespike.core.dialect import UpstreamFailure, reported
from bytespike.errors import GatewayError, UpstreamError

T = TypeVar("T")

#: A provider's own message is passed on so far.
MESSAGE_CHARS_MAX: Final = 2000
#: What a render that failed for the provider's own reasons is to the client, whose words may name the operator's account.
FAILED: Final = "The upstream failed to make it. Try again."

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:~-]{0,255}")

ReadError = Callable[[int, Mapping[str, str], bytes], UpstreamFailure]


def read(decoder: msgspec.json.Decoder[T], body: bytes, api: str) -> T:
    """A provider's answer. Raises `UpstreamError` for one that is not of its API."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamError(f"The upstream's answer is not one of {api}.") from error


def name_of(value: str | None, api: str) -> str:
    """A provider's name for a render, fit for a path. Raises `UpstreamError`."""
    if value is None or _NAME.fullmatch(value) is None:
        raise UpstreamError(f"The upstream's answer of {api} has no usable id.")
    return value


def number(value: str | float | None) -> float | None:
    """A figure, also one that is written as text, with a percent sign or without; None for what is none."""
    try:
        found = float(value.strip().removesuffix("%")) if isinstance(value, str) else value
    except ValueError:
        return None
    return found if found is not None and isfinite(found) else None


def percent(value: float | None) -> int | None:
    """Progress as it is shown: whole percent, within bounds."""
    return None if value is None else int(min(max(value, 0), 100))


def refusal(read_error: ReadError, status: int, headers: Mapping[bytes, bytes], body: bytes) -> GatewayError:
    """An error answer, as the error of a task. It carries whose fault it is (`about`: request, channel or upstream), the
    status that it amounts to (`upstream_status`), and how long to wait (`retry_after`)."""
    text = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
    failure = read_error(status, text, body)
    error = reported(failure)
    error.upstream_status = failure.status or status
    error.retry_after = failure.retry_after
    return error
