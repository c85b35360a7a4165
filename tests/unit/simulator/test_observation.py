"""What the simulator tells tests about the requests that it got."""

from __future__ import annotations

from bytespike.providers.simulator.recorder import BODY_BYTES_MAX, REQUESTS_MAX, Recorder, Sighting
from bytespike.providers.simulator.server import Simulator
from tests.support.simulator_http import Post, poster


def test_requests_are_kept_without_their_credentials(call: Post, messages: Post) -> None:
    messages({"x-api-key": "a-secret", "x-custom": "kept", "cookie": "s=1"}, system="Be brief")
    answer = call("/_sim/requests", method="GET")
    assert b"a-secret" not in answer.body
    (seen,) = answer.json["requests"]
    assert (seen["method"], seen["path"], seen["status"]) == ("POST", "/anthropic/v1/messages", 200)
    assert seen["state"] == "finished"
    assert seen["body"]["system"] == "Be brief"
    assert seen["headers"]["x-custom"] == "kept"
    assert not {"x-api-key", "cookie", "authorization"} & seen["headers"].keys()


def test_two_keys_can_be_told_apart_and_one_recognised(sim: Simulator, messages: Post) -> None:
    messages({"x-api-key": "one"})
    messages({"x-api-key": "two"})
    messages({"x-api-key": "", "authorization": "Bearer one"})
    first, second, third = (seen.key_id for seen in sim.requests)
    assert first == third != second


def test_googles_keys_are_no_more_kept_than_others(sim: Simulator, call: Post, contents: Post) -> None:
    contents({"x-goog-api-key": "a-secret"})
    call("/v1beta/models/m:generateContent?alt=json&key=a-secret", {})
    first, second = sim.requests
    assert first.key_id == second.key_id is not None
    assert second.query == "alt=json"
    assert b"a-secret" not in call("/_sim/requests", method="GET").body


def test_streams_count_their_events(sim: Simulator, messages: Post) -> None:
    answer = messages(stream=True)
    assert sim.requests[-1].events == len(answer.events)


def test_refused_requests_are_seen_too(sim: Simulator, messages: Post) -> None:
    messages(max_tokens=...)
    assert sim.requests[-1].status == 400


def test_the_query_is_kept(sim: Simulator, call: Post) -> None:
    call("/v1/messages?beta=true", {})
    assert (sim.requests[-1].path, sim.requests[-1].query) == ("/v1/messages", "beta=true")


def test_reset_forgets_stored_responses(call: Post, responses: Post) -> None:
    name = responses().json["id"]
    assert responses(previous_response_id=name).status == 200
    call("/_sim/reset")
    assert responses(previous_response_id=name).status == 400


def test_reset_forgets_requests_and_cached_prompts(call: Post, messages: Post) -> None:
    system = [{"type": "text", "text": "s" * 40, "cache_control": {"type": "ephemeral"}}]
    for _ in range(2):
        usage = messages(system=system).json["usage"]
    assert usage["cache_read_input_tokens"] == 10
    assert call("/_sim/reset").json == {"requests": []}
    assert messages(system=system).json["usage"]["cache_read_input_tokens"] == 0
    assert len(call("/_sim/requests", method="GET").json["requests"]) == 1


def test_without_observe_nothing_is_kept_or_served() -> None:
    with Simulator() as sim:
        post = poster(sim.base_url)
        assert post("/_sim/requests", method="GET").status == 404
        assert post("/_sim/reset").status == 404
        assert sim.requests == []


def test_what_is_kept_is_bounded() -> None:
    recorder = Recorder()
    for number in range(REQUESTS_MAX + 5):
        recorder.add(Sighting("GET", f"/{number}", "", {}))
    kept = list(recorder)
    assert len(kept) == len(recorder) == REQUESTS_MAX
    assert kept[0].path == "/5"
    big = Sighting("POST", "/", "", {})
    big.keep_body(b'"' + b"x" * BODY_BYTES_MAX + b'"')
    assert isinstance(big.body, str)
    assert len(big.body) == BODY_BYTES_MAX
