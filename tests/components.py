"""What tests need from outside: real components, free ports, processes that end with the test."""

from __future__ import annotations

import importlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Protocol

import pytest

ON_CI = bool(os.environ.get("OTEL_MEASURE_CI"))

_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def missing(reason: str) -> None:
    """Skip the test and say why; on CI, where everything is installed, fail it."""
    __tracebackhide__ = True
    if ON_CI:
        pytest.fail(f"{reason} (OTEL_MEASURE_CI is set, so this is not skipped)")
    pytest.skip(reason)


def requires_binary(name: str, debian_package: str) -> str:
    """Return the path of a program, or skip the test and say how to install it."""
    __tracebackhide__ = True
    path = shutil.which(name)
    if path is None:
        missing(f"needs {name}: apt-get install {debian_package}")
    return str(path)


def requires_module(name: str, distribution: str | None = None) -> ModuleType:
    """Return an imported module, or skip the test and say how to install it."""
    __tracebackhide__ = True
    try:
        return importlib.import_module(name)
    except ImportError:
        missing(f"needs the Python module {name}: pip install {distribution or name}")
        raise


# Below those that systems give to outgoing connections, of which other tests open thousands at the same time: one of
# them would take the port of a server that is not there yet, or that begins anew on it.
_PORTS = range(20_000, 32_768)
# Each process of the tests has ports of its own, and gives none twice: who will listen on one is not there yet.
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_of_worker = _PORTS[_worker :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]
_drawn = cycle(Random(os.getpid()).sample(_of_worker, len(_of_worker)))


def free_port() -> int:
    """Return a loopback TCP port that nobody uses at this moment, and that no other test is given."""
    while True:
        port = next(_drawn)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass(frozen=True, slots=True)
class Running:
    """A started process and the file that its output goes to."""

    process: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        """Return what the process has printed so far, both streams."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_http(self, url: str, timeout_s: float = 60.0) -> bytes:
        """Wait like `wait_http`, but give up, showing the output, as soon as the process has ended."""
        __tracebackhide__ = True
        try:
            return wait_http(url, timeout_s, still_hopeful=lambda: self.process.poll() is None)
        except TimeoutError as error:
            pytest.fail(f"{error}; exit code {self.process.poll()}, it printed:\n{self.output()}")


class RunProcess(Protocol):
    """Starts a process that ends with the test; keywords are added to its environment."""

    def __call__(self, *args: str, **env: str) -> Running:
        """Start `args` and return at once."""


def wait_http(url: str, timeout_s: float = 60.0, *, still_hopeful: Callable[[], bool] = lambda: True) -> bytes:
    """Return the body of the first 2xx answer of `url`.

    Raises:
        TimeoutError: none came within `timeout_s`, or `still_hopeful` said that none will.
    """
    deadline = time.monotonic() + timeout_s
    last: object = "no answer"
    while still_hopeful() and time.monotonic() < deadline:
        try:
            with _NO_PROXY.open(url, timeout=min(10.0, timeout_s)) as response:
                return bytes(response.read())
        except (urllib.error.URLError, OSError) as error:
            last = error
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it is a response too, and holds the socket
            time.sleep(0.02)
    raise TimeoutError(f"{url} did not answer within {timeout_s} s: {last}")


def stop(process: subprocess.Popen[bytes], timeout_s: float = 10.0) -> int:
    """Terminate a process, kill it when it does not end in time, and return its exit code."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@contextmanager
def running(args: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Run a process for the length of a `with` block; `env` is added to this environment.

    The output is printed at the end, so pytest shows it for a test that failed.
    """
    with log.open("wb") as sink:
        process = subprocess.Popen(
            list(args),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
        )
    started = Running(process, log)
    try:
        yield started
    finally:
        exit_code = stop(process)
        print(f"--- {' '.join(args)}: exit code {exit_code}, output:", started.output(), sep="\n", file=sys.stderr)
