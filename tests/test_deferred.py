"""What is set while the store is away waits for it."""

from __future__ import annotations

from typing import ClassVar, cast

import msgspec
import pytest

from otel_measure.deferred import AT_ONCE, Command, Deferred
from otel_measure.errors import ConfigurationError, Conflict, StoreUnavailable
from otel_measure.store.protocol import Store


class Desk:
    """A store that may be away, a spool beside it, and what was set and told."""

    def __init__(self) -> None:
        self.raises: Exception | None = None
        self.done: list[str] = []
        self.kept: list[bytes] = []
        self.is_full = False
        self.told: list[tuple[str, str]] = []
        self.deferred = Deferred(
            (SetText,), self, lambda: 0, lambda what, message, error: self.told.append((what, message))
        )

    @property
    def store(self) -> Store:
        """Itself, as the store that commands see."""
        return cast(Store, self)

    def fault(self, what: str, message: str, error: Exception) -> None:
        """Be told of a fault."""
        self.told.append((what, message))

    def set_text(self, text: str) -> str:
        """Set something."""
        if self.raises is not None:
            raise self.raises
        self.done.append(text)
        return text

    def keep(self, command: bytes) -> None:
        """Keep a command."""
        if self.is_full:
            raise StoreUnavailable("spool_full", "it is full", "see why")
        self.kept.append(command)

    def must_wait(self) -> bool:
        """Tell whether others wait."""
        return bool(self.kept)

    def do_kept(self) -> None:
        """Do what waits, in order, and forget it."""
        while self.kept:
            self.deferred.do_kept(self.store, self.kept[0])
            del self.kept[0]


class SetText(Command[str], frozen=True):
    """Sets a text."""

    call: ClassVar[str] = "set_text"
    text: str

    def apply(self, store: Store) -> str:
        """Set it."""
        return cast(Desk, store).set_text(self.text)

    def refusal(self, answer: str) -> str | None:
        """Tell of one text that it was not set."""
        return "it is no text" if answer == "none" else None


AWAY = StoreUnavailable("away", "nobody answers", "wait")


def test_what_waits_is_done_in_its_order_and_what_comes_meanwhile_goes_behind_it() -> None:
    """While anything waits nothing is done at once, though the store were there: the order is that of the calls."""
    place = Desk()
    place.raises = AWAY
    assert place.deferred.do(place.store, SetText("a"), "meanwhile") == "meanwhile"
    place.raises = None
    assert place.deferred.do(place.store, SetText("b"), "meanwhile") == "meanwhile"
    assert place.done == []
    place.do_kept()
    assert place.deferred.do(place.store, SetText("c"), "meanwhile") == "c"
    assert (place.done, place.told) == (["a", "b", "c"], [])


def test_a_store_that_is_still_away_has_it_wait_on() -> None:
    """So does one that this process cannot open; nothing of it is told as refused."""
    place = Desk()
    place.raises = AWAY
    place.deferred.do(place.store, SetText("a"), "")
    for fault in (AWAY, ConfigurationError("no client is installed")):
        place.raises = fault
        with pytest.raises(type(fault)):
            place.do_kept()
    assert (len(place.kept), place.done, place.told) == (1, [], [])


def test_what_is_refused_later_is_told_and_waits_no_longer() -> None:
    """Whether the store raises or answers so, under a name of its own for every call; those behind it are done."""
    place = Desk()
    place.raises = AWAY
    for text in ("bad", "none", "good"):
        place.deferred.do(place.store, SetText(text), "")
    place.raises = Conflict("it is another one")
    place.deferred.do_kept(place.store, place.kept.pop(0))
    place.raises = None
    place.do_kept()
    assert place.told == [
        ("refused_set_text", "set_text, which waited for the store, was refused: it is another one"),
        ("refused_set_text", "set_text, which waited for the store, was refused: it is no text"),
    ]
    assert place.done == ["none", "good"]


def test_what_this_version_cannot_read_holds_nobody_up() -> None:
    """Whether another version kept it, or the file is damaged: it is told as refused, and those behind it are done."""
    place = Desk()
    encode = msgspec.msgpack.encode
    place.kept = [encode(("of_a_later_version", {})), encode(("set_text", {"text": 1})), b"\xc1"]
    place.deferred.do(place.store, SetText("good"), "")
    place.do_kept()
    assert place.told == [
        (
            "refused_of_a_later_version",
            "of_a_later_version, which waited for the store, was refused: this version knows no such call",
        ),
        (
            "refused_set_text",
            "set_text, which waited for the store, was refused: Expected `str`, got `int` - at `$.text`",
        ),
        (
            "refused_command",
            "command, which waited for the store, was refused: MessagePack data is malformed: invalid opcode '\\xc1'"
            " (byte 0)",
        ),
    ]
    assert place.done == ["good"]


def test_what_can_neither_be_done_nor_kept_raises() -> None:
    """Nobody is told that something will happen which will not."""
    place = Desk()
    place.raises, place.is_full = AWAY, True
    with pytest.raises(StoreUnavailable, match="spool_full"):
        place.deferred.do(place.store, SetText("a"), "meanwhile")
    with pytest.raises(StoreUnavailable, match="nobody answers"):
        AT_ONCE.do(place.store, SetText("a"), "meanwhile")


def test_what_is_refused_at_once_raises() -> None:
    """With a spool as well: who calls is there to hear it."""
    place = Desk()
    place.raises = Conflict("it is another one")
    for deferred in (place.deferred, AT_ONCE):
        with pytest.raises(Conflict):
            deferred.do(place.store, SetText("a"), "meanwhile")
    assert place.kept == []
