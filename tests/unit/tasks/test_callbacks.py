"""Callbacks: signed, repeated where that makes sense, each try recorded, and never to a private address."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select, update

from bytespike.errors import InvalidRequest
from bytespike.media.tasks.callbacks import check_callback_url, parse_callback_url, signature
from bytespike.store.engine import reading
from bytespike.store.media_tables import callbacks
from bytespike.store.tables import keys
from bytespike.testing.scripted_upstream import Peer
from bytespike.upstream.guard import GuardedResolver
from bytespike.upstream.resolver import SystemResolver
from tests.support.ledger_house import House
from tests.support.render_upstream import Asked, RenderUpstream
from tests.support.task_house import HURRY, PATIENCE_S, Process, live

API_KEY = "sk-byts-a-key-for-tests"


async def tries(house: House, task_id: str, count: int) -> list[tuple[int, int, str]]:
    """The attempts of a task, their statuses and errors, once so many are over and none is to be made."""
    query = select(callbacks).where(callbacks.c.task_id == task_id).order_by(callbacks.c.attempt)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with reading(house.engine) as connection:
                found = (await connection.execute(query)).all()
            if len(found) >= count and all(row.due_at is None for row in found):
                return [(row.attempt, row.status, row.error) for row in found]
            await asyncio.sleep(0.02)


def receiving(*answers: Asked) -> object:
    left = list(answers)

    async def script(peer: Peer) -> Asked | None:
        if peer.request.target == b"/callback" and left:
            return left.pop(0)
        return None

    return script


@asynccontextmanager
async def forbidden() -> AsyncIterator[tuple[str, list[object]]]:
    """A server at another loopback address that nobody may call: its URL, and who did."""
    met: list[object] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(writer.get_extra_info("peername"))
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.2", 0)
    try:
        yield f"http://127.0.0.2:{server.sockets[0].getsockname()[1]}/callback", met
    finally:
        server.close()
        await server.wait_closed()


def test_a_callback_brings_the_querys_body_with_a_signature_that_the_keys_owner_can_check(
    tmp_path: Path,
) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        async with house.engine.begin() as connection:
            digest = hashlib.sha256(API_KEY.encode()).hexdigest()
            await connection.execute(update(keys).values(hash=digest))
        task = (await one.submit(callback_url=f"{provider.url}/callback")).task
        assert await tries(house, task.id, 1) == [(1, 200, "")]
        ((told, body, signed),) = provider.callbacks
        assert told == {"task_id": task.id, "status": "completed"}
        # As docs/howto/callbacks.md tells receivers to do it.
        secret = hashlib.sha256(API_KEY.encode()).hexdigest()
        assert hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() == signed

    live(tmp_path, life)


def test_tasks_that_fail_or_are_cancelled_are_told_too(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        failed = msgspec.json.encode({"id": "r", "state": "failed", "error": "no"})

        async def script(peer: Peer) -> Asked | None:
            if peer.request.target.startswith(b"/renders/") and peer.request.method == b"GET":
                return Asked(body=failed)
            return None

        provider.script = script
        task = (await one.submit(callback_url=f"{provider.url}/callback")).task
        await tries(house, task.id, 1)
        assert [told["status"] for told, _, _ in provider.callbacks] == ["failed"]

    live(tmp_path, life)


def test_one_that_is_cancelled_before_it_began_is_told(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        task = (await one.submit(callback_url=f"{provider.url}/callback")).task
        await one.desk.cancel(one.key.id, task_id=task.id)
        await one.worker.start()
        try:
            assert await tries(house, task.id, 1) == [(1, 200, "")]
        finally:
            await one.worker.stop()
        assert [told["status"] for told, _, _ in provider.callbacks] == ["cancelled"]

    live(tmp_path, life, working=False)


def test_a_receiver_that_fails_twice_is_told_the_third_time(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        provider.script = receiving(Asked(status=500), Asked(cut=True))
        task = (await one.submit(callback_url=f"{provider.url}/callback")).task
        assert await tries(house, task.id, 3) == [(1, 500, "answered"), (2, 0, "reset"), (3, 200, "")]
        assert len(provider.callbacks) == 1

    live(tmp_path, life)


def test_three_failures_are_the_end(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        provider.script = receiving(*[Asked(status=503)] * 9)
        task = (await one.submit(callback_url=f"{provider.url}/callback")).task
        assert await tries(house, task.id, 3) == [(n, 503, "answered") for n in (1, 2, 3)]
        assert sum(target == b"/callback" for target in provider.targets) == 3

    live(tmp_path, life)


def test_a_receiver_that_hangs_is_given_up_and_tried_again(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        async def script(peer: Peer) -> Asked | None:
            if peer.request.target == b"/callback":
                await asyncio.sleep(600)
            return None

        provider.script = script
        task = (await one.submit(callback_url=f"{provider.url}/callback")).task
        found = await tries(house, task.id, 3)
        assert [(attempt, status) for attempt, status, _ in found] == [(1, 0), (2, 0), (3, 0)]
        assert all(error.startswith("timeout") for _, _, error in found)

    live(tmp_path, life, pace=msgspec.structs.replace(HURRY, callback_timeout_s=0.3))


@pytest.mark.parametrize("status", [400, 404, 410, 429])
def test_a_receiver_that_says_no_is_not_asked_again(tmp_path: Path, status: int) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        provider.script = receiving(Asked(status=status))
        task = (await one.submit(callback_url=f"{provider.url}/callback")).task
        assert await tries(house, task.id, 1) == [(1, status, "answered")]
        assert not provider.callbacks

    live(tmp_path, life)


def test_a_redirect_to_a_private_address_is_not_followed(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        async with forbidden() as (url, met):
            location = (b"location", url.encode())
            provider.script = receiving(Asked(status=307, headers=(location,)))
            task = (await one.submit(callback_url=f"{provider.url}/callback")).task
            assert await tries(house, task.id, 1) == [(1, 307, "redirected")]
            assert not met

    live(tmp_path, life)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.2", "2130706434", "0x7f.2", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.2]"],
)
def test_a_private_address_is_refused_when_the_task_is_submitted(tmp_path: Path, host: str) -> None:
    async def run() -> None:
        with pytest.raises(InvalidRequest) as caught:
            await check_callback_url(f"http://{host}:8080/callback", GuardedResolver(SystemResolver()))
        assert caught.value.param == "callback_url"

    asyncio.run(run())


def test_a_name_that_turns_private_after_the_submission_is_not_called(tmp_path: Path) -> None:
    class Turning:
        """Public when the task is submitted, the server's own machine when it is over."""

        public_only = False
        addresses = ("93.184.215.14",)

        async def resolve(self, host: str, port: int) -> tuple[str, ...]:
            return self.addresses

        def forget(self, host: str) -> None:
            pass

    names = Turning()

    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        async with forbidden() as (url, met):
            port = url.rsplit(":", 1)[1].partition("/")[0]
            task = (await one.submit(callback_url=f"http://receiver.example:{port}/callback")).task
            names.addresses = ("127.0.0.2",)
            await one.worker.start()
            try:
                assert await tries(house, task.id, 1) == [(1, 0, "blocked")]
            finally:
                await one.worker.stop()
            assert not met

    live(tmp_path, life, names=names, working=False)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "http://user:password@example.com/",
        "http://example.com:25/",
        "example.com/callback",
        "http:///callback",
        "http://example.com/" + "x" * 2048,
        "file:///etc/passwd",
    ],
)
def test_urls_that_are_never_called(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_callback_url(url)
    assert caught.value.param == "callback_url"
    assert "password" not in caught.value.message


def test_a_try_that_somebody_died_in_is_recorded_and_the_next_follows_at_once(tmp_path: Path) -> None:
    async def life(house: House, one: Process, provider: RenderUpstream) -> None:
        task = (await one.submit(callback_url=f"{provider.url}/callback")).task
        await one.desk.cancel(one.key.id, task_id=task.id)
        async with house.engine.begin() as connection:
            await connection.execute(update(callbacks).values(at=1))
        await one.worker.start()
        try:
            assert await tries(house, task.id, 2) == [(1, 0, "interrupted"), (2, 200, "")]
        finally:
            await one.worker.stop()

    live(tmp_path, life, working=False)


def test_the_signature_is_hexadecimal_and_of_the_whole_body() -> None:
    signed = signature(b"{}", "00" * 32)
    assert len(signed) == 64
    assert set(signed) <= set("0123456789abcdef")
    assert signed != signature(b"{} ", "00" * 32)
    assert signed != signature(b"{}", "01" * 32)
