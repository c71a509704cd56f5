"""`otel-measure doctor`: its output and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

from exporter.cli import exit_codes
from tests.exporter.cli.command_line import run


def test_doctor_finds_nothing_wrong(tmp_path: Path) -> None:
    """Where all is well doctor exits with 0, and its JSON has every finding in full."""
    result = run("doctor", "--json", "--port", "0", "--store", str(tmp_path / "a.db"))
    answer = json.loads(result.output)
    assert (result.exit_code, answer["ok"]) == (0, True)
    assert answer["findings"][0] == {
        "check": "store",
        "verdict": "ok",
        "what": f"{tmp_path / 'a.db'}, made at the first start",
        "way_out": "",
    }


def test_doctor_finds_something_wrong(tmp_path: Path) -> None:
    """What is wrong stands in the table with its way out, and the exit code is 1."""
    result = run("doctor", "--port", "0", "--store", str(tmp_path))
    assert result.exit_code == exit_codes.WRONG
    row = next(line for line in result.output.splitlines() if line.startswith("store "))
    assert row.split(maxsplit=2)[1] == "wrong"
    assert f"{tmp_path} is a directory" in row
    assert row.rstrip().endswith("set OTEL_MEASURE_STORE to a file in it")
