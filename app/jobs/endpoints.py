"""HTTP of jobs."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.dependencies import Database, Parts
from app.errors import InvalidInput, JobNotActive, JobNotRetryable, NotFound
from app.jobs import service
from app.jobs.schemas import JobEventView, JobView
from app.models import JobStatus
from app.pages import Cursor, Limit, Page, id_cursor, number_cursor
from app.problems import problems

router = APIRouter(prefix="/jobs", tags=["jobs"])

_LAST_EVENT = 2**31 - 1
_HEARTBEAT_SECONDS = 15


@router.get("", operation_id="listJobs", summary="List jobs", responses=problems(InvalidInput))
def list_jobs(
    session: Database,
    status: Annotated[JobStatus | None, Query(description="Only jobs with this status.")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[JobView]:
    """Jobs, newest first."""
    rows, following = service.list_page(session, limit, id_cursor("job", cursor), status)
    return Page(data=[JobView.of(row) for row in rows], next_cursor=following)


@router.get("/{job_id}", operation_id="getJob", summary="Get a job", responses=problems(NotFound))
def get_job(job_id: str, session: Database) -> JobView:
    """Its status, stage, progress, ETA, timings by stage, and the error when it failed."""
    return JobView.of(service.get(session, job_id))


@router.get(
    "/{job_id}/events",
    operation_id="getJobEvents",
    summary="Follow a job",
    response_model=Page[JobEventView],
    responses={
        200: {
            "description": "A page of events, or, with `Accept: text/event-stream`, the events as they happen.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **problems(NotFound, InvalidInput),
    },
)
async def get_job_events(
    job_id: str,
    request: Request,
    parts: Parts,
    after: Annotated[int, Query(ge=0, le=_LAST_EVENT, description="Give events after this number.")] = 0,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Events a page; a stream has no limit.")] = 100,
    last_event_id: Annotated[
        int | None, Header(ge=0, le=_LAST_EVENT, description="As `after`; what a browser sends when it connects again.")
    ] = None,
) -> Response:
    """What happened to the job, oldest first.

    Types: `queued`, `started`, `stage_started`, `progress`, `stage_finished`, `retrying`, `cancel_requested`,
    `degraded` (before `succeeded`, where the adapter is below a floor: which, and the alias that it does not get), and
    at the end `succeeded`, `failed` or `cancelled`. With `Accept: text/event-stream` they come as server-sent events
    whose `id` is the event's number, until the job has ended; a connection that broke goes on from `Last-Event-ID`.
    """
    start = last_event_id if last_event_id is not None else number_cursor(cursor) or after

    def read_page() -> Page[JobEventView]:
        with parts.unit_of_work(reads_only=True) as session:
            rows, following = service.events_page(session, job_id, start, limit)
            return Page(data=[JobEventView.of(row) for row in rows], next_cursor=following)

    page = await run_in_threadpool(read_page)  # also where the job is unknown: a stream could not say so any more
    if "text/event-stream" not in request.headers.get("accept", ""):
        return JSONResponse(page.model_dump(mode="json"))

    async def stream() -> AsyncIterator[ServerSentEvent]:
        async for event in service.follow(parts.unit_of_work, job_id, start):
            yield ServerSentEvent(id=str(event.number), event=event.type, data=event.model_dump_json())

    return EventSourceResponse(stream(), ping=_HEARTBEAT_SECONDS)


@router.post(
    "/{job_id}/cancel",
    status_code=202,
    operation_id="cancelJob",
    summary="Cancel a job",
    responses=problems(NotFound, JobNotActive),
)
def cancel_job(job_id: str, session: Database) -> JobView:
    """Stop it. A job that waits is cancelled at once; one that runs, as soon as its process has ended."""
    return JobView.of(service.cancel(session, job_id))


@router.post(
    "/{job_id}/retry",
    status_code=202,
    operation_id="retryJob",
    summary="Retry a job",
    responses=problems(NotFound, JobNotRetryable),
)
def retry_job(job_id: str, session: Database) -> JobView:
    """Queue a failed or cancelled job again. It goes on after its last finished stage."""
    return JobView.of(service.retry(session, job_id))
