"""What a client has whole is on this machine's disk: its receipt is written before the last byte leaves."""

from __future__ import annotations

import json
import time

import pytest

from tests.support.gateway import CLAUDE, GPT, RunningGateway


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", [CLAUDE, GPT])
def test_no_answer_is_whole_before_its_receipt_is_written(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch, model: str, stream: bool
) -> None:
    spool = gateway.application.parts.ledger._spool
    write = spool._write
    written: list[float] = []

    def slow(frames: bytes, count: int) -> bool:
        # Long enough that an answer which did not wait would be here first.
        time.sleep(0.3)
        done = write(frames, count)
        written.append(time.monotonic())
        return done

    monkeypatch.setattr(spool, "_write", slow)
    body = {
        "model": model,
        "max_tokens": 20,
        "stream": stream,
        "messages": [{"role": "user", "content": "hi"}],
    }
    answer = gateway.post("/v1/messages", json.dumps(body).encode())
    answered = time.monotonic()
    assert answer.status == 200
    assert len(written) == 1
    assert answered >= written[0]
