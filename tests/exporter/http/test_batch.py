from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from exporter.http.batch import ItemReceipt, counts, is_duplicate, write_batch
from exporter.http.envelope import HttpError
from otel_measure.errors import StoreUnavailable
from otel_measure.records.kinds import Origin, Record, UserEvent
from otel_measure.store.types.facts import ACCEPTED, DUPLICATE, Receipt


def judge(item: msgspec.Raw) -> tuple[Record, ...]:
    """Return a record named like the item, or fail as its text says."""
    body = bytes(item)
    if body == b'"http"':
        raise HttpError(400, "event_type is required (field of the event)")
    if body == b'"value"':
        raise ValueError("user_id must be an int or a non-empty string, not ''")
    return (UserEvent(id=body.decode(), ts=0, origin=Origin("s"), user_id="1", type="click", name="n"),)


def commit(records: Sequence[Record]) -> list[Receipt]:
    """Accept all but the item that is known."""
    return [DUPLICATE if record.id == "2" else ACCEPTED for record in records]


def raws(*bodies: bytes) -> list[msgspec.Raw]:
    """Return items as they stand in a body."""
    return [msgspec.Raw(body) for body in bodies]


def test_each_item_by_itself() -> None:
    """What is wrong is rejected with its reason, what is known is a duplicate, and all the rest is accepted."""
    receipts = write_batch(raws(b"1", b'"http"', b"2", b'"value"', b"3", b"x" * 32769), judge, commit)
    assert receipts == [
        ItemReceipt("1", ACCEPTED),
        ItemReceipt(None, Receipt("rejected", "event_type is required (field of the event)")),
        ItemReceipt("2", DUPLICATE),
        ItemReceipt(None, Receipt("rejected", "user_id must be an int or a non-empty string, not ''")),
        ItemReceipt("3", ACCEPTED),
        ItemReceipt(None, Receipt("rejected", "an item must have at most 32768 bytes, not 32769")),
    ]
    assert counts(receipts) == {"accepted": 2, "duplicate": 1, "rejected": 3}


def test_nothing_to_commit() -> None:
    """A batch without one record asks nothing of the store."""

    def never(records: Sequence[Record]) -> list[Receipt]:
        raise AssertionError("there is nothing to commit")

    assert write_batch([], judge, never) == []
    assert write_batch(raws(b'"http"'), judge, never)[0].receipt.outcome == "rejected"


def test_too_many() -> None:
    """A thousand items are a batch; one more is a 413."""
    assert len(write_batch(raws(*[b"1"] * 1000), judge, commit)) == 1000
    with pytest.raises(HttpError, match="a batch must have at most 1000 items, not 1001") as caught:
        write_batch(raws(*[b"1"] * 1001), judge, commit)
    assert caught.value.status == 413


def test_no_store() -> None:
    """While the store cannot be used the whole batch fails: nothing of it was committed."""

    def unavailable(records: Sequence[Record]) -> list[Receipt]:
        raise StoreUnavailable("full", "no space", "make some")

    with pytest.raises(StoreUnavailable):
        write_batch(raws(b"1"), judge, unavailable)


def test_single_writes() -> None:
    """A retry looks like success; what the store refuses is a 400 with its reason."""
    assert [is_duplicate(ACCEPTED), is_duplicate(DUPLICATE)] == [False, True]
    with pytest.raises(HttpError, match="not accepted: older than retention") as caught:
        is_duplicate(Receipt("rejected", "older than retention"))
    assert caught.value.status == 400
