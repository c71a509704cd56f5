"""`otel-measure doctor`: its output and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exporter.cli import exit_codes
from exporter.cli.doctor.rendering import conclusion
from otel_measure.store.types.findings import Finding, Verdict
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


def test_an_alert_rule_that_cannot_be_so_is_told_before_a_start(tmp_path: Path) -> None:
    """It is an error of the settings, as one of Settings itself; a rule that can be so is none."""
    results = [
        run("doctor", "--port", "0", "--store", str(tmp_path / "a.db"), env={"OTEL_MEASURE_ALERT_RULES": rules})
        for rules in ('{"host_cpu": {"enabled": 1}}', '{"host_cpu": {"enabled": false}}')
    ]
    assert [result.exit_code for result in results] == [exit_codes.USAGE, 0]
    assert "alert_rules['host_cpu']['enabled'] is 1; it must be true or false" in results[0].output


def test_doctor_concludes(tmp_path: Path) -> None:
    """The last line says that all is well, or how many findings are wrong or to be warned of."""
    well = run("doctor", "--port", "0", "--store", str(tmp_path / "a.db")).output.splitlines()
    bad = run("doctor", "--port", "0", "--store", str(tmp_path)).output.splitlines()
    assert well[-1] == f"all well: {len(well) - 2} checks"
    assert bad[-1].startswith("1 wrong, 0 to be warned of, ")


@pytest.mark.parametrize(
    ("verdicts", "line"),
    [
        (["ok", "ok"], "all well: 2 checks"),
        (["ok", "warning"], "0 wrong, 1 to be warned of, 1 well; the way out stands beside each"),
        (["wrong", "wrong"], "2 wrong, 0 to be warned of, 0 well; the way out stands beside each"),
    ],
)
def test_the_conclusion_counts_verdicts(verdicts: list[Verdict], line: str) -> None:
    """Nothing is well as long as there is a warning."""
    assert conclusion([Finding(verdict, "") for verdict in verdicts]) == line
