"""Four workers, and no more requests in flight than a user may have, whatever the crowd."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bytespike.providers.simulator.server import Simulator
from tests.support.gateway import GPT, RunningGateway
from tests.support.raw_http import Answer
from tests.support.served import Served, chat, crowd_until, doctor
from tests.support.shared_caps import CROWD, USD, WORKERS, Spend

pytestmark = pytest.mark.slow

#: In flight at once, at most; and answers, so many times as many: slots that came back are given again.
SLOTS = 5
TIMES = 8


def test_five_in_flight_and_no_more_whatever_the_crowd(
    tmp_path: Path, database: str, many_files: None
) -> None:
    """All ask at once, and each again a second after it was refused."""
    with Simulator() as sim:
        with RunningGateway(tmp_path, simulator=sim, database_url=database) as gateway:
            user = gateway.new_user(100 * USD, concurrency=SLOTS)
            key = gateway.new_key(user)
        served = Served(tmp_path, WORKERS, database)
        body = chat(GPT, 10, "tokens=5 delay=0.15")

        def enough(answers: list[Answer]) -> bool:
            """Everybody was answered once, and so many were let in."""
            return len(answers) >= CROWD and sum(answer.status == 200 for answer in answers) >= TIMES * SLOTS

        try:
            answers = asyncio.run(crowd_until(enough, served.port, key, body, CROWD, pause_s=1.0))
        finally:
            assert served.stop() == 0
        assert {answer.status for answer in answers} == {200, 429}
        assert Spend(database).most_at_once == SLOTS
        doctor(tmp_path, database)
