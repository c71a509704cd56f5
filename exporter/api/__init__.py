"""The JSON API, one module per section of the URL space: its bodies, its handlers and the routes that lead to them."""

from __future__ import annotations

from typing import Final

from exporter.api import dashboard, experiments, infrastructure, models, senders, users
from exporter.http.types import AnyRoute

ROUTES: Final[tuple[AnyRoute, ...]] = (
    *infrastructure.ROUTES,
    *models.ROUTES,
    *users.ROUTES,
    *experiments.ROUTES,
    *dashboard.ROUTES,
    *senders.ROUTES,
)
