"""The lists in answers: which there are, and the part of each that a question asks for.

A route names its lists (`Listing`); what their rows are, and by which columns one may sort, is told by the type of its
answer. From both follow the query parameters, the page that leaves, and the same as a table of comma-separated values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from typing import Annotated, Any, Final, Generic, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from otel_measure.definitions.columns import Column, columns_of, without_none
from otel_measure.definitions.pages import MAX_PAGE, Page, rows_of

A = TypeVar("A")
_MOST_CHARS: Final = 200
_LIMIT: Final = "How many rows of each list."
_OFFSET: Final = "How many rows of each list come before."
_OF: Final = "Only this list; the others are empty."


class ListTotal(msgspec.Struct, frozen=True):
    """How long a list is of which a page is answered: all of it, and what holds the words of `q`."""

    total: int
    matched: int


class Listed(NamedTuple, Generic[A]):
    """An answer with a page of its lists, or of some of them; `totals` by the keys of these."""

    answer: A
    totals: Mapping[str, ListTotal]


@dataclass(frozen=True, slots=True)
class Listing:
    """A list in an answer.

    Attributes:
        key: the way to it from the answer, with dots between.
        searched: the columns that `q` looks in.
        keys: the columns that a field of the rows has which holds a mapping.
        first: chooses the rows of a page by `limit` and `offset` where nobody says how to sort.
        has_own_order: the parameter `sort` of the route says which rows the list has, and it has them in that order.
    """

    key: str
    searched: tuple[str, ...]
    keys: tuple[tuple[str, tuple[str, ...]], ...] = ()
    first: Callable[[Sequence[Any], int, int], Sequence[Any]] | None = None
    has_own_order: bool = False


class BoundListing(NamedTuple):
    """A list in an answer of a type: what its rows are told by."""

    listing: Listing
    columns: tuple[Column, ...]

    @property
    def key(self) -> str:
        """The way to it from the answer."""
        return self.listing.key

    def rows(self, answer: Any) -> Sequence[Any]:
        """Return its rows, of an answer."""
        for part in self.key.split("."):
            answer = getattr(answer, part)
        rows: Sequence[Any] = answer
        return rows

    @property
    def sortable(self) -> tuple[str, ...]:
        """The columns that one may sort by."""
        if self.listing.has_own_order:
            return ()
        return tuple(column.name for column in self.columns if column.is_scalar)


def bound(listings: Sequence[Listing], answer: Any) -> tuple[BoundListing, ...]:
    """Return the lists of answers of a type.

    Raises:
        TypeError: the answer has no such list, or its rows no column that is searched.
    """
    found = tuple(BoundListing(each, columns_of(_row_type(answer, each.key), each.keys)) for each in listings)
    for each in found:
        unknown = {*each.listing.searched} - {column.name for column in each.columns}
        if unknown:
            raise TypeError(f"rows of {each.key} have no columns {sorted(unknown)}")
    return found


def _row_type(answer: Any, key: str) -> type:
    kind = without_none(answer)
    for part in key.split("."):
        kind = without_none(get_type_hints(kind)[part])
    if get_origin(kind) not in (tuple, list):
        raise TypeError(f"{key} of {answer!r} is {kind!r}, and no list of rows")
    row: type = get_args(kind)[0]
    return row


def answer_type(handler: Callable[..., object]) -> Any:
    """Return the type of what a handler answers."""
    kind = get_type_hints(handler)["return"]
    return get_args(kind)[0] if get_origin(kind) is Listed else kind


def with_page(query: type[msgspec.Struct], path: str, lists: Sequence[BoundListing]) -> type[msgspec.Struct]:
    """Return the query parameters of a route: its own and, where its answer has lists, those of a part of them."""
    if not lists:
        return query
    names = sorted({name for each in lists for name in each.sortable})
    searched = list(dict.fromkeys(name for each in lists for name in each.listing.searched))
    sort = Meta(
        description="A column to sort by, `-` before it for the largest first; unknown values come last.",
        extra_json_schema={"enum": ["", *names, *(f"-{name}" for name in names)]},
    )
    q = Meta(
        description=f"Words that rows have to hold, in {', '.join(searched)}.",
        max_length=_MOST_CHARS,
    )
    fields: list[tuple[str, Any, Any]] = [
        ("limit", Annotated[int, Meta(ge=1, le=MAX_PAGE, description=_LIMIT)], MAX_PAGE),
        ("offset", Annotated[int, Meta(ge=0, le=2**31 - 1, description=_OFFSET)], 0),
        ("sort", Annotated[str, sort], ""),
        ("q", Annotated[str, q], ""),
    ]
    if len(lists) > 1:
        keys = Meta(description=_OF, extra_json_schema={"enum": ["", *(each.key for each in lists)]})
        fields.append(("list", Annotated[str, keys], ""))
    own = query.__struct_fields__
    return msgspec.defstruct(
        f"{re.sub(r'[^A-Za-z]+', ' ', path).title().replace(' ', '')}Query",
        [field for field in fields if field[0] not in own],
        bases=(query,),
        frozen=True,
        kw_only=True,
    )


def page_asked(query: msgspec.Struct, lists: Sequence[BoundListing]) -> Page:
    """Return which part of its lists a question asks for.

    Raises:
        ValueError: there is no such list or column; the message names those that there are.
    """
    asked = msgspec.structs.asdict(query)
    sort = asked["sort"] if any(each.sortable for each in lists) else ""
    page = Page(asked["limit"], asked["offset"], sort, asked["q"], asked.get("list", ""))
    chosen = [each for each in lists if page.of in ("", each.key)]
    if not chosen:
        raise ValueError(f"list must be one of {', '.join(each.key for each in lists)}, not {page.of!r}")
    names = list(dict.fromkeys(name for each in chosen for name in each.sortable))
    if page.sort and page.column not in names:
        raise ValueError(f"sort must be one of {', '.join(names)}, with a - before it or without, not {page.sort!r}")
    return page


def page_of_lists(answer: Any, lists: Sequence[BoundListing], page: Page) -> Listed[Any]:
    """Return an answer with the asked part of its lists; of those whose totals a handler tells it took the part."""
    answer, told = answer if isinstance(answer, Listed) else (answer, {})
    totals = {}
    for each in lists:
        if each.key in told:
            totals[each.key] = told[each.key]
            continue
        rows = each.rows(answer)
        of_list = asked_of(page, each.key, each.sortable)
        part = rows_of(rows, of_list, each.columns, each.listing.searched, each.listing.first)
        totals[each.key] = ListTotal(part.total, part.matched)
        answer = _with(answer, each.key.split("."), [*part.rows] if isinstance(rows, list) else (*part.rows,))
    return Listed(answer, totals)


def asked_of(page: Page, key: str, sortable: Collection[str]) -> Page:
    """Return what is asked of one of several lists.

    Args:
        page: what is asked of all; where it is of another list, this one has no rows.
        key: of the list.
        sortable: its columns; without the one to sort by it stays in its order.
    """
    limit = page.limit if page.of in ("", key) else 0
    return replace(page, limit=limit, sort=page.sort if page.column in sortable else "")


def _with(record: Any, path: Sequence[str], value: object) -> Any:
    name, *rest = path
    changed = _with(getattr(record, name), rest, value) if rest else value
    if is_dataclass(record) and not isinstance(record, type):
        return replace(record, **{name: changed})
    return msgspec.structs.replace(record, **{name: changed})
