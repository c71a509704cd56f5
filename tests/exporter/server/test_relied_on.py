"""The uvicorn that is installed is one that the limits can stand on, and another one is refused."""

from __future__ import annotations

from importlib import metadata

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from exporter.server.relied_on import UnsupportedUvicorn, require_names


def test_the_installed_uvicorn() -> None:
    """Nothing is missing in it."""
    require_names()


def test_another_uvicorn() -> None:
    """What is missing is named, with the version and the way out."""
    with pytest.raises(UnsupportedUvicorn) as refused:
        require_names({HttpToolsProtocol: ("parser", "gone", "data_received"), FlowControl: ("stop_reading",)})
    assert str(refused.value) == (
        f"uvicorn {metadata.version('uvicorn')} has no HttpToolsProtocol.gone, FlowControl.stop_reading, "
        "which the limits of `serve` need: install the version that otel-measure asks for "
        "(pip install --upgrade otel-measure)"
    )
