"""The FastAPI application, assembled: `uvicorn --factory app.main:create_app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from starlette.concurrency import run_in_threadpool

from app.adapters import endpoints as adapters
from app.adapters.removal import sweep_copies
from app.auth import AccessControl, documented_bearer
from app.catalogue import endpoints as catalogue
from app.chat import endpoints as chat
from app.chat.schemas import ChatCompletion
from app.database import unit_of_work
from app.dependencies import Services
from app.documents import endpoints as documents
from app.documents.schemas import NewDocument
from app.engine.engines import Engines
from app.errors import ForbiddenOrigin, NotReady, Unauthorized
from app.health import endpoints as health
from app.health.metrics import Metrics
from app.jobs import endpoints as jobs
from app.parameters import refuse_unknown
from app.problems import add_problem_handlers, complete_openapi, problems
from app.queue import Relay
from app.requests import BodyLimit, RequestContext
from app.retrieval.indexes import Indexes
from app.settings import Settings, get_settings
from app.store import Store

_DESCRIPTION = """A document goes in, an adapter comes out, and anyone who speaks the OpenAI API can ask it questions.

`POST /v1/documents`, follow the job, then chat with the adapter's id or its alias as the `model`."""

_BUSY_SECONDS = 2.0  # a person waits: better to hear soon that the queue is full than to wait in another one

_TAGS = [
    {"name": "documents", "description": "What to teach."},
    {"name": "jobs", "description": "The making of adapters: read, ask, answer, distil, examine, publish."},
    {"name": "adapters", "description": "What was learnt: LoRAs in PEFT's own layout, with their reports."},
    {"name": "aliases", "description": "Your names for adapters."},
    {"name": "chat", "description": "OpenAI's own shapes."},
    {"name": "health", "description": "For those who run it."},
]


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application, as the settings say; by default as the environment says."""
    settings = settings or get_settings()
    open_session = partial(unit_of_work, settings.resolved_database_url)
    engines = Engines.of(settings, busy_patience=_BUSY_SECONDS)
    store = Store(settings.resolved_store_url)
    services = Services(
        settings=settings,
        store=store,
        engines=engines,
        indexes=Indexes(store, settings.retrieval),
        unit_of_work=open_session,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        relay = Relay(settings.resolved_redis_url, open_session)
        relay.start()
        await run_in_threadpool(sweep_copies, services)
        try:
            yield
        finally:
            await run_in_threadpool(relay.stop)
            await engines.close()

    app = FastAPI(
        title="Ingrain",
        version=version("ingrain"),
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        lifespan=lifespan,
    )
    metrics = Metrics(open_session)
    app.state.services = services
    app.state.metrics = metrics
    add_problem_handlers(app)
    _add_routes(app)
    _document(app)
    # The last one added is the first that a request meets.
    app.add_middleware(BodyLimit, max_document_bytes=settings.max_document_bytes)
    app.add_middleware(AccessControl, keys=settings.api_keys)
    app.add_middleware(RequestContext, observe=metrics.observe)
    return app


def _add_routes(app: FastAPI) -> None:
    everywhere = problems(Unauthorized, ForbiddenOrigin, NotReady)
    v1 = APIRouter(prefix="/v1", dependencies=[documented_bearer, Depends(refuse_unknown)], responses=everywhere)
    for router in (documents.router, jobs.router, adapters.router, adapters.aliases, catalogue.router, chat.router):
        v1.include_router(router)
    app.include_router(v1)
    app.include_router(health.router, responses=problems(ForbiddenOrigin))


def _document(app: FastAPI) -> None:
    """Add to FastAPI's schema what it cannot know: the problem document, and bodies that endpoints read themselves."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            complete_openapi(generate(), NewDocument, ChatCompletion)
        return generate()

    app.openapi = openapi  # type: ignore[method-assign]
