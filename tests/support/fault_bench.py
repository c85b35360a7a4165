"""A gateway whose channels go through a relay with faults, for each dialect, with and without a healthy second channel."""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import trustme

from bytespike.accounts import channels, groups, keys
from bytespike.accounts.channels import NewChannel
from bytespike.accounts.groups import NewGroup
from bytespike.accounts.keys import NewKey
from bytespike.testing.fault_kinds import FAULTS
from bytespike.testing.fault_listener import FullListener
from bytespike.testing.fault_relay import NO_FAULT, Fault, FaultRelay
from tests.support.fault_cases import CASES, DIALECTS, ROWS, SHORT, Case
from tests.support.gateway import CLAUDE, RunningGateway
from tests.support.raw_http import Answer

#: Under the simulator's address.
_PREFIX = {
    "anthropic_messages": "/anthropic",
    "openai_chat": "/openai/v1",
    "openai_responses": "/openai/v1",
    "gemini": "/gemini",
}
#: The deadline that has to strike where an upstream stalls, seconds; all others are the gateway's. They all stall at once,
#: and a stream must have begun before it may be given up.
STALLED = {
    "stalls_unanswered": {"first_byte": 1.0},
    "stalls_after_head": {"idle": 1.0},
    "stalls_within": {"idle": 3.0},
    "half_open": {"connect": 1.0},
}

STALLING = tuple(fault for fault in FAULTS if fault.stalls)
#: What cannot be a fault of an answer: there is no connection, or no trust.
UNREACHABLE = ("refused", "untrusted", "no_tls", "wrong_name")


class Bench:
    """`with Bench(folder) as bench`. All of it runs on the gateway's loop; tests ask from theirs."""

    def __init__(self, data_dir: Path) -> None:
        authority = trustme.CA()
        data_dir.mkdir(parents=True, exist_ok=True)
        authority.cert_pem.write_to_path(str(data_dir / "ca.pem"))
        self._good = _serving(authority, "127.0.0.1", "localhost")
        self._misnamed = _serving(authority, "elsewhere.example")
        self._untrusted = _serving(trustme.CA(), "127.0.0.1")
        self.gateway = RunningGateway(data_dir, ca_file=data_dir / "ca.pem", answer_bytes_max=1 << 20)
        self._stack = AsyncExitStack()
        self._full = FullListener()
        #: Bound and not listening: connections are refused, and nobody else gets the port.
        self._deaf = socket.socket()
        self._deaf.bind(("127.0.0.1", 0))
        self._keys: dict[str, str] = {}
        self._group_ids: dict[str, int] = {}
        self._new_channels: list[NewChannel] = []

    def __enter__(self) -> Bench:
        self.gateway.__enter__()
        self._full.__enter__()
        self.gateway.run(self._open())
        self.idle_tasks = self.tasks()
        return self

    def __exit__(self, *_: object) -> None:
        self._full.__exit__(None, None, None)
        self._deaf.close()
        self.gateway.run(self._stack.aclose())
        self.gateway.__exit__()

    # --- furnishing ----------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        sim = self.gateway.sim
        host, port = "127.0.0.1", int(sim.base_url.rsplit(":", 1)[1])

        async def relay(tls: ssl.SSLContext | None = None) -> FaultRelay:
            return await self._stack.enter_async_context(FaultRelay(host, port, tls=tls))

        self.relay = await relay()
        self.tls_relay = await relay(self._good)
        untrusted, misnamed = await relay(self._untrusted), await relay(self._misnamed)
        urls = {
            "plain": self.relay.url,
            "tls": self.tls_relay.url,
            "refused": f"http://127.0.0.1:{self._deaf.getsockname()[1]}",
            "untrusted": untrusted.url,
            "wrong_name": misnamed.url,
            "no_tls": await self._stack.enter_async_context(_plain_server()),
        }
        for place, url in urls.items():
            for client, upstream in ROWS if place == "plain" else ROWS[:4]:
                await self._plan(place, client, upstream, url)
        self.stallers = [await relay() for _ in STALLING]
        for fault, staller in zip(STALLING, self.stallers, strict=True):
            staller.strike(fault)
            await self._plan_stalls(fault.name, staller.url)
        await self._plan_stalls("half_open", f"http://{self._full.host}:{self._full.port}")
        await self._create()

    async def _plan_stalls(self, place: str, url: str) -> None:
        """A channel for each case: one that has failed would not be asked again by the next."""
        for case in CASES:
            await self._plan(f"{place}-{case}", case.client, case.upstream, url, STALLED[place])

    async def _plan(
        self, place: str, client: str, upstream: str, url: str, deadlines: dict[str, float] | None = None
    ) -> None:
        """A channel of its own for one dialect, in a group where it is alone and one where it is not."""
        name = _channel(place, client, upstream)
        self._group_ids[f"{name}-alone"] = self._group_ids[f"{name}-second"] = 0
        self._new_channels.append(
            NewChannel(
                name=name,
                platform="simulator",
                credential="sim-good",
                base_urls=_only(upstream, url + _PREFIX[upstream]),
                models={CLAUDE: CLAUDE},
                group_ids=(),
                timeouts=deadlines or {},
            )
        )

    async def _create(self) -> None:
        application = self.gateway.application
        user = await self.gateway._new_user(1_000_000_000, concurrency=1000)
        self.user = user
        async with application.control.writing("test") as write:
            for name in self._group_ids:
                group = await groups.create(write, NewGroup(name=name))
                self._group_ids[name] = group.id
                minted = await keys.create(write, NewKey(name=name, user_id=user, group_id=group.id))
                self._keys[name] = minted.plaintext
            for new in self._new_channels:
                both = tuple(self._group_ids[f"{new.name}-{each}"] for each in ("alone", "second"))
                await channels.create(write, _in_groups(new, both))
            healthy = NewChannel(
                name="healthy",
                platform="simulator",
                credential="sim-good",
                base_urls={each: self.gateway.sim.base_url + _PREFIX[each] for each in DIALECTS},
                models={CLAUDE: CLAUDE},
                group_ids=tuple(id for name, id in self._group_ids.items() if name.endswith("-second")),
                priority=1,
            )
            await channels.create(write, healthy)
        await application.parts.directory.poll()

    # --- asking --------------------------------------------------------------------------------------------------

    def ask(self, case: Case, place: str = "plain", relay: FaultRelay | None = None) -> Answer:
        """One request, on a connection of its own. The relay is told when the client has seen the first of a stream."""
        key = self._keys[
            f"{_channel(place, case.client, case.upstream)}-{'second' if case.second else 'alone'}"
        ]
        path, body = _request(case)
        connection = http.client.HTTPConnection(self.gateway.host, self.gateway.port, timeout=60)
        try:
            headers = {"x-api-key": key, "content-type": "application/json"}
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            seen = answer.read1(1) if case.stream else b""
            if seen and relay is not None:
                self.gateway.run(_told(relay))
            return Answer(
                answer.status,
                {name.lower(): value for name, value in answer.getheaders()},
                seen + answer.read(),
            )
        finally:
            connection.close()

    def left(self) -> int:
        """Micro-dollars in the wallet, with what is held taken off, as the gateway knows it without its database."""
        key = next(iter(self._keys.values()))
        answer = self.gateway.request("GET", "/v1/balance", headers={"x-api-key": key})
        assert answer.status == 200, answer.body
        return self.gateway.micro(answer.headers["x-quota-remaining-credits"])

    # --- looking -------------------------------------------------------------------------------------------------

    def tasks(self) -> frozenset[str]:
        """What runs on the gateway's loop, but for connections of the doubles and of clients that are just leaving."""

        async def names() -> frozenset[str]:
            return frozenset(
                f"{task.get_name()} {task.get_coro()}"
                for task in asyncio.all_tasks()
                if task is not asyncio.current_task() and not task.get_name().startswith("scripted upstream")
            )

        return self.gateway.run(names())

    def nothing_left_over(self) -> None:
        """No hold, no connection in use, nobody who waits for one, no task, no socket of the relays in use."""
        self.gateway.nothing_left_over()
        self.gateway.until(lambda: self.tasks() <= self.idle_tasks)

    def objects(self) -> int:
        """What is alive of ours and of asyncio's: values, connections, tasks, errors, suspended functions. Without what the
        doubles keep for their tests, and without what libraries cache, which comes and goes."""

        async def forget() -> None:
            for relay in (self.relay, self.tls_relay, *self.stallers):
                relay.forget()

        self.gateway.run(forget())
        self.gateway.forget_upstream_requests()
        self.gateway.settled()
        gc.collect()
        return sum(1 for each in gc.get_objects() if _is_ours(each))


# --- within ----------------------------------------------------------------------------------------------------------


def _request(case: Case) -> tuple[str, bytes]:
    words = "[[sim: tokens=12]] hello"
    messages = [{"role": "user", "content": words}]
    body: dict[str, Any] = {"model": CLAUDE, "stream": case.stream}
    if case.client == "anthropic_messages":
        path, more = "/v1/messages", {"max_tokens": 64, "messages": messages}
    elif case.client == "openai_chat":
        path, more = "/v1/chat/completions", {"max_tokens": 64, "messages": messages}
    elif case.client == "openai_responses":
        path, more = "/v1/responses", {"max_output_tokens": 64, "input": messages, "store": False}
    else:
        events = "" if case.array else "?alt=sse"
        way = f"streamGenerateContent{events}" if case.stream else "generateContent"
        contents = [{"role": "user", "parts": [{"text": words}]}]
        told = {"contents": contents, "generationConfig": {"maxOutputTokens": 64}}
        return f"/v1beta/models/{CLAUDE}:{way}", json.dumps(told).encode()
    return path, json.dumps({**body, **more}).encode()


def _channel(place: str, client: str, upstream: str) -> str:
    return f"{place} {SHORT[client]}-{SHORT[upstream]}"


def _only(dialect: str, url: str) -> dict[str, str]:
    return {**dict.fromkeys(DIALECTS, ""), dialect: url}


def _in_groups(new: NewChannel, group_ids: tuple[int, ...]) -> NewChannel:
    return NewChannel(
        **{**{name: getattr(new, name) for name in new.__struct_fields__}, "group_ids": group_ids}
    )


async def _told(relay: FaultRelay) -> None:
    relay.saw()


@asynccontextmanager
async def _plain_server() -> AsyncGenerator[str]:
    """An https URL of a server that speaks no TLS, and says so."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\nThis is plain HTTP.")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _is_ours(thing: object) -> bool:
    kind = type(thing)
    return (
        str(kind.__module__).startswith(("bytespike", "asyncio", "_asyncio", "ssl", "_ssl"))
        or kind.__name__ in ("coroutine", "async_generator", "frame", "traceback")
        or issubclass(kind, BaseException)
    )


def _serving(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def strike(bench: Bench, fault: Fault = NO_FAULT) -> None:
    """Both relays deliver like this from now on."""

    async def on_loop() -> None:
        bench.relay.strike(fault)
        bench.tls_relay.strike(fault)

    bench.gateway.run(on_loop())
