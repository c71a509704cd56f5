"""The ASGI application: the route table, the middleware and the runtime behind them, wired together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Final

from anyio import to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from exporter import api, otlp
from exporter.http import openapi
from exporter.http.auth import AuthMiddleware
from exporter.http.dispatch import Dispatcher
from exporter.http.envelope import error, failure
from exporter.http.routing import Router
from exporter.http.types import AnyRoute, Content
from exporter.page import root
from exporter.running import RuntimeOnDemand
from otel_measure.config import Settings

if TYPE_CHECKING:
    from otel_measure.runtime import Runtime

_DESCRIBED: Final[tuple[AnyRoute, ...]] = (*api.ROUTES, *root.ROUTES, *otlp.ROUTES)
ROUTES: Final[tuple[AnyRoute, ...]] = (*_DESCRIBED, openapi.description_route(_DESCRIBED))


def create_app(settings: Settings | None = None, *, runtime: Runtime | None = None) -> Starlette:
    """Return the exporter as an ASGI application, to serve or to mount in another one.

    Nothing starts here: the runtime does with the lifespan or, mounted, with the first request of each process.

    Without a token it answers direct clients of this machine only, so a test client needs to look like one:
    `TestClient(app, base_url="http://localhost", client=("127.0.0.1", 50000))`. A Unix socket counts as this machine.

    Args:
        settings: of the runtime; that of the process (`configure()`, else the environment) when not given.
        runtime: the runtime to serve instead.
    """
    on_demand = RuntimeOnDemand(lambda: runtime or _adopted(settings))
    origins = settings.cors_origins if settings else runtime.settings.cors_origins if runtime else ()
    app = Starlette(
        middleware=[
            *_cors(origins),
            Middleware(AuthMiddleware, Router(ROUTES), on_demand.authenticator),
            Middleware(Dispatcher, on_demand.backend),
        ],
        exception_handlers={404: _not_found, Exception: _internal},
        lifespan=_lifespan(on_demand),
    )
    app.router.redirect_slashes = False
    return app


def _adopted(settings: Settings | None) -> Runtime:
    from otel_measure.process import adopt

    return adopt(settings)


def _cors(origins: tuple[str, ...]) -> list[Middleware]:
    if not origins:
        return []
    headers = ["authorization", "content-type", "content-encoding"]
    methods = ["GET", "POST", "DELETE"]
    return [Middleware(CORSMiddleware, allow_origins=origins, allow_methods=methods, allow_headers=headers)]


def _lifespan(on_demand: RuntimeOnDemand) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await on_demand.backend()
        yield
        await to_thread.run_sync(on_demand.flush)

    return lifespan


async def _not_found(request: Request, fault: Exception) -> Response:
    return _response(error(404, f"nothing is at {request.url.path}; /openapi.json lists what there is"))


async def _internal(request: Request, fault: Exception) -> Response:
    return _response(failure(fault, asked=False))


def _response(content: Content) -> Response:
    response = Response(content.body, content.status)
    response.raw_headers.extend(content.headers)
    return response
