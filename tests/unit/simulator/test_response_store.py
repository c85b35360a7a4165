"""What Responses keep: bounded, each account's for itself."""

from __future__ import annotations

from bytespike.core.json_types import JSONObject
from bytespike.providers.simulator.response_store import BYTES_MAX, RESPONSES_MAX, ResponseStore

QUESTION: JSONObject = {"role": "user", "content": "q"}
ANSWER: JSONObject = {"id": "msg_1", "type": "message"}
THOUGHT: JSONObject = {"id": "rs_1", "type": "reasoning"}


def test_a_conversation_is_what_came_before_and_what_was_answered() -> None:
    store = ResponseStore()
    store.keep("me", "resp_1", [QUESTION], [THOUGHT, ANSWER], 10)
    assert store.conversation("me", "resp_1") == (QUESTION, THOUGHT, ANSWER)
    assert store.item("me", "msg_1") is ANSWER
    assert store.follower("me", "rs_1") == "msg_1"
    assert store.follower("me", "msg_1") is None
    assert store.conversation("you", "resp_1") is None
    assert store.item("you", "msg_1") is None
    store.clear()
    assert store.conversation("me", "resp_1") is None


def test_the_oldest_go_first_by_number_and_by_size() -> None:
    store = ResponseStore()
    for number in range(RESPONSES_MAX + 1):
        store.keep("me", f"resp_{number}", [], [{"id": f"msg_{number}"}], 1)
    assert store.conversation("me", "resp_0") is None
    assert store.item("me", "msg_0") is None
    assert store.conversation("me", "resp_1") is not None
    store.keep("me", "resp_large", [], [], BYTES_MAX)
    assert store.conversation("me", f"resp_{RESPONSES_MAX}") is None
    assert store.conversation("me", "resp_large") == ()


def test_the_same_response_kept_again_counts_once() -> None:
    store = ResponseStore()
    for _ in range(3):
        store.keep("me", "resp_1", [QUESTION], [ANSWER], BYTES_MAX // 2)
    store.keep("me", "resp_2", [], [], BYTES_MAX // 2)
    assert store.conversation("me", "resp_1") is not None
