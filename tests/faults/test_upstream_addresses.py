"""Names with several addresses, names that lead inside, and names that change their mind."""

from __future__ import annotations

import pytest

from bytespike.testing.fault_listener import FullListener
from bytespike.testing.scripted_upstream import ScriptedUpstream, sending, whole
from bytespike.upstream.errors import TransportError
from bytespike.upstream.guard import GuardedResolver
from bytespike.upstream.limits import Timeouts
from bytespike.upstream.resolver import SystemResolver
from bytespike.wire.address import Origin, split_url
from tests.support.transport import LIMIT, POST, TIMEOUTS, assert_nothing_left, both_loops, open_client


class Scripted:
    """A resolver that gives these answers, one after the other, the last for ever."""

    public_only = False

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.forgotten: list[str] = []

    async def resolve(self, host: str, port: int) -> tuple[str, ...]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def forget(self, host: str) -> None:
        self.forgotten.append(host)


@both_loops
def test_every_address_is_tried_and_the_name_stays_in_the_host_header(run):
    async def main():
        # Nothing listens on 127.0.0.2, and ::1 has no such port either.
        resolver = Scripted(("127.0.0.2", "::1", "127.0.0.1"))
        async with (
            ScriptedUpstream(sending(whole(200, (), b"ok"))) as upstream,
            open_client(resolver=resolver) as client,
        ):
            origin = Origin("http", "name.test", upstream.port)
            answer = await client.request(origin, POST, b"/", b"", b"", TIMEOUTS)
            assert await answer.read(LIMIT) == b"ok"
            assert upstream.requests[0].headers[b"host"] == b"name.test:%d" % upstream.port
            assert resolver.forgotten == []

    run(main())


@both_loops
def test_an_address_that_swallows_packets_leaves_time_for_the_next(run):
    async def main():
        resolver = Scripted(("127.0.0.3", "127.0.0.1"))
        async with (
            ScriptedUpstream(sending(whole(200, (), b"ok"))) as upstream,
            open_client(resolver=resolver) as client,
        ):
            with FullListener("127.0.0.3", upstream.port):
                origin = Origin("http", "name.test", upstream.port)
                answer = await client.request(origin, POST, b"/", b"", b"", Timeouts(connect=0.6))
                assert await answer.read(LIMIT) == b"ok"

    run(main())


@both_loops
def test_if_no_address_answers_the_name_is_looked_up_anew_the_next_time(run):
    async def main():
        async with ScriptedUpstream(sending(whole())) as upstream:
            gone = upstream.port
        resolver = Scripted(("127.0.0.1", "127.0.0.2"))
        async with open_client(resolver=resolver) as client:
            with pytest.raises(TransportError) as caught:
                await client.request(Origin("http", "name.test", gone), POST, b"/", b"", b"", TIMEOUTS)
            assert (caught.value.kind, caught.value.sent) == ("connect", False)
            assert "refused" in str(caught.value)
            assert resolver.forgotten == ["name.test"]
            assert_nothing_left(client)

    run(main())


@both_loops
def test_a_name_that_does_not_exist_is_a_connect_error(run):
    async def main():
        async with open_client() as client:
            origin = Origin("http", "no-such-host.invalid", 80)
            with pytest.raises(TransportError) as caught:
                await client.request(origin, POST, b"/", b"", b"", TIMEOUTS)
            assert (caught.value.kind, caught.value.sent) == ("connect", False)

    run(main())


@both_loops
@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "0", "[::1]", "[::]", "[::ffff:127.0.0.1]"],
)
def test_no_spelling_of_an_inner_address_gets_past_the_guard(run, host):
    async def main():
        resolver = GuardedResolver(SystemResolver())
        async with (
            ScriptedUpstream(sending(whole())) as upstream,
            open_client(resolver=resolver) as client,
        ):
            origin, target = split_url(f"http://{host}:{upstream.port}/latest/meta-data")
            with pytest.raises(TransportError) as caught:
                await client.request(origin, b"GET", target, b"", b"", TIMEOUTS)
            assert (caught.value.kind, caught.value.sent) == ("blocked", False)
            assert upstream.connections == []
            assert_nothing_left(client)

    run(main())


@both_loops
def test_a_guard_that_is_off_lets_operators_reach_their_own_network(run):
    async def main():
        resolver = GuardedResolver(SystemResolver(), public_only=False)
        async with (
            ScriptedUpstream(sending(whole(200, (), b"ok"))) as upstream,
            open_client(resolver=resolver) as client,
        ):
            answer = await client.request(
                Origin("http", "127.0.0.1", upstream.port), POST, b"/", b"", b"", TIMEOUTS
            )
            assert await answer.read(LIMIT) == b"ok"

    run(main())


@both_loops
def test_a_name_that_changes_its_mind_is_asked_once_and_only_the_checked_address_is_used(run):
    async def main():
        async with ScriptedUpstream(sending(whole())) as upstream:
            # The first look-up gives a public address and an inner one; a second look-up would give the inner alone.
            resolver = Scripted(("127.0.0.1", "192.0.43.8"), ("127.0.0.1",))
            async with open_client(resolver=GuardedResolver(resolver)) as client:
                origin = Origin("http", "rebinding.test", upstream.port)
                with pytest.raises(TransportError) as caught:
                    await client.request(origin, POST, b"/", b"", b"", Timeouts(connect=0.3))
                # The public address is tried (and not reachable from a test); the inner one never is.
                assert caught.value.kind in ("connect", "timeout_connect")
                assert resolver.asked == 1
                with pytest.raises(TransportError) as caught:
                    await client.request(origin, POST, b"/", b"", b"", TIMEOUTS)
                assert caught.value.kind == "blocked"
                assert upstream.connections == []

    run(main())
