from __future__ import annotations

import pytest

from otel_measure.records.kinds import Record
from tests.facts import one_of_each


@pytest.mark.parametrize("record", one_of_each(), ids=lambda record: type(record).__name__)
def test_records_are_frozen(record: Record) -> None:
    """A record does not change once it is made."""
    with pytest.raises(AttributeError):
        record.id = "other"  # type: ignore[misc]
