"""What otel-measure raises: one base and a few children, each told apart by what its caller can do.

A wrong argument is a plain ``ValueError`` at the call. The classes here are for the rest, and ``http_status`` is what
the API answers for each.
"""

from __future__ import annotations

from typing import ClassVar


class MeasureError(Exception):
    """Base of every error that otel-measure raises on purpose."""

    http_status: ClassVar[int] = 500


class ConfigurationError(MeasureError, ValueError):
    """A setting is unknown, has a bad value, or ``configure()`` is called again with other settings."""

    http_status: ClassVar[int] = 400


class StoreError(MeasureError):
    """The store could not do what was asked of it."""

    http_status: ClassVar[int] = 503


class StoreUnavailable(StoreError):  # noqa: N818 - reads as the state it reports
    """The store cannot be used now: locked, full, read-only, corrupt, or its directory may not be written.

    Attributes:
        cause_name: one word for the cause (``"locked"``, ``"full"``, ``"read_only"``, ``"corrupt"``, ``"permission"``).
        way_out: what the reader of the message can do about it.
    """

    def __init__(self, cause_name: str, what: str, way_out: str) -> None:
        """Name the cause, what happened (with the path or address concerned) and the way out."""
        super().__init__(cause_name, what, way_out)
        self.cause_name = cause_name
        self.what = what
        self.way_out = way_out

    def __str__(self) -> str:
        """The cause, what happened and the way out, in one line."""
        return f"store unavailable ({self.cause_name}): {self.what}; {self.way_out}"


class StoreRejected(StoreError):  # noqa: N818 - reads as the verdict it reports
    """The store cannot keep what it was given, now or later: a fault of the data, which nobody should send again."""

    http_status: ClassVar[int] = 400


class NoStore(StoreError):  # noqa: N818 - reads as the state it reports
    """The question needs a store and ``configure(store=None)`` chose to have none."""

    def __init__(self, what: str) -> None:
        """Name what was asked for."""
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        """What was asked for, why it cannot be had, and the way out."""
        return f"{self.what} needs a store and none is configured; call configure(store=...) or set OTEL_MEASURE_STORE"


class NotFound(MeasureError, LookupError):  # noqa: N818 - reads as the HTTP status it becomes
    """No such model, service, test or user."""

    http_status: ClassVar[int] = 404

    def __init__(self, kind: str, name: str, way_out: str = "") -> None:
        """Name the kind (``"model"``, ``"service"``, ``"test"``), the name that is not known, and a way out."""
        super().__init__(kind, name, way_out)
        self.kind = kind
        self.name = name
        self.way_out = way_out

    def __str__(self) -> str:
        """The kind, the name that is not known, and the way out where there is one."""
        unknown = f"no {self.kind} named {self.name!r}"
        return f"{unknown}: {self.way_out}" if self.way_out else unknown


class Conflict(MeasureError, ValueError):  # noqa: N818 - reads as the HTTP status it becomes
    """The same key exists already with a different definition."""

    http_status: ClassVar[int] = 409
