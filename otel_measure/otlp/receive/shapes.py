"""Where the items of each signal stand in a request, and how much of it is looked at.

A small body may hold millions of items that say nothing, and decompressed a thousandfold of what was sent. So a request
is walked by the lengths in it before anything is decoded, and decoded in portions: what one portion can grow to is the
most that a request takes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from types import MappingProxyType
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

MAX_ITEMS: Final = 100_000
# An item is a log record, a span or a data point; a span may carry whole conversations.
MAX_ITEM_BYTES: Final = 1024 * 1024
# Of a resource, a scope, or what the data points of a metric have in common.
MAX_COMMON_BYTES: Final = 64 * 1024
PORTION_BYTES: Final = 1024 * 1024
PORTION_ITEMS: Final = 10_000
# Of two bytes each, no more than the items that are looked at.
HARMLESS_BYTES: Final = 2 * MAX_ITEMS

C = TypeVar("C")


class MessageShape(NamedTuple):
    """What holds items, or holds what holds them.

    Attributes:
        names: of the field in JSON.
        is_list: whether the field repeats.
        children: by their numbers in protobuf; none for an item.
    """

    names: tuple[str, ...]
    is_list: bool
    children: Mapping[int, MessageShape]


def _shape(name: str, children: Mapping[int, MessageShape], *, is_list: bool = True) -> MessageShape:
    snake = "".join(f"_{char.lower()}" if char.isupper() else char for char in name)
    return MessageShape(tuple(dict.fromkeys((name, snake))), is_list, MappingProxyType(dict(children)))


_NONE: Final[Mapping[int, MessageShape]] = {}
_POINTS: Final = {1: _shape("dataPoints", _NONE)}
_DATA: Final = {5: "gauge", 7: "sum", 9: "histogram", 10: "exponentialHistogram", 11: "summary"}


def _request(resources: str, scopes: str, items: str, children: Mapping[int, MessageShape] = _NONE) -> MessageShape:
    of_scope = {2: _shape(items, children)}
    return MessageShape((), False, {1: _shape(resources, {2: _shape(scopes, of_scope)})})


LOGS: Final = _request("resourceLogs", "scopeLogs", "logRecords")
SPANS: Final = _request("resourceSpans", "scopeSpans", "spans")
METRICS: Final = _request(
    *("resourceMetrics", "scopeMetrics", "metrics"),
    {number: _shape(name, _POINTS, is_list=False) for number, name in _DATA.items()},
)


class TooManyItemsError(ValueError):
    """A request has more items than are looked at."""

    def __init__(self) -> None:
        super().__init__(f"a request must have at most {MAX_ITEMS} items (log records, spans, data points)")


class ItemHolder(Generic[C]):
    """One resource, scope, metric or its data: what its items have in common.

    Args:
        parent: what it stands in; `None` for the request.
        number: of its field there.
        shape: of it.

    Attributes:
        path: the holders that it stands in from the request on, and itself.
        common: all of it but what holds items, in pieces as they stand in the body; some where it is too large.
        common_bytes: of all of these pieces.
    """

    __slots__ = ("common", "common_bytes", "number", "path", "shape")

    def __init__(self, parent: ItemHolder[C] | None, number: int, shape: MessageShape) -> None:
        self.path: tuple[ItemHolder[C], ...] = (self,) if parent is None else (*parent.path, self)
        self.number = number
        self.shape = shape
        self.common: list[C] = []
        self.common_bytes = 0

    @property
    def is_too_large(self) -> bool:
        """Whether its items are refused for what they have in common, so that no more of that need be kept."""
        return self.common_bytes > MAX_COMMON_BYTES


# What an item stands in, and where its bytes begin and end. A request has many: a named tuple takes five times as long.
Item: TypeAlias = tuple[ItemHolder[C], int, int]


class BodyWalk(Generic[C]):
    """What was found in a body.

    Attributes:
        items: in the order of the body.
        left: how many more items, or parts of what holds items, are looked at.
    """

    def __init__(self) -> None:
        self.items: list[Item[C]] = []
        self.left = MAX_ITEMS

    def portions(self, refused: Counter[str]) -> Iterator[list[Item[C]]]:
        """Return the items in portions, each of which may be decoded as a whole.

        Args:
            refused: is given how many items are passed over, by the rule that they break.
        """
        portion: list[Item[C]] = []
        n_bytes, last = 0, None
        for item in self.items:
            holder, start, end = item
            if (rule := _broken_rule(holder, end - start)) is not None:
                refused[rule] += 1
                continue
            size = end - start + (0 if holder is last else sum(each.common_bytes for each in holder.path))
            if portion and (n_bytes + size > PORTION_BYTES or len(portion) == PORTION_ITEMS):
                yield portion
                portion, n_bytes = [], 0
            portion.append(item)
            n_bytes += size
            last = holder
        if portion:
            yield portion


def _broken_rule(holder: ItemHolder[C], n_bytes: int) -> str | None:
    if n_bytes > MAX_ITEM_BYTES:
        return f"an item must have at most {MAX_ITEM_BYTES} bytes"
    if any(each.is_too_large for each in holder.path[1:]):
        return f"a resource, a scope and what points of a metric share must have at most {MAX_COMMON_BYTES} bytes each"
    return None


def by_holder(items: Iterable[Item[C]], depth: int) -> Iterator[tuple[ItemHolder[C], list[Item[C]]]]:
    """Return neighbours together that stand in the same holder, at so many levels below the request."""
    for _, run in groupby(items, lambda item: id(item[0].path[depth])):
        neighbours = list(run)
        yield neighbours[0][0].path[depth], neighbours
