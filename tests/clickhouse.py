"""A real ClickHouse server for tests: the library that `.ci/clickhouse` installs, run as a process that listens."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest
from clickhouse_connect import get_client
from clickhouse_connect.driver import options
from clickhouse_connect.driver.client import Client

from tests.closing import closed_later
from tests.collector import cached
from tests.components import Running, free_port, missing, running

_LIBRARY: Final = Path("node_modules/@chdb/lib-linux-x64-gnu/libchdb.so")
# The server ends when this query does: one whose test was killed is gone after an hour.
_LISTEN: Final = (
    "SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP;"
    " SELECT sum(sleepEachRow(1)) FROM numbers(3600) SETTINGS max_block_size = 1, max_threads = 1"
)
# A server removes what was replaced after eight minutes, which no test waits for.
MERGE_TREE: Final = (
    "<merge_tree><old_parts_lifetime>1</old_parts_lifetime><cleanup_delay_period>1</cleanup_delay_period>"
    "<max_cleanup_delay_period>1</max_cleanup_delay_period>"
    "<cleanup_delay_period_random_add>0</cleanup_delay_period_random_add></merge_tree>"
)
# What the extra does not install and other tests do; the client would import each, for seconds, at the first insert.
_NOT_OF_THE_EXTRA: Final[Mapping[str, ModuleType | None]] = dict.fromkeys(("np", "pd", "pd_time_test", "arrow", "pl"))


def requires_clickhouse() -> str:
    """Return the path of the library that is a server, or skip the test and say how to install it."""
    __tracebackhide__ = True
    library = cached("clickhouse", ".ci/clickhouse-server/package-lock.json") / _LIBRARY
    if not (library.parents[2] / ".done").exists():
        missing("needs a ClickHouse server: .ci/clickhouse (installs it with npm, 570 MB; Linux on x86-64)")
    return str(library)


@dataclass
class ClickHouseServer:
    """A ClickHouse server over one folder, which may be killed and started again; its ports stay.

    Attributes:
        folder: of its data.
        http_port, tcp_port: on loopback.
    """

    folder: Path
    http_port: int = field(default_factory=free_port)
    tcp_port: int = field(default_factory=free_port)
    _process: Running | None = None
    _databases: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def run(self, arguments: Sequence[str] = ()) -> Iterator[ClickHouseServer]:
        """Run it for the length of a `with` block, and wait until it answers."""
        main = Path(__file__).with_name("clickhouse_main.py")
        own: tuple[str, ...] = (
            "--multiquery", f"--path={self.folder / 'data'}", "--listen_host=127.0.0.1",
            f"--http_port={self.http_port}", f"--tcp_port={self.tcp_port}", f"--query={_LISTEN}",
        )  # fmt: skip
        self.folder.mkdir(parents=True, exist_ok=True)
        if not any(argument.startswith("--config-file") for argument in arguments):
            config = self.folder / "config.xml"
            config.write_text(f"<clickhouse>{MERGE_TREE}</clickhouse>", encoding="utf-8")
            own = (*own, f"--config-file={config}")
        command = [sys.executable, "-S", str(main), requires_clickhouse(), *own, *arguments]
        with running(command, self.folder / "server.log") as self._process:
            self._process.wait_http(f"http://127.0.0.1:{self.http_port}/ping", 120)
            yield self

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """Its process."""
        assert self._process is not None
        return self._process.process

    def kill(self) -> None:
        """End it with no chance to write anything more."""
        self.process.kill()
        self.process.wait()

    def hang(self) -> None:
        """Stop it until it is told to go on; all its threads have stopped when this returns."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def client(self, **settings: object) -> Client:
        """Return a new connection with these settings of ClickHouse's."""
        return get_client(host="127.0.0.1", port=self.http_port, settings=settings)

    def url(self, database: str) -> str:
        """Return the place of a store in one of its databases."""
        return f"clickhouse://127.0.0.1:{self.http_port}/{database}"

    def new_database(self) -> str:
        """Return a name that no test has used on it."""
        return f"measure_{next(self._databases)}"

    def url_for_one_test(self) -> str:
        """Return the place of a store in a new database, which goes when the test ends."""
        return self.url(closed_later(_DatabaseOfOneTest(self, self.new_database())).name)


@dataclass(frozen=True)
class _DatabaseOfOneTest:
    """A database that goes when it is closed: a server looks after each of its tables every second."""

    server: ClickHouseServer
    name: str

    def close(self) -> None:
        """Drop it."""
        with closing(HTTPConnection("127.0.0.1", self.server.http_port, timeout=60)) as connection:
            connection.request("POST", "/", f"DROP DATABASE IF EXISTS `{self.name}` SYNC")
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()


def users_config(folder: Path, name: str, password: str, *, readonly: int) -> str:
    """Return the argument of `ClickHouseServer.run` by which it has a user beside the default one.

    Args:
        folder: for the files of the configuration; made.
        name: of the user.
        password: of the user.
        readonly: the setting of its profile: 0 may write, 1 and 2 may not.
    """
    everywhere = "<networks><ip>::/0</ip></networks><quota>default</quota>"
    folder.mkdir()
    users, config = folder / "users.xml", folder / "config.xml"
    users.write_text(
        f"<clickhouse><profiles><default/><own><readonly>{readonly}</readonly></own></profiles><quotas><default/></quotas>"
        f"<users><default><password/>{everywhere}<profile>default</profile></default>"
        f"<{name}><password>{password}</password>{everywhere}<profile>own</profile></{name}></users></clickhouse>",
        encoding="utf-8",
    )
    config.write_text(f"<clickhouse><users_config>{users}</users_config></clickhouse>", encoding="utf-8")
    return f"--config-file={config}"


@contextmanager
def without_what_is_not_of_the_extra() -> Iterator[None]:
    """Let the client find what the extra `clickhouse` installs, and none of the tests' own numpy and pandas."""
    with pytest.MonkeyPatch.context() as patched:
        for name, absent in _NOT_OF_THE_EXTRA.items():
            patched.setitem(vars(options), name, absent)
        yield
