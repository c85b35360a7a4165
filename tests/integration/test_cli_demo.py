"""`bytespike demo`, which is what `make run` calls, as a person uses it: read what it prints, paste the calls."""

import asyncio
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx2
import pytest

from bytespike.accounts.directory import POLL_S
from bytespike.cli.demo import prepare
from bytespike.cli.demo_channels import CHANNELS
from bytespike.cli.simulator_process import SimulatorProcess
from tests.support.command_line import CommandLine

KEPT = {name: value for name, value in os.environ.items() if not name.startswith("BYTESPIKE_")}


@contextmanager
def demo(folder: Path, *words: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """The process, and what it printed once it listened."""
    with (folder.parent / "log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bytespike.cli.main", "demo", *words],
            env={**KEPT, "DATA_DIR": str(folder), "PORT": "0"},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        end = "}\n" if "--json" in words else "Ctrl-C stops it; the next run keeps everything.\n"
        printed = ""
        for line in process.stdout:
            printed += line
            if line == end:
                break
        yield process, printed
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(120)
        if process.stdout is not None:
            process.stdout.close()


def prepared(folder: Path, simulator_url: str = "http://127.0.0.1:1") -> None:
    """What a run does before it serves."""
    with patch.dict(os.environ, {**KEPT, "DATA_DIR": str(folder)}, clear=True):
        asyncio.run(prepare(simulator_url))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition: Callable[[], bool], seconds: float = 120.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False


def paste(call: str) -> dict[str, Any]:
    done = subprocess.run(["sh", "-c", call], capture_output=True, text=True, timeout=120, check=True)
    return json.loads(done.stdout)


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
def test_the_first_run_prints_calls_that_work_and_the_next_keeps_everything(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with demo(folder, "--json") as (process, printed):
        first = json.loads(printed)
        assert first["upstream"] == "simulator"
        assert first["balance"] == "100.00"
        message = paste(first["curl"]["anthropic_messages"])
        assert message["type"] == "message"
        assert "simulator" in message["content"][0]["text"]
        completion = paste(first["curl"]["openai_chat"])
        assert "simulator" in completion["choices"][0]["message"]["content"]
        response = paste(first["curl"]["openai_responses"])
        assert "simulator" in response["output"][-1]["content"][0]["text"]
        generated = paste(first["curl"]["gemini"])
        assert "simulator" in generated["candidates"][0]["content"]["parts"][-1]["text"]
        drawn = paste(first["curl"]["images"])
        picture = httpx2.get(drawn["data"][0]["url"])
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
        submitted = paste(first["curl"]["video"])
        assert (submitted["status"], submitted["model"]) == ("pending", "seedance-2-fast")
        # Pasted again, it is the same task.
        assert paste(first["curl"]["video"])["task_id"] == submitted["task_id"]
        assert eventually(lambda: paste(first["curl"]["video_result"])["status"] == "completed")
        filmed = paste(first["curl"]["video_result"])
        assert filmed["task_id"] == submitted["task_id"]
        (output,) = filmed["output"]
        film = httpx2.get(output["url"])
        assert (film.status_code, film.headers["content-type"]) == (200, "video/mp4")
        assert (output["type"], output["duration_seconds"]) == ("video", 5)
        assert stat.S_IMODE((folder / "admin-password").stat().st_mode) == 0o600
        assert (folder / "admin-password").read_text().strip() == first["admin"]["password"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
    with demo(folder, "--json") as (process, printed):
        second = json.loads(printed)
        assert (second["key"], second["admin"]) == (first["key"], first["admin"])
        # The calls were billed, and the wallet was not funded again.
        assert 99 < float(second["balance"]) < 100
        assert paste(second["curl"]["anthropic_messages"])["type"] == "message"
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0


@pytest.mark.slow
def test_what_people_read_has_the_same_in_it(tmp_path: Path) -> None:
    with demo(tmp_path / "data") as (_, printed):
        password = (tmp_path / "data" / "admin-password").read_text().strip()
        assert f"password      {password}" in printed
        assert "first key     sk-byts-" in printed
        assert "no answer comes from a real model" in printed
        calls = [part for part in printed.split("\n\n") if part.strip().startswith("curl")]
        assert [
            next(iter({"content", "choices", "output", "candidates", "data", "task_id"} & paste(call).keys()))
            for call in calls[:-1]
        ] == [
            "content",
            "choices",
            "output",
            "candidates",
            "data",
            "task_id",
        ]
        assert paste(calls[-1])["task_id"] == paste(calls[-2])["task_id"]


def test_each_channel_passes_the_bytes_of_its_own_dialects_through(tmp_path: Path) -> None:
    cli = CommandLine(tmp_path / "data")
    prepared(tmp_path / "data")
    channels = {each["name"]: each for each in cli.items("channels", "list")}
    assert {name: sorted(each["base_urls"]) for name, each in channels.items()} == {
        "simulator-anthropic": ["anthropic_messages"],
        "simulator-openai": ["openai_chat", "openai_responses"],
        "simulator-gemini": ["gemini"],
        "simulator-chat": ["openai_chat"],
        "simulator-openai-media": ["openai_chat", "openai_images", "openai_videos"],
        "simulator-gemini-media": ["gemini", "gemini_operations"],
        "simulator-ark": ["ark_images", "ark_tasks"],
    }
    assert sorted(channels["simulator-openai"]["models"])[0].startswith("gpt-")
    assert "kimi-k2-6" in channels["simulator-chat"]["models"]
    served = [slug for each in channels.values() for slug in each["models"]]
    assert len(served) == len(set(served))
    listed = {each["slug"] for each in cli.items("models", "list")}
    assert set(served) == listed == {each["slug"] for each in cli.items("models", "list", "--all")}


def test_an_older_data_directory_gets_the_channels_that_it_never_had(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    cli = CommandLine(folder)
    prepared(folder)
    # As the first version left it: two channels, one with everything that is not Claude's, and no list of them.
    for name in ("simulator-gemini", "simulator-chat"):
        cli.answer("channels", "remove", name)
    cli.answer(
        "channels",
        "update",
        "simulator-openai",
        "--model",
        "gpt-5-5",
        "--model",
        "kimi-k2-6=kimi",
        "--model",
        "sora2",
    )
    with sqlite3.connect(folder / "bytespike.db") as database:
        database.execute("DELETE FROM meta WHERE name = 'demo_channels'")
    prepared(folder, "http://127.0.0.1:2")
    channels = {each["name"]: each for each in cli.items("channels", "list")}
    assert set(channels) == set(CHANNELS)
    # What the new channels serve, it no longer does; what was added by hand, it does.
    assert sorted(channels["simulator-openai"]["models"]) == ["gpt-5-5", "sora2"]
    assert channels["simulator-openai"]["base_urls"]["openai_chat"] == "http://127.0.0.1:2/openai/v1"


def test_a_channel_that_was_removed_stays_away(tmp_path: Path) -> None:
    cli = CommandLine(tmp_path / "data")
    prepared(tmp_path / "data")
    cli.answer("channels", "remove", "simulator-gemini")
    prepared(tmp_path / "data")
    assert "simulator-gemini" not in {each["name"] for each in cli.items("channels", "list")}


@pytest.mark.slow
def test_a_running_gateway_takes_in_what_a_command_changes_within_a_second(tmp_path: Path) -> None:
    assert POLL_S < 1, "so often it looks; what follows only waits, as long as a busy machine takes"
    cli = CommandLine(tmp_path / "data")
    with demo(tmp_path / "data", "--json") as (_, printed):
        started = json.loads(printed)
        key = cli.answer("keys", "create", "--name", "second", "--user", "admin@localhost")
        with httpx2.Client(base_url=started["base_url"], headers={"x-api-key": key["key"]}) as client:

            def status() -> int:
                return client.get("/v1/models").status_code

            def balance() -> str:
                return client.get("/v1/balance").json()["balance"]

            assert status() == 200
            assert balance() == "100.00"
            cli.answer("wallet", "topup", "1", "--user", "admin@localhost")
            assert eventually(lambda: balance() == "101.00")
            cli.answer("keys", "update", key["id"], "--status", "disabled")
            assert eventually(lambda: status() == 401)
            cli.answer("keys", "update", key["id"], "--status", "active")
            assert eventually(lambda: status() == 200)
            for channel in CHANNELS:
                cli.answer("channels", "disable", channel)
            assert eventually(lambda: client.get("/v1/models").json()["data"] == [])
            rotated = cli.answer("keys", "rotate", key["id"])
            assert eventually(lambda: status() == 401)
            client.headers["x-api-key"] = rotated["key"]
            assert eventually(lambda: status() == 200)
            cli.answer("keys", "revoke", key["id"])
            assert eventually(lambda: status() == 401)
        with httpx2.Client(base_url=started["base_url"]) as browser:
            login = {"email": started["admin"]["email"], "password": started["admin"]["password"]}
            assert browser.post("/api/v1/auth/login", json=login).status_code == 200
            assert browser.get("/api/v1/me/account").json()["balance"] == "101.00"


@pytest.mark.slow
def test_the_simulator_dies_with_a_killed_parent(tmp_path: Path) -> None:
    with demo(tmp_path / "data", "--json") as (process, _):
        (child,) = children(process.pid)
        process.kill()
        assert eventually(lambda: not alive(child))


@pytest.mark.slow
def test_a_simulator_that_dies_is_started_again_on_its_port() -> None:
    with SimulatorProcess() as simulator:
        first = simulator.pid
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: simulator.pid != first)

        def answers() -> bool:
            try:
                return httpx2.get(simulator.base_url + "/v1/models", timeout=20).status_code < 500
            except httpx2.HTTPError:
                return False

        assert eventually(answers)
        last = simulator.pid
    assert not alive(last)


@pytest.mark.slow
def test_the_simulator_runs_alone(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bytespike.cli.main", "simulator", "--port", "0", "--json"],
        env=KEPT,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        base_url = json.loads(process.stdout.readline())["base_url"]
        assert httpx2.get(base_url + "/v1/models", headers={"authorization": "Bearer any"}).status_code == 200
    finally:
        process.terminate()
        process.wait(120)
        if process.stdout is not None:
            process.stdout.close()
