"""HTTP of adapters and aliases."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from app.adapters import artefacts, report_page, service
from app.adapters.pair_filters import PairFilters
from app.adapters.removal import unload
from app.adapters.report_schemas import Report
from app.adapters.schemas import (
    AdapterTaken,
    AdapterView,
    AliasTarget,
    AliasView,
    NewAdapter,
    PairView,
    stale_documents,
)
from app.dependencies import Database, Parts
from app.errors import (
    AdapterNotReady,
    Conflict,
    IdempotencyConflict,
    InvalidInput,
    InvalidRequest,
    InvalidSettings,
    NotFound,
    NotReady,
    RequestTooLarge,
    UnsupportedMediaType,
    WrongBaseModel,
)
from app.idempotency.service import KeyHeader, set_headers
from app.models import AdapterStatus
from app.pages import Cursor, Limit, Page, id_cursor
from app.problems import problems

router = APIRouter(prefix="/adapters", tags=["adapters"])
aliases = APIRouter(prefix="/aliases", tags=["aliases"])

AdapterName = Annotated[str, Path(description="Its id, or an alias.")]


@router.post(
    "",
    status_code=202,
    operation_id="createAdapter",
    summary="Make one adapter from several documents",
    response_model=AdapterTaken,
    responses=problems(
        InvalidRequest, IdempotencyConflict, AdapterNotReady, WrongBaseModel, RequestTooLarge, UnsupportedMediaType,
        InvalidInput, InvalidSettings,
    ),
)  # fmt: skip
def create_adapter(
    new: NewAdapter, parts: Parts, response: Response, idempotency_key: KeyHeader = None
) -> dict[str, Any]:
    """Queue the job that makes an adapter from documents that were posted before. `Location` is the job.

    With `parent` it goes on from that adapter: it learns the documents that are new, rehearses the others, and knows
    both. What the parent learnt from documents that were replaced since is left out.
    """
    answer = service.create(parts, new, idempotency_key)
    set_headers(response, answer)
    return answer.body


@router.get("", operation_id="listAdapters", summary="List adapters", responses=problems(InvalidInput))
def list_adapters(
    session: Database,
    status: Annotated[AdapterStatus | None, Query(description="Only adapters with this status.")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[AdapterView]:
    """Adapters, newest first."""
    views, following = service.list_page(session, limit, id_cursor("adp", cursor), status)
    return Page(data=views, next_cursor=following)


@router.get("/{adapter_id}", operation_id="getAdapter", summary="Get an adapter", responses=problems(NotFound))
def get_adapter(adapter_id: AdapterName, session: Database) -> AdapterView:
    """What it was made from and how, whether it can answer, and by which names."""
    return service.views(session, [service.get_called(session, adapter_id)])[0]


@router.get(
    "/{adapter_id}/report",
    operation_id="getAdapterReport",
    summary="How well an adapter knows",
    response_model=Report,
    responses={
        200: {
            "description": "The report; with `format=html`, or if `Accept` likes `text/html` best, as a page.",
            "content": {"text/html": {"schema": {"type": "string"}}},
        },
        **problems(NotFound, AdapterNotReady, InvalidInput),
    },
)
def get_adapter_report(
    adapter_id: AdapterName,
    session: Database,
    parts: Parts,
    request: Request,
    response: Response,
    format_: Annotated[
        Literal["json", "html"] | None, Query(alias="format", description="Wins over `Accept`; json by default.")
    ] = None,
) -> Report | HTMLResponse:
    """What it knows, what it forgot, question by question, and what it took to make.

    Held-out questions answered by the base model, the base model with retrieval, the teacher and the adapter; what
    became of general knowledge; how much of the documents the pairs cover; the training, time and tokens.
    """
    report = service.report_of(session, parts.store, adapter_id)
    if (format_ or ("html" if report_page.is_wanted(request.headers.get("accept", "")) else "json")) == "html":
        return HTMLResponse(report_page.html(report), headers=report_page.HEADERS)
    response.headers["Vary"] = "Accept"
    return report


@router.get(
    "/{adapter_id}/pairs",
    operation_id="listAdapterPairs",
    summary="What an adapter learnt from",
    responses=problems(NotFound, AdapterNotReady, InvalidInput),
)
def list_adapter_pairs(
    adapter_id: AdapterName, parts: Parts, filters: PairFilters, limit: Limit = 20, cursor: Cursor = None
) -> Page[PairView]:
    """The questions, the teacher's answers, and the passages that they come from. There before the adapter is ready.

    Filters narrow the list together; a cursor belongs to the filters that it came with.
    """
    with parts.unit_of_work(reads_only=True) as session:
        adapter = service.get_called(session, adapter_id)
        if "answer" not in adapter.job.finished_stages:
            raise service.not_ready(adapter, adapter_id)
        job_id, stale = adapter.job.id, stale_documents(adapter)
    pairs, following = artefacts.pairs_page(parts.store, job_id, stale, limit, cursor, filters)
    return Page(data=pairs, next_cursor=following)


@router.get(
    "/{adapter_id}/download",
    operation_id="downloadAdapter",
    summary="Download an adapter",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "A ZIP archive of the adapter in PEFT's layout.",
            "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
        },
        **problems(NotFound, AdapterNotReady),
    },
)
def download_adapter(adapter_id: AdapterName, parts: Parts) -> StreamingResponse:
    """Its files in PEFT's own layout, `adapter_config.json` and `adapter_model.safetensors`, as a ZIP archive."""
    with parts.unit_of_work(reads_only=True) as session:
        adapter = service.get_called(session, adapter_id)
        if adapter.status != AdapterStatus.READY:
            raise service.not_ready(adapter, adapter_id)
    headers = {"Content-Disposition": f'attachment; filename="{adapter.id}.zip"', "ETag": f'"{adapter.sha256}"'}
    chunks = artefacts.zip_chunks(parts.store, adapter.id)
    return StreamingResponse(chunks, media_type="application/zip", headers=headers)


@router.delete(
    "/{adapter_id}",
    status_code=204,
    operation_id="deleteAdapter",
    summary="Delete an adapter",
    responses=problems(NotFound, Conflict, NotReady),
)
async def delete_adapter(adapter_id: str, parts: Parts) -> None:
    """Forget it, its aliases, its job and its files, and unload it from the engine. Its documents stay.

    Where the store fails it stays known, and the same DELETE finishes what is left.
    """
    await run_in_threadpool(service.forget, parts, adapter_id)
    await unload(parts, adapter_id)


@aliases.get("", operation_id="listAliases", summary="List aliases", responses=problems(InvalidInput))
def list_aliases(session: Database, limit: Limit = 20, cursor: Cursor = None) -> Page[AliasView]:
    """Aliases, by name."""
    rows, following = service.list_aliases(session, limit, cursor)
    return Page(data=[AliasView.of(row) for row in rows], next_cursor=following)


@aliases.get("/{name}", operation_id="getAlias", summary="Get an alias", responses=problems(NotFound))
def get_alias(name: str, session: Database) -> AliasView:
    """Which adapter it points at."""
    return AliasView.of(service.get_alias(session, name))


@aliases.put(
    "/{name}",
    operation_id="pointAlias",
    summary="Point an alias at an adapter",
    responses=problems(InvalidRequest, AdapterNotReady, RequestTooLarge, UnsupportedMediaType, InvalidInput),
)
def point_alias(name: str, target: AliasTarget, session: Database, parts: Parts) -> AliasView:
    """Point it, new or not, at an adapter that is ready. Chats use it from the next request on."""
    return AliasView.of(service.point_alias(session, parts.settings, name, target.adapter_id))


@aliases.delete(
    "/{name}", status_code=204, operation_id="deleteAlias", summary="Delete an alias", responses=problems(NotFound)
)
def delete_alias(name: str, session: Database) -> None:
    """Forget the name. Its adapter stays."""
    service.remove_alias(session, name)
