"""The commands `otel-measure token …`: who may ask the server, in a file of hashes."""

from __future__ import annotations

import json
from pathlib import Path

import click

from exporter.cli.options import json_option, load_settings
from exporter.http.tokens import TOKEN_SCOPES, new_token
from otel_measure.errors import ConfigurationError


@click.group(short_help="Make tokens that `serve` asks for.")
def token() -> None:
    """Make tokens, of which a file keeps the hashes alone (`serve --tokens-file FILE`)."""


@token.command(short_help="Make a token, shown this once.")
@click.argument("name")
@click.option(
    "--scope", "scopes", type=click.Choice(TOKEN_SCOPES), multiple=True, required=True,
    help="What it may do; give it once for each.",
)  # fmt: skip
@click.option(
    "--file", type=click.Path(path_type=Path), help="Where its hash goes.  [default: OTEL_MEASURE_TOKENS_FILE]"
)
@json_option
def new(name: str, scopes: tuple[str, ...], file: Path | None, as_json: bool) -> None:
    """Make a token named NAME, show it this once, and add its hash to the file, which is made when it is not there.

    A running server takes it within a second. To end a token, take its line out of the file.
    """
    chosen = file or _file_of_settings()
    made = new_token(chosen, name, scopes)
    if as_json:
        click.echo(json.dumps({"name": name, "scopes": sorted(set(scopes)), "file": str(chosen), "token": made}))
        return
    click.echo(made)
    click.echo(f"otel-measure: {chosen} has its hash; nobody can show the token again", err=True)


def _file_of_settings() -> Path:
    file = load_settings({}).tokens_file
    if file is None:
        raise ConfigurationError("say where tokens are kept: --file FILE, or OTEL_MEASURE_TOKENS_FILE")
    return Path(file)
