"""Channels of a running gateway whose upstream says what a test puts into its mouth, in each dialect."""

from __future__ import annotations

import json
from typing import Any

from bytespike.accounts import channels, groups, keys
from bytespike.accounts.channels import NewChannel
from bytespike.accounts.groups import NewGroup
from bytespike.accounts.keys import NewKey
from bytespike.testing.scripted_upstream import Headers, Peer, ScriptedUpstream
from tests.support.gateway import CLAUDE, RunningGateway
from tests.support.raw_http import Answer

DIALECTS = ("anthropic_messages", "openai_chat", "openai_responses", "gemini")
_PREFIX = {
    "anthropic_messages": "/anthropic",
    "openai_chat": "/openai/v1",
    "openai_responses": "/openai/v1",
    "gemini": "/gemini",
}
JSON: Headers = ((b"content-type", b"application/json"),)
EVENTS: Headers = ((b"content-type", b"text/event-stream"),)


class ErrorHouse:
    """`say` what the upstream answers, then `ask`. `asked`: how often it was."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.gateway = gateway
        self._upstream = ScriptedUpstream(self._answer)
        self._says: tuple[int, Headers, bytes] = (200, JSON, b"")
        self._keys: dict[tuple[str, bool], str] = {}
        self.channel_ids: dict[str, str] = {}
        self.asked = 0

    async def _answer(self, peer: Peer) -> None:
        self.asked += 1
        await peer.answer(*self._says)

    async def open(self) -> None:
        """For each upstream dialect a group with the channel alone, and one with a healthy channel behind it."""
        await self._upstream.__aenter__()
        application = self.gateway.application
        healthy_groups: list[int] = []
        async with application.control.writing("test") as write:
            for dialect in DIALECTS:
                both: list[int] = []
                for second in (False, True):
                    name = f"errors {dialect} {second}"
                    group = await groups.create(write, NewGroup(name=name))
                    new = NewKey(name=name, user_id=self.gateway.user, group_id=group.id)
                    self._keys[dialect, second] = (await keys.create(write, new)).plaintext
                    both.append(group.id)
                healthy_groups.append(both[1])
                urls = {**dict.fromkeys(DIALECTS, ""), dialect: self._upstream.url}
                view = await channels.create(write, _channel(f"errors {dialect}", urls, tuple(both), 0))
                self.channel_ids[dialect] = view.channel.id
            sim = {dialect: self.gateway.sim.base_url + prefix for dialect, prefix in _PREFIX.items()}
            await channels.create(write, _channel("errors healthy", sim, tuple(healthy_groups), 1))
        await application.parts.directory.poll()

    async def close(self) -> None:
        await self._upstream.__aexit__(None, None, None)

    def say(self, status: int, body: bytes, headers: Headers = JSON) -> None:
        self._says = (status, headers, body)
        self.asked = 0
        self.gateway.heal()

    def ask(self, client: str, upstream: str, *, second: bool = False, stream: bool = False) -> Answer:
        key = self._keys[upstream, second]
        path, body = request(client, stream=stream)
        return self.gateway.post(path, body, {"x-api-key": key})

    def enabled(self, upstream: str) -> bool:
        """Whether its channel is."""
        routes = self.gateway.application.parts.directory.routes
        return routes.channels[self.channel_ids[upstream]].enabled

    def enable(self, upstream: str) -> None:
        """Somebody has looked."""

        async def enable() -> None:
            application = self.gateway.application
            async with application.control.writing("test") as write:
                changes = channels.ChannelChanges(enabled=True)
                await channels.update(write, self.channel_ids[upstream], changes)
            await application.parts.directory.poll()

        self.gateway.run(enable())


def request(client: str, *, stream: bool = False) -> tuple[str, bytes]:
    """A simple request in a dialect: its path and its body."""
    messages = [{"role": "user", "content": "hello"}]
    body: dict[str, Any] = {"model": CLAUDE, "stream": stream}
    if client == "gemini":
        way = "streamGenerateContent?alt=sse" if stream else "generateContent"
        contents = [{"role": "user", "parts": [{"text": "hello"}]}]
        return f"/v1beta/models/{CLAUDE}:{way}", json.dumps({"contents": contents}).encode()
    if client == "anthropic_messages":
        path, more = "/v1/messages", {"max_tokens": 64, "messages": messages}
    elif client == "openai_chat":
        path, more = "/v1/chat/completions", {"max_tokens": 64, "messages": messages}
    else:
        path, more = "/v1/responses", {"input": messages, "store": False}
    return path, json.dumps({**body, **more}).encode()


def _channel(name: str, urls: dict[str, str], group_ids: tuple[int, ...], priority: int) -> NewChannel:
    return NewChannel(
        name=name,
        platform="simulator",
        credential="sim-good",
        base_urls=urls,
        models={CLAUDE: CLAUDE},
        group_ids=group_ids,
        priority=priority,
    )
