"""What an application's own provider does already: where it sends to, and under which name.

The SDK has no public way to ask. Where the private one is not there any more, nothing is found, and we do as if the
provider sent nothing; a test fails then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import Resource


def readers_to(provider: object, endpoint: str) -> list[MetricReader]:
    """Return the readers of a provider that send to the host and port of an endpoint."""
    readers = getattr(provider, "_metric_readers", ())
    return [reader for reader in readers if _place(_endpoint_of(reader)) == _place(endpoint)]


def _endpoint_of(reader: object) -> str:
    return str(getattr(getattr(reader, "_exporter", None), "_endpoint", ""))


def _place(endpoint: str) -> str:
    # gRPC's endpoints have no scheme.
    return urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").netloc


def resource_of(provider: object) -> Mapping[str, Any]:
    """Return the attributes of a provider's resource; after a fork the SDK changes them."""
    resource = getattr(getattr(provider, "_sdk_config", None), "resource", None)
    return resource.attributes if isinstance(resource, Resource) else {}


def say_of(provider: object, attributes: Mapping[str, Any]) -> None:
    """Add attributes to the resource of a provider, once."""
    update, said = getattr(provider, "_update_resource", None), resource_of(provider)
    if update is not None and any(said.get(key) != value for key, value in attributes.items()):
        update(Resource(dict(attributes)))
