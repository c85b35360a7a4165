"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.gateway import RunningGateway

# Where nobody watches, the same examples each time: a run must not fail for luck. At a desk, new ones.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")


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
