"""Experiments: what persons contribute to hourly cells, whatever the order, the batches and the ids."""

from __future__ import annotations

from pathlib import Path

from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.experiments import Experiment
from tests.closing import closed_later

TEST = Experiment("t", "T", ("a", "b"), (0.5, 0.5), 1.0, created=5)


def test_two_stores_on_one_file_keep_one_definition(tmp_path: Path) -> None:
    """What one store defines the other finds, and keeps."""
    one, other = (closed_later(SqliteStore(str(tmp_path / "measure.db"))) for _ in range(2))
    again = Experiment("t", "T", ("a", "b"), (0.5, 0.5), 1.0, created=8)
    assert (one.define_experiment(TEST).created, other.define_experiment(again).created) == (5, 5)
    one.close()
    other.close()
