"""What docs/howto/video.md shows is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from bytespike.accounts.key_hash import hash_key
from bytespike.media.tasks.callbacks import signature

PAGE = (Path(__file__).parents[3] / "docs" / "howto" / "video.md").read_text("utf-8")


def test_a_receiver_checks_a_callback_as_the_page_says() -> None:
    (code,) = (
        block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "def is_ours" in block
    )
    found: dict[str, Any] = {}
    exec(code, found)
    key = "sk-byts-" + "x" * 40
    body = b'{"task_id":"task_1","status":"completed"}'
    given = signature(body, hash_key(key))
    assert found["is_ours"](body, given, key)
    assert not found["is_ours"](body + b" ", given, key)
    assert not found["is_ours"](body, given, key + "x")
