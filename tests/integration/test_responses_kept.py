"""Responses that the gateway keeps, with the official OpenAI SDK: they are found again, and conversations go on from them
on any channel and any family."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import openai
import pytest

from bytespike.accounts.key_hash import hash_key
from bytespike.ledger.amounts import parse_usd
from bytespike.providers.simulator.server import Simulator
from bytespike.store.engine import BUSY_TIMEOUT_MS
from tests.support.gateway import CLAUDE, GEMINI, GPT, GPT_RESPONSES, RunningGateway
from tests.support.sdk_kept import ReopenedGateway, add_channel, credential, expire, kept_rows, switch
from tests.support.sdk_upstreams import proofs, texts
from tests.support.sdk_ways import MODELS

FAMILIES = pytest.mark.parametrize("model", MODELS)
STREAMS = pytest.mark.parametrize("stream", [False, True])
#: The simulator gives the same words the same ids: each test has its own.
_words = (f"walrus-{number}" for number in count())
DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory):
    """A gateway with a second channel, of another account, for the model that is served by Responses."""
    with RunningGateway(Path(tmp_path_factory.mktemp("kept"))) as running:
        running.second = add_channel(running, "openai_responses", GPT_RESPONSES, "sim-other")
        yield running


@pytest.fixture(scope="module")
def client(own: RunningGateway):
    with openai.OpenAI(base_url=own.url + "/v1", api_key=own.key, max_retries=0) as sdk:
        yield sdk


def say(client: openai.OpenAI, model: str, text: str, *, stream: bool = False, **ask):
    """The finished response."""
    if not stream:
        return client.responses.create(model=model, input=text, **ask)
    return list(client.responses.create(model=model, input=text, stream=True, **ask))[-1].response


def asked(gateway: RunningGateway) -> str:
    return " ".join(texts(gateway.newest_upstream_request().body))


# --- found again -----------------------------------------------------------------------------------------------


@FAMILIES
@STREAMS
def test_a_response_is_found_again_as_it_was_answered(client, model, stream):
    said = say(client, model, next(_words), stream=stream)
    found = client.responses.retrieve(said.id)
    assert found.model_dump(exclude={"_request_id"}) == said.model_dump(exclude={"_request_id"})


@FAMILIES
@STREAMS
def test_what_is_not_to_be_stored_is_not(client, own, model, stream):
    before = kept_rows(own)
    said = say(client, model, next(_words), stream=stream, store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(said.id)
    with pytest.raises(openai.BadRequestError) as caught:
        say(client, model, "and now?", previous_response_id=said.id)
    assert caught.value.code == "previous_response_not_found"
    assert kept_rows(own) == before


@FAMILIES
def test_a_deleted_response_is_gone_and_so_is_going_on_from_it(client, own, model):
    said = say(client, model, next(_words))
    assert kept_rows(own, said.id) == 1
    client.responses.delete(said.id)
    assert kept_rows(own, said.id) == 0
    for gone in (client.responses.retrieve, client.responses.delete, client.responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            list(found) if (found := gone(said.id)) else None
    with pytest.raises(openai.BadRequestError):
        say(client, model, "and now?", previous_response_id=said.id)


@FAMILIES
def test_an_answer_that_failed_is_not_kept(client, own, model):
    before = kept_rows(own)
    for stream in (False, True):
        # A stream tells it as an event, as an exception, or both: the SDK decides.
        with suppress(openai.APIError):
            failed = say(client, model, "[[sim: error_event_after=6 tokens=100]]", stream=stream)
            assert failed.status == "failed"
        own.heal()
    assert kept_rows(own) == before


@FAMILIES
def test_input_items_come_in_pages_and_in_either_order(client, model):
    word = next(_words)
    items = [
        {"role": "user" if number % 2 == 0 else "assistant", "content": f"{word} {number}"}
        for number in range(5)
    ]
    said = client.responses.create(model=model, input=items)
    listed = list(client.responses.input_items.list(said.id, order="asc"))
    assert [item.content[0].text for item in listed] == [f"{word} {number}" for number in range(5)]
    assert len({item.id for item in listed}) == 5
    newest_first = list(client.responses.input_items.list(said.id))
    assert [item.id for item in newest_first] == [item.id for item in reversed(listed)]
    # The SDK asks for one page after the other.
    paged = client.responses.input_items.list(said.id, limit=2, order="asc")
    assert len(paged.data) == 2
    assert paged.has_more
    assert [item.id for item in paged] == [item.id for item in listed]
    after = client.responses.input_items.list(said.id, after=listed[2].id, order="asc")
    assert [item.id for item in after.data] == [item.id for item in listed[3:]]


@pytest.mark.parametrize(
    ("query", "param"),
    [({"limit": 0}, "limit"), ({"limit": 101}, "limit"), ({"order": "sideways"}, "order")],
)
def test_a_page_that_cannot_be_is_refused(client, query, param):
    said = say(client, CLAUDE, next(_words))
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.input_items.list(said.id, **query)
    assert caught.value.param == param


def test_input_items_are_the_requests_own_without_the_chain(client):
    first = say(client, CLAUDE, next(_words))
    second = say(client, CLAUDE, "and now?", previous_response_id=first.id)
    (item,) = client.responses.input_items.list(second.id)
    assert item.content[0].text == "and now?"


def test_only_a_response_in_the_background_can_be_cancelled(client):
    said = say(client, CLAUDE, next(_words))
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.cancel(said.id)
    assert "background" in caught.value.message
    with pytest.raises(openai.NotFoundError):
        client.responses.cancel("resp_nothing")


@FAMILIES
def test_another_key_finds_nothing(client, own, model):
    said = say(client, model, next(_words))
    with openai.OpenAI(base_url=own.url + "/v1", api_key=own.new_key(), max_retries=0) as other:
        for attempt in (other.responses.retrieve, other.responses.delete, other.responses.cancel):
            with pytest.raises(openai.NotFoundError):
                attempt(said.id)
        with pytest.raises(openai.NotFoundError):
            list(other.responses.input_items.list(said.id))
        with pytest.raises(openai.BadRequestError) as caught:
            say(other, model, "and now?", previous_response_id=said.id)
    assert caught.value.code == "previous_response_not_found"
    assert client.responses.retrieve(said.id).id == said.id


def test_looking_things_up_is_free(client, own):
    said = say(client, CLAUDE, next(_words))
    before = own.balance()
    client.responses.retrieve(said.id)
    list(client.responses.input_items.list(said.id))
    client.responses.delete(said.id)
    assert own.balance() == before


# --- for a time ------------------------------------------------------------------------------------------------


def test_a_response_is_kept_for_thirty_days(client, own):
    said = say(client, CLAUDE, next(_words))
    record = own.application.parts.directory.get(hash_key(own.key))
    kept = own.run(own.application.parts.conversations.get(record.id, said.id))
    assert kept.expires_at - kept.created_at == 30 * DAY_US
    assert abs(kept.created_at / 1e6 - time.time()) < 60


def test_what_has_expired_is_gone_at_once_and_swept_later(client, own):
    said, other = (say(client, CLAUDE, next(_words)) for _ in range(2))
    expire(own, said.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(said.id)
    with pytest.raises(openai.BadRequestError):
        say(client, CLAUDE, "and now?", previous_response_id=said.id)
    assert kept_rows(own, said.id) == 1
    own.run(own.application.parts.conversations.sweep())
    assert kept_rows(own, said.id) == 0
    assert kept_rows(own, other.id) == 1


def test_a_chain_goes_on_from_what_is_left_of_it(client, own):
    word = next(_words)
    first = say(client, CLAUDE, f"one {word}")
    second = say(client, CLAUDE, f"two {word}", previous_response_id=first.id)
    client.responses.delete(first.id)
    say(client, CLAUDE, "three", previous_response_id=second.id)
    assert f"two {word}" in asked(own)
    assert f"one {word}" not in asked(own)


# --- going on --------------------------------------------------------------------------------------------------


@STREAMS
def test_the_channel_that_made_a_response_is_asked_to_go_on_from_it(client, own, stream):
    word = next(_words)
    first = say(client, GPT_RESPONSES, f"my word is {word}", stream=stream)
    second = say(client, GPT_RESPONSES, "and now?", stream=stream, previous_response_id=first.id)
    body = own.newest_upstream_request().body
    assert body["previous_response_id"] == first.id
    assert word not in asked(own)
    assert second.previous_response_id == first.id
    assert second.usage.input_tokens > first.usage.input_tokens


@STREAMS
def test_a_channel_that_has_forgotten_is_sent_everything(client, own, stream):
    word = next(_words)
    first = say(client, GPT_RESPONSES, f"my word is {word}", stream=stream)
    own.forget_upstream_requests()
    second = say(client, GPT_RESPONSES, "and now?", stream=stream, previous_response_id=first.id)
    tried, answered = own.upstream_requests()
    assert tried.body["previous_response_id"] == first.id
    assert "previous_response_id" not in answered.body
    assert word in asked(own)
    assert second.status == "completed"


@STREAMS
def test_another_channel_goes_on_when_the_first_is_switched_off(client, own, stream):
    word = next(_words)
    first = say(client, GPT_RESPONSES, f"my word is {word}", stream=stream, reasoning={"effort": "high"})
    switch(own, "simulator-responses", enabled=False)
    try:
        own.forget_upstream_requests()
        second = say(client, GPT_RESPONSES, "and now?", stream=stream, previous_response_id=first.id)
        (request,) = own.upstream_requests()
        assert "previous_response_id" not in request.body
        assert word in asked(own)
    finally:
        switch(own, "simulator-responses", enabled=True)
    assert own.newest_receipt()["channel_id"] == own.second
    third = say(client, GPT_RESPONSES, "and then?", stream=stream, previous_response_id=second.id)
    assert third.status == "completed"
    assert own.newest_receipt()["channel_id"] != own.second
    assert word in asked(own)


@STREAMS
def test_another_channel_goes_on_within_the_request_when_the_first_fails(client, own, stream):
    word = next(_words)
    first = say(client, GPT_RESPONSES, f"my word is {word}", stream=stream)
    own.forget_upstream_requests()
    credential(own, "simulator-responses", "sim-limited")
    try:
        second = say(client, GPT_RESPONSES, "and now?", stream=stream, previous_response_id=first.id)
    finally:
        credential(own, "simulator-responses", "sim-good")
        own.heal()
    failed, answered = own.upstream_requests()
    assert (failed.status, answered.status) == (429, 200)
    assert failed.body["previous_response_id"] == first.id
    assert "previous_response_id" not in answered.body
    assert word in asked(own)
    assert second.status == "completed"
    assert own.newest_receipt()["channel_id"] == own.second


@STREAMS
@pytest.mark.parametrize("first", MODELS)
def test_a_chain_goes_through_every_family(client, own, first, stream):
    word = next(_words)
    said = say(client, first, f"my word is {word}", stream=stream)
    others = [model for model in MODELS if model != first]
    for number, model in enumerate([*others, first]):
        said = say(client, model, f"question {number}", stream=stream, previous_response_id=said.id)
        assert said.model == model
        assert f"question {number}" in said.output_text
        assert word in asked(own)
    assert [f"question {number}" in asked(own) for number in range(4)] == [True] * 4


@STREAMS
@FAMILIES
def test_an_answer_says_what_it_goes_on_from_whoever_had_made_that(client, model, stream):
    first = say(client, model, f"one {next(_words)}")
    second = say(client, GPT_RESPONSES, "two", stream=stream, previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert client.responses.retrieve(second.id).previous_response_id == first.id


@STREAMS
@pytest.mark.parametrize("by_id", [True, False])
def test_reasoning_of_another_family_is_left_out_with_a_notice(client, by_id, stream):
    ask = {"reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
    first = say(client, CLAUDE, f"one {next(_words)}", **ask)
    assert any(item.type == "reasoning" for item in first.output)
    if by_id:
        going_on = {"input": "two", "previous_response_id": first.id}
    else:
        items = [item.model_dump(exclude_none=True) for item in first.output]
        going_on = {"input": [{"role": "user", "content": "one"}, *items, {"role": "user", "content": "two"}]}
    raw = client.responses.with_raw_response.create(model=GPT_RESPONSES, stream=stream, **going_on)
    assert "reasoning: dropped (not made by this provider)" in raw.headers["x-bytespike-notices"]
    raw.http_response.close()


@FAMILIES
def test_a_tool_loop_goes_on_by_id_in_another_family(client, own, model):
    tool = {
        "type": "function",
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    }
    other = CLAUDE if model != CLAUDE else GPT_RESPONSES
    ask = {"tools": [tool], "reasoning": {"effort": "high"}, "max_output_tokens": 8000}
    first = say(client, model, f"{next(_words)}: use get_weather", **ask)
    (call,) = [item for item in first.output if item.type == "function_call"]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "raining frogs"}
    second = client.responses.create(model=other, input=[result], previous_response_id=first.id, **ask)
    assert "raining frogs" in second.output_text


WITH_PROOFS: dict = {
    "include": ["reasoning.encrypted_content"],
    "reasoning": {"effort": "high"},
    "max_output_tokens": 8000,
}


@STREAMS
@pytest.mark.parametrize("other", [CLAUDE, GPT, GEMINI])
def test_reasoning_comes_home_to_the_account_that_keeps_it(client, own, other, stream):
    first = say(client, GPT_RESPONSES, f"Think about {next(_words)}", stream=stream, **WITH_PROOFS)
    second = say(client, other, "now you", stream=stream, previous_response_id=first.id, **WITH_PROOFS)
    assert proofs(own.newest_upstream_request().body) == []
    say(client, GPT_RESPONSES, "back to you", stream=stream, previous_response_id=second.id, **WITH_PROOFS)
    assert len(proofs(own.newest_upstream_request().body)) == 1


@STREAMS
def test_reasoning_that_another_account_cannot_read_does_not_stop_it(client, own, stream):
    word = next(_words)
    first = say(client, GPT_RESPONSES, f"Think about {word}", stream=stream, **WITH_PROOFS)
    switch(own, "simulator-responses", enabled=False)
    try:
        second = say(
            client, GPT_RESPONSES, "go on", stream=stream, previous_response_id=first.id, **WITH_PROOFS
        )
    finally:
        switch(own, "simulator-responses", enabled=True)
    assert second.status == "completed"
    assert word in asked(own)


@pytest.mark.parametrize("model", [CLAUDE, GEMINI])
def test_proofs_are_kept_though_the_client_did_not_ask_for_them(client, own, model):
    word = next(_words)
    ask = {"reasoning": {"effort": "high"}, "max_output_tokens": 8000}
    first = say(client, model, f"Think about {word}", **ask)
    say(client, model, "and again", previous_response_id=first.id, **ask)
    body = json.dumps(own.newest_upstream_request().body)
    assert ('"signature"' if model == CLAUDE else '"thoughtSignature"') in body


@pytest.mark.slow
@FAMILIES
def test_a_chain_may_be_long(client, own, model):
    word = next(_words)
    said = say(client, model, f"my word is {word}")
    for number in range(29):
        said = say(client, model, f"question {number}", previous_response_id=said.id)
    assert said.status == "completed"
    own.forget_upstream_requests()
    say(client, GPT, "and now?", previous_response_id=said.id)
    sent = asked(own)
    assert word in sent
    positions = [sent.index(f"question {number}") for number in range(29)]
    assert positions == sorted(positions)


def test_instructions_are_not_carried_over(client, own):
    first = say(client, CLAUDE, next(_words), instructions="Speak like a pirate.")
    say(client, CLAUDE, "and now?", previous_response_id=first.id)
    assert "pirate" not in asked(own)


def test_two_may_go_on_from_the_same_response(client, own):
    word = next(_words)
    first = say(client, CLAUDE, f"my word is {word}")
    left = say(client, CLAUDE, "left", previous_response_id=first.id)
    say(client, CLAUDE, "right", previous_response_id=first.id)
    assert "left" not in asked(own)
    say(client, GEMINI, "and now?", previous_response_id=left.id)
    assert "left" in asked(own)
    assert "right" not in asked(own)


# --- money -----------------------------------------------------------------------------------------------------


@FAMILIES
def test_the_conversation_is_in_the_estimate_and_in_the_bill(client, own, model):
    said = say(client, model, f"{next(_words)} " + "long story " * 2000)

    def estimate(**ask) -> int:
        raw = client.responses.with_raw_response.create(
            model=model,
            input="and now?",
            max_output_tokens=100,
            extra_headers={"x-bytespike-dry-run": "true"},
            **ask,
        )
        return parse_usd(raw.headers["x-estimated-credits"])

    story = own.price_of(model, input=said.usage.input_tokens)
    assert estimate(previous_response_id=said.id) - estimate() >= story
    answer = client.responses.create(model=model, input="and now?", previous_response_id=said.id)
    receipt = own.newest_receipt()
    assert receipt["input_tokens"] == answer.usage.input_tokens > said.usage.input_tokens
    assert receipt["credits"] <= estimate(previous_response_id=said.id)


def test_a_dry_run_keeps_nothing(client, own):
    before = kept_rows(own)
    client.responses.with_raw_response.create(
        model=CLAUDE, input=next(_words), extra_headers={"x-bytespike-dry-run": "true"}
    )
    assert kept_rows(own) == before


# --- when things go wrong --------------------------------------------------------------------------------------


def test_an_answer_comes_though_the_database_cannot_be_written(client, own):
    """It comes late by the time that its record is waited for, and can be gone on from; the record follows."""
    word = next(_words)
    blocker = sqlite3.connect(own.application.engine.url.database, isolation_level=None)
    try:
        blocker.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        first = say(client, CLAUDE, f"my word is {word}")
        second = say(client, CLAUDE, "and now?", previous_response_id=first.id, store=False)
        # Neither waited as long as a writer waits for the lock.
        assert time.monotonic() - began < 2 * BUSY_TIMEOUT_MS / 1000
        assert word in asked(own)
        assert second.output_text
        blocker.execute("ROLLBACK")
    finally:
        blocker.close()
    own.until(lambda: kept_rows(own, first.id) == 1)


@pytest.mark.slow
def test_chains_outlive_the_gateway(tmp_path):
    word = next(_words)
    with Simulator(observe=True) as sim:
        with RunningGateway(tmp_path, sim) as gateway:
            key = gateway.key
            with openai.OpenAI(base_url=gateway.url + "/v1", api_key=key, max_retries=0) as client:
                said = {model: say(client, model, f"my word is {word}") for model in MODELS}
        with (
            ReopenedGateway(tmp_path, sim) as gateway,
            openai.OpenAI(base_url=gateway.url + "/v1", api_key=key, max_retries=0) as client,
        ):
            for model, response in said.items():
                assert client.responses.retrieve(response.id).output_text == response.output_text
                again = say(client, model, "and now?", previous_response_id=response.id)
                assert again.status == "completed"
                assert (word in asked(gateway)) == (model != GPT_RESPONSES)
                say(client, GPT, "and then?", previous_response_id=again.id)
                assert word in asked(gateway)


# --- items by reference ----------------------------------------------------------------------------------------


@FAMILIES
def test_items_of_a_kept_response_may_be_named_instead_of_sent(client, own, model):
    """As the AI SDK does with what it has an id for."""
    word = next(_words)
    said = say(client, model, word)
    named = [{"type": "item_reference", "id": item.id} for item in said.output]
    question = [{"role": "user", "content": word}, *named, {"role": "user", "content": "and now?"}]
    assert client.responses.create(model=model, input=question).output_text
    sent = asked(own)
    assert word in sent
    assert "and now?" in sent


@pytest.mark.parametrize("model", [CLAUDE, GPT, GEMINI])
def test_another_keys_items_cannot_be_named(client, own, model):
    said = say(client, model, next(_words))
    other = openai.OpenAI(
        base_url=own.url + "/v1", api_key=own.new_key(own.new_user(1_000_000)), max_retries=0
    )
    with other, pytest.raises(openai.BadRequestError):
        other.responses.create(model=model, input=[{"type": "item_reference", "id": said.output[0].id}])
