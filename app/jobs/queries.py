"""The SQL of jobs that anyone may run: make, find, cancel, retry, events and the outbox.

What only a worker may do, under its lease, is in `app.jobs.leases`. Nothing here commits; the unit of work does.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, selectinload

from app.errors import JobNotActive, JobNotRetryable, NotFound
from app.ids import new_id
from app.models import Adapter, AdapterStatus, Job, JobEvent, JobStatus, OutboxEntry, now

ENDED = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


def create(session: Session, adapter_id: str) -> Job:
    """Queue a new job for an adapter: its row, its first event and the wake-up for the relay, together."""
    job = Job(id=new_id("job"), adapter_id=adapter_id, status=JobStatus.QUEUED, finished_stages={})
    session.add(job)
    session.flush()
    append_event(session, job.id, "queued")
    add_wakeup(session, job.id)
    return job


def get(session: Session, job_id: str) -> Job:
    """The job as it is now, with its adapter.

    Raises:
        NotFound: there is no such job.
    """
    statement = select(Job).where(Job.id == job_id).options(selectinload(Job.adapter))
    job = session.scalar(statement.execution_options(populate_existing=True))
    if job is None:
        raise unknown(job_id)
    return job


def unknown(job_id: str) -> NotFound:
    """The error for a job that does not exist."""
    return NotFound(f"The job {job_id} does not exist. GET /v1/jobs lists those that do.")


def list_page(
    session: Session, *, limit: int, cursor: str | None = None, status: JobStatus | None = None
) -> Sequence[Job]:
    """Up to `limit` jobs, newest first; `cursor` is the last id of the page before."""
    statement = select(Job).order_by(Job.id.desc()).limit(limit).options(selectinload(Job.adapter))
    if cursor is not None:
        statement = statement.where(Job.id < cursor)
    if status is not None:
        statement = statement.where(Job.status == status)
    return session.scalars(statement).all()


def count_by_status(session: Session) -> dict[str, int]:
    """How many jobs are in each status; statuses without jobs are there with 0."""
    statement = select(Job.status, func.count().label("jobs")).group_by(Job.status)
    counted = {row.status: row.jobs for row in session.execute(statement)}
    return {str(status): counted.get(status, 0) for status in JobStatus}


def request_cancel(session: Session, job_id: str) -> Job:
    """Cancel a job: at once where no worker holds it, else by asking its worker, which looks every second.

    Raises:
        NotFound: there is no such job.
        JobNotActive: it has ended already.
    """
    job = _locked(session, job_id)
    if job.status in ENDED:
        raise JobNotActive(f"The job {job_id} has already {job.status}; only a queued or running job can be cancelled.")
    held = job.status == JobStatus.RUNNING and job.lease_expires_at and job.lease_expires_at > database_now(session)
    if not held:
        mark_cancelled(session, job)
    elif not job.cancel_requested:
        job.cancel_requested = True
        append_event(session, job_id, "cancel_requested")
    session.flush()
    return job


def retry(session: Session, job_id: str) -> Job:
    """Queue a failed or cancelled job again. It goes on after its last finished stage.

    Raises:
        NotFound: there is no such job.
        JobNotRetryable: it waits, runs, or has succeeded.
    """
    job = _locked(session, job_id)
    if job.status not in (JobStatus.FAILED, JobStatus.CANCELLED):
        raise JobNotRetryable(f"The job {job_id} is {job.status}; only a failed or cancelled job can be retried.")
    job.attempts = 0
    mark_queued(session, job)
    append_event(session, job_id, "retrying", {"reason": "A retry was asked for."})
    session.flush()
    return job


def mark_queued(session: Session, job: Job) -> None:
    """Make a job, whose row is locked, wait for a worker, and add its wake-up."""
    job.status = JobStatus.QUEUED
    job.error = None
    job.cancel_requested = False
    job.finished_at = None
    forget_lease(job)
    job.adapter.status = AdapterStatus.PENDING
    add_wakeup(session, job.id)


def mark_cancelled(session: Session, job: Job) -> None:
    """End a job, whose row is locked, as cancelled. What its stages finished stays."""
    job.status = JobStatus.CANCELLED
    job.finished_at = now()
    forget_lease(job)
    job.adapter.status = AdapterStatus.CANCELLED
    append_event(session, job.id, "cancelled")


def mark_failed(session: Session, job: Job, error: dict[str, Any]) -> None:
    """End a job, whose row is locked, as failed. What its stages finished stays."""
    job.status = JobStatus.FAILED
    job.error = error
    job.finished_at = now()
    forget_lease(job)
    job.adapter.status = AdapterStatus.FAILED
    append_event(session, job.id, "failed", {"error": error})


def forget_lease(job: Job) -> None:
    """Take the lease from whoever has it. The token stays: the next lease makes a higher one."""
    job.lease_owner = None
    job.lease_expires_at = None


def append_event(session: Session, job_id: str, type_: str, data: dict[str, Any] | None = None) -> None:
    """Add the job's next event. The job's row is locked first, so that numbers have no gaps and follow commits."""
    session.flush()
    session.execute(select(Job.id).where(Job.id == job_id).with_for_update())
    last = session.scalar(select(func.max(JobEvent.number)).where(JobEvent.job_id == job_id)) or 0
    session.add(JobEvent(job_id=job_id, number=last + 1, type=type_, data=data or {}))
    session.flush()


def events_after(session: Session, job_id: str, number: int, limit: int = 500) -> Sequence[JobEvent]:
    """Up to `limit` events of a job, in order, from the one after `number` on (0: from the first)."""
    statement = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.number > number)
    return session.scalars(statement.order_by(JobEvent.number).limit(limit)).all()


def add_wakeup(session: Session, job_id: str) -> None:
    """Ask the relay to tell the broker of a job that waits. One row a job is enough."""
    if session.scalar(select(OutboxEntry.id).where(OutboxEntry.job_id == job_id).limit(1)) is None:
        session.add(OutboxEntry(job_id=job_id))


def pending_wakeups(session: Session, limit: int = 100) -> list[tuple[int, str]]:
    """The oldest wake-ups that the broker has not taken: (id, job_id)."""
    statement = select(OutboxEntry.id, OutboxEntry.job_id).order_by(OutboxEntry.id).limit(limit)
    return [(entry_id, job_id) for entry_id, job_id in session.execute(statement)]


def delete_wakeup(session: Session, entry_id: int) -> None:
    """Forget a wake-up that the broker has taken."""
    session.execute(delete(OutboxEntry).where(OutboxEntry.id == entry_id))


def jobs_without_wakeup(session: Session) -> set[str]:
    """Queued jobs whose wake-up is not in the outbox: the broker has it, or has lost it."""
    waiting = select(OutboxEntry.id).where(OutboxEntry.job_id == Job.id)
    return set(session.scalars(select(Job.id).where(Job.status == JobStatus.QUEUED, ~waiting.exists())))


def adapter_documents(session: Session, adapter_id: str) -> list[tuple[str, str]]:
    """The documents that an adapter is made from: (id, title), in order of their ids."""
    adapter = session.scalar(select(Adapter).where(Adapter.id == adapter_id).options(selectinload(Adapter.documents)))
    return [(document.id, document.title) for document in adapter.documents] if adapter else []


def parent_of(session: Session, adapter: Adapter) -> dict[str, Any] | None:
    """The adapter that this one goes on from, with its job; None where it has no parent.

    Of the parent's documents, `documents` are rehearsed and `left_out` were replaced when the child was asked for.
    """
    if adapter.parent_id is None:
        return None
    parent = session.get_one(Adapter, adapter.parent_id)  # it stays until the child is ready
    kept = {document_id for document_id, _ in adapter_documents(session, adapter.id)}
    known = [document_id for document_id, _ in adapter_documents(session, parent.id)]
    return {
        "adapter_id": parent.id,
        "job_id": parent.job.id,
        "base_revision": parent.base_revision,
        "documents": [document_id for document_id in known if document_id in kept],
        "left_out": [document_id for document_id in known if document_id not in kept],
    }


def database_now(session: Session) -> datetime:
    """The time by which leases end: the database server's where there is one, so that workers' clocks may differ."""
    if session.get_bind().dialect.name == "postgresql":
        moment: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
        return moment
    return now()


def _locked(session: Session, job_id: str) -> Job:
    """The job, with its row locked until the transaction ends."""
    statement = select(Job).where(Job.id == job_id).with_for_update()
    job = session.scalar(statement.execution_options(populate_existing=True))
    if job is None:
        raise unknown(job_id)
    return job
