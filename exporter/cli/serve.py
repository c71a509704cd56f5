"""The command `otel-measure serve`: its options, who may reach the server, and the banner when it is ready."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from exporter.cli import ports
from exporter.cli.options import PORT, json_option, load_settings, store_option
from exporter.http.tokens import read_tokens
from otel_measure.config import Settings
from otel_measure.errors import ConfigurationError, MeasureError
from otel_measure.store.places import shown

if TYPE_CHECKING:
    from exporter.server.tls import PemFiles

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    short_help="Serve page, JSON, /metrics and OTLP.",
    epilog="""\b
Examples:
  otel-measure serve --port 5001
  otel-measure serve --demo
  OTEL_MEASURE_TOKEN=… otel-measure serve --host 0.0.0.0 --store /var/lib/otel-measure/measure.db
""",
)
@click.option("--host", help="Where to listen; not loopback needs a token.  [default: 127.0.0.1]")
@click.option("--port", type=PORT, metavar="PORT", help="0 takes a free one.  [default: 5000]")
@click.option(
    "--grpc-port", type=PORT, metavar="PORT", help="Of OTLP over gRPC, with the extra [grpc].  [default: 4317]"
)
@store_option
@click.option("--tokens-file", type=_FILE, help="A file of tokens, made by `otel-measure token new`.")
@click.option("--ssl-certfile", type=_FILE, help="Serve HTTPS: a PEM file with the certificate, its issuers after it.")
@click.option("--ssl-keyfile", type=_FILE, help="A PEM file with its key.  [default: in --ssl-certfile]")
@click.option("--insecure", is_flag=True, help="Answer anybody without a token.")
@click.option("--demo", is_flag=True, help="Feed a synthetic workload into a temporary store, or into --store.")
@json_option
def serve(
    host: str | None,
    port: int | None,
    grpc_port: int | None,
    store: str | None,
    tokens_file: Path | None,
    ssl_certfile: Path | None,
    ssl_keyfile: Path | None,
    insecure: bool,
    demo: bool,
    as_json: bool,
) -> None:
    """Serve the page, the JSON API, /metrics and the OTLP receiver until SIGTERM or Ctrl-C."""
    with ExitStack() as stack:
        given = {
            "host": host, "port": port, "grpc_port": grpc_port, "store": store, "insecure": insecure or None,
            "tokens_file": None if tokens_file is None else str(tokens_file),
        }  # fmt: skip
        if demo and store is None:
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="otel-measure-demo-", ignore_cleanup_errors=True)
            )
            given["store"] = str(Path(folder) / "measure.db")
        settings = load_settings(given)
        refuse_exposure(settings)
        if settings.tokens_file is not None:
            read_tokens(Path(settings.tokens_file))  # said here, before anything is opened
        pem = _pem_files(ssl_certfile, ssl_keyfile)
        temporary = demo and store is None
        committed = _serve(settings, pem, demo=demo, temporary=temporary, as_json=as_json, tidy_up=stack.close)
    if not committed:
        raise MeasureError("stopped before everything was committed; the log says what is missing")


def _pem_files(certificate: Path | None, key: Path | None) -> PemFiles | None:
    if certificate is not None:
        from exporter.server.tls import PemFiles

        return PemFiles(certificate, key)
    if key is not None:
        raise ConfigurationError(f"the key {key} needs its certificate: --ssl-certfile FILE")
    return None


def refuse_exposure(settings: Settings) -> None:
    """Refuse to listen for other machines without a token, unless the settings say that anybody is answered.

    Raises:
        ConfigurationError: others could reach the server, and no token is set.
    """
    if not (settings.asks_for_token or settings.insecure or ports.is_loopback(settings.host)):
        raise ConfigurationError(
            f"{settings.host} can be reached from other machines and no token is set; "
            "set OTEL_MEASURE_TOKEN or --tokens-file, or say --insecure to answer anybody"
        )


def _serve(
    settings: Settings,
    pem: PemFiles | None,
    *,
    demo: bool,
    temporary: bool,
    as_json: bool,
    tidy_up: Callable[[], None],
) -> bool:
    from exporter.cli import serving
    from exporter.server.tls import tls_context

    def announce(url: str, grpc: str | None) -> None:
        banner = Banner.of(settings, url, grpc, demo=demo, temporary=temporary)
        click.echo(banner.json() if as_json else banner.text())

    def warn(message: str) -> None:
        click.echo(f"otel-measure: {message}", err=True)

    tls = None if pem is None else tls_context(*pem)
    return serving.serve(settings, announce, warn, tls=tls, pem=pem, with_demo=demo, tidy_up=tidy_up)


@dataclass(frozen=True, slots=True)
class Banner:
    """What a person, or a script, needs to know of a server that is ready."""

    url: str
    grpc: str | None
    store: str
    access: str
    demo: bool
    pid: int

    @classmethod
    def of(cls, settings: Settings, url: str, grpc: str | None, *, demo: bool, temporary: bool) -> Banner:
        """Return the banner of a server that answers at `url`, and by gRPC at an address or not at all."""
        access = (
            "anybody who reaches the port"
            if settings.insecure
            else "a token is needed"
            if settings.asks_for_token
            else "this machine only"
        )
        store = f"{shown(settings.store) if settings.store else 'none'}{' (removed at the end)' if temporary else ''}"
        return cls(url, grpc, store, access, demo, os.getpid())

    def text(self) -> str:
        """Return the banner for people."""
        rows = [
            ("page", self.url),
            ("metrics", f"{self.url}metrics"),
            *([("grpc", f"{self.grpc} (OTLP)")] if self.grpc else []),
            ("store", self.store),
            ("access", self.access),
            *([("demo", "a synthetic workload is running")] if self.demo else []),
            ("stop", "Ctrl-C"),
        ]
        return "\n".join(["otel-measure is ready", *(f"  {name:<8} {value}" for name, value in rows)])

    def json(self) -> str:
        """Return the banner as one line of JSON."""
        return json.dumps({"status": "ready", **asdict(self)})
