"""Which table of facts is of a person, and by what."""

from __future__ import annotations

from otel_measure.store.sqlite import facts
from otel_measure.store.sqlite.export import OF_A_PERSON


def test_every_table_says_whose_its_facts_are() -> None:
    """A table of facts names its person, or stands in the list that says by what else it is of one, or of nobody."""
    named = {table.name for table in facts.TABLES if "uid" in table.columns}
    assert named | set(OF_A_PERSON) == {table.name for table in facts.TABLES}
    assert named & set(OF_A_PERSON) == set()
