"""Real clients from their packages: one gateway for all of them, and one client at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bytespike.accounts import aliases
from bytespike.catalog.load import Alias
from tests.support.gateway import RunningGateway
from tests.support.headless import Desk

HERE = Path(__file__).resolve().parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "clients: runs a real client from its package; skips where it is not installed"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("clients")


@pytest.fixture(scope="session")
def clients_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway whose operator has mapped the newer Opus that clients ask for to the one that there is."""
    with RunningGateway(Path(tmp_path_factory.mktemp("clients"))) as running:

        async def map_names() -> None:
            application = running.application
            async with application.control.writing("test") as write:
                await aliases.add(write, Alias("claude-opus-5*", "claude-opus-4-8", substitute=True))
            await application.parts.directory.poll()

        running.run(map_names())
        yield running


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)
