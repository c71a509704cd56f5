"""The JSON API, one module per section; each is a page of handlers and the rows that lead to them."""

from __future__ import annotations

from typing import Final

from exporter.api import ai, dashboard, experiments, infrastructure, models, people, users
from exporter.http.types import AnyEndpoint

ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    *infrastructure.ENDPOINTS,
    *ai.ENDPOINTS,
    *models.ENDPOINTS,
    *users.ENDPOINTS,
    *people.ENDPOINTS,
    *experiments.ENDPOINTS,
    *dashboard.ENDPOINTS,
)
