from __future__ import annotations

import re
import uuid
from itertools import repeat
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.records.ids import Uuid7, id_key, id_keys, id_text


def zeros(n: int) -> bytes:
    """A source of randomness without any."""
    return bytes(n)


def test_an_id_is_a_uuid_of_version_7() -> None:
    """The first 48 bits are milliseconds since 1970 (RFC 9562, section 5.7), the version and variant are set."""
    made = uuid.UUID(Uuid7(lambda: 1_768_478_400_123_456)())
    assert (made.version, made.variant, made.int >> 80) == (7, uuid.RFC_4122, 1_768_478_400_123)


@given(st.lists(st.integers(0, 2**52), min_size=2, max_size=30))
def test_ids_of_one_process_sort_as_they_were_made(times: list[int]) -> None:
    """Also within one microsecond, and when the clock is set back."""
    new_id = Uuid7(iter(times).__next__)
    made = [new_id() for _ in times]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_of_one_microsecond_differ() -> None:
    """A clock that stands still makes no duplicates."""
    new_id = Uuid7(lambda: 5, zeros)
    assert len({new_id() for _ in range(1000)}) == 1000


def test_a_forked_child_makes_other_ids() -> None:
    """Parent and child go on from the same state and the same microsecond and never meet."""
    new_id = Uuid7(lambda: 5, Random(1).randbytes)
    parent = {new_id() for _ in range(3)}
    new_id.after_fork_in_child()
    assert parent.isdisjoint({new_id() for _ in range(3)})


@given(st.one_of(st.uuids().map(str), st.text(), st.uuids().map(lambda u: str(u).upper())))
def test_the_storage_key_gives_the_very_id_back(text: str) -> None:
    """Packing an id loses nothing, whatever it is."""
    assert id_text(id_key(text)) == text


uuids = st.uuids().map(str)


@given(st.one_of(st.lists(uuids), st.lists(st.one_of(uuids, st.text(max_size=40), uuids.map(str.upper)))))
def test_the_keys_of_many_ids_are_those_of_each(texts: list[str]) -> None:
    """Whatever stands among them."""
    assert id_keys(texts) == [id_key(text) for text in texts]


@pytest.mark.parametrize(
    "texts",
    [
        # Put together, these look like two canonical ids.
        ["018f3c2a-0000-7000-8000-0000000000010", "18f3c2a-0000-7000-8000-000000000002"],
        ["018f3c2a-0000-7000-8000-00000000000g"],
        ["018f3c2a-0000-7000-8000-0000-0000001"],
        ["018f3c2a-0000-7000-8000-00000000000\u0661"],
        ["018f3c2a-0000-7000-8000-0000 0000001"],
    ],
)
def test_what_only_looks_canonical_stays_text(texts: list[str]) -> None:
    """A length, a letter, a dash, a digit of another script or a space in the wrong place."""
    assert id_keys(texts) == texts


@pytest.mark.parametrize(
    ("text", "packed"),
    [
        ("018f3c2a-0000-7000-8000-000000000001", True),
        ("018F3C2A-0000-7000-8000-000000000001", False),
        ("018f3c2a000070008000000000000001", False),
        ("018f3c2a-0000-7000-8000-00000000000\n", False),
        ("٠18f3c2a-0000-7000-8000-000000000001", False),
        ("", False),
    ],
)
def test_only_canonical_uuids_are_packed(text: str, packed: bool) -> None:
    """Only lower-case text with hyphens becomes 16 bytes; everything else stays what it is."""
    key = id_key(text)
    assert (isinstance(key, bytes), len(key)) == (packed, 16 if packed else len(text))


def test_ids_are_canonical_text() -> None:
    """Our own ids are packed by the store."""
    new_id = Uuid7(repeat(1_700_000_000_000_000).__next__)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", new_id())
    assert isinstance(id_key(new_id()), bytes)
