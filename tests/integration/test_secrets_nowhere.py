"""No secret is in anything that the gateway says: its logs at their most talkative, its answers, its metrics, its traces.

It is run as a process of its own, with secrets that are known here, and made to fail in as many ways as there are; then
everything that it said is searched for them.
"""

from __future__ import annotations

import base64
import http.client
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bytespike.accounts import channels, groups, keys
from bytespike.accounts.channels import NewChannel
from bytespike.accounts.groups import NewGroup
from bytespike.accounts.keys import NewKey
from tests.support.collector import Collector
from tests.support.gateway import CLAUDE, GPT, RunningGateway
from tests.support.raw_http import Answer
from tests.support.served import environment, free_port
from tests.support.telltale import Telltale

pytestmark = pytest.mark.slow

CREDENTIAL = "sk-ant-upstream-credential-0123456789"
PLAIN_CREDENTIAL = "plain-upstream-credential-42"
PROXY_PASSWORD = "proxy-password-77"
COLLECTOR_KEY = "collector-key-4711"
BAD_KEY = "sk-byts-" + "n0such" * 6
PROMPT = "the prompt that nobody else may read"
GOES_ON = json.dumps({"model": CLAUDE, "input": PROMPT, "previous_response_id": "resp_1"}).encode()


class House:
    """A gateway process with one channel that answers, one whose proxy is gone, and a collector."""

    def __init__(self, data_dir: Path, upstream: Telltale, collector: Collector) -> None:
        self.data_dir = data_dir
        self.key = self._furnished(upstream)
        self.port = free_port()
        self._log = data_dir / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bytespike.cli.main", "serve", "--port", str(self.port)],
                env={
                    **environment(),
                    "DATA_DIR": str(data_dir),
                    "BYTESPIKE_LOG_LEVEL": "debug",
                    "BYTESPIKE_LOG_FORMAT": "json",
                    "BYTESPIKE_OTLP_ENDPOINT": collector.url,
                    "BYTESPIKE_OTLP_HEADERS": f"x-key={COLLECTOR_KEY}",
                },
                stdout=log,
                stderr=log,
            )
        self._until_ready()

    def _furnished(self, upstream: Telltale) -> str:
        with RunningGateway(self.data_dir) as gateway:

            async def furnish() -> str:
                async with gateway.application.control.writing("test") as write:
                    group = await groups.create(write, NewGroup(name="told"))
                    for name, model, credential, proxy in (
                        ("first", CLAUDE, CREDENTIAL, None),
                        ("second", CLAUDE, PLAIN_CREDENTIAL, None),
                        ("proxied", GPT, CREDENTIAL, f"http://somebody:{PROXY_PASSWORD}@127.0.0.1:9"),
                    ):
                        others = ("openai_chat", "openai_responses", "gemini")
                        await channels.create(
                            write,
                            NewChannel(
                                name=name,
                                platform="simulator",
                                credential=credential,
                                base_urls={"anthropic_messages": upstream.url, **dict.fromkeys(others, "")},
                                models={model: "up"},
                                group_ids=(group.id,),
                                proxy=proxy,
                            ),
                        )
                    new = NewKey(name="told", user_id=gateway.user, group_id=group.id)
                    return (await keys.create(write, new)).plaintext

            return gateway.run(furnish())

    def _until_ready(self) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log()
            try:
                if self.ask("GET", "/readyz").status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(self.log())

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(
                method, path, body, {name.replace("_", "-"): text for name, text in headers.items()}
            )
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def without(self, table: str, act: Callable[[], None]) -> None:
        """Do it while the database lacks a table."""
        for statement in (f"ALTER TABLE {table} RENAME TO gone", f"ALTER TABLE gone RENAME TO {table}"):
            with sqlite3.connect(self.data_dir / "bytespike.db", timeout=30) as database:
                database.execute(statement)
            if "RENAME TO gone" in statement:
                act()


def said(words: str, model: str = CLAUDE, *, stream: bool = False) -> bytes:
    messages = [{"role": "user", "content": PROMPT}, {"role": "user", "content": words}]
    return json.dumps({"model": model, "max_tokens": 20, "stream": stream, "messages": messages}).encode()


def in_every_place(secret: str) -> list[dict[str, str]]:
    return [{"x_api_key": secret}, {"authorization": f"Bearer {secret}"}, {"x_goog_api_key": secret}]


def drive(house: House) -> list[Answer]:
    """Requests of all sorts."""
    answers: list[Answer] = []
    for path in ("/v1/messages", "/v1/chat/completions"):
        for secret, words in ((house.key, "well"), (BAD_KEY, "well")):
            answers += [house.ask("POST", path, said(words), **given) for given in in_every_place(secret)]
            answers.append(house.ask("POST", f"{path}?key={secret}", said(words)))
        for stream in (False, True):
            for status in (400, 404, 429, 500, 529):
                body = said(f"status={status}", stream=stream)
                answers.append(house.ask("POST", path, body, x_api_key=house.key))
            answers.append(house.ask("POST", path, said("break", stream=stream), x_api_key=house.key))
            answers.append(house.ask("POST", path, said("well", GPT, stream=stream), x_api_key=house.key))
        # Keys where none belong.
        answers.append(house.ask("POST", path, said("well", model=house.key), x_api_key=BAD_KEY))
        answers.append(house.ask("POST", path, b"{" + house.key.encode(), x_api_key=house.key))
        basic = base64.b64encode(f"user:{house.key}".encode()).decode()
        answers.append(house.ask("POST", path, said("well"), authorization=f"Basic {basic}"))
        answers.append(house.ask("GET", f"{path}?key={house.key}&api_key={house.key}"))
    for given in in_every_place(house.key):
        answers += [house.ask("GET", path, **given) for path in ("/v1/models", "/v1/balance", "/v1/usage")]
    answers += [house.ask("GET", f"/v1/no-such-route?key={house.key}"), house.ask("GET", "/readyz")]
    # The credential is refused, and what the upstream says of it has it in the clear.
    answers += [
        house.ask("POST", "/v1/messages", said(f"status={status}"), x_api_key=house.key)
        for status in (401, 403)
    ]
    # What nobody has thought of: tables are not there any more.
    house.without(
        "responses", lambda: answers.append(house.ask("POST", "/v1/responses", GOES_ON, x_api_key=house.key))
    )
    house.without("usage", lambda: answers.append(house.ask("GET", "/v1/usage", x_api_key=house.key)))
    assert [answer.status for answer in answers[-2:]] == [500, 500]
    return answers


def test_no_secret_is_in_anything_that_the_gateway_says(tmp_path: Path):
    with Telltale() as upstream, Collector() as collector:
        house = House(tmp_path, upstream, collector)
        try:
            answers = drive(house)
            answers.append(house.ask("GET", "/metrics"))
        finally:
            house.process.terminate()
            assert house.process.wait(timeout=60) == 0
        traces = b"".join(collector.bodies).decode("latin-1")
    statuses = {answer.status for answer in answers}
    assert statuses >= {200, 400, 401, 404, 500, 503}, statuses
    log = house.log()
    assert "unexpected error" in log
    assert "an upstream call failed" in log
    assert len(collector.spans()) > 40
    secrets = {
        "the caller's key": house.key,
        "a key that nobody has": BAD_KEY,
        "an upstream's credential": CREDENTIAL,
        "an upstream's credential of no known form": PLAIN_CREDENTIAL,
        "a proxy's password": PROXY_PASSWORD,
        "the collector's key": COLLECTOR_KEY,
        "the master key": (tmp_path / "master.key").read_text("ascii").strip(),
    }
    spoken = "\n".join(f"{answer.headers} {answer.body.decode('utf-8', 'replace')}" for answer in answers)
    for place, text in (("the log", log), ("the traces", traces), ("the metrics", answers[-1].body.decode())):
        for name, secret in secrets.items():
            assert secret not in text, f"{name} is in {place}"
        assert PROMPT not in text, f"a prompt is in {place}"
    for name, secret in secrets.items():
        assert secret not in spoken, f"{name} is in an answer"
    for line in log.splitlines():
        assert isinstance(json.loads(line), dict), line
