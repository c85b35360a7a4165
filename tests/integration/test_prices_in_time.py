"""A request is billed at the price of its admission, and its receipt says which that was."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from bytespike.accounts import prices
from bytespike.accounts.prices import Rates
from bytespike.catalog.models import TokenTier
from bytespike.pricing.defaults import default_prices
from bytespike.pricing.price import Price
from tests.support.gateway import GPT, RunningGateway
from tests.support.raw_http import Answer

pytestmark = pytest.mark.slow


def ask(directive: str, prompt: str = "") -> bytes:
    return json.dumps(
        {
            "model": GPT,
            "max_tokens": 50,
            "messages": [{"role": "user", "content": f"{prompt}[[sim: {directive}]]"}],
        }
    ).encode()


def set_price(gateway: RunningGateway, ahead_s: float = 0, **rates: Any) -> Price:
    async def put() -> Price:
        catalog = gateway.application.parts.catalog.current
        async with gateway.application.control.writing("test") as write:
            begins_us = write.now_us + int(ahead_s * 1_000_000)
            return await prices.set_price(
                write, GPT, Rates(**rates), default_prices(catalog.models), effective_at=begins_us
            )

    return gateway.run(put())


def receipt(gateway: RunningGateway, answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    return gateway.receipt(answer.headers["request-id"])


def price_now(gateway: RunningGateway) -> Price:
    channels = gateway.application.parts.directory.routes.channels.values()
    return next(channel.models[GPT].price for channel in channels if GPT in channel.models)


@pytest.mark.slow
def test_a_price_that_begins_while_a_request_runs_is_not_that_requests(tmp_path: Path) -> None:
    with RunningGateway(tmp_path) as gateway:
        before = price_now(gateway)
        answers: list[Answer] = []
        slow = threading.Thread(
            target=lambda: answers.append(gateway.post("/v1/chat/completions", ask("tokens=20 delay=8")))
        )
        slow.start()
        gateway.until(lambda: gateway.open_holds() == 1)
        made = set_price(gateway, 2.0, input=9_000_000, output=90_000_000)
        # It takes effect at its time: not before, with no restart, and nobody asks for anything meanwhile.
        assert price_now(gateway) == before
        gateway.until(lambda: price_now(gateway) == made)
        late = gateway.post("/v1/chat/completions", ask("tokens=20"))
        slow.join()
        admitted_before, admitted_after = receipt(gateway, answers[0]), receipt(gateway, late)
        assert admitted_before["at"] > admitted_after["at"], "the slow one ended last"
        assert (admitted_before["price"]["id"], admitted_after["price"]["id"]) == ("catalog", made.id)
        assert admitted_before["price"]["output"] == before.output
        assert admitted_after["price"]["output"] == 90_000_000
        for row, price in ((admitted_before, before), (admitted_after, made)):
            tokens = row["input_tokens"] * price.input + row["output_tokens"] * price.output
            assert row["credits"] == (tokens + 500_000) // 1_000_000


def test_a_long_prompt_is_held_and_billed_at_its_tier(tmp_path: Path) -> None:
    with RunningGateway(tmp_path) as gateway:
        tier = TokenTier(1_000, 50_000_000, 100_000_000, 50_000_000, 50_000_000, 50_000_000)
        made = set_price(gateway, input=1_000_000, output=2_000_000, tiers=(tier,))
        gateway.until(lambda: price_now(gateway) == made)
        short = receipt(gateway, gateway.post("/v1/chat/completions", ask("tokens=20")))
        long = receipt(gateway, gateway.post("/v1/chat/completions", ask("tokens=20", "word " * 3_000)))
        assert short["input_tokens"] <= 1_000 < long["input_tokens"]
        assert short["credits"] == short["input_tokens"] + 2 * short["output_tokens"]
        assert long["credits"] == 50 * long["input_tokens"] + 100 * long["output_tokens"]
        assert long["held"] >= long["credits"]
        assert long["price"]["tiers"][0]["above"] == 1_000
        assert "tiers" in short["price"]
