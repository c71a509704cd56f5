"""Which bytes of the pages of an SQLite file hold nothing, after https://www.sqlite.org/fileformat2.html.

SQLite leaves in them what was there before: `secure_delete` overwrites the row that is removed, and not the copies that
were left behind when a page was split or put in order. They may be overwritten at any time: nobody reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from struct import unpack_from
from typing import Final, NamedTuple

ReadPage = Callable[[int], bytes]
_MAGIC: Final = b"SQLite format 3\0"
_HEADER_BYTES: Final = 100
_INTERIOR: Final = frozenset({2, 5})
_TABLE: Final = frozenset({5, 13})
_TREE: Final = frozenset({2, 5, 10, 13})
# An overflow page begins with the number of the next one, whose first byte is none of these in a smaller file.
MOST_PAGES: Final = 2 << 24


class FileHeader(NamedTuple):
    """What the first page says of all.

    Attributes:
        page_bytes: of each page.
        usable_bytes: of a page, without those that are reserved at its end.
        pages: how many there are.
        first_trunk: the first page of the list of free pages, 0 for none.
    """

    page_bytes: int
    usable_bytes: int
    pages: int
    first_trunk: int


class Overflow(NamedTuple):
    """The rest of a row that has no room in the page of its table: the first page of it, and how many bytes."""

    page: int
    size: int


class Malformed(ValueError):  # noqa: N818 - what it says of a page
    """A page is not what the format says that it is."""


def header_of(start: bytes) -> FileHeader:
    """Return what the first bytes of a file say.

    Raises:
        Malformed: it is no database.
    """
    if len(start) < _HEADER_BYTES or not start.startswith(_MAGIC):
        raise Malformed("no SQLite database")
    size = _number(start, 16, 2)
    page_bytes = 65536 if size == 1 else size
    return FileHeader(page_bytes, page_bytes - start[20], _number(start, 28, 4), _number(start, 32, 4))


def free_pages(header: FileHeader, read: ReadPage) -> tuple[set[int], set[int]]:
    """Return the free pages that list others, and those that are listed, which hold nothing at all."""
    trunks, leaves = set[int](), set[int]()
    trunk = header.first_trunk
    while trunk:
        if trunk in trunks or trunk > header.pages:
            raise Malformed(f"the list of free pages leads to page {trunk}")
        page = read(trunk)
        listed = _number(page, 4, 4)
        if 8 + 4 * listed > header.usable_bytes:
            raise Malformed(f"page {trunk} lists {listed} free pages")
        leaves.update(_number(page, at, 4) for at in range(8, 8 + 4 * listed, 4))
        trunks.add(trunk)
        trunk = _number(page, 0, 4)
    return trunks, leaves


def without_rests(number: int, page: bytes, header: FileHeader) -> tuple[bytes, list[Overflow]]:
    """Return a page of a table or an index with zeros where it holds nothing, and where its rows go on.

    Any other page (of a row that goes on, of the list of free ones) comes back as it is: its first byte is no kind.

    Raises:
        Malformed: a row of it lies where none can.
    """
    at = _HEADER_BYTES if number == 1 else 0
    if page[at] not in _TREE:
        return page, []
    tree = _tree_page(number, page, at, header.usable_bytes)
    if tree.is_clear():
        skipped, short = (4 if tree.kind in _INTERIOR else 0), min(_most_local(tree.usable, tree.kind in _TABLE), 0x7F)
        long = [start for start in tree.starts if page[start + skipped] > short]
        return page, [overflow for start in long if (overflow := tree.cell(start)[1]) is not None]
    return tree.rebuilt()


class _TreePage(NamedTuple):
    """A page of a table or an index.

    Attributes:
        at: where its header is.
        end: of its header and the list of its rows.
        starts: of its rows.
    """

    number: int
    page: bytes
    at: int
    kind: int
    end: int
    starts: Sequence[int]
    usable: int

    def is_clear(self) -> bool:
        """Whether there are zeros wherever it holds nothing, as on most pages, without a look at each row."""
        page = self.page
        content = _number(page, self.at + 5, 2) or 65536
        has_fragments = page[self.at + 7]
        return not has_fragments and not any(
            page[start:end].strip(b"\0")
            for start, end in [
                (self.end, content),
                *((block + 4, block + _number(page, block + 2, 2)) for block in self.free_blocks()),
            ]
        )

    def rebuilt(self) -> tuple[bytes, list[Overflow]]:
        """Return it with nothing but what it holds, each at its place, and where its rows go on."""
        page, usable = self.page, self.usable
        kept = bytearray(len(page))
        kept[: self.end] = page[: self.end]
        kept[usable:] = page[usable:]
        overflows = []
        for start in self.starts:
            size, overflow = self.cell(start)
            kept[start : start + size] = page[start : start + size]
            if overflow is not None:
                overflows.append(overflow)
        for start in self.free_blocks():
            kept[start : start + 4] = page[start : start + 4]
        return bytes(kept), overflows

    def free_blocks(self) -> Iterator[int]:
        """Yield where the unused blocks begin: four bytes of each are the place of the next and its own size."""
        block, before = _number(self.page, self.at + 1, 2), 0
        while block:
            if not before < block <= self.usable - 4:
                raise Malformed(f"page {self.number} has a free block at {block}")
            yield block
            before, block = block, _number(self.page, block, 2)

    def cell(self, start: int) -> tuple[int, Overflow | None]:
        """Return how many bytes of the page a row takes, and where it goes on."""
        page, kind = self.page, self.kind
        payload, at = _varint(page, start + (4 if kind in _INTERIOR else 0))
        local = 0
        if kind != 5:  # which has a row number alone
            if kind == 13:
                _, at = _varint(page, at)
            local = _local(payload, self.usable, is_table=kind in _TABLE)
        goes_on = kind != 5 and local < payload
        size = at + local + 4 * goes_on - start
        if start + size > self.usable:
            raise Malformed(f"page {self.number} has a row of {size} bytes at {start}")
        return size, Overflow(_number(page, at + local, 4), payload - local) if goes_on else None


def _tree_page(number: int, page: bytes, at: int, usable: int) -> _TreePage:
    kind, rows = page[at], _number(page, at + 3, 2)
    pointers = at + (12 if kind in _INTERIOR else 8)
    end = pointers + 2 * rows
    if end > usable:
        raise Malformed(f"page {number} has {rows} rows")
    starts = unpack_from(f">{rows}H", page, pointers)
    if starts and not end <= min(starts) <= max(starts) <= usable - 4:  # the least that a row takes
        raise Malformed(f"page {number} has rows from {min(starts)} to {max(starts)}")
    return _TreePage(number, page, at, kind, end, starts, usable)


def without_rest_of_list(trunk: bytes, header: FileHeader) -> bytes:
    """Return a page of the list of free pages with zeros after the list."""
    end = 8 + 4 * _number(trunk, 4, 4)
    return trunk[:end] + bytes(header.usable_bytes - end) + trunk[header.usable_bytes :]


def last_of(overflow: Overflow, header: FileHeader, read: ReadPage) -> tuple[int, bytes, bytes]:
    """Return the last page of a row that goes on: its number, as it is, and with zeros after the end of the row."""
    room = header.usable_bytes - 4
    number, left = overflow
    page = _existing(number, header, read)
    while left > room:
        number, left = _number(page, 0, 4), left - room
        page = _existing(number, header, read)
    return number, page, page[: 4 + left] + bytes(room - left) + page[header.usable_bytes :]


def _existing(number: int, header: FileHeader, read: ReadPage) -> bytes:
    if not 0 < number <= header.pages:
        raise Malformed(f"a row goes on at page {number}")
    return read(number)


def _local(payload: int, usable: int, *, is_table: bool) -> int:
    """Return how many bytes of a row stay in the page of its table or index."""
    most = _most_local(usable, is_table)
    if payload <= most:
        return payload
    least = (usable - 12) * 32 // 255 - 23
    local = least + (payload - least) % (usable - 4)
    return local if local <= most else least


def _most_local(usable: int, is_table: bool) -> int:
    return usable - 35 if is_table else (usable - 12) * 64 // 255 - 23


def _varint(page: bytes, at: int) -> tuple[int, int]:
    """Return a number of one to nine bytes, and where it ends."""
    value = 0
    for i in range(at, at + 8):
        byte = page[i]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, i + 1
    return value << 8 | page[at + 8], at + 9


def _number(page: bytes, at: int, size: int) -> int:
    return int.from_bytes(page[at : at + size])
