"""Registrations that wait for a store that is away."""

from __future__ import annotations

from functools import partial

import pytest

from otel_measure.deferred import AT_ONCE, Deferred
from otel_measure.errors import Conflict, StoreUnavailable


class FarAway:
    """A store that may be away, and what was set in it."""

    def __init__(self) -> None:
        self.is_away = True
        self.set: list[str] = []
        self.faults: list[str] = []
        self.deferred = Deferred(waits=True, fault=lambda what, message, error: self.faults.append(message))

    def keep(self, what: str) -> str:
        """Set something."""
        if self.is_away:
            raise StoreUnavailable("away", "nobody answers", "wait")
        if what == "other":
            raise Conflict("it is another one")
        self.set.append(what)
        return what


def test_what_waits_is_done_once_in_its_order_when_the_store_is_there() -> None:
    """Of two for one key the last; what the store refuses is told and waits no longer."""
    place = FarAway()
    for key, what in (("a", "first"), ("b", "b"), ("c", "other"), ("a", "a")):
        assert place.deferred.do(key, partial(place.keep, what), "meanwhile") == "meanwhile"
    with pytest.raises(StoreUnavailable):
        place.deferred.run()
    place.is_away = False
    for _ in range(2):
        place.deferred.run()
        assert place.set == ["a", "b"]
        assert place.faults == ["what was to be set when the store is back was refused: it is another one"]
    assert place.deferred.do("d", partial(place.keep, "d"), "meanwhile") == "d"


def test_where_nothing_waits_who_asks_is_told() -> None:
    """And what is refused is refused at once."""
    place = FarAway()
    with pytest.raises(StoreUnavailable):
        AT_ONCE.do("a", partial(place.keep, "a"), "meanwhile")
    place.is_away = False
    with pytest.raises(Conflict):
        place.deferred.do("a", partial(place.keep, "other"), "meanwhile")
    AT_ONCE.run()
    assert place.set == []
