"""The wallet, the quota and the windows, through the running gateway."""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest

from tests.support.gateway import CLAUDE, GPT, Answer, RunningGateway
from tests.support.raw_http import ask_many


def body_of(model: str, directive: str = "tokens=20", max_tokens: int = 20, **more) -> bytes:
    return json.dumps(
        {
            "model": model,
            "max_tokens": max_tokens,
            "messages": [{"role": "user", "content": f"[[sim: {directive}]]"}],
            **more,
        }
    ).encode()


def ask_crowd(
    gateway: RunningGateway, path: str, body: bytes, keys: list[str], each: int, admitted: int
) -> list[Answer]:
    """`each` requests on every key, all at once. The upstream answers nobody until all but `admitted` were refused: on the
    slowest machine no hold is resolved before the last of them has asked for its own."""
    refused = itertools.count(1)

    def answered() -> None:
        if next(refused) == each * len(keys) - admitted:
            gateway.sim.release()

    async def ask() -> list[Answer]:
        asyncio.get_running_loop().call_later(20, gateway.sim.release)
        crowds = [
            ask_many(gateway.host, gateway.port, path, body, {"x-api-key": key}, each, answered)
            for key in keys
        ]
        return [answer for crowd in await asyncio.gather(*crowds) for answer in crowd]

    gateway.sim.hold()
    try:
        return asyncio.run(ask())
    finally:
        gateway.sim.release()


def estimate(gateway: RunningGateway, path: str, body: bytes, key: str | None = None) -> int:
    answer = gateway.post(
        path, body, headers={"x-api-key": key or gateway.key, "x-bytespike-dry-run": "true"}
    )
    assert answer.status == 200
    return gateway.micro(answer.headers["x-estimated-credits"])


@pytest.mark.parametrize(("path", "model"), [("/v1/messages", CLAUDE), ("/v1/chat/completions", CLAUDE)])
def test_200_at_once_on_money_for_50_gives_50(gateway: RunningGateway, path, model):
    body = body_of(model)
    each = estimate(gateway, path, body)
    user = gateway.new_user(balance=50 * each, concurrency=1000)
    key = gateway.new_key(user_id=user)
    answers = ask_crowd(gateway, path, body, [key], 200, admitted=50)
    good = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status == 402]
    assert (len(good), len(refused)) == (50, 150)
    assert all(
        b"insufficient_balance" in answer.body or b"billing_error" in answer.body for answer in refused
    )
    gateway.settled()
    receipts = [gateway.receipt(answer.headers["request-id"]) for answer in good]
    spent = sum(receipt["credits"] for receipt in receipts)
    for receipt in receipts:
        assert receipt["credits"] == gateway.price_of(
            model, input=receipt["input_tokens"], output=receipt["output_tokens"]
        )
    assert gateway.balance(user) == 50 * each - spent
    assert gateway.ledger_sum(user) == gateway.balance(user)


@pytest.mark.parametrize("cap", ["quota", "limit_5h", "limit_1d", "limit_7d"])
def test_200_at_once_on_a_key_with_a_cap_for_50_gives_50(gateway: RunningGateway, cap):
    body = body_of(CLAUDE)
    each = estimate(gateway, "/v1/messages", body)
    user = gateway.new_user(balance=1000 * each, concurrency=1000)
    key = gateway.new_key(user_id=user, **{cap: 50 * each})
    answers = ask_crowd(gateway, "/v1/messages", body, [key], 200, admitted=50)
    statuses = [answer.status for answer in answers]
    assert statuses.count(200) == 50
    assert statuses.count(402 if cap == "quota" else 429) == 150
    if cap != "quota":
        limited = next(answer for answer in answers if answer.status == 429)
        assert int(limited.headers["retry-after"]) >= 1
        assert "x-ratelimit-reset" in limited.headers


def test_accounting_headers_are_on_success_and_failure_streamed_and_not(gateway: RunningGateway):
    user = gateway.new_user(balance=5_000_000)
    key = gateway.new_key(user_id=user, quota=2_000_000, limit_5h=1_000_000, limit_7d=1_500_000)
    headers = {"x-api-key": key}
    for body in (
        body_of(CLAUDE, "tokens=5"),
        body_of(CLAUDE, "tokens=5", stream=True),
        b'{"model": "nothing"}',
    ):
        answer = gateway.post("/v1/messages", body, headers=headers)
        assert answer.headers["x-ratelimit-limit"] == "1.00"
        assert 0 < gateway.micro(answer.headers["x-ratelimit-remaining"]) <= 1_000_000
        assert int(answer.headers["x-ratelimit-reset"]) > 0
        assert 0 < gateway.micro(answer.headers["x-quota-remaining-credits"]) <= 2_000_000
        assert answer.headers["request-id"] == answer.headers["x-request-id"]
        assert ("x-estimated-credits" in answer.headers) == (answer.status == 200)
        assert "x-org-quota-remaining-credits" not in answer.headers


def test_a_key_without_a_quota_shows_its_wallet_and_one_without_windows_no_window(gateway: RunningGateway):
    user = gateway.new_user(balance=5_000_000)
    key = gateway.new_key(user_id=user)
    answer = gateway.post("/v1/messages", body_of(CLAUDE, "tokens=5"), headers={"x-api-key": key})
    assert "x-ratelimit-limit" not in answer.headers
    assert 4_000_000 < gateway.micro(answer.headers["x-quota-remaining-credits"]) <= 5_000_000


def test_a_dry_run_calls_nobody_and_costs_nothing(gateway: RunningGateway):
    gateway.forget_upstream_requests()
    gateway.settled()
    before, rows = gateway.balance(), gateway.usage_rows()
    assert estimate(gateway, "/v1/messages", body_of(CLAUDE)) > 0
    gateway.settled()
    assert gateway.balance() == before
    assert gateway.usage_rows() == rows
    assert gateway.upstream_requests() == []


def test_cached_tokens_are_billed_once_at_their_own_rates_whichever_dialect_asked(gateway: RunningGateway):
    for path in ("/v1/messages", "/v1/chat/completions"):
        answer = gateway.post(path, body_of(CLAUDE, "tokens=5 cache_read=1000 cache_write=500"))
        receipt = gateway.receipt(answer.headers["request-id"])
        assert receipt["cache_read_tokens"] == 1000
        assert receipt["cache_write_5m_tokens"] == 500
        assert receipt["credits"] == gateway.price_of(
            CLAUDE,
            input=receipt["input_tokens"],
            output=receipt["output_tokens"],
            cache_read=1000,
            cache_write_5m=500,
        )
        usage = json.loads(answer.body)["usage"]
        if path == "/v1/messages":
            assert usage["cache_read_input_tokens"] == 1000
            assert usage["input_tokens"] == receipt["input_tokens"]
        else:
            assert usage["prompt_tokens"] == receipt["input_tokens"] + 1500
            assert usage["prompt_tokens_details"]["cached_tokens"] == 1000


def test_a_groups_multiplier_multiplies(gateway: RunningGateway):
    key = gateway.new_key(multiplier_ppm=1_500_000)
    answer = gateway.post("/v1/messages", body_of(CLAUDE, "tokens=5"), headers={"x-api-key": key})
    receipt = gateway.receipt(answer.headers["request-id"])
    assert receipt["credits"] == gateway.price_of(
        CLAUDE, input=receipt["input_tokens"], output=receipt["output_tokens"], multiplier_ppm=1_500_000
    )


def test_concurrency_is_capped_per_account_across_its_keys(gateway: RunningGateway):
    user = gateway.new_user(balance=10_000_000, concurrency=5)
    keys = [gateway.new_key(user_id=user) for _ in range(2)]
    body = body_of(CLAUDE, "tokens=5")
    answers = ask_crowd(gateway, "/v1/messages", body, keys, 10, admitted=5)
    statuses = [answer.status for answer in answers]
    assert statuses.count(200) == 5
    assert statuses.count(429) == 15
    limited = next(answer for answer in answers if answer.status == 429)
    assert limited.headers["retry-after"] == "1"


def test_a_topup_and_a_revocation_take_effect_within_a_second(gateway: RunningGateway):
    user = gateway.new_user(balance=0)
    key = gateway.new_key(user_id=user)
    body = body_of(CLAUDE, "tokens=5")
    assert gateway.post("/v1/messages", body, headers={"x-api-key": key}).status == 402
    gateway.topup(user, 1_000_000)
    gateway.until(
        lambda: gateway.post("/v1/messages", body, headers={"x-api-key": key}).status == 200, seconds=1.5
    )
    gateway.revoke(key)
    gateway.until(
        lambda: gateway.post("/v1/messages", body, headers={"x-api-key": key}).status == 401, seconds=1.5
    )


def test_usage_and_balance_are_free_and_agree_with_the_ledger(gateway: RunningGateway):
    user = gateway.new_user(balance=1_000_000)
    key = gateway.new_key(user_id=user)
    headers = {"x-api-key": key}
    done = gateway.post("/v1/messages", body_of(GPT, "tokens=5"), headers=headers)
    receipt = gateway.receipt(done.headers["request-id"])
    page = json.loads(gateway.request("GET", "/v1/usage", headers=headers).body)
    assert page["total"] == 1
    row = page["items"][0]
    assert row["request_id"] == done.headers["request-id"]
    assert gateway.micro(row["credits"]) == receipt["credits"]
    assert row["input_tokens"] == receipt["input_tokens"]
    balance = json.loads(gateway.request("GET", "/v1/balance", headers=headers).body)
    assert gateway.micro(balance["balance"]) == 1_000_000 - receipt["credits"]


@pytest.mark.parametrize("word", ["true", "TRUE", "1", "yes", "on"])
def test_whoever_asks_for_a_dry_run_in_any_words_pays_nothing(gateway: RunningGateway, word: str):
    user = gateway.new_user(balance=1_000_000)
    headers = {"x-api-key": gateway.new_key(user_id=user), "x-bytespike-dry-run": word}
    answer = gateway.post("/v1/messages", body_of(CLAUDE), headers=headers)
    assert (answer.status, json.loads(answer.body)["object"]) == (200, "dry_run")
    gateway.settled()
    assert gateway.balance(user) == 1_000_000


def test_a_dry_run_that_is_neither_on_nor_off_is_refused_and_one_that_is_off_is_none(gateway: RunningGateway):
    user = gateway.new_user(balance=1_000_000)
    headers = {"x-api-key": gateway.new_key(user_id=user)}
    answer = gateway.post(
        "/v1/messages", body_of(CLAUDE), headers=headers | {"x-bytespike-dry-run": "please"}
    )
    assert answer.status == 400
    assert b"x-bytespike-dry-run" in answer.body
    gateway.settled()
    assert gateway.balance(user) == 1_000_000
    answer = gateway.post("/v1/messages", body_of(CLAUDE), headers=headers | {"x-bytespike-dry-run": "false"})
    assert (answer.status, json.loads(answer.body)["type"]) == (200, "message")
