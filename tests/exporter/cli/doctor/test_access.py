from __future__ import annotations

from pathlib import Path

import pytest

from exporter.cli.doctor.access import access
from exporter.http.tokens import new_token
from otel_measure.store.types.findings import Finding, ok, warning
from tests.exporter.cli.doctor.good_surroundings import around


def found(**settings: object) -> Finding:
    """Return what is found with these settings."""
    return access(around(None, **settings))


def test_who_is_answered(tmp_path: Path) -> None:
    """This machine alone, who has a token, or anybody."""
    file = tmp_path / "tokens"
    new_token(file, "grafana", ["read"])
    assert found() == ok("clients of this machine alone")
    assert found(token="x") == ok("a token is needed")
    assert found(tokens_file=str(file)) == ok(f"a token is needed; {file} has grafana")
    assert found(insecure=True, token="x") == warning(
        "anybody who reaches the port is answered", "make a token (`otel-measure token new`), and unset insecure"
    )


@pytest.mark.parametrize("text", ["broken", None])
def test_a_file_that_cannot_be_read(text: str | None, tmp_path: Path) -> None:
    """Is wrong, whatever a running server goes on with."""
    file = tmp_path / "tokens"
    if text is not None:
        file.write_text(text)
        file.chmod(0o600)
    finding = found(tokens_file=str(file))
    assert (finding.verdict, finding.way_out) == (
        "wrong",
        "mend the file: a running server goes on with the tokens that it has",
    )
