"""Several channels for one model, each behind a front that a test can break: what routing is about.

A front passes requests on to the simulator, byte by byte, or does to them what its `mood` says. It runs on the gateway's
loop; what it keeps is read from the test's thread.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from bytespike.accounts import channels, groups, keys
from bytespike.accounts.channels import ChannelChanges, NewChannel
from bytespike.accounts.groups import NewGroup
from bytespike.accounts.keys import NewKey
from bytespike.testing.scripted_upstream import Peer, ScriptedUpstream
from tests.support.gateway import GPT, RunningGateway

#: What a front can do to a request besides passing it on ("well").
MOODS = ("500", "429", "reset", "close", "garbage", "html", "stall")
#: Where the simulator has each dialect.
PREFIXES = {
    "anthropic_messages": "/anthropic",
    "openai_chat": "/openai/v1",
    "openai_responses": "/openai/v1",
    "gemini": "/gemini",
}
JSON = (b"content-type", b"application/json")
_TALK = re.compile(rb"talk-(\d+) ")


class Front:
    """`mood`: what the next requests meet. `talks`: the talk of each request that came, in order (`said`)."""

    def __init__(self, host: str, port: int) -> None:
        self._behind = (host, port)
        self.upstream = ScriptedUpstream(self._handle)
        self.mood: Callable[[], str] = lambda: "well"
        self.retry_after = 1
        self.delay_s = 0.0
        self.talks: list[int] = []
        self.asked = 0
        self.spoilt = 0

    def be(self, mood: str) -> None:
        self.mood = lambda: mood

    async def _handle(self, peer: Peer) -> None:
        self.asked += 1
        named = _TALK.search(peer.request.body)
        self.talks.append(int(named[1]) if named else -1)
        mood = self.mood()
        if mood == "well":
            await self._pass_on(peer)
            return
        self.spoilt += 1
        match mood:
            case "429":
                headers = (JSON, (b"retry-after", b"%d" % self.retry_after))
                await peer.answer(429, headers, b'{"error":{"message":"slow down","code":"rate_limit"}}')
            case "reset":
                peer.reset()
            case "close":
                peer.close()
            case "garbage":
                await peer.send(b"\x00\x01 no HTTP at all\r\n\r\n")
                peer.close()
            case "html":
                await peer.answer(200, ((b"content-type", b"text/html"),), b"<html>Sign in</html>")
            case "stall":
                await peer.stall()
            case _:
                await peer.answer(int(mood), (JSON,), b'{"error":{"message":"no","type":"x","code":"x"}}')

    async def _pass_on(self, peer: Peer) -> None:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        request = peer.request
        reader, writer = await asyncio.open_connection(*self._behind)
        try:
            lines = [b"%b %b HTTP/1.1" % (request.method, request.target), b"connection: close"]
            lines += [b"%b: %b" % pair for pair in request.headers.items() if pair[0] != b"connection"]
            writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + request.body)
            await writer.drain()
            while data := await reader.read(65536):
                await peer.send(data)
            peer.close()
        finally:
            writer.transport.abort()


class Fleet:
    """`with Fleet(gateway, 3) as fleet`: a group whose key reaches `GPT` through so many channels. `speaks`: their
    dialects; a client of another one is translated."""

    def __init__(
        self,
        gateway: RunningGateway,
        count: int = 2,
        *,
        speaks: tuple[str, ...] = tuple(PREFIXES),
        priorities: tuple[int, ...] = (),
        **settings: Any,
    ) -> None:
        self.gateway = gateway
        behind = urlsplit(gateway.sim.base_url)
        self.fronts = [Front(str(behind.hostname), behind.port or 0) for _ in range(count)]
        self._speaks = speaks
        self._priorities = priorities or (0,) * count
        self._settings = settings
        self.ids: list[str] = []
        self.key = ""

    def __enter__(self) -> Fleet:
        self.gateway.run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self.gateway.run(self._close())

    async def _open(self) -> None:
        application = self.gateway.application
        tag = uuid4().hex[:12]
        for front in self.fronts:
            await front.upstream.__aenter__()
        async with application.control.writing("test") as write:
            self.group_id = (await groups.create(write, NewGroup(name=f"fleet {tag}"))).id
            for number, front in enumerate(self.fronts):
                urls = {
                    dialect: front.upstream.url + prefix if dialect in self._speaks else ""
                    for dialect, prefix in PREFIXES.items()
                }
                new = NewChannel(
                    name=f"fleet {tag} {number}",
                    platform="simulator",
                    credential=f"sim-good-{number}",
                    base_urls=urls,
                    models={GPT: GPT},
                    group_ids=(self.group_id,),
                    priority=self._priorities[number],
                    **self._settings,
                )
                self.ids.append((await channels.create(write, new)).channel.id)
        self.key = await self.new_key(self.gateway.user)
        self.headers = {"x-api-key": self.key}

    async def _close(self) -> None:
        for front in self.fronts:
            await front.upstream.__aexit__(None, None, None)
        async with self.gateway.application.control.writing("test") as write:
            for channel_id in self.ids:
                await channels.remove(write, channel_id)
        await self.gateway.application.parts.directory.poll()

    async def new_key(self, user_id: str) -> str:
        async with self.gateway.application.control.writing("test") as write:
            minted = await keys.create(
                write, NewKey(name=uuid4().hex, user_id=user_id, group_id=self.group_id)
            )
        await self.gateway.application.parts.directory.poll()
        return minted.plaintext

    def change(self, number: int, **changes: Any) -> None:
        async def change() -> None:
            async with self.gateway.application.control.writing("test") as write:
                await channels.update(write, self.ids[number], ChannelChanges(**changes))
            await self.gateway.application.parts.directory.poll()

        self.gateway.run(change())

    def row(self, number: int) -> Any:
        """The channel as it is stored."""

        async def row() -> Any:
            async with self.gateway.application.control.reading() as connection:
                return (await channels.get(connection, self.ids[number])).channel

        return self.gateway.run(row())

    @property
    def asked(self) -> list[int]:
        return [front.asked for front in self.fronts]

    def forget(self) -> None:
        for front in self.fronts:
            front.asked = front.spoilt = 0
            front.talks.clear()

    def heal(self) -> None:
        for front in self.fronts:
            front.be("well")
        self.gateway.heal()


def said(talk: int, turns: int, text: str = "hello") -> list[str]:
    """What was said in a talk up to the user's turn of that number (from 1); the assistant's words come between."""
    lines = [f"talk-{talk} {text}"]
    for turn in range(2, turns + 1):
        lines += [f"answer {turn - 1}", f"and turn {turn}?"]
    return lines


def asking(
    dialect: str, lines: list[str], *, stream: bool = False, system: str = "Be brief.", **members: Any
) -> tuple[str, bytes]:
    """Path and body of a request with that conversation."""
    roles = ["user" if number % 2 == 0 else "assistant" for number in range(len(lines))]
    turns: list[dict[str, Any]] = [
        {"role": role, "content": line} for role, line in zip(roles, lines, strict=True)
    ]
    path = {
        "anthropic_messages": "/v1/messages",
        "openai_chat": "/v1/chat/completions",
        "openai_responses": "/v1/responses",
    }.get(dialect)
    if path is None:
        action = "streamGenerateContent?alt=sse" if stream else "generateContent"
        contents = [
            {"role": "model" if role == "assistant" else role, "parts": [{"text": line}]}
            for role, line in zip(roles, lines, strict=True)
        ]
        body = {"contents": contents, "systemInstruction": {"parts": [{"text": system}]}, **members}
        return f"/v1beta/models/{GPT}:{action}", json.dumps(body).encode()
    body = {"model": GPT, "stream": stream}
    if dialect == "anthropic_messages":
        body |= {"max_tokens": 100, "system": system, "messages": turns}
    elif dialect == "openai_chat":
        body |= {"messages": [{"role": "system", "content": system}, *turns]}
    else:
        body |= {"instructions": system, "input": turns, "store": False}
    return path, json.dumps(body | members).encode()


#: How each dialect's stream says that it is whole.
ENDINGS = {
    "anthropic_messages": b"message_stop",
    "openai_chat": b"[DONE]",
    "openai_responses": b"response.completed",
    "gemini": b"finishReason",
}


def whole(dialect: str, body: bytes, *, stream: bool) -> bool:
    """An answer that ends as it should, and is no error."""
    if stream:
        return ENDINGS[dialect] in body and b'"error":{' not in body and b'"error": {' not in body
    answer = json.loads(body)
    return "error" not in answer or answer["error"] is None
