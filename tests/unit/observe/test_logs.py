"""What is taken out of a log line, whoever writes it."""

from __future__ import annotations

import errno
import io
import json
import logging

import pytest

from bytespike.observe.logs import REDACTED, Redacting, Unfailing, redact

SECRETS = {
    "our key": "sk-byts-" + "a1B2" * 10,
    "Anthropic's": "sk-ant-api03-abcdefgh_ijkl-mnop",
    "OpenAI's": "sk-proj-abcdefghijklmnop",
    "Google's": "AIzaSyA1234567890abcdefghijklmnopqrstu",
    "a service account's token": "ya29.a0AfH6SMBx-abc_def",
    "Amazon's": "AKIAIOSFODNN7EXAMPLE",
    "a token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc_def-ghi",
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize("around", ["{}", "the key {} is wrong", "'{}'", '{{"key":"{}"}}', "x={},y"])
def test_keys_are_taken_out_wherever_they_stand(secret: str, around: str):
    told = redact(around.format(secret))
    assert secret not in told
    assert REDACTED in told


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("authorization: Bearer abcdef123456", "abcdef123456"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("headers={b'x-api-key': b'plain-secret-1'}", "plain-secret-1"),
        ('{"x-goog-api-key": "plain-secret-1"}', "plain-secret-1"),
        ("GET /v1/models?alt=sse&key=plain-secret-1&a=b", "plain-secret-1"),
        ("https://api.example.com/?api_key=plain-secret-1", "plain-secret-1"),
        ("postgresql://bytespike:hunter2@db.example.com/x", "hunter2"),
        ("proxy http://somebody:hunter2@10.0.0.1:3128 is gone", "hunter2"),
        (
            "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----\nmore",
            "MIIEvQIBADANBg",
        ),
        ("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg", "MIIEvQIBADANBg"),
    ],
)
def test_what_carries_a_secret_is_emptied(text: str, secret: str):
    assert secret not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "an upstream call failed",
        "reset: the upstream closed the connection without an answer",
        "https://api.example.com/v1/messages?beta=true",
        "req_01M7ZNTT2SCSWS3Y94DN0FJQ7A",
        "the desk-lamp-is-on",
        "sqlite:////var/lib/bytespike/bytespike.db",
        "2026-11-21T18:59:46.272707Z",
    ],
)
def test_what_is_no_secret_stays(text: str):
    assert redact(text) == text


@pytest.mark.parametrize("style", ["json", "text"])
def test_what_libraries_log_is_redacted_with_its_traceback(style: str):
    try:
        raise ValueError("the key sk-ant-api03-abcdefgh is wrong")
    except ValueError as error:
        record = logging.LogRecord("asyncio", logging.ERROR, "x.py", 1, "Task failed: %s", (error,), None)
        record.exc_info = (ValueError, error, error.__traceback__)
    told = Redacting(style).format(record)
    assert "abcdefgh" not in told
    assert told.count(REDACTED) >= 2
    if style == "json":
        event = json.loads(told)
        assert (event["level"], event["logger"]) == ("error", "asyncio")
        assert "Traceback" in event["event"]


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical", "exception", "msg"])
def test_a_line_that_cannot_be_written_stops_nobody(level: str):
    """A full disk may be what it tells of."""
    getattr(Unfailing(FullDisk()), level)("the disk is full")


class FullDisk(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")
