"""What every dialect reads of an upstream's error answer: the wait, and a body that is no JSON."""

from __future__ import annotations

import pytest

from bytespike.protocols.registry import DIALECTS
from bytespike.protocols.upstream_errors import MESSAGE_CHARS_MAX, plain_text, retry_after

DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": " 12 "}, 12),
        ({"retry-after": "1.2"}, 2),
        ({"retry-after": "0"}, 0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 2),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": DATE}, 30),
        ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": DATE}, 0),
        ({"retry-after": "Thu, 21 Oct 2027 07:28:00 GMT", "date": DATE}, 86_400),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "today"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 -0000", "date": DATE}, None),
        ({"retry-after": "9" * 400}, 86_400),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_the_wait_is_seconds_or_a_date_and_means_the_same_in_every_dialect(
    headers: dict[str, str], seconds: int | None
) -> None:
    assert retry_after(headers) == seconds
    for dialect in DIALECTS.values():
        assert dialect.read_error(429, headers, b"").retry_after == seconds


def test_a_plain_body_is_its_own_message_and_a_page_is_none() -> None:
    assert plain_text(b"  busy\n") == "busy"
    assert plain_text(b" <html>secret</html>") == ""
    assert plain_text(b"\xff\xfe") == "\ufffd\ufffd"
    assert len(plain_text(b"x" * 100_000)) == MESSAGE_CHARS_MAX
