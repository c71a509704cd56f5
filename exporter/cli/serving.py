"""The server of `otel-measure serve`: it listens until a signal, and ends in time with everything committed."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from types import FrameType
from typing import Final
from urllib.parse import urlsplit

import uvicorn

from exporter.app import create_app
from exporter.cli import otlp_grpc, ports
from exporter.cli.otlp_grpc import GrpcListener
from exporter.demo import outcomes as demo_outcomes
from exporter.demo import workload as demo
from exporter.http.refusals import RefusalLog
from exporter.server.config import DRAIN_S, ServerConfig
from exporter.server.connections import Connections
from exporter.server.limits import ConnectionLimits
from exporter.server.protocol import LimitedProtocol
from exporter.server.relied_on import require_names
from exporter.server.tls import PemFiles, TlsListener
from otel_measure import process
from otel_measure.config import Settings
from otel_measure.runtime import Runtime

_log: Final = logging.getLogger("otel_measure")
# An orchestrator kills after 10 s: requests may finish (`server.config.DRAIN_S`), then records are committed, and what
# waits for an OTLP endpoint that does not answer is left behind.
COMMIT_S: Final = 3.0
# How long a thread computes before another one may: the event loop, and `/healthz` with it, waits for so many of them
# at each turn of its own. Python's 5 ms are meant for programs that answer nobody.
SWITCH_S: Final = 0.001
LIMIT_S: Final = 8.0
LAST_COMMIT_S: Final = 1.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Deadline:
    """Ends the process when it has not ended by itself some time after it was told to.

    Args:
        limit_s: seconds from `start()`.
        last_acts: what has to be done before; returns the exit code.
        leave: ends the process at once, without waiting for threads.
    """

    def __init__(self, limit_s: float, last_acts: Callable[[], int], leave: Callable[[int], object] = os._exit) -> None:
        self._last_acts = last_acts
        self._leave = leave
        self._timer = threading.Timer(limit_s, self._end)
        self._timer.daemon = True
        self._is_started = False

    def start(self) -> None:
        """Start the timer; a second call does nothing."""
        if not self._is_started:
            self._is_started = True
            self._timer.start()

    def cancel(self) -> None:
        """Stop the timer: the process ends by itself."""
        self._timer.cancel()

    def _end(self) -> None:
        try:
            exit_code = self._last_acts()
        except Exception:
            _log.exception("the last acts before the end failed")
            exit_code = 1
        self._leave(exit_code)


class ExporterServer(uvicorn.Server):
    """uvicorn's server, with a callback for when it is ready and one for when it is told to stop.

    Args:
        config: as uvicorn has it.
        ready: called once requests are answered.
        tls: the certificate; `None` for plain HTTP.
        grpc: takes OTLP over gRPC beside; `None` for nobody.
    """

    def __init__(
        self,
        config: ServerConfig,
        ready: Callable[[], None],
        tls: ssl.SSLContext | None = None,
        grpc: GrpcListener | None = None,
    ) -> None:
        super().__init__(config)
        self._config = config
        self._grpc = grpc
        self._ready = ready
        self._tls = tls
        self._tls_listeners: list[TlsListener] = []
        self.stopping: Callable[[], None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        if self._tls is None:
            await super().startup(sockets)
        else:
            await super().startup([])
            self._tls_listeners = [
                TlsListener(sock, self._tls, self._config.connections, self._protocol) for sock in sockets or ()
            ]
        if self.should_exit:
            return
        if self._grpc is not None:
            await self._grpc.start(self._config.application)
        self._ready()

    def _protocol(self) -> LimitedProtocol:
        return LimitedProtocol(self._config, self.server_state, self.lifespan.state, asyncio.get_running_loop())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, let requests finish, and end the application."""
        for listener in self._tls_listeners:
            listener.close()
        if self._grpc is None:
            await super().shutdown(sockets)
        else:  # gRPC before the application ends, both within the one time
            await asyncio.gather(self._grpc.stop(DRAIN_S), super().shutdown(sockets))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop because of a signal."""
        super().handle_exit(sig, frame)
        if self.stopping is not None:
            self.stopping()

    @contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        """Let a signal stop the server also while it starts, and not end the process when the server is done."""
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def server_of(
    settings: Settings,
    ready: Callable[[], None],
    tls: ssl.SSLContext | None = None,
    grpc: GrpcListener | None = None,
) -> ExporterServer:
    """Return the server of the application, not yet started.

    Args:
        settings: of the application.
        ready: called once requests are answered.
        tls: its certificate; `None` for plain HTTP.
        grpc: takes OTLP over gRPC beside; `None` for nobody.

    Raises:
        UnsupportedUvicorn: the installed one lacks what the limits of the server stand on.
    """
    require_names()
    connections = Connections(ConnectionLimits.of_this_process(), RefusalLog())
    config = ServerConfig(create_app(settings), http=LimitedProtocol, connections=connections)
    return ExporterServer(config, ready, tls, grpc)


def serve(
    settings: Settings,
    announce: Callable[[str, str | None], None],
    warn: Callable[[str], None],
    *,
    tls: ssl.SSLContext | None = None,
    pem: PemFiles | None = None,
    with_demo: bool = False,
    tidy_up: Callable[[], None] = lambda: None,
    limit_s: float = LIMIT_S,
) -> bool:
    """Serve until SIGTERM or SIGINT; return whether everything recorded was committed.

    Args:
        settings: of the runtime, and where to listen.
        announce: told the address of the page, and that of OTLP over gRPC or `None`, when it is ready.
        warn: told how it ended: that everything is committed, or what the process leaves undone.
        tls: the certificate of the server, for HTTP; `None` for no TLS.
        pem: its files, for gRPC.
        with_demo: feed a synthetic workload; its past only into a new store.
        tidy_up: what is left to do when the process has to leave at once.
        limit_s: seconds from the signal to the end, whatever is still waited for.

    Raises:
        CannotListen: a port cannot be had.
        MeasureError: the store cannot be opened.
    """
    # Opening the store says it, and the way out, when this user may not even look there; `Path.exists` would raise.
    is_new = settings.store is not None and not os.path.exists(settings.store)
    committed = True
    with ports.listen(settings.host, settings.port) as sock, ExitStack() as at_end:
        number = int(sock.getsockname()[1])
        address = ports.url(settings.host, number, "http" if tls is None else "https")
        settings = replace(_not_to_itself(settings, number, warn), public_url=settings.public_url or address)
        grpc = otlp_grpc.listener(settings, pem, warn)
        server = server_of(settings, lambda: announce(address, grpc.address if grpc else None), tls, grpc)
        with server.stopped_by_signals():
            live = process.adopt(settings)

            def leave() -> int:
                is_safe = live.recorder.flush(LAST_COMMIT_S) and committed
                warn(f"stopped after {limit_s:g} s: {_left_undone(live)}")
                tidy_up()
                return 0 if is_safe else 1

            deadline = Deadline(limit_s, leave)
            server.stopping = deadline.start
            live.start()
            live.evaluate_alerts()
            say_whose_answers(live, warn)
            sys.setswitchinterval(SWITCH_S)
            if with_demo:
                at_end.callback(started_demo(live, timedelta(0) if not is_new else demo.HISTORY).stop)
            freeze_what_is_loaded()
            server.run(sockets=[sock])
    waited = live.recorder.queue_length
    committed = live.recorder.flush(COMMIT_S)
    committed = process.shutdown(COMMIT_S) and committed
    deadline.cancel()
    if committed:
        last = f"; the last {waited:,} records were committed now" if waited else ""
        warn(f"stopped, everything recorded is committed{last}")
    return committed


def freeze_what_is_loaded() -> None:
    """Have the collector of garbage never look again at what stays until the end: modules, routes, connections."""
    gc.collect()
    gc.freeze()


def _left_undone(live: Runtime) -> str:
    """Return what a process that has to leave at once leaves behind, and why."""
    if live.recorder.queue_length:
        return f"{live.recorder.queue_length} records were not committed, the store is locked or does not keep up"
    if live.settings.otlp_endpoint is not None:
        return "not everything was sent, the OTLP endpoint does not keep up"
    return "something did not end by itself; everything recorded is committed"


def _not_to_itself(settings: Settings, number: int, warn: Callable[[str], None]) -> Settings:
    """Return the settings without an OTLP endpoint that is this server's own address.

    A shell that has the variables of the senders set would make the server send to itself.
    """
    endpoint = urlsplit(settings.otlp_endpoint or "")
    here = {"localhost", "127.0.0.1", "::1", settings.host, socket.gethostname()}
    if endpoint.port != number or endpoint.hostname not in here:
        return settings
    warn(f"OTEL_EXPORTER_OTLP_ENDPOINT is this very server ({settings.otlp_endpoint}): it sends nothing on")
    return replace(settings, otlp_endpoint=None)


def say_whose_answers(live: Runtime, warn: Callable[[str], None]) -> None:
    """Warn where what is recorded here without an environment will be in no answer that names none."""
    if live.store is None:
        return
    with live.store.asking() as moment:
        answered = moment.services.environment
    if not live.settings.environment and answered:
        warn(
            f"answers are about the environment {answered!r}; what is recorded here is of none, and not among them"
            f" (OTEL_MEASURE_ENVIRONMENT={answered} makes it one)"
        )


def started_demo(live: Runtime, history: timedelta) -> demo.Demo:
    """Return a demo that runs."""

    def outcomes(start: datetime, calls_from: datetime, begins: datetime) -> demo_outcomes.Outcomes:
        return demo_outcomes.Outcomes(
            live.ai,
            live.users,
            live.infrastructure,
            random.Random(demo.SEED),
            start=start,
            tickets_from=calls_from,
            begins=begins,
        )

    running = demo.Demo(live.ai, live.users, history=history, outcomes=outcomes)
    running.start()
    return running
