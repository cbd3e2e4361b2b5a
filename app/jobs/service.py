"""The rules of jobs, for those who ask for them. What a worker may do is in `app.jobs.leases`."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app.dependencies import UnitOfWork
from app.errors import InvalidSettings, NotFound
from app.ids import is_id
from app.jobs import queries
from app.jobs.schemas import JobEventView
from app.jobs.settings import JobSettings, ResolvedSettings, resolve
from app.models import Job, JobEvent, JobStatus
from app.pages import cut
from app.settings import Settings

_POLL_SECONDS = 0.5


def resolve_settings(chosen: JobSettings, installation: Settings) -> ResolvedSettings:
    """Every value of a job's settings. A rank that was not chosen gives way to what the engine serves.

    Floors that were not chosen are the installation's.

    Raises:
        InvalidSettings: the rank that was chosen cannot be served.
    """
    ceiling = installation.max_lora_rank
    if chosen.rank is not None and chosen.rank > ceiling:
        raise InvalidSettings(
            f"'settings.rank' is {chosen.rank}; this engine serves ranks up to {ceiling} (INGRAIN_MAX_LORA_RANK).",
            field="settings.rank",
        )
    resolved = resolve(chosen)
    floors = {
        "min_retention": installation.min_retention if chosen.min_retention is None else chosen.min_retention,
        "min_recall": installation.min_recall if chosen.min_recall is None else chosen.min_recall,
    }
    return resolved.model_copy(update={"rank": min(resolved.rank, ceiling), **floors})


def get(session: Session, job_id: str) -> Job:
    """The job.

    Raises:
        NotFound: there is no such job.
    """
    return queries.get(session, _existing(job_id))


def list_page(
    session: Session, limit: int, cursor: str | None, status: JobStatus | None
) -> tuple[Sequence[Job], str | None]:
    """A page of jobs, newest first, and the next cursor."""
    rows = queries.list_page(session, limit=limit + 1, cursor=cursor, status=status)
    return cut(rows, limit, lambda job: job.id)


def cancel(session: Session, job_id: str) -> Job:
    """Stop a job that waits or runs.

    Raises:
        NotFound: there is no such job.
        JobNotActive: it has ended.
    """
    return queries.request_cancel(session, _existing(job_id))


def retry(session: Session, job_id: str) -> Job:
    """Queue a failed or cancelled job again; it goes on after its last finished stage.

    Raises:
        NotFound: there is no such job.
        JobNotRetryable: it waits, runs, or has succeeded.
    """
    return queries.retry(session, _existing(job_id))


def events_page(session: Session, job_id: str, after: int, limit: int) -> tuple[Sequence[JobEvent], str | None]:
    """A page of a job's events, oldest first, and the next cursor."""
    get(session, job_id)
    rows = queries.events_after(session, job_id, after, limit + 1)
    return cut(rows, limit, lambda event: str(event.number))


async def follow(unit_of_work: UnitOfWork, job_id: str, after: int) -> AsyncIterator[JobEventView]:
    """The job's events after number `after` as they happen; ends with the job."""

    def news(number: int) -> tuple[list[JobEventView], bool]:
        with unit_of_work(reads_only=True) as session:
            ended = queries.get(session, job_id).status in queries.ENDED
            return [JobEventView.of(event) for event in queries.events_after(session, job_id, number)], ended

    number = after
    while True:
        try:
            events, ended = await run_in_threadpool(news, number)
        except NotFound:  # its adapter was deleted meanwhile
            return
        for event in events:
            yield event
            number = event.number
        if ended and not events:
            return
        if not events:
            await asyncio.sleep(_POLL_SECONDS)


def _existing(job_id: str) -> str:
    if not is_id("job", job_id):
        raise queries.unknown(job_id)
    return job_id
