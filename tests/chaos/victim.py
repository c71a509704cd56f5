"""A server that is attacked, and what it is like for honest clients meanwhile."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.asking import ask, question, status_of

ROOT = Path(os.environ.get("CHAOS_TREE", Path(__file__).parents[2]))
WRITE_TOKEN = "w" * 20
READ_TOKEN = "r" * 20
TOKENS: dict[str, Any] = {"OTEL_MEASURE_WRITE_TOKEN": WRITE_TOKEN, "OTEL_MEASURE_READ_TOKEN": READ_TOKEN}
_LARGEST_BYTES = 4 * 1024**3


@dataclass(frozen=True, slots=True)
class Victim:
    """A started server.

    Attributes:
        trusted: the file of its certificate, "" for plain HTTP.
    """

    process: subprocess.Popen[str]
    port: int
    log: Path
    trusted: str = ""

    def ask(self, request: bytes, timeout_s: float = 10.0) -> bytes:
        """Return the whole answer of a request that closes the connection; what came of it when it was reset."""
        return ask(self.port, request, timeout_s, self.trusted)

    def status(self, path: str, timeout_s: float = 10.0, token: str = "") -> int:
        """Return the status of the answer to a question, 0 where none came."""
        return status_of(self.ask(question(path, token), timeout_s))


def _limit(open_files: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))
    # What takes more than this has failed, and must not take the machine with it.
    resource.setrlimit(resource.RLIMIT_AS, (_LARGEST_BYTES, _LARGEST_BYTES))


@contextmanager
def victim(folder: Path, *args: str, open_files: int = 1024, trusted: str = "", **env: Any) -> Iterator[Victim]:
    """Run `otel-measure serve` for the length of a `with` block."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    log = folder / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "exporter.cli", "serve", "--port", "0", "--json"),
                *("--store", str(folder / "measure.db"), *args),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=clean | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)} | env,
            preexec_fn=lambda: _limit(open_files),
        )
        assert process.stdout is not None
        try:
            banner = json.loads(process.stdout.readline())
            yield Victim(process, int(banner["url"].rsplit(":", 1)[1].rstrip("/")), log, trusted)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


@dataclass(slots=True)
class Observed:
    """What honest clients and the operating system saw.

    Attributes:
        slowest_s: the slowest answer of `/healthz`; as long as was waited where none came.
        slowest_own_s: likewise, without what the machine kept server and client waiting for a core.
        answered: how many honest clients got their answer.
        memory_mib: the largest resident memory of the server.
        faults: what those got who did not.
        took_s: how long the attack took.
    """

    slowest_s: float = 0.0
    slowest_own_s: float = 0.0
    answered: int = 0
    memory_mib: float = 0.0
    faults: list[str] = field(default_factory=list)
    took_s: float = 0.0


@contextmanager
def observed(server: Victim) -> Iterator[Observed]:
    """Ask `/healthz` by a new connection ten times a second, and read the memory of the server, for a `with` block.

    A process of its own does so: one that attacks has no time for it.
    """
    seen, began_s = Observed(), time.monotonic()
    watcher = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.watching", str(server.port), str(server.process.pid), server.trusted],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watcher.stdout is not None
    try:
        watcher.stdout.readline()  # it watches
        yield seen
    finally:
        seen.took_s = time.monotonic() - began_s
        told, _ = watcher.communicate("stop\n", 30)
        found = json.loads(told)
        for name, value in found.items():
            setattr(seen, name, value)
