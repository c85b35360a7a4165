"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import os
import resource
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support import postgres
from tests.support.gateway import RunningGateway
from tests.support.longest_files import absent, seconds_of

#: Connections of the largest crowds, at both ends.
FILES = 8192

# Where nobody watches, the same examples each time: a run must not fail for luck. At a desk, new ones.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; a file's tests stay together, in their order."""
    assert not absent(), "files in the table of the longest that are not there"
    items.sort(key=lambda item: -seconds_of(item.path))


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A running gateway with a simulator behind it, shared by all tests of the run."""
    with RunningGateway(Path(tmp_path_factory.mktemp("gateway"))) as running:
        yield running


@pytest.fixture(scope="session")
def impatient_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """One that gives its upstreams half a second."""
    data_dir = Path(tmp_path_factory.mktemp("impatient"))
    with RunningGateway(data_dir, first_byte_timeout_s=0.5, idle_timeout_s=0.5) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """The URL of an empty one of each kind; the SQLite file is where a gateway with this folder would put it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'bytespike.db'}"
    elif not postgres.installed():
        pytest.skip("PostgreSQL is not installed")
    else:
        with postgres.postgres() as url:
            yield url


@pytest.fixture
def many_files() -> Generator[None]:
    """For us and for those that we start."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
