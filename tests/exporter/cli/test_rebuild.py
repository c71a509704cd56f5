"""`otel-measure rebuild`."""

from __future__ import annotations

import json
import re
from pathlib import Path

from exporter.cli import exit_codes
from otel_measure.definitions.parameters import Definitions
from otel_measure.store.sqlite import SqliteStore
from tests.exporter.cli.command_line import run


def test_rebuild_in_another_zone(tmp_path: Path) -> None:
    """`rebuild --timezone` moves the days of a store, which then opens with that zone only."""
    path = tmp_path / "a.db"
    SqliteStore(str(path)).close()
    result = run("rebuild", "--store", str(path), "--timezone", "Asia/Kathmandu", "--json")
    answer = json.loads(result.output)
    assert (result.exit_code, answer["store"], answer["timezone"]) == (0, str(path), "Asia/Kathmandu")
    SqliteStore(str(path), definitions=Definitions(timezone="Asia/Kathmandu")).close()
    again = run("rebuild", "--store", str(path))
    assert again.exit_code == 0
    assert re.fullmatch(re.escape(f"rebuilt {path} with the days of Asia/Kathmandu in ") + r"\d+\.\d s\n", again.output)


def test_rebuild_of_nothing(tmp_path: Path) -> None:
    """A store that is not there is not made by rebuilding it."""
    result = run("rebuild", "--store", str(tmp_path / "a.db"))
    assert result.exit_code == exit_codes.USAGE
    assert result.output == (
        f"otel-measure: there is no store at {tmp_path / 'a.db'}; name one with --store or OTEL_MEASURE_STORE, or"
        " start `otel-measure serve`, which makes it\n"
    )
    assert list(tmp_path.iterdir()) == []
