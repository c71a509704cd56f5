"""`otel-measure token new`: what it prints, where, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

from exporter.cli import exit_codes
from exporter.http.tokens import digest_of, read_tokens
from tests.exporter.cli.command_line import run


def test_the_token_is_shown_once(tmp_path: Path) -> None:
    """It is all of the standard output, for scripts; the file has its hash alone."""
    file = tmp_path / "tokens"
    result = run("token", "new", "grafana", "--scope", "read", "--file", str(file))
    token = result.stdout.strip()
    assert result.exit_code == 0
    assert result.stderr == f"otel-measure: {file} has its hash; nobody can show the token again\n"
    assert [each.digest for each in read_tokens(file)] == [digest_of(token.encode())]
    assert token not in file.read_text()


def test_in_json_and_by_the_settings(tmp_path: Path) -> None:
    """The file may be that of the settings, and scopes may be several."""
    file = tmp_path / "tokens"
    result = run(
        "token", "new", "ops", "--scope", "write", "--scope", "read", "--json",
        env={"OTEL_MEASURE_TOKENS_FILE": str(file)},
    )  # fmt: skip
    told = json.loads(result.output)
    assert told.pop("token").startswith("otm_")
    assert told == {"name": "ops", "scopes": ["read", "write"], "file": str(file)}


def test_what_is_refused(tmp_path: Path) -> None:
    """Without a file, with a name that is taken, and where no file can be."""
    result = run("token", "new", "a", "--scope", "read")
    assert (result.exit_code, result.output) == (
        exit_codes.USAGE,
        "otel-measure: say where tokens are kept: --file FILE, or OTEL_MEASURE_TOKENS_FILE\n",
    )
    file = tmp_path / "tokens"
    assert run("token", "new", "a", "--scope", "read", "--file", str(file)).exit_code == 0
    result = run("token", "new", "a", "--scope", "read", "--file", str(file))
    assert (result.exit_code, "has a token named a" in result.output) == (exit_codes.USAGE, True)
    result = run("token", "new", "a", "--scope", "read", "--file", str(tmp_path / "absent" / "tokens"))
    assert (result.exit_code, "cannot be written: No such file" in result.output) == (exit_codes.USAGE, True)
    assert run("token", "new", "a", "--file", str(file)).exit_code == exit_codes.USAGE
