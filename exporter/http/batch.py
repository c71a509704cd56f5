"""Batch writes: each item is validated by itself, so that a wrong one does not fail the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from exporter.http.envelope import HttpError
from exporter.http.types import MAX_BATCH_ITEMS, MAX_ITEM_BYTES
from otel_measure.records.kinds import Record
from otel_measure.store.types.facts import Receipt


class ItemReceipt(NamedTuple):
    """What became of one item; the id is `None` for an item that never became a record."""

    id: str | None
    receipt: Receipt


def write_batch(
    items: Sequence[msgspec.Raw],
    records_of: Callable[[msgspec.Raw], tuple[Record, ...]],
    commit: Callable[[Sequence[Record]], list[Receipt]],
) -> list[ItemReceipt]:
    """Commit the items that are records, in one transaction, and say of each what became of it.

    Args:
        items: as they stand in the body.
        records_of: makes the records of an item, first the one whose id and receipt speak for it; a `ValueError` or
            `HttpError` of it is the reason of a rejection.
        commit: commits records and returns a receipt for each.

    Raises:
        HttpError: 413, there are too many items.
        StoreUnavailable: nothing was committed.
    """
    if len(items) > MAX_BATCH_ITEMS:
        raise HttpError(413, f"a batch must have at most {MAX_BATCH_ITEMS} items, not {len(items)}")
    built = [_records_or_reason(item, records_of) for item in items]
    records = [record for one in built if not isinstance(one, str) for record in one]
    receipts = iter(commit(records) if records else ())
    return [_item_receipt(one, receipts) for one in built]


def _records_or_reason(
    item: msgspec.Raw, records_of: Callable[[msgspec.Raw], tuple[Record, ...]]
) -> tuple[Record, ...] | str:
    size = memoryview(item).nbytes
    if size > MAX_ITEM_BYTES:
        return f"an item must have at most {MAX_ITEM_BYTES} bytes, not {size}"
    try:
        return records_of(item)
    except HttpError as fault:
        return fault.message
    except ValueError as fault:
        return str(fault)


def _item_receipt(built: tuple[Record, ...] | str, receipts: Iterator[Receipt]) -> ItemReceipt:
    if isinstance(built, str):
        return ItemReceipt(None, Receipt("rejected", built))
    of_its_records = [next(receipts) for _ in built]
    return ItemReceipt(built[0].id, of_its_records[0])


def counts(receipts: Iterable[ItemReceipt]) -> Counter[str]:
    """Return how many items were accepted, duplicate and rejected."""
    return Counter(one.receipt.outcome for one in receipts)


def is_duplicate(receipt: Receipt) -> bool:
    """Return whether a single write was known already: a retry must look like success.

    Raises:
        HttpError: 400, the store refused it.
    """
    if receipt.outcome == "rejected":
        raise HttpError(400, f"not accepted: {receipt.reason}")
    return receipt.outcome == "duplicate"
