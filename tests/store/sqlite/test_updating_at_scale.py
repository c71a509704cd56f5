"""The store of the last release with many users, in the short form that the gate runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_measure.store.sqlite import updating
from tests.store.sqlite.updating_at_scale import run


def test_many_users_and_purged_days_end_as_a_fresh_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Updated while two versions write, every row of every table is that of a fresh store, and nothing is lost."""
    monkeypatch.setattr(updating, "SMALL", -1)
    figures, different = run(tmp_path, copies=6)
    assert (different, figures.facts) == ([], 6 * 358)
    assert figures.written
