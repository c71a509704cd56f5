"""One real server for the tests of a process, and a new database for each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clickhouse import ClickHouseServer, without_what_is_not_of_the_extra


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """Run a server until the last test of this process has ended."""
    with without_what_is_not_of_the_extra(), ClickHouseServer(tmp_path_factory.mktemp("clickhouse")).run() as server:
        yield server
