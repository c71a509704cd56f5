"""One real server for the tests of a process, and a new database for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.clickhouse import ClickHouseServer, without_what_is_not_of_the_extra
from tests.clickhouse_shards import Shards


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """Run a server until the last test of this process has ended."""
    with without_what_is_not_of_the_extra(), ClickHouseServer(tmp_path_factory.mktemp("clickhouse")).run() as server:
        yield server


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shards]:
    """Run two servers for all tests of a module; either may be killed, and a store may lie on one of them alone."""
    with ExitStack() as running, without_what_is_not_of_the_extra():
        both = Shards(tmp_path_factory.mktemp("shards"), running)
        running.enter_context(both.without_keeper())
        yield both
