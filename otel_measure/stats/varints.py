"""Base-128 varints (protobuf, "Base 128 Varints"), quick where every number fits a byte, as most counts do."""

from __future__ import annotations

from collections.abc import Sequence


def encode(numbers: Sequence[int]) -> bytes:
    """Encode integers >= 0, seven bits a byte, low bits first."""
    if max(numbers, default=0) < 0x80:
        return bytes(numbers)
    encoded = bytearray()
    for number in numbers:
        while number > 0x7F:
            encoded.append(number & 0x7F | 0x80)
            number >>= 7
        encoded.append(number)
    return bytes(encoded)


def decode(encoded: bytes) -> list[int]:
    """Decode all of ``encoded``.

    Raises:
        ValueError: the last number is cut off.
    """
    if encoded.isascii():
        return list(encoded)
    numbers: list[int] = []
    number = bits = 0
    for byte in encoded:
        number |= (byte & 0x7F) << bits
        if byte & 0x80:
            bits += 7
        else:
            numbers.append(number)
            number = bits = 0
    if bits:
        raise ValueError(f"encoded={encoded[-8:]!r}: the last number is cut off")
    return numbers
