from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.stats.varints import decode, encode


@given(numbers=st.lists(st.one_of(st.integers(0, 127), st.integers(0, 2**70))))
def test_numbers_round_trip(numbers: list[int]) -> None:
    """What was encoded is decoded again, any number of bytes each."""
    assert decode(encode(numbers)) == numbers


def test_encoding_is_that_of_protobuf() -> None:
    """300 is the two bytes that the protobuf documentation gives for it."""
    assert encode([300, 1]) == b"\xac\x02\x01"


def test_a_cut_off_number_is_refused() -> None:
    """Bytes that end within a number raise."""
    with pytest.raises(ValueError, match="cut off"):
        decode(b"\x01\xac")
