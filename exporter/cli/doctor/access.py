"""The check of who is answered."""

from __future__ import annotations

from pathlib import Path

from exporter.cli.doctor.surroundings import Surroundings
from exporter.http.tokens import read_tokens
from otel_measure.errors import ConfigurationError
from otel_measure.store.types.findings import Finding, ok, warning, wrong


def access(s: Surroundings) -> Finding:
    """Who may ask the server, and whether the file of tokens can be read."""
    settings = s.settings
    if settings.insecure:
        return warning(
            "anybody who reaches the port is answered", "make a token (`otel-measure token new`), and unset insecure"
        )
    if settings.tokens_file is not None:
        try:
            names = [token.name for token in read_tokens(Path(settings.tokens_file))]
        except ConfigurationError as error:
            return wrong(str(error), "mend the file: a running server goes on with the tokens that it has")
        return ok(f"a token is needed; {settings.tokens_file} has {', '.join(names) or 'none'}")
    return ok("a token is needed" if settings.asks_for_token else "clients of this machine alone")
