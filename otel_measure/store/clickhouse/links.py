"""Who is who: a log of what was said, and the persons that follow from it.

What a link means depends on those before it, and no lock orders who says them. So each is added to a log whose order
the server keeps, and whoever wants to know the persons goes through the log from its beginning: all who read the same
rows find the same persons, and nobody has to be the only one that writes.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from otel_measure.store.clickhouse.columns import WrittenBy, user_number
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.types.users import Link


class Persons:
    """The persons of what was said so far.

    The first link of an id stays until it is taken back; one of an id that was ever named as a user is refused.
    """

    def __init__(self) -> None:
        self._owner: dict[str, str] = {}
        self._users: set[str] = set()

    def person(self, distinct_id: str) -> str:
        """Return the id that stands for the person of an id."""
        while (owner := self._owner.get(distinct_id)) is not None:
            distinct_id = owner
        return distinct_id

    def identify(self, anonymous_id: str, user_id: str) -> Link:
        """Make two ids one person, and say what became of it."""
        self._users.add(user_id)
        if self.person(anonymous_id) == self.person(user_id):
            return "known"
        if anonymous_id in self._owner or anonymous_id in self._users:
            return "refused"
        self._owner[anonymous_id] = user_id
        return "linked"

    def unlink(self, anonymous_id: str) -> bool:
        """Take the link of an id back; return whether it had one."""
        return self._owner.pop(anonymous_id, None) is not None

    def merged(self) -> Mapping[str, str]:
        """Return the person of every id that is not its own."""
        return {linked: self.person(linked) for linked in self._owner}


class Links:
    """What was said of who is who in a store."""

    def __init__(self, database: ClickHouseDatabase) -> None:
        self._database = database

    def identify(self, anonymous_id: str, user_id: str) -> Link:
        """Make two ids one person: "known" when they are, "refused" when the first is a user or another person's."""
        said_by = self._say(anonymous_id, user_id, is_link=True)
        persons = Persons()
        for anonymous, user, is_link, by in self._said():
            became = persons.identify(anonymous, user) if is_link else persons.unlink(anonymous)
            if by == said_by:
                assert isinstance(became, str)
                return became
        raise AssertionError("what was said is in the log")

    def unlink(self, anonymous_id: str) -> bool:
        """Take the link of an id back, with those that were linked to it; return whether it had one."""
        had_one = anonymous_id in self.persons().merged()
        if had_one:
            self._say(anonymous_id, "", is_link=False)
        return had_one

    def persons(self) -> Persons:
        """Return the persons of now."""
        persons = Persons()
        for anonymous, user, is_link, _ in self._said():
            if is_link:
                persons.identify(anonymous, user)
            else:
                persons.unlink(anonymous)
        return persons

    def numbers(self, by: WrittenBy) -> dict[int, int]:
        """Return the number of the person of each user whose number is not their person's.

        Args:
            by: what decides the numbers.
        """
        return {user_number(by, linked): user_number(by, person) for linked, person in self.persons().merged().items()}

    def _say(self, anonymous_id: str, user_id: str, *, is_link: bool) -> int:
        said_by = secrets.randbits(128)
        self._database.insert(
            "link",
            {"anonymous_id": [anonymous_id], "user_id": [user_id], "is_link": [int(is_link)], "said_by": [said_by]},
        )
        return said_by

    def _said(self) -> list[tuple[str, str, bool, int]]:
        rows = self._database.rows(
            "SELECT anonymous_id, user_id, is_link, said_by FROM {db}.link ORDER BY _block_number, _block_offset"
        )
        return [(anonymous, user, bool(is_link), said_by) for anonymous, user, is_link, said_by in rows]
