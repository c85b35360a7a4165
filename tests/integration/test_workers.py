"""Four workers, a thousand clients at once, one key with a cap: they share it to within one request."""

from __future__ import annotations

from pathlib import Path

import pytest

from bytespike.providers.simulator.server import Simulator
from tests.support.gateway import RunningGateway
from tests.support.shared_caps import CROWD, USD, exactly, refused, spend_with

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("cap", ["quota", "limit_5h"])
def test_a_crowd_on_one_key_with_a_cap_of_a_dollar(
    tmp_path: Path, database: str, many_files: None, cap: str
) -> None:
    with Simulator() as sim:
        with RunningGateway(tmp_path, simulator=sim, database_url=database) as gateway:
            key = gateway.new_key(gateway.new_user(100 * USD, concurrency=10 * CROWD), **{cap: 1 * USD})
        expected = {402 if cap == "quota" else 429}
        spend = spend_with(tmp_path, database, [key], expected, CROWD, refused)
        exactly(1 * USD, spend, spend.of())
