"""An answer leaves in as few writings as it can."""

from __future__ import annotations

import asyncio

from exporter.server.answering import AnswerTransport


class Written(asyncio.Transport):
    """A transport that notes what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Note a part."""
        self.parts.append(bytes(data))

    def is_closing(self) -> bool:
        """Tell whether it was closed."""
        return self.is_closed

    def close(self) -> None:
        """Note that it was closed."""
        self.is_closed = True


def test_a_head_leaves_with_the_first_part_of_its_body() -> None:
    """The parts after it leave as they come."""
    written = Written()
    answer = AnswerTransport(written)
    answer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    assert written.parts == []
    answer.write(b"first")
    answer.write(b"second")
    assert written.parts == [b"HTTP/1.1 200 OK\r\n\r\nfirst", b"second"]


def test_a_head_leaves_with_an_empty_body() -> None:
    """As that of an answer to HEAD is."""
    written = Written()
    answer = AnswerTransport(written)
    answer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    answer.write(b"")
    assert written.parts == [b"HTTP/1.1 200 OK\r\n\r\n"]


def test_whoever_waits_to_be_told_to_go_on_is_told_at_once() -> None:
    """It would never send its body; the head of the answer waits all the same."""
    written = Written()
    answer = AnswerTransport(written)
    answer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert written.parts == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    answer.write(b"HTTP/1.1 201 Created\r\n\r\n")
    answer.write(b"{}")
    assert written.parts[1:] == [b"HTTP/1.1 201 Created\r\n\r\n{}"]


def test_a_connection_that_is_closed_has_the_head() -> None:
    """An application that fails behind it leaves the client a head without its body, as uvicorn does."""
    written = Written()
    answer = AnswerTransport(written)
    answer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    assert not answer.is_closing()
    answer.close()
    assert (written.parts, answer.is_closing()) == ([b"HTTP/1.1 200 OK\r\n\r\n"], True)
