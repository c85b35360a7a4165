"""What a streamed answer loses in translation is known when it ends: its receipt tells."""

from __future__ import annotations

import json

from tests.support.gateway import CLAUDE, GEMINI, RunningGateway


def test_the_receipt_of_a_stream_tells_what_was_lost(gateway: RunningGateway):
    asked = {
        "model": GEMINI,
        "max_tokens": 500,
        "stream": True,
        "thinking": {"type": "adaptive"},
        "messages": [{"role": "user", "content": "hi"}],
    }
    headers = {"x-api-key": gateway.key, "anthropic-version": "2023-06-01"}
    answer = gateway.post("/v1/messages", json.dumps(asked).encode(), headers)
    assert answer.status == 200
    # Gemini signs its text behind it, where Anthropic's stream has no place for it.
    receipt = gateway.receipt(answer.headers["request-id"])
    assert "the signature of a text" in str(receipt["notices"])


def test_a_stream_that_lost_nothing_has_no_notices(gateway: RunningGateway):
    asked = {"model": GEMINI, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    answer = gateway.post("/v1/chat/completions", json.dumps(asked).encode())
    assert answer.status == 200
    assert gateway.receipt(answer.headers["request-id"])["notices"] == []


def test_a_header_names_what_was_lost_by_the_callers_own_members(gateway: RunningGateway):
    asked = {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {"topK": 40, "seed": 7, "maxOutputTokens": 50},
    }
    answer = gateway.post(f"/v1beta/models/{CLAUDE}:generateContent", json.dumps(asked).encode())
    assert answer.status == 200
    told = answer.headers["x-bytespike-notices"]
    assert "generationConfig.seed: dropped" in told
    assert gateway.receipt(answer.headers["request-id"])["notices"] == told.split("; ")
