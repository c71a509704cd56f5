"""Which bytes of the pages of an SQLite file hold nothing, after https://www.sqlite.org/fileformat2.html.

SQLite leaves in them what was there before: `secure_delete` overwrites the row that is removed, and not the copies that
were left behind when a page was split or put in order. They may be overwritten at any time: nobody reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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

    Any other page (of one that goes on, of the list of free ones) comes back as it is: its first byte is no kind.

    Raises:
        Malformed: a row of it lies where none can.
    """
    at = _HEADER_BYTES if number == 1 else 0
    kind = page[at]
    if kind not in _TREE:
        return page, []
    cells = _number(page, at + 3, 2)
    pointers = at + (12 if kind in _INTERIOR else 8)
    end = pointers + 2 * cells
    if end > header.usable_bytes:
        raise Malformed(f"page {number} has {cells} rows")
    kept = bytearray(len(page))
    kept[:end] = page[:end]
    kept[header.usable_bytes :] = page[header.usable_bytes :]
    overflows = []
    for pointer in range(pointers, end, 2):
        start = _number(page, pointer, 2)
        if not end <= start < header.usable_bytes:
            raise Malformed(f"page {number} has a row at {start}")
        size, overflow = _cell(page, start, kind, header.usable_bytes)
        if start + size > header.usable_bytes:
            raise Malformed(f"page {number} has a row of {size} bytes at {start}")
        kept[start : start + size] = page[start : start + size]
        if overflow is not None:
            overflows.append(overflow)
    for start in _free_blocks(number, page, at, header.usable_bytes):
        kept[start : start + 4] = page[start : start + 4]
    return bytes(kept), overflows


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


def _free_blocks(number: int, page: bytes, at: int, usable: int) -> Iterator[int]:
    """Yield where the unused blocks inside a page begin: four bytes of each are its size and the place of the next."""
    block, before = _number(page, at + 1, 2), 0
    while block:
        if not before < block <= usable - 4:
            raise Malformed(f"page {number} has a free block at {block}")
        yield block
        before, block = block, _number(page, block, 2)


def _cell(page: bytes, start: int, kind: int, usable: int) -> tuple[int, Overflow | None]:
    """Return how many bytes of the page a row takes, and where it goes on."""
    at = start + (4 if kind in _INTERIOR else 0)
    payload, at = _varint(page, at)
    if kind == 5:  # of a table, with a row number alone
        return at - start, None
    if kind == 13:
        _, at = _varint(page, at)
    local = _local(payload, usable, is_table=kind in _TABLE)
    if local == payload:
        return at + local - start, None
    return at + local + 4 - start, Overflow(_number(page, at + local, 4), payload - local)


def _local(payload: int, usable: int, *, is_table: bool) -> int:
    """Return how many bytes of a row stay in the page of its table or index."""
    most = usable - 35 if is_table else (usable - 12) * 64 // 255 - 23
    if payload <= most:
        return payload
    least = (usable - 12) * 32 // 255 - 23
    local = least + (payload - least) % (usable - 4)
    return local if local <= most else least


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
