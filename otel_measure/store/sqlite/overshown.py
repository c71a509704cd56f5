"""Counters of calls that others tell of: they never fall, though what is known of the calls is corrected.

When a correction takes something off, the counters of that process show too much. They keep it, and what the process
adds next is taken off first, until they are right again: totals are exact, labels may keep an early name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

import msgspec

from otel_measure.conventions import instruments, semconv
from otel_measure.definitions.measurements import Attributes
from otel_measure.definitions.totals import Sum, TotalKey
from otel_measure.records.kinds import Origin
from otel_measure.store.sqlite import totals
from otel_measure.store.sqlite.transaction import Transaction


def show(transaction: Transaction, process: int, sums: Mapping[TotalKey, Sum], *, of_facts: bool) -> None:
    """Add to the totals what a process told, less what they show too much of it.

    Args:
        transaction: the open one.
        process: whose totals they are.
        sums: what it told.
        of_facts: whether a rebuild counts it anew; else the totals begin with it.
    """
    rest = _owed(transaction, process)
    shown = dict(sums) if not rest else {}
    if rest:
        for key, whole in sums.items():
            owed = _name(key)
            left, paid = _less(whole, rest.get(owed, 0))
            rest[owed] = rest.get(owed, 0) - paid
            shown[key] = left
            if of_facts and paid:
                _add(transaction, {key: _difference(left, whole)}, "total_base")
        _keep(transaction, process, rest)
    _add(transaction, shown, "total")
    if not of_facts:
        _add(transaction, shown, "total_base")


def defer(transaction: Transaction, process: int, sums: Mapping[TotalKey, Sum], due: int = 0) -> None:
    """Keep what facts add to the totals of a process for later; a rebuild leaves it out until then.

    Args:
        transaction: the open one.
        process: whose totals they are.
        sums: what facts add.
        due: when `overdue` shows it, microseconds; 0 for as soon as `deferred` is asked.
    """
    _add(transaction, {key: _difference(_nothing(whole), whole) for key, whole in sums.items()}, "total_base")
    transaction.connection.executemany(
        "INSERT INTO unshown (process, due, name, attributes, origin, value, count, buckets)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                process,
                due,
                name,
                _encode(attributes).decode(),
                transaction.names.origin(origin),
                whole.value,
                whole.count,
                totals.packed(whole.buckets) if whole.buckets is not None else None,
            )
            for (name, attributes, origin), whole in sums.items()
        ],
    )


def withdraw(transaction: Transaction, process: int, key: TotalKey, whole: Sum) -> bool:
    """Take off what is still to be shown; `False` where nothing of that series is."""
    row = transaction.connection.execute(
        "SELECT due FROM unshown WHERE process = ? AND due > 0 AND name = ? AND attributes = ? AND origin = ? LIMIT 1",
        (process, key.instrument, _encode(key.attributes).decode(), transaction.names.origin(key.origin)),
    ).fetchone()
    if row is None:
        return False
    defer(transaction, process, {key: _difference(_nothing(whole), whole)}, due=row[0])
    return True


def leave_out(transaction: Transaction, sums: Mapping[TotalKey, Sum]) -> None:
    """Have a rebuild not miss what facts that are gone would have added: counters have it already, or never had it."""
    _add(transaction, sums, "total_base")


def deferred(transaction: Transaction, process: int) -> dict[TotalKey, Sum]:
    """Return and forget what facts of a process have still to add to the totals."""
    return _taken(transaction, "process = ? AND due = 0", process)


def show_overdue(transaction: Transaction, now: int) -> None:
    """Show what the metrics of processes might have shown by themselves, where none have come."""
    rows = transaction.connection.execute("SELECT DISTINCT process FROM unshown WHERE due > 0 AND due <= ?", (now,))
    for (process,) in rows.fetchall():
        sums = _taken(transaction, "process = ? AND due > 0 AND due <= ?", process, now)
        show(transaction, process, sums, of_facts=False)


def drop_undue(transaction: Transaction, process: int) -> None:
    """Forget what the metrics of a process show by themselves."""
    transaction.connection.execute("DELETE FROM unshown WHERE process = ? AND due > 0", (process,))


def has_overdue(connection: sqlite3.Connection, now: int) -> bool:
    """Tell whether there is anything for `show_overdue`."""
    return connection.execute("SELECT 1 FROM unshown WHERE due > 0 AND due <= ? LIMIT 1", (now,)).fetchone() is not None


def _taken(transaction: Transaction, where: str, *values: int) -> dict[TotalKey, Sum]:
    rows = transaction.connection.execute(
        "SELECT u.name, u.attributes, o.service, o.environment, u.value, u.count, u.buckets FROM unshown u"
        f" JOIN origin o ON o.id = u.origin WHERE {where} ORDER BY u.id",
        values,
    ).fetchall()
    sums: dict[TotalKey, Sum] = {}
    for name, attributes, service, environment, number, count, buckets in rows:
        one = Sum(0)
        one.value, one.count = number, count
        one.buckets = list(totals.unpacked(buckets)) if buckets is not None else None
        key = TotalKey(name, _attributes(attributes), Origin(service, environment))
        if key in sums:
            sums[key].add(one)
        else:
            sums[key] = one
    if rows:
        transaction.connection.execute(f"DELETE FROM unshown WHERE {where}", values)
    return sums


def take_back(transaction: Transaction, process: int, sums: Mapping[TotalKey, Sum], *, of_facts: bool) -> int:
    """Note that totals show what is not so any more; return in how many calls.

    Args:
        transaction: the open one.
        process: whose totals they are.
        sums: what is not so any more.
        of_facts: whether facts that are gone had added it, which a rebuild then does not count.
    """
    rest = _owed(transaction, process)
    for key, whole in sums.items():
        owed = _name(key)
        rest[owed] = rest.get(owed, 0) + _amount(whole)
    _keep(transaction, process, rest)
    if of_facts:
        _add(transaction, sums, "total_base")
    return sum(whole.value for key, whole in sums.items() if key[0] == instruments.OTEL_MEASURE_AI_INFERENCES.name)


_encode = msgspec.json.Encoder().encode
_attributes = msgspec.json.Decoder(Attributes).decode
_TOKEN_TYPE: Final = semconv.ATTR_GEN_AI_TOKEN_TYPE


def _name(key: TotalKey) -> str:
    """Return what is paid together: a counter, tokens of each kind by themselves."""
    name, attributes, _ = key
    kind = next((value for label, value in attributes if label == _TOKEN_TYPE), "")
    return f"{name}/{kind}" if kind else name


def _amount(whole: Sum) -> int:
    return whole.value if whole.buckets is None else whole.count


def _owed(transaction: Transaction, process: int) -> dict[str, int]:
    rows = transaction.connection.execute("SELECT instrument, amount FROM overshown WHERE process = ?", (process,))
    return dict(rows)


def _keep(transaction: Transaction, process: int, owed: Mapping[str, int]) -> None:
    connection = transaction.connection
    connection.execute("DELETE FROM overshown WHERE process = ?", (process,))
    connection.executemany(
        "INSERT INTO overshown VALUES (?, ?, ?)", [(process, name, n) for name, n in owed.items() if n > 0]
    )


def _less(whole: Sum, owed: int) -> tuple[Sum, int]:
    """Return a sum less what is owed, and how much that was."""
    paid = min(_amount(whole), owed)
    left = Sum(0)
    if whole.buckets is None:
        left.value = whole.value - paid
        left.count = whole.count if left.value else 0
        return left, paid
    left.count = whole.count - paid
    left.value = whole.value * left.count // whole.count if whole.count else 0
    left.buckets = _fewer(whole.buckets, paid)
    return left, paid


def _fewer(buckets: list[int], n: int) -> list[int]:
    """Return buckets with `n` values less, those of the largest buckets first."""
    fewer = list(buckets)
    for i in sorted(range(len(fewer)), key=lambda each: -fewer[each]):
        taken = min(n, fewer[i])
        fewer[i] -= taken
        n -= taken
    return fewer


def _nothing(whole: Sum) -> Sum:
    none = Sum(0)
    none.buckets = [0] * len(whole.buckets) if whole.buckets is not None else None
    return none


def _difference(left: Sum, whole: Sum) -> Sum:
    less = Sum(0)
    less.value, less.count = left.value - whole.value, left.count - whole.count
    if left.buckets is not None and whole.buckets is not None:
        less.buckets = [a - b for a, b in zip(left.buckets, whole.buckets, strict=True)]
    return less


def _add(transaction: Transaction, sums: Mapping[TotalKey, Sum], into: str) -> None:
    nonzero = {key: each for key, each in sums.items() if each.value or each.count}
    totals.merge(transaction.connection, transaction.names, nonzero, into)
