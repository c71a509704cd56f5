"""Who sends: what the attributes of a resource say of the process, host and container behind them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from otel_measure.conventions import dialects, semconv
from otel_measure.conventions.dialects import first_of
from otel_measure.conventions.private import is_private
from otel_measure.definitions.signals import source_of
from otel_measure.records.kinds import Json, Origin
from otel_measure.records.limits import MAX_NAME_CHARS

_UNKNOWN_SERVICE: Final = "unknown_service"
# A URL, or what `git remote` prints for SSH; a password may stand before the host.
_ADDRESS: Final = re.compile(
    r"(?:[a-z+]+://)?(?:[^@/]*@)?(?P<host>[^@/:?#]+)(?::\d+)?[/:](?P<path>[^?#]+?)/?(?:\.git)?/?"
)


class Resource(NamedTuple):
    """Where telemetry comes from.

    Attributes:
        origin: service and environment.
        instance: tells processes of one service apart.
        host, container: "" when unknown.
        has_facts: whether it records facts of ours, which its metrics and spans say again.
        attributes: all of them, as text.
        repository: the one that a coding agent worked for, `None` when unknown.
    """

    origin: Origin
    instance: str
    host: str
    container: str
    has_facts: bool
    attributes: dict[str, str]
    repository: str | None = None

    @property
    def source(self) -> str:
        """The process, told apart from those of all services."""
        return source_of(self.origin, self.instance)


def resource_of(attributes: Mapping[str, Json], *, keeps_text: bool = False) -> Resource:
    """Return what the attributes of a resource say.

    Args:
        attributes: as they came.
        keeps_text: keep what programs were called with, and what people wrote, too.
    """
    given = {key: text(value)[:MAX_NAME_CHARS] for key, value in attributes.items() if value is not None}
    return Resource(
        Origin(given.get(semconv.ATTR_SERVICE_NAME) or _UNKNOWN_SERVICE, first_of(given, dialects.ENVIRONMENT) or ""),
        _instance(given),
        first_of(given, dialects.HOST) or "",
        given.get(semconv.ATTR_CONTAINER_ID, ""),
        attributes.get(semconv.ATTR_OWN_FACTS) is True,
        given if keeps_text else {key: value for key, value in given.items() if not is_private(key)},
        _repository(given),
    )


def _repository(given: Mapping[str, str]) -> str | None:
    """Return where a repository lies, `host/owner/name`, or the part of it that is said; never who may read it."""
    url = given.get(semconv.ATTR_VCS_REPOSITORY_URL_FULL, "")
    if address := _ADDRESS.fullmatch(url.strip()):
        return "/".join((address["host"].lower(), address["path"]))
    named = (given.get(semconv.ATTR_VCS_OWNER_NAME), given.get(semconv.ATTR_VCS_REPOSITORY_NAME))
    return "/".join(filter(None, named)) if named[1] else None


def _instance(given: Mapping[str, str]) -> str:
    for keys in dialects.PROCESS:
        if all(given.get(key) for key in keys):
            return "/".join(given[key] for key in keys)
    # Two processes with equal resources share this; the start times of their streams still tell them apart.
    return sha256(msgspec.json.encode(sorted(given.items()))).hexdigest()[:16]


def text(value: Json) -> str:
    """Return an attribute's value as a label shows it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else msgspec.json.encode(value).decode()
