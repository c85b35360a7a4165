"""Every recorded exchange through a whole gateway, asked for in each dialect: what is billed, bucket by bucket, is what
the provider counted, and each bucket is priced once.

The upstream here answers with what the provider answered, byte for byte. Each bucket has a rate that no sum of others
makes, so a token in the wrong bucket, or in two, shows in the credits.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import floor
from typing import Any, NamedTuple

import pytest
from sqlalchemy import select

from bytespike.accounts import channels, prices
from bytespike.accounts.channels import NewChannel
from bytespike.accounts.prices import Rates
from bytespike.store import tables
from bytespike.store.groups import listing as groups_listing
from tests.support.cross import Recorded, sides
from tests.support.gateway import RunningGateway
from tests.support.provider_figures import Buckets, of_answer, of_stream

SIDES = sides()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.traffic,
    pytest.mark.skipif(
        not any(side.recorded for side in SIDES.values()), reason="the recorded traffic is not there"
    ),
]

#: A model for each dialect's upstream, which no other channel of the gateway serves.
MODELS = {
    "anthropic_messages": "claude-haiku-4-5",
    "openai_chat": "gpt-4o-mini",
    "openai_responses": "gpt-5-2",
    "gemini": "gemini-2-5-pro",
}
RATES = Rates(
    input=3_000_017,
    output=15_000_037,
    cache_read=300_007,
    cache_write_5m=3_750_011,
    cache_write_1h=6_000_029,
    web_search=10_000_019,
)
#: Recorded answers that are malformed, or that the other dialect cannot say.
UNBILLED_PERCENT_MAX = 3
PROMPT = ("input", "cache_read", "cache_write_5m", "cache_write_1h")


class Asked(NamedTuple):
    name: str
    status: int
    body: bytes
    request_id: str
    told: Buckets


class Replay(ThreadingHTTPServer):
    """Answers every POST with `data`."""

    daemon_threads = True
    data = b""
    media_type = "application/json"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in two packets would wait for each other.
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Replay)
        self.rfile.read(int(self.headers.get("content-length", "0")))
        self.send_response(200)
        self.send_header("content-type", server.media_type)
        self.send_header("content-length", str(len(server.data)))
        self.end_headers()
        self.wfile.write(server.data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def upstream() -> Iterator[Replay]:
    server = Replay(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: Replay) -> Iterator[RunningGateway]:
    with RunningGateway(tmp_path_factory.mktemp("billing")) as running:
        url = f"http://127.0.0.1:{upstream.server_address[1]}"

        async def furnish() -> None:
            control = running.application.control
            async with control.writing("test") as write:
                (group,) = [row for row in await groups_listing(write.connection) if row.name == "default"]
                for dialect, model in MODELS.items():
                    await channels.create(
                        write,
                        NewChannel(
                            name=f"recorded-{dialect}",
                            platform="simulator",
                            credential="any",
                            base_urls={**dict.fromkeys(MODELS, ""), dialect: url},
                            models={model: model},
                            group_ids=(group.id,),
                        ),
                    )
                    await prices.set_price(write, model, RATES, lambda _: None)
            await running.application.parts.directory.poll()

        running.run(furnish())
        yield running


def question(dialect: str, model: str, *, stream: bool) -> tuple[str, bytes]:
    """A path and a body that ask the model for anything."""
    if dialect == "gemini":
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        body: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
        return f"/v1beta/models/{model}:{verb}", json.dumps(body).encode()
    body = {"model": model, "stream": stream}
    if dialect == "openai_responses":
        return "/v1/responses", json.dumps({**body, "input": "hi", "store": False}).encode()
    body["messages"] = [{"role": "user", "content": "hi"}]
    if dialect == "openai_chat":
        return "/v1/chat/completions", json.dumps(body).encode()
    return "/v1/messages", json.dumps({**body, "max_tokens": 4096}).encode()


def asked(
    gateway: RunningGateway, upstream: Replay, recorded: Recorded, source: str, client: str, *, stream: bool
) -> Asked | None:
    """Ask for it; None where this exchange has no such answer, or its provider did not say what it counted."""
    data = recorded.stream if stream else recorded.answer
    told = None if data is None else of_stream(source, data) if stream else of_answer(source, data)
    if data is None or told is None:
        return None
    upstream.data = data
    upstream.media_type = "text/event-stream" if stream else "application/json"
    path, body = question(client, MODELS[source], stream=stream)
    answer = gateway.post(path, body)
    if answer.status != 200:
        gateway.heal()  # the next one is another story
    return Asked(recorded.name, answer.status, answer.body, answer.headers["request-id"], told)


def rows(gateway: RunningGateway) -> dict[str, dict[str, Any]]:
    gateway.settled()

    async def read() -> dict[str, dict[str, Any]]:
        async with gateway.application.control.reading() as connection:
            found = (await connection.execute(select(tables.usage))).mappings()
            return {row["request_id"]: dict(row) for row in found}

    return gateway.run(read())


def credits_of(buckets: Buckets, web_searches: int) -> int:
    """The bill, with fractions: rounded half up, once."""
    rates = (RATES.input, RATES.cache_read, RATES.cache_write_5m, RATES.cache_write_1h, RATES.output)
    tokens = sum(Fraction(count * int(rate), 10**6) for count, rate in zip(buckets[:5], rates, strict=True))
    return floor(tokens + Fraction(web_searches * int(RATES.web_search), 10**3) + Fraction(1, 2))


def difference(row: dict[str, Any], told: Buckets) -> str | None:
    """How a receipt differs from what the provider told."""
    if (
        told.input < 0
    ):  # more was cached than there was: which of it is true cannot be known, but the sum holds
        prompt = sum(row[f"{name}_tokens"] for name in PROMPT)
        return (
            None
            if (prompt, row["output_tokens"]) == (sum(told[:4]), told.output)
            else f"{prompt} tokens of {told}"
        )
    for name in (*PROMPT, "output"):
        if row[f"{name}_tokens"] != getattr(told, name):
            return f"{name}: billed {row[f'{name}_tokens']} tokens, told {told}"
    if told.web_searches not in (None, row["web_searches"]):
        return f"billed {row['web_searches']} searches, told {told.web_searches}"
    expected = credits_of(told, row["web_searches"])
    return None if row["credits"] == expected else f"{row['credits']} credits, not {expected}"


@pytest.mark.parametrize("client", MODELS)
@pytest.mark.parametrize("source", MODELS)
def test_what_is_billed_is_what_the_provider_counted_whichever_dialect_asked(
    gateway: RunningGateway, upstream: Replay, source: str, client: str
) -> None:
    found = [
        each
        for recorded in SIDES[source].recorded
        for stream in (False, True)
        if (each := asked(gateway, upstream, recorded, source, client, stream=stream)) is not None
    ]
    receipts = rows(gateway)
    wrong: list[str] = []
    unbilled: list[str] = []
    for each in found:
        row = receipts.get(each.request_id)
        if row is None:
            if each.status == 200 and b'"error"' not in each.body:
                wrong.append(f"{each.name}: answered, and not billed")
            unbilled.append(f"{each.name}: {each.status} {each.body[-200:]!r}")
        elif row["estimated"]:
            wrong.append(f"{each.name}: estimated, though the provider told {each.told}")
        elif (problem := difference(row, each.told)) is not None:
            wrong.append(f"{each.name}: {problem}")
    assert not wrong, f"{len(wrong)} of {len(found)}:\n" + "\n".join(wrong[:20])
    # What cannot be carried to the other dialect is an error there, and costs nothing.
    assert len(unbilled) <= len(found) * UNBILLED_PERCENT_MAX // 100, "\n".join(unbilled[:20])
    assert len(found) - len(unbilled) > 50
