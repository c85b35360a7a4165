"""Whatever a provider of renders answers, its adapter says what it means or that it means nothing: never anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespike.errors import GatewayError, UpstreamError
from bytespike.ids import ulid
from bytespike.media.adapter import Render
from bytespike.media.adapters.registry import RENDERERS

TASK = "task_" + ulid()
WORDS = [
    "id", "status", "progress", "error", "code", "message", "expires_at", "seconds", "name", "done", "response",
    "generateVideoResponse", "generatedSamples", "video", "uri", "encodedVideo", "raiMediaFilteredCount",
    "raiMediaFilteredReasons", "metadata", "progressPercent", "content", "video_url", "items", "total",
    "safety_identifier", "created_at", "updated_at", "duration", "frames", "framespersecond", "details", "type",
]  # fmt: skip
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.sampled_from(
        [
            "queued", "in_progress", "running", "completed", "succeeded", "failed", "cancelled", "expired", "video_1",
            "models/veo/operations/x", "https://x/v1beta/files/a:download?alt=media", "https://[", "http://x/\u2028",
            "50%", "nan", "1e999", TASK, "moderation_blocked", "OutputVideoSensitiveContentDetected.X",
        ]
    ),
    st.text(max_size=20),
)  # fmt: skip
JSON = st.recursive(
    VALUES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(WORDS), inner, max_size=6)
    ),
    max_leaves=25,
)
BODIES = st.one_of(st.binary(max_size=60), JSON.map(lambda value: json.dumps(value).encode()))


def checked(render: Render | None) -> None:
    if render is None:
        return
    assert render.progress is None or 0 <= render.progress <= 100
    assert (render.state == "completed") == bool(render.made)
    if render.state == "failed":
        assert render.error_code
        assert render.error_message
        assert not render.billed
    for made in render.made:
        assert (made.call is None) == bool(made.data)
        if made.call is not None:
            # The credential goes to the channel's own host or nowhere.
            assert made.call.with_credential == (not made.call.url)
            assert all(0x20 < byte < 0x7F for byte in made.call.target)


@pytest.mark.parametrize("surface", RENDERERS)
@given(body=BODIES)
def test_any_answer_is_read_or_is_the_upstreams_error(surface: str, body: bytes) -> None:
    adapter = RENDERERS[surface]
    for read in (adapter.submitted, adapter.polled, lambda data: adapter.found(data, TASK)):
        try:
            checked(read(body))
        except UpstreamError:
            pass


@pytest.mark.parametrize("surface", RENDERERS)
@given(
    status=st.integers(300, 599),
    headers=st.dictionaries(st.sampled_from([b"retry-after", b"date", b"x"]), st.binary(max_size=12)),
    body=BODIES,
)
def test_any_refusal_is_an_error_that_says_whose_fault_it_is(
    surface: str, status: int, headers: dict[bytes, bytes], body: bytes
) -> None:
    error: Any = RENDERERS[surface].refused(status, headers, body)
    assert isinstance(error, GatewayError)
    assert error.about in ("request", "channel", "upstream")
    assert 300 <= error.upstream_status <= 599
    assert error.message
    assert error.retry_after is None or 0 <= error.retry_after <= 86_400
