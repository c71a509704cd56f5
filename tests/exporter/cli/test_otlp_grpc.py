"""OTLP over gRPC beside HTTP: whether, and where, and until when."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from exporter.app import create_app
from exporter.cli import exit_codes, otlp_grpc, ports
from exporter.server.tls import PemFiles
from otel_measure.config import Settings
from otel_measure.errors import ConfigurationError
from tests.components import free_port
from tests.exporter.cli.command_line import run, serving
from tests.exporter.test_grpc import ONE_CALL, TRACES

SETTINGS = Settings(store=None)


def listener(settings: Settings, said: list[str]) -> otlp_grpc.GrpcListener | None:
    """Return what will listen, and keep what is said."""
    return otlp_grpc.listener(settings, None, said.append)


def test_without_the_extra_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not installed is not missed, but where its port is set: then the message says what to install."""
    monkeypatch.setattr(otlp_grpc, "is_installed", lambda: False)
    said: list[str] = []
    assert (listener(SETTINGS, said), said) == (None, [])
    with pytest.raises(ConfigurationError, match=r"gRPC is not installed: pip install 'otel-measure\[grpc\]'"):
        listener(replace(SETTINGS, grpc_port=4317), said)


def test_a_port_that_nobody_asked_for_may_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where 4317 has somebody, such as a Collector, the rest is served, and a line says who has it."""
    said: list[str] = []
    with ports.listen("127.0.0.1", 0) as sock:
        monkeypatch.setattr(otlp_grpc, "PORT", sock.getsockname()[1])
        assert listener(SETTINGS, said) is None
    (line,) = said
    assert line.startswith(f"OTLP over gRPC is not served: port {otlp_grpc.PORT} on 127.0.0.1 is taken by pid ")
    assert line.endswith("; stop it, or take another with --grpc-port (0 takes a free one)")


@pytest.mark.parametrize("is_set", [False, True])
def test_somebody_takes_the_port_at_the_last_moment(monkeypatch: pytest.MonkeyPatch, is_set: bool) -> None:
    """Between the look at the port and the start: the rest is served without gRPC, but where the port was asked for."""
    said: list[str] = []
    port = free_port()
    monkeypatch.setattr(otlp_grpc, "PORT", port)
    late = listener(replace(SETTINGS, grpc_port=port) if is_set else SETTINGS, said)
    assert late is not None
    why = f"port {port} on 127.0.0.1 was taken just now; try again, or another with --grpc-port"

    async def starts() -> None:
        await late.start(create_app(SETTINGS))
        await late.stop(0)

    with ports.listen("127.0.0.1", port):
        if is_set:
            with pytest.raises(ports.CannotListen, match=re.escape(why)):
                asyncio.run(starts())
        else:
            asyncio.run(starts())
    assert (late.address, said) == (None, [] if is_set else [f"OTLP over gRPC is not served: {why}"])


def test_a_port_that_is_set_has_to_be_free(tmp_path: Path) -> None:
    """The message names the holder and `--grpc-port`, and no store is made."""
    with ports.listen("127.0.0.1", 0) as sock:
        number = sock.getsockname()[1]
        result = run("serve", "--port", "0", "--grpc-port", str(number), "--store", str(tmp_path / "a.db"))
    assert result.exit_code == exit_codes.PORT
    assert result.output.startswith(f"otel-measure: port {number} on 127.0.0.1 is taken by pid ")
    assert list(tmp_path.iterdir()) == []


def test_which_port() -> None:
    """4317 unless another one is set; beside a free port of HTTP a free one."""
    given = (SETTINGS, Settings(port=0), Settings(port=0, grpc_port=7), Settings(grpc_port=0))
    assert [otlp_grpc.wanted_port(settings) for settings in given] == [4317, 0, 7, 0]


def exported(address: str, **options: Any) -> bytes:
    """Export a call by gRPC and return the answer."""
    with grpc.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(TRACES)
        return bytes(call(ONE_CALL, timeout=30, **options))


def test_serve_takes_otlp_by_grpc_until_it_stops(tmp_path: Path) -> None:
    """The banner says where; what came by gRPC is in the answers; with the server the port is free again."""
    with serving(tmp_path) as server:
        address = server.banner["grpc"]
        assert exported(address) == b""
        (model,) = server.ask("api/v1/metrics/ai/models")["data"]["models"]
        assert model["model_name"] == "gpt-4o"
        assert server.stop()[0] == 0
    host, _, port = address.rpartition(":")
    ports.listen(host, int(port)).close()
    assert (tmp_path / "stderr.txt").read_text() == "otel-measure: stopped, everything recorded is committed\n"


def test_grpc_over_tls(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    """A server with a certificate speaks TLS by gRPC too; the files that hold both are read as well."""
    both = tmp_path / "both.pem"
    both.write_bytes(certificate[0].read_bytes() + certificate[1].read_bytes())
    assert PemFiles(both, None).read() == (both.read_bytes(), both.read_bytes())
    given = ("--host", "localhost", "--ssl-certfile", str(both))
    with serving(tmp_path, *given) as server:
        trusted = grpc.ssl_channel_credentials(certificate[0].read_bytes())
        with grpc.secure_channel(server.banner["grpc"], trusted) as channel:
            call: Any = channel.unary_unary(TRACES)
            assert call(ONE_CALL, timeout=30) == b""
