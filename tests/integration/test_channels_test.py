"""`bytespike channels test`: against a server that is right, and against servers that are wrong in each way."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
import trustme

from bytespike.providers.simulator.server import Simulator
from tests.support.clouds import API_KEY, KEY_ID, REGION, SECRET, Bedrock, Vertex, account_file
from tests.support.command_line import CommandLine
from tests.support.gated_upstream import Forwarder, Gated

pytestmark = pytest.mark.slow

CREDENTIAL = "sim-good"
WRONG = "sk-wrong-credential-0123456789"
MODEL = "claude-sonnet-4-6"
DIALECTS = ("anthropic_messages", "openai_responses", "openai_chat", "gemini")


@pytest.fixture(scope="module")
def simulator() -> Iterator[str]:
    """Its base URL; it runs on a thread of its own."""
    started: Future[str] = Future()
    stop = threading.Event()

    async def main() -> None:
        async with Simulator() as running:
            started.set_result(running.base_url)
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    yield started.result(timeout=30)
    stop.set()
    thread.join(timeout=30)


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    line = CommandLine(tmp_path / "data")
    line.answer("init")
    return line


def at(simulator: str) -> dict[str, str]:
    return {
        "anthropic_messages": f"{simulator}/anthropic",
        "openai_responses": f"{simulator}/openai/v1",
        "openai_chat": f"{simulator}/openai/v1",
        "gemini": f"{simulator}/gemini",
    }


def create(
    cli: CommandLine,
    urls: dict[str, str],
    *more: str,
    platform: str = "simulator",
    credential: str = CREDENTIAL,
    model: str = MODEL,
) -> None:
    options = [f"--base-url={dialect}={url}" for dialect, url in urls.items()]
    cli.answer(
        *("channels", "create", "--name", "mine", "--platform", platform, "--credential-env", "UPSTREAM"),
        *("--model", model, "--group", "default", *options, *more),
        env={"UPSTREAM": credential},
    )


def tried(cli: CommandLine, *more: str, ok: bool) -> dict[tuple[str, str], dict[str, object]]:
    """What each step found. Whatever happens, no secret is printed."""
    result = cli.run("channels", "test", "mine", "--json", *more)
    assert result.exit_code == (0 if ok else 1), result.stdout + result.stderr
    found = json.loads(result.stdout)
    assert found["ok"] is ok
    for secret in (CREDENTIAL, WRONG, SECRET, API_KEY, "PRIVATE KEY", "pass-word-1"):
        assert secret not in result.stdout
    return {(step["step"], step["dialect"]): step for step in found["items"]}


def results(steps: dict[tuple[str, str], dict[str, object]]) -> dict[tuple[str, str], object]:
    return {key: step["result"] for key, step in steps.items()}


# --- a channel that works --------------------------------------------------------------------------------------------


def test_every_step_of_every_dialect_says_what_it_found(cli: CommandLine, simulator: str) -> None:
    create(cli, at(simulator))
    steps = tried(cli, ok=True)
    assert set(steps) == {("dns", ""), ("tcp", "")} | {
        (name, dialect) for dialect in DIALECTS for name in ("models", "answer", "stream")
    }
    assert {step["result"] for step in steps.values()} <= {"ok", "skipped"}
    assert "127.0.0.1" in str(steps["tcp", ""]["found"])
    for dialect in DIALECTS:
        assert steps["answer", dialect]["result"] == "ok"
        assert re.search(r"^\".+\", \d+ tokens in, \d+ out$", str(steps["answer", dialect]["found"]))
        assert re.search(r"first byte after \d+ ms$", str(steps["stream", dialect]["found"]))


def test_people_get_a_table_and_a_sentence(cli: CommandLine, simulator: str) -> None:
    create(cli, at(simulator))
    result = cli.run("channels", "test", "mine")
    assert result.exit_code == 0
    assert "everything that was tried works" in result.stdout
    assert "anthropic_messages" in result.stdout
    assert CREDENTIAL not in result.stdout


def test_one_dialect_alone_can_be_tried(cli: CommandLine, simulator: str) -> None:
    create(cli, at(simulator))
    steps = tried(cli, "--dialect", "openai_chat", ok=True)
    assert {dialect for _, dialect in steps} == {"", "openai_chat"}
    assert "does not speak" in cli.refusal("channels", "test", "mine", "--dialect", "smtp")


def test_a_disabled_channel_is_tried_and_its_reason_repeated(cli: CommandLine, simulator: str) -> None:
    create(cli, at(simulator))
    cli.answer("channels", "disable", "mine", "--reason", "on holiday")
    result = cli.run("channels", "test", "mine")
    assert result.exit_code == 0
    assert "disabled: on holiday" in result.stdout


def test_a_channel_without_a_text_model_is_reached_and_asked_for_its_list(
    cli: CommandLine, simulator: str
) -> None:
    create(cli, {**dict.fromkeys(DIALECTS, ""), "openai_chat": f"{simulator}/openai/v1"}, model="sora2")
    steps = tried(cli, ok=True)
    assert steps["answer", "openai_chat"]["result"] == "skipped"
    assert "makes no text" in cli.refusal("channels", "test", "mine", "--model", "sora2")


def test_the_model_can_be_chosen_among_those_that_it_serves(cli: CommandLine, simulator: str) -> None:
    create(cli, at(simulator), "--model", "gpt-5-5")
    result = json.loads(cli.run("channels", "test", "mine", "--model", "gpt-5.5", "--json").stdout)
    assert result["model"] == "gpt-5-5"
    assert "does not serve" in cli.refusal("channels", "test", "mine", "--model", "gpt-4o")
    assert "no channel" in cli.refusal("channels", "test", "nobody")


def test_through_its_proxy(cli: CommandLine, simulator: str) -> None:
    with Forwarder(simulator) as proxy:
        url = proxy.url.replace("http://", "http://user:pass-word-1@")
        cli.answer(
            *("channels", "create", "--name", "mine", "--platform", "simulator"),
            *("--credential-env", "UPSTREAM", "--proxy-env", "PROXY", "--model", MODEL),
            *(f"--base-url=openai_chat={simulator}/openai/v1",),
            env={"UPSTREAM": CREDENTIAL, "PROXY": url},
        )
        steps = tried(cli, ok=True)
        assert "the proxy" in str(steps["dns", ""]["found"])
        assert (steps["answer", "openai_chat"]["result"], steps["stream", "openai_chat"]["result"]) == (
            "ok",
            "ok",
        )
        # This proxy forwards no GET.
        assert steps["models", "openai_chat"]["result"] == "skipped"


def test_on_bedrock(cli: CommandLine, simulator: str) -> None:
    with Bedrock(simulator) as cloud:
        create(
            cli,
            {"anthropic_messages": cloud.url},
            platform="bedrock",
            credential=f"{KEY_ID}:{SECRET}@{REGION}",
        )
        steps = tried(cli, ok=True)
        assert set(steps) == {
            ("dns", ""),
            ("tcp", ""),
            *((n, "anthropic_messages") for n in ("answer", "stream")),
        }
        cli.answer(
            *("channels", "update", "mine", "--credential-env", "UPSTREAM"),
            env={"UPSTREAM": f"{KEY_ID}:{SECRET[::-1]}@{REGION}"},
        )
        steps = tried(cli, ok=False)
        assert "does not match" in str(steps["answer", "anthropic_messages"]["found"])


def test_on_vertex(cli: CommandLine, simulator: str) -> None:
    with Vertex(simulator) as cloud:
        create(
            cli,
            {"gemini": cloud.url},
            platform="vertex_gemini",
            credential=account_file(cloud.url + "/token"),
            model="gemini-2-5-flash",
        )
        assert results(tried(cli, ok=True))["stream", "gemini"] == "ok"
        cloud.fault = "token:503"
        steps = tried(cli, ok=False)
        assert "token endpoint answered 503" in str(steps["answer", "gemini"]["found"])


# --- channels that do not --------------------------------------------------------------------------------------------


def test_a_name_that_leads_nowhere(cli: CommandLine) -> None:
    create(cli, {"openai_chat": "http://nowhere.invalid/v1"})
    steps = tried(cli, ok=False)
    assert results(steps) == {("dns", ""): "failed"}
    assert "no address" in str(steps["dns", ""]["found"])


def test_a_port_on_which_nobody_listens(cli: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    create(cli, {"openai_chat": f"http://127.0.0.1:{port}/v1"})
    steps = tried(cli, ok=False)
    assert results(steps) == {("dns", ""): "ok", ("tcp", ""): "failed"}
    assert "refused" in str(steps["tcp", ""]["found"])


class Speaking:
    """A TLS server with a certificate that nobody knows, or one that is no TLS server at all."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context

    def __enter__(self) -> int:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self._listening.getsockname()[1]

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(timeout=30)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                try:
                    if self._context is None:
                        connection.recv(100)
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    else:
                        self._context.wrap_socket(connection, server_side=True).close()
                except OSError:
                    pass


def test_a_certificate_that_is_not_believed(cli: CommandLine) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with Speaking(context) as port:
        create(cli, {"openai_chat": f"https://127.0.0.1:{port}/v1"})
        steps = tried(cli, ok=False)
    assert results(steps) == {("dns", ""): "ok", ("tcp", ""): "ok", ("tls", ""): "failed"}
    assert "not believed" in str(steps["tls", ""]["found"])


def test_a_port_that_does_not_speak_tls(cli: CommandLine) -> None:
    with Speaking(None) as port:
        create(cli, {"openai_chat": f"https://127.0.0.1:{port}/v1"})
        steps = tried(cli, ok=False)
    assert results(steps)["tls", ""] == "failed"


def test_a_credential_that_is_refused(cli: CommandLine, simulator: str) -> None:
    with Bedrock(simulator) as cloud:
        create(
            cli,
            {"anthropic_messages": cloud.url},
            platform="bedrock",
            credential=f"{WRONG}@{REGION}",
        )
        steps = tried(cli, ok=False)
    found = str(steps["answer", "anthropic_messages"]["found"])
    assert found.startswith("the credential may not do this (403)")


def test_an_upstream_that_quotes_the_credential_is_quoted_without_it(cli: CommandLine) -> None:
    with Gated() as upstream:
        upstream.refusal = (401, {"error": {"message": f"Incorrect API key provided: {WRONG}."}})
        create(cli, {"openai_chat": upstream.url}, credential=WRONG)
        steps = tried(cli, ok=False)
    assert steps["answer", "openai_chat"]["found"] == (
        "the credential is refused (401): Incorrect API key provided: ***."
    )
    assert steps["models", "openai_chat"]["result"] == "failed"


def test_a_model_that_is_not_there(cli: CommandLine) -> None:
    with Gated() as upstream:
        upstream.refusal = (404, {"error": {"message": "The model `gpt-99` does not exist"}})
        create(cli, {"openai_chat": upstream.url}, model="gpt-4o=gpt-99")
        steps = tried(cli, ok=False)
    assert steps["models", "openai_chat"]["result"] == "skipped"
    assert "`gpt-99` does not exist" in str(steps["stream", "openai_chat"]["found"])


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", b"<html>welcome</html>"),
        ("application/json", b'{"hello": 1}'),
        ("text/event-stream", b""),
    ],
)
def test_a_server_that_is_no_model_server(cli: CommandLine, kind: str, body: bytes) -> None:
    with Gated() as upstream:
        upstream.kind = kind
        upstream.pieces = [body] if body else []
        for _ in range(50):
            upstream.gate.release()
        create(cli, {"openai_chat": upstream.url})
        steps = tried(cli, ok=False)
    assert steps["answer", "openai_chat"]["result"] == "failed"
    assert steps["stream", "openai_chat"]["result"] == "failed"
