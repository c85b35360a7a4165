"""At any moment the price of a model is the newest whose time has come, in every gateway, whatever the clock does: it
may be set forward or back, and prices may be set for now or for later, for a channel or for all."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bytespike.accounts import prices
from bytespike.accounts.directory import Directory
from bytespike.accounts.prices import Rates
from tests.support.control_plane import DEFAULT_PRICE, Plane, plane

SECOND_US = 1_000_000
CHANNELS = ("one", "two")


class Set(NamedTuple):
    """A price set for so many seconds ahead; `channel` None: for all."""

    ahead_s: int
    channel: str | None


class Jump(NamedTuple):
    """Somebody sets the clock, or time goes by."""

    seconds: int


steps = st.lists(
    st.one_of(
        st.builds(Set, st.sampled_from((0, 0, 3, 10, 60)), st.sampled_from((None, *CHANNELS))),
        st.builds(Jump, st.integers(-70, 70)),
    ),
    max_size=14,
)


class Known(NamedTuple):
    begins_us: int
    number: int
    channel: str | None


def expected(known: list[Known], channel: str, now_us: int) -> str:
    for scope in (channel, None):
        holding = [each for each in known if each.channel == scope and each.begins_us <= now_us]
        if holding:
            return f"price_{max(holding).number}"
    return DEFAULT_PRICE.id


async def check(p: Plane, directories: list[Directory], ids: dict[str, str], known: list[Known]) -> None:
    for directory in directories:
        await directory.poll()
        now_us = p.clock.now_us()
        for name, id in ids.items():
            price = directory.routes.channels[id].models["gpt-5-5"].price
            # A price that began in the microseconds since is not yet looked at.
            assert price.id in {expected(known, name, now_us), expected(known, name, now_us - SECOND_US // 2)}
            if price.id != DEFAULT_PRICE.id:
                assert price.input == int(price.id.removeprefix("price_"))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps)
def test_the_newest_price_whose_time_has_come_holds(found: list[Set | Jump]) -> None:
    async def main(folder: Path) -> None:
        async with plane(folder) as p:
            group = await p.group()
            ids = {name: (await p.channel(group, name)).channel.id for name in CHANNELS}
            directories = [p.directory(), p.directory()]
            for directory in directories:
                await directory.start()
            known: list[Known] = []
            for step in found:
                if isinstance(step, Jump):
                    p.clock.ahead_us += step.seconds * SECOND_US
                else:
                    number = len(known) + 1
                    async with p.control.writing("test") as write:
                        begins_us = write.now_us + step.ahead_s * SECOND_US
                        await prices.set_price(
                            write,
                            "gpt-5-5",
                            Rates(input=number),
                            p.default_prices.get,
                            channel_id=None if step.channel is None else ids[step.channel],
                            effective_at=begins_us,
                        )
                    known.append(Known(begins_us, number, step.channel))
                # The second gateway looks only now and then: what it missed, it must catch up with.
                await check(p, directories[:1], ids, known)
            await check(p, directories, ids, known)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))
