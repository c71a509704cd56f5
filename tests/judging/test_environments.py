"""Which environments there are to ask about, without a store and with one that is empty."""

from __future__ import annotations

from otel_measure.config import Settings
from otel_measure.judging.environments import Environments
from otel_measure.testing import Capture


def test_an_empty_store_has_no_environment_and_neither_has_none() -> None:
    """An answer is about the unnamed one then."""
    for store in (":memory:", None):
        with Capture(Settings(store=store)) as measured:
            assert measured.runtime.environments() == Environments((), "")
