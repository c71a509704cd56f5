"""What looking at a store, or at what is around it, finds: for `doctor`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple, TypeAlias

Verdict: TypeAlias = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer of one check.

    Attributes:
        way_out: what to do; empty when there is nothing to do.
        check: the name of the check in the table.
    """

    verdict: Verdict
    what: str
    way_out: str = ""
    check: str = ""


ok = partial(Finding, "ok")
warning = partial(Finding, "warning")
wrong = partial(Finding, "wrong")


class StoreCheck(NamedTuple):
    """One thing to look at, by the name that its finding is shown under; it may raise any error of a store.

    Attributes:
        fix: does what `doctor --fix` may do about a finding that is not "ok"; `None` for nothing.
    """

    name: str
    look: Callable[[], Finding]
    fix: Callable[[], None] | None = None
